-- The model that an app's messages are answered by, as its owner has named it;
-- none is the operator's choice.
ALTER TABLE apps ADD COLUMN model TEXT;
