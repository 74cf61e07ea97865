//! SQL of the chat room.

use serde::Deserialize;
use serde_json::{Value, json};

use super::turn::Turn;
use crate::{
    http::page::Page,
    store::{
        Statement, page,
        projects::{self, rfc3339},
        sql,
    },
    upstream::anthropic::events::Message,
};

#[derive(Debug, Deserialize)]
pub(super) struct Project {
    pub(super) code: Option<String>,
    pub(super) version: i64,
}

/// Begins a turn: the project, its history of at most so many bytes, and the
/// rows of the question and of the answer to come. The rows appear only if
/// the project is the user's.
pub(super) fn begin(turn: &Turn, message: &str, history_bytes: i64, now: i64) -> [Statement; 4] {
    let (project, user) = (turn.project_id.as_str(), turn.user.as_str());
    [
        projects::code(project, user),
        sql!(
            "SELECT json_object('role', role, 'content', content) AS json FROM (
               SELECT seq, role, content, sum(length(CAST(content AS BLOB))) OVER (ORDER BY seq DESC) AS bytes
               FROM chat_messages WHERE project_id = ?1 AND user_id = ?2 AND status <> 'streaming'
               ORDER BY seq DESC LIMIT 200
             ) WHERE bytes <= ?3 ORDER BY seq",
            project,
            user,
            history_bytes
        ),
        say(&turn.question_id, turn, "user", message, "complete", now),
        say(&turn.id, turn, "assistant", "", "streaming", now),
    ]
}

fn say(id: &str, turn: &Turn, role: &str, content: &str, status: &str, now: i64) -> Statement {
    let model = (role == "assistant").then_some(turn.model.as_str());
    sql!(
        "INSERT INTO chat_messages (id, project_id, user_id, seq, role, content, status, model, created_at)
         SELECT ?1, id, user_id,
           (SELECT coalesce(max(seq), 0) + 1 FROM chat_messages WHERE project_id = ?2), ?4, ?5, ?6, ?7, ?8
         FROM projects WHERE id = ?2 AND user_id = ?3 ON CONFLICT (id) DO NOTHING
         RETURNING json_object('id', id) AS json",
        id,
        turn.project_id.as_str(),
        turn.user.as_str(),
        role,
        content,
        status,
        model,
        now
    )
}

/// Takes back a turn that was never answered.
pub(super) fn forget(turn: &Turn) -> Statement {
    sql!(
        "DELETE FROM chat_messages WHERE id IN (?1, ?2) AND user_id = ?3",
        turn.id.as_str(),
        turn.question_id.as_str(),
        turn.user.as_str()
    )
}

/// A turn as it was saved.
#[derive(Debug, Deserialize)]
pub(super) struct Saved {
    pub(super) content: String,
    pub(super) status: String,
    pub(super) model: Option<String>,
    pub(super) usage: Option<Value>,
    /// Of the code; the one that the answer made, if it made one.
    pub(super) version: i64,
}

/// A turn that may have been saved, and the code that it met.
pub(super) fn saved(turn: &Turn) -> [Statement; 2] {
    let (id, user) = (turn.id.as_str(), turn.user.as_str());
    [
        sql!(
            "SELECT json_object('content', m.content, 'status', m.status, 'model', m.model, 'usage', json(m.usage),
               'version', coalesce(v.version, p.version)) AS json
             FROM chat_messages m JOIN projects p ON p.id = m.project_id
             LEFT JOIN project_versions v ON v.project_id = m.project_id AND v.message_id = m.id
             WHERE m.id = ?1 AND m.user_id = ?2",
            id,
            user
        ),
        sql!(
            "SELECT json_object('code', code, 'version', version) AS json FROM project_versions
             WHERE project_id = (SELECT project_id FROM chat_messages WHERE id = ?1 AND user_id = ?2)
               AND coalesce(message_id, '') <> ?1 AND version <= (SELECT coalesce(
                 (SELECT version FROM project_versions v WHERE v.project_id = project_versions.project_id
                  AND v.message_id = ?1), version))
             ORDER BY version DESC LIMIT 1",
            id,
            user
        ),
    ]
}

/// What became of an answer.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) content: &'a str,
    pub(super) status: &'static str,
    pub(super) model: &'a str,
    /// JSON.
    pub(super) usage: String,
}

impl<'a> Answer<'a> {
    pub(super) fn of(turn: &'a Turn, message: &'a Message) -> Self {
        Self {
            content: &message.text,
            status: if message.is_complete() { "complete" } else { "interrupted" },
            model: message.model.as_deref().unwrap_or(&turn.model),
            usage: json!(message.usage).to_string(),
        }
    }
}

pub(super) fn save(turn: &Turn, answer: &Answer<'_>) -> Statement {
    sql!(
        "UPDATE chat_messages SET content = ?3, status = ?4, model = ?5, usage = ?6
         WHERE id = ?1 AND user_id = ?2 RETURNING json_object('id', id) AS json",
        turn.id.as_str(),
        turn.user.as_str(),
        answer.content,
        answer.status,
        answer.model,
        answer.usage.as_str()
    )
}

/// Puts by what has come of an answer that is still coming. Comes too late
/// for one that is saved.
pub(super) fn put_by(turn: &Turn, content: &str, now: i64) -> Statement {
    sql!(
        "UPDATE chat_messages SET content = ?3, alive_at = ?4 WHERE id = ?1 AND user_id = ?2 AND status = 'streaming'",
        turn.id.as_str(),
        turn.user.as_str(),
        content,
        now
    )
}

/// Oldest first.
pub(super) fn messages(project: &str, user: &str, page: &Page) -> Statement {
    let after = page.after.as_ref().map_or(0, |(seq, _)| *seq);
    sql!(
        page!(
            rows: "FROM chat_messages WHERE project_id = ?1 AND user_id = ?2 AND seq > ?3 ORDER BY seq",
            key: "seq || '.'",
            json: concat!(
                "json_object('id', id, 'projectId', project_id, 'role', role, 'content', content, 'status', status, ",
                "'model', model, 'usage', json(usage), 'createdAt', ", rfc3339!("created_at"), ")"
            ),
            bytes: "length(CAST(content AS BLOB))"
        ),
        project,
        user,
        after,
        page.limit
    )
}

/// Ends the answers, or the one of `id`, that nobody has been heard of since
/// `before`.
pub(super) fn interrupt_lost(id: Option<&str>, before: i64) -> Statement {
    sql!(
        "UPDATE chat_messages SET status = 'interrupted'
         WHERE status = 'streaming' AND created_at < ?1 AND coalesce(alive_at, created_at) < ?1
           AND (?2 IS NULL OR id = ?2)",
        before,
        id
    )
}
