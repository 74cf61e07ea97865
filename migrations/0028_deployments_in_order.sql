-- A project's deployments are listed newest first, a page at a time: of two of one moment the id decides.
DROP INDEX deployments_by_project;
CREATE INDEX deployments_by_project ON deployments (project_id, created_at DESC, id DESC);
