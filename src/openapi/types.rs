//! The types of fields that many modules share.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

/// The pattern of text without U+0000, where SQLite would cut the text.
pub(crate) const NO_NUL: &str = r"^[^\u0000]*$";

/// The pattern of text that is not only Unicode white space.
pub(crate) const NOT_BLANK: &str = r"^[^\u0000]*[^\u0000\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\u0000]*$";

/// The pattern of a wallet address: Ethereum's or Stellar's. It cannot express the checksum, which
/// mixed-case Ethereum addresses (EIP-55) and all Stellar addresses have.
pub(crate) const WALLET: &str = "^(?:0x[0-9A-Fa-f]{40}|G[A-Z2-7]{55})$";

/// Defines a string type that a contract uses for examples; its schema is written inline.
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
    /// An id from this Worker.
    Id { "format": "uuid" }
    /// A time as every response writes it: UTC with milliseconds.
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

/// The code of a project in a request body: the map of path to content, or its JSON in a string, as
/// projects show it ([`hatch_code::CodeMap`]).
#[derive(Debug)]
pub(crate) struct Code;

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A project's files: a JSON object of path to content, or the same as JSON in a string. \
                Paths are relative, without `..`, backslashes, invisible characters or a part `.git`; no part ends \
                with a dot or a space, none of the paths is longer than 240 bytes, no two differ only in case, and \
                none is a folder of another. At most 2,000 files and 1,400,000 bytes in all.",
            "anyOf": [
                { "type": "object", "additionalProperties": { "type": "string" } },
                { "type": "string", "contentMediaType": "application/json" },
            ],
        })
    }
}
