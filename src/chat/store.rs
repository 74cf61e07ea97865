//! SQL of the chat module.

use hatch_wire::anthropic::{Message, Usage};
use serde::Deserialize;
use serde_json::json;

#[cfg(test)]
use super::images::Image;
use super::{changes::Changes, turn::ChatTurn};
use crate::models::{SealedKey, reservations::release};
#[cfg(test)]
use crate::openapi::{Count, Id, Time};
use crate::platform::clock::HOUR_MS;
#[cfg(test)]
use crate::store::projects;
use crate::store::{
    Statement, guard, newest_of_user,
    owned::{Owned, give},
    page,
    page::Page,
    projects::rfc3339,
    shape::shape,
    sql,
};
use crate::{clouds, identity};

pub(crate) const OWNED: Owned = Owned {
    tables: &["chat_messages"],
    export: &[("messages", messages_of_user)],
    in_files: &[],
    delete: |_| Vec::new(),
    // The request that streams an answer saves it for the user who asked.
    give: |from, to| {
        vec![
            guard!(
                "SELECT 1 WHERE NOT EXISTS (
                   SELECT 1 FROM chat_messages WHERE user_id = ?1 AND status = 'streaming')",
                from
            ),
            give!("chat_messages", from, to),
        ]
    },
};

/// How long a turn may be silent before it counts as lost. A running turn
/// writes `alive_at` every three seconds, even when nothing arrives. A repeated
/// message also joins an interrupted turn if that was alive within this time.
pub(super) const SILENT_MS: i64 = 15_000;
/// How old a turn may be that a repeated message joins.
const TWINS_MS: i64 = HOUR_MS;

/// The stored keys of providers, sealed, of the owner of a token.
pub(crate) fn keys_of_token(hash: &str) -> Statement {
    sql!(
        concat!(
            "SELECT (",
            clouds::store::sealed_list!("owner.user_id"),
            ") AS json FROM ",
            identity::store::owner!(),
            " owner"
        ),
        hash
    )
}

/// The question of a new turn.
#[derive(Debug)]
pub(super) struct NewQuestion<'a> {
    pub(super) message: &'a str,
    /// No other turn can answer it: it has an `Idempotency-Key`, by which a
    /// repeat is recognized, or pictures.
    pub(super) is_unique: bool,
    /// JSON.
    pub(super) images: Option<String>,
    /// How many bytes of the conversation are read for the prompt at most.
    pub(super) history_bytes: i64,
    /// Whether the user's stored keys of providers are read too.
    pub(super) reads_keys: bool,
}

/// The project of a new turn, and what is read with it.
#[derive(Deserialize)]
pub(super) struct ExistingTurn {
    /// The id of the turn that answers the same message already.
    pub(super) twin: Option<String>,
    /// The user's stored keys of providers, if [`NewQuestion::reads_keys`].
    pub(super) keys: Option<Vec<SealedKey>>,
}

/// Selects the newest turn of a project that answers the message `?3` of the
/// user `?2` and is not complete: it is running, or was just interrupted.
macro_rules! twin {
    (project: $project:literal, since: $since:literal, created: $created:literal) => {
        concat!(
            "SELECT a.id FROM chat_messages a INDEXED BY chat_messages_incomplete
             JOIN chat_messages q ON q.project_id = a.project_id AND q.seq = a.seq - 1
             WHERE a.user_id = ?2 AND a.created_at > ",
            $created,
            " AND a.project_id = ",
            $project,
            " AND a.role = 'assistant' AND a.status <> 'complete' AND a.stopped_at IS NULL
               AND coalesce(a.alive_at, a.created_at) > ",
            $since,
            " AND q.content = ?3 ORDER BY a.seq DESC LIMIT 1"
        )
    };
}

/// Begins a turn: reads the project's code and history, and the user's keys, and inserts the rows of
/// question and answer. The rows are inserted only if the project belongs to
/// the user and no other turn answers the message already.
pub(super) fn begin(turn: &ChatTurn, question: &NewQuestion<'_>, now: i64) -> [Statement; 3] {
    let (project, user) = (turn.project_id.as_str(), turn.user.as_str());
    [
        sql!(
            concat!(
                "SELECT json_object('code', code, 'version', version, 'twin', CASE WHEN ?4 THEN (",
                twin!(project: "?1", since: "?5", created: "?6"),
                ") END, 'keys', CASE WHEN ?7 THEN json((",
                clouds::store::sealed_list!("?2"),
                ")) END) AS json FROM projects WHERE id = ?1 AND user_id = ?2"
            ),
            project,
            user,
            question.message,
            i64::from(!question.is_unique),
            now - SILENT_MS,
            now - TWINS_MS,
            i64::from(question.reads_keys)
        ),
        sql!(
            "SELECT json_object('role', role, 'content', content, 'changes', json(changes)) AS json FROM (
               SELECT seq, role, content, changes, sum(length(CAST(content AS BLOB))) OVER (ORDER BY seq DESC) AS bytes
               FROM chat_messages WHERE project_id = ?1 AND user_id = ?2 AND status <> 'streaming'
               ORDER BY seq DESC LIMIT 200
             ) WHERE bytes <= ?3 ORDER BY seq",
            project,
            user,
            question.history_bytes
        ),
        sql!(
            concat!(
                "INSERT INTO chat_messages (id, project_id, user_id, seq, role, content, status, model, created_at, images)
                 SELECT row.id, p.id, p.user_id, row.place + (SELECT coalesce(max(seq), 0) FROM chat_messages WHERE project_id = ?1),
                   row.role, row.content, row.status, row.model, ?5, row.images
                 FROM projects p, (
                   SELECT 1 AS place, ?4 AS id, 'user' AS role, ?3 AS content, 'complete' AS status, NULL AS model, ?11 AS images
                   UNION ALL SELECT 2, ?9, 'assistant', '', 'streaming', ?10, NULL
                 ) row
                 WHERE p.id = ?1 AND p.user_id = ?2 AND NOT EXISTS (SELECT 1 FROM chat_messages WHERE id = ?4)
                   AND NOT (?6 AND EXISTS (",
                twin!(project: "?1", since: "?7", created: "?8"),
                ")) ON CONFLICT (id) DO NOTHING RETURNING json_object('id', id) AS json"
            ),
            project,
            user,
            question.message,
            turn.question_id.as_str(),
            now,
            i64::from(!question.is_unique),
            now - SILENT_MS,
            now - TWINS_MS,
            turn.id.as_str(),
            turn.model.as_str(),
            question.images.as_deref()
        ),
    ]
}

/// Finds the turn that answers `message` already, for a message that is
/// refused before it begins a turn.
pub(super) fn twin(turn: &ChatTurn, message: &str, now: i64) -> Statement {
    sql!(
        concat!(
            "SELECT json_object('twin', (",
            twin!(project: "?1", since: "?4", created: "?5"),
            ")) AS json FROM projects WHERE id = ?1 AND user_id = ?2"
        ),
        turn.project_id.as_str(),
        turn.user.as_str(),
        message,
        now - SILENT_MS,
        now - TWINS_MS
    )
}

/// Whether a project of this id exists, for whichever user.
pub(super) fn exists(project: &str) -> Statement {
    sql!("SELECT json_object('id', id) AS json FROM projects WHERE id = ?1", project)
}

/// Records that the turn is still running, and who answers it: with the user's own keys, which are read when
/// the turn begins, this may be another model than the one that it began with.
pub(super) fn touch(turn: &ChatTurn, now: i64) -> Statement {
    sql!(
        "UPDATE chat_messages SET alive_at = ?3, model = ?4
         WHERE id = ?1 AND user_id = ?2 AND status = 'streaming' RETURNING json_quote(id) AS json",
        turn.id.as_str(),
        turn.user.as_str(),
        now,
        turn.model.as_str()
    )
}

/// Deletes a turn that got no answer.
pub(super) fn forget(turn: &ChatTurn) -> Statement {
    sql!(
        "DELETE FROM chat_messages WHERE id IN (?1, ?2) AND user_id = ?3",
        turn.id.as_str(),
        turn.question_id.as_str(),
        turn.user.as_str()
    )
}

/// Deletes the project that such a turn made, unless it is in use by now.
pub(super) fn forget_project(turn: &ChatTurn) -> Statement {
    sql!(
        "DELETE FROM projects WHERE id = ?1 AND user_id = ?2 AND revision = 1
           AND NOT EXISTS (SELECT 1 FROM chat_messages WHERE project_id = ?1)",
        turn.project_id.as_str(),
        turn.user.as_str()
    )
}

/// How far an answer has come.
#[derive(Debug, Deserialize)]
pub(super) struct Progress {
    pub(super) model: Option<String>,
    pub(super) status: String,
    /// When its Worker last wrote to it.
    pub(super) alive_at: i64,
    /// The text that the follower does not have yet.
    pub(super) text: String,
}

/// Reads an answer's status, and its text after the first `known` characters.
pub(super) fn progress(id: &str, user: &str, known: i64) -> Statement {
    sql!(
        "SELECT json_object('model', model, 'status', status, 'alive_at', coalesce(alive_at, created_at),
           'text', substr(content, ?3)) AS json
         FROM chat_messages WHERE id = ?1 AND user_id = ?2",
        id,
        user,
        known + 1
    )
}

/// The saved answer of a turn.
#[derive(Debug, Deserialize)]
pub(super) struct Saved {
    pub(super) content: String,
    pub(super) status: String,
    pub(super) model: Option<String>,
    pub(super) usage: Option<Usage>,
    /// What a complete answer changed.
    pub(super) changes: Option<Changes>,
    pub(super) cost_micro_usd: Option<i64>,
}

/// Reads the saved answer of a turn.
pub(super) fn saved(id: &str, user: &str) -> Statement {
    sql!(
        "SELECT json_object('content', content, 'status', status, 'model', model, 'usage', json(usage),
           'changes', json(changes), 'cost_micro_usd', cost_micro_usd) AS json
         FROM chat_messages WHERE id = ?1 AND user_id = ?2",
        id,
        user
    )
}

/// The values with which an answer is saved.
#[derive(Debug)]
pub(super) struct AnswerUpdate<'a> {
    pub(super) content: &'a str,
    pub(super) status: &'static str,
    pub(super) model: &'a str,
    /// JSON.
    pub(super) usage: String,
    /// JSON; none for an incomplete answer.
    pub(super) changes: Option<String>,
    /// None for a model of unknown price, and for an incomplete answer.
    pub(super) cost_micro_usd: Option<i64>,
}

impl<'a> AnswerUpdate<'a> {
    pub(super) fn of(turn: &'a ChatTurn, message: &'a Message, changes: &Changes) -> Self {
        let model = turn.answered_as(message);
        Self {
            content: &message.text,
            status: if message.is_complete() { "complete" } else { "interrupted" },
            model,
            cost_micro_usd: message.is_complete().then(|| turn.cost(message)).flatten(),
            usage: json!(message.usage).to_string(),
            changes: message.is_complete().then(|| json!(changes).to_string()),
        }
    }
}

/// A guard: fails the batch if the user stopped the answer, so that it does not
/// change the code.
pub(super) fn require_not_stopped(turn: &ChatTurn) -> Statement {
    guard!(
        "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM chat_messages WHERE id = ?1 AND stopped_at IS NOT NULL)",
        turn.id.as_str()
    )
}

/// Stops the running answers of a conversation and returns them. The request
/// that streams one sees it at its next checkpoint.
pub(super) fn stop(project: &str, user: &str, now: i64) -> Statement {
    sql!(
        constcat::concat!(
            "UPDATE chat_messages SET status = 'interrupted', stopped_at = ?3
             WHERE project_id = ?1 AND user_id = ?2 AND status = 'streaming' RETURNING ",
            MESSAGE_JSON,
            " AS json"
        ),
        project,
        user,
        now
    )
}

pub(super) fn save(turn: &ChatTurn, answer: &AnswerUpdate<'_>, now: i64) -> Statement {
    sql!(
        "UPDATE chat_messages SET content = ?3, status = ?4, model = ?5, usage = ?6, alive_at = ?7, changes = ?8,
           cost_micro_usd = ?9
         WHERE id = ?1 AND user_id = ?2 RETURNING json_object('id', id) AS json",
        turn.id.as_str(),
        turn.user.as_str(),
        answer.content,
        answer.status,
        answer.model,
        answer.usage.as_str(),
        now,
        answer.changes.as_deref(),
        answer.cost_micro_usd
    )
}

/// Saves `text` after the first `known` characters of a running answer, and who answers, as [`touch`].
/// Running it twice changes nothing more, and neither does it change an answer
/// that has ended.
pub(super) fn checkpoint(turn: &ChatTurn, known: i64, text: &str, now: i64) -> Statement {
    sql!(
        "UPDATE chat_messages SET content = substr(content, 1, ?3) || ?4, alive_at = ?5, model = ?6
         WHERE id = ?1 AND user_id = ?2 AND status = 'streaming' RETURNING json_quote(id) AS json",
        turn.id.as_str(),
        turn.user.as_str(),
        known,
        text,
        now,
        turn.model.as_str()
    )
}

#[cfg(test)]
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Role {
    User,
    Assistant,
}

#[cfg(test)]
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
pub(crate) enum Status {
    Complete,
    Streaming,
    Interrupted,
}

shape! {
    /// A message of the conversation.
    #[schemars(rename = "Message")]
    pub(crate) struct MessageView, MESSAGE_JSON {
        id: Id = "id", Id("5d2c8e91-0f47-4b3a-8c6d-7e1f9a2b4c50");
        projectId: Id = "project_id", projects::Project::ID;
        role: Role = "role", Role::User;
        content: &'static str = "content", "A pomodoro timer with a tomato red look";
        /// The pictures that were sent with it.
        images: Option<Vec<Image>> = "json(images)", None;
        /// `interrupted`: the answer was cut off, and `content` is the part that came.
        status: Status = "status", Status::Complete;
        /// Which model answered.
        model: Option<&'static str> = "model", None;
        usage: Option<Usage> = "json(usage)", None;
        /// What a complete answer cost, in millionths of a dollar, where its model's prices are known.
        costMicroUsd: Option<Count> = "cost_micro_usd", None;
        /// What a complete answer changed in the code.
        changes: Option<Changes> = "json(changes)", None;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T09:31:12.345Z");
    }
}

fn messages_of_user(user: &str, page: &Page) -> Statement {
    newest_of_user!(table: "chat_messages", json: MESSAGE_JSON, bytes: "length(CAST(content AS BLOB)) + coalesce(length(images), 0)", user, page)
}

/// Oldest first.
pub(super) fn messages(project: &str, user: &str, page: &Page) -> Statement {
    let after = page.after.as_ref().map_or(0, |(seq, _)| *seq);
    sql!(
        page!(
            rows: "FROM chat_messages WHERE project_id = ?1 AND user_id = ?2 AND seq > ?3 ORDER BY seq",
            key: "seq || '.'",
            json: MESSAGE_JSON,
            bytes: "length(CAST(content AS BLOB)) + coalesce(length(images), 0)"
        ),
        project,
        user,
        after,
        page.limit
    )
}

/// Releases what is reserved for answers that no longer run. A request that
/// still ends one books its cost by itself.
pub(super) fn release_ended() -> [Statement; 3] {
    release!(
        "r.job_id IS NULL AND r.until IS NULL AND NOT EXISTS (
           SELECT 1 FROM chat_messages m WHERE m.id = r.subject_id AND m.status = 'streaming')"
    )
}

/// Interrupts the answers, or only the one of `id`, whose Worker has not
/// written since `before`.
pub(super) fn interrupt_lost(id: Option<&str>, before: i64) -> Statement {
    sql!(
        "UPDATE chat_messages SET status = 'interrupted'
         WHERE status = 'streaming' AND created_at < ?1 AND coalesce(alive_at, created_at) < ?1
           AND (?2 IS NULL OR id = ?2)",
        before,
        id
    )
}
