//! Reads JSON bodies within a limit, as checked and typed values.

use std::{collections::BTreeMap, fmt};

use garde::Validate;
use hatch_code::{CodeError, CodeMap};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::json_error::{self, NUL};
use crate::{
    error::{Error, Violation},
    http::RequestContext,
};

/// The body as a `T` that passed its validation rules.
///
/// # Errors
/// 415 for another media type, 413 beyond the route's limit, 400 for invalid JSON (with the fault
/// and its position), and 400 naming the field for JSON that is not a `T`.
pub(crate) async fn json<T: DeserializeOwned + Validate<Context = ()>>(
    context: &RequestContext,
) -> Result<T, Error> {
    require_json(context.request.header("content-type").as_deref())?;
    parse(&context.body().await?)
}

/// The bytes of a body whose content type is JSON.
///
/// # Errors
/// 415 and 413, as [`json`].
pub(crate) async fn bytes(context: &RequestContext) -> Result<Vec<u8>, Error> {
    require_json(context.request.header("content-type").as_deref())?;
    context.body().await
}

/// As [`json`]; `None` for a request without a body.
pub(crate) async fn optional_json<T: DeserializeOwned + Validate<Context = ()>>(
    context: &RequestContext,
) -> Result<Option<T>, Error> {
    let bytes = context.body().await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    require_json(context.request.header("content-type").as_deref())?;
    parse(&bytes).map(Some)
}

/// The body as a JSON object whose fields are not validated.
///
/// # Errors
/// As [`json`].
pub(crate) async fn object(context: &RequestContext) -> Result<Map<String, Value>, Error> {
    object_with_bytes(context).await.map(|(_, object)| object)
}

/// [`object`] together with its raw bytes, over which a signature is computed.
pub(crate) async fn object_with_bytes(
    context: &RequestContext,
) -> Result<(Vec<u8>, Map<String, Value>), Error> {
    require_json(context.request.header("content-type").as_deref())?;
    let bytes = context.body().await?;
    let object = parse_object(&bytes)?;
    Ok((bytes, object))
}

pub(crate) fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    let Object(object) = parse_unchecked(bytes)?;
    Ok(object)
}

/// A JSON object without duplicate names, the same rule as for typed bodies. With duplicates, a
/// proxy or another reader could take the other value.
struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(body: D) -> Result<Self, D::Error> {
        struct EachNameOnce;
        impl<'de> Visitor<'de> for EachNameOnce {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Object, A::Error> {
                let mut object = Map::new();
                while let Some((name, value)) = fields.next_entry::<String, Value>()? {
                    if object.contains_key(&name) {
                        return Err(A::Error::custom(format!("duplicate field `{name}`")));
                    }
                    object.insert(name, value);
                }
                Ok(Object(object))
            }
        }
        body.deserialize_map(EachNameOnce)
    }
}

/// A value within a body as a `T`. `pointer` is its position in the body.
///
/// # Errors
/// [`Error::Invalid`] naming the field at fault.
pub(crate) fn value<T: DeserializeOwned>(value: &Value, pointer: &str) -> Result<T, Error> {
    hatch_json::from_str(&value.to_string()).map_err(|error| {
        let violation = json_error::violation(&error);
        Error::invalid(pointer.to_owned() + &violation.pointer, violation.detail)
    })
}

/// The code in a body: a JSON object of path to content, or a string that holds one, as projects
/// show it. `pointer` is its position in the body.
///
/// # Errors
/// [`Error::Invalid`] with the reason.
pub(crate) fn code(value: &serde_json::Value, pointer: &str) -> Result<CodeMap, Error> {
    let json = match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let code = CodeMap::parse(&json).map_err(|error| match error {
        CodeError::Json(_) => Error::Invalid(vec![code_violation(&json, pointer)]),
        error => Error::invalid(pointer, error.to_string()),
    })?;
    let with_nul = code.iter().find(|(_, content)| content.contains('\0'));
    if let Some((path, _)) = with_nul {
        return Err(Error::invalid(pointer, format!("the file {path:?}: {NUL}")));
    }
    Ok(code)
}

/// Describes code that is not an object of strings, naming the file at fault.
fn code_violation(json: &str, pointer: &str) -> Violation {
    let read: Result<BTreeMap<String, String>, _> = hatch_json::from_str(json);
    let detail = read.err().map(|error| json_error::of_code(&error)).unwrap_or_default();
    Violation {
        pointer: pointer.to_owned(),
        detail: format!("code must be a JSON object of path to content: {detail}"),
    }
}

/// Reads an integer, also in the form `3.0`, which is the same number in JSON (RFC 8259, 6). Beyond
/// 2^53 it must be written as an integer.
pub(crate) fn integer<'de, D: Deserializer<'de>>(field: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(field)?;
    let whole = |float: f64| (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i64);
    let integer = number.as_i64().or_else(|| number.as_f64().and_then(whole));
    integer.ok_or_else(|| D::Error::custom(format!("{number} is not an integer of 64 bits")))
}

/// As [`integer`], or null.
pub(crate) fn optional_integer<'de, D: Deserializer<'de>>(field: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    struct Integer(#[serde(deserialize_with = "integer")] i64);
    Ok(Option::<Integer>::deserialize(field)?.map(|Integer(integer)| integer))
}

/// Below this bound every integer has an exact float.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn require_json(content_type: Option<&str>) -> Result<(), Error> {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Error::UnsupportedMediaType { expected: "application/json" })
}

pub(crate) fn parse<T: DeserializeOwned + Validate<Context = ()>>(bytes: &[u8]) -> Result<T, Error> {
    let value: T = parse_unchecked(bytes)?;
    value.validate().map_err(|report| violations(&report))?;
    Ok(value)
}

fn parse_unchecked<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if bytes.trim_ascii().is_empty() {
        return Err(Error::Malformed("The body is empty; send a JSON object".to_owned()));
    }
    let value: T = hatch_json::from_slice(bytes).map_err(|error| describe(&error, bytes))?;
    if has_nul(bytes) {
        let body = hatch_json::from_slice(bytes).unwrap_or_default();
        return Err(Error::Invalid(vec![json_error::nul(&body)]));
    }
    Ok(value)
}

/// Invalid JSON is an error of the whole body; everything else is an error of one field. serde_json
/// reports a number in place of an enum, and a lone surrogate, as syntax errors.
fn describe(error: &hatch_json::Error, bytes: &[u8]) -> Error {
    if error.is_data() || hatch_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        return Error::Invalid(vec![json_error::violation(error)]);
    }
    Error::Malformed(format!("The body is not JSON: {}", json_error::syntax(error)))
}

fn violations(report: &garde::Report) -> Error {
    let violation = |(path, error): &(garde::Path, garde::Error)| Violation {
        pointer: pointer(&camel_case(&path.to_string())),
        detail: error.to_string(),
    };
    Error::Invalid(report.iter().map(violation).collect())
}

/// For fields that must say something.
pub(crate) fn not_blank(text: &str, (): &()) -> garde::Result {
    if text.trim().is_empty() { Err(garde::Error::new("must not be blank")) } else { Ok(()) }
}

/// `project_id` → `projectId`: garde reports Rust field names, clients know JSON names.
fn camel_case(path: &str) -> String {
    let capital = |word: &str| {
        word.get(..1).unwrap_or_default().to_ascii_uppercase() + word.get(1..).unwrap_or_default()
    };
    let (first, rest) = path.split_once('_').unwrap_or((path, ""));
    rest.split('_').fold(first.to_owned(), |name, word| name + &capital(word))
}

/// `files[0].path` → `/files/0/path` (RFC 6901).
fn pointer(path: &str) -> String {
    let parts = path.split(['.', '[', ']']).filter(|part| !part.is_empty());
    parts.fold(String::new(), |pointer, part| pointer + "/" + &part.replace('~', "~0").replace('/', "~1"))
}

/// Whether a string in the JSON holds U+0000. Only an escape can produce it, and SQLite would cut
/// the text there.
fn has_nul(json: &[u8]) -> bool {
    let mut escaped = false;
    json.windows(5).any(|window| {
        let starts = !escaped && window.starts_with(b"\\");
        let nul = escaped && window == b"u0000";
        escaped = starts;
        nul
    })
}

#[cfg(test)]
mod tests {
    use garde::Validate;
    use serde::Deserialize;
    use serde_json::json;

    use super::{code, has_nul, parse};
    use crate::error::Error;

    #[derive(Debug, Deserialize, Validate)]
    struct Sample {
        #[garde(length(chars, min = 1, max = 3))]
        name: String,
        #[serde(default, rename = "longerNameOf")]
        #[garde(range(max = 3))]
        longer_name_of: u8,
        #[serde(default)]
        #[garde(skip)]
        #[expect(dead_code, reason = "only its type matters")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "only its type matters")]
        size: u8,
    }

    fn violation(body: &str) -> (String, String) {
        match parse::<Sample>(body.as_bytes()) {
            Err(Error::Invalid(violations)) => (violations[0].pointer.clone(), violations[0].detail.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_field_is_named_by_its_pointer() {
        assert_eq!(violation(r#"{"name":1}"#).0, "/name");
        assert_eq!(violation(r#"{"name":"a","inner":[{"size":300}]}"#).0, "/inner/0/size");
        assert_eq!(violation(r#"{"name":"abcd"}"#).0, "/name");
        assert_eq!(violation(r#"{"name":"a","longerNameOf":4}"#).0, "/longerNameOf");
        assert_eq!(violation("{}"), ("/name".to_owned(), "is missing".to_owned()));
    }

    #[test]
    fn type_errors_are_described_in_plain_words() {
        for (body, detail) in [
            (r#"{"name":1}"#, "must be text, and is the number `1`"),
            (r#"{"name":[]}"#, "must be text, and is a list"),
            (r#"{"name":null}"#, "must be text, and is null"),
            (r#"{"name":"a","inner":{}}"#, "must be a list, and is an object"),
            (
                r#"{"name":"a","inner":[{"size":true}]}"#,
                "must be a whole number that is not negative, and is `true`",
            ),
            (r#"{"name":"a","name":"b"}"#, "has the field `name` twice"),
        ] {
            assert_eq!(violation(body).1, detail, "{body}");
        }
        for (body, detail) in [
            ("{", "it ends within an object (line 1, column 1)"),
            ("{\"name\":\"a\"} x", "something follows its end (line 1, column 14)"),
            ("{\"name\" \"a\"}", "there is no `:` behind a name (line 1, column 9)"),
        ] {
            let Err(Error::Malformed(message)) = parse::<Sample>(body.as_bytes()) else { panic!("{body}") };
            assert_eq!(message, format!("The body is not JSON: {detail}"));
        }
    }

    #[derive(Debug, Deserialize, Validate)]
    struct WithCode {
        #[garde(skip)]
        #[expect(dead_code, reason = "only its type matters")]
        code: serde_json::Value,
    }

    /// The pointer and the detail of the error for a body with this code, whichever step finds it.
    fn of_code(json: &str) -> (String, String) {
        let body = format!("{{\"code\":{json}}}");
        let result = match parse::<WithCode>(body.as_bytes()) {
            Ok(_) => code(&hatch_json::from_str(json).unwrap(), "/code").map(drop),
            Err(error) => Err(error),
        };
        let Err(Error::Invalid(violations)) = result else { panic!("{result:?}") };
        (violations[0].pointer.clone(), violations[0].detail.clone())
    }

    #[test]
    fn a_file_that_is_wrong_is_named_by_its_path() {
        for (json, pointer, words) in [
            (
                r#"{"src/a.txt":"ok \ud83d"}"#,
                "/code/src~1a.txt",
                r#"the file "src/a.txt" has half of a character"#,
            ),
            (r#"{"a\ud83d.txt":"ok"}"#, "/code", "has half of a character"),
            (r#"{"src/a.txt":1}"#, "/code", r#"the file "src/a.txt" must be text, and is the number `1`"#),
            (
                r#"{"src/a.txt":"a\u0000b"}"#,
                "/code/src~1a.txt",
                r#"the file "src/a.txt": text must not contain"#,
            ),
            (
                r#""{\"src/a.txt\":\"ok \\ud83d\"}""#,
                "/code",
                r#"the file "src/a.txt" has half of a character"#,
            ),
            (r#""{\"src/a.txt\":\"\\u0000\"}""#, "/code", r#"the file "src/a.txt": text must not contain"#),
            (r#""{\"a\":""#, "/code", "it ends where a value should be (line 1, column 5)"),
            ("[]", "/code", "must be an object, and is a list"),
        ] {
            let violation = of_code(json);
            assert!(violation.0 == pointer && violation.1.contains(words), "{json}: {violation:?}");
        }
    }

    #[test]
    fn invalid_json_is_malformed() {
        for body in ["", "{", "{\"name\":\"a\"} x", "\u{1}", &"[".repeat(100_000)] {
            assert!(
                matches!(parse::<Sample>(body.as_bytes()), Err(Error::Malformed(_) | Error::Invalid(_))),
                "{body:.20}"
            );
        }
        assert_eq!(violation(r#"{"name":"\ud800"}"#).0, "/name");
    }

    #[test]
    fn an_array_is_not_an_object() {
        assert_eq!(violation(r#" ["abc"]"#).1, "must be an object, and is a list");
    }

    #[test]
    fn a_nul_is_found_in_code_of_either_form() {
        assert!(code(&json!({ "a": "\0" }), "/code").is_err());
        assert!(code(&json!(r#"{"a":"\u0000"}"#), "/code").is_err());
        assert!(code(&json!(r#"{"a":"\\u0000"}"#), "/code").is_ok());
    }

    #[test]
    fn an_integer_may_have_a_zero_fraction() {
        let read = |json: &str| super::integer(&mut serde_json::Deserializer::from_str(json)).ok();
        for json in ["3", "3.0", "30e-1", "0.3e1"] {
            assert_eq!(read(json), Some(3), "{json}");
        }
        assert_eq!(read("9223372036854775807"), Some(i64::MAX));
        for json in ["3.1", "9223372036854775808", "1e300", "-1e300", "\"3\"", "null", "true", "[3]"] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn an_optional_integer_may_be_null() {
        let read = |json: &str| super::optional_integer(&mut serde_json::Deserializer::from_str(json)).ok();
        assert_eq!(read("null"), Some(None));
        assert_eq!(read("3.0"), Some(Some(3)));
        assert_eq!(read("3.1"), None);
    }

    #[test]
    fn only_an_escaped_nul_is_a_nul() {
        assert!(has_nul(br#""a\u0000b""#));
        assert!(has_nul(br#""\\\u0000""#));
        assert!(!has_nul(br#""\\u0000""#));
        assert!(has_nul(br#""\u00001""#));
        assert!(!has_nul(br#""u0000""#));
    }
}
