-- Chat completions that their users keep (`store: true`): of each its newest answer, and what was said before it.
CREATE TABLE stored_completions (
  user_id TEXT NOT NULL,
  id TEXT NOT NULL,                       -- `chatcmpl-…`, or what the client calls its conversation
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,            -- when it was last gone on with
  model TEXT NOT NULL,                    -- as the answer names it
  title TEXT,
  metadata TEXT NOT NULL,                 -- JSON: an object of texts
  messages TEXT NOT NULL,                 -- JSON: what was said before the answer, each message with an id
  body TEXT NOT NULL,                     -- JSON: the answer as it was told
  feedback TEXT,                          -- JSON: what its user says of it
  share_id TEXT UNIQUE,                   -- by which anybody may read it; null: nobody may
  PRIMARY KEY (user_id, id)
) STRICT;
CREATE INDEX stored_completions_by_creation ON stored_completions (user_id, created_at, id);
CREATE INDEX stored_completions_by_use ON stored_completions (user_id, updated_at, id);
CREATE INDEX stored_completions_by_time ON stored_completions (updated_at);
