-- The most that a running answer of a turn can cost, reserved from budgets until
-- its cost is known. If no consumer works on the turn any more, the next consumer
-- or the sweep releases it. A row outlives its turn, so that a deleted turn keeps
-- no budget.
CREATE TABLE app_reservations (
  turn_id TEXT PRIMARY KEY,
  job_id TEXT NOT NULL,
  holder TEXT NOT NULL,                   -- of the job's lease
  user_id TEXT NOT NULL,
  limits TEXT NOT NULL,                   -- JSON: subject, period and amount (s, p, a) of each row of model_budgets
  daily INTEGER NOT NULL,                 -- of the user's daily budget
  day INTEGER NOT NULL
) STRICT;
CREATE INDEX app_reservations_by_user ON app_reservations (user_id);

-- The API key that sent the message. Its budget pays, too.
ALTER TABLE app_turns ADD COLUMN key_id TEXT;
