//! The OpenAPI contract of the entry point.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    error::{Error, Resource},
    openapi::{DocumentedResponse, Module, Operation},
};

#[derive(Debug, Serialize, JsonSchema)]
struct Service {
    #[schemars(extend("const" = "ok"))]
    status: &'static str,
    #[schemars(extend("const" = "hatch-api"))]
    service: &'static str,
    version: &'static str,
    message: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Health {
    #[schemars(extend("const" = "ok"))]
    status: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Ready {
    status: Readiness,
    checks: Checks,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Readiness {
    Ready,
    NotReady,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Checks {
    database: Check,
    kv: Check,
    queue: Check,
    configuration: Check,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Check {
    Ok,
    Failed,
}

fn ready(status: Readiness, database: Check) -> Ready {
    Ready { status, checks: Checks { database, kv: Check::Ok, queue: Check::Ok, configuration: Check::Ok } }
}

pub(crate) fn module() -> Module {
    let service = Service {
        status: "ok",
        service: "hatch-api",
        version: super::VERSION,
        message: "From a prompt to a live app.",
    };
    Module {
        name: "root",
        about: "What this service is, and whether it runs.",
        operations: vec![
            Operation::new("GET /", "root.show", "Show what this service is")
                .about("A browser, which accepts `text/html`, gets the console.")
                .answers(
                    DocumentedResponse::new(200, "The service, or the console.")
                        .json(service)
                        .file("text/html"),
                ),
            Operation::new("GET /console/{file}", "root.console_file", "Load a file of the console")
                .path("file", "Its name, with a hash of its content.", "console-X7Q2ZJ4A.js")
                .answers(
                    DocumentedResponse::new(200, "The file.").file("*/*").with("ETag", "Of its content."),
                )
                .answers(DocumentedResponse::new(304, "It has not changed.").with("ETag", "Of its content."))
                .fails(Error::NotFound(Resource::Path)),
            Operation::new("GET /health", "root.health", "Check that the Worker runs")
                .about("Responds while the Worker runs, whatever its dependencies do.")
                .answers(DocumentedResponse::new(200, "It runs.").json(Health { status: "ok" })),
            Operation::new(
                "GET /status",
                "root.status",
                "Check that the Worker runs (the original gateway's path)",
            )
            .answers(DocumentedResponse::new(200, "It runs.").json(Health { status: "ok" })),
            Operation::new("GET /ready", "root.ready", "Check that all dependencies respond")
                .answers(DocumentedResponse::new(200, "They do.").json(ready(Readiness::Ready, Check::Ok)))
                .answers(
                    DocumentedResponse::new(503, "One does not, or a variable has an invalid value.")
                        .json(ready(Readiness::NotReady, Check::Failed)),
                ),
        ],
    }
}
