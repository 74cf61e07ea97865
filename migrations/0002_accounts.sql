-- Who calls, how much they may, and what they did.

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  wallet_addr TEXT UNIQUE,                -- 0x and 40 hex digits in lower case
  stack_id TEXT UNIQUE,                   -- `sub` of Stack Auth's tokens
  email TEXT,                             -- only one that Stack Auth has verified
  name TEXT,
  created_at INTEGER NOT NULL
) STRICT;

-- The local developer of a development Worker has keys, and no row in users.
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,              -- SHA-256 of the key, hex
  hint TEXT NOT NULL,                     -- `hk_live_…wXyZ`
  scopes TEXT NOT NULL,                   -- JSON: a list of names
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,                   -- to within five minutes
  revoked_at INTEGER
) STRICT;
CREATE INDEX api_keys_by_user ON api_keys (user_id, created_at DESC, id DESC);

CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at DESC, id DESC);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Of the challenges that wallets are asked to sign. Signing in deletes its own.
CREATE TABLE nonces (
  nonce TEXT PRIMARY KEY,
  wallet_addr TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_expiry ON nonces (expires_at);

CREATE TABLE daily_counters (
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,                     -- of the quota
  day INTEGER NOT NULL,                   -- days since the Unix epoch, UTC
  used INTEGER NOT NULL,
  PRIMARY KEY (user_id, name, day)
) STRICT, WITHOUT ROWID;

-- When a streaming answer's Worker was last known to live.
ALTER TABLE chat_messages ADD COLUMN alive_at INTEGER;

CREATE TABLE idempotency (
  tenant TEXT NOT NULL,                   -- a user's id, or 'operator'
  key TEXT NOT NULL,                      -- Idempotency-Key
  request TEXT NOT NULL,                  -- SHA-256 of path, query and body
  seed TEXT NOT NULL,                     -- of the ids that the request gives away
  owner TEXT NOT NULL,                    -- the request that works on it, or did
  lease_until INTEGER NOT NULL,           -- when another one may take over
  status INTEGER,                         -- of the answer; none while it is in flight
  headers TEXT,                           -- JSON: [[name, value]]
  body TEXT,                              -- none: too long, or not to be kept
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (created_at);

-- The trace (W3C Trace Context) of the request that made a job.
ALTER TABLE jobs ADD COLUMN trace_id TEXT;

-- What was done by whom. Nothing in it is ever changed: the triggers see to
-- that, and the chain shows it.
CREATE TABLE audit_log (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,                    -- a user's id, or 'operator'
  action TEXT NOT NULL,                   -- `key.create`
  subject TEXT NOT NULL,                  -- the id of what it was done to
  request_id TEXT NOT NULL
) STRICT;
CREATE INDEX audit_log_by_actor ON audit_log (actor, seq);

-- hash = SHA-256 of the entry and of the hash before it, hex.
CREATE TABLE audit_chain (
  seq INTEGER PRIMARY KEY,
  hash TEXT NOT NULL
) STRICT;

CREATE TRIGGER audit_log_keeps BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_stays BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER audit_log_grows BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- Nor does anything come in between what is there.
CREATE TRIGGER audit_log_appends AFTER INSERT ON audit_log
WHEN NEW.seq < (SELECT max(seq) FROM audit_log)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_chain_keeps BEFORE UPDATE ON audit_chain
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_chain_stays BEFORE DELETE ON audit_chain
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_chain_grows BEFORE INSERT ON audit_chain
WHEN EXISTS (SELECT 1 FROM audit_chain WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- A user's own, newest first, for the export.
CREATE INDEX chat_messages_by_user ON chat_messages (user_id, created_at DESC, id DESC);
CREATE INDEX deployments_by_user ON deployments (user_id, created_at DESC, id DESC);
