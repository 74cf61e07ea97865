-- Llama Guard only moderates. `auto` must not choose it for chats.
UPDATE models SET capabilities = '["moderation"]', max_output = 0 WHERE id = 'workers-ai/@cf/meta/llama-guard-3-8b';
