-- One text for SQLite and PostgreSQL: times are BIGINT milliseconds since the
-- Unix epoch (0 is none), booleans BIGINT 0 or 1, bytes and lists TEXT (base64url
-- and JSON).

-- +goose Up

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

-- Sequences come from rows, so that they have no gaps and become visible in order.
CREATE TABLE counter (
  name TEXT PRIMARY KEY,
  n    BIGINT NOT NULL
);
INSERT INTO counter (name, n) VALUES ('event', 0), ('revocation', 0);

CREATE TABLE event (
  seq      BIGINT PRIMARY KEY,
  at       BIGINT NOT NULL,
  type     TEXT NOT NULL,
  actor    TEXT NOT NULL,
  actor_ip TEXT NOT NULL,
  target   TEXT NOT NULL,
  client   TEXT NOT NULL,
  detail   TEXT NOT NULL
);

CREATE TABLE revocation (
  seq        BIGINT PRIMARY KEY,
  event_seq  BIGINT NOT NULL REFERENCES event (seq),
  kind       TEXT NOT NULL,
  issuer     TEXT NOT NULL,
  value      TEXT NOT NULL,
  not_before BIGINT NOT NULL,
  expires    BIGINT NOT NULL
);
CREATE INDEX revocation_value ON revocation (value, kind);
CREATE INDEX revocation_event ON revocation (event_seq);

CREATE TABLE pool_user (
  id             TEXT PRIMARY KEY,
  username       TEXT NOT NULL,
  username_key   TEXT NOT NULL UNIQUE,
  email          TEXT NOT NULL,
  email_verified BIGINT NOT NULL,
  name           TEXT NOT NULL,
  enabled        BIGINT NOT NULL,
  status         TEXT NOT NULL,
  password_hash  TEXT NOT NULL,
  created        BIGINT NOT NULL,
  updated        BIGINT NOT NULL
);

-- Usernames and e-mail addresses share one name space.
CREATE TABLE pool_name (
  name_key TEXT PRIMARY KEY,
  user_id  TEXT NOT NULL REFERENCES pool_user (id) ON DELETE CASCADE
);
CREATE INDEX pool_name_user ON pool_name (user_id);

CREATE TABLE pool_tombstone (
  name_key TEXT PRIMARY KEY
);

CREATE TABLE pool_group (
  name        TEXT PRIMARY KEY,
  description TEXT NOT NULL,
  precedence  BIGINT,
  role_arn    TEXT NOT NULL
);

CREATE TABLE pool_member (
  user_id    TEXT NOT NULL REFERENCES pool_user (id) ON DELETE CASCADE,
  group_name TEXT NOT NULL REFERENCES pool_group (name) ON DELETE CASCADE,
  PRIMARY KEY (user_id, group_name)
);
CREATE INDEX pool_member_group ON pool_member (group_name);

CREATE TABLE app_client (
  id            TEXT PRIMARY KEY,
  name          TEXT NOT NULL,
  public        BIGINT NOT NULL,
  secrets       TEXT NOT NULL,
  redirect_uris TEXT NOT NULL,
  sign_out_uris TEXT NOT NULL,
  scopes        TEXT NOT NULL,
  grants        TEXT NOT NULL,
  access_ttl    BIGINT NOT NULL,
  id_ttl        BIGINT NOT NULL,
  refresh_ttl   BIGINT NOT NULL,
  refresh_grace BIGINT,
  managed       BIGINT NOT NULL,
  created       BIGINT NOT NULL,
  updated       BIGINT NOT NULL
);

CREATE TABLE resource_server (
  id   TEXT PRIMARY KEY,
  name TEXT NOT NULL
);

CREATE TABLE resource_scope (
  name        TEXT PRIMARY KEY,
  server      TEXT NOT NULL REFERENCES resource_server (id) ON DELETE CASCADE,
  description TEXT NOT NULL,
  groups      TEXT NOT NULL
);

CREATE TABLE token_key (
  id      TEXT PRIMARY KEY,
  alg     TEXT NOT NULL,
  sealed  TEXT NOT NULL,
  created BIGINT NOT NULL,
  signs   BIGINT NOT NULL
);

CREATE TABLE sso_session (
  id          TEXT PRIMARY KEY,
  ticket_hash TEXT NOT NULL UNIQUE,
  user_id     TEXT NOT NULL,
  auth_time   BIGINT NOT NULL,
  created     BIGINT NOT NULL,
  seen        BIGINT NOT NULL,
  expires     BIGINT NOT NULL,
  amr         TEXT NOT NULL,
  ip          TEXT NOT NULL,
  user_agent  TEXT NOT NULL
);
CREATE INDEX sso_session_user ON sso_session (user_id);

CREATE TABLE signin_flow (
  id           TEXT PRIMARY KEY,
  kind         TEXT NOT NULL,
  data         TEXT NOT NULL,
  browser_hash TEXT NOT NULL,
  tries        BIGINT NOT NULL,
  created      BIGINT NOT NULL,
  expires      BIGINT NOT NULL
);

CREATE TABLE signin_try (
  try_key TEXT PRIMARY KEY,
  n       BIGINT NOT NULL,
  latest  BIGINT NOT NULL,
  until   BIGINT NOT NULL
);

CREATE TABLE grant_code (
  hash         TEXT PRIMARY KEY,
  client_id    TEXT NOT NULL,
  user_id      TEXT NOT NULL,
  session_id   TEXT NOT NULL,
  scopes       TEXT NOT NULL,
  nonce        TEXT NOT NULL,
  auth_time    BIGINT NOT NULL,
  acr          TEXT NOT NULL,
  amr          TEXT NOT NULL,
  redirect_uri TEXT NOT NULL,
  challenge    TEXT NOT NULL,
  family       TEXT NOT NULL,
  created      BIGINT NOT NULL,
  expires      BIGINT NOT NULL
);

-- Codes that were consumed, so that a second use finds what the first gave.
CREATE TABLE grant_code_used (
  hash    TEXT PRIMARY KEY,
  family  TEXT NOT NULL,
  expires BIGINT NOT NULL
);

CREATE TABLE grant_family (
  id         TEXT PRIMARY KEY,
  client_id  TEXT NOT NULL,
  user_id    TEXT NOT NULL,
  session_id TEXT NOT NULL,
  scopes     TEXT NOT NULL,
  auth_time  BIGINT NOT NULL,
  acr        TEXT NOT NULL,
  amr        TEXT NOT NULL,
  created    BIGINT NOT NULL,
  expires    BIGINT NOT NULL
);
CREATE INDEX grant_family_user ON grant_family (user_id);
CREATE INDEX grant_family_client ON grant_family (client_id);
CREATE INDEX grant_family_session ON grant_family (session_id);

CREATE TABLE grant_token (
  hash      TEXT PRIMARY KEY,
  family    TEXT NOT NULL REFERENCES grant_family (id) ON DELETE CASCADE,
  rotated   BIGINT NOT NULL,
  successor TEXT NOT NULL
);
CREATE INDEX grant_token_family ON grant_token (family);
