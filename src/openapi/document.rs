//! Builds the document from the modules' contracts and the routing table.

use std::collections::BTreeMap;

use schemars::Schema;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{
    errors,
    operation::{DocumentedResponse, Link, Module, Operation, PROBLEM},
    schemas::{self, Schemas},
};
use crate::{
    http::{caller::Access, idempotency, route::Route},
    routes::ROUTES,
};

const ABOUT: &str = "\
From a prompt to a live app. Errors are RFC 9457 problem documents, whose `code` is for programs. Every \
path answers `OPTIONS` with its methods, every `GET` also `HEAD`; a wrong method is 405 with `Allow`. A wrong credential \
is 401, on public routes too. With `ENVIRONMENT=development`, none is needed: you are the \
local developer. `x-access` says who may use an operation.";

/// The whole document, in the order in which people read it.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    openapi: &'static str,
    info: Value,
    servers: Value,
    tags: Vec<Value>,
    #[serde(serialize_with = "in_order")]
    paths: Vec<(String, PathItem)>,
    components: Value,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct PathItem(#[serde(serialize_with = "in_order")] Vec<(String, OperationObject)>);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OperationObject {
    tags: [&'static str; 1],
    operation_id: &'static str,
    summary: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'static str>,
    /// The prefixes of its path, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    servers: Option<Value>,
    #[serde(rename = "x-access")]
    access: String,
    security: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body: Option<Value>,
    responses: BTreeMap<String, Value>,
}

fn in_order<T: Serialize, S: Serializer>(entries: &[(String, T)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(name, value)| (name, value)))
}

pub(super) fn build(modules: &[Module]) -> Document {
    let (mut schemas, mut failures) = (Schemas::new(), Map::new());
    let mut paths: Vec<(String, PathItem)> = Vec::new();
    let tags =
        modules.iter().map(|module| json!({ "name": module.name, "description": module.about })).collect();
    for module in modules {
        for operation in &module.operations {
            let Some(route) = route_of(operation) else { continue };
            let object = object(module.name, route, operation, &mut schemas, &mut failures);
            let (template, method) = (operation.template(), operation.method.to_ascii_lowercase());
            match paths.iter_mut().find(|(path, _)| *path == template) {
                Some((_, item)) => item.0.push((method, object)),
                None => paths.push((template, PathItem(vec![(method, object)]))),
            }
        }
    }
    Document {
        openapi: "3.1.0",
        info: json!({
            "title": "Hatch",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        }),
        servers: json!([{ "url": "/" }]),
        tags,
        paths,
        components: json!({
            "securitySchemes": security_schemes(),
            "headers": {
                "X-Request-Id": {
                    "description": "The request's own `X-Request-Id` if it is well-formed, otherwise a new one.",
                    "required": true,
                    "schema": { "type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$" },
                },
            },
            "responses": failures,
            "schemas": schemas.into_components(),
        }),
    }
}

/// `None` for a contract without a route, which a test reports.
fn route_of(operation: &Operation) -> Option<&'static Route> {
    ROUTES.iter().find(|route| (route.method, route.pattern) == (operation.method, operation.pattern))
}

fn security_schemes() -> Value {
    json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "`Authorization: Bearer …`" },
        "apiKey": { "type": "apiKey", "in": "header", "name": "X-Api-Key" },
    })
}

/// The Security Requirement Objects of an access rule, as alternatives.
fn security(access: Access) -> Value {
    match access {
        Access::Public => json!([]),
        Access::Machine => json!([{ "bearer": [] }, {}]),
        Access::Scope(scope) | Access::ScopeOrOperator(scope) => {
            json!([{ "bearer": [scope.name()] }, { "apiKey": [scope.name()] }])
        }
        Access::User | Access::Staff | Access::Operator => json!([{ "bearer": [] }, { "apiKey": [] }]),
    }
}

/// An access rule as text.
fn access(access: Access) -> String {
    match access {
        Access::Scope(scope) => format!("scope {scope}"),
        Access::ScopeOrOperator(scope) => format!("scope {scope}, or the operator"),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn object(
    module: &'static str,
    route: &Route,
    operation: &Operation,
    schemas: &mut Schemas,
    failures: &mut Map<String, Value>,
) -> OperationObject {
    let mut responses = BTreeMap::new();
    for answer in &operation.answers {
        responses.insert(answer.status.to_string(), response(answer, schemas));
    }
    for (status, response) in errors::responses(route, operation, failures) {
        match responses.get_mut(&status.to_string()) {
            Some(answer) => add_failure(answer, &response, failures),
            None => drop(responses.insert(status.to_string(), response)),
        }
    }
    OperationObject {
        tags: [module],
        operation_id: operation.id,
        summary: operation.summary,
        description: operation.about,
        servers: route.dialect.also_under.map(|prefix| json!([{ "url": "/" }, { "url": prefix }])),
        access: access(route.access),
        security: security(route.access),
        parameters: parameters(route, operation),
        request_body: operation.body.as_ref().map(|body| {
            let schema = schemas::request(body.schema.of(&mut schemas.requests).to_value());
            json!({
                "required": body.is_required,
                "content": { "application/json": { "schema": schema, "example": body.example } },
            })
        }),
        responses,
    }
}

/// Adds an error to a status that is also a regular response (`/ready` has 503).
fn add_failure(answer: &mut Value, failure: &Value, shared: &Map<String, Value>) {
    let name = failure["$ref"].as_str().and_then(|place| place.rsplit('/').next());
    let failure = name.map_or(failure, |name| &shared[name]);
    answer["content"][PROBLEM] = failure["content"][PROBLEM].clone();
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Requests with the same key run once, and get the same response for a day. Their bodies are compared byte by byte. Quotes around a key are not part of it.",
        "required": false,
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$" },
    })
}

fn parameters(route: &Route, operation: &Operation) -> Vec<Value> {
    let key = idempotency::takes_key(route).then(idempotency_key);
    let described = operation.parameters.iter().map(|parameter| {
        let mut object = json!({
            "name": parameter.name,
            "in": parameter.place,
            "description": parameter.about,
            "required": parameter.required,
            "schema": parameter.schema,
        });
        if let Some(example) = &parameter.example {
            object["example"] = example.clone();
        }
        if operation.pattern.contains(&format!("{{*{}}}", parameter.name)) {
            // OpenAPI 3.1 cannot say that a path parameter may contain slashes.
            object["x-rest-of-path"] = json!(true);
        }
        object
    });
    described.chain(key).collect()
}

fn response(answer: &DocumentedResponse, schemas: &mut Schemas) -> Value {
    let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } });
    for (name, about, required) in &answer.headers {
        headers[*name] =
            json!({ "description": about, "required": required, "schema": { "type": "string" } });
    }
    let mut object = json!({ "description": answer.about, "headers": headers });
    if !answer.contents.is_empty() {
        object["content"] = contents(answer, schemas);
    }
    if !answer.links.is_empty() {
        object["links"] = answer.links.iter().map(link).collect();
    }
    object
}

fn contents(answer: &DocumentedResponse, schemas: &mut Schemas) -> Value {
    let contents = answer.contents.iter().map(|(media_type, schema, example)| {
        let schema: Schema = schema(&mut schemas.answers);
        let mut content = json!({ "schema": schemas::answer(schema.to_value()) });
        if let Some(example) = example {
            content["example"] = example.clone();
        }
        ((*media_type).to_owned(), content)
    });
    contents.collect::<Map<_, _>>().into()
}

fn link(link: &Link) -> (String, Value) {
    let mut object = json!({ "operationId": link.target });
    if let Some((name, pointer)) = link.parameter {
        object["parameters"] = json!({ name: format!("$response.body#{pointer}") });
    }
    if let Some(body) = &link.body {
        object["requestBody"] = body.clone();
    }
    (link.target.to_owned(), object)
}
