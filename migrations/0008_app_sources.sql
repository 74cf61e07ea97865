-- By whose credentials an app came to its cloud: only by such ones is it taken
-- down. None where that is known no longer.
ALTER TABLE cloud_apps ADD COLUMN source TEXT;              -- 'header', 'stored' or 'own'

UPDATE cloud_apps SET source = (SELECT credential_source FROM deployments WHERE id = cloud_apps.deployment_id);
