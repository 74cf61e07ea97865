-- A message may belong to an answer that is running, or was interrupted a moment ago: those are found here, and not
-- among all messages that the user sent in the last hour.
CREATE INDEX chat_messages_incomplete ON chat_messages (project_id, seq) WHERE status <> 'complete';
