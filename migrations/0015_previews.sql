-- Previews: how the newest version of a project looks, for a day, at an address
-- that nobody can guess. Whose one is, its project says.

CREATE TABLE previews (
  slug TEXT PRIMARY KEY,
  project_id TEXT NOT NULL UNIQUE REFERENCES projects (id) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  console_origin TEXT NOT NULL,           -- who is told of the page's errors
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX previews_by_expiry ON previews (expires_at);

CREATE TABLE preview_files (
  slug TEXT NOT NULL REFERENCES previews (slug) ON DELETE CASCADE,
  path TEXT NOT NULL,
  content TEXT NOT NULL,
  etag TEXT NOT NULL,
  PRIMARY KEY (slug, path)
) STRICT, WITHOUT ROWID;
