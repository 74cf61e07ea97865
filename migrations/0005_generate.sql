-- Hatchr: startups, from the prompt to the package. A startup's code is that
-- of the project of the same id, which the first files make.

CREATE TABLE startups (
  id TEXT PRIMARY KEY,                    -- of its project, too
  job_id TEXT NOT NULL UNIQUE,
  user_id TEXT NOT NULL,
  prompt TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'processing' CHECK (status IN ('processing', 'completed', 'failed', 'cancelled')),
  progress INTEGER NOT NULL DEFAULT 0,    -- per cent; never goes back
  name TEXT NOT NULL,
  stack TEXT NOT NULL DEFAULT '[]',       -- JSON
  competitors TEXT NOT NULL DEFAULT '{"source":null,"competitors":[]}', -- JSON
  turns INTEGER NOT NULL DEFAULT 0,       -- of building, since it was last begun
  problems TEXT NOT NULL DEFAULT '[]',    -- JSON: what the last turn left to repair
  archive TEXT,                           -- JSON: the key, length and entity tag of the ZIP
  tagline TEXT,
  channels TEXT NOT NULL DEFAULT '[]',    -- JSON
  deck TEXT,                              -- HTML
  deck_token TEXT UNIQUE,                 -- whoever knows it sees the deck
  video TEXT,                             -- JSON
  proof TEXT,                             -- sealed: a presentation to be verified
  verified INTEGER NOT NULL DEFAULT 0,
  identity TEXT,                          -- JSON
  model TEXT,                             -- that wrote the code
  input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  cost_micro_usd INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX startups_by_user ON startups (user_id, created_at DESC, id DESC);
CREATE INDEX startups_running ON startups (user_id) WHERE status = 'processing';

-- Objects in the bucket that nothing leads to any more; the sweep deletes them.
CREATE TABLE unused_files (
  key TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TRIGGER startups_go_with_their_project AFTER DELETE ON projects
BEGIN
  DELETE FROM startups WHERE id = OLD.id;
END;

CREATE TRIGGER archives_go_with_their_startup AFTER DELETE ON startups WHEN OLD.archive IS NOT NULL
BEGIN
  INSERT OR IGNORE INTO unused_files (key) VALUES (json_extract(OLD.archive, '$.key'));
END;
