//! What the entry point answers.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    error::{Error, Resource},
    openapi::{Answer, Module, Operation},
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
        about: "What this service is, and whether it lives.",
        operations: vec![
            Operation::new("GET /", "root.show", "Say what this is")
                .about("A browser, which accepts `text/html`, gets the console.")
                .answers(Answer::new(200, "The service, or the console.").json(service).file("text/html")),
            Operation::new("GET /console/{file}", "root.console_file", "Load a file of the console")
                .path("file", "Its name, with a hash of its content.", "console-X7Q2ZJ4A.js")
                .answers(Answer::new(200, "The file.").file("*/*").with("ETag", "Of its content."))
                .answers(Answer::new(304, "It has not changed.").with("ETag", "Of its content."))
                .fails(Error::NotFound(Resource::Path)),
            Operation::new("GET /health", "root.health", "Say whether it lives")
                .about("Answers as long as the Worker runs, whatever it depends on.")
                .answers(Answer::new(200, "It lives.").json(Health { status: "ok" })),
            Operation::new("GET /status", "root.status", "Say whether it lives (Polychat)")
                .answers(Answer::new(200, "It lives.").json(Health { status: "ok" })),
            Operation::new("GET /ready", "root.ready", "Say whether all that it depends on answers")
                .answers(Answer::new(200, "It does.").json(ready(Readiness::Ready, Check::Ok)))
                .answers(
                    Answer::new(503, "Something does not, or a variable makes no sense.")
                        .json(ready(Readiness::NotReady, Check::Failed)),
                ),
        ],
    }
}
