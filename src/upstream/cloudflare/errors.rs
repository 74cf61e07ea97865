//! What Cloudflare's refusals mean, in words for whoever deploys. Pure.

use serde::Deserialize;

use crate::{
    error::{Error, UpstreamKind},
    redact,
    upstream::retry::Advice,
};

/// The longest of Cloudflare's messages that is passed on, in characters.
const LONGEST_MESSAGE: usize = 300;

/// One of the envelope's errors.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ApiError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// None when there was no answer.
    pub(super) status: Option<u16>,
    pub(super) advice: Advice,
    pub(super) errors: Vec<ApiError>,
    /// Of an answer that the firewall before the API gave.
    pub(super) ray: Option<String>,
}

/// What is wrong, as far as it matters to us.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Credentials,
    /// The account is not one that Cloudflare has.
    Account,
    NoSubdomain,
    Firewall,
    RateLimit,
    /// Theirs, and may pass.
    Passing,
    Rejected,
}

impl Refusal {
    /// An answer that is none of the API's.
    pub(super) fn unexpected() -> Self {
        Self { status: Some(502), advice: Advice::default(), errors: Vec::new(), ray: None }
    }

    /// Whether there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }

    /// Whether an assets' manifest is refused for paths that are not URI-encoded.
    pub(super) fn wants_encoded_paths(&self) -> bool {
        self.has_code(&[10_304])
    }

    fn has_code(&self, codes: &[i64]) -> bool {
        self.errors.iter().any(|error| codes.contains(&error.code))
    }

    fn kind(&self) -> Kind {
        match self.status {
            _ if self.ray.is_some() => Kind::Firewall,
            Some(401 | 403) => Kind::Credentials,
            _ if self.has_code(&[1000, 1001, 6003, 6111, 9103, 9106, 9109, 10_000]) => Kind::Credentials,
            _ if self.has_code(&[7000, 7003]) => Kind::Account,
            Some(429) => Kind::RateLimit,
            // Internal errors of theirs, whatever the status says.
            _ if self.has_code(&[10_002, 10_013]) => Kind::Passing,
            Some(404) if self.has_code(&[10_007]) => Kind::NoSubdomain,
            Some(status @ 400..500) if !matches!(status, 408 | 409) => Kind::Rejected,
            _ => Kind::Passing,
        }
    }

    /// Whether another attempt may succeed.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.kind(), Kind::RateLimit | Kind::Passing)
    }

    /// The same without secrets: a message may quote what was sent.
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

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let words = refusal.messages();
        let retry_after_s = refusal.advice.after_s();
        let (kind, detail, retry_after_s) = match refusal.kind() {
            Kind::Credentials => (
                UpstreamKind::Unauthorized,
                format!(
                    "Cloudflare refused the API token: it must be for this account and have the permission \
                     Workers Scripts: Edit ({words})"
                ),
                None,
            ),
            Kind::Account => (
                UpstreamKind::Rejected,
                format!("Cloudflare does not know this account: check the account id ({words})"),
                None,
            ),
            Kind::NoSubdomain => (
                UpstreamKind::Rejected,
                "This Cloudflare account has no workers.dev subdomain yet: open Workers & Pages in its dashboard \
                 once, and deploy again"
                    .to_owned(),
                None,
            ),
            Kind::Rejected if refusal.has_code(&[10_027]) => {
                (UpstreamKind::Rejected, format!("The app is too large for Cloudflare ({words})"), None)
            }
            Kind::Rejected => (UpstreamKind::Rejected, format!("Cloudflare refused the app: {words}"), None),
            Kind::Firewall => (
                UpstreamKind::Failed,
                format!(
                    "The firewall in front of Cloudflare's API refused us (ray {})",
                    redact::text(refusal.ray.as_deref().unwrap_or_default())
                ),
                retry_after_s,
            ),
            Kind::RateLimit => (
                UpstreamKind::RateLimited,
                "Cloudflare's limit of API requests is reached".to_owned(),
                retry_after_s,
            ),
            Kind::Passing if refusal.status.is_none() => {
                (UpstreamKind::Unreachable, "Cloudflare's API does not answer".to_owned(), None)
            }
            Kind::Passing => (UpstreamKind::Failed, format!("Cloudflare's API failed ({words})"), retry_after_s),
        };
        Self::Upstream { kind, detail, retry_after_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: i64, message: &str) -> Refusal {
        let errors = vec![ApiError { code, message: message.to_owned() }];
        Refusal { status: Some(status), advice: Advice::default(), errors, ray: None }
    }

    fn words(status: u16, code: i64, message: &str) -> (UpstreamKind, String) {
        match Error::from(refusal(status, code, message)) {
            Error::Upstream { kind, detail, .. } => (kind, detail),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_only_the_owner_can_change_is_final_and_says_what_to_do() {
        for (status, code, word) in [
            (401, 10_000, "Workers Scripts: Edit"),
            (403, 9109, "Workers Scripts: Edit"),
            (400, 6003, "Workers Scripts: Edit"),
            (404, 7003, "account id"),
            (404, 10_007, "workers.dev"),
            (400, 10_021, "SyntaxError [10021]"),
            (413, 10_027, "too large"),
        ] {
            assert!(!refusal(status, code, "SyntaxError").may_pass(), "{status} {code}");
            let (kind, detail) = words(status, code, "SyntaxError");
            assert!(kind.is_permanent(), "{status} {code}: {kind:?}");
            assert!(detail.contains(word), "{detail}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for (status, code) in
            [(429, 10_429), (500, 10_013), (400, 10_002), (503, 0), (524, 0), (408, 0), (409, 0)]
        {
            assert!(refusal(status, code, "").may_pass(), "{status} {code}");
            assert!(!words(status, code, "").0.is_permanent());
        }
        let unanswered = Refusal { status: None, ..Refusal::unexpected() };
        assert!(unanswered.may_pass());
        assert!(!refusal(404, 10_090, "").may_pass());
    }

    #[test]
    fn a_message_is_passed_on_without_the_token_and_in_bounds() {
        let long = format!("bad token cf-secret-token\n{}", "x".repeat(1_000));
        let refusal = refusal(400, 10_021, &long).without(&["cf-secret-token", ""]);
        let words = refusal.messages();
        assert!(!words.contains("cf-secret") && !words.contains('\n') && words.len() < 400, "{words}");
    }
}
