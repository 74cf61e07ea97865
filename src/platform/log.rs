//! One line of JSON on the console, which Workers Logs indexes.

use serde_json::Value;

/// Writes `line` as it is: redact before you call.
pub(crate) fn line(line: &Value) {
    worker::console_log!("{line}");
}
