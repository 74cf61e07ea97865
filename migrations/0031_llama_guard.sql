-- Llama Guard judges what others say: it is no model for chats, so that `auto` does not ask it.
UPDATE models SET capabilities = '["moderation"]', max_output = 0 WHERE id = 'workers-ai/@cf/meta/llama-guard-3-8b';
