//! The turns that clients follow, and the events that they have not received.

use constcat::concat;
use serde::Deserialize;

use super::events::EVENT_ID;
use crate::store::{Statement, sql};

/// A turn that a client follows.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::apps) struct Followed {
    pub(in crate::apps) id: String,
    pub(in crate::apps) app_id: String,
    pub(in crate::apps) job_id: String,
}

const FOLLOWED_JSON: &str = "json_object('id', id, 'appId', app_id, 'jobId', job_id)";

/// When a message counts as a resend of an earlier one.
#[derive(Debug, Clone, Copy)]
pub(in crate::apps) struct ResendRule {
    /// The least time since the earlier one was sent.
    pub(in crate::apps) apart_ms: i64,
    /// The most time since its turn ended.
    pub(in crate::apps) recent_ms: i64,
    /// Whether the request has `Last-Event-ID`.
    pub(in crate::apps) resumes: bool,
}

/// The turn of an equal message that a client sends again to the same app: while
/// the turn runs, or shortly after its end if no client has received that. Two
/// equal messages at the same moment are two messages.
pub(in crate::apps) fn resent_turn(
    user: &str,
    app: Option<&str>,
    message: &str,
    again: ResendRule,
    now: i64,
) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            FOLLOWED_JSON,
            " AS json FROM app_turns WHERE user_id = ?1 AND (asked_app_id IS ?2 OR app_id IS ?2) AND message = ?3
               AND created_at <= ?4 AND (status = 'running' OR ((?6 OR NOT is_told) AND ended_at >= ?5)) ORDER BY created_at DESC LIMIT 1"
        ),
        user,
        app,
        message,
        now - again.apart_ms,
        now - again.recent_ms,
        i64::from(again.resumes)
    )
}

/// A turn by its id.
pub(in crate::apps) fn followed(id: &str, user: &str) -> Statement {
    sql!(
        concat!("SELECT ", FOLLOWED_JSON, " AS json FROM app_turns WHERE id = ?1 AND user_id = ?2"),
        id,
        user
    )
}

/// The newest turn of an app.
pub(in crate::apps) fn newest(app: &str, user: &str) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            FOLLOWED_JSON,
            " AS json FROM app_turns WHERE app_id = ?1 AND user_id = ?2 ORDER BY created_at DESC LIMIT 1"
        ),
        app,
        user
    )
}

/// The running turn of an app.
pub(in crate::apps) fn running(app: &str, user: &str) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            FOLLOWED_JSON,
            " AS json FROM app_turns WHERE app_id = ?1 AND user_id = ?2 AND status = 'running'"
        ),
        app,
        user
    )
}

/// The events that a client has not received.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::apps) struct Progress {
    pub(in crate::apps) is_running: bool,
    /// The job if its queue message is overdue. The follower sends that message.
    pub(in crate::apps) overdue_job: Option<String>,
    pub(in crate::apps) events: Vec<StoredEvent>,
}

#[derive(Debug, Deserialize)]
pub(in crate::apps) struct StoredEvent {
    pub(in crate::apps) id: String,
    pub(in crate::apps) seq: i64,
    pub(in crate::apps) event: String,
    /// JSON in one line.
    pub(in crate::apps) data: String,
}

/// The most events of one poll.
const MOST_EVENTS: i64 = 50;

/// The events after number `seen`; with `turn` only those of that turn.
pub(in crate::apps) fn progress(
    app: &str,
    turn: Option<&str>,
    seen: i64,
    is_staff: bool,
    now: i64,
) -> Statement {
    sql!(
        concat!(
            "SELECT json_object(
               'isRunning', json(iif(EXISTS (SELECT 1 FROM app_turns WHERE app_id = ?1 AND status = 'running' AND (?2 IS NULL OR id = ?2))
                 OR (SELECT count(*) FROM (SELECT 1 FROM app_events WHERE app_id = ?1 AND seq > ?3 AND (?2 IS NULL OR turn_id = ?2)
                   LIMIT ?6 + 1)) > ?6, 'true', 'false')),
               'overdueJob', (SELECT o.job_id FROM app_turns t JOIN outbox o ON o.job_id = t.job_id
                 WHERE t.app_id = ?1 AND t.status = 'running' AND o.send_at <= ?5),
               'events', (SELECT json_group_array(json(event)) FROM (
                 SELECT json_object('id', ",
            EVENT_ID,
            ", 'seq', seq, 'event', event, 'data', data) AS event FROM app_events
                 WHERE app_id = ?1 AND seq > ?3 AND (?2 IS NULL OR turn_id = ?2) AND event <> 'user'
                   AND (?4 OR event <> 'debug') ORDER BY seq LIMIT ?6))) AS json"
        ),
        app,
        turn,
        seen,
        i64::from(is_staff),
        now,
        MOST_EVENTS
    )
}

/// Whether an app has an event of this number.
pub(in crate::apps) fn has_event(app: &str, seq: i64) -> Statement {
    sql!("SELECT json_quote(seq) AS json FROM app_events WHERE app_id = ?1 AND seq = ?2", app, seq)
}

/// Records that a client has received all events of a turn.
pub(in crate::apps) fn set_delivered(turn: &str) -> Statement {
    sql!("UPDATE app_turns SET is_told = 1 WHERE id = ?1", turn)
}
