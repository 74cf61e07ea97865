//! One error for the whole Worker. http/problem.rs writes it for clients.

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

/// What was asked for and is not there, or is somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    Path,
    Account,
    App,
    /// An app of the agent's.
    Application,
    CloudCredentials,
    DeadLetter,
    Deck,
    Deployment,
    /// A deployment, a machine or a payment of the fleet.
    Fleet,
    Job,
    Key,
    /// What was said of an app.
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

/// Why an outside service did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpstreamKind {
    /// It does not accept our credential, or the credential may not do this.
    Unauthorized,
    /// The account cannot pay.
    Billing,
    /// It does not take what was sent, and will not take it again.
    Rejected,
    /// The model declined to answer.
    Declined,
    RateLimited,
    Overloaded,
    /// It takes nothing for now, for a reason of its own.
    Busy,
    Timeout,
    /// A job's step took longer than its policy allows.
    StepTimeout,
    Unreachable,
    /// Its answer broke off.
    Interrupted,
    /// The model reached its limit of tokens before it had finished.
    RanOut,
    /// It answered something that is not its API.
    Unreadable,
    /// It failed.
    Failed,
    /// No source of skills answers, and nothing is cached.
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

    /// Whether it stays as it is until somebody changes something: a
    /// credential, an account, what was sent.
    pub(crate) const fn is_permanent(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Billing | Self::Rejected | Self::Declined)
    }
}

/// What of our own cannot answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Database,
    RateLimiter,
    /// The key set of Stack Auth, which is kept beside us.
    KeySet,
    /// All of it: more is asked than it can do.
    Everything,
}

impl Service {
    const fn detail(self) -> &'static str {
        match self {
            Self::Database => {
                "The database cannot answer now. A change was made as a whole or not at all: look, then try again"
            }
            Self::RateLimiter => {
                "Requests cannot be counted now, and nothing was done; try again in a moment"
            }
            Self::KeySet => "The keys of access tokens cannot be read now; try again in a moment",
            Self::Everything => {
                "More is asked of this service than it can do now, and nothing was done; try again in a moment"
            }
        }
    }
}

/// An error in the words of models' APIs, and what is told beside it.
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

/// All that can go wrong. What a variant holds is shown to the client, except
/// in [`Error::Internal`] and [`Error::Unavailable`], which the log sees.
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
    /// The API key lacks the scope, or a key may not do this. 403
    InsufficientScope(Cow<'static, str>),
    /// The caller is known and may not. 403
    Forbidden { code: &'static str, detail: Cow<'static, str> },
    /// No such thing, or somebody else's. 404
    NotFound(Resource),
    /// The path is known, its methods are these. 405
    MethodNotAllowed { allow: String },
    /// The present state does not allow it. 409
    Conflict { code: &'static str, detail: Cow<'static, str> },
    /// Another request is doing the same now; it will be over in a moment. 409
    InProgress { code: &'static str, detail: &'static str },
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
    /// A service of our own cannot answer now; the text is for the log. 503
    Unavailable(Service, String),
    /// An outside service failed before its first byte.
    Upstream { kind: UpstreamKind, detail: String, retry_after_s: Option<i64> },
    /// What models' APIs have errors for: an upstream's, or ours about a request in their dialects.
    Model(Box<ModelError>),
    /// A guard refused a batch, and nothing of it was written
    /// ([`crate::store::guard`]). Whoever sent the batch knows what that means;
    /// 500 where nobody does.
    GuardFailed,
    /// Ours to mend; the text is for the log. 500
    Internal(String),
}

impl Error {
    /// An [`Error::Invalid`] with one violation.
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation { pointer: pointer.into(), detail: detail.into() }])
    }

    /// An [`Error::Upstream`] that does not say when to try again.
    pub(crate) fn upstream(kind: UpstreamKind, detail: impl Into<String>) -> Self {
        Self::Upstream { kind, detail: detail.into(), retry_after_s: None }
    }

    /// An [`Error::Unavailable`] of the database.
    pub(crate) fn database(detail: impl Into<String>) -> Self {
        Self::Unavailable(Service::Database, detail.into())
    }

    /// Whether the same attempt may end otherwise later, without anybody
    /// changing anything.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Internal(_) | Self::Unavailable(..) | Self::InProgress { .. } => true,
            Self::Upstream { kind, .. } => !kind.is_permanent(),
            Self::Model(said) => said.error.class.is_retryable(),
            _ => false,
        }
    }

    /// After how many seconds to try again, where that is known.
    pub(crate) fn retry_after_s(&self) -> Option<i64> {
        match self {
            Self::TooManyRequests(exceeded) => Some(exceeded.reset_s),
            Self::Unavailable(..) | Self::InProgress { .. } => Some(1),
            Self::Upstream { retry_after_s, .. } => *retry_after_s,
            Self::Model(said) => said.retry_after_s,
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
            Self::Model(said) => said.error.status(hatch_dialects::Dialect::Chat),
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

    /// What went wrong and what to do next, safe to show.
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
            Self::Model(said) => said.error.to_string(),
            Self::Internal(_) | Self::GuardFailed => {
                "Something went wrong on our side; quote the request id when you report it".to_owned()
            }
        }
    }

    /// What only the log may see.
    pub(crate) fn internal_detail(&self) -> Option<&str> {
        match self {
            // It happens to many at once, and a line for each would make it worse.
            Self::Unavailable(Service::Everything, _) => None,
            Self::Internal(detail) | Self::Unavailable(_, detail) => Some(detail),
            Self::GuardFailed => Some("a guard refused a batch, and nobody expected it"),
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
    fn what_somebody_has_to_change_first_is_not_tried_again() {
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
    fn only_a_failing_database_speaks_of_the_database() {
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
