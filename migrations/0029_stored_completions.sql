-- Chat completions that are stored for their users (`store: true`): the newest answer of each, and the messages before it.
CREATE TABLE stored_completions (
  user_id TEXT NOT NULL,
  id TEXT NOT NULL,                       -- `chatcmpl-…`, or what the client calls its conversation
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,            -- when its newest answer came
  model TEXT NOT NULL,                    -- the model that the answer names
  title TEXT,
  metadata TEXT NOT NULL,                 -- JSON: an object of strings
  messages TEXT NOT NULL,                 -- JSON: the messages before the answer, each with an id
  body TEXT NOT NULL,                     -- JSON: the answer in the form of Chat Completions
  feedback TEXT,                          -- JSON: its user's rating
  share_id TEXT UNIQUE,                   -- whoever knows this id may read it; null: only its user may
  PRIMARY KEY (user_id, id)
) STRICT;
CREATE INDEX stored_completions_by_creation ON stored_completions (user_id, created_at, id);
CREATE INDEX stored_completions_by_use ON stored_completions (user_id, updated_at, id);
CREATE INDEX stored_completions_by_time ON stored_completions (updated_at);
