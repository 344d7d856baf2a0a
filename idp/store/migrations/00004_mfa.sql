-- +goose Up

CREATE TABLE mfa_state (
  user_id   TEXT PRIMARY KEY REFERENCES pool_user (id) ON DELETE CASCADE,
  handle    TEXT NOT NULL UNIQUE,
  preferred TEXT NOT NULL
);

CREATE TABLE mfa_secret (
  user_id   TEXT NOT NULL REFERENCES pool_user (id) ON DELETE CASCADE,
  kind      TEXT NOT NULL,
  sealed    TEXT NOT NULL,
  name      TEXT NOT NULL,
  last_step BIGINT NOT NULL,
  created   BIGINT NOT NULL,
  used      BIGINT NOT NULL,
  PRIMARY KEY (user_id, kind)
);

CREATE TABLE mfa_recovery (
  user_id TEXT NOT NULL REFERENCES pool_user (id) ON DELETE CASCADE,
  hash    TEXT NOT NULL,
  PRIMARY KEY (user_id, hash)
);

CREATE TABLE mfa_sent (
  user_id   TEXT NOT NULL REFERENCES pool_user (id) ON DELETE CASCADE,
  kind      TEXT NOT NULL,
  purpose   TEXT NOT NULL,
  challenge TEXT NOT NULL,
  hash      TEXT NOT NULL,
  sent_to   TEXT NOT NULL,
  tries     BIGINT NOT NULL,
  created   BIGINT NOT NULL,
  expires   BIGINT NOT NULL,
  PRIMARY KEY (user_id, kind, purpose)
);

CREATE TABLE mfa_passkey (
  id       TEXT PRIMARY KEY,
  user_id  TEXT NOT NULL REFERENCES pool_user (id) ON DELETE CASCADE,
  name     TEXT NOT NULL,
  data     TEXT NOT NULL,
  signs    BIGINT NOT NULL,
  created  BIGINT NOT NULL,
  used     BIGINT NOT NULL
);
CREATE INDEX mfa_passkey_user ON mfa_passkey (user_id);

CREATE TABLE mfa_device (
  id       TEXT PRIMARY KEY,
  user_id  TEXT NOT NULL REFERENCES pool_user (id) ON DELETE CASCADE,
  hash     TEXT NOT NULL UNIQUE,
  name     TEXT NOT NULL,
  failures BIGINT NOT NULL,
  created  BIGINT NOT NULL,
  used     BIGINT NOT NULL,
  expires  BIGINT NOT NULL
);
CREATE INDEX mfa_device_user ON mfa_device (user_id);

-- Counts outlive what they count: a user who is made again begins as counted.
CREATE TABLE mfa_count (
  count_key TEXT PRIMARY KEY,
  n         BIGINT NOT NULL,
  latest    BIGINT NOT NULL
);

CREATE TABLE mfa_spent (
  hash    TEXT PRIMARY KEY,
  expires BIGINT NOT NULL
);
