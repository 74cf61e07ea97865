//! SQL of users and of their credentials.

use hatch_credentials::{stack_auth::Claims, token::Validity};
use serde::Deserialize;

use super::scopes::Scopes;
use crate::store::{Statement, projects::rfc3339, sql};

/// The data of a valid or lapsed token of ours.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Grant {
    /// The id of the key or of the session.
    pub(crate) id: String,
    pub(crate) user_id: String,
    /// The scopes of a key; none for a session, which permits all that its user may do.
    pub(crate) scopes: Option<Scopes>,
    /// The gateway's limits of a key, as JSON in a text.
    pub(crate) gateway: Option<String>,
    /// The verified address.
    pub(crate) email: Option<String>,
    pub(crate) last_used_at: Option<i64>,
    expires_at: Option<i64>,
    ended_at: Option<i64>,
}

impl Grant {
    pub(crate) fn validity(&self) -> Validity {
        Validity { expires_at_ms: self.expires_at, revoked_at_ms: self.ended_at }
    }
}

/// Selects the grant of a key. A key is valid only while its user exists;
/// `rowless` is the one user that exists without a row, if there is one.
pub(crate) fn grant_of_key(hash: &str, rowless: Option<&str>) -> Statement {
    sql!(
        "SELECT json_object('id', k.id, 'userId', k.user_id, 'scopes', json(k.scopes), 'gateway', k.gateway, 'email', u.email,
           'lastUsedAt', k.last_used_at, 'expiresAt', k.expires_at, 'endedAt', k.revoked_at) AS json
         FROM api_keys k LEFT JOIN users u ON u.id = k.user_id
         WHERE k.hash = ?1 AND (u.id IS NOT NULL OR k.user_id = ?2)",
        hash,
        rowless
    )
}

/// The owner of the token whose hash is `?1`, as a table with the one column `user_id`.
macro_rules! owner {
    () => {
        "(SELECT user_id FROM api_keys WHERE hash = ?1 UNION ALL SELECT user_id FROM sessions WHERE hash = ?1)"
    };
}
pub(crate) use owner;

pub(crate) fn grant_of_session(hash: &str) -> Statement {
    sql!(
        "SELECT json_object('id', s.id, 'userId', s.user_id, 'email', u.email,
           'expiresAt', s.expires_at, 'endedAt', s.ended_at) AS json
         FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.hash = ?1",
        hash
    )
}

/// The machine of a token.
#[derive(Debug, Deserialize)]
pub(crate) struct Machine {
    pub(crate) wallet: String,
}

pub(crate) fn machine(hash: &str) -> Statement {
    sql!("SELECT json_object('wallet', wallet) AS json FROM workers WHERE token_hash = ?1", hash)
}

/// Records the use of a key. Of several concurrent requests, one writes.
pub(crate) fn note_use(key_id: &str, last: Option<i64>, now: i64) -> Statement {
    sql!("UPDATE api_keys SET last_used_at = ?3 WHERE id = ?1 AND last_used_at IS ?2", key_id, last, now)
}

/// The user's part of `GET /auth/me`.
macro_rules! user_json {
    () => {
        concat!(
            "json_object('id', id, 'wallet', wallet_addr, 'stackId', stack_id, 'email', email, 'name', name, ",
            "'createdAt', ",
            rfc3339!("created_at"),
            ") AS json"
        )
    };
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) wallet: Option<String>,
    pub(crate) stack_id: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
}

pub(crate) fn user(id: &str) -> Statement {
    sql!(concat!("SELECT ", user_json!(), " FROM users WHERE id = ?1"), id)
}

pub(crate) fn user_of_wallet(wallet: &str) -> Statement {
    sql!(concat!("SELECT ", user_json!(), " FROM users WHERE wallet_addr = ?1"), wallet)
}

pub(crate) fn user_of_stack(stack_id: &str) -> Statement {
    sql!(concat!("SELECT ", user_json!(), " FROM users WHERE stack_id = ?1"), stack_id)
}

/// Returns the user of a wallet, and creates one if there is none.
pub(crate) fn sign_up_wallet(id: &str, wallet: &str, now: i64) -> Statement {
    sql!(
        concat!(
            "INSERT INTO users (id, wallet_addr, created_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (wallet_addr) DO UPDATE SET wallet_addr = excluded.wallet_addr RETURNING ",
            user_json!()
        ),
        id,
        wallet,
        now
    )
}

/// Returns the user of a Stack Auth subject with the name and the address in
/// the token, and creates one if there is none.
pub(crate) fn sign_up_stack(id: &str, claims: &Claims, now: i64) -> Statement {
    sql!(
        concat!(
            "INSERT INTO users (id, stack_id, email, name, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (stack_id) DO UPDATE SET email = excluded.email, name = excluded.name RETURNING ",
            user_json!()
        ),
        id,
        claims.sub.as_str(),
        claims.verified_email(),
        claims.name.as_deref(),
        now
    )
}

/// Returns a row only the first time, and only for the wallet that it was issued to.
pub(crate) fn use_up_nonce(nonce: &str, wallet: &str, now: i64) -> Statement {
    sql!(
        "DELETE FROM nonces WHERE nonce = ?1 AND wallet_addr = ?2 AND expires_at > ?3
         RETURNING json_object('nonce', nonce) AS json",
        nonce,
        wallet,
        now
    )
}
