-- The columns of Hatch that the measured routes touch, so that the peer and the limit run alone.
CREATE TABLE projects (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  code TEXT,
  status TEXT NOT NULL DEFAULT 'draft',
  deployment_url TEXT,
  version INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX projects_by_user ON projects (user_id, created_at DESC, id DESC);

CREATE TABLE chat_messages (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  user_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  role TEXT NOT NULL,
  content TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'complete',
  model TEXT,
  usage TEXT,
  created_at INTEGER NOT NULL,
  UNIQUE (project_id, seq)
);

CREATE TABLE worker_uptime_records (
  wallet TEXT NOT NULL,
  time_from INTEGER NOT NULL,
  time_to INTEGER NOT NULL
);
CREATE TABLE worker_windows (
  wallet TEXT PRIMARY KEY,
  start_at TEXT NOT NULL,
  end_at TEXT NOT NULL
);
