-- Whether a deployment has its packages in its own bundles, and needs no CDN
-- once it is live.
ALTER TABLE deployments ADD COLUMN is_bundled INTEGER NOT NULL DEFAULT 0;
