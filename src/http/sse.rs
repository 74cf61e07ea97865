//! Server-sent events (WHATWG HTML, 9.2): how they are written.

use std::fmt::{Display, Write as _};

use serde_json::Value;

/// A comment that keeps the connection alive.
pub(crate) const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// One event with a name. JSON has no raw line breaks, so one `data:` line
/// holds it.
pub(crate) fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// One event with a name and an id, by which a client resumes.
pub(crate) fn event_with_id(id: impl Display, name: &str, data: &Value) -> String {
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}

/// Appends one data-only event.
pub(crate) fn push_data(out: &mut String, data: &Value) {
    // Writing to a String cannot fail.
    let _ = write!(out, "data: {data}\n\n");
}
