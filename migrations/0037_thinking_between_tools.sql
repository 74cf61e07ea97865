-- Claude Sonnet 5.5 can be asked to think only between tools (platform.claude.com/docs, 2026-11-21), so
-- that an answer without tools begins with its text.
UPDATE models SET capabilities = json_insert(capabilities, '$[#]', 'between_tools')
WHERE id = 'anthropic/claude-sonnet-5-5';
