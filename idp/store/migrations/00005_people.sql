-- What a user pool knows of people besides name and e-mail address, the hashes of
-- earlier passwords, and which attributes a client may read and write.

-- +goose Up

ALTER TABLE pool_user ADD COLUMN phone TEXT NOT NULL DEFAULT '';
ALTER TABLE pool_user ADD COLUMN phone_verified BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pool_user ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
ALTER TABLE pool_user ADD COLUMN password_set BIGINT NOT NULL DEFAULT 0;
UPDATE pool_user SET password_set = updated WHERE password_hash <> '';

-- An address that nobody has shown to be theirs is no name and reserves nothing.
DELETE FROM pool_name WHERE EXISTS (
  SELECT 1 FROM pool_user u
  WHERE u.id = pool_name.user_id AND u.email_verified = 0 AND u.username_key <> pool_name.name_key
);

CREATE TABLE pool_password (
  user_id TEXT NOT NULL REFERENCES pool_user (id) ON DELETE CASCADE,
  seq     BIGINT NOT NULL,
  hash    TEXT NOT NULL,
  PRIMARY KEY (user_id, seq)
);

ALTER TABLE app_client ADD COLUMN read_attributes TEXT;
ALTER TABLE app_client ADD COLUMN write_attributes TEXT;
ALTER TABLE app_client ADD COLUMN revocation BIGINT NOT NULL DEFAULT 1;
