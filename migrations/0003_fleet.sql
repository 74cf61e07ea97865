-- The fleet: what is to run, the machines that run it, when they ran, and what
-- they are paid.

CREATE TABLE fleet_deployments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  user_id TEXT NOT NULL,                  -- who created it
  creator TEXT NOT NULL,                  -- a wallet, in lower case
  url TEXT,
  port INTEGER NOT NULL,
  branch TEXT NOT NULL,
  github TEXT NOT NULL,
  replicas INTEGER NOT NULL CHECK (replicas BETWEEN 1 AND 10),
  status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'processing', 'success', 'failed')),
  error TEXT,
  env_names TEXT NOT NULL DEFAULT '[]',   -- JSON: names only
  env_sealed TEXT,                        -- all of it, sealed (src/fleet/sealing.rs)
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX fleet_deployments_recent ON fleet_deployments (created_at DESC, name DESC);
CREATE INDEX fleet_deployments_by_user ON fleet_deployments (user_id, created_at DESC, name DESC);

-- A machine is that of its wallet's user, whoever that is at the time.
CREATE TABLE workers (
  wallet TEXT PRIMARY KEY,                -- 0x and 40 hex digits, in lower case
  token_hash TEXT UNIQUE,                 -- SHA-256 of its token; none when revoked, or never asked for
  token_hint TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The window of a machine: from the first to the last beat of an unbroken row
-- of them. One row a machine, one write a beat; no index, for it would be
-- another write.
CREATE TABLE worker_windows (
  wallet TEXT PRIMARY KEY,
  start_at INTEGER NOT NULL,
  end_at INTEGER NOT NULL,
  flushed_at_end INTEGER,                 -- end_at when the sweep last recorded the window
  seen_at INTEGER NOT NULL,               -- our clock at the last beat
  containers TEXT NOT NULL,               -- JSON, as last sent
  system TEXT,                            -- JSON, as last sent
  hostname TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE worker_uptime_records (
  wallet TEXT NOT NULL,
  time_from INTEGER NOT NULL,
  time_to INTEGER NOT NULL,
  PRIMARY KEY (wallet, time_from)
) STRICT, WITHOUT ROWID;

-- A window that begins anew leaves its record, in the very write that moves it.
CREATE TRIGGER worker_window_closes AFTER UPDATE OF start_at ON worker_windows
WHEN NEW.start_at <> OLD.start_at
BEGIN
  INSERT INTO worker_uptime_records (wallet, time_from, time_to) VALUES (OLD.wallet, OLD.start_at, OLD.end_at)
  ON CONFLICT (wallet, time_from) DO UPDATE SET time_to = max(time_to, excluded.time_to);
END;

-- Whoever beats is known from then on, registered or not.
CREATE TRIGGER worker_is_new AFTER INSERT ON worker_windows
BEGIN
  INSERT INTO workers (wallet, created_at, updated_at) VALUES (NEW.wallet, NEW.seen_at, NEW.seen_at)
  ON CONFLICT (wallet) DO NOTHING;
END;

-- Where the sweep of the windows goes on.
CREATE TABLE fleet_sweep (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  after_wallet TEXT NOT NULL
) STRICT;
INSERT INTO fleet_sweep (id, after_wallet) VALUES (1, '');

CREATE TABLE payments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  entry_id TEXT UNIQUE,                   -- the same for each try of one request; none for a payout
  user_id TEXT NOT NULL,                  -- who entered it
  name TEXT NOT NULL,
  amount TEXT NOT NULL,                   -- uint256, decimal
  creator TEXT NOT NULL,                  -- a wallet
  tx_hash TEXT UNIQUE,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX payments_recent ON payments (created_at DESC, id DESC);

-- What a machine is owed for a period, and its entry among the payments.
CREATE TABLE payouts (
  wallet TEXT NOT NULL,
  period_from INTEGER NOT NULL,
  period_to INTEGER NOT NULL,
  uptime_seconds INTEGER NOT NULL,
  payment_id INTEGER NOT NULL REFERENCES payments (id),
  PRIMARY KEY (wallet, period_from)
) STRICT, WITHOUT ROWID;
