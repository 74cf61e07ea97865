-- What the answer that a turn waits for can cost at most: taken from budgets
-- until it is known what it has cost. One that is held by nobody who works on
-- the turn is let go: by whoever takes the turn up, or by the clock. It outlives
-- its turn, for what is deleted holds nothing back.
CREATE TABLE app_reservations (
  turn_id TEXT PRIMARY KEY,
  job_id TEXT NOT NULL,
  holder TEXT NOT NULL,                   -- of the job's lease
  user_id TEXT NOT NULL,
  limits TEXT NOT NULL,                   -- JSON: of each row of model_budgets its subject, period and amount (s, p, a)
  daily INTEGER NOT NULL,                 -- of the user's day
  day INTEGER NOT NULL
) STRICT;
CREATE INDEX app_reservations_by_user ON app_reservations (user_id);

-- The API key that a message came with: its budget pays, too.
ALTER TABLE app_turns ADD COLUMN key_id TEXT;
