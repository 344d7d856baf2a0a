-- Sign-ups that nobody has confirmed, codes and links that were sent to people,
-- and how often something was asked for. Owners of codes are users or nobody, so
-- there is no reference: a code of a user who is gone opens nothing and expires.

-- +goose Up

CREATE TABLE account_signup (
  id            TEXT PRIMARY KEY,
  username      TEXT NOT NULL,
  email         TEXT NOT NULL,
  phone         TEXT NOT NULL,
  name          TEXT NOT NULL,
  attributes    TEXT NOT NULL,
  password_hash TEXT NOT NULL,
  browser_hash  TEXT NOT NULL,
  code_hash     TEXT NOT NULL,
  link_hash     TEXT NOT NULL,
  tries         BIGINT NOT NULL,
  restart       TEXT NOT NULL,
  created       BIGINT NOT NULL,
  expires       BIGINT NOT NULL
);
CREATE INDEX account_signup_link ON account_signup (link_hash);
CREATE INDEX account_signup_expires ON account_signup (expires);

CREATE TABLE account_code (
  purpose   TEXT NOT NULL,
  owner     TEXT NOT NULL,
  code_hash TEXT NOT NULL,
  link_hash TEXT NOT NULL,
  target    TEXT NOT NULL,
  bound     TEXT NOT NULL,
  tries     BIGINT NOT NULL,
  created   BIGINT NOT NULL,
  expires   BIGINT NOT NULL,
  PRIMARY KEY (purpose, owner)
);
CREATE INDEX account_code_link ON account_code (link_hash);
CREATE INDEX account_code_expires ON account_code (expires);

CREATE TABLE account_limit (
  limit_key TEXT PRIMARY KEY,
  n         BIGINT NOT NULL,
  ends      BIGINT NOT NULL
);
CREATE INDEX account_limit_ends ON account_limit (ends);
