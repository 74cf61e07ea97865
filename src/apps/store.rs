//! The SQL of the apps module. Every statement takes the owner, or the turn
//! whose job runs it.

use constcat::concat;
use serde::Deserialize;
#[cfg(test)]
use serde_json::{Map, Value};

use super::{
    destination::{Destination, Runs},
    events::Event,
};
use crate::error::Error;
#[cfg(test)]
use crate::openapi::{Id, Time, Url};
use crate::store::{
    Statement, guard,
    owned::{Owned, give, released},
    page,
    page::Page,
    projects::{rfc3339, user_exists},
    shape::shape,
    sql,
};

pub(crate) const OWNED: Owned = Owned {
    tables: &["apps", "app_turns", "custom_message_limits"],
    export: &[("apps", export_apps), ("appMessages", export_messages)],
    // The limit and the counters stay, so that a new account does not reset them.
    delete: |user| {
        vec![
            sql!("DELETE FROM app_turns WHERE user_id = ?1", user),
            sql!("DELETE FROM apps WHERE user_id = ?1", user),
        ]
    },
    give: |from, to| {
        vec![
            give!("apps", from, to),
            give!("app_turns", from, to),
            // If the second account has a limit of its own, that one stays.
            sql!(
                concat!(
                    "UPDATE OR IGNORE custom_message_limits SET user_id = ?2 WHERE user_id = ",
                    released!()
                ),
                from,
                to
            ),
        ]
    },
};

/// The daily counters: messages of each user, and new apps of all users under an empty id.
const MESSAGES: &str = "app-messages-day";
const APPS: &str = "apps-day";
const EVERYBODY: &str = "";

#[cfg(test)]
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
pub(super) enum DeployStatus {
    Pending,
    Deploying,
    Deployed,
    Failed,
}

/// A deployment's status in the clients' words, from `deployments d`.
const DEPLOY_STATUS: &str = "CASE d.status WHEN 'live' THEN 'deployed' WHEN 'failed' THEN 'failed' WHEN 'pending' THEN 'pending' ELSE 'deploying' END";

shape! {
// The app `a`, its project `p`, and its newest deployment `d`.
    /// An app.
    #[schemars(rename = "AgentApp")]
    pub(super) struct AppView, APP_JSON {
        id: Id = "a.id", crate::store::projects::Project::ID;
        appName: &'static str = "a.app_name", "pomodoro-timer";
        name: &'static str = "a.app_name", "pomodoro-timer";
        techStack: &'static str = "a.tech_stack", "static";
        templateId: Option<&'static str> = "a.template_id", None;
        clientSource: Option<&'static str> = "a.client_source", Some("cli");
/// The repository with its commits.
        repositoryUrl: Option<Url> = "a.repository ->> 'url'", Some(Url("https://github.com/ada/pomodoro-timer"));
/// The address where it is live.
        appUrl: Option<Url> = "p.deployment_url", Some(Url("http://pomodoro-timer-1f3a9c04.localhost:8787/"));
/// The model that its owner has chosen. Null means the operator's choice.
        model: Option<&'static str> = "a.model", None;
        deploymentId: Option<Id> = "d.id", None;
/// Null before its first deployment.
        deployStatus: Option<DeployStatus> = concat!("iif(d.id IS NULL, NULL, ", DEPLOY_STATUS, ")"), Some(DeployStatus::Deployed);
        /// Whether an agent works on it.
        recompileInProgress: bool = "json(iif(EXISTS (SELECT 1 FROM app_turns WHERE app_id = a.id AND status = 'running'), 'true', 'false'))", false;
/// The trace id of the newest message.
        traceId: &'static str = "a.trace_id", "app-1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36.req-6f1d2c3b-4a59-4e68-8d77-0c9b8a7f6e5d";
        createdAt: Time = rfc3339!("a.created_at"), Time("2026-11-21T09:31:12.345Z");
        updatedAt: Time = rfc3339!("a.updated_at"), Time("2026-11-21T09:33:40.000Z");
    }
}

const APP_ROWS: &str =
    "apps a JOIN projects p ON p.id = a.id LEFT JOIN deployments d ON d.id = a.deployment_id";

/// `{"data", "pagination"}`, newest first, by the number of the page.
pub(super) fn list(user: &str, number: u32, limit: u32) -> Statement {
    sql!(
        concat!(
            "SELECT json_object('data', (SELECT json_group_array(json(app)) FROM (SELECT ",
            APP_JSON,
            " AS app FROM ",
            APP_ROWS,
            " WHERE a.user_id = ?1 ORDER BY a.created_at DESC, a.id DESC LIMIT CAST(?3 AS INTEGER) OFFSET (CAST(?2 AS INTEGER) - 1) * CAST(?3 AS INTEGER))),
             'pagination', json_object('total', n, 'page', CAST(?2 AS INTEGER), 'limit', CAST(?3 AS INTEGER),
               'totalPages', (n + CAST(?3 AS INTEGER) - 1) / CAST(?3 AS INTEGER))) AS json
             FROM (SELECT count(*) AS n FROM apps WHERE user_id = ?1)"
        ),
        user,
        number,
        limit
    )
}

pub(super) fn show(id: &str, user: &str) -> Statement {
    sql!(
        concat!("SELECT ", APP_JSON, " AS json FROM ", APP_ROWS, " WHERE a.id = ?1 AND a.user_id = ?2"),
        id,
        user
    )
}

#[cfg(test)]
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
pub(super) enum Speaker {
    User,
    Assistant,
}

shape! {
    // A row of app_events.
/// A message of an app's conversation.
    pub(super) struct AppMessage, MESSAGE_JSON {
/// The id of its event.
        id: &'static str = EVENT_ID, "1f3a9c04-2";
        appId: Id = "app_id", crate::store::projects::Project::ID;
        prompt: &'static str = "coalesce((SELECT group_concat(m.value ->> 'content', char(10)) FROM json_each(data, '$.message.messages') m), '')", "A pomodoro timer";
        kind: Speaker = "iif(event = 'user', 'user', 'assistant')", Speaker::User;
        messageKind: &'static str = "data ->> '$.message.kind'", "UserMessage";
/// The `type` and the details of a notice of the platform.
        metadata: Option<serde_json::Value> = "json(data -> '$.metadata')", None;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T09:31:12.345Z");
    }
}

/// An event's id: the beginning of the app's id, and the event's number.
const EVENT_ID: &str = "substr(app_id, 1, 8) || '-' || seq";

/// The conversation, oldest first, in pages.
pub(super) fn history(id: &str, user: &str, page: &Page) -> Statement {
    let (key, _) = page.after.as_ref().map_or((0, ""), |(key, id)| (*key, id.as_str()));
    sql!(
        page!(
            rows: "FROM app_events WHERE app_id = ?1 AND seq > ?3 AND event IN ('user', 'message')
                   AND EXISTS (SELECT 1 FROM apps WHERE id = ?1 AND user_id = ?2) ORDER BY seq",
            key: "seq || '.'",
            json: MESSAGE_JSON,
            bytes: "length(CAST(data AS BLOB)) + 200"
        ),
        id,
        user,
        key,
        page.limit
    )
}

shape! {
    /// An app of the agent, as an export has it.
    pub(crate) struct ExportedApp, EXPORTED_APP_JSON {
        id: Id = "id", Id("1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36");
        appName: &'static str = "app_name", "pomodoro";
        techStack: &'static str = "tech_stack", "static";
        target: &'static str = "target", "edge";
        /// What runs there, if it is not the files.
        runs: Option<Map<String, Value>> = "json(runs)", None;
        model: Option<&'static str> = "model", None;
        repositoryUrl: Option<Url> = "repository ->> 'url'", None;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
    }
}

fn export_apps(user: &str, page: &Page) -> Statement {
    let (key, id) = page.bound();
    sql!(
        page!(
            rows: "FROM apps WHERE user_id = ?1 AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: EXPORTED_APP_JSON,
            bytes: "0"
        ),
        user,
        key,
        id,
        page.limit
    )
}

shape! {
    /// A message to the agent with what it answered, as an export has them.
    pub(crate) struct ExportedAppMessage, EXPORTED_MESSAGE_JSON {
        id: Id = "id", Id("5d2c8e91-0f47-4b3a-8c6d-7e1f9a2b4c50");
        appId: Id = "app_id", Id("1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36");
        message: &'static str = "message", "A pomodoro timer";
        status: &'static str = "status", "done";
        costMicroUsd: Option<i64> = "cost_micro_usd", None;
        /// The events of the stream that carried its words.
        answers: Vec<Map<String, Value>> =
            "(SELECT json_group_array(json(data)) FROM app_events WHERE turn_id = id AND event = 'message')", Vec::new();
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T12:00:00.000Z");
    }
}

fn export_messages(user: &str, page: &Page) -> Statement {
    let (key, id) = page.bound();
    sql!(
        page!(
            rows: "FROM app_turns WHERE user_id = ?1 AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: EXPORTED_MESSAGE_JSON,
            bytes: "length(CAST(message AS BLOB)) + 20000"
        ),
        user,
        key,
        id,
        page.limit
    )
}

/// A user's messages of a day, `{"used", "limit"}`. `?2` is the day, `?3` the default limit.
const USAGE: &str = "json_object('used', coalesce((SELECT used FROM daily_counters
    WHERE user_id = ?1 AND name = 'app-messages-day' AND day = ?2), 0),
  'limit', coalesce((SELECT daily_message_limit FROM custom_message_limits WHERE user_id = ?1), CAST(?3 AS INTEGER)))";

pub(super) fn usage(user: &str, day: i64, default: i64) -> Statement {
    sql!(concat!("SELECT ", USAGE, " AS json"), user, day, default)
}

/// A message that begins a turn.
#[derive(Debug)]
pub(super) struct NewTurn<'a> {
    pub(super) id: &'a str,
    pub(super) job_id: &'a str,
    pub(super) app_id: &'a str,
    pub(super) user: &'a str,
    /// The API key that it came with.
    pub(super) key: Option<&'a str>,
    pub(super) trace_id: &'a str,
    pub(super) asked_app_id: Option<&'a str>,
    pub(super) message: &'a str,
    pub(super) settings: Option<&'a str>,
    pub(super) github_token: Option<&'a str>,
    pub(super) origin: &'a str,
    pub(super) day: i64,
}

/// The app that a message begins.
#[derive(Debug)]
pub(super) struct NewApp<'a> {
    pub(super) name: &'a str,
    pub(super) template_id: Option<&'a str>,
    pub(super) client_source: Option<&'a str>,
}

/// Checks the limit of a user's day, and counts a message.
pub(super) fn count_message(user: &str, day: i64, default: i64) -> [Statement; 2] {
    [
        guard!(
            "SELECT 1 WHERE coalesce((SELECT used FROM daily_counters
               WHERE user_id = ?1 AND name = 'app-messages-day' AND day = ?2), 0)
             < coalesce((SELECT daily_message_limit FROM custom_message_limits WHERE user_id = ?1), CAST(?3 AS INTEGER))",
            user,
            day,
            default
        ),
        add_one(user, MESSAGES, day),
    ]
}

/// Checks the daily limit of new apps, and counts one. An exempt user is counted too.
pub(super) fn count_app(day: i64, limit: i64, is_exempt: bool) -> [Statement; 2] {
    [
        guard!(
            "SELECT 1 WHERE ?4 OR coalesce((SELECT used FROM daily_counters
               WHERE user_id = ?1 AND name = 'apps-day' AND day = ?2), 0) < CAST(?3 AS INTEGER)",
            EVERYBODY,
            day,
            limit,
            i64::from(is_exempt)
        ),
        add_one(EVERYBODY, APPS, day),
    ]
}

fn add_one(user: &str, name: &str, day: i64) -> Statement {
    sql!(
        "INSERT INTO daily_counters (user_id, name, day, used) VALUES (?1, ?2, ?3, 1)
         ON CONFLICT (user_id, name, day) DO UPDATE SET used = used + 1",
        user,
        name,
        day
    )
}

/// Creates an app, after its project in the same batch. Does nothing for a deleted user.
pub(super) fn create(turn: &NewTurn<'_>, app: &NewApp<'_>, now: i64) -> Statement {
    sql!(
        concat!(
            "INSERT INTO apps (id, user_id, app_name, tech_stack, template_id, client_source, trace_id, created_at, updated_at)
             SELECT ?1, ?2, ?3, coalesce(?4, 'static'), ?4, ?5, ?6, ?7, ?7 WHERE ",
            user_exists!("?2")
        ),
        turn.app_id,
        turn.user,
        app.name,
        app.template_id,
        app.client_source,
        turn.trace_id,
        now
    )
}

/// Guards a message to an existing app: it is the user's, and no turn runs.
pub(super) fn is_free(app: &str, user: &str) -> Statement {
    guard!(
        "SELECT 1 FROM apps WHERE id = ?1 AND user_id = ?2
           AND NOT EXISTS (SELECT 1 FROM app_turns WHERE app_id = ?1 AND status = 'running')",
        app,
        user
    )
}

/// Sets the target of the next deployments, and what runs there.
pub(super) fn set_destination(app: &str, user: &str, destination: &Destination) -> Result<Statement, Error> {
    let runs = destination.runs.as_ref().map(serde_json::to_string).transpose();
    let runs = runs.map_err(|e| Error::Internal(e.to_string()))?;
    Ok(sql!(
        "UPDATE apps SET target = ?3, runs = ?4 WHERE id = ?1 AND user_id = ?2",
        app,
        user,
        destination.target.as_str(),
        runs
    ))
}

/// Sets the model for this message and the next ones.
pub(super) fn set_model(app: &str, user: &str, model: &str) -> Statement {
    sql!("UPDATE apps SET model = ?3 WHERE id = ?1 AND user_id = ?2", app, user, model)
}

/// Begins a turn with its draft, and stores the message as its first event.
pub(super) fn begin(turn: &NewTurn<'_>, is_new_app: bool, now: i64) -> Vec<Statement> {
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

/// Adds events to a running turn.
pub(super) fn add_events(turn: &str, events: &[Event], now: i64) -> Statement {
    sql!(
        "INSERT INTO app_events (app_id, seq, turn_id, event, data, created_at)
         SELECT t.app_id, (SELECT coalesce(max(seq), 0) FROM app_events WHERE app_id = t.app_id) + 1 + e.key, t.id,
           e.value ->> 'event',
           CASE e.value ->> 'event'
             WHEN 'done' THEN json_object('done', json('true'), 'traceId', t.trace_id, 'appId', t.app_id)
             ELSE json_patch('{}', json_object('status', e.value ->> 'status', 'traceId', t.trace_id, 'appId', t.app_id,
               'techStack', a.tech_stack,
               'message', json_object('kind', e.value ->> 'kind', 'messages', json(e.value -> 'messages'),
                 'app_name', e.value ->> 'appName', 'commit_message', e.value ->> 'commitMessage'),
               'metadata', json(e.value -> 'metadata')))
           END, ?3
         FROM app_turns t JOIN apps a ON a.id = t.app_id, json_each(?2) e WHERE t.id = ?1 AND t.status = 'running'",
        turn,
        serde_json::to_string(events).unwrap_or_default(),
        now
    )
}

/// A running turn, as the steps of its job read it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AppTurn {
    pub(super) id: String,
    pub(super) app_id: String,
    pub(super) user_id: String,
    pub(super) trace_id: String,
    pub(super) message: String,
    /// Sealed.
    pub(super) settings: Option<String>,
    /// Sealed.
    pub(super) github_token: Option<String>,
    pub(super) origin: String,
    pub(super) steps: i64,
    pub(super) tokens: i64,
    pub(super) cost_micro_usd: i64,
    pub(super) created_at: i64,
    /// JSON, of [`super::save::Ending`].
    pub(super) result: Option<String>,
    pub(super) app_name: String,
    pub(super) template_id: Option<String>,
    pub(super) target: String,
    /// Not the files, but this.
    pub(super) runs: Option<Runs>,
    /// The model that the owner has chosen.
    pub(super) model: Option<String>,
    /// The key of the stored object.
    pub(super) agent_state: Option<String>,
    pub(super) repository: Option<Repository>,
    pub(super) deployment_id: Option<String>,
    /// The API key that the message came with.
    pub(super) key_id: Option<String>,
    /// What that key may, as JSON which models/limits.rs reads.
    pub(super) key_limits: Option<String>,
}

/// An app's repository, and its last commit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
pub(super) struct Repository {
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) url: String,
    pub(super) branch: String,
    /// The last commit that was made or pulled. None before the first one.
    pub(super) sha: Option<String>,
    /// The project's version in that commit.
    pub(super) version: Option<i64>,
}

pub(super) fn turn(id: &str) -> Statement {
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

/// The files that a turn works on, and the version that they began with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Draft {
    pub(super) base_version: i64,
    /// JSON.
    pub(super) files: String,
}

pub(super) fn draft(turn: &str) -> Statement {
    sql!(
        "SELECT json_object('baseVersion', base_version, 'files', files) AS json FROM app_drafts WHERE turn_id = ?1",
        turn
    )
}

pub(super) fn set_draft(turn: &str, files: &str) -> Statement {
    sql!("UPDATE app_drafts SET files = ?2 WHERE turn_id = ?1", turn, files)
}

/// The steps of a turn in order, in the form of [`super::transcript`].
pub(super) fn steps(turn: &str) -> Statement {
    sql!("SELECT step AS json FROM app_steps WHERE turn_id = ?1 ORDER BY seq", turn)
}

pub(super) fn add_step(turn: &str, seq: i64, step: &str) -> Statement {
    sql!("INSERT INTO app_steps (turn_id, seq, step) VALUES (?1, ?2, ?3)", turn, seq, step)
}

/// Counts one answer of the model.
pub(super) fn count_step(turn: &str, model: &str) -> Statement {
    sql!("UPDATE app_turns SET steps = steps + 1, model = ?2 WHERE id = ?1", turn, model)
}

/// Adds the cost of an answer. It stays booked if the step is repeated.
pub(super) fn spend(turn: &str, tokens: i64, cost_micro_usd: i64) -> Statement {
    sql!(
        "UPDATE app_turns SET tokens = tokens + ?2, cost_micro_usd = cost_micro_usd + ?3 WHERE id = ?1",
        turn,
        tokens,
        cost_micro_usd
    )
}

/// Stores the agent's ending.
pub(super) fn set_result(turn: &str, result: &str) -> Statement {
    sql!("UPDATE app_turns SET result = ?2 WHERE id = ?1", turn, result)
}

/// The conversation before a turn, oldest first: `{"role", "kind", "text", "turnId"}`.
pub(super) fn earlier(turn: &AppTurn, most: u32) -> Statement {
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

/// A message of the conversation before a turn.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EarlierMessage {
    pub(super) role: String,
    pub(super) kind: String,
    pub(super) text: String,
}

/// Names an app, unless it has been named already.
pub(super) fn name_app(turn: &AppTurn, name: &str) -> [Statement; 2] {
    [
        sql!(
            "UPDATE projects SET name = ?2, revision = revision + 1
             WHERE id = ?1 AND EXISTS (SELECT 1 FROM apps WHERE id = ?1 AND NOT is_named AND app_name = projects.name)",
            turn.app_id.as_str(),
            name
        ),
        sql!(
            "UPDATE apps SET app_name = ?2, is_named = 1 WHERE id = ?1 AND NOT is_named",
            turn.app_id.as_str(),
            name
        ),
    ]
}

/// The code of a version.
pub(super) fn version(app: &str, version: i64) -> Statement {
    sql!("SELECT code AS json FROM project_versions WHERE project_id = ?1 AND version = ?2", app, version)
}

/// Ends a turn and deletes its draft. Its last events must be added before.
pub(super) fn end(turn: &str, status: &str, now: i64) -> [Statement; 3] {
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

/// Uncounts the message of a turn without any answer. Must run before the turn is ended.
pub(super) fn refund(turn: &str) -> Statement {
    sql!(
        "UPDATE daily_counters SET used = max(0, used - 1)
         WHERE (user_id, name, day) IN (SELECT user_id, 'app-messages-day', counted_day FROM app_turns
           WHERE id = ?1 AND status = 'running' AND steps = 0)",
        turn
    )
}

/// Begins a failed turn again, unless another one runs meanwhile.
pub(super) fn reopen(turn: &str) -> [Statement; 2] {
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

/// Why a message cannot begin a turn.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Obstacles {
    pub(super) has_app: bool,
    /// The trace id of the running turn.
    pub(super) running: Option<String>,
    pub(super) usage: Usage,
    pub(super) apps_used: i64,
}

/// The messages of a user's day.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Usage {
    pub(super) used: i64,
    pub(super) limit: i64,
}

pub(super) fn obstacles(user: &str, day: i64, default: i64, app: Option<&str>) -> Statement {
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

/// A turn that a client follows.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Followed {
    pub(super) id: String,
    pub(super) app_id: String,
    pub(super) job_id: String,
}

const FOLLOWED_JSON: &str = "json_object('id', id, 'appId', app_id, 'jobId', job_id)";

/// When a message counts as a resend of an earlier one.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResendRule {
    /// The least time since the earlier one was sent.
    pub(super) apart_ms: i64,
    /// The most time since its turn ended.
    pub(super) recent_ms: i64,
    /// Whether the request has `Last-Event-ID`.
    pub(super) resumes: bool,
}

/// The turn of an equal message that a client sends again to the same app: while
/// the turn runs, or shortly after its end if no client has received that. Two
/// equal messages at the same moment are two messages.
pub(super) fn resent_turn(
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
pub(super) fn followed(id: &str, user: &str) -> Statement {
    sql!(
        concat!("SELECT ", FOLLOWED_JSON, " AS json FROM app_turns WHERE id = ?1 AND user_id = ?2"),
        id,
        user
    )
}

/// The newest turn of an app.
pub(super) fn newest(app: &str, user: &str) -> Statement {
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
pub(super) fn running(app: &str, user: &str) -> Statement {
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
pub(super) struct Progress {
    pub(super) is_running: bool,
    /// The job if its queue message is overdue. The follower sends that message.
    pub(super) overdue_job: Option<String>,
    pub(super) events: Vec<StoredEvent>,
}

#[derive(Debug, Deserialize)]
pub(super) struct StoredEvent {
    pub(super) id: String,
    pub(super) seq: i64,
    pub(super) event: String,
    /// JSON in one line.
    pub(super) data: String,
}

/// The most events of one poll.
const MOST_EVENTS: i64 = 50;

/// The events after number `seen`; with `turn` only those of that turn.
pub(super) fn progress(app: &str, turn: Option<&str>, seen: i64, is_staff: bool, now: i64) -> Statement {
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

/// Records that a client has received all events of a turn.
pub(super) fn set_delivered(turn: &str) -> Statement {
    sql!("UPDATE app_turns SET is_told = 1 WHERE id = ?1", turn)
}

/// Whether an app has an event of this number.
pub(super) fn has_event(app: &str, seq: i64) -> Statement {
    sql!("SELECT json_quote(seq) AS json FROM app_events WHERE app_id = ?1 AND seq = ?2", app, seq)
}

/// Guards that the turn is running.
pub(super) fn is_running(turn: &str) -> Statement {
    guard!("SELECT 1 FROM app_turns WHERE id = ?1 AND status = 'running'", turn)
}

/// Counts a user's apps.
pub(super) fn count_of(user: &str) -> Statement {
    sql!("SELECT CAST(count(*) AS TEXT) AS json FROM apps WHERE user_id = ?1", user)
}

/// Sets how many messages a user may send in a day. Returns a row if the user exists.
pub(super) fn set_limit(user: &str, limit: i64, now: i64) -> Statement {
    sql!(
        "INSERT INTO custom_message_limits (user_id, daily_message_limit, updated_at)
         SELECT id, ?2, ?3 FROM users WHERE id = ?1
         ON CONFLICT (user_id) DO UPDATE SET daily_message_limit = excluded.daily_message_limit, updated_at = excluded.updated_at
         RETURNING json_object('id', user_id) AS json",
        user,
        limit,
        now
    )
}

/// Records an object before it is written, as unused from `since` on.
pub(super) fn announce(key: &str, since: i64) -> Statement {
    sql!("INSERT OR REPLACE INTO unused_files (key, since) VALUES (?1, ?2)", key, since)
}

/// Sets the agent server's state, and marks the earlier one as unused.
pub(super) fn set_agent_state(turn: &AppTurn, key: &str, now: i64) -> [Statement; 2] {
    [
        sql!(
            "INSERT OR IGNORE INTO unused_files (key, since) SELECT agent_state, ?2 FROM apps WHERE id = ?1 AND agent_state IS NOT NULL",
            turn.app_id.as_str(),
            now
        ),
        sql!("UPDATE apps SET agent_state = ?2 WHERE id = ?1", turn.app_id.as_str(), key),
    ]
}

/// Sets an app's repository.
pub(super) fn set_repository(app: &str, repository: &Repository) -> Result<Statement, Error> {
    let json = serde_json::to_string(repository).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(sql!("UPDATE apps SET repository = ?2 WHERE id = ?1", app, json))
}

/// `{"repository", "code", "version"}` of an app.
pub(super) fn known(app: &str, user: &str) -> Statement {
    sql!(
        "SELECT json_object('repository', json(a.repository), 'code', p.code, 'version', p.version) AS json
         FROM apps a JOIN projects p ON p.id = a.id WHERE a.id = ?1 AND a.user_id = ?2",
        app,
        user
    )
}

/// An app's files and its owner, for a request with a signed URL.
pub(super) fn files(app: &str) -> Statement {
    sql!(
        "SELECT json_object('userId', a.user_id, 'name', a.app_name, 'code', p.code, 'version', p.version) AS json
         FROM apps a JOIN projects p ON p.id = a.id WHERE a.id = ?1",
        app
    )
}

/// Guards that the project still has this version.
pub(super) fn is_still(app: &str, version: i64) -> Statement {
    guard!("SELECT 1 FROM projects WHERE id = ?1 AND version = ?2", app, version)
}
