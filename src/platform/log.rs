//! One line of JSON on the console, which Workers Logs indexes.

use serde::Serialize;

/// Writes `line` as it is: redact before you call.
pub(crate) fn line(line: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(line) {
        worker::console_log!("{line}");
    }
}
