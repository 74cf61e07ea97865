//! The contracts of the deploy module.

use schemars::{JsonSchema, json_schema};
use serde::Serialize;
use serde_json::json;

use super::{
    NOT_FOUND, NewDeployment, PROJECT_NOT_FOUND, StartupDeployment, preview,
    store::{DeploymentSummary, DeploymentView},
    target::Target,
    undeploy::{not_live, under_way},
};
use crate::{
    clouds::{CLOUDFLARE, koyeb, openapi::with_credentials, undeploy::credentials_needed},
    error::Error,
    identity::quotas::{self, Quota},
    openapi::{DocumentedResponse, Id, Module, Operation, Time, Url},
    store::projects::Project,
};

const ID: Id = Id("c7e5a1d2-83f4-4069-b1c8-5a9d0e6f2b47");
const SLUG: &str = "pomodoro-1f3a9c04";

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DeploymentStarted {
    deployment_id: Id,
    #[schemars(extend("const" = "pending"))]
    status: &'static str,
    message: &'static str,
    target: Target,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TakeDownStarted {
    deployment_id: Id,
    message: &'static str,
    target: Target,
}

/// One event: a `log` line with its number as the id or, without a name (a `message`), the
/// deployment's status: `{id, status, url, message, error}`. The last event has the status `live`
/// or `failed` and the id `end`; close the stream then.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct DeploymentEvent {
    #[schemars(with = "String", extend("enum" = ["log", "message"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// JSON.
    #[schemars(extend("contentMediaType" = "application/json"))]
    data: String,
}

const STREAM: &str = r#"id: 1
event: log
data: {"level":"info","message":"Building 3 files","timestamp":"2026-11-21T09:32:00.120Z"}

data: {"id":"c7e5a1d2-83f4-4069-b1c8-5a9d0e6f2b47","status":"building","url":null,"error":null,"message":"Deployment building"}

id: end
data: {"id":"c7e5a1d2-83f4-4069-b1c8-5a9d0e6f2b47","status":"live","url":"http://pomodoro-1f3a9c04.localhost:8787/","error":null,"message":"Deployment live"}

"#;

pub(crate) fn module() -> Module {
    Module {
        name: "deploy",
        about: "From a project's code to a live app.",
        operations: vec![
            create(),
            startup(),
            list(),
            show(),
            stream(),
            roll_back(),
            undeploy(),
            preview(),
            hosted("GET /p/{slug}", "deploy.redirect", "Redirect to the app")
                .about("Relative links of a page in a folder need the slash.")
                .answers(
                    DocumentedResponse::new(308, "The app is at the same path with a slash.")
                        .with("Location", "The address with the slash."),
                ),
            app("GET /p/{slug}/", "deploy.app", "Open the app"),
            app("GET /p/{slug}/{*path}", "deploy.file", "Load a file of the app").path(
                "path",
                "The rest of the path, including slashes.",
                "style.css",
            ),
        ],
    }
}

const REGISTRY: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

fn started() -> DocumentedResponse {
    let started = DeploymentStarted {
        deployment_id: ID,
        status: "pending",
        message: "Deployment started",
        target: Target::Edge,
    };
    DocumentedResponse::new(202, "The deployment has started; a job does the rest.")
        .json(started)
        .with("Location", "The address of the deployment, for its progress.")
        .leads_to(&["deploy.show", "deploy.stream"], "id", "/deploymentId")
        .may_have("RateLimit", "The rest of today's limit.")
}

/// The errors of every new deployment.
fn begins(operation: Operation) -> Operation {
    with_credentials(operation)
        .answers(started())
        .fails(quotas::exceeded(Quota::Deploy, 50, 0))
        .fails(koyeb::own_needed("Send X-Koyeb-Token"))
        .fails(koyeb::foreign_repository(REGISTRY, "pomodoro-1f3a9c04"))
}

fn create() -> Operation {
    begins(Operation::new("POST /api/deploy", "deploy.create", "Deploy a project"))
        .about(
            "`code` is deployed if it is present, and becomes the project's code. `koyeb` can run a container image or a \
             git repository instead. Deploying to a cloud uses the credentials in this request's headers, otherwise \
             those that you have stored, otherwise this Worker's own. In development, `cloudflare` without any \
             credentials means `edge`, and the log says so.",
        )
        .body_read_by::<NewDeployment>(json!({ "projectId": Project::ID }), |new| {
            new.files()?;
            new.container().map(drop)
        })
        .fails(PROJECT_NOT_FOUND)
        .fails(super::still_processing())
        .fails(Error::Refused { code: "no_code", detail: "No code to deploy".to_owned() })
}

fn list() -> Operation {
    let deployments = DocumentedResponse::new(200, "The deployments of the project, newest first.")
        .json(vec![DeploymentSummary::example()])
        .may_have("Link", "The next page, if there is one.");
    Operation::new("GET /api/projects/{id}/deployments", "deploy.list", "List the deployments of a project")
        .path("id", "The project.", Project::ID)
        .paged(20)
        .answers(deployments)
        .fails(PROJECT_NOT_FOUND)
}

fn roll_back() -> Operation {
    let route = "POST /api/deploy/{id}/rollback";
    begins(Operation::new(route, "deploy.roll_back", "Repeat an earlier deployment"))
        .about("Creates a new deployment with the same code and target. The project's code does not change.")
        .path("id", "The earlier deployment.", ID)
        .fails(NOT_FOUND)
}

fn undeploy() -> Operation {
    let started = TakeDownStarted {
        deployment_id: ID,
        message: "Take-down started",
        target: Target::Cloud(CLOUDFLARE),
    };
    let operation = Operation::new("DELETE /api/deploy/{id}", "deploy.take_down", "Take the app down");
    with_credentials(operation)
        .about("The deployment itself stays, with the time; `DELETE /api/projects/{id}` takes down all apps of a project.")
        .path("id", "The deployment that is live.", ID)
        .answers(
            DocumentedResponse::new(202, "A job takes it down.")
                .json(started)
                .with("Location", "The address of the deployment, for its progress.")
                .leads_to(&["deploy.show"], "id", "/deploymentId"),
        )
        .answers(DocumentedResponse::new(204, "It was taken down at once."))
        .fails(NOT_FOUND)
        .fails(under_way())
        .fails(not_live())
        .fails(credentials_needed(CLOUDFLARE))
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Preview {
    url: Url,
    /// The preview is deleted then, unless it is requested again.
    expires_at: Time,
}

fn preview() -> Operation {
    let preview = Preview {
        url: Url("http://preview-7d1e0b9c5f3a48d2a6c4e8f0b2d49173.localhost:8787/"),
        expires_at: Time("2026-11-22T09:32:00.000Z"),
    };
    Operation::new("POST /api/projects/{id}/preview", "deploy.preview", "Preview a project")
        .about(
            "The newest version, compiled as `edge` does, at an address that cannot be guessed, for a day. It is never listed in \
             discovery. Its pages report their errors to the window that frames or opened them, if that has this \
             Worker's origin, with messages `{type: \"hatch-preview-error\", message, file, line}`.",
        )
        .path("id", "The project.", Project::ID)
        .answers(DocumentedResponse::new(200, "The address of the preview.").json(preview))
        .fails(PROJECT_NOT_FOUND)
        .fails(super::still_processing())
        .fails(super::no_code(Target::Edge))
        .fails(preview::server_needed())
        .fails(preview::not_compiled("src/App.tsx:2:13: Unexpected \";\"".to_owned()))
}

#[derive(Debug, Serialize, JsonSchema)]
struct StartupDeploymentStarted {
    #[schemars(extend("const" = "deploying"))]
    status: &'static str,
    message: &'static str,
    deployment_id: Id,
    /// The future URL, if it is known already.
    deployment_url: Option<Url>,
}

fn startup() -> Operation {
    let started = StartupDeploymentStarted {
        status: "deploying",
        message: "Deployment to edge started",
        deployment_id: ID,
        deployment_url: Some(Url("http://slotwise-1f3a9c04.localhost:8787/")),
    };
    let answer = DocumentedResponse::new(202, "The deployment has started; a job does the rest.")
        .json(started)
        .with("Location", "The address of the deployment, for its progress.")
        .leads_to(&["deploy.show", "deploy.stream"], "id", "/deployment_id");
    with_credentials(Operation::new("POST /api/deploy/{id}", "deploy.startup", "Deploy a startup"))
        .about("To Vercel if there are credentials for it, otherwise to this Worker, unless the request names a `target`.")
        .path("id", "The startup's project.", Project::ID)
        .optional_body::<StartupDeployment>(json!({}))
        .answers(answer.may_have("RateLimit", "The rest of today's limit."))
        .fails(quotas::exceeded(Quota::Deploy, 50, 0))
        .fails(PROJECT_NOT_FOUND)
        .fails(super::still_processing())
        .fails(super::no_code(Target::Edge))
}

fn show() -> Operation {
    let answer = DocumentedResponse::new(200, "The deployment.")
        .json(DeploymentView::example())
        .may_have("Retry-After", "In seconds, while it is neither `live` nor `failed`.");
    Operation::new("GET /api/deploy/{id}", "deploy.show", "Show a deployment")
        .path("id", "The deployment.", ID)
        .answers(answer)
        .fails(NOT_FOUND)
}

fn stream() -> Operation {
    Operation::new("GET /api/deploy/{id}/stream", "deploy.stream", "Follow a deployment until it has ended")
        .path("id", "The deployment.", ID)
        .header(
            "Last-Event-ID",
            "The id of the last event that the client received; only later ones follow.",
            json_schema!({ "type": "string" }),
        )
        .answers(
            DocumentedResponse::new(200, "Its log lines and status changes.")
                .events::<DeploymentEvent>(STREAM),
        )
        .answers(DocumentedResponse::new(
            204,
            "The client has received everything: an EventSource that reconnects stops here.",
        ))
        .fails(NOT_FOUND)
}

fn hosted(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary).path("slug", "The app's slug.", SLUG)
}

fn app(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    hosted(route, id, summary)
        .about(
            "Here the app is sandboxed in an opaque origin. With `HOSTING_DOMAIN` it is also at the origin \
             `<slug>.<HOSTING_DOMAIN>`, where every path belongs to it.",
        )
        .header(
            "If-None-Match",
            "Answers 304 if this is still its `ETag`.",
            json_schema!({ "type": "string" }),
        )
        .answers(
            DocumentedResponse::new(200, "A file of the app.")
                .file("*/*")
                .with("ETag", "The entity tag of its content."),
        )
        .answers(
            DocumentedResponse::new(304, "The file has not changed.")
                .with("ETag", "The entity tag of its content."),
        )
        .answers(
            DocumentedResponse::new(308, "The page is in a folder, at the same path with a slash.")
                .with("Location", "The address with the slash."),
        )
        .answers(DocumentedResponse::new(400, "The path is badly encoded.").file("text/plain"))
        .answers(
            DocumentedResponse::new(404, "The app does not exist, or has no such file.").file("text/html"),
        )
}
