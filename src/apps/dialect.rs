//! The form of these routes' errors: problem documents (RFC 9457) with the detail
//! in `message` too, because the original's clients show that.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::limits;
use crate::{
    error::{Error, Resource},
    http::problem::Dialect,
    platform::response::{Content, Response},
};

pub(crate) static DIALECT: Dialect = Dialect {
    prefixes: &["/apps", "/message", "/message-limit", "/github", "/deployment-status", "/analytics"],
    also_under: None,
    for_clients_with: None,
    key_header: None,
    body,
    #[cfg(test)]
    document: crate::http::problem::Documented {
        media_type: "application/problem+json",
        schema: "AppProblem",
        prefix: "apps-",
    },
};

fn body(error: &Error, request_id: &str) -> Response {
    let mut response = error.problem(request_id);
    add(&mut response, "message", json!(error.detail()));
    match error {
        // The original's clients expect this member.
        Error::NotFound(Resource::Application) => add(&mut response, "status", json!("error")),
        Error::TooManyRequests(exceeded) => return limits::refusal_headers(exceeded, response),
        _ => {}
    }
    response
}

/// Adds a member to a problem.
fn add(response: &mut Response, name: &str, value: Value) {
    let Content::Bytes(bytes) = &response.content else { return };
    let Ok(Value::Object(mut problem)) = hatch_json::from_slice(bytes) else { return };
    problem.insert(name.to_owned(), value);
    response.content = Content::Bytes(Value::Object(problem).to_string().into_bytes());
}

/// The error while an agent works on the app.
pub(super) const BUSY: Error = Error::Conflict {
    code: "app_busy",
    detail: Cow::Borrowed(
        "The agent still works on an earlier message of this app: wait for its end, or stop it",
    ),
};

/// [`BUSY`] with the trace id of the running turn.
pub(super) fn busy(trace_id: &str, request_id: &str) -> Response {
    let mut response = BUSY.to_response(&DIALECT, request_id);
    add(&mut response, "traceId", json!(trace_id));
    response
}

/// The error of a pull if both sides have changed the same files.
pub(super) const CONFLICT: Error = Error::Conflict {
    code: "pull_conflict",
    detail: Cow::Borrowed("These files have changed here and in the repository, so nothing was taken"),
};

/// [`CONFLICT`] with the paths of the files.
pub(super) fn conflict(paths: &[String], request_id: &str) -> Response {
    let mut response = CONFLICT.to_response(&DIALECT, request_id);
    add(&mut response, "conflicts", json!(paths));
    response
}
