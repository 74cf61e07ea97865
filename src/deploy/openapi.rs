//! What the deploy module takes and answers.

use schemars::{JsonSchema, json_schema};
use serde::Serialize;
use serde_json::json;

use super::{
    NOT_FOUND, NewDeployment, PROJECT_NOT_FOUND, StartupDeployment, preview,
    store::{DeploymentSummary, DeploymentView},
    take_down::{not_live, under_way},
    target::Target,
};
use crate::{
    clouds::{CLOUDFLARE, koyeb, openapi::with_credentials, take_down::credentials_needed},
    error::Error,
    identity::quotas::{self, Quota},
    openapi::{Answer, Id, Module, Operation, Time, Url},
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

/// One event: a `log` line, its number as the id, or, without a name (a
/// `message`), how the deployment stands: `{id, status, url, message, error}`. The last one says
/// `live` or `failed`, with the id `end`; close the stream then.
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
            take_down(),
            preview(),
            hosted("GET /p/{slug}", "deploy.redirect", "Lead to the app")
                .about("Relative links of a page in a folder need the slash.")
                .answers(
                    Answer::new(308, "The app is at the same path with a slash.").with("Location", "There."),
                ),
            app("GET /p/{slug}/", "deploy.app", "Open the app"),
            app("GET /p/{slug}/{*path}", "deploy.file", "Load a file of the app").path(
                "path",
                "The rest of the path, slashes and all.",
                "style.css",
            ),
        ],
    }
}

const REGISTRY: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

fn started() -> Answer {
    let started = DeploymentStarted {
        deployment_id: ID,
        status: "pending",
        message: "Deployment started",
        target: Target::Edge,
    };
    Answer::new(202, "The deployment has begun; a job does the rest.")
        .json(started)
        .with("Location", "Where it can be followed.")
        .leads_to(&["deploy.show", "deploy.stream"], "id", "/deploymentId")
        .may_have("RateLimit", "What is left of today.")
}

/// What any new deployment may come to.
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
            "With `code`, that is deployed, and is the project's code from then on. `koyeb` can run a container image \
             or a git repository in its place. To a cloud it goes by the \
             credentials of this request's headers, else by those that you have stored, else by this Worker's own. \
             In development `cloudflare` is `edge` where there are none, and the log says so.",
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
    let deployments = Answer::new(200, "The deployments of the project, newest first.")
        .json(vec![DeploymentSummary::example()])
        .may_have("Link", "The next page, where there is one.");
    Operation::new("GET /api/projects/{id}/deployments", "deploy.list", "List the deployments of a project")
        .path("id", "The project.", Project::ID)
        .paged(20)
        .answers(deployments)
        .fails(PROJECT_NOT_FOUND)
}

fn roll_back() -> Operation {
    let route = "POST /api/deploy/{id}/rollback";
    begins(Operation::new(route, "deploy.roll_back", "Deploy once more what an earlier deployment deployed"))
        .about("To where that one went, as a deployment of its own. The project's code stays as it is.")
        .path("id", "The earlier deployment.", ID)
        .fails(NOT_FOUND)
}

fn take_down() -> Operation {
    let started = TakeDownStarted {
        deployment_id: ID,
        message: "Take-down started",
        target: Target::Cloud(CLOUDFLARE),
    };
    let operation = Operation::new("DELETE /api/deploy/{id}", "deploy.take_down", "Take the app down");
    with_credentials(operation)
        .about("The deployment stays, with the time of it; `DELETE /api/projects/{id}` takes down all.")
        .path("id", "The deployment that is live.", ID)
        .answers(
            Answer::new(202, "A job takes it down.")
                .json(started)
                .with("Location", "Where it can be followed.")
                .leads_to(&["deploy.show"], "id", "/deploymentId"),
        )
        .answers(Answer::new(204, "It is down."))
        .fails(NOT_FOUND)
        .fails(under_way())
        .fails(not_live())
        .fails(credentials_needed(CLOUDFLARE))
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Preview {
    url: Url,
    /// It is gone then, unless it is asked for again.
    expires_at: Time,
}

fn preview() -> Operation {
    let preview = Preview {
        url: Url("http://preview-7d1e0b9c5f3a48d2a6c4e8f0b2d49173.localhost:8787/"),
        expires_at: Time("2026-11-22T09:32:00.000Z"),
    };
    Operation::new("POST /api/projects/{id}/preview", "deploy.preview", "Preview a project")
        .about(
            "The newest version, compiled as `edge` does, at an address that nobody can guess, for a day. It is never in \
             discovery. Its pages tell the window that frames or has opened them of their errors, if that is of this \
             Worker's origin: by messages `{type: \"hatch-preview-error\", message, file, line}`.",
        )
        .path("id", "The project.", Project::ID)
        .answers(Answer::new(200, "Where it is.").json(preview))
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
    /// Where it will be, as far as that is known.
    deployment_url: Option<Url>,
}

fn startup() -> Operation {
    let started = StartupDeploymentStarted {
        status: "deploying",
        message: "Deployment to edge started",
        deployment_id: ID,
        deployment_url: Some(Url("http://slotwise-1f3a9c04.localhost:8787/")),
    };
    let answer = Answer::new(202, "The deployment has begun; a job does the rest.")
        .json(started)
        .with("Location", "Where it can be followed.")
        .leads_to(&["deploy.show", "deploy.stream"], "id", "/deployment_id");
    with_credentials(Operation::new("POST /api/deploy/{id}", "deploy.startup", "Deploy a startup"))
        .about("To Vercel where there is a credential for it, else to this Worker, unless `target` says otherwise.")
        .path("id", "The startup's project.", Project::ID)
        .optional_body::<StartupDeployment>(json!({}))
        .answers(answer.may_have("RateLimit", "What is left of today."))
        .fails(quotas::exceeded(Quota::Deploy, 50, 0))
        .fails(PROJECT_NOT_FOUND)
        .fails(super::still_processing())
        .fails(super::no_code(Target::Edge))
}

fn show() -> Operation {
    let answer = Answer::new(200, "The deployment as it stands.")
        .json(DeploymentView::example())
        .may_have("Retry-After", "Seconds; there while it is neither `live` nor `failed`.");
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
            "The id of the last event that came; only later ones follow.",
            json_schema!({ "type": "string" }),
        )
        .answers(
            Answer::new(200, "Its log and its status, as they change.").events::<DeploymentEvent>(STREAM),
        )
        .answers(Answer::new(204, "You have everything: an EventSource that reconnects stops here."))
        .fails(NOT_FOUND)
}

fn hosted(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary).path("slug", "The app's.", SLUG)
}

fn app(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    hosted(route, id, summary)
        .about(
            "The app is sandboxed here, its origin opaque. With `HOSTING_DOMAIN` set, it also answers at the origin \
             `<slug>.<HOSTING_DOMAIN>`, every path of which is its own.",
        )
        .header("If-None-Match", "Answers 304 if this is still its `ETag`.", json_schema!({ "type": "string" }))
        .answers(Answer::new(200, "A file of the app.").file("*/*").with("ETag", "Of its content."))
        .answers(Answer::new(304, "It has not changed.").with("ETag", "Of its content."))
        .answers(Answer::new(308, "It is in a folder, at the same path with a slash.").with("Location", "There."))
        .answers(Answer::new(400, "The path is not well encoded.").file("text/plain"))
        .answers(Answer::new(404, "There is no such app, or no such file in it.").file("text/html"))
}
