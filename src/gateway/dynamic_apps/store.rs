//! SQL of the responses of dynamic apps.

use crate::{
    platform::clock::DAY_MS,
    store::{Statement, newest_of_user, owned::give, page::Page, projects::rfc3339, sql},
};
use constcat::concat;

const KEPT_MS: i64 = 30 * DAY_MS;
/// The most responses of one user. The newest are kept.
const MOST: u32 = 1_000;

/// A response in the form of the original client.
const JSON: &str = concat!(
    "json_object('id', id, 'app_id', app_id, 'item_id', id, 'item_type', 'response', 'data', json(data), 'share_id', NULL, 'created_at', ",
    rfc3339!("created_at"),
    ", 'updated_at', ",
    rfc3339!("created_at"),
    ")"
);

/// Inserts a response. A repeated request leaves the first one's response as it is.
pub(super) fn insert(id: &str, user: &str, app: &str, data: &str, now: i64) -> Vec<Statement> {
    vec![
        sql!(
            "INSERT INTO dynamic_app_responses (id, user_id, app_id, data, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO NOTHING",
            id,
            user,
            app,
            data,
            now
        ),
        sql!(
            "DELETE FROM dynamic_app_responses WHERE user_id = ?1 AND created_at < (
               SELECT created_at FROM dynamic_app_responses WHERE user_id = ?1 ORDER BY created_at DESC LIMIT 1 OFFSET ?2)",
            user,
            MOST - 1
        ),
    ]
}

pub(super) fn show(id: &str, user: &str) -> Statement {
    sql!(
        concat!("SELECT ", JSON, " AS json FROM dynamic_app_responses WHERE id = ?1 AND user_id = ?2"),
        id,
        user
    )
}

/// The responses of one app or of all apps, the newest first.
pub(super) fn list(user: &str, app: Option<&str>, limit: u32) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            JSON,
            " AS json FROM dynamic_app_responses WHERE user_id = ?1 AND (?2 IS NULL OR app_id = ?2)
             ORDER BY created_at DESC, id DESC LIMIT ?3"
        ),
        user,
        app,
        limit
    )
}

pub(in crate::gateway) fn export(user: &str, page: &Page) -> Statement {
    newest_of_user!(
        table: "dynamic_app_responses",
        json: JSON,
        bytes: "length(CAST(data AS BLOB))",
        user,
        page
    )
}

pub(in crate::gateway) fn delete_all(user: &str) -> Statement {
    sql!("DELETE FROM dynamic_app_responses WHERE user_id = ?1", user)
}

pub(in crate::gateway) fn give(from: &str, to: &str) -> Statement {
    give!("dynamic_app_responses", from, to)
}

pub(in crate::gateway) fn forget(now: i64) -> Statement {
    sql!("DELETE FROM dynamic_app_responses WHERE created_at <= ?1", now - KEPT_MS)
}
