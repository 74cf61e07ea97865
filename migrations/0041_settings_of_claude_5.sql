-- Claude Opus 5 and Sonnet 5 refuse a temperature, as those after Opus 4.6 do, and a budget for thinking: they think
-- adaptively. So public reports of real calls say (`temperature` is deprecated for this model); there was no account to try it.
UPDATE models
SET capabilities = json_insert((SELECT json_group_array(value) FROM json_each(capabilities) WHERE value <> 'sampling'),
  '$[#]', 'adaptive_thinking')
WHERE id IN ('anthropic/claude-opus-5', 'anthropic/claude-sonnet-5');
