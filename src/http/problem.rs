//! Writes errors in the format that the clients of a route expect.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::{
    error::{Error, Exceeded, rfc3339},
    platform::{request::InboundRequest, response::Response},
};

/// The error format of a family of routes. The module that knows its clients defines it; routes.rs
/// says which routes use it.
pub(crate) struct Dialect {
    /// Unknown paths below these prefixes use this dialect too.
    pub(crate) prefixes: &'static [&'static str],
    /// An additional prefix for the routes of this dialect.
    pub(crate) also_under: Option<&'static str>,
    /// Clients that send this header get the other dialect.
    pub(crate) for_clients_with: Option<(&'static str, &'static Dialect)>,
    /// The header in which its clients send an API key. It wins over `Authorization`.
    pub(crate) key_header: Option<&'static str>,
    /// The response without the headers that all dialects share. Its status may differ from
    /// [`Error::status`]; the second argument is the request id.
    pub(crate) body: fn(&Error, &str) -> Response,
    /// How the OpenAPI document describes the dialect.
    #[cfg(test)]
    pub(crate) document: Documented,
}

/// How the OpenAPI document describes a dialect's errors.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Documented {
    pub(crate) media_type: &'static str,
    /// The name of the schema.
    pub(crate) schema: &'static str,
    /// The prefix of the names of its shared responses.
    pub(crate) prefix: &'static str,
}

impl Dialect {
    /// The dialect of the request's client.
    pub(crate) fn for_client(&'static self, request: &InboundRequest) -> &'static Self {
        let other = self.for_clients_with.filter(|(name, _)| request.header(name).is_some());
        other.map_or(self, |(_, other)| other)
    }
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialect").field("prefixes", &self.prefixes).finish_non_exhaustive()
    }
}

/// RFC 9457 `application/problem+json`. The detail is in `error` too, where clients of the original
/// API look. This is the default dialect.
pub(crate) static PROBLEM: Dialect = Dialect {
    prefixes: &[],
    also_under: None,
    for_clients_with: None,
    key_header: None,
    body: Error::problem,
    #[cfg(test)]
    document: PROBLEM_DOCUMENTED,
};

#[cfg(test)]
pub(crate) const PROBLEM_DOCUMENTED: Documented =
    Documented { media_type: "application/problem+json", schema: "Problem", prefix: "" };

impl Error {
    /// The response in `dialect`.
    pub(crate) fn to_response(&self, dialect: &Dialect, request_id: &str) -> Response {
        self.with_headers((dialect.body)(self, request_id))
    }

    /// In the form of RFC 9457.
    pub(crate) fn problem(&self, request_id: &str) -> Response {
        let detail = self.detail();
        let mut problem = json!({
            "type": format!("urn:hatch:problem:{}", self.code()),
            "title": self.title(),
            "status": self.status(),
            "detail": detail,
            "code": self.code(),
            "request_id": request_id,
            "error": detail,
        });
        if let Some(problem) = problem.as_object_mut() {
            problem.extend(self.members());
        }
        let mut response = Response::json(self.status(), problem.to_string());
        response.content_type = "application/problem+json".into();
        response
    }

    /// Members of the problem that only some errors have.
    fn members(&self) -> Map<String, Value> {
        let members = match self {
            Self::Invalid(violations) => json!({ "errors": violations }),
            // As draft-ietf-httpapi-ratelimit-headers has them.
            Self::TooManyRequests(exceeded) => json!({
                "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "violated-policies": [exceeded.policy],
                "resetAt": rfc3339(exceeded.reset_at_ms),
            }),
            _ => Value::Null,
        };
        match members {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }

    fn with_headers(&self, response: Response) -> Response {
        let response = match self {
            Self::Unauthorized(_) => response.with("www-authenticate", "Bearer"),
            // RFC 6750, 3.1.
            Self::InvalidToken(_) => response.with("www-authenticate", "Bearer error=\"invalid_token\""),
            Self::InsufficientScope(_) => {
                response.with("www-authenticate", "Bearer error=\"insufficient_scope\"")
            }
            Self::TooManyRequests(exceeded) => {
                let Exceeded { policy, limit, window_s, reset_s, .. } = exceeded.as_ref();
                response
                    .with("ratelimit-policy", format!("\"{policy}\";q={limit};w={window_s}"))
                    .with("ratelimit", format!("\"{policy}\";r=0;t={reset_s}"))
            }
            Self::MethodNotAllowed { allow } => response.with("allow", allow.clone()),
            Self::Model(failure) => {
                let headers = failure.headers.iter();
                let response =
                    headers.fold(response, |response, (name, value)| response.with(name, value.clone()));
                // The provider refused the caller's own API key.
                let is_refused = failure.error.class == hatch_dialects::Class::Authentication;
                if is_refused { response.with("www-authenticate", "Bearer") } else { response }
            }
            _ => response,
        };
        match self.retry_after_s() {
            Some(seconds) => response.with("retry-after", seconds.to_string()),
            None => response,
        }
    }

    fn title(&self) -> &'static str {
        match self.status() {
            400 => "Bad request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not found",
            405 => "Method not allowed",
            409 => "Conflict",
            412 => "Precondition failed",
            413 => "Content too large",
            415 => "Unsupported media type",
            422 => "Unprocessable content",
            429 => "Too many requests",
            502 => "Bad gateway",
            503 => "Service unavailable",
            504 => "Gateway timeout",
            _ => "Internal server error",
        }
    }
}
