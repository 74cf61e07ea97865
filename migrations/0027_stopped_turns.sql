-- A turn that its user has stopped: whoever carries its answer ends it. And what an answer cost, told with the conversation.
ALTER TABLE chat_messages ADD COLUMN stopped_at INTEGER;
ALTER TABLE chat_messages ADD COLUMN cost_micro_usd INTEGER;
-- Pictures that were sent with a message: JSON [{"mediaType", "data"}].
ALTER TABLE chat_messages ADD COLUMN images TEXT;
