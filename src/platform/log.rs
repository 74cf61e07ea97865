//! One line of JSON on the console, which Workers Logs indexes.

use serde::Serialize;
use serde_json::json;

use crate::{error::Error, redact};

/// Writes `line` as it is: redact before you call.
pub(crate) fn line(line: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(line) {
        worker::console_log!("{line}");
    }
}

/// Logs work that failed with nobody waiting for its answer.
pub(crate) fn failure(event: &str, error: &Error) {
    let detail = error.internal_detail().map(redact::text);
    line(&json!({ "level": "error", "event": event, "code": error.code(), "detail": detail }));
}
