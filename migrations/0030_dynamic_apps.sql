-- The responses of dynamic apps (src/gateway/dynamic_apps), until they expire.
CREATE TABLE dynamic_app_responses (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  app_id TEXT NOT NULL,
  data TEXT NOT NULL,                     -- JSON: message, timestamp, input, result
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX dynamic_app_responses_by_user ON dynamic_app_responses (user_id, created_at, id);
CREATE INDEX dynamic_app_responses_by_time ON dynamic_app_responses (created_at);
