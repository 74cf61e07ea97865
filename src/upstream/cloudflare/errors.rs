//! Turns Cloudflare's errors into messages for the user who deploys. Pure.

use serde::Deserialize;

use crate::{
    error::{Error, UpstreamKind},
    redact,
    upstream::retry::Advice,
};

/// The longest of Cloudflare's messages that is shown, in characters.
const LONGEST_MESSAGE: usize = 300;

/// One error of the envelope.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ApiError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiFailure {
    /// `None` when there was no response.
    pub(super) status: Option<u16>,
    pub(super) advice: Advice,
    pub(super) errors: Vec<ApiError>,
    /// The Ray ID of a response from the firewall in front of the API.
    pub(super) ray: Option<String>,
}

/// The kinds of failure that we handle differently.
#[derive(Debug, PartialEq, Eq)]
enum FailureKind {
    Credentials,
    /// Cloudflare does not have this account.
    Account,
    NoSubdomain,
    Firewall,
    RateLimit,
    /// Cloudflare's fault, and temporary.
    Temporary,
    Rejected,
}

impl ApiFailure {
    /// A response in another format than the API's.
    pub(super) fn unexpected() -> Self {
        Self { status: Some(502), advice: Advice::default(), errors: Vec::new(), ray: None }
    }

    /// Whether the requested object does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }

    /// Whether an assets manifest was refused because its paths are not URI-encoded.
    pub(super) fn wants_encoded_paths(&self) -> bool {
        self.has_code(&[10_304])
    }

    fn has_code(&self, codes: &[i64]) -> bool {
        self.errors.iter().any(|error| codes.contains(&error.code))
    }

    fn kind(&self) -> FailureKind {
        match self.status {
            _ if self.ray.is_some() => FailureKind::Firewall,
            Some(401 | 403) => FailureKind::Credentials,
            _ if self.has_code(&[1000, 1001, 6003, 6111, 9103, 9106, 9109, 10_000]) => {
                FailureKind::Credentials
            }
            _ if self.has_code(&[7000, 7003]) => FailureKind::Account,
            Some(429) => FailureKind::RateLimit,
            // Internal errors of Cloudflare, whatever the status.
            _ if self.has_code(&[10_002, 10_013]) => FailureKind::Temporary,
            Some(404) if self.has_code(&[10_007]) => FailureKind::NoSubdomain,
            Some(status @ 400..500) if !matches!(status, 408 | 409) => FailureKind::Rejected,
            _ => FailureKind::Temporary,
        }
    }

    /// Whether a retry may succeed.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(self.kind(), FailureKind::RateLimit | FailureKind::Temporary)
    }

    /// Removes secrets, because a message may quote the request.
    pub(super) fn without(mut self, secrets: &[&str]) -> Self {
        for error in &mut self.errors {
            for secret in secrets.iter().filter(|secret| secret.len() >= 8) {
                error.message = error.message.replace(secret, "[redacted]");
            }
            let plain: String = redact::text(&error.message)
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(LONGEST_MESSAGE)
                .collect();
            error.message = plain;
        }
        self
    }

    /// `message [code]; …`
    fn messages(&self) -> String {
        let words = self.errors.iter().map(|error| format!("{} [{}]", error.message.trim(), error.code));
        let words = words.collect::<Vec<_>>().join("; ");
        if words.is_empty() {
            return self.status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
        }
        words
    }
}

impl From<ApiFailure> for Error {
    fn from(failure: ApiFailure) -> Self {
        let words = failure.messages();
        let retry_after_s = failure.advice.after_s();
        let (kind, detail, retry_after_s) = match failure.kind() {
            FailureKind::Credentials => (
                UpstreamKind::Unauthorized,
                format!(
                    "Cloudflare refused the API token: it must be for this account and have the permission \
                     Workers Scripts: Edit ({words})"
                ),
                None,
            ),
            FailureKind::Account => (
                UpstreamKind::Rejected,
                format!("Cloudflare does not know this account: check the account id ({words})"),
                None,
            ),
            FailureKind::NoSubdomain => (
                UpstreamKind::Rejected,
                "This Cloudflare account has no workers.dev subdomain yet: open Workers & Pages in its dashboard \
                 once, and deploy again"
                    .to_owned(),
                None,
            ),
            FailureKind::Rejected if failure.has_code(&[10_027]) => {
                (UpstreamKind::Rejected, format!("The app is too large for Cloudflare ({words})"), None)
            }
            FailureKind::Rejected => (UpstreamKind::Rejected, format!("Cloudflare refused the app: {words}"), None),
            FailureKind::Firewall => (
                UpstreamKind::Failed,
                format!(
                    "The firewall in front of Cloudflare's API refused us (ray {})",
                    redact::text(failure.ray.as_deref().unwrap_or_default())
                ),
                retry_after_s,
            ),
            FailureKind::RateLimit => (
                UpstreamKind::RateLimited,
                "Cloudflare's limit of API requests is reached".to_owned(),
                retry_after_s,
            ),
            FailureKind::Temporary if failure.status.is_none() => {
                (UpstreamKind::Unreachable, "Cloudflare's API does not answer".to_owned(), None)
            }
            FailureKind::Temporary => (UpstreamKind::Failed, format!("Cloudflare's API failed ({words})"), retry_after_s),
        };
        Self::Upstream { kind, detail, retry_after_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, code: i64, message: &str) -> ApiFailure {
        let errors = vec![ApiError { code, message: message.to_owned() }];
        ApiFailure { status: Some(status), advice: Advice::default(), errors, ray: None }
    }

    fn words(status: u16, code: i64, message: &str) -> (UpstreamKind, String) {
        match Error::from(failure(status, code, message)) {
            Error::Upstream { kind, detail, .. } => (kind, detail),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_failure_that_only_the_owner_can_fix_is_permanent_and_says_what_to_do() {
        for (status, code, word) in [
            (401, 10_000, "Workers Scripts: Edit"),
            (403, 9109, "Workers Scripts: Edit"),
            (400, 6003, "Workers Scripts: Edit"),
            (404, 7003, "account id"),
            (404, 10_007, "workers.dev"),
            (400, 10_021, "SyntaxError [10021]"),
            (413, 10_027, "too large"),
        ] {
            assert!(!failure(status, code, "SyntaxError").is_retryable(), "{status} {code}");
            let (kind, detail) = words(status, code, "SyntaxError");
            assert!(kind.is_permanent(), "{status} {code}: {kind:?}");
            assert!(detail.contains(word), "{detail}");
        }
    }

    #[test]
    fn what_is_retryable_is_tried_again() {
        for (status, code) in
            [(429, 10_429), (500, 10_013), (400, 10_002), (503, 0), (524, 0), (408, 0), (409, 0)]
        {
            assert!(failure(status, code, "").is_retryable(), "{status} {code}");
            assert!(!words(status, code, "").0.is_permanent());
        }
        let unanswered = ApiFailure { status: None, ..ApiFailure::unexpected() };
        assert!(unanswered.is_retryable());
        assert!(!failure(404, 10_090, "").is_retryable());
    }

    #[test]
    fn a_message_is_shown_without_the_token_and_shortened() {
        let long = format!("bad token cf-secret-token\n{}", "x".repeat(1_000));
        let failure = failure(400, 10_021, &long).without(&["cf-secret-token", ""]);
        let words = failure.messages();
        assert!(!words.contains("cf-secret") && !words.contains('\n') && words.len() < 400, "{words}");
    }
}
