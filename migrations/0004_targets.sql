-- Apps at other people's clouds, and the credentials to put them there.
-- What is sealed is sealed by src/store/sealing.rs.

-- Those that a user has stored for their deployments.
CREATE TABLE cloud_credentials (
  user_id TEXT NOT NULL,
  cloud TEXT NOT NULL,                    -- 'cloudflare', 'vercel' or 'koyeb'
  sealed TEXT NOT NULL,
  account TEXT,                           -- in clear, to be shown: no secret
  hint TEXT NOT NULL,                     -- the end of the token
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, cloud)
) STRICT, WITHOUT ROWID;

ALTER TABLE deployments ADD COLUMN place TEXT;              -- whose account at the cloud; none: edge
ALTER TABLE deployments ADD COLUMN credential_source TEXT;  -- 'header', 'stored' or 'own'
ALTER TABLE deployments ADD COLUMN credential_sealed TEXT;  -- no 'own' ones; until the deployment has ended
ALTER TABLE deployments ADD COLUMN container TEXT;          -- what runs and where it listens, where files do not say it all (JSON)
ALTER TABLE deployments ADD COLUMN remote TEXT;             -- what the cloud calls it
ALTER TABLE deployments ADD COLUMN pushed_at INTEGER;       -- when the cloud had all of it
ALTER TABLE deployments ADD COLUMN taken_down_at INTEGER;

-- What is, or may be, at a cloud: written before the cloud is first called, gone
-- when it is taken down. It refers to no project, for it outlives its own.
CREATE TABLE cloud_apps (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  cloud TEXT NOT NULL,
  place TEXT NOT NULL,
  name TEXT NOT NULL,                     -- at the cloud
  deployment_id TEXT NOT NULL,            -- the youngest that was brought there
  remote TEXT,
  url TEXT,
  is_live INTEGER NOT NULL DEFAULT 0,     -- as far as we know
  credential_source TEXT,                 -- by which it is being taken down
  credential_sealed TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (project_id, cloud, place)
) STRICT;
CREATE INDEX cloud_apps_by_user ON cloud_apps (user_id);
