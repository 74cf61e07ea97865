//! Describes faults in JSON in plain words for the client. Pure.

use std::fmt::Write as _;

use hatch_json::Step;
use serde_json::Value;

use crate::error::Violation;

pub(super) const NUL: &str = "text must not contain the character U+0000";

/// serde_json's syntax messages, and ours for clients.
const SYNTAX: &[(&str, &str)] = &[
    ("EOF while parsing a list", "it ends within a list"),
    ("EOF while parsing an object", "it ends within an object"),
    ("EOF while parsing a string", "it ends within a text"),
    ("EOF while parsing a value", "it ends where a value should be"),
    ("expected `:`", "there is no `:` behind a name"),
    ("expected `,` or `]`", "there is neither `,` nor `]` behind a value in a list"),
    ("expected `,` or `}`", "there is neither `,` nor `}` behind a value in an object"),
    ("expected `\"`", "there is no `\"` where a text should begin"),
    ("expected ident", "there is a word that JSON does not have"),
    ("expected value", "there is no value where one should be"),
    ("key must be a string", "a name is not in quotes"),
    ("invalid escape", "a text has an escape that JSON does not have"),
    ("invalid number", "a number is not written as JSON has it"),
    ("number out of range", "a number is too large"),
    ("invalid unicode code point", "a text is not UTF-8"),
    (
        "control character (\\u0000-\\u001F) found while parsing a string",
        "a text has a control character that is not escaped",
    ),
    ("trailing comma", "there is a comma behind the last value"),
    ("trailing characters", "something follows its end"),
    ("recursion limit exceeded", "lists and objects are nested too deeply"),
];

/// serde's names for the types that it found and expected, and the everyday ones.
const FOUND: &[(&str, &str)] = &[
    ("map", "an object"),
    ("sequence", "a list"),
    ("unit value", "null"),
    ("null", "null"),
    ("Option value", "null"),
    ("newtype variant", "an object"),
    ("struct variant", "an object"),
];
const EXPECTED: &[(&str, &str)] = &[
    ("a string", "text"),
    ("a borrowed string", "text"),
    ("string or map", "text or an object"),
    ("a map", "an object"),
    ("map", "an object"),
    ("a sequence", "a list"),
    ("sequence", "a list"),
    ("a boolean", "true or false"),
    ("a JSON number", "a number"),
    ("unit", "null"),
];
/// serde_json's messages for half of a surrogate pair (a character beyond U+FFFF).
const SURROGATES: [&str; 2] = ["lone leading surrogate in hex escape", "unexpected end of hex escape"];
const HALF: &str =
    "has half of a character, an escape of \\ud800 to \\udfff without the other one: send both, or neither";

/// The field at fault by its pointer (RFC 6901), and the fault. For a file of the code, the message
/// names its path too.
pub(super) fn violation(error: &hatch_json::Error) -> Violation {
    let (mut pointer, message) = (error.pointer(), error.message());
    let detail = match message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        Some(name) => {
            push(&mut pointer, name);
            "is missing".to_owned()
        }
        None => of_value(&message),
    };
    let detail = match file(error.path()) {
        Some(path) => format!("the file {path:?} {detail}"),
        None => detail,
    };
    Violation { pointer, detail }
}

/// Describes a fault in code (path to content), naming the file at fault.
pub(super) fn of_code(error: &hatch_json::Error) -> String {
    let message = error.message();
    let is_syntax = error.is_eof() || SYNTAX.iter().any(|(serde, _)| *serde == message);
    match error.path().first() {
        _ if is_syntax => syntax(error),
        Some(Step::Name(path)) => format!("the file {path:?} {}", of_value(&message)),
        _ => of_value(&message),
    }
}

/// The position of the text that contains U+0000.
pub(super) fn nul(body: &Value) -> Violation {
    let mut steps = Vec::new();
    find_nul(body, &mut steps);
    let pointer = steps.iter().fold(String::new(), |mut pointer, step| {
        push(&mut pointer, step);
        pointer
    });
    let detail = match steps.as_slice() {
        [field, path, ..] if is_code(field) => format!("the file {path:?}: {NUL}"),
        _ => NUL.to_owned(),
    };
    Violation { pointer, detail }
}

/// Finds the path to the first text with U+0000; returns whether there is one.
fn find_nul(value: &Value, steps: &mut Vec<String>) -> bool {
    let children: Vec<(String, &Value)> = match value {
        Value::String(text) => return text.contains('\0'),
        Value::Array(values) => {
            values.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect()
        }
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains('\0')) {
                return true;
            }
            fields.iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        _ => return false,
    };
    for (step, child) in children {
        steps.push(step);
        if find_nul(child, steps) {
            return true;
        }
        steps.pop();
    }
    false
}

/// Describes a syntax error and its position.
pub(super) fn syntax(error: &hatch_json::Error) -> String {
    let message = error.message();
    let words = match SYNTAX.iter().find(|(serde, _)| *serde == message) {
        Some((_, words)) => (*words).to_owned(),
        None => of_value(&message),
    };
    match error.line() {
        0 => words,
        line => format!("{words} (line {line}, column {})", error.column()),
    }
}

/// Describes a fault in one value.
fn of_value(message: &str) -> String {
    if SURROGATES.contains(&message) {
        return HALF.to_owned();
    }
    let kinds = message.strip_prefix("invalid type: ").or(message.strip_prefix("invalid value: "));
    if let Some((found, expected)) = kinds.and_then(|kinds| kinds.rsplit_once(", expected ")) {
        return format!("must be {}, and is {}", expected_kind(expected), found_kind(found));
    }
    if let Some((given, known)) = unknown(message, "unknown field ") {
        return format!("has a field {given} that is not known; {known}");
    }
    if let Some((given, known)) = unknown(message, "unknown variant ") {
        return format!("is {given}, which is not known; {known}");
    }
    match message.strip_prefix("duplicate field ") {
        Some(name) => format!("has the field {name} twice"),
        None => message.to_owned(),
    }
}

/// Splits "unknown field `a`, expected one of `b`, `c`" into `a` and the known names.
fn unknown<'a>(message: &'a str, prefix: &str) -> Option<(&'a str, String)> {
    let (given, known) = message.strip_prefix(prefix)?.split_once(", ")?;
    let known = known.strip_prefix("expected ").map_or_else(
        || "there is none".to_owned(),
        |known| format!("there is {}", known.strip_prefix("one of ").unwrap_or(known)),
    );
    Some((given, known))
}

fn found_kind(found: &str) -> String {
    if let Some((_, words)) = FOUND.iter().find(|(serde, _)| *serde == found) {
        return (*words).to_owned();
    }
    let number = found.strip_prefix("integer ").or(found.strip_prefix("floating point "));
    match (number, found.strip_prefix("boolean "), found.strip_prefix("string ")) {
        (Some(number), ..) => format!("the number {number}"),
        (_, Some(boolean), _) => boolean.to_owned(),
        (.., Some(text)) => format!("the text {text}"),
        _ => found.to_owned(),
    }
}

fn expected_kind(expected: &str) -> String {
    if let Some((_, words)) = EXPECTED.iter().find(|(serde, _)| *serde == expected) {
        return (*words).to_owned();
    }
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        _ if expected.starts_with("struct ") => "an object".to_owned(),
        _ => expected.to_owned(),
    }
}

fn push(pointer: &mut String, step: &str) {
    let _ = write!(pointer, "/{}", step.replace('~', "~0").replace('/', "~1"));
}

/// The path of the file at fault, if the fault is in a file.
fn file(path: &[Step]) -> Option<&str> {
    match path {
        [Step::Name(field), Step::Name(path), ..] if is_code(field) => Some(path),
        _ => None,
    }
}

/// Whether this field of a body holds files, path to content.
fn is_code(field: &str) -> bool {
    field == "code"
}
