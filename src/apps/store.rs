//! SQL of the apps module. Every statement takes the owner, or the turn whose
//! job runs it.

use constcat::concat;
use serde::Deserialize;

use super::{
    destination::{Destination, Runs},
    events::Event,
    reservations,
};
use crate::error::Error;
#[cfg(test)]
use crate::openapi::{Id, Time, Url};
use crate::store::{
    Statement, guard,
    owned::{Owned, give, released},
    page,
    page::Page,
    projects::{is_somebody, rfc3339},
    shape::shape,
    sql,
};

pub(crate) const OWNED: Owned = Owned {
    tables: &["apps", "app_turns", "app_reservations", "custom_message_limits"],
    export: &[("apps", export_apps), ("appMessages", export_messages)],
    // A limit stays, as what was counted does.
    delete: |user| {
        let mut statements: Vec<Statement> = reservations::let_go_of_user(user).into();
        statements.push(sql!("DELETE FROM app_turns WHERE user_id = ?1", user));
        statements.push(sql!("DELETE FROM apps WHERE user_id = ?1", user));
        statements
    },
    give: |from, to| {
        vec![
            give!("apps", from, to),
            give!("app_turns", from, to),
            give!("app_reservations", from, to),
            // One that the second account has of its own stays.
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

/// What counts the messages of a user's day, and under no user's id the apps of everybody's.
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

/// As clients know a deployment's status, of `deployments d`.
const DEPLOY_STATUS: &str = "CASE d.status WHEN 'live' THEN 'deployed' WHEN 'failed' THEN 'failed' WHEN 'pending' THEN 'pending' ELSE 'deploying' END";

shape! {
    // The rows `a`, its project `p`, and `d`, its newest deployment.
    /// An app.
    #[schemars(rename = "AgentApp")]
    pub(super) struct AppView, APP_JSON {
        id: Id = "a.id", crate::store::projects::Project::ID;
        appName: &'static str = "a.app_name", "pomodoro-timer";
        name: &'static str = "a.app_name", "pomodoro-timer";
        techStack: &'static str = "a.tech_stack", "static";
        templateId: Option<&'static str> = "a.template_id", None;
        clientSource: Option<&'static str> = "a.client_source", Some("cli");
        /// Where its commits are.
        repositoryUrl: Option<Url> = "a.repository ->> 'url'", Some(Url("https://github.com/ada/pomodoro-timer"));
        /// Where it is live.
        appUrl: Option<Url> = "p.deployment_url", Some(Url("http://pomodoro-timer-1f3a9c04.localhost:8787/"));
        /// The model that its owner has chosen; none is the operator's choice.
        model: Option<&'static str> = "a.model", None;
        deploymentId: Option<Id> = "d.id", None;
        /// None before its first deployment.
        deployStatus: Option<DeployStatus> = concat!("iif(d.id IS NULL, NULL, ", DEPLOY_STATUS, ")"), Some(DeployStatus::Deployed);
        /// Whether an agent works on it.
        recompileInProgress: bool = "json(iif(EXISTS (SELECT 1 FROM app_turns WHERE app_id = a.id AND status = 'running'), 'true', 'false'))", false;
        /// Of the newest message.
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
    /// Something that was said of an app.
    pub(super) struct AppMessage, MESSAGE_JSON {
        /// That of its event.
        id: &'static str = EVENT_ID, "1f3a9c04-2";
        appId: Id = "app_id", crate::store::projects::Project::ID;
        prompt: &'static str = "coalesce((SELECT group_concat(m.value ->> 'content', char(10)) FROM json_each(data, '$.message.messages') m), '')", "A pomodoro timer";
        kind: Speaker = "iif(event = 'user', 'user', 'assistant')", Speaker::User;
        messageKind: &'static str = "data ->> '$.message.kind'", "UserMessage";
        /// Of a notice of the platform's: its `type`, and what it is about.
        metadata: Option<serde_json::Value> = "json(data -> '$.metadata')", None;
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T09:31:12.345Z");
    }
}

/// An event's id: that of its app, shortened, and its number in there.
const EVENT_ID: &str = "substr(app_id, 1, 8) || '-' || seq";

/// Everything that was said, oldest first, by bytes of at most one string.
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

fn export_apps(user: &str, page: &Page) -> Statement {
    let (key, id) = page.bound();
    sql!(
        page!(
            rows: "FROM apps WHERE user_id = ?1 AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: concat!(
                "json_object('id', id, 'appName', app_name, 'techStack', tech_stack, 'target', target, 'runs', json(runs), 'model', model, ",
                "'repositoryUrl', repository ->> 'url', 'createdAt', ", rfc3339!("created_at"), ")"
            ),
            bytes: "0"
        ),
        user,
        key,
        id,
        page.limit
    )
}

fn export_messages(user: &str, page: &Page) -> Statement {
    let (key, id) = page.bound();
    sql!(
        page!(
            rows: "FROM app_turns WHERE user_id = ?1 AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: concat!(
                "json_object('id', id, 'appId', app_id, 'message', message, 'status', status, 'costMicroUsd', cost_micro_usd, ",
                "'answers', (SELECT json_group_array(json(data)) FROM app_events WHERE turn_id = id AND event = 'message'), ",
                "'createdAt', ", rfc3339!("created_at"), ")"
            ),
            bytes: "length(CAST(message AS BLOB)) + 20000"
        ),
        user,
        key,
        id,
        page.limit
    )
}

/// How a user's messages of a day stand: `{"used", "limit"}`; `?2` is the day, `?3` the default.
const USAGE: &str = "json_object('used', coalesce((SELECT used FROM daily_counters
    WHERE user_id = ?1 AND name = 'app-messages-day' AND day = ?2), 0),
  'limit', coalesce((SELECT daily_message_limit FROM custom_message_limits WHERE user_id = ?1), CAST(?3 AS INTEGER)))";

pub(super) fn usage(user: &str, day: i64, default: i64) -> Statement {
    sql!(concat!("SELECT ", USAGE, " AS json"), user, day, default)
}

/// A message, and who sends it how.
#[derive(Debug)]
pub(super) struct New<'a> {
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

/// What a message makes a new app of.
#[derive(Debug)]
pub(super) struct NewApp<'a> {
    pub(super) name: &'a str,
    pub(super) template_id: Option<&'a str>,
    pub(super) client_source: Option<&'a str>,
}

/// Guards and counts a message of a user's day.
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

/// Guards and counts a new app of everybody's day; one who is exempt is counted all the same.
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

/// A new app, whose project has been made right before. Nothing for a user who is gone.
pub(super) fn create(turn: &New<'_>, app: &NewApp<'_>, now: i64) -> Statement {
    sql!(
        concat!(
            "INSERT INTO apps (id, user_id, app_name, tech_stack, template_id, client_source, trace_id, created_at, updated_at)
             SELECT ?1, ?2, ?3, coalesce(?4, 'static'), ?4, ?5, ?6, ?7, ?7 WHERE ",
            is_somebody!("?2")
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

/// Guards a message to an app that there is: it is the user's, and nobody works on it.
pub(super) fn is_free(app: &str, user: &str) -> Statement {
    guard!(
        "SELECT 1 FROM apps WHERE id = ?1 AND user_id = ?2
           AND NOT EXISTS (SELECT 1 FROM app_turns WHERE app_id = ?1 AND status = 'running')",
        app,
        user
    )
}

/// Where the next deployments go, and what runs there.
pub(super) fn set_destination(app: &str, destination: &Destination) -> Result<Statement, Error> {
    let runs = destination.runs.as_ref().map(serde_json::to_string).transpose();
    let runs = runs.map_err(|e| Error::Internal(e.to_string()))?;
    Ok(sql!("UPDATE apps SET target = ?2, runs = ?3 WHERE id = ?1", app, destination.target.as_str(), runs))
}

/// Who answers this message and the next ones.
pub(super) fn set_model(app: &str, model: &str) -> Statement {
    sql!("UPDATE apps SET model = ?2 WHERE id = ?1", app, model)
}

/// The turn, with the draft that it works on and the message as the first thing told.
pub(super) fn begin(turn: &New<'_>, is_new_app: bool, now: i64) -> Vec<Statement> {
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
        tell(turn.id, &[Event::user(turn.message)], now),
    ]
}

/// Adds events to a turn that is running, after what was told.
pub(super) fn tell(turn: &str, events: &[Event], now: i64) -> Statement {
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

/// A turn that runs, as the steps of its job read it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Turn {
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
    /// As its owner has named it.
    pub(super) model: Option<String>,
    /// The key of an object.
    pub(super) agent_state: Option<String>,
    pub(super) repository: Option<Repository>,
    pub(super) deployment_id: Option<String>,
    /// The API key that the message came with.
    pub(super) key_id: Option<String>,
    /// What that key may, as JSON which models/limits.rs reads.
    pub(super) key_limits: Option<String>,
}

/// Where an app's commits are, and what was last committed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
pub(super) struct Repository {
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) url: String,
    pub(super) branch: String,
    /// The newest commit of ours, or that was pulled; none before the first one.
    pub(super) sha: Option<String>,
    /// The version of the project that it has.
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

/// The files that a turn works on: the version that they began with, and they themselves.
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

/// The steps of a turn, in order, each as [`super::transcript`] wrote it.
pub(super) fn steps(turn: &str) -> Statement {
    sql!("SELECT step AS json FROM app_steps WHERE turn_id = ?1 ORDER BY seq", turn)
}

pub(super) fn add_step(turn: &str, seq: i64, step: &str) -> Statement {
    sql!("INSERT INTO app_steps (turn_id, seq, step) VALUES (?1, ?2, ?3)", turn, seq, step)
}

/// One more answer of the model.
pub(super) fn count_step(turn: &str, model: &str) -> Statement {
    sql!("UPDATE app_turns SET steps = steps + 1, model = ?2 WHERE id = ?1", turn, model)
}

/// What an answer has taken, whatever becomes of its step.
pub(super) fn spend(turn: &str, tokens: i64, cost_micro_usd: i64) -> Statement {
    sql!(
        "UPDATE app_turns SET tokens = tokens + ?2, cost_micro_usd = cost_micro_usd + ?3 WHERE id = ?1",
        turn,
        tokens,
        cost_micro_usd
    )
}

/// How the agent ended.
pub(super) fn set_result(turn: &str, result: &str) -> Statement {
    sql!("UPDATE app_turns SET result = ?2 WHERE id = ?1", turn, result)
}

/// What was said of an app before a turn, oldest first: `{"role", "kind", "text", "turnId"}`.
pub(super) fn earlier(turn: &Turn, most: u32) -> Statement {
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

/// What was said before, as agents are told it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Earlier {
    pub(super) role: String,
    pub(super) kind: String,
    pub(super) text: String,
}

/// Names an app for the first time; a name that it has stays.
pub(super) fn name_app(turn: &Turn, name: &str) -> [Statement; 2] {
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

/// Ends a turn; what it worked with is kept no longer. After what it tells last.
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

/// Gives a message back for which nothing was delivered. Before the turn is ended.
pub(super) fn refund(turn: &str) -> Statement {
    sql!(
        "UPDATE daily_counters SET used = max(0, used - 1)
         WHERE (user_id, name, day) IN (SELECT user_id, 'app-messages-day', counted_day FROM app_turns
           WHERE id = ?1 AND status = 'running' AND steps = 0)",
        turn
    )
}

/// Begins a failed turn again, unless another one has begun meanwhile.
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
    /// Of the turn that runs.
    pub(super) running: Option<String>,
    pub(super) usage: Usage,
    pub(super) apps_used: i64,
}

/// Messages of a user's day.
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

/// By what a message is taken for one that was sent before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Again {
    /// Since that one was sent.
    pub(super) apart_ms: i64,
    /// Since its turn ended.
    pub(super) recent_ms: i64,
    /// The client says what it has got.
    pub(super) resumes: bool,
}

/// The turn that a message belongs to which a client sends once more: the same
/// words to the same app while it runs, or in the seconds after its end if no
/// client has got that, sent `apart` milliseconds later at least: two at once
/// are two messages.
pub(super) fn twin(user: &str, app: Option<&str>, message: &str, again: Again, now: i64) -> Statement {
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

/// The turn that runs on an app.
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

/// What of an app's events a client has not got.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Progress {
    pub(super) is_running: bool,
    /// Due for a message; whoever waits wakes it.
    pub(super) overdue_job: Option<String>,
    pub(super) events: Vec<Told>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub(super) id: String,
    pub(super) seq: i64,
    pub(super) event: String,
    /// JSON in one line.
    pub(super) data: String,
}

/// The most events of one look.
const MOST_EVENTS: i64 = 50;

/// The events after number `seen`; with `turn` only that turn's.
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

/// That a client has got all of a turn.
pub(super) fn told(turn: &str) -> Statement {
    sql!("UPDATE app_turns SET is_told = 1 WHERE id = ?1", turn)
}

/// Whether a number is that of an event of an app.
pub(super) fn has_event(app: &str, seq: i64) -> Statement {
    sql!("SELECT json_quote(seq) AS json FROM app_events WHERE app_id = ?1 AND seq = ?2", app, seq)
}

/// The job of a turn, for its end at its owner's wish.
pub(super) fn is_running(turn: &str) -> Statement {
    guard!("SELECT 1 FROM app_turns WHERE id = ?1 AND status = 'running'", turn)
}

/// How many apps a user has.
pub(super) fn count_of(user: &str) -> Statement {
    sql!("SELECT CAST(count(*) AS TEXT) AS json FROM apps WHERE user_id = ?1", user)
}

/// Sets how many messages a day a user may send. Answers with a row if there is such a user.
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

/// Notes an object before it is written, as unused from `since` on.
pub(super) fn announce(key: &str, since: i64) -> Statement {
    sql!("INSERT OR REPLACE INTO unused_files (key, since) VALUES (?1, ?2)", key, since)
}

/// What the agent server remembers from now on; what it remembered before is of no use any more.
pub(super) fn remember(turn: &Turn, key: &str, now: i64) -> [Statement; 2] {
    [
        sql!(
            "INSERT OR IGNORE INTO unused_files (key, since) SELECT agent_state, ?2 FROM apps WHERE id = ?1 AND agent_state IS NOT NULL",
            turn.app_id.as_str(),
            now
        ),
        sql!("UPDATE apps SET agent_state = ?2 WHERE id = ?1", turn.app_id.as_str(), key),
    ]
}

/// Where an app's commits are from now on.
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

/// An app's files, and whose they are, for whoever was given a URL.
pub(super) fn files(app: &str) -> Statement {
    sql!(
        "SELECT json_object('userId', a.user_id, 'name', a.app_name, 'code', p.code, 'version', p.version) AS json
         FROM apps a JOIN projects p ON p.id = a.id WHERE a.id = ?1",
        app
    )
}

/// Guards that nobody has changed the project meanwhile.
pub(super) fn is_still(app: &str, version: i64) -> Statement {
    guard!("SELECT 1 FROM projects WHERE id = ?1 AND version = ?2", app, version)
}
