//! The one error type of the Worker. http/problem.rs writes it for clients.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

/// One fault in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    /// The place: a JSON pointer (RFC 6901) into the body, or the parameter's name.
    pub(crate) pointer: String,
    /// The fault, in words for the client.
    pub(crate) detail: String,
}

/// An exceeded limit, and when it resets.
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

/// A time in the API's form. A time outside of the calendar, which no clock
/// has, becomes 1970.
pub(crate) fn rfc3339(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The kind of object that does not exist or belongs to another user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    Path,
    Account,
    App,
    /// An app that the agent builds.
    Application,
    CloudCredentials,
    DeadLetter,
    Deck,
    Deployment,
    /// A deployment, a machine or a payment of the fleet.
    Fleet,
    Job,
    Key,
    /// The prompts of an app.
    PromptHistory,
    Project,
    Session,
    Skill,
    User,
    Version,
}

impl Resource {
    const fn not_found(self) -> &'static str {
        match self {
            Self::Path => "There is nothing at this path",
            Self::Account => "This account has been deleted",
            Self::App => "App not found",
            Self::Application => "Application not found",
            Self::CloudCredentials => {
                "No credentials are stored for this target; GET /auth/credentials lists those that are"
            }
            Self::DeadLetter => "Dead letter not found",
            Self::Deck => "There is no deck at this address",
            Self::Deployment => "Deployment not found",
            Self::Fleet => "Not found",
            Self::Job => "Job not found",
            Self::Key => "API key not found",
            Self::Project => "Project not found",
            Self::PromptHistory => "No prompt history found for this app",
            Self::Session => "Session not found",
            Self::Skill => "Skill not found",
            Self::User => "User not found",
            Self::Version => "Version not found",
        }
    }
}

/// How an outside service failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpstreamKind {
    /// It refuses our credential, or the credential lacks a permission.
    Unauthorized,
    /// The account cannot pay.
    Billing,
    /// It refuses the request, and would refuse a repetition.
    Rejected,
    /// The model declined to answer.
    Declined,
    RateLimited,
    Overloaded,
    /// It temporarily refuses requests, for a reason of its own.
    Busy,
    Timeout,
    /// A job's step took longer than its policy allows.
    StepTimeout,
    Unreachable,
    /// Its response was cut off.
    Interrupted,
    /// The model reached its limit of tokens before the end of its answer.
    RanOut,
    /// Its response does not conform to its API.
    Unreadable,
    /// It failed.
    Failed,
    /// No source of skills responds, and the catalogue is empty.
    NoSkills,
    /// The keys of access tokens cannot be read.
    NoSigningKeys,
}

impl UpstreamKind {
    const fn code(self) -> &'static str {
        match self {
            Self::Unauthorized => "upstream_auth",
            Self::Billing => "upstream_billing",
            Self::Rejected => "upstream_rejected",
            Self::Declined => "upstream_refused",
            Self::RateLimited => "upstream_rate_limited",
            Self::Overloaded => "upstream_overloaded",
            Self::Busy => "upstream_busy",
            Self::Timeout => "upstream_timeout",
            Self::StepTimeout => "step_timeout",
            Self::Unreachable => "upstream_unreachable",
            Self::Interrupted => "upstream_interrupted",
            Self::RanOut => "upstream_ran_out",
            Self::Unreadable => "upstream_unreadable",
            Self::Failed => "upstream_error",
            Self::NoSkills => "skills_unavailable",
            Self::NoSigningKeys => "stack_auth_unavailable",
        }
    }

    const fn status(self) -> u16 {
        match self {
            Self::RateLimited => 429,
            Self::Overloaded | Self::Busy | Self::NoSigningKeys => 503,
            Self::Timeout | Self::StepTimeout => 504,
            _ => 502,
        }
    }

    /// Whether it lasts until somebody changes something: a credential, an
    /// account, or the request.
    pub(crate) const fn is_permanent(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Billing | Self::Rejected | Self::Declined)
    }
}

/// A service of our own that is unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Database,
    RateLimiter,
    /// The source of Stack Auth's keys.
    KeySet,
    /// The whole service, because of too many requests.
    Everything,
}

impl Service {
    const fn detail(self) -> &'static str {
        match self {
            Self::Database => {
                "The database cannot be reached now. A change was made completely or not at all: check, then try again"
            }
            Self::RateLimiter => {
                "Requests cannot be counted now, and nothing was done; try again in a moment"
            }
            Self::KeySet => "The keys of access tokens cannot be read now; try again in a moment",
            Self::Everything => "This service is overloaded, and nothing was done; try again in a moment",
        }
    }
}

/// An error of a model's API, with the headers that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelError {
    pub(crate) error: hatch_dialects::Error,
    pub(crate) retry_after_s: Option<i64>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl From<hatch_dialects::Error> for Error {
    fn from(error: hatch_dialects::Error) -> Self {
        Self::Model(Box::new(ModelError { error, retry_after_s: None, headers: Vec::new() }))
    }
}

/// Every error of the Worker. The client sees what a variant holds, except in
/// [`Error::Internal`] and [`Error::Unavailable`], whose text is only logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// The body is not JSON at all. 400
    Malformed(String),
    /// The body or a parameter is invalid. 400
    Invalid(Vec<Violation>),
    /// Well-formed, but impossible in the present state. 400
    Refused { code: &'static str, detail: String },
    /// A required credential is missing, or a sign-in failed. 401
    Unauthorized(Cow<'static, str>),
    /// The credential is wrong or no longer valid. 401
    InvalidToken(Cow<'static, str>),
    /// The API key lacks the scope, or no key may do this. 403
    InsufficientScope(Cow<'static, str>),
    /// The caller is authenticated but not permitted. 403
    Forbidden { code: &'static str, detail: Cow<'static, str> },
    /// It does not exist, or belongs to another user. 404
    NotFound(Resource),
    /// The path exists, but only with these methods. 405
    MethodNotAllowed { allow: String },
    /// The present state does not allow it. 409
    Conflict { code: &'static str, detail: Cow<'static, str> },
    /// Another request is doing the same right now. 409
    InProgress { code: &'static str, detail: &'static str },
    /// `If-Match` has another version. 412
    PreconditionFailed,
    /// The body is longer than `limit` bytes. 413
    TooLarge { limit: usize },
    /// The body has another media type than the route takes. 415
    UnsupportedMediaType { expected: &'static str },
    /// Valid, but it contradicts an earlier request. 422
    Unprocessable { code: &'static str, detail: &'static str },
    /// A limit is exceeded. 429
    TooManyRequests(Box<Exceeded>),
    /// A variable that the route needs is missing or wrong. 503
    NotConfigured { variable: &'static str, detail: String },
    /// A service of our own is unavailable; the text is for the log. 503
    Unavailable(Service, String),
    /// An outside service failed before the first byte of its response.
    Upstream { kind: UpstreamKind, detail: String, retry_after_s: Option<i64> },
    /// An error of a model's API, or of ours for a request in its dialect.
    Model(Box<ModelError>),
    /// A guard refused a batch, and nothing of it was written
    /// ([`crate::store::guard`]). The sender of the batch turns this into an error
    /// of its own; otherwise it is a 500.
    GuardFailed,
    /// A fault of our own; the text is for the log. 500
    Internal(String),
}

impl Error {
    /// An [`Error::Invalid`] with one violation.
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation { pointer: pointer.into(), detail: detail.into() }])
    }

    /// An [`Error::Upstream`] without a time for the next try.
    pub(crate) fn upstream(kind: UpstreamKind, detail: impl Into<String>) -> Self {
        Self::Upstream { kind, detail: detail.into(), retry_after_s: None }
    }

    /// An [`Error::Unavailable`] of the database.
    pub(crate) fn database(detail: impl Into<String>) -> Self {
        Self::Unavailable(Service::Database, detail.into())
    }

    /// Whether the same attempt may succeed later although nobody changes
    /// anything.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Internal(_) | Self::Unavailable(..) | Self::InProgress { .. } => true,
            Self::Upstream { kind, .. } => !kind.is_permanent(),
            Self::Model(model) => model.error.class.is_retryable(),
            _ => false,
        }
    }

    /// After how many seconds to try again, if that is known.
    pub(crate) fn retry_after_s(&self) -> Option<i64> {
        match self {
            Self::TooManyRequests(exceeded) => Some(exceeded.reset_s),
            Self::Unavailable(..) | Self::InProgress { .. } => Some(1),
            Self::Upstream { retry_after_s, .. } => *retry_after_s,
            Self::Model(model) => model.retry_after_s,
            _ => None,
        }
    }

    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::Invalid(_) | Self::Refused { .. } => 400,
            Self::Unauthorized(_) | Self::InvalidToken(_) => 401,
            Self::Forbidden { .. } | Self::InsufficientScope(_) => 403,
            Self::NotFound(_) => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::Conflict { .. } | Self::InProgress { .. } => 409,
            Self::PreconditionFailed => 412,
            Self::TooLarge { .. } => 413,
            Self::UnsupportedMediaType { .. } => 415,
            Self::Unprocessable { .. } => 422,
            Self::TooManyRequests(_) => 429,
            Self::Internal(_) | Self::GuardFailed => 500,
            Self::NotConfigured { .. } | Self::Unavailable(..) => 503,
            Self::Upstream { kind, .. } => kind.status(),
            Self::Model(model) => model.error.status(hatch_dialects::Dialect::Chat),
        }
    }

    /// A stable identifier for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_json",
            Self::Invalid(_) => "validation_failed",
            Self::Refused { code, .. }
            | Self::Forbidden { code, .. }
            | Self::Conflict { code, .. }
            | Self::InProgress { code, .. }
            | Self::Unprocessable { code, .. } => code,
            Self::InsufficientScope(_) => "insufficient_scope",
            Self::Upstream { kind, .. } => kind.code(),
            Self::Unauthorized(_) | Self::InvalidToken(_) => "unauthorized",
            Self::TooManyRequests(exceeded) => exceeded.code,
            Self::NotFound(_) => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::PreconditionFailed => "precondition_failed",
            Self::TooLarge { .. } => "body_too_large",
            Self::UnsupportedMediaType { .. } => "unsupported_media_type",
            Self::NotConfigured { .. } => "not_configured",
            Self::Unavailable(..) => "unavailable",
            Self::Model(_) => "model_error",
            Self::Internal(_) | Self::GuardFailed => "internal",
        }
    }

    /// What went wrong and what to do next. Safe to show to the client.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Malformed(detail)
            | Self::Refused { detail, .. }
            | Self::NotConfigured { detail, .. }
            | Self::Upstream { detail, .. } => detail.clone(),
            Self::Invalid(violations) => sentence(violations),
            Self::NotFound(resource) => resource.not_found().to_owned(),
            Self::Unprocessable { detail, .. } | Self::InProgress { detail, .. } => (*detail).to_owned(),
            Self::Unauthorized(detail)
            | Self::InvalidToken(detail)
            | Self::InsufficientScope(detail)
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
            Self::Unavailable(service, _) => service.detail().to_owned(),
            Self::Model(model) => model.error.to_string(),
            Self::Internal(_) | Self::GuardFailed => {
                "Something went wrong on our side; quote the request id when you report it".to_owned()
            }
        }
    }

    /// The text that only the log may contain.
    pub(crate) fn internal_detail(&self) -> Option<&str> {
        match self {
            // Overload affects many requests at once, and a log line for each would add to it.
            Self::Unavailable(Service::Everything, _) => None,
            Self::Internal(detail) | Self::Unavailable(_, detail) => Some(detail),
            Self::GuardFailed => Some("a guard refused a batch whose sender does not handle that"),
            _ => None,
        }
    }
}

/// `name: too long; description: …`
fn sentence(violations: &[Violation]) -> String {
    let message = violations.iter().map(|v| match v.pointer.trim_start_matches('/') {
        "" => v.detail.clone(),
        name => format!("{name}: {}", v.detail),
    });
    message.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_need_a_change_first_are_not_tried_again() {
        use UpstreamKind::{Billing, Busy, Declined, Failed, Interrupted, Rejected, Timeout, Unauthorized};
        for kind in [Unauthorized, Billing, Rejected, Declined] {
            assert!(!Error::upstream(kind, "").is_retryable(), "{kind:?}");
        }
        for kind in [Busy, Failed, Interrupted, Timeout] {
            assert!(Error::upstream(kind, "").is_retryable(), "{kind:?}");
        }
        assert!(Error::database("locked").is_retryable());
        assert!(!Error::NotFound(Resource::Project).is_retryable());
        assert!(!Error::invalid("/name", "is missing").is_retryable());
    }

    #[test]
    fn only_a_failing_database_names_the_database() {
        for service in [Service::RateLimiter, Service::KeySet, Service::Everything] {
            let error = Error::Unavailable(service, "secret words".to_owned());
            assert!(
                !error.detail().contains("database") && !error.detail().contains("secret"),
                "{service:?}"
            );
            assert_eq!((error.status(), error.retry_after_s()), (503, Some(1)));
        }
    }
}
