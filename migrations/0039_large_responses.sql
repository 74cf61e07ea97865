-- The items and the answer of a response that is too large for a row are an object in the bucket. The row then has
-- only the ids of the items.
ALTER TABLE model_responses ADD COLUMN file TEXT;

CREATE TRIGGER files_go_with_their_response AFTER DELETE ON model_responses WHEN OLD.file IS NOT NULL
BEGIN
  INSERT OR IGNORE INTO unused_files (key, since) VALUES (OLD.file, 0);
END;

-- How many of the items are before the answer's own.
ALTER TABLE model_responses ADD COLUMN input_items INTEGER NOT NULL DEFAULT 0;
UPDATE model_responses
SET input_items = json_array_length(items) - coalesce(json_array_length(body, '$.output'), 0);
