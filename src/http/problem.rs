//! How an error is told: in the form that the clients of its route know.

use serde_json::{Map, Value, json};

use crate::{
    error::{Error, Exceeded, Violation, rfc3339},
    platform::response::Response,
};

/// Which system's clients a route serves, and so the form of its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Hatch and everything else: RFC 9457 `application/problem+json`, with
    /// the detail in `error` too, where the originals' clients look.
    Hatch,
    /// Tassium's, whose errors have the same form, and whose routes are under
    /// `/api/v1` as well.
    Fleet,
    /// Hatchr's, whose clients know FastAPI: `{"detail": …}`, and 422 with a
    /// list of what is wrong for a body that fails validation.
    Hatchr,
}

impl Error {
    /// The status in the form of `family`.
    pub(crate) fn status_in(&self, family: Family) -> u16 {
        match self {
            Self::Malformed(_) | Self::Invalid(_) if family == Family::Hatchr => 422,
            _ => self.status(),
        }
    }

    /// The answer, in the form of `family`.
    pub(crate) fn to_response(&self, family: Family, request_id: &str) -> Response {
        let response = match family {
            Family::Hatch | Family::Fleet => self.problem(request_id),
            Family::Hatchr => self.fastapi(),
        };
        self.with_headers(response)
    }

    fn problem(&self, request_id: &str) -> Response {
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

    /// As FastAPI tells errors (fastapi.tiangolo.com, "Handling Errors").
    fn fastapi(&self) -> Response {
        let detail = match self {
            Self::Invalid(violations) => violations.iter().map(location).collect(),
            Self::Malformed(detail) => {
                json!([{ "type": "json_invalid", "loc": ["body"], "msg": detail }])
            }
            _ => json!(self.detail()),
        };
        let status = self.status_in(Family::Hatchr);
        let body = match status {
            400 | 404 | 422 => json!({ "detail": detail }),
            // The original has none of these. Its clients show `message`.
            _ => json!({ "detail": detail, "message": detail }),
        };
        Response::json(status, body.to_string())
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

/// A violation in FastAPI's form: where it is, as the steps that lead there.
fn location(violation: &Violation) -> Value {
    let (place, path) = match violation.pointer.strip_prefix('/') {
        Some(path) => ("body", path),
        None if violation.pointer.is_empty() => ("body", ""),
        None => ("query", violation.pointer.as_str()),
    };
    let steps = path.split('/').filter(|step| !step.is_empty());
    let loc: Vec<&str> = std::iter::once(place).chain(steps).collect();
    json!({ "type": "value_error", "loc": loc, "msg": violation.detail })
}
