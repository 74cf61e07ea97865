-- What Concordium wallets are asked to answer with a proof of identity.
-- Beginning a startup with the proof deletes its own.
CREATE TABLE proof_challenges (
  challenge TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  issued_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX proof_challenges_expiry ON proof_challenges (expires_at);
