//! What the fields of many modules are made of.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

/// The pattern of text without U+0000, which SQLite would cut it at.
pub(crate) const NO_NUL: &str = r"^[^\u0000]*$";

/// The pattern of text that has something to see in it.
pub(crate) const NOT_BLANK: &str = r"^[^\u0000]*\S[^\u0000]*$";

/// A type of which a contract needs an example and its schema, written out
/// where it is used.
macro_rules! text {
    ($($(#[$doc:meta])* $name:ident { $($schema:tt)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Serialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) &'static str);

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", $($schema)* })
            }
        }
    )*};
}

text! {
    /// An id that this Worker made.
    Id { "format": "uuid" }
    /// A time as every answer tells it: UTC with milliseconds.
    Time { "format": "date-time", "pattern": "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$" }
    /// An absolute URL.
    Url { "format": "uri" }
}

/// A number that is never negative.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub(crate) struct Count(pub(crate) u64);

impl JsonSchema for Count {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0 })
    }
}

/// The code of a project as bodies take it: the map of path to content, or its
/// JSON in a string, as projects show it ([`hatch_code::CodeMap`]).
#[derive(Debug)]
pub(crate) struct Code;

/// What no path may have: a backslash, control characters and invisible ones.
const FORBIDDEN: &str = r"/\\\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff";

impl Code {
    /// The paths that [`hatch_code`] takes, but for their length in bytes.
    /// None has the `quote` at which it ends.
    fn path(quote: &str) -> String {
        let end = if quote.is_empty() { "$" } else { quote };
        let name = format!(r"(?!\.[gG][iI][tT](?:/|{end}))[^{quote}{FORBIDDEN}]*[^{quote}{FORBIDDEN}. ]");
        format!(r"(?:\./+)*(?!~/|[A-Za-z]:){name}(?:/+(?:\./+)*{name})*")
    }

    /// The map as JSON text (RFC 8259). Its paths have no escapes, its contents
    /// neither that of U+0000 nor those of lone surrogates.
    fn text() -> String {
        let path = Self::path("\"");
        let pair = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}";
        let escape = r#"\\["\\/bfnrt]|\\u(?!0000|[dD][89a-fA-F])[0-9a-fA-F]{4}"#;
        let content = format!(r#"(?:[^"\\\u0000-\u001f]|{escape}|{pair})*"#);
        let space = r"[ \t\r\n]*";
        let file = format!(r#""{path}"{space}:{space}"{content}"{space}"#);
        format!(r"^{space}\{{{space}(?:{file}(?:,{space}{file})*)?\}}{space}$")
    }
}

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A project's files: a JSON object of path to content, or the same as JSON in a string. \
                Paths are relative, without `..`; no two differ only in case, and none is a folder of another. \
                At most 1,400,000 bytes in all.",
            "anyOf": [
                {
                    "type": "object",
                    "maxProperties": 2000,
                    "propertyNames": { "type": "string", "pattern": format!("^{}$", Self::path("")), "maxLength": 240 },
                    "additionalProperties": { "type": "string" },
                },
                {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "pattern": Self::text(),
                },
            ],
        })
    }
}
