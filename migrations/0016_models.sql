-- What can be asked, what it costs, and what was asked of it.

-- The catalogue. Prices are micro-dollars for a million tokens, that is
-- dollars times 10^6. An operator may change rows (PUT /admin/models/{id}).
CREATE TABLE models (
  id TEXT PRIMARY KEY,                    -- `provider/name`
  provider TEXT NOT NULL,
  name TEXT NOT NULL,                     -- what the provider calls it
  display_name TEXT NOT NULL,
  context INTEGER NOT NULL,               -- the most tokens of a prompt
  max_output INTEGER NOT NULL,
  prices TEXT,                            -- JSON: input, output, cacheRead, cacheWrite, cacheWriteLong; null: not known
  above TEXT,                             -- JSON: tokens, and the prices of a prompt that has more
  capabilities TEXT NOT NULL,             -- JSON: a list of names
  quality INTEGER NOT NULL,               -- 1 to 5, as `auto` weighs it
  speed INTEGER NOT NULL,                 -- 1 to 5
  is_deprecated INTEGER NOT NULL DEFAULT 0,
  source TEXT NOT NULL,                   -- where limits and prices are from
  as_of TEXT NOT NULL                     -- the date on which they were read there
) STRICT;

-- One row for each call of the gateway, whatever became of it.
CREATE TABLE model_calls (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  key_id TEXT,                            -- the API key that it was made with
  created_at INTEGER NOT NULL,
  day TEXT NOT NULL,                      -- UTC, `2026-11-29`
  model TEXT NOT NULL,                    -- who answered, or was asked last
  status INTEGER NOT NULL,                -- of the answer; 499: the client left, 502: it broke off
  attempts INTEGER NOT NULL,
  cache TEXT NOT NULL,                    -- `hit`, `miss`, `off`
  input_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  cost_micro_usd INTEGER NOT NULL,
  is_estimated INTEGER NOT NULL,          -- the provider did not tell the counts
  first_token_ms INTEGER,
  total_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX model_calls_by_user ON model_calls (user_id, created_at DESC);
CREATE INDEX model_calls_by_time ON model_calls (created_at);

-- What was spent of each budget. A subject is `key:<id>`, `user:<id>`,
-- `all`, or `rpm:<id>`, a key's requests of a minute.
CREATE TABLE model_budgets (
  subject TEXT NOT NULL,
  period TEXT NOT NULL,                   -- `2026-11-29`, `2026-11`, or a minute since 1970
  used INTEGER NOT NULL,
  PRIMARY KEY (subject, period)
) STRICT, WITHOUT ROWID;

-- Answers of the Responses API, kept a day for whoever goes on with them.
CREATE TABLE model_responses (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  items TEXT NOT NULL,                    -- JSON: all items up to and with this answer
  body TEXT NOT NULL,                     -- the answer as it was told
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX model_responses_by_user ON model_responses (user_id);
CREATE INDEX model_responses_by_expiry ON model_responses (expires_at);

-- A user's guardrails (crates/guardrails, `Policy`).
CREATE TABLE guardrails (
  user_id TEXT PRIMARY KEY,
  policy TEXT NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

-- What a key may ask: models, budget, rpm, guardrails (JSON); null is anything.
ALTER TABLE api_keys ADD COLUMN gateway TEXT;

INSERT INTO models (id, provider, name, display_name, context, max_output, prices, above, capabilities, quality, speed, source, as_of)
SELECT provider || '/' || name, provider, name, display, context, output,
  CASE WHEN p_in IS NULL THEN NULL ELSE json_object('input', p_in, 'output', p_out, 'cacheRead', p_read, 'cacheWrite', p_write, 'cacheWriteLong', p_long) END,
  CASE WHEN above IS NULL THEN NULL ELSE json_object('tokens', above,
    'input', CAST(p_in * factor AS INTEGER), 'output', CAST(p_out * out_factor AS INTEGER), 'cacheRead', CAST(p_read * factor AS INTEGER),
    'cacheWrite', CAST(p_write * factor AS INTEGER), 'cacheWriteLong', CAST(p_long * factor AS INTEGER)) END,
  capabilities, quality, speed, source, '2026-11-28'
FROM (
  SELECT 'anthropic' AS provider, 'claude-sonnet-5-5' AS name, 'Claude Sonnet 5.5' AS display, 1000000 AS context, 128000 AS output,
    2000000 AS p_in, 10000000 AS p_out, 100000 AS p_read, 2500000 AS p_write, 4000000 AS p_long, NULL AS above, 1.0 AS factor, 1.0 AS out_factor,
    '["tools","images","documents","structured_output","reasoning","adaptive_thinking","mid_system"]' AS capabilities, 4 AS quality, 4 AS speed, 'genai-prices 0.2.3' AS source
  UNION ALL SELECT 'anthropic', 'claude-opus-5-5', 'Claude Opus 5.5', 1000000, 128000, 4000000, 20000000, 200000, 5000000, 8000000, NULL, 1, 1,
    '["tools","images","documents","structured_output","reasoning","adaptive_thinking","always_thinking","mid_system"]', 5, 2, 'genai-prices 0.2.3'
  UNION ALL SELECT 'anthropic', 'claude-haiku-5-5', 'Claude Haiku 5.5', 1000000, 128000, 100000, 500000, 10000, 125000, 200000, 100000, 5, 5,
    '["tools","images","documents","structured_output","reasoning","adaptive_thinking","mid_system"]', 3, 5, 'genai-prices 0.2.3'
  UNION ALL SELECT 'anthropic', 'claude-fable-5-1', 'Claude Fable 5.1', 1000000, 128000, 10000000, 50000000, 250000, 12500000, 20000000, NULL, 1, 1,
    '["tools","images","documents","structured_output","reasoning","adaptive_thinking","always_thinking","mid_system"]', 5, 1, 'genai-prices 0.2.3'
  UNION ALL SELECT 'anthropic', 'claude-fable-5-2', 'Claude Fable 5.2', 1000000, 128000, 8000000, 40000000, 200000, 10000000, 16000000, NULL, 1, 1,
    '["tools","images","documents","structured_output","reasoning","adaptive_thinking","always_thinking","mid_system"]', 5, 1, 'genai-prices 0.2.3'
  UNION ALL SELECT 'anthropic', 'claude-opus-5', 'Claude Opus 5', 200000, 128000, 5000000, 25000000, 500000, 6250000, 10000000, NULL, 1, 1,
    '["tools","forced_tools","images","documents","structured_output","reasoning","mid_system","sampling"]', 4, 2, 'genai-prices 0.2.3'
  UNION ALL SELECT 'anthropic', 'claude-sonnet-5', 'Claude Sonnet 5', 200000, 128000, 2000000, 10000000, 200000, 2500000, 4000000, NULL, 1, 1,
    '["tools","forced_tools","images","documents","structured_output","reasoning","mid_system","sampling"]', 4, 3, 'genai-prices 0.2.3'
  UNION ALL SELECT 'anthropic', 'claude-haiku-4-5', 'Claude Haiku 4.5', 200000, 64000, 1000000, 5000000, 100000, 1250000, 2000000, NULL, 1, 1,
    '["tools","forced_tools","images","documents","structured_output","reasoning","prefill","sampling"]', 2, 4, 'genai-prices 0.2.3'
  UNION ALL SELECT 'openai', 'gpt-6-astra', 'GPT-6 Astra', 922000, 128000, 10000000, 50000000, 1000000, 12500000, 25000000, 272000, 2, 1.5,
    '["tools","forced_tools","images","documents","structured_output","reasoning","mid_system","responses"]', 5, 2, 'genai-prices 0.2.3'
  UNION ALL SELECT 'openai', 'gpt-6.1-sol', 'GPT-6.1 Sol', 922000, 128000, 2000000, 10000000, 100000, 2500000, 5000000, 272000, 2, 1.5,
    '["tools","forced_tools","images","documents","structured_output","reasoning","mid_system","responses"]', 4, 3, 'genai-prices 0.2.3'
  UNION ALL SELECT 'openai', 'gpt-6.1-terra', 'GPT-6.1 Terra', 922000, 128000, 1000000, 5000000, 50000, 1250000, 2500000, 272000, 2, 1.5,
    '["tools","forced_tools","images","documents","structured_output","reasoning","mid_system","responses"]', 3, 4, 'genai-prices 0.2.3'
  UNION ALL SELECT 'openai', 'gpt-6-luna', 'GPT-6 Luna', 922000, 128000, 100000, 500000, 10000, 125000, 250000, 272000, 2, 1.5,
    '["tools","forced_tools","images","documents","structured_output","reasoning","mid_system","responses","sampling"]', 2, 5, 'genai-prices 0.2.3'
  UNION ALL SELECT 'openai', 'text-embedding-3-small', 'text-embedding-3-small', 8191, 0, 20000, 0, 20000, 20000, 20000, NULL, 1, 1,
    '["embeddings"]', 2, 5, 'genai-prices 0.2.3'
  UNION ALL SELECT 'openai', 'omni-moderation-latest', 'omni-moderation-latest', 32768, 0, 0, 0, 0, 0, 0, NULL, 1, 1,
    '["moderation"]', 3, 5, 'upstreams.md'
);
