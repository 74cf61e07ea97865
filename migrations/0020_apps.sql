-- app.build: apps that an agent makes from a conversation. An app's files are
-- those of the project of the same id, and go with it.

CREATE TABLE apps (
  id TEXT PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
  user_id TEXT NOT NULL,
  app_name TEXT NOT NULL,
  is_named INTEGER NOT NULL DEFAULT 0,    -- by an agent: until then the name is made up
  tech_stack TEXT NOT NULL,
  template_id TEXT,
  client_source TEXT,
  target TEXT NOT NULL DEFAULT 'edge',    -- where it goes live after a turn
  trace_id TEXT NOT NULL,                 -- of the newest message
  agent_state TEXT,                       -- the key of the object with the agent server's memory, sealed
  repository TEXT,                        -- JSON: {"owner", "name", "url", "branch", "sha", "version"}
  deployment_id TEXT,                     -- the newest one that a turn has begun
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX apps_by_user ON apps (user_id, created_at DESC, id DESC);

-- A message of a user's, and all the work that it leads to.
CREATE TABLE app_turns (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  user_id TEXT NOT NULL,
  job_id TEXT NOT NULL UNIQUE,
  trace_id TEXT NOT NULL,
  asked_app_id TEXT,                      -- as the request named it: none for a new app
  message TEXT NOT NULL,
  settings TEXT,                          -- sealed: what only the agent server is told
  github_token TEXT,                      -- sealed: of the request
  origin TEXT NOT NULL,                   -- by which the caller reached us
  status TEXT NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'failed', 'stopped')),
  is_new_app INTEGER NOT NULL,
  counted_day INTEGER NOT NULL,           -- from whose limit it was taken
  steps INTEGER NOT NULL DEFAULT 0,       -- answers of the model
  tokens INTEGER NOT NULL DEFAULT 0,
  cost_micro_usd INTEGER NOT NULL DEFAULT 0,
  model TEXT,
  result TEXT,                            -- JSON: how the agent ended, {"kind", "text", "name", "commitMessage"}
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  is_told INTEGER NOT NULL DEFAULT 0      -- whether a client has got all of it
) STRICT;
CREATE INDEX app_turns_by_app ON app_turns (app_id, created_at);
CREATE INDEX app_turns_by_user ON app_turns (user_id, created_at DESC);
-- One message at a time.
CREATE UNIQUE INDEX app_turns_running ON app_turns (app_id) WHERE status = 'running';

-- What the agent has said and what its tools have answered, step by step.
CREATE TABLE app_steps (
  turn_id TEXT NOT NULL REFERENCES app_turns (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  step TEXT NOT NULL,                     -- JSON: {"said", "results"}
  PRIMARY KEY (turn_id, seq)
) STRICT, WITHOUT ROWID;

-- The files of a turn while it works, and the version that it began with.
CREATE TABLE app_drafts (
  turn_id TEXT PRIMARY KEY REFERENCES app_turns (id) ON DELETE CASCADE,
  base_version INTEGER NOT NULL,
  files TEXT NOT NULL                     -- JSON: path -> content
) STRICT, WITHOUT ROWID;

-- What was told, in its order: `user` is the message itself, the others are
-- events as streams carry them.
CREATE TABLE app_events (
  app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  turn_id TEXT NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('user', 'message', 'error', 'debug', 'done')),
  data TEXT NOT NULL,                     -- JSON
  created_at INTEGER NOT NULL,
  PRIMARY KEY (app_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX app_events_by_turn ON app_events (turn_id, seq);

-- How many messages a day the operator lets a user send, instead of the default.
CREATE TABLE custom_message_limits (
  user_id TEXT PRIMARY KEY,
  daily_message_limit INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER agent_states_go_with_their_app AFTER DELETE ON apps WHEN OLD.agent_state IS NOT NULL
BEGIN
  INSERT OR IGNORE INTO unused_files (key, since) VALUES (OLD.agent_state, 0);
END;
