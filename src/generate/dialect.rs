//! Errors of this module in FastAPI's form (fastapi.tiangolo.com, "Handling
//! Errors"): `{"detail": …}`, and 422 with a list of violations for a body that
//! fails validation.

use serde_json::{Value, json};

use crate::{
    error::{Error, Violation},
    http::problem::Dialect,
    platform::response::Response,
};

pub(crate) static DIALECT: Dialect = Dialect {
    prefixes: &["/api/generate", "/api/status", "/api/project/", "/api/download"],
    also_under: None,
    for_clients_with: None,
    key_header: None,
    body,
    #[cfg(test)]
    document: crate::http::problem::Documented {
        media_type: "application/json",
        schema: "HTTPException",
        prefix: "hatchr-",
    },
};

fn status(error: &Error) -> u16 {
    match error {
        Error::Malformed(_) | Error::Invalid(_) => 422,
        _ => error.status(),
    }
}

fn body(error: &Error, _request_id: &str) -> Response {
    let detail = match error {
        Error::Invalid(violations) => violations.iter().map(location).collect(),
        Error::Malformed(detail) => {
            json!([{ "type": "json_invalid", "loc": ["body"], "msg": detail }])
        }
        _ => json!(error.detail()),
    };
    let status = status(error);
    let body = match status {
        400 | 404 | 422 => json!({ "detail": detail }),
        // FastAPI has none of these. The original clients show `message`.
        _ => json!({ "detail": detail, "message": detail }),
    };
    Response::json(status, body.to_string())
}

/// A violation in FastAPI's form, with its path as a list of steps.
fn location(violation: &Violation) -> Value {
    let (place, path) = match violation.pointer.strip_prefix('/') {
        Some(path) => ("body", path),
        None if violation.pointer.is_empty() => ("body", ""),
        None => ("query", violation.pointer.as_str()),
    };
    let steps = path.split('/').filter(|step| !step.is_empty());
    let loc: Vec<&str> = std::iter::once(place).chain(steps).collect();
    json!({ "type": "value_error", "loc": loc, "msg": violation.detail })
}
