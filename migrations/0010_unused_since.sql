-- An object is noted before it is written, as unused from an hour later on;
-- who comes to use it takes the note away. So a writer that dies leaves nothing.
ALTER TABLE unused_files ADD COLUMN since INTEGER NOT NULL DEFAULT 0; -- milliseconds
