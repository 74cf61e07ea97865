-- Claude Opus 5 and Sonnet 5 refuse a temperature, as those after Opus 4.6 do (`temperature` is deprecated for this
-- model), and a budget for thinking (platform.claude.com/docs, migration guide): they think adaptively.
UPDATE models
SET capabilities = json_insert((SELECT json_group_array(value) FROM json_each(capabilities) WHERE value <> 'sampling'),
  '$[#]', 'adaptive_thinking')
WHERE id IN ('anthropic/claude-opus-5', 'anthropic/claude-sonnet-5');
