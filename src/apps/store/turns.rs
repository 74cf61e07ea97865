//! Turns: what keeps a message from beginning one, its beginning, what it costs, and its end.

use constcat::concat;
use serde::Deserialize;

use super::{
    events::add_events,
    files::Repository,
    limits::{USAGE, Usage},
};
use crate::{
    apps::{destination::Runs, events::Event},
    store::{Statement, guard, sql},
};

/// Why a message cannot begin a turn.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::apps) struct Obstacles {
    pub(in crate::apps) has_app: bool,
    /// The trace id of the running turn.
    pub(in crate::apps) running: Option<String>,
    pub(in crate::apps) usage: Usage,
    pub(in crate::apps) apps_used: i64,
}

pub(in crate::apps) fn obstacles(user: &str, day: i64, default: i64, app: Option<&str>) -> Statement {
    sql!(
        concat!(
            "SELECT json_object('hasApp', json(iif(?4 IS NULL OR EXISTS (SELECT 1 FROM apps WHERE id = ?4 AND user_id = ?1), 'true', 'false')),
               'running', (SELECT trace_id FROM app_turns WHERE app_id = ?4 AND user_id = ?1 AND status = 'running'),
               'appsUsed', coalesce((SELECT used FROM daily_counters WHERE user_id = '' AND name = 'apps-day' AND day = ?2), 0),
               'usage', ",
            USAGE,
            ") AS json"
        ),
        user,
        day,
        default,
        app
    )
}

/// Guards a message to an existing app: it is the user's, and no turn runs.
pub(in crate::apps) fn is_free(app: &str, user: &str) -> Statement {
    guard!(
        "SELECT 1 FROM apps WHERE id = ?1 AND user_id = ?2
           AND NOT EXISTS (SELECT 1 FROM app_turns WHERE app_id = ?1 AND status = 'running')",
        app,
        user
    )
}

/// A message that begins a turn.
#[derive(Debug)]
pub(in crate::apps) struct NewTurn<'a> {
    pub(in crate::apps) id: &'a str,
    pub(in crate::apps) job_id: &'a str,
    pub(in crate::apps) app_id: &'a str,
    pub(in crate::apps) user: &'a str,
    /// The API key that it came with.
    pub(in crate::apps) key: Option<&'a str>,
    pub(in crate::apps) trace_id: &'a str,
    pub(in crate::apps) asked_app_id: Option<&'a str>,
    pub(in crate::apps) message: &'a str,
    pub(in crate::apps) settings: Option<&'a str>,
    pub(in crate::apps) github_token: Option<&'a str>,
    pub(in crate::apps) origin: &'a str,
    pub(in crate::apps) day: i64,
}

/// Begins a turn with its draft, and stores the message as its first event.
pub(in crate::apps) fn begin(turn: &NewTurn<'_>, is_new_app: bool, now: i64) -> Vec<Statement> {
    vec![
        sql!(
            "INSERT INTO app_turns (id, app_id, user_id, job_id, trace_id, asked_app_id, message, settings, github_token, origin,
               is_new_app, counted_day, created_at, key_id)
             SELECT ?1, id, user_id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 FROM apps WHERE id = ?2",
            turn.id,
            turn.app_id,
            turn.job_id,
            turn.trace_id,
            turn.asked_app_id,
            turn.message,
            turn.settings,
            turn.github_token,
            turn.origin,
            i64::from(is_new_app),
            turn.day,
            now,
            turn.key
        ),
        sql!(
            "INSERT INTO app_drafts (turn_id, base_version, files)
             SELECT t.id, p.version, coalesce(p.code, '{}') FROM app_turns t JOIN projects p ON p.id = t.app_id WHERE t.id = ?1",
            turn.id
        ),
        sql!("UPDATE apps SET trace_id = ?2, updated_at = ?3 WHERE id = ?1", turn.app_id, turn.trace_id, now),
        add_events(turn.id, &[Event::user(turn.message)], now),
    ]
}

/// A running turn, as the steps of its job read it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::apps) struct AppTurn {
    pub(in crate::apps) id: String,
    pub(in crate::apps) app_id: String,
    pub(in crate::apps) user_id: String,
    pub(in crate::apps) trace_id: String,
    pub(in crate::apps) message: String,
    /// Sealed.
    pub(in crate::apps) settings: Option<String>,
    /// Sealed.
    pub(in crate::apps) github_token: Option<String>,
    pub(in crate::apps) origin: String,
    pub(in crate::apps) steps: i64,
    pub(in crate::apps) tokens: i64,
    pub(in crate::apps) cost_micro_usd: i64,
    pub(in crate::apps) created_at: i64,
    /// JSON, of [`crate::apps::save::Ending`].
    pub(in crate::apps) result: Option<String>,
    pub(in crate::apps) app_name: String,
    pub(in crate::apps) template_id: Option<String>,
    pub(in crate::apps) target: String,
    /// Not the files, but this.
    pub(in crate::apps) runs: Option<Runs>,
    /// The model that the owner has chosen.
    pub(in crate::apps) model: Option<String>,
    /// The key of the stored object.
    pub(in crate::apps) agent_state: Option<String>,
    pub(in crate::apps) repository: Option<Repository>,
    pub(in crate::apps) deployment_id: Option<String>,
    /// The API key that the message came with.
    pub(in crate::apps) key_id: Option<String>,
    /// What that key may, as JSON which models/limits.rs reads.
    pub(in crate::apps) key_limits: Option<String>,
}

pub(in crate::apps) fn turn(id: &str) -> Statement {
    sql!(
        "SELECT json_object('id', t.id, 'appId', t.app_id, 'userId', t.user_id, 'traceId', t.trace_id, 'message', t.message,
           'settings', t.settings, 'githubToken', t.github_token, 'origin', t.origin, 'steps', t.steps, 'tokens', t.tokens,
           'costMicroUsd', t.cost_micro_usd, 'createdAt', t.created_at, 'result', t.result, 'appName', a.app_name,
           'templateId', a.template_id, 'target', a.target, 'runs', json(a.runs), 'model', a.model, 'agentState', a.agent_state,
           'repository', json(a.repository), 'deploymentId', a.deployment_id, 'keyId', t.key_id,
           'keyLimits', (SELECT gateway FROM api_keys WHERE id = t.key_id)) AS json
         FROM app_turns t JOIN apps a ON a.id = t.app_id WHERE t.id = ?1 AND t.status = 'running'",
        id
    )
}

/// Guards that the turn is running.
pub(in crate::apps) fn is_running(turn: &str) -> Statement {
    guard!("SELECT 1 FROM app_turns WHERE id = ?1 AND status = 'running'", turn)
}

/// Counts one answer of the model.
pub(in crate::apps) fn count_step(turn: &str, model: &str) -> Statement {
    sql!("UPDATE app_turns SET steps = steps + 1, model = ?2 WHERE id = ?1", turn, model)
}

/// Adds the cost of an answer. It stays booked if the step is repeated.
pub(in crate::apps) fn spend(turn: &str, tokens: i64, cost_micro_usd: i64) -> Statement {
    sql!(
        "UPDATE app_turns SET tokens = tokens + ?2, cost_micro_usd = cost_micro_usd + ?3 WHERE id = ?1",
        turn,
        tokens,
        cost_micro_usd
    )
}

/// Stores the agent's ending.
pub(in crate::apps) fn set_result(turn: &str, result: &str) -> Statement {
    sql!("UPDATE app_turns SET result = ?2 WHERE id = ?1", turn, result)
}

/// Ends a turn and deletes its draft. Its last events must be added before.
pub(in crate::apps) fn end(turn: &str, status: &str, now: i64) -> [Statement; 3] {
    [
        sql!(
            "UPDATE app_turns SET status = ?2, ended_at = ?3, settings = NULL, github_token = NULL
             WHERE id = ?1 AND status = 'running'",
            turn,
            status,
            now
        ),
        sql!("DELETE FROM app_drafts WHERE turn_id = ?1", turn),
        sql!("DELETE FROM app_steps WHERE turn_id = ?1", turn),
    ]
}

/// Begins a failed turn again, unless another one runs meanwhile.
pub(in crate::apps) fn reopen(turn: &str) -> [Statement; 2] {
    [
        sql!(
            "UPDATE app_turns SET status = 'running', ended_at = NULL, result = NULL, created_at = created_at
             WHERE id = ?1 AND status = 'failed'
               AND NOT EXISTS (SELECT 1 FROM app_turns o WHERE o.app_id = app_turns.app_id AND o.status = 'running')",
            turn
        ),
        sql!(
            "INSERT INTO app_drafts (turn_id, base_version, files)
             SELECT t.id, p.version, coalesce(p.code, '{}') FROM app_turns t JOIN projects p ON p.id = t.app_id
             WHERE t.id = ?1 AND t.status = 'running' ON CONFLICT DO NOTHING",
            turn
        ),
    ]
}
