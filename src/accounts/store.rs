//! SQL of the accounts module.

#[cfg(test)]
use crate::{
    identity::Scope,
    models::KeyLimits,
    openapi::{Id, Time},
};
use crate::{
    platform::clock::DAY_MS,
    store::{
        Statement, newest_of_user,
        owned::{Owned, give, released},
        page::Page,
        projects::rfc3339,
        shape::shape,
        sql,
    },
};
use constcat::concat;

/// Takes `wallet` from an account that has no other sign-in, if `to` has no wallet.
pub(super) fn release_wallet(wallet: &str, from: &str, to: &str) -> Statement {
    sql!(
        "UPDATE users SET wallet_addr = NULL WHERE id = ?2 AND wallet_addr = ?1 AND stack_id IS NULL
         AND EXISTS (SELECT 1 FROM users WHERE id = ?3 AND wallet_addr IS NULL)",
        wallet,
        from,
        to
    )
}

/// Returns a row if the wallet had no account and `user` had no wallet.
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
    in_files: &[],
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

/// Deletes an account that was merged into another one. The last statement of its batch.
pub(super) fn end_released(user: &str) -> Statement {
    sql!(concat!("DELETE FROM users WHERE id = ", released!()), user)
}

/// Deletes an account. The last statement of its batch. The audit log and the
/// ledger of payments keep the id, which then belongs to no user.
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
    /// A key as lists show it, without the key itself.
    pub(super) struct ApiKey, KEY_JSON {
        id: Id = "id", Id("5c1f7e0a-3b92-4d68-9a47-e2d8c6b1f305");
        name: &'static str = "name", "My program";
        /// The key's kind and its last characters.
        hint: &'static str = "hint", "hk_live_…wXyZ";
        scopes: Vec<Scope> = "json(scopes)", vec![Scope::Chat];
        /// The gateway's limits of the key; null is unlimited.
        gateway: Option<KeyLimits> = "json(gateway)", None;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
        expiresAt: Option<Time> = rfc3339!("expires_at"), Some(Time("2026-12-21T12:00:00.000Z"));
        /// Accurate to five minutes.
        lastUsedAt: Option<Time> = rfc3339!("last_used_at"), None;
        revokedAt: Option<Time> = rfc3339!("revoked_at"), None;
    }
}

/// The values of a new key.
#[derive(Debug)]
pub(super) struct NewKey<'a> {
    pub(super) id: &'a str,
    pub(super) user: &'a str,
    pub(super) name: &'a str,
    pub(super) hash: &'a str,
    pub(super) hint: &'a str,
    /// JSON.
    pub(super) scopes: &'a str,
    /// The gateway's limits, as JSON.
    pub(super) gateway: Option<&'a str>,
    /// The key that makes this one, which then expires no later.
    pub(super) parent: Option<&'a str>,
    pub(super) expires_at: Option<i64>,
}

/// Creates the key and returns it as lists show it; no row if the id exists already.
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

/// Revokes the key; one that is revoked already stays as it is.
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

/// Deletes expired nonces and sessions, and old daily counters.
pub(super) fn purge(now: i64) -> [Statement; 3] {
    [
        sql!("DELETE FROM nonces WHERE expires_at <= ?1", now),
        // Sessions and counters stay for another month, so that an incident can be investigated.
        sql!("DELETE FROM sessions WHERE expires_at <= ?1", now - 30 * DAY_MS),
        sql!("DELETE FROM daily_counters WHERE day < ?1", now / DAY_MS - 30),
    ]
}
