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
  period TEXT NOT NULL,                   -- `2026-11-29`, `2026-11`, or `m` and a minute since 1970
  used INTEGER NOT NULL,
  PRIMARY KEY (subject, period)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_budgets_by_period ON model_budgets (period);

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

-- Limits and prices as genai-prices 0.2.3 and LiteLLM 1.110.2 agree on them.
INSERT INTO models (id, provider, name, display_name, context, max_output, prices, above, capabilities, quality, speed, source, as_of)
SELECT (value ->> 'provider') || '/' || (value ->> 'name'), value ->> 'provider', value ->> 'name', value ->> 'display',
  value ->> 'context', value ->> 'output', value -> 'prices', value -> 'above', value -> 'capabilities',
  value ->> 'quality', value ->> 'speed', 'genai-prices 0.2.3', '2026-11-28'
FROM json_each('[
  {"provider":"anthropic","name":"claude-sonnet-5-5","display":"Claude Sonnet 5.5","context":1000000,"output":128000,"prices":{"input":2000000,"output":10000000,"cacheRead":100000,"cacheWrite":2500000,"cacheWriteLong":4000000},"capabilities":["tools","images","documents","structured_output","reasoning","adaptive_thinking","mid_system"],"quality":4,"speed":4},
  {"provider":"anthropic","name":"claude-opus-5-5","display":"Claude Opus 5.5","context":1000000,"output":128000,"prices":{"input":4000000,"output":20000000,"cacheRead":200000,"cacheWrite":5000000,"cacheWriteLong":8000000},"capabilities":["tools","images","documents","structured_output","reasoning","adaptive_thinking","always_thinking","mid_system"],"quality":5,"speed":2},
  {"provider":"anthropic","name":"claude-haiku-5-5","display":"Claude Haiku 5.5","context":1000000,"output":128000,"prices":{"input":100000,"output":500000,"cacheRead":10000,"cacheWrite":125000,"cacheWriteLong":200000},"above":{"tokens":100000,"input":500000,"output":2500000,"cacheRead":50000,"cacheWrite":625000,"cacheWriteLong":1000000},"capabilities":["tools","images","documents","structured_output","reasoning","adaptive_thinking","mid_system"],"quality":3,"speed":5},
  {"provider":"anthropic","name":"claude-fable-5-1","display":"Claude Fable 5.1","context":1000000,"output":128000,"prices":{"input":10000000,"output":50000000,"cacheRead":250000,"cacheWrite":12500000,"cacheWriteLong":20000000},"capabilities":["tools","images","documents","structured_output","reasoning","adaptive_thinking","always_thinking","mid_system"],"quality":5,"speed":1},
  {"provider":"anthropic","name":"claude-fable-5-2","display":"Claude Fable 5.2","context":1000000,"output":128000,"prices":{"input":8000000,"output":40000000,"cacheRead":200000,"cacheWrite":10000000,"cacheWriteLong":16000000},"capabilities":["tools","images","documents","structured_output","reasoning","adaptive_thinking","always_thinking","mid_system"],"quality":5,"speed":1},
  {"provider":"anthropic","name":"claude-opus-5","display":"Claude Opus 5","context":200000,"output":128000,"prices":{"input":5000000,"output":25000000,"cacheRead":500000,"cacheWrite":6250000,"cacheWriteLong":10000000},"capabilities":["tools","forced_tools","images","documents","structured_output","reasoning","mid_system","sampling"],"quality":4,"speed":2},
  {"provider":"anthropic","name":"claude-sonnet-5","display":"Claude Sonnet 5","context":200000,"output":128000,"prices":{"input":2000000,"output":10000000,"cacheRead":200000,"cacheWrite":2500000,"cacheWriteLong":4000000},"capabilities":["tools","forced_tools","images","documents","structured_output","reasoning","mid_system","sampling"],"quality":4,"speed":3},
  {"provider":"anthropic","name":"claude-haiku-4-5","display":"Claude Haiku 4.5","context":200000,"output":64000,"prices":{"input":1000000,"output":5000000,"cacheRead":100000,"cacheWrite":1250000,"cacheWriteLong":2000000},"capabilities":["tools","forced_tools","images","documents","structured_output","reasoning","prefill","sampling"],"quality":2,"speed":4},
  {"provider":"openai","name":"gpt-6-astra","display":"GPT-6 Astra","context":922000,"output":128000,"prices":{"input":10000000,"output":50000000,"cacheRead":1000000,"cacheWrite":12500000,"cacheWriteLong":25000000},"above":{"tokens":272000,"input":20000000,"output":75000000,"cacheRead":2000000,"cacheWrite":25000000,"cacheWriteLong":50000000},"capabilities":["tools","forced_tools","images","documents","structured_output","reasoning","mid_system","responses"],"quality":5,"speed":2},
  {"provider":"openai","name":"gpt-6.1-sol","display":"GPT-6.1 Sol","context":922000,"output":128000,"prices":{"input":2000000,"output":10000000,"cacheRead":100000,"cacheWrite":2500000,"cacheWriteLong":5000000},"above":{"tokens":272000,"input":4000000,"output":15000000,"cacheRead":200000,"cacheWrite":5000000,"cacheWriteLong":10000000},"capabilities":["tools","forced_tools","images","documents","structured_output","reasoning","mid_system","responses"],"quality":4,"speed":3},
  {"provider":"openai","name":"gpt-6.1-terra","display":"GPT-6.1 Terra","context":922000,"output":128000,"prices":{"input":1000000,"output":5000000,"cacheRead":50000,"cacheWrite":1250000,"cacheWriteLong":2500000},"above":{"tokens":272000,"input":2000000,"output":7500000,"cacheRead":100000,"cacheWrite":2500000,"cacheWriteLong":5000000},"capabilities":["tools","forced_tools","images","documents","structured_output","reasoning","mid_system","responses"],"quality":3,"speed":4},
  {"provider":"openai","name":"gpt-6-luna","display":"GPT-6 Luna","context":922000,"output":128000,"prices":{"input":100000,"output":500000,"cacheRead":10000,"cacheWrite":125000,"cacheWriteLong":250000},"above":{"tokens":272000,"input":200000,"output":750000,"cacheRead":20000,"cacheWrite":250000,"cacheWriteLong":500000},"capabilities":["tools","forced_tools","images","documents","structured_output","reasoning","mid_system","responses","sampling"],"quality":2,"speed":5},
  {"provider":"openai","name":"text-embedding-3-small","display":"text-embedding-3-small","context":8191,"output":0,"prices":{"input":20000,"output":0,"cacheRead":20000,"cacheWrite":20000,"cacheWriteLong":20000},"capabilities":["embeddings"],"quality":2,"speed":5},
  {"provider":"openai","name":"omni-moderation-latest","display":"omni-moderation-latest","context":32768,"output":0,"prices":{"input":0,"output":0,"cacheRead":0,"cacheWrite":0,"cacheWriteLong":0},"capabilities":["moderation"],"quality":3,"speed":5}
]');
