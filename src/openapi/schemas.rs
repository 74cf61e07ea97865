//! The types as JSON Schema (2020-12), collected under `components/schemas`.

use schemars::{
    JsonSchema, Schema, SchemaGenerator,
    generate::{Contract, SchemaSettings},
    transform::{Transform, transform_subschemas},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::types::{NO_NUL, Time};

/// RFC 9457, as [`crate::error`] writes it.
#[derive(Debug, Serialize, JsonSchema)]
struct Problem {
    /// `urn:hatch:problem:` and the code.
    #[serde(rename = "type")]
    #[schemars(extend("format" = "uri"))]
    kind: String,
    /// The status as text.
    title: String,
    status: u16,
    /// What went wrong and what to do next.
    detail: String,
    /// A code for programs, stable across releases.
    code: String,
    /// The `X-Request-Id` of the response.
    request_id: String,
    /// Only for 429: the limits that were reached, by their names in `RateLimit-Policy`.
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    violated_policies: Option<Vec<String>>,
    /// Only for 429: when the limit resets.
    #[serde(rename = "resetAt", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    reset_at: Option<Time>,
    /// The detail again, for clients of the original API.
    error: String,
    /// Only for `validation_failed`: each fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Violation>")]
    errors: Option<Vec<Violation>>,
}

/// Errors of the agent's routes: a `Problem`. Its `status` is `error` where the original API has it
/// so.
#[derive(Debug, Serialize, JsonSchema)]
struct AppProblem {
    #[serde(rename = "type")]
    #[schemars(extend("format" = "uri"))]
    kind: String,
    title: String,
    #[schemars(with = "StatusOrError")]
    status: u16,
    detail: String,
    code: String,
    request_id: String,
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    violated_policies: Option<Vec<String>>,
    #[serde(rename = "resetAt", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    reset_at: Option<Time>,
    error: String,
    /// The detail again, for clients of the original API.
    message: String,
    /// Only for `app_busy`: the trace of the running message.
    #[serde(rename = "traceId", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    trace_id: Option<String>,
    /// Only for `pull_conflict`: the files in conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    conflicts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Violation>")]
    errors: Option<Vec<Violation>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
enum StatusOrError {
    Status(u16),
    Error(ErrorWord),
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
enum ErrorWord {
    Error,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Violation {
    /// A JSON pointer (RFC 6901) into the body, or a parameter's name.
    pointer: String,
    detail: String,
}

/// Errors in FastAPI's format, for the startup generator's routes.
#[derive(Debug, Serialize, JsonSchema)]
struct HTTPException {
    /// What went wrong or, for a 422, each fault.
    detail: Detail,
    /// The `detail` again, except for 400, 404 and 422.
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
enum Detail {
    Text(String),
    List(Vec<ValidationError>),
}

#[derive(Debug, Serialize, JsonSchema)]
struct ValidationError {
    /// `body` or `query`, and the path to the field.
    loc: Vec<String>,
    msg: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Errors in OpenAI's format.
#[derive(Debug, Serialize, JsonSchema)]
struct OpenAIError {
    error: OpenAIErrorBody,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct OpenAIErrorBody {
    message: String,
    /// `invalid_request_error`, `rate_limit_error`, `server_error` and the like.
    #[serde(rename = "type")]
    kind: String,
    /// The field of the body that is wrong.
    param: Option<String>,
    code: Option<String>,
}

/// Errors in Anthropic's format.
#[derive(Debug, Serialize, JsonSchema)]
struct AnthropicError {
    /// `error`
    #[serde(rename = "type")]
    kind: String,
    error: AnthropicErrorBody,
    request_id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct AnthropicErrorBody {
    /// `invalid_request_error`, `overloaded_error` and the like.
    #[serde(rename = "type")]
    kind: String,
    message: String,
    details: AnthropicErrorDetails,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct AnthropicErrorDetails {
    error_code: Option<String>,
}

/// Collects the schemas of requests and responses separately, because a field that is optional in
/// one is always present in the other.
#[derive(Debug)]
pub(super) struct Schemas {
    pub(super) requests: SchemaGenerator,
    pub(super) answers: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let generator = |contract| {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
                settings.contract = contract;
            });
            settings.into_generator()
        };
        let requests = generator(Contract::Deserialize);
        let mut answers = generator(Contract::Serialize);
        answers.subschema_for::<Problem>();
        answers.subschema_for::<HTTPException>();
        answers.subschema_for::<OpenAIError>();
        answers.subschema_for::<AnthropicError>();
        answers.subschema_for::<AppProblem>();
        Self { requests, answers }
    }

    /// Every type in use, by name.
    pub(super) fn into_components(mut self) -> Map<String, Value> {
        let mut components = Map::new();
        let requests = self
            .requests
            .take_definitions(true)
            .into_iter()
            .map(|(name, schema)| (name, request(without_defaults(schema))));
        let answers =
            self.answers.take_definitions(true).into_iter().map(|(name, schema)| (name, answer(schema)));
        for (name, schema) in requests.chain(answers) {
            let twice = components.insert(name.clone(), schema);
            assert!(twice.is_none(), "two types are called {name}");
        }
        components
    }
}

/// Moves defaults into descriptions. Type generators treat a field of a named schema with a
/// `default` as always present.
fn without_defaults(schema: Value) -> Value {
    transformed(schema, DefaultsInDescriptions)
}

struct DefaultsInDescriptions;

impl Transform for DefaultsInDescriptions {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(default) = schema.remove("default").filter(|default| !default.is_null()) {
            let described = schema.get("description").and_then(Value::as_str);
            let text = described.map_or_else(String::new, |text| format!("{text} "));
            schema.insert("description".to_owned(), json!(format!("{text}By default `{default}`.")));
        }
        transform_subschemas(self, schema);
    }
}

/// A request's schema, with the rules that [`crate::http::body`] applies to every body.
pub(super) fn request(schema: Value) -> Value {
    transformed(schema, RequestRules)
}

/// A response's schema, which has all of its fields and no others.
pub(super) fn answer(schema: Value) -> Value {
    transformed(schema, ResponseRules)
}

fn transformed(schema: Value, mut transform: impl Transform) -> Value {
    let mut schema: Schema = schema.try_into().unwrap();
    transform.transform(&mut schema);
    schema.to_value()
}

struct RequestRules;

impl Transform for RequestRules {
    fn transform(&mut self, schema: &mut Schema) {
        plain(schema);
        let is_open = schema.get("additionalProperties").is_some_and(|more| *more != json!(false));
        if is_open && schema.get("propertyNames").is_none() {
            schema.insert("propertyNames".to_owned(), json!({ "pattern": NO_NUL }));
        }
        if schema.get("default").is_some_and(Value::is_null) {
            schema.remove("default");
        }
        let ruled = ["pattern", "format", "enum", "const"].iter().any(|rule| schema.get(*rule).is_some());
        if !ruled && has_type(schema, "string") {
            schema.insert("pattern".to_owned(), json!(NO_NUL));
        }
        transform_subschemas(self, schema);
    }
}

struct ResponseRules;

impl Transform for ResponseRules {
    fn transform(&mut self, schema: &mut Schema) {
        plain(schema);
        if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
            schema.insert("additionalProperties".to_owned(), json!(false));
        }
        transform_subschemas(self, schema);
    }
}

/// Removes formats that only Rust knows, and markers for the other direction.
fn plain(schema: &mut Schema) {
    schema.remove("writeOnly");
    schema.remove("readOnly");
    if schema.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        schema.remove("format");
    }
}

fn has_type(schema: &Schema, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(|kind| kind == name),
        kind => kind.is_some_and(|kind| kind == name),
    }
}
