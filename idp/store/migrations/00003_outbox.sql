-- Messages that wait to be sent. What one says, and to whom, is sealed; its row is
-- removed when it was sent, was refused or has expired.

-- +goose Up

CREATE TABLE outbox (
  id      TEXT PRIMARY KEY,
  kind    TEXT NOT NULL,
  channel TEXT NOT NULL,
  user_id TEXT NOT NULL,
  sealed  TEXT NOT NULL,
  created BIGINT NOT NULL,
  due     BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  tries   BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (channel, due);
