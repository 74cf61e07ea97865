//! One error for the whole Worker. How clients are told is `http`'s.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    /// Where: a JSON pointer (RFC 6901) into the body, or the parameter's name.
    pub(crate) pointer: String,
    /// What, in words for the one who sent it.
    pub(crate) detail: String,
}

/// A limit that has been reached, and when there is more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// Its name in `RateLimit-Policy`.
    pub(crate) policy: &'static str,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) limit: i64,
    pub(crate) window_s: i64,
    pub(crate) reset_at_ms: i64,
    pub(crate) reset_s: i64,
}

/// A time as the API writes it. One beyond the calendar, which no clock gives,
/// becomes 1970.
pub(crate) fn rfc3339(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// All that can go wrong. What a variant holds is told to the client, except
/// in [`Error::Internal`], which only the log sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// The body is not JSON at all. 400
    Malformed(String),
    /// The body or a parameter is not what the route takes. 400
    Invalid(Vec<Violation>),
    /// Well-formed, but it cannot be done as things stand. 400
    Refused { code: &'static str, detail: String },
    /// No credential where one is needed, or a sign-in that fails. 401
    Unauthorized(Cow<'static, str>),
    /// A credential that is wrong, or good no longer. 401
    InvalidToken(Cow<'static, str>),
    /// The caller is known and may not. 403
    Forbidden { code: &'static str, detail: Cow<'static, str> },
    /// No such thing, or somebody else's. 404
    NotFound(&'static str),
    /// The path is known, its methods are these. 405
    MethodNotAllowed { allow: String },
    /// The present state does not allow it. 409
    Conflict { code: &'static str, detail: Cow<'static, str> },
    /// `If-Match` names another version. 412
    PreconditionFailed,
    /// The body is longer than `limit` bytes. 413
    TooLarge { limit: usize },
    /// The body is not of the media type that the route takes. 415
    UnsupportedMediaType { expected: &'static str },
    /// Understood, and not to be done: it contradicts an earlier request. 422
    Unprocessable { code: &'static str, detail: &'static str },
    /// More than a limit lets through. 429
    TooManyRequests(Box<Exceeded>),
    /// A variable that the route needs is missing or wrong. 503
    NotConfigured { variable: &'static str, detail: String },
    /// The database cannot answer now. 503
    Unavailable(String),
    /// An outside service failed before its first byte; `status` is ours.
    Upstream { status: u16, code: &'static str, detail: String, retry_after_s: Option<i64> },
    /// Ours to mend; the text is for the log. 500
    Internal(String),
}

impl Error {
    /// An [`Error::Invalid`] with one violation.
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation { pointer: pointer.into(), detail: detail.into() }])
    }

    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::Invalid(_) | Self::Refused { .. } => 400,
            Self::Unauthorized(_) | Self::InvalidToken(_) => 401,
            Self::Forbidden { .. } => 403,
            Self::NotFound(_) => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::Conflict { .. } => 409,
            Self::PreconditionFailed => 412,
            Self::TooLarge { .. } => 413,
            Self::UnsupportedMediaType { .. } => 415,
            Self::Unprocessable { .. } => 422,
            Self::TooManyRequests(_) => 429,
            Self::Internal(_) => 500,
            Self::NotConfigured { .. } | Self::Unavailable(_) => 503,
            Self::Upstream { status, .. } => *status,
        }
    }

    /// A word for programs, stable across releases.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_json",
            Self::Invalid(_) => "validation_failed",
            Self::Refused { code, .. }
            | Self::Forbidden { code, .. }
            | Self::Conflict { code, .. }
            | Self::Unprocessable { code, .. }
            | Self::Upstream { code, .. } => code,
            Self::Unauthorized(_) | Self::InvalidToken(_) => "unauthorized",
            Self::TooManyRequests(exceeded) => exceeded.code,
            Self::NotFound(_) => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::PreconditionFailed => "precondition_failed",
            Self::TooLarge { .. } => "body_too_large",
            Self::UnsupportedMediaType { .. } => "unsupported_media_type",
            Self::NotConfigured { .. } => "not_configured",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// What went wrong and what to do next, safe to show.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Malformed(detail)
            | Self::Refused { detail, .. }
            | Self::NotConfigured { detail, .. }
            | Self::Upstream { detail, .. } => detail.clone(),
            Self::Invalid(violations) => sentence(violations),
            Self::NotFound(detail) | Self::Unprocessable { detail, .. } => (*detail).to_owned(),
            Self::Unauthorized(detail)
            | Self::InvalidToken(detail)
            | Self::Conflict { detail, .. }
            | Self::Forbidden { detail, .. } => detail.clone().into_owned(),
            Self::TooManyRequests(exceeded) => {
                format!("{}; there is more at {}", exceeded.detail, rfc3339(exceeded.reset_at_ms))
            }
            Self::MethodNotAllowed { allow } => format!("This path answers to {allow}"),
            Self::PreconditionFailed => {
                "The resource has changed since the version named in If-Match; read it again".to_owned()
            }
            Self::TooLarge { limit } => format!("The body is longer than {limit} bytes"),
            Self::UnsupportedMediaType { expected } => format!("Send the body as Content-Type: {expected}"),
            Self::Unavailable(_) => {
                "The database cannot answer now. A change was made as a whole or not at all: look, then try again"
                    .to_owned()
            },
            Self::Internal(_) => {
                "Something went wrong on our side; quote the request id when you report it".to_owned()
            }
        }
    }

    /// What only the log may see.
    pub(crate) fn internal_detail(&self) -> Option<&str> {
        match self {
            Self::Internal(detail) | Self::Unavailable(detail) => Some(detail),
            _ => None,
        }
    }
}

/// `name: too long; description: …`
fn sentence(violations: &[Violation]) -> String {
    let told = violations.iter().map(|v| match v.pointer.trim_start_matches('/') {
        "" => v.detail.clone(),
        name => format!("{name}: {}", v.detail),
    });
    told.collect::<Vec<_>>().join("; ")
}
