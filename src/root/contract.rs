//! What the front door answers.

use schemars::JsonSchema;
use serde::Serialize;

use crate::openapi::{Answer, Operation, Room};

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

pub(crate) fn room() -> Room {
    let service = Service {
        status: "ok",
        service: "hatch-api",
        version: super::VERSION,
        message: "From a prompt to a live app.",
    };
    Room {
        name: "root",
        about: "What this service is, and whether it lives.",
        operations: vec![
            Operation::new("GET /", "root.show", "Say what this is")
                .answers(Answer::new(200, "The service.").json(service)),
            Operation::new("GET /health", "root.health", "Say whether it lives")
                .about("Answers as long as the Worker runs, whatever it depends on.")
                .answers(Answer::new(200, "It lives.").json(Health { status: "ok" })),
        ],
    }
}
