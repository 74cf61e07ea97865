//! The contract of tools and dynamic apps.

use schemars::json_schema;
use serde_json::{Map, Value, json};

use crate::{
    error::{Error, Resource},
    gateway::openapi::Vendors,
    openapi::{DocumentedResponse, Operation},
};

const APP: &str = "extract_content";
const RESPONSE: &str = "9b1d4e7a-25c3-4f86-a0d9-3c5e7f1b8a62";

pub(in crate::gateway) fn operations() -> Vec<Operation> {
    let app = || Vendors(json!({ "id": APP, "name": "Read a page", "description": "Reads a page." }));
    let response = || Vendors(json!({ "id": RESPONSE, "app_id": APP, "data": {} }));
    vec![
        Operation::new("GET /tools", "gateway.tools", "List the tools that the gateway runs (Polychat)").answers(
            DocumentedResponse::new(200, "The tools that `enabled_tools` of a chat can name.")
                .json(Vendors(json!({ "success": true, "message": "The tools that the gateway runs", "data": [] }))),
        ),
        Operation::new("GET /dynamic-apps", "gateway.dynamic-apps", "List dynamic apps (Polychat)")
            .answers(DocumentedResponse::new(200, "The apps that this Worker can run.").json(vec![app()])),
        one("GET /dynamic-apps/{id}", "gateway.dynamic-app", "Show a dynamic app's form (Polychat)")
            .answers(DocumentedResponse::new(200, "The app and its form.").json(app())),
        one("POST /dynamic-apps/{id}/execute", "gateway.execute-dynamic-app", "Run a dynamic app (Polychat)")
            .about("The response is stored for 30 days. `success` is false if another service failed; `data.message` says how.")
            .object(json_schema!({ "type": "object", "description": "The values of the app's form." }), json!({ "url": "https://example.com/" }), any)
            .answers(DocumentedResponse::new(200, "The response.").json(Vendors(json!({ "success": true, "response_id": RESPONSE, "data": {} }))))
            .fails(Error::invalid("/url", "is missing"))
            .fails(Error::NotConfigured { variable: "SEARCH_PROVIDER", detail: String::new() }),
        Operation::new("GET /dynamic-apps/responses", "gateway.dynamic-app-responses", "List the responses of dynamic apps (Polychat)")
            .query("appId", "Only responses of this app.", json_schema!({ "type": "string" }))
            .query("limit", "The most responses of the list.", json_schema!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 50 }))
            .answers(DocumentedResponse::new(200, "The responses, the newest first.").json(vec![response()])),
        Operation::new("GET /dynamic-apps/responses/{id}", "gateway.dynamic-app-response", "Show a response of a dynamic app (Polychat)")
            .path("id", "The response.", RESPONSE)
            .fails(Error::NotFound(Resource::Path))
            .answers(DocumentedResponse::new(200, "The response.").json(Vendors(json!({ "response": { "id": RESPONSE } })))),
    ]
}

/// Each app validates its own form.
fn any(_: Map<String, Value>) -> Result<(), Error> {
    Ok(())
}

fn one(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary).path("id", "The app.", APP).fails(Error::NotFound(Resource::App))
}
