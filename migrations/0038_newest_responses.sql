-- Items are looked up in a user's newest stored answers.
DROP INDEX model_responses_by_user;
CREATE INDEX model_responses_by_user ON model_responses (user_id, expires_at);
