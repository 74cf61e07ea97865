-- The fleet's lists along their owner's index, and when KV's mirror of a
-- window was last written.

CREATE INDEX fleet_deployments_by_creator ON fleet_deployments (creator, created_at DESC, name DESC);
CREATE INDEX payments_by_user ON payments (user_id, created_at DESC, id DESC);
CREATE INDEX payments_by_creator ON payments (creator, created_at DESC, id DESC);

-- Our clock when each of KV's keys was last written.
ALTER TABLE worker_windows ADD COLUMN time_mirrored_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE worker_windows ADD COLUMN containers_mirrored_at INTEGER NOT NULL DEFAULT 0;
