-- Hatch: projects, their versions and conversations, deployments, hosted
-- apps, skills, and the job engine under deployments.
-- Times are integers: milliseconds since the Unix epoch.

CREATE TABLE projects (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  code TEXT,                              -- JSON: path -> content, of the newest version
  status TEXT NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'deployed')),
  deployment_url TEXT,
  version INTEGER NOT NULL DEFAULT 0,     -- of the code
  revision INTEGER NOT NULL DEFAULT 1,    -- of the row: the ETag
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX projects_by_user ON projects (user_id, created_at DESC, id DESC);

CREATE TABLE project_versions (
  project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  code TEXT NOT NULL,
  origin TEXT NOT NULL,                   -- 'create', 'update', 'chat', 'rollback', 'remix', 'deploy' or 'generate'
  message_id TEXT,                        -- the answer it came from
  created_at INTEGER NOT NULL,
  PRIMARY KEY (project_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE chat_messages (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  user_id TEXT NOT NULL,
  seq INTEGER NOT NULL,                   -- order within the project; an answer follows its question
  role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
  content TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('complete', 'streaming', 'interrupted')),
  model TEXT,
  usage TEXT,                             -- JSON, as the model's API reports it
  created_at INTEGER NOT NULL,
  UNIQUE (project_id, seq)
) STRICT;
CREATE INDEX chat_messages_streaming ON chat_messages (created_at) WHERE status = 'streaming';

CREATE TABLE deployments (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  user_id TEXT NOT NULL,
  target TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'building', 'deploying', 'live', 'failed')),
  code TEXT NOT NULL,                     -- what is deployed, as it was when asked
  slug TEXT NOT NULL,
  site_url TEXT NOT NULL,                 -- where it will be
  url TEXT,                               -- where it is
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX deployments_by_project ON deployments (project_id, created_at DESC);

-- A hosted app: which deployment a slug shows. Its public face is copied, so
-- that what is not deployed yet is not shown.
CREATE TABLE sites (
  slug TEXT PRIMARY KEY,
  project_id TEXT NOT NULL UNIQUE REFERENCES projects (id) ON DELETE CASCADE,
  user_id TEXT NOT NULL,
  deployment_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  url TEXT NOT NULL,
  visits INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sites_recent ON sites (created_at DESC, project_id DESC);
CREATE INDEX sites_popular ON sites (visits DESC, project_id DESC);

CREATE TABLE site_files (
  slug TEXT NOT NULL REFERENCES sites (slug) ON DELETE CASCADE,
  path TEXT NOT NULL,
  content TEXT NOT NULL,
  etag TEXT NOT NULL,
  PRIMARY KEY (slug, path)
) STRICT, WITHOUT ROWID;

-- The job engine.

CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject_id TEXT NOT NULL,               -- the row that the job works on
  step TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'done', 'failed')),
  attempts INTEGER NOT NULL DEFAULT 0,    -- of the present step
  lease_owner TEXT,
  lease_until INTEGER NOT NULL DEFAULT 0,
  error TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_by_subject ON jobs (kind, subject_id);
CREATE INDEX jobs_recent ON jobs (created_at DESC, id DESC);

-- What is still owed. A row stays until its job has ended, so a message that
-- is lost, or a consumer that is killed, is made good by the next sweep.
CREATE TABLE outbox (
  job_id TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  send_at INTEGER NOT NULL,               -- send (again) when this has passed
  sends INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (send_at);

CREATE TABLE job_logs (
  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  level TEXT NOT NULL CHECK (level IN ('info', 'success', 'error')),
  message TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (job_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
  id TEXT PRIMARY KEY,
  job_id TEXT,
  body TEXT NOT NULL,                     -- redacted
  reason TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  redriven_at INTEGER
) STRICT;
CREATE INDEX dead_letters_recent ON dead_letters (created_at DESC, id DESC);

-- The catalogue of skills, as their sources gave them.

CREATE TABLE skills (
  id TEXT PRIMARY KEY,                    -- `source:…`
  source TEXT NOT NULL CHECK (source IN ('aitmpl', 'skillsmp')),
  type TEXT NOT NULL,
  category TEXT,
  name TEXT NOT NULL,
  stars INTEGER NOT NULL,
  haystack TEXT NOT NULL,                 -- what a search looks through, in lower case
  skill TEXT NOT NULL,                    -- JSON, as the API shows it
  fetched_at INTEGER NOT NULL             -- when its source last had it
) STRICT;

-- What the sources are asked for, and from when on they may be asked again.
CREATE TABLE skill_fetches (
  source TEXT NOT NULL,
  query TEXT NOT NULL,                    -- the name of a list, or the words of a search
  fetched_at INTEGER,                     -- when it was last answered
  failures INTEGER NOT NULL DEFAULT 0,    -- since then
  next_at INTEGER NOT NULL,               -- not to be asked before this
  PRIMARY KEY (source, query)
) STRICT, WITHOUT ROWID;
