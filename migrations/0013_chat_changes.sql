-- What an answer did to the project's code: JSON {"version", "files", "notes"}, told again with the conversation.
ALTER TABLE chat_messages ADD COLUMN changes TEXT;
