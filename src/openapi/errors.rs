//! The errors that follow from the routing table, the parameters and the body, and their form in
//! the document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::operation::Operation;
use crate::{
    error::{Error, Violation},
    http::{caller, idempotency, problem::Dialect, rate, route::Route},
    identity,
    platform::response::{Content, Response},
};

const REQUEST_ID: &str = "req_01890a5d-ac96-774b-bcce-b302099a8057";

/// The errors that every route may return.
fn everywhere() -> Vec<Error> {
    vec![
        Error::InvalidToken("The credential is not valid".into()),
        Error::Internal(String::new()),
        Error::NotConfigured {
            variable: "DATABASE_AUTH_TOKEN",
            detail: "The database does not accept DATABASE_AUTH_TOKEN".to_owned(),
        },
        Error::database(""),
        identity::unavailable(),
    ]
}

/// The errors of a route that follow from its table row, parameters and body.
fn given(route: &Route, operation: &Operation) -> Vec<Error> {
    let mut errors = everywhere();
    if route.method != "GET" {
        errors.push(Error::Forbidden {
            code: "origin_not_allowed",
            detail: "Pages of this origin may not call the API; add it to CORS_ORIGINS".into(),
        });
    }
    errors.extend(caller::refusals(route.access));
    if route.limits.is_counted {
        errors.push(rate::exceeded(0));
    }
    if idempotency::takes_key(route) {
        errors.extend([idempotency::wrong_key(), idempotency::IN_USE, idempotency::REUSED]);
    }
    if operation.body.is_some() {
        errors.push(Error::Malformed("The body is not JSON: expected value at line 1 column 1".to_owned()));
        errors.push(Error::TooLarge { limit: route.limits.body });
        errors.push(Error::UnsupportedMediaType { expected: "application/json" });
    }
    let pointer = match &operation.body {
        Some(_) => Some("/name"),
        None => operation.parameters.iter().any(|p| p.place == "query").then_some("limit"),
    };
    if let Some(pointer) = pointer {
        let detail = "is not as the schema has it".to_owned();
        errors.push(Error::Invalid(vec![Violation { pointer: pointer.to_owned(), detail }]));
    }
    errors
}

fn by_status(errors: Vec<Error>, dialect: &Dialect) -> BTreeMap<u16, Vec<Error>> {
    let mut statuses: BTreeMap<u16, Vec<Error>> = BTreeMap::new();
    for error in errors {
        statuses.entry(error.to_response(dialect, REQUEST_ID).status).or_default().push(error);
    }
    statuses
}

/// The responses for a route's errors, by status: references into `shared`
/// (`components/responses`), except for a module's own errors.
pub(super) fn responses(
    route: &Route,
    operation: &Operation,
    shared: &mut Map<String, Value>,
) -> Vec<(u16, Value)> {
    let mut own = by_status(operation.failures.clone(), route.dialect);
    let mut responses = Vec::new();
    for (status, mut errors) in by_status(given(route, operation), route.dialect) {
        if let Some(failures) = own.remove(&status) {
            errors.extend(failures);
            responses.push((status, response(route, &errors)));
        } else {
            let codes: Vec<_> = errors.iter().map(Error::code).collect();
            let form = route.dialect.document.prefix;
            let name = format!("{form}{status}-{}", codes.join("-"));
            responses.push((status, json!({ "$ref": format!("#/components/responses/{name}") })));
            shared.insert(name, response(route, &errors));
        }
    }
    responses.extend(own.into_iter().map(|(status, errors)| (status, response(route, &errors))));
    responses
}

/// The Response Object of a status with these errors.
fn response(route: &Route, errors: &[Error]) -> Value {
    let details: Vec<_> =
        errors.iter().map(|error| format!("`{}`: {}", error.code(), error.detail())).collect();
    let answers: Vec<_> = errors.iter().map(|error| error.to_response(route.dialect, REQUEST_ID)).collect();
    let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } });
    for (name, _) in answers.iter().flat_map(|answer| &answer.headers) {
        // A header is only required if every one of these errors sends it.
        let always = answers.iter().all(|answer| answer.headers.iter().any(|(n, _)| n == name));
        headers[canonical(name)] = json!({ "schema": { "type": "string" }, "required": always });
    }
    let examples: Map<_, _> =
        errors.iter().zip(&answers).map(|(error, answer)| example(error, answer)).collect();
    let media_type = route.dialect.document.media_type;
    let schema_of =
        |dialect: &Dialect| json!({ "$ref": format!("#/components/schemas/{}", dialect.document.schema) });
    let schema = match route.dialect.for_clients_with {
        Some((_, other)) => json!({ "anyOf": [schema_of(route.dialect), schema_of(other)] }),
        None => schema_of(route.dialect),
    };
    json!({
        "description": details.join("\n\n"),
        "headers": headers,
        "content": { media_type: { "schema": schema, "examples": examples } },
    })
}

fn example(error: &Error, answer: &Response) -> (String, Value) {
    let Content::Bytes(body) = &answer.content else { panic!("{error:?} without a body") };
    let value: Value = hatch_json::from_slice(body).unwrap();
    (error.code().to_owned(), json!({ "summary": error.detail(), "value": value }))
}

/// `retry-after` → `Retry-After`
fn canonical(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or_default();
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-").replace("Www", "WWW")
}
