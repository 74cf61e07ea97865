//! The OpenAPI description of the apps module.

use schemars::{JsonSchema, json_schema};
use serde::Serialize;
use serde_json::json;

use super::{
    app::{NO_HISTORY, limit_exceeded},
    dialect::{BUSY, CONFLICT},
    files::{NOT_SIGNED, not_taken, unreachable},
    github::{
        FOR_STAFF, NewCommit, NewRepository, initialised, no_repository, not_connected, owner_missing,
        refused, repo_exists,
    },
    ids::{APP_NOT_FOUND, invalid_app_id},
    limits::{apps_exceeded, messages_exceeded},
    live::NOT_DEPLOYED,
    message::NewMessage,
    model::no_model,
    staff::{ClientEvent, USER_NOT_FOUND, UserLimits},
    store::{apps::AppView, events::AppMessage},
};
use crate::{
    error::{Error, UpstreamKind},
    http::caller,
    identity::Scope,
    openapi::{Count, DocumentedResponse, Id, Module, Operation, Time, Url},
    store::projects::Project,
};

const TRACE: &str = "app-1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36.req-6f1d2c3b-4a59-4e68-8d77-0c9b8a7f6e5d";
const USER: Id = Id("0b8f6a52-1c3d-4e9f-8a70-5d2e4c6b8f91");

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AppPage {
    data: Vec<AppView>,
    pagination: Pagination,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    total: Count,
    page: Count,
    limit: Count,
    total_pages: Count,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MessageLimit {
    is_user_limit_reached: bool,
    daily_message_limit: Count,
    remaining_messages: Count,
    current_usage: Count,
    next_reset_time: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Deleted {
    message: &'static str,
    app_id: Id,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Stopped {
    message: &'static str,
    app_id: Id,
    /// The trace id of the stopped turn.
    trace_id: Option<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
enum DeploymentHealth {
    Healthy,
    Stopping,
    Error,
    DeploymentInProgress,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DeploymentStatus {
    message: &'static str,
    is_deployed: bool,
    r#type: DeploymentHealth,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Employee {
    is_neon_employee: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Privileged {
    is_privileged_user: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Taken {
    status: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct UserOfOperator {
    id: Id,
    email: Option<&'static str>,
    name: Option<&'static str>,
    daily_message_limit: Count,
    current_usage: Count,
    apps: Count,
}

/// One event. `message` has `{status, traceId, appId, techStack, message, metadata?}`,
/// `done`, the last one, `{done, traceId, appId}`.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct AgentEvent {
    #[schemars(extend("enum" = ["message", "error", "debug", "done"]))]
    event: String,
    id: String,
    /// JSON in one line.
    #[schemars(extend("contentMediaType" = "application/json"))]
    data: String,
}

const STREAM: &str = r#"retry: 2000

event: message
id: 1f3a9c04-2
data: {"status":"running","traceId":"app-1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36.req-6f1d2c3b-4a59-4e68-8d77-0c9b8a7f6e5d","appId":"1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36","techStack":"static","message":{"kind":"WipUpdate","messages":[{"role":"assistant","content":"I write the files."}]}}

event: done
id: 1f3a9c04-9
data: {"done":true,"traceId":"app-1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36.req-6f1d2c3b-4a59-4e68-8d77-0c9b8a7f6e5d","appId":"1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36"}

"#;

pub(crate) fn module() -> Module {
    Module {
        name: "apps",
        about: "Apps that an agent makes from a conversation.",
        operations: vec![
            send(),
            list(),
            of_app("GET /apps/{id}", "apps.show", "Show an app")
                .answers(DocumentedResponse::new(200, "The app.").json(AppView::example())),
            history(),
            events(),
            stop(),
            delete(),
            limit(),
            deployment_status(),
            Operation::new(
                "GET /auth/is-neon-employee",
                "apps.is_employee",
                "Tell whether the caller is staff",
            )
            .answers(
                DocumentedResponse::new(200, "By their verified address.")
                    .json(Employee { is_neon_employee: false }),
            ),
            Operation::new(
                "GET /auth/is-privileged-user",
                "apps.is_privileged",
                "Tell whether the caller is staff, for later clients",
            )
            .answers(
                DocumentedResponse::new(200, "By their verified address.")
                    .json(Privileged { is_privileged_user: false }),
            ),
            Operation::new("POST /analytics/event", "apps.track", "Count what a client does")
                .about("Writes a line to the log; the database keeps nothing.")
                .body::<ClientEvent>(json!({ "eventType": "track", "eventName": "new_app_selected" }))
                .answers(DocumentedResponse::new(200, "The event was logged.").json(Taken { status: "ok" })),
            show_user(),
            set_user(),
            pull(),
            read_url(),
            download(),
            upload(),
            create_repo("POST /github/user/create-repo", "apps.create_user_repo"),
            create_repo("POST /github/org/create-repo", "apps.create_org_repo").fails(owner_missing()),
            commit("POST /github/user/initial-commit", "apps.begin_user_repo", FIRST).fails(initialised()),
            commit("POST /github/org/initial-commit", "apps.begin_org_repo", FIRST).fails(initialised()),
            commit("POST /github/user/commit", "apps.commit_to_user_repo", MORE),
            commit("POST /github/org/commit", "apps.commit_to_org_repo", MORE),
        ],
    }
}

const FIRST: (&str, &str) = ("Fill an empty repository", "Initial commit created");
const MORE: (&str, &str) = ("Commit files to a repository", "Changes committed");

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RepositoryCreated {
    status_code: Count,
    status: &'static str,
    message: &'static str,
    repository_url: Url,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Committed {
    message: &'static str,
    status: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Pulled {
    message: &'static str,
    app_id: Id,
    /// The project's version.
    version: Count,
    /// Paths of files that have changed.
    changed: Vec<&'static str>,
    /// Paths of files that a project cannot hold.
    skipped: Vec<&'static str>,
}

/// The header and the failures of every route that calls GitHub.
fn at_github(operation: Operation) -> Operation {
    let busy = Error::upstream(UpstreamKind::Busy, "GitHub takes no more changes for now");
    let timeout = Error::upstream(UpstreamKind::Timeout, "GitHub did not answer in time");
    let unreachable =
        Error::upstream(UpstreamKind::Unreachable, "GitHub cannot be reached, or broke off its answer");
    let unreadable =
        Error::upstream(UpstreamKind::Unreadable, "GitHub answered something that is not its API's");
    operation
        .header(
            "X-GitHub-Token",
            "Instead of the account that the caller has connected.",
            json_schema!({ "type": "string" }),
        )
        .fails(not_connected())
        .fails(refused(Error::upstream(UpstreamKind::Rejected, "GitHub refused (422): Validation Failed")))
        .fails(busy)
        .fails(timeout)
        .fails(unreachable)
        .fails(unreadable)
}

fn create_repo(route: &'static str, id: &'static str) -> Operation {
    let operation = Operation::new(route, id, "Make a repository at GitHub")
        .about("It is private. For development and for staff.")
        .body::<NewRepository>(json!({ "repo": "pomodoro-timer", "owner": "hatch" }))
        .answers(DocumentedResponse::new(200, "Done.").json(RepositoryCreated {
            status_code: Count(200),
            status: "success",
            message: "Repository created",
            repository_url: Url("https://github.com/hatch/pomodoro-timer"),
        }))
        .fails(FOR_STAFF)
        .fails(repo_exists());
    at_github(operation)
}

fn commit(
    route: &'static str,
    id: &'static str,
    (summary, message): (&'static str, &'static str),
) -> Operation {
    let body = json!({ "repo": "pomodoro-timer", "owner": "ada", "paths": [{ "path": "index.html", "content": "<h1>Hi</h1>" }] });
    let operation = Operation::new(route, id, summary)
        .about("One commit of all files, on the newest commit. For development and for staff.")
        .body_read_by::<NewCommit>(body, |new| new.changes().map(drop))
        .answers(DocumentedResponse::new(200, "Done.").json(Committed { message, status: "success" }))
        .fails(FOR_STAFF);
    at_github(operation)
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FileUrls {
    read_url: Url,
    /// Only with `write=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Url")]
    write_url: Option<Url>,
    /// In seconds.
    expires_in: Count,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FilesTaken {
    message: &'static str,
    app_id: Id,
    version: Count,
}

fn read_url() -> Operation {
    of_app("GET /apps/{id}/read-url", "apps.read_url", "Get a URL to an app's files")
        .about("The URL works for a quarter of an hour without a credential and gives a ZIP. `writeUrl` takes a PUT of a ZIP, as `application/zip`.")
        .query("write", "Whether to get a `writeUrl` too.", json_schema!({ "type": "string", "enum": ["true", "false"] }))
        .answers(DocumentedResponse::new(200, "The URLs.").json(FileUrls {
            read_url: Url("http://localhost:8787/apps/1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36/archive?expires=1795253472000&signature=q1w2"),
            write_url: None,
            expires_in: Count(900),
        }))
        .fails(caller::lacks(Scope::ProjectsWrite))
        .fails(unreachable(UpstreamKind::Rejected))
        .fails(unreachable(UpstreamKind::Unreachable))
}

fn signed(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    of_app(route, id, summary)
        .query("expires", "From the signed URL.", json_schema!({ "type": "string" }))
        .query("signature", "From the signed URL.", json_schema!({ "type": "string" }))
        .fails(NOT_SIGNED)
}

fn download() -> Operation {
    signed("GET /apps/{id}/archive", "apps.download", "Download an app's files by a signed URL")
        .answers(DocumentedResponse::new(200, "A ZIP.").file("application/zip"))
        .fails(Error::Refused {
            code: "not_archivable",
            detail: "a path that no archive should hold".to_owned(),
        })
}

fn upload() -> Operation {
    signed("PUT /apps/{id}/archive", "apps.upload", "Replace an app's files by a signed URL")
        .about("A ZIP of text files, 5 MB at most. They become a version of the project.")
        .answers(DocumentedResponse::new(200, "The files were replaced.").json(FilesTaken {
            message: "Files taken",
            app_id: Project::ID,
            version: Count(4),
        }))
        .fails(not_taken("it is no ZIP, or a damaged one"))
        .fails(Error::UnsupportedMediaType { expected: "application/zip" })
        .fails(Error::TooLarge { limit: 5_000_000 })
        .fails(BUSY)
}

fn pull() -> Operation {
    let operation =
        of_app("POST /apps/{id}/pull", "apps.pull", "Pull what was pushed to an app's repository")
            .about("It becomes a version of the project. If both sides have changed a file, nothing changes.")
            .answers(DocumentedResponse::new(200, "What has changed.").json(Pulled {
                message: "Pulled",
                app_id: Project::ID,
                version: Count(4),
                changed: vec!["index.html"],
                skipped: vec![],
            }))
            .fails(CONFLICT)
            .fails(BUSY)
            .fails(no_repository())
            .fails(Error::Refused {
                code: "not_a_project",
                detail: "The repository has more than 2000 files".to_owned(),
            });
    at_github(operation)
}

fn limited(answer: DocumentedResponse) -> DocumentedResponse {
    answer
        .with("X-DailyLimit-Limit", "Messages a day.")
        .with("X-DailyLimit-Remaining", "Messages that are left today.")
        .with("X-DailyLimit-Usage", "Messages of today, this one included.")
        .with("X-DailyLimit-Reset", "When the next day begins.")
}

fn of_app(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary)
        .path("id", "The id of the app.", Project::ID)
        .fails(invalid_app_id())
        .fails(APP_NOT_FOUND)
}

fn send() -> Operation {
    Operation::new("POST /message", "apps.send", "Say what to build")
        .about(
            "A message begins an app, or changes an existing one. The response is a stream of events. The work goes on when the \
             client leaves: come back with `Last-Event-ID`, or to `GET /apps/{id}/events`. The same message to the same app \
             during its turn is not counted again.",
        )
        .header(
            "X-GitHub-Token",
            "The token to commit the app to a repository of the caller's; stored sealed until the work has ended.",
            json_schema!({ "type": "string" }),
        )
        .header("Last-Event-ID", "The id of the last event that the client has.", json_schema!({ "type": "string" }))
        .body_read_by::<NewMessage>(json!({ "message": "A pomodoro timer", "clientSource": "cli" }), |new| {
            new.destination().map(drop)
        })
        .answers(limited(DocumentedResponse::new(200, "The events as they happen.")).events::<AgentEvent>(STREAM))
        .fails(APP_NOT_FOUND)
        .fails(BUSY)
        .fails(messages_exceeded(10, 0))
        .fails(apps_exceeded(50, 0))
        .fails(no_model())
}

fn list() -> Operation {
    let page = AppPage {
        data: vec![AppView::example()],
        pagination: Pagination { total: Count(1), page: Count(1), limit: Count(10), total_pages: Count(1) },
    };
    Operation::new("GET /apps", "apps.list", "List the caller's apps")
        .about("Newest first. A page beyond the last one is empty.")
        .query(
            "limit",
            "How many at most.",
            json_schema!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 10 }),
        )
        .query(
            "page",
            "Which page.",
            json_schema!({ "type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1 }),
        )
        .answers(limited(DocumentedResponse::new(200, "A page of apps.")).json(page))
        .fails(limit_exceeded())
}

fn history() -> Operation {
    of_app("GET /apps/{id}/history", "apps.history", "Read an app's conversation")
        .about("Oldest first.")
        .paged(1_000)
        .answers(
            DocumentedResponse::new(200, "The messages.")
                .json(vec![AppMessage::example()])
                .may_have("Link", "The next page, `rel=\"next\"`."),
        )
        .fails(NO_HISTORY)
}

fn events() -> Operation {
    of_app("GET /apps/{id}/events", "apps.events", "Follow what happens to an app")
        .about("The events after `Last-Event-ID` or `after`, and new ones while an agent works. Without either, all events of the newest message.")
        .query("after", "The same as `Last-Event-ID`.", json_schema!({ "type": "string" }))
        .header("Last-Event-ID", "The id of the last event that the client has.", json_schema!({ "type": "string" }))
        .answers(DocumentedResponse::new(200, "The events as they happen.").events::<AgentEvent>(STREAM))
}

fn stop() -> Operation {
    of_app("POST /apps/{id}/stop", "apps.stop", "Stop the agent")
        .about("What it has made until then is kept as a version of the project.")
        .answers(DocumentedResponse::new(200, "The agent has stopped.").json(Stopped {
            message: "Stopped",
            app_id: Project::ID,
            trace_id: Some(TRACE),
        }))
}

fn delete() -> Operation {
    of_app("DELETE /apps/{id}", "apps.delete", "Delete an app")
        .about("Its files, deployments and conversation go with it, and its live apps are taken down. Its repository stays.")
        .query("force", "Deletes the app even if it is live in a cloud for which there are no credentials.", json_schema!({ "type": "string", "enum": ["true", "false"] }))
        .answers(DocumentedResponse::new(200, "It is deleted.").json(Deleted { message: "App deleted", app_id: Project::ID }))
        .fails(Error::PreconditionFailed)
        .fails(Error::Conflict { code: "credentials_needed", detail: "An app of this is live where no credentials reach".into() })
}

fn limit() -> Operation {
    let limit = MessageLimit {
        is_user_limit_reached: false,
        daily_message_limit: Count(10),
        remaining_messages: Count(7),
        current_usage: Count(3),
        next_reset_time: Time("2026-11-22T00:00:00.000Z"),
    };
    Operation::new("GET /message-limit", "apps.limit", "Tell how many messages are left today")
        .answers(limited(DocumentedResponse::new(200, "The messages of today.")).json(limit))
}

fn deployment_status() -> Operation {
    Operation::new("GET /deployment-status/{id}", "apps.deployment_status", "Show the status of a deployment")
        .path("id", "The id of a deployment, or of an app for its newest deployment.", Project::ID)
        .answers(DocumentedResponse::new(200, "The status.").json(DeploymentStatus {
            message: "The application is live",
            is_deployed: true,
            r#type: DeploymentHealth::Healthy,
        }))
        .fails(invalid_app_id())
        .fails(APP_NOT_FOUND)
        .fails(NOT_DEPLOYED)
}

fn user() -> UserOfOperator {
    UserOfOperator {
        id: USER,
        email: Some("ada@example.com"),
        name: Some("Ada"),
        daily_message_limit: Count(10),
        current_usage: Count(3),
        apps: Count(2),
    }
}

fn show_user() -> Operation {
    Operation::new("GET /admin/users/{id}", "apps.show_user", "Show a user")
        .path("id", "The id of the user.", USER)
        .answers(DocumentedResponse::new(200, "The user.").json(user()))
        .fails(USER_NOT_FOUND)
}

fn set_user() -> Operation {
    Operation::new("PUT /admin/users/{id}", "apps.set_user", "Set how many messages a day a user may send")
        .path("id", "The id of the user.", USER)
        .body::<UserLimits>(json!({ "dailyMessageLimit": 100 }))
        .answers(DocumentedResponse::new(200, "The user.").json(user()))
        .fails(USER_NOT_FOUND)
}
