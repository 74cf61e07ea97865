//! SQL of stored completions. Every statement names their user, but for the
//! one that reads what is shared.

use crate::store::{
    Statement,
    page::{Page, page},
    projects::rfc3339,
    sql,
};
use constcat::concat;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// How long one is kept that nobody goes on with, as OpenAI keeps them.
const KEPT_MS: i64 = 30 * DAY_MS;
/// So many of one user are kept: the newest.
pub(super) const MOST: u32 = 1_000;

/// What is kept of a completion; JSON but for the names.
pub(super) struct Kept<'a> {
    pub(super) id: &'a str,
    pub(super) model: &'a str,
    pub(super) metadata: &'a str,
    pub(super) messages: &'a str,
    pub(super) body: &'a str,
}

/// A conversation that goes on keeps its title and whom it is shared with.
pub(super) fn keep(user: &str, kept: &Kept<'_>, now: i64) -> Statement {
    sql!(
        "INSERT INTO stored_completions (user_id, id, created_at, updated_at, model, metadata, messages, body)
         VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (user_id, id) DO UPDATE SET updated_at = excluded.updated_at, model = excluded.model,
           metadata = CASE excluded.metadata WHEN '{}' THEN metadata ELSE excluded.metadata END,
           messages = excluded.messages, body = excluded.body",
        user,
        kept.id,
        now,
        kept.model,
        kept.metadata,
        kept.messages,
        kept.body
    )
}

/// Forgets those that are beyond [`MOST`].
pub(super) fn keep_to_most(user: &str) -> Statement {
    sql!(
        "DELETE FROM stored_completions WHERE user_id = ?1 AND updated_at < (
           SELECT updated_at FROM stored_completions WHERE user_id = ?1 ORDER BY updated_at DESC LIMIT 1 OFFSET ?2)",
        user,
        MOST - 1
    )
}

pub(in crate::gateway) fn forget(now: i64) -> Statement {
    sql!("DELETE FROM stored_completions WHERE updated_at <= ?1", now - KEPT_MS)
}

pub(in crate::gateway) fn delete_all(user: &str) -> Statement {
    sql!("DELETE FROM stored_completions WHERE user_id = ?1", user)
}

/// Of two of one name the second account's stays; [`leave`] is for the other one.
pub(in crate::gateway) fn give(from: &str, to: &str) -> Statement {
    sql!(
        concat!(
            "UPDATE OR IGNORE stored_completions SET user_id = ?2 WHERE user_id = ",
            crate::store::owned::released!()
        ),
        from,
        to
    )
}

pub(in crate::gateway) fn leave(from: &str) -> Statement {
    sql!(concat!("DELETE FROM stored_completions WHERE user_id = ", crate::store::owned::released!()), from)
}

/// As OpenAI shows a stored completion.
macro_rules! completion {
    () => {
        "json_set(body, '$.metadata', json(metadata))"
    };
}

pub(super) fn completion(user: &str, id: &str) -> Statement {
    sql!(
        concat!("SELECT ", completion!(), " AS json FROM stored_completions WHERE user_id = ?1 AND id = ?2"),
        user,
        id
    )
}

/// What was said before the answer.
pub(super) fn messages(user: &str, id: &str) -> Statement {
    sql!("SELECT messages AS json FROM stored_completions WHERE user_id = ?1 AND id = ?2", user, id)
}

/// Which completions are listed.
pub(super) struct Wanted<'a> {
    /// The last one of the page before.
    pub(super) after: Option<&'a str>,
    pub(super) model: Option<&'a str>,
    /// JSON: what their metadata must have.
    pub(super) metadata: &'a str,
    pub(super) limit: u32,
}

macro_rules! list {
    ($is_beyond:literal, $order:literal) => {
        concat!(
            "SELECT ",
            completion!(),
            " AS json FROM stored_completions WHERE user_id = ?1
               AND (?2 IS NULL OR (created_at, id) ",
            $is_beyond,
            " ((SELECT created_at FROM stored_completions WHERE user_id = ?1 AND id = ?2), ?2))
               AND (?3 IS NULL OR model = ?3)
               AND NOT EXISTS (SELECT 1 FROM json_each(?4) w WHERE NOT EXISTS (
                 SELECT 1 FROM json_each(metadata) m WHERE m.key = w.key AND m.value = w.value))
             ORDER BY created_at ",
            $order,
            ", id ",
            $order,
            " LIMIT ?5"
        )
    };
}

/// A row each, and one more where there are more than asked for.
pub(super) fn list(user: &str, wanted: &Wanted<'_>, is_newest_first: bool) -> Statement {
    let Wanted { after, model, metadata, limit } = wanted;
    match is_newest_first {
        true => sql!(list!("<", "DESC"), user, *after, *model, *metadata, limit + 1),
        false => sql!(list!(">", "ASC"), user, *after, *model, *metadata, limit + 1),
    }
}

/// Answers with the completion if there is one.
pub(super) fn set_metadata(user: &str, id: &str, metadata: &str) -> Statement {
    sql!(
        concat!(
            "UPDATE stored_completions SET metadata = ?3 WHERE user_id = ?1 AND id = ?2 RETURNING ",
            completion!(),
            " AS json"
        ),
        user,
        id,
        metadata
    )
}

/// Answers with a row if there was one.
pub(super) fn delete(user: &str, id: &str) -> Statement {
    sql!(
        "DELETE FROM stored_completions WHERE user_id = ?1 AND id = ?2 RETURNING json_quote(id) AS json",
        user,
        id
    )
}

/// As Polychat's client shows a conversation in its list.
macro_rules! conversation {
    () => {
        concat!(
            "json_object('id', id, 'title', title, 'model', model, 'created_at', ",
            rfc3339!("created_at"),
            ", 'updated_at', ",
            rfc3339!("updated_at"),
            ", 'last_message_at', ",
            rfc3339!("updated_at"),
            ", 'is_public', json(iif(share_id IS NULL, 'false', 'true')), 'share_id', share_id, 'messages', ",
            "json_insert((SELECT json_group_array(value ->> 'id') FROM json_each(messages)), '$[#]', id || '-answer'))"
        )
    };
}

/// A page of conversations, the newest first, a row each.
pub(super) fn conversations(user: &str, offset: u32, limit: u32) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            conversation!(),
            " AS json FROM stored_completions WHERE user_id = ?1 ORDER BY updated_at DESC, id DESC LIMIT ?3 OFFSET ?2"
        ),
        user,
        offset,
        limit
    )
}

pub(super) fn count(user: &str) -> Statement {
    sql!("SELECT CAST(count(*) AS TEXT) AS json FROM stored_completions WHERE user_id = ?1", user)
}

/// All of a conversation: [`super::polychat::Conversation`].
macro_rules! whole {
    () => {
        concat!(
            "json_object('id', id, 'title', title, 'model', model, 'created_at', ",
            rfc3339!("created_at"),
            ", 'updated_at', ",
            rfc3339!("updated_at"),
            ", 'share_id', share_id, 'messages', json(messages), 'body', json(body))"
        )
    };
}

pub(super) fn conversation(user: &str, id: &str) -> Statement {
    sql!(
        concat!("SELECT ", whole!(), " AS json FROM stored_completions WHERE user_id = ?1 AND id = ?2"),
        user,
        id
    )
}

/// What anybody may read who has been given its id.
pub(super) fn shared(share_id: &str) -> Statement {
    sql!(concat!("SELECT ", whole!(), " AS json FROM stored_completions WHERE share_id = ?1"), share_id)
}

/// Answers with a row if there is one; the others that change one too.
pub(super) fn set_title(user: &str, id: &str, title: &str) -> Statement {
    sql!(
        "UPDATE stored_completions SET title = ?3 WHERE user_id = ?1 AND id = ?2 RETURNING json_quote(title) AS json",
        user,
        id,
        title
    )
}

/// What is shared already keeps its id, with which it answers.
pub(super) fn share(user: &str, id: &str, share_id: &str) -> Statement {
    sql!(
        "UPDATE stored_completions SET share_id = coalesce(share_id, ?3) WHERE user_id = ?1 AND id = ?2
         RETURNING json_quote(share_id) AS json",
        user,
        id,
        share_id
    )
}

pub(super) fn unshare(user: &str, id: &str) -> Statement {
    sql!(
        "UPDATE stored_completions SET share_id = NULL WHERE user_id = ?1 AND id = ?2 RETURNING json_quote(id) AS json",
        user,
        id
    )
}

pub(super) fn set_feedback(user: &str, id: &str, feedback: &str) -> Statement {
    sql!(
        "UPDATE stored_completions SET feedback = ?3 WHERE user_id = ?1 AND id = ?2 RETURNING json_quote(id) AS json",
        user,
        id,
        feedback
    )
}

/// Each as its user takes it along.
pub(in crate::gateway) fn export(user: &str, page: &Page) -> Statement {
    let (at, id) = page.bound();
    sql!(
        page!(
            rows: "FROM stored_completions WHERE user_id = ?1 AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: concat!(
                "json_object('id', id, 'createdAt', ", rfc3339!("created_at"), ", 'updatedAt', ", rfc3339!("updated_at"),
                ", 'title', title, 'metadata', json(metadata), 'messages', json(messages), 'answer', json(body), 'feedback', json(feedback), 'shareId', share_id)"
            ),
            bytes: "length(CAST(messages AS BLOB)) + length(CAST(body AS BLOB))"
        ),
        user,
        at,
        id,
        page.limit
    )
}
