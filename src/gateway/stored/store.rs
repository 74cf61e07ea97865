//! SQL of stored completions. Every statement is bound to their user, except
//! the one that reads a shared conversation.

use crate::{
    platform::clock::DAY_MS,
    store::{
        Statement,
        page::{Page, page},
        projects::rfc3339,
        sql,
    },
};
use constcat::concat;

/// How long a completion is stored after its last change, as at OpenAI.
const KEPT_MS: i64 = 30 * DAY_MS;
/// The most completions of one user. The newest are kept.
pub(super) const MOST: u32 = 1_000;
/// The most bytes of the messages and answers of one user.
const MOST_BYTES: i64 = 100_000_000;

/// A completion to store. `metadata`, `messages` and `body` are JSON.
pub(super) struct NewCompletion<'a> {
    pub(super) id: &'a str,
    pub(super) model: &'a str,
    pub(super) metadata: &'a str,
    /// Only their ids if there is a file.
    pub(super) messages: &'a str,
    pub(super) body: &'a str,
    /// The key of the object that holds the messages if they are too large for a row.
    pub(super) file: Option<&'a str>,
    pub(super) file_bytes: usize,
}

/// Inserts a completion, or replaces the one of this id, which keeps its title and its
/// share id. The rating was of the answer before.
pub(super) fn put(user: &str, completion: &NewCompletion<'_>, now: i64) -> Statement {
    sql!(
        "INSERT INTO stored_completions (user_id, id, created_at, updated_at, model, metadata, messages, body, file, file_bytes)
         VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (user_id, id) DO UPDATE SET updated_at = excluded.updated_at, model = excluded.model,
           metadata = CASE excluded.metadata WHEN '{}' THEN metadata ELSE excluded.metadata END,
           messages = excluded.messages, body = excluded.body, file = excluded.file, file_bytes = excluded.file_bytes,
           feedback = NULL",
        user,
        completion.id,
        now,
        completion.model,
        completion.metadata,
        completion.messages,
        completion.body,
        completion.file,
        i64::try_from(completion.file_bytes).unwrap_or(i64::MAX)
    )
}

/// Deletes the oldest completions beyond [`MOST`], and beyond [`MOST_BYTES`].
pub(super) fn delete_excess(user: &str) -> Statement {
    sql!(
        "DELETE FROM stored_completions WHERE user_id = ?1 AND id IN (
           SELECT id FROM (
             SELECT id, row_number() OVER newest AS number,
               sum(octet_length(messages) + octet_length(body) + file_bytes) OVER newest AS bytes
             FROM stored_completions WHERE user_id = ?1 WINDOW newest AS (
               ORDER BY updated_at DESC, id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW))
           WHERE number > ?2 OR number > 1 AND bytes > ?3)",
        user,
        MOST,
        MOST_BYTES
    )
}

pub(in crate::gateway) fn forget(now: i64) -> Statement {
    sql!("DELETE FROM stored_completions WHERE updated_at <= ?1", now - KEPT_MS)
}

pub(in crate::gateway) fn delete_all(user: &str) -> Statement {
    sql!("DELETE FROM stored_completions WHERE user_id = ?1", user)
}

/// Moves completions to another account. If both have one of the same id, the other
/// account's stays; [`leave`] deletes the first one's.
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

/// A stored completion in OpenAI's form.
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

/// [`super::Messages`] before the answer.
pub(super) fn messages(user: &str, id: &str) -> Statement {
    sql!(
        "SELECT json_object('messages', json(messages), 'file', file) AS json
         FROM stored_completions WHERE user_id = ?1 AND id = ?2",
        user,
        id
    )
}

/// The conditions of a list of completions.
pub(super) struct Filter<'a> {
    /// The last one of the page before.
    pub(super) after: Option<&'a str>,
    pub(super) model: Option<&'a str>,
    /// A JSON object of the pairs that their metadata must contain.
    pub(super) metadata: &'a str,
    pub(super) is_newest_first: bool,
}

macro_rules! list {
    ($is_beyond:literal, $order:literal) => {
        page!(
            rows: concat!(
                "FROM stored_completions WHERE user_id = ?1
                   AND (?2 IS NULL OR (created_at, id) ",
                $is_beyond,
                " ((SELECT created_at FROM stored_completions WHERE user_id = ?1 AND id = ?2), ?2))
                   AND (?3 IS NULL OR model = ?3)
                   AND NOT EXISTS (SELECT 1 FROM json_each(?5) w WHERE NOT EXISTS (
                     SELECT 1 FROM json_each(metadata) m WHERE m.key = w.key AND m.value = w.value))
                 ORDER BY created_at ",
                $order,
                ", id ",
                $order
            ),
            key: "created_at || '.' || id",
            json: completion!(),
            bytes: "octet_length(body)"
        )
    };
}

/// A page of completions.
pub(super) fn list(user: &str, filter: &Filter<'_>, page: &Page) -> Statement {
    let Filter { after, model, metadata, is_newest_first } = filter;
    match is_newest_first {
        true => sql!(list!("<", "DESC"), user, *after, *model, page.limit, *metadata),
        false => sql!(list!(">", "ASC"), user, *after, *model, page.limit, *metadata),
    }
}

/// Returns the completion if it exists.
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

/// Returns a row if the completion existed.
pub(super) fn delete(user: &str, id: &str) -> Statement {
    sql!(
        "DELETE FROM stored_completions WHERE user_id = ?1 AND id = ?2 RETURNING json_quote(id) AS json",
        user,
        id
    )
}

/// A conversation in the form of the original client's list.
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

/// A page of conversations, one row each, the newest first.
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

/// All of a conversation: [`super::conversations::Conversation`].
macro_rules! whole {
    () => {
        concat!(
            "json_object('id', id, 'title', title, 'model', model, 'created_at', ",
            rfc3339!("created_at"),
            ", 'updated_at', ",
            rfc3339!("updated_at"),
            ", 'share_id', share_id, 'messages', json(messages), 'file', file, 'body', json(body))"
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

/// The conversation of a share id. It is not bound to a user.
pub(super) fn shared(share_id: &str) -> Statement {
    sql!(concat!("SELECT ", whole!(), " AS json FROM stored_completions WHERE share_id = ?1"), share_id)
}

/// Returns a row if the conversation exists, as the following statements do.
pub(super) fn set_title(user: &str, id: &str, title: &str) -> Statement {
    sql!(
        "UPDATE stored_completions SET title = ?3 WHERE user_id = ?1 AND id = ?2 RETURNING json_quote(title) AS json",
        user,
        id,
        title
    )
}

/// Returns the share id. A conversation that is shared already keeps the id it has.
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

/// A page of the export of a user's data. A row has its messages, or the file where they are.
pub(in crate::gateway) fn export(user: &str, page: &Page) -> Statement {
    let (at, id) = page.bound();
    sql!(
        page!(
            rows: "FROM stored_completions WHERE user_id = ?1 AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: concat!(
                "json_remove(json_object('id', id, 'createdAt', ", rfc3339!("created_at"), ", 'updatedAt', ", rfc3339!("updated_at"),
                ", 'title', title, 'metadata', json(metadata), 'messages', json(messages), 'answer', json(body), 'feedback', json(feedback), 'shareId', share_id, 'file', file), iif(file IS NULL, '$.file', '$.messages'))"
            ),
            bytes: "length(CAST(messages AS BLOB)) + length(CAST(body AS BLOB))"
        ),
        user,
        at,
        id,
        page.limit
    )
}
