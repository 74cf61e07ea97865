-- What was looked up by walking whole tables that grow (tests/plans.js).

-- The site and the app of a deployment: asked at each publication, and for each deployment shown.
CREATE INDEX sites_by_deployment ON sites (deployment_id);
CREATE INDEX cloud_apps_by_deployment ON cloud_apps (deployment_id);

-- Whatever their kind, the jobs of what is deleted; and of a kind, as before.
DROP INDEX jobs_by_subject;
CREATE INDEX jobs_by_subject ON jobs (subject_id, kind);

-- What a user takes along into another account, or with them.
CREATE INDEX jobs_by_user ON jobs (user_id);
CREATE INDEX sites_by_user ON sites (user_id);

-- What a payment pays for.
CREATE INDEX payouts_by_payment ON payouts (payment_id);

-- What the sweep forgets of days that are over, and the files that nothing refers to.
CREATE INDEX daily_counters_by_day ON daily_counters (day);
CREATE INDEX unused_files_by_since ON unused_files (since);
