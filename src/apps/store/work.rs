//! What an agent reads and keeps during a turn: the draft, its steps, the conversation before it, and the
//! state of an agent server.

use serde::Deserialize;

use super::turns::AppTurn;
use crate::store::{Statement, sql};

/// The files that a turn works on, and the version that they began with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::apps) struct Draft {
    pub(in crate::apps) base_version: i64,
    /// JSON.
    pub(in crate::apps) files: String,
}

pub(in crate::apps) fn draft(turn: &str) -> Statement {
    sql!(
        "SELECT json_object('baseVersion', base_version, 'files', files) AS json FROM app_drafts WHERE turn_id = ?1",
        turn
    )
}

pub(in crate::apps) fn set_draft(turn: &str, files: &str) -> Statement {
    sql!("UPDATE app_drafts SET files = ?2 WHERE turn_id = ?1", turn, files)
}

/// The steps of a turn in order, in the form of [`crate::apps::transcript`].
pub(in crate::apps) fn steps(turn: &str) -> Statement {
    sql!("SELECT step AS json FROM app_steps WHERE turn_id = ?1 ORDER BY seq", turn)
}

pub(in crate::apps) fn add_step(turn: &str, seq: i64, step: &str) -> Statement {
    sql!("INSERT INTO app_steps (turn_id, seq, step) VALUES (?1, ?2, ?3)", turn, seq, step)
}

/// A message of the conversation before a turn.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::apps) struct EarlierMessage {
    pub(in crate::apps) role: String,
    pub(in crate::apps) kind: String,
    pub(in crate::apps) text: String,
}

/// The conversation before a turn, oldest first: `{"role", "kind", "text", "turnId"}`.
pub(in crate::apps) fn earlier(turn: &AppTurn, most: u32) -> Statement {
    sql!(
        "SELECT json_object('role', iif(event = 'user', 'user', 'assistant'), 'kind', data ->> '$.message.kind', 'turnId', turn_id,
           'text', coalesce((SELECT group_concat(m.value ->> 'content', char(10)) FROM json_each(data, '$.message.messages') m), '')) AS json
         FROM (SELECT * FROM app_events WHERE app_id = ?1 AND turn_id <> ?2
                 AND (event = 'user' OR (event = 'message' AND data ->> '$.status' = 'idle'
                   AND data ->> '$.message.kind' IN ('RefinementRequest', 'ReviewResult', 'RuntimeError', 'StageResult')))
               ORDER BY seq DESC LIMIT ?3) ORDER BY seq",
        turn.app_id.as_str(),
        turn.id.as_str(),
        most
    )
}

/// Sets the agent server's state, and marks the earlier one as unused.
pub(in crate::apps) fn set_agent_state(turn: &AppTurn, key: &str, now: i64) -> [Statement; 2] {
    [
        sql!(
            "INSERT OR IGNORE INTO unused_files (key, since) SELECT agent_state, ?2 FROM apps WHERE id = ?1 AND agent_state IS NOT NULL",
            turn.app_id.as_str(),
            now
        ),
        sql!("UPDATE apps SET agent_state = ?2 WHERE id = ?1", turn.app_id.as_str(), key),
    ]
}
