//! Errors: each has one class, and each dialect has its own form for it.

use std::borrow::Cow;

use crate::{Dialect, json::Raw, write};

/// An error of the gateway or of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What kind of error it is.
    pub class: Class,
    /// A sentence for the client.
    pub message: String,
    /// The member of the body that is wrong: `messages[3].content`.
    pub param: Option<String>,
    /// OpenAI's `code`, if it differs from the class's usual one.
    pub code: Option<Cow<'static, str>>,
}

/// The kind of error. It determines the HTTP status, the error class in the
/// client's SDK, and whether the gateway retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The request itself is wrong, so no other upstream would take it.
    Invalid,
    /// There is no credential, or none that is known.
    Authentication,
    /// No credit, or over a budget.
    Billing,
    /// The credential does not permit this.
    Permission,
    /// There is no such model, answer or route.
    NotFound,
    /// The request conflicts with another one, or with the state of what it is about.
    Conflict,
    /// The body has too many bytes.
    TooLarge,
    /// The prompt has more tokens than the model's context.
    ContextTooLong,
    /// A vendor's filter, or a guardrail, refused the content.
    ContentPolicy,
    /// Too many requests or tokens in a time.
    RateLimit,
    /// The upstream has no capacity for now.
    Overloaded,
    /// The upstream did not answer in time.
    Timeout,
    /// The upstream failed.
    Upstream,
    /// The upstream's stream ended before its answer did.
    Cut,
}

/// How each dialect writes a class: OpenAI's status, type and code, and
/// Anthropic's status and type.
struct Wording {
    class: Class,
    openai: (u16, &'static str, Option<&'static str>),
    anthropic: (u16, &'static str),
}

const WORDINGS: &[Wording] = &[
    Wording {
        class: Class::Invalid,
        openai: (400, "invalid_request_error", None),
        anthropic: (400, "invalid_request_error"),
    },
    Wording {
        class: Class::Authentication,
        openai: (401, "invalid_request_error", Some("invalid_api_key")),
        anthropic: (401, "authentication_error"),
    },
    Wording {
        class: Class::Billing,
        openai: (429, "insufficient_quota", Some("insufficient_quota")),
        anthropic: (402, "billing_error"),
    },
    Wording {
        class: Class::Permission,
        openai: (403, "invalid_request_error", Some("insufficient_permissions")),
        anthropic: (403, "permission_error"),
    },
    Wording {
        class: Class::NotFound,
        openai: (404, "invalid_request_error", None),
        anthropic: (404, "not_found_error"),
    },
    Wording {
        class: Class::Conflict,
        openai: (409, "invalid_request_error", Some("conflict")),
        anthropic: (409, "conflict_error"),
    },
    Wording {
        class: Class::TooLarge,
        openai: (413, "invalid_request_error", Some("request_too_large")),
        anthropic: (413, "request_too_large"),
    },
    Wording {
        class: Class::ContextTooLong,
        openai: (400, "invalid_request_error", Some("context_length_exceeded")),
        anthropic: (400, "invalid_request_error"),
    },
    Wording {
        class: Class::ContentPolicy,
        openai: (400, "invalid_request_error", Some("content_policy_violation")),
        anthropic: (400, "invalid_request_error"),
    },
    Wording {
        class: Class::RateLimit,
        openai: (429, "rate_limit_error", Some("rate_limit_exceeded")),
        anthropic: (429, "rate_limit_error"),
    },
    Wording {
        class: Class::Overloaded,
        openai: (503, "server_error", Some("overloaded")),
        anthropic: (529, "overloaded_error"),
    },
    Wording {
        class: Class::Timeout,
        openai: (504, "server_error", Some("timeout")),
        anthropic: (504, "timeout_error"),
    },
    Wording {
        class: Class::Upstream,
        openai: (502, "server_error", Some("upstream_error")),
        anthropic: (500, "api_error"),
    },
    Wording {
        class: Class::Cut,
        openai: (502, "server_error", Some("stream_interrupted")),
        anthropic: (500, "api_error"),
    },
];

impl Class {
    fn wording(self) -> &'static Wording {
        const UNKNOWN: Wording = Wording {
            class: Class::Upstream,
            openai: (500, "server_error", None),
            anthropic: (500, "api_error"),
        };
        WORDINGS.iter().find(|words| words.class == self).unwrap_or(&UNKNOWN)
    }

    /// Whether another upstream may succeed. An error in the request itself is
    /// never sent to another upstream.
    pub fn may_fail_over(self) -> bool {
        !matches!(
            self,
            Self::Invalid | Self::TooLarge | Self::ContentPolicy | Self::Conflict | Self::ContextTooLong
        )
    }

    /// Whether the same upstream may succeed on a retry.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimit | Self::Overloaded | Self::Timeout | Self::Upstream | Self::Cut)
    }
}

impl Error {
    /// An error of this class, with a message for the client.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), param: None, code: None }
    }

    /// A member of the body is wrong.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(Class::Invalid, message) }
    }

    /// A member of the body has a value that this model or upstream does not
    /// support.
    pub fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: Some(Cow::Borrowed("unsupported_value")), ..Self::invalid(param, message) }
    }

    /// The answer broke off after it had begun.
    pub fn cut() -> Self {
        Self::new(Class::Cut, "The model's answer ended before it was whole")
    }

    pub(crate) fn malformed() -> Self {
        Self::new(Class::Upstream, "The model's provider sent an event that is not JSON")
    }

    /// The same error with the code that clients of the vendor compare.
    #[must_use]
    pub fn with_code(self, code: impl Into<Cow<'static, str>>) -> Self {
        Self { code: Some(code.into()), ..self }
    }

    /// The HTTP status for a client of this dialect.
    pub fn status(&self, dialect: Dialect) -> u16 {
        let words = self.class.wording();
        match dialect {
            Dialect::Messages => words.anthropic.0,
            Dialect::Chat | Dialect::Responses => words.openai.0,
        }
    }

    /// The response body for a client of this dialect.
    pub fn body(&self, dialect: Dialect, request_id: &str) -> String {
        let mut out = String::new();
        self.write(dialect, request_id, &mut out);
        out
    }

    pub(crate) fn write(&self, dialect: Dialect, request_id: &str, out: &mut String) {
        match dialect {
            Dialect::Messages => self.write_anthropic(request_id, out),
            Dialect::Chat | Dialect::Responses => self.write_openai(out),
        }
    }

    fn write_openai(&self, out: &mut String) {
        let (_, kind, _) = self.class.wording().openai;
        write::object_into(out, |o| {
            o.object("error", |o| {
                o.str("message", &self.openai_message());
                o.str("type", kind);
                o.str_or_null("param", self.param.as_deref());
                o.str_or_null("code", self.openai_code());
            });
        });
    }

    /// OpenAI's messages name the member that is wrong, because its SDKs print nothing else.
    fn openai_message(&self) -> Cow<'_, str> {
        match &self.param {
            Some(param) if !self.message.contains(param.as_str()) => {
                Cow::Owned(format!("{param}: {}", self.message))
            }
            _ => Cow::Borrowed(&self.message),
        }
    }

    pub(crate) fn openai_code(&self) -> Option<&str> {
        self.code.as_deref().or(self.class.wording().openai.2)
    }

    /// The code of a failed response. OpenAI's clients know it by a list, in which all that is no fault of the
    /// request is `server_error`, so they would not try again after one of the gateway's own codes.
    pub(crate) fn response_code(&self) -> &str {
        const SERVER: &str = "server_error";
        let (_, kind, _) = self.class.wording().openai;
        self.openai_code().filter(|_| kind != SERVER).unwrap_or(SERVER)
    }

    fn write_anthropic(&self, request_id: &str, out: &mut String) {
        write::object_into(out, |o| {
            o.str("type", "error");
            o.object("error", |o| {
                o.str("type", self.class.wording().anthropic.1);
                o.str("message", &self.anthropic_message());
                o.object("details", |o| o.str_or_null("error_code", self.openai_code()));
            });
            o.str("request_id", request_id);
        });
    }

    /// Anthropic puts the member's name into the message, with dots.
    fn anthropic_message(&self) -> Cow<'_, str> {
        if self.class == Class::ContextTooLong {
            return too_long(&self.message);
        }
        let Some(param) = &self.param else { return Cow::Borrowed(&self.message) };
        Cow::Owned(format!("{}: {}", param.replace('[', ".").replace(']', ""), self.message))
    }

    /// Parses the error of an upstream, or of a proxy in front of it: OpenAI's
    /// and Anthropic's forms, `{"error":"text"}`, `{"message"}`, `{"detail"}`,
    /// `{"errors":[…]}`, an array of one of them, and bodies that are not JSON.
    pub fn of_upstream(status: u16, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let raw = Raw::parse(&text);
        let upstream = raw.map(UpstreamError::of).unwrap_or_default();
        upstream.into_error(status)
    }

    /// An error event in a stream, after status 200.
    pub(crate) fn of_event(event: Raw<'_>) -> Self {
        UpstreamError::of(event).into_error(0)
    }
}

/// A message about a prompt that is too long in Anthropic's words. Its clients shorten the prompt when
/// they read these, and take the numbers from them.
fn too_long(message: &str) -> Cow<'_, str> {
    let lower = message.to_ascii_lowercase();
    if [TOO_LONG, "exceed context limit"].iter().any(|words| lower.contains(words)) {
        return Cow::Borrowed(message);
    }
    Cow::Owned(match lengths(&lower) {
        Some((prompt, limit)) => format!("{TOO_LONG}: {prompt} tokens > {limit} maximum"),
        None => format!("{TOO_LONG}: {message}"),
    })
}

const TOO_LONG: &str = "prompt is too long";

/// The length of the prompt and the model's limit, if a message in lower case has both.
fn lengths(message: &str) -> Option<(u64, u64)> {
    const LIMIT: &[&str] = &["context length", "context window", "context size", "limit of"];
    let at = LIMIT.iter().filter_map(|words| message.find(words)).min()?;
    let (before, after) = message.split_at_checked(at)?;
    let mut after = token_counts(after);
    let limit = after.next()?;
    let prompt = token_counts(before).chain(after).max()?;
    (prompt > limit).then_some((prompt, limit))
}

/// The numbers of a text that count tokens: `8192 tokens`, `9,000 input tokens`.
fn token_counts(text: &str) -> impl Iterator<Item = u64> {
    let mut words = text.split_whitespace();
    std::iter::from_fn(move || {
        loop {
            let number = words.next()?.trim_matches(|char: char| !char.is_ascii_digit()).replace(',', "");
            let is_count = words.clone().take(2).any(|word| word.starts_with("token"));
            if let Some(count) = number.parse().ok().filter(|_| is_count) {
                return Some(count);
            }
        }
    })
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.param {
            Some(param) => write!(f, "{param}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

/// An upstream's error, as far as it could be read.
#[derive(Debug, Default)]
struct UpstreamError {
    message: String,
    kind: String,
    code: String,
    param: Option<String>,
}

/// Longest upstream message that is passed on, in characters.
const MAX_MESSAGE: usize = 2_000;

impl UpstreamError {
    fn of(raw: Raw<'_>) -> Self {
        if raw.is_array() {
            return raw.items().next().map(Self::of).unwrap_or_default();
        }
        if let Some(text) = raw.as_str() {
            return Self { message: text.into_owned(), ..Self::default() };
        }
        let first = |name: &str| raw.get(name).and_then(|errors| errors.items().next());
        let inner = raw
            .get("error")
            .or_else(|| raw.get("response").and_then(|response| response.get("error")))
            .or_else(|| first("errors"))
            .or_else(|| raw.get("detail").filter(|detail| detail.is_object() || detail.is_array()));
        let outer = Self::flat(raw);
        let Some(inner) = inner else { return outer };
        let inner = Self::of(inner);
        Self {
            message: or(inner.message, outer.message),
            kind: or(inner.kind, if outer.kind == "error" { String::new() } else { outer.kind }),
            code: or(inner.code, outer.code),
            param: inner.param.or(outer.param),
        }
    }

    fn flat(raw: Raw<'_>) -> Self {
        let text = |names: &[&str]| {
            let found = names.iter().filter_map(|name| raw.get(name)).find(|value| !value.is_object());
            found.map(|value| value.as_str().map_or_else(|| value.text().to_owned(), Cow::into_owned))
        };
        let details = raw.get("details").and_then(|details| details.get_str("error_code"));
        Self {
            message: text(&["message", "msg", "detail", "description", "error_description", "errorMessage"])
                .unwrap_or_default(),
            kind: text(&["type", "status"]).unwrap_or_default(),
            code: details
                .map(Cow::into_owned)
                .or_else(|| text(&["code", "internalCode"]))
                .unwrap_or_default(),
            param: raw.get_str("param").map(Cow::into_owned),
        }
    }

    fn into_error(self, status: u16) -> Error {
        let class = self.class(status);
        let end = self.message.floor_char_boundary(MAX_MESSAGE);
        let message = match self.message.get(..end).unwrap_or_default().trim() {
            "" => default_message(class).to_owned(),
            message => message.to_owned(),
        };
        let is_word = !self.code.is_empty()
            && self.code.len() <= 64
            && self.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let keeps_code = is_word && matches!(class, Class::Invalid | Class::NotFound | Class::Permission);
        Error { class, message, param: self.param, code: keeps_code.then_some(Cow::Owned(self.code)) }
    }

    /// Codes and types are more precise than the status, and the status more
    /// than the message.
    fn class(&self, status: u16) -> Class {
        let message = self.message.to_ascii_lowercase();
        let mentions = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let is_request = matches!(status, 0 | 400 | 413 | 422);
        if is_request && (self.named(&["context_length_exceeded"]) || mentions(CONTEXT)) {
            return Class::ContextTooLong;
        }
        if self.named(&["content_policy_violation", "content_filter", "moderation_blocked"]) {
            return Class::ContentPolicy;
        }
        if is_request
            && mentions(&["you have reached your specified api usage limits", "credit balance is too low"])
        {
            return Class::Billing;
        }
        CODES
            .iter()
            .find(|(names, _)| self.named(names))
            .map(|(_, class)| *class)
            .filter(|class| status == 0 || !matches!(class, Class::Invalid | Class::Upstream))
            .unwrap_or_else(|| match status {
                // No API would say nothing: another server answers at this address.
                404 if self.message.is_empty() => Class::Upstream,
                status => class_of_status(status),
            })
    }

    fn named(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.code.eq_ignore_ascii_case(name) || self.kind.eq_ignore_ascii_case(name))
    }
}

/// Phrases with which upstreams report a prompt that is too long.
const CONTEXT: &[&str] = &[
    TOO_LONG,
    "maximum context length",
    "exceed context limit",
    "context window",
    "context length",
    "input is too long",
    "exceeds the available context",
];

const CODES: &[(&[&str], Class)] = &[
    (&["insufficient_quota", "billing_error", "billing_hard_limit_reached"], Class::Billing),
    (&["invalid_api_key", "authentication_error", "unauthenticated"], Class::Authentication),
    (&["permission_error", "permission_denied", "insufficient_permissions"], Class::Permission),
    (
        &["rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "requests", "tokens"],
        Class::RateLimit,
    ),
    (&["overloaded_error", "overloaded", "server_overloaded", "unavailable", "slow_down"], Class::Overloaded),
    (&["request_too_large"], Class::TooLarge),
    (&["not_found_error", "model_not_found", "not_found"], Class::NotFound),
    (&["timeout_error", "timeout", "deadline_exceeded"], Class::Timeout),
    (&["conflict_error"], Class::Conflict),
    (&["invalid_request_error", "invalid_prompt", "invalid_argument", "badrequesterror"], Class::Invalid),
    (&["api_error", "server_error", "internal_server_error", "internal"], Class::Upstream),
];

fn class_of_status(status: u16) -> Class {
    match status {
        401 => Class::Authentication,
        402 => Class::Billing,
        403 => Class::Permission,
        404 => Class::NotFound,
        408 | 504 | 524 => Class::Timeout,
        409 => Class::Conflict,
        413 => Class::TooLarge,
        429 => Class::RateLimit,
        503 | 529 => Class::Overloaded,
        400..=499 => Class::Invalid,
        _ => Class::Upstream,
    }
}

fn default_message(class: Class) -> &'static str {
    match class {
        Class::Invalid => "The model's provider refused the request",
        Class::Authentication => "The model's provider did not accept the key",
        Class::Billing => "The account at the model's provider has no credit",
        Class::Permission => "The model's provider does not allow this",
        Class::NotFound => "The model's provider does not have this",
        Class::Conflict => "The model's provider reports a conflict",
        Class::TooLarge => "The request is too large for the model's provider",
        Class::ContextTooLong => "The request is too long for the model",
        Class::ContentPolicy => "The model's provider refused the content",
        Class::RateLimit => "The model's provider gets too many requests",
        Class::Overloaded => "The model's provider is overloaded",
        Class::Timeout => "The model's provider took too long",
        Class::Upstream => "The model's provider failed",
        Class::Cut => "The model's answer ended before it was whole",
    }
}

fn or(first: String, second: String) -> String {
    if first.is_empty() { second } else { first }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_form_of_an_upstreams_error_is_parsed() {
        let cases = [
            (
                429,
                r#"{"error":{"message":"m","type":"requests","code":"rate_limit_exceeded"}}"#,
                Class::RateLimit,
                "m",
            ),
            (
                429,
                r#"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                Class::Billing,
                "m",
            ),
            (
                400,
                r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#,
                Class::ContextTooLong,
                "m",
            ),
            (
                400,
                r#"{"error":{"message":"m","code":"content_policy_violation"}}"#,
                Class::ContentPolicy,
                "m",
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2 tokens"}}"#,
                Class::ContextTooLong,
                "prompt is too long: 2 tokens",
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"}}"#,
                Class::ContextTooLong,
                "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000",
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits."}}"#,
                Class::Billing,
                "You have reached your specified API usage limits.",
            ),
            (
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#,
                Class::Overloaded,
                "Overloaded",
            ),
            (
                500,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                Class::Overloaded,
                "Overloaded",
            ),
            (400, r#"{"error":"text"}"#, Class::Invalid, "text"),
            (404, r#"{"message":"no such model"}"#, Class::NotFound, "no such model"),
            (404, "<html>404</html>", Class::Upstream, "The model's provider failed"),
            (422, r#"{"detail":"wrong"}"#, Class::Invalid, "wrong"),
            (
                422,
                r#"{"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]}"#,
                Class::Invalid,
                "field required",
            ),
            (
                401,
                r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}"#,
                Class::Authentication,
                "Authentication error",
            ),
            (
                400,
                r#"[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]"#,
                Class::Invalid,
                "m",
            ),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","code":400}"#,
                Class::ContextTooLong,
                "This model's maximum context length is 4096 tokens.",
            ),
            (502, "<html>bad gateway</html>", Class::Upstream, "The model's provider failed"),
            (503, "", Class::Overloaded, "The model's provider is overloaded"),
            (500, r#"{"error":{"message":"m","type":"invalid_request_error"}}"#, Class::Upstream, "m"),
        ];
        for (status, body, class, message) in cases {
            let error = Error::of_upstream(status, body.as_bytes());
            assert_eq!((error.class, error.message.as_str()), (class, message), "{status} {body}");
        }
    }

    #[test]
    fn an_error_is_written_in_each_vendors_form() {
        let error = Error::invalid("messages[3].content", "expected a string");
        let body: Value = serde_json::from_str(&error.body(Dialect::Chat, "r")).unwrap();
        assert_eq!(
            body,
            json!({ "error": { "message": "messages[3].content: expected a string", "type": "invalid_request_error", "param": "messages[3].content", "code": null } })
        );
        let body: Value = serde_json::from_str(&error.body(Dialect::Messages, "req_1")).unwrap();
        assert_eq!(body["error"]["message"], "messages.3.content: expected a string");
        assert_eq!((&body["type"], &body["request_id"]), (&json!("error"), &json!("req_1")));
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_in_the_words_that_each_vendors_clients_look_for() {
        let told = |message: &str| {
            let body = json!({ "error": { "message": message, "param": "messages", "code": "context_length_exceeded" } });
            let error = Error::of_upstream(400, body.to_string().as_bytes());
            let told: Value = serde_json::from_str(&error.body(Dialect::Messages, "r")).unwrap();
            told["error"]["message"].as_str().unwrap().to_owned()
        };
        for (message, expected) in [
            (
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 10,000 tokens. Please reduce the length of the messages.",
                "prompt is too long: 10000 tokens > 8192 maximum",
            ),
            (
                "This model's maximum context length is 8192 tokens. However, you requested 9192 tokens (8200 in the messages, 992 in the completion).",
                "prompt is too long: 9192 tokens > 8192 maximum",
            ),
            (
                "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
                "prompt is too long: 300000 tokens > 272000 maximum",
            ),
            (
                "You passed 5000 input tokens and requested 1 output tokens. However, the model's context length is only 4097 tokens",
                "prompt is too long: 5000 tokens > 4097 maximum",
            ),
            (
                "This model's maximum context length is 8192 tokens.",
                "prompt is too long: This model's maximum context length is 8192 tokens.",
            ),
            (
                "Your input exceeds the context window of this model.",
                "prompt is too long: Your input exceeds the context window of this model.",
            ),
            ("Prompt is too long: 3 tokens > 2 maximum", "Prompt is too long: 3 tokens > 2 maximum"),
            (
                "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000",
                "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000",
            ),
        ] {
            assert_eq!(told(message), expected);
        }
        for message in ["prompt is too long: 3 tokens > 2 maximum", "exceed context limit: 1 + 2 > 2"] {
            let body =
                json!({ "type": "error", "error": { "type": "invalid_request_error", "message": message } });
            let error = Error::of_upstream(400, body.to_string().as_bytes());
            let told: Value = serde_json::from_str(&error.body(Dialect::Chat, "r")).unwrap();
            assert_eq!(
                (&told["error"]["message"], &told["error"]["code"]),
                (&json!(message), &json!("context_length_exceeded"))
            );
        }
    }

    #[test]
    fn every_class_has_its_own_form_and_is_recognised_by_its_status() {
        for words in WORDINGS {
            let error = Error::new(words.class, "m");
            for dialect in [Dialect::Chat, Dialect::Messages] {
                let again = Error::of_upstream(error.status(dialect), error.body(dialect, "r").as_bytes());
                let is_near = words.class == Class::Cut && again.class == Class::Upstream;
                assert!(again.class == words.class || is_near, "{:?} became {:?}", words.class, again.class);
            }
        }
    }

    #[test]
    fn an_invalid_request_is_not_sent_to_another_upstream() {
        assert!(!Class::ContentPolicy.may_fail_over());
        assert!(!Class::Invalid.may_fail_over());
        assert!(Class::Overloaded.may_fail_over() && Class::Overloaded.is_retryable());
        assert!(Class::Authentication.may_fail_over() && !Class::Authentication.is_retryable());
    }

    #[test]
    fn a_long_upstream_message_is_truncated_between_characters() {
        let body = format!("{{\"message\":\"{}\"}}", "那".repeat(3_000));
        assert!(Error::of_upstream(500, body.as_bytes()).message.len() <= MAX_MESSAGE);
    }
}
