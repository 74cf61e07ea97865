//! Log entries: one line of JSON on the console, which Workers Logs indexes.

use serde::Serialize;
use serde_json::json;

use crate::{error::Error, redact};

/// Writes `line` unchanged; callers must redact secrets first.
pub(crate) fn line(line: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(line) {
        worker::console_log!("{line}");
    }
}

/// Logs a failure of work whose result no client waits for.
pub(crate) fn failure(event: &str, error: &Error) {
    let detail = error.internal_detail().map(redact::text);
    line(&json!({ "level": "error", "event": event, "code": error.code(), "detail": detail }));
}
