-- What GET /metrics tells of the gateway: one row for each model and outcome,
-- which only ever grows. Calls themselves are forgotten after a while.
CREATE TABLE model_metrics (
  provider TEXT NOT NULL,
  model TEXT NOT NULL,                    -- `provider/name`; names that no catalogue has and that never answered are `provider/other`
  outcome TEXT NOT NULL,                  -- 'ok', 'hit', 'refused' (4xx), 'left' (499) or 'failed' (5xx)
  calls INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,              -- sums
  total_ms INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost_micro_usd INTEGER NOT NULL,
  first_buckets TEXT NOT NULL,            -- JSON: how many calls fell into each bucket of src/models/buckets.rs
  total_buckets TEXT NOT NULL,
  attempt_buckets TEXT NOT NULL,
  PRIMARY KEY (model, outcome)
) STRICT, WITHOUT ROWID;
