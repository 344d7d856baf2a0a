-- Where a browser goes on that asked for a new password: the sign-in flow it asked
-- from, the hash of its secret there, and the path. "" where nobody goes on.

-- +goose Up

ALTER TABLE account_code ADD COLUMN flow TEXT NOT NULL DEFAULT '';
ALTER TABLE account_code ADD COLUMN browser_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE account_code ADD COLUMN restart TEXT NOT NULL DEFAULT '';
