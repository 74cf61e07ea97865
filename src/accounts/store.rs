//! SQL of the accounts.

use crate::store::{
    Statement, newest_of_user,
    owned::{Owned, give, released},
    page::Page,
    projects::rfc3339,
    shape::shape,
    sql,
};
#[cfg(test)]
use crate::{
    identity::Scope,
    models::KeyLimits,
    openapi::{Id, Time},
};
use constcat::concat;

/// Takes `wallet` from the account that has nothing else, if `to` has none.
pub(super) fn release_wallet(wallet: &str, from: &str, to: &str) -> Statement {
    sql!(
        "UPDATE users SET wallet_addr = NULL WHERE id = ?2 AND wallet_addr = ?1 AND stack_id IS NULL
         AND EXISTS (SELECT 1 FROM users WHERE id = ?3 AND wallet_addr IS NULL)",
        wallet,
        from,
        to
    )
}

/// Answers with a row if the wallet was nobody's, and `user` had none.
pub(super) fn take_wallet(wallet: &str, user: &str) -> Statement {
    sql!(
        "UPDATE users SET wallet_addr = ?1 WHERE id = ?2 AND wallet_addr IS NULL
         AND NOT EXISTS (SELECT 1 FROM users WHERE wallet_addr = ?1)
         RETURNING json_object('id', id) AS json",
        wallet,
        user
    )
}

pub(crate) const OWNED: Owned = Owned {
    tables: &["api_keys", "sessions"],
    export: &[("keys", keys), ("sessions", sessions)],
    delete: |user| {
        vec![
            sql!("DELETE FROM api_keys WHERE user_id = ?1", user),
            sql!("DELETE FROM sessions WHERE user_id = ?1", user),
            sql!(
                "DELETE FROM nonces WHERE wallet_addr = (SELECT wallet_addr FROM users WHERE id = ?1)",
                user
            ),
        ]
    },
    give: |from, to| vec![give!("api_keys", from, to), give!("sessions", from, to)],
};

/// Ends an account that was given away. The last of its batch.
pub(super) fn end_released(user: &str) -> Statement {
    sql!(concat!("DELETE FROM users WHERE id = ", released!()), user)
}

/// Ends an account. The last of its batch. The audit log and the ledger of
/// payments keep ids, which then are nobody's.
pub(super) fn end(user: &str) -> Statement {
    sql!("DELETE FROM users WHERE id = ?1", user)
}

pub(super) fn keep_nonce(nonce: &str, wallet: &str, expires_at: i64) -> Statement {
    sql!("INSERT INTO nonces (nonce, wallet_addr, expires_at) VALUES (?1, ?2, ?3)", nonce, wallet, expires_at)
}

pub(super) fn begin_session(id: &str, user: &str, hash: &str, now: i64, expires_at: i64) -> Statement {
    sql!(
        "INSERT INTO sessions (id, user_id, hash, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        id,
        user,
        hash,
        now,
        expires_at
    )
}

pub(super) fn end_session(id: &str, user: &str, now: i64) -> Statement {
    sql!(
        "UPDATE sessions SET ended_at = ?3 WHERE id = ?1 AND user_id = ?2 AND ended_at IS NULL",
        id,
        user,
        now
    )
}

shape! {
    /// A key as lists show it: all but the key.
    pub(super) struct ApiKey, KEY_JSON {
        id: Id = "id", Id("5c1f7e0a-3b92-4d68-9a47-e2d8c6b1f305");
        name: &'static str = "name", "My program";
        /// Its kind and its last characters.
        hint: &'static str = "hint", "hk_live_…wXyZ";
        scopes: Vec<Scope> = "json(scopes)", vec![Scope::Chat];
        /// What it may ask of the gateway; null is anything.
        gateway: Option<KeyLimits> = "json(gateway)", None;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
        expiresAt: Option<Time> = rfc3339!("expires_at"), Some(Time("2026-12-21T12:00:00.000Z"));
        /// To within five minutes.
        lastUsedAt: Option<Time> = rfc3339!("last_used_at"), None;
        revokedAt: Option<Time> = rfc3339!("revoked_at"), None;
    }
}

/// A key to be.
#[derive(Debug)]
pub(super) struct NewKey<'a> {
    pub(super) id: &'a str,
    pub(super) user: &'a str,
    pub(super) name: &'a str,
    pub(super) hash: &'a str,
    pub(super) hint: &'a str,
    /// JSON.
    pub(super) scopes: &'a str,
    /// What it may ask of the gateway, as JSON.
    pub(super) gateway: Option<&'a str>,
    /// The key that makes it; it ends no later than that one.
    pub(super) parent: Option<&'a str>,
    pub(super) expires_at: Option<i64>,
}

/// Answers with the key as lists show it, unless there is one of that id.
pub(super) fn create_key(key: &NewKey<'_>, now: i64) -> Statement {
    sql!(
        concat!(
            "INSERT INTO api_keys (id, user_id, name, hash, hint, scopes, created_at, expires_at, gateway)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, (SELECT min(ends) FROM (
               SELECT ?8 AS ends UNION ALL SELECT expires_at FROM api_keys WHERE id = ?9
             )), ?10) ON CONFLICT (id) DO NOTHING RETURNING ",
            KEY_JSON,
            " AS json"
        ),
        key.id,
        key.user,
        key.name,
        key.hash,
        key.hint,
        key.scopes,
        now,
        key.expires_at,
        key.parent,
        key.gateway
    )
}

pub(super) fn key(id: &str, user: &str) -> Statement {
    sql!(concat!("SELECT ", KEY_JSON, " AS json FROM api_keys WHERE id = ?1 AND user_id = ?2"), id, user)
}

pub(super) fn unrevoked_key(id: &str, user: &str) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            KEY_JSON,
            " AS json FROM api_keys WHERE id = ?1 AND user_id = ?2 AND revoked_at IS NULL"
        ),
        id,
        user
    )
}

pub(super) fn keys(user: &str, page: &Page) -> Statement {
    newest_of_user!(table: "api_keys", json: KEY_JSON, bytes: "0", user, page)
}

/// One that is revoked stays as it is.
pub(super) fn revoke_key(id: &str, user: &str, now: i64) -> Statement {
    sql!(
        "UPDATE api_keys SET revoked_at = ?3 WHERE id = ?1 AND user_id = ?2 AND revoked_at IS NULL",
        id,
        user,
        now
    )
}

pub(super) fn session(id: &str, user: &str) -> Statement {
    sql!("SELECT json_object('id', id) AS json FROM sessions WHERE id = ?1 AND user_id = ?2", id, user)
}

shape! {
    /// A session as lists show it.
    pub(super) struct SessionEntry, SESSION_JSON {
        id: Id = "id", Id("5c1f7e0a-3b92-4d68-9a47-e2d8c6b1f305");
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
        expiresAt: Time = rfc3339!("expires_at"), Time("2026-12-21T12:00:00.000Z");
        endedAt: Option<Time> = rfc3339!("ended_at"), None;
    }
}

pub(super) fn sessions(user: &str, page: &Page) -> Statement {
    newest_of_user!(table: "sessions", json: SESSION_JSON, bytes: "0", user, page)
}

/// What has gone by its time.
pub(super) fn purge(now: i64) -> [Statement; 3] {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    [
        sql!("DELETE FROM nonces WHERE expires_at <= ?1", now),
        // A month longer than they lasted, for whoever looks into something.
        sql!("DELETE FROM sessions WHERE expires_at <= ?1", now - 30 * DAY_MS),
        sql!("DELETE FROM daily_counters WHERE day < ?1", now / DAY_MS - 30),
    ]
}
