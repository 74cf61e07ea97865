-- What Koyeb runs of an app, where that is not its files (JSON: {"from",
-- "image", "registrySecret", "port"}).
ALTER TABLE apps ADD COLUMN runs TEXT;
