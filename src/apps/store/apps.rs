//! Apps: how they are shown, created, named, and where they go live.

use constcat::concat;

use super::turns::{AppTurn, NewTurn};
#[cfg(test)]
use crate::openapi::{Id, Time, Url};
use crate::{
    apps::destination::Destination,
    error::Error,
    store::{
        Statement,
        projects::{rfc3339, user_exists},
        shape::shape,
        sql,
    },
};

#[cfg(test)]
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
pub(in crate::apps) enum DeployStatus {
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
    pub(in crate::apps) struct AppView, APP_JSON {
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
pub(in crate::apps) fn list(user: &str, number: u32, limit: u32) -> Statement {
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

pub(in crate::apps) fn show(id: &str, user: &str) -> Statement {
    sql!(
        concat!("SELECT ", APP_JSON, " AS json FROM ", APP_ROWS, " WHERE a.id = ?1 AND a.user_id = ?2"),
        id,
        user
    )
}

/// Counts a user's apps.
pub(in crate::apps) fn count_of(user: &str) -> Statement {
    sql!("SELECT CAST(count(*) AS TEXT) AS json FROM apps WHERE user_id = ?1", user)
}

/// The app that a message begins.
#[derive(Debug)]
pub(in crate::apps) struct NewApp<'a> {
    pub(in crate::apps) name: &'a str,
    pub(in crate::apps) template_id: Option<&'a str>,
    pub(in crate::apps) client_source: Option<&'a str>,
}

/// Creates an app, after its project in the same batch. Does nothing for a deleted user.
pub(in crate::apps) fn create(turn: &NewTurn<'_>, app: &NewApp<'_>, now: i64) -> Statement {
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

/// Sets the target of the next deployments, and what runs there.
pub(in crate::apps) fn set_destination(
    app: &str,
    user: &str,
    destination: &Destination,
) -> Result<Statement, Error> {
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
pub(in crate::apps) fn set_model(app: &str, user: &str, model: &str) -> Statement {
    sql!("UPDATE apps SET model = ?3 WHERE id = ?1 AND user_id = ?2", app, user, model)
}

/// Names an app, unless it has been named already.
pub(in crate::apps) fn name_app(turn: &AppTurn, name: &str) -> [Statement; 2] {
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
