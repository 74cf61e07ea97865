-- The messages of a stored completion that are too large for a row are an object in the bucket. The row then has
-- only their ids.
ALTER TABLE stored_completions ADD COLUMN file TEXT;
ALTER TABLE stored_completions ADD COLUMN file_bytes INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER files_go_with_their_completion AFTER DELETE ON stored_completions WHEN OLD.file IS NOT NULL
BEGIN
  INSERT OR IGNORE INTO unused_files (key, since) VALUES (OLD.file, 0);
END;

-- A conversation that goes on has an object of its own for each answer.
CREATE TRIGGER files_go_with_their_messages AFTER UPDATE OF file ON stored_completions
WHEN OLD.file IS NOT NULL AND OLD.file IS NOT NEW.file
BEGIN
  INSERT OR IGNORE INTO unused_files (key, since) VALUES (OLD.file, 0);
END;
