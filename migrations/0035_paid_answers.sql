-- The most that a running answer can cost, reserved from budgets until its cost is known. This table replaces
-- app_reservations, because a Worker can be killed during any kind of answer. The amounts of a row shrink by what is
-- booked while the answer arrives. The sweep releases the rest when the consumer has lost its job (job_id, holder),
-- when a call of the gateway counts as lost (until), or when the chat's answer has ended (neither is set). A row
-- outlives its subject, so that a deleted subject keeps no budget.
CREATE TABLE model_reservations (
  subject_id TEXT PRIMARY KEY,            -- a turn of an app, a startup, an answer of the chat, or a call of the gateway
  job_id TEXT,
  holder TEXT NOT NULL,                   -- of the job's lease
  user_id TEXT NOT NULL,
  limits TEXT NOT NULL,                   -- JSON: subject, period and amount (s, p, a) of each row of model_budgets
  daily INTEGER NOT NULL,                 -- of the user's daily budget
  day INTEGER NOT NULL,
  until INTEGER                           -- in milliseconds since the epoch
) STRICT;
INSERT INTO model_reservations (subject_id, job_id, holder, user_id, limits, daily, day) SELECT turn_id, job_id, holder, user_id, limits, daily, day FROM app_reservations;
DROP TABLE app_reservations;
CREATE INDEX model_reservations_by_user ON model_reservations (user_id);

-- The API key that began the startup. Its budget pays, too.
ALTER TABLE startups ADD COLUMN key_id TEXT;
