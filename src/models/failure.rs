//! Failures of models: what a client may know of them, and their words for a person who waits for the answer.

use hatch_dialects::{Class, Error};
use serde_json::json;

use super::{keys::KEY_CLOSED, sent_keys::SentKeys};
use crate::{
    error::{self, UpstreamKind},
    platform::{
        clock::now_ms,
        fetch::{self, Failure},
        log,
        pump::End,
    },
    redact,
    upstream::retry::Advice,
};

/// How long to wait for an error's body, in milliseconds.
const ERROR_BODY_MS: u64 = 90_000;
/// The longest error body that is read. Those of real APIs are small.
const ERROR_BODY: usize = 64 * 1024;

/// Why one attempt failed, and when to try again.
pub(super) struct AttemptError {
    pub(super) error: Error,
    pub(super) advice: Advice,
}

impl AttemptError {
    /// The request has thoughts that the provider cannot decrypt, or does not accept as its own: they are
    /// another account's, or what came before them has changed (Claude Fable 5.1 is bound to that).
    pub(super) fn is_of_foreign_thoughts(&self) -> bool {
        let says = |words: &str| self.error.message.contains(words);
        self.error.code.as_deref() == Some("invalid_encrypted_content")
            || (self.error.class == Class::Invalid && says("Invalid `signature` in `thinking` block"))
    }

    pub(super) fn is_for_the_operator(&self) -> bool {
        is_for_the_operator(&self.error)
    }
}

/// Only the operator can repair it.
pub(crate) fn is_for_the_operator(error: &Error) -> bool {
    matches!(error.code.as_deref(), Some(KEY_REFUSED | UNPAID))
}

impl From<Error> for AttemptError {
    fn from(error: Error) -> Self {
        Self { error, advice: Advice::default() }
    }
}

/// An error response.
pub(super) async fn read_error(answer: fetch::FetchResponse, sent: &SentKeys) -> AttemptError {
    let status = answer.status();
    let advice = Advice::read(|name| answer.header(name), now_ms());
    let body = answer.text(ERROR_BODY, ERROR_BODY_MS).await.unwrap_or_default();
    AttemptError { error: client_safe(Error::of_upstream(status, body.as_bytes()), sent), advice }
}

/// The codes of errors that only the operator can repair: the provider refuses the
/// Worker's key, or its account cannot pay. Clients do not see its words, and it is not retried.
const KEY_REFUSED: &str = "provider_key_refused";
const UNPAID: &str = "provider_account_unpaid";

/// The code if there is no connection to the provider, or it ends before anything of the answer was shown.
const UNREACHABLE: &str = "provider_unreachable";

/// An upstream's error as a client may see it. A client cannot repair a
/// refusal of the Worker's own key, and the provider's text may quote the key.
pub(crate) fn client_safe(error: Error, sent: &SentKeys) -> Error {
    match (error.class, sent.is_callers) {
        (Class::Authentication | Class::Permission, false) => {
            Error::new(Class::Upstream, "The model's provider does not accept the key of this gateway")
                .with_code(KEY_REFUSED)
        }
        (Class::Billing, false) => {
            Error::new(Class::Upstream, "This gateway's account at the model's provider cannot pay for it")
                .with_code(UNPAID)
        }
        _ => Error {
            message: sent.without(&error.message),
            param: error.param.as_deref().map(|param| sent.without(param)),
            ..error
        },
    }
}

/// There is no response.
pub(super) fn fetch_error(failure: &Failure) -> AttemptError {
    match failure {
        Failure::Timeout => Error::new(Class::Timeout, "The model's provider did not answer in time"),
        Failure::Network(reason) => {
            log::line(
                &json!({ "level": "warn", "event": "models.unreachable", "detail": redact::text(reason) }),
            );
            Error::new(Class::Upstream, "The model's provider cannot be reached").with_code(UNREACHABLE)
        }
        Failure::TooLong => {
            Error::new(Class::Upstream, "The model's provider sent a longer answer than is read")
        }
    }
    .into()
}

/// A stream ended before its answer was whole, and nothing of it was shown.
pub(super) fn stream_error(end: End) -> AttemptError {
    match end {
        End::Stalled | End::Abandoned => Error::new(Class::Timeout, "The model's provider fell silent"),
        End::Closed | End::Cut => {
            Error::new(Class::Upstream, "The model's answer ended before it was whole").with_code(UNREACHABLE)
        }
        End::TooLong => Error::new(Class::Upstream, "The model's provider sent a longer answer than is read"),
    }
    .into()
}

/// An error of the model `who`.
pub(crate) fn described(error: &Error, retry_after_s: Option<i64>, who: &str) -> error::Error {
    let (kind, detail) = match error.class {
        Class::Overloaded => (UpstreamKind::Overloaded, format!("{who} is overloaded")),
        Class::RateLimit => (UpstreamKind::RateLimited, format!("{who} takes no more requests for now")),
        Class::Timeout => (UpstreamKind::Timeout, format!("{who} did not answer in time")),
        Class::Cut => (UpstreamKind::Interrupted, format!("{who} broke off in the middle of the answer")),
        Class::Upstream => of_provider(error.code.as_deref(), who),
        // The provider was not asked.
        Class::Authentication if error.code.as_deref() == Some(KEY_CLOSED) => {
            (UpstreamKind::Unauthorized, error.message.clone())
        }
        Class::Authentication | Class::Permission | Class::Billing => {
            (UpstreamKind::Unauthorized, format!("{who} refused your own key: {}", error.message))
        }
        Class::ContextTooLong => {
            (UpstreamKind::Rejected, format!("The request is longer than {} can read", in_sentence(who)))
        }
        Class::NotFound => (UpstreamKind::Rejected, "Its provider has no such model".to_owned()),
        _ => (UpstreamKind::Rejected, format!("{who} refused the request")),
    };
    // Waiting does not help against what lasts until somebody changes something.
    let retry_after_s = retry_after_s.filter(|_| !kind.is_permanent());
    error::Error::Upstream { kind, detail, retry_after_s }
}

fn of_provider(code: Option<&str>, who: &str) -> (UpstreamKind, String) {
    match code {
        Some(KEY_REFUSED) => (UpstreamKind::Unauthorized, format!("{who} refused our key")),
        Some(UNPAID) => (UpstreamKind::Billing, format!("{who} refused: our account there cannot pay")),
        Some(UNREACHABLE) => (UpstreamKind::Unreachable, format!("{who} cannot be reached")),
        _ => (UpstreamKind::Failed, format!("{who} failed")),
    }
}

/// A name as it is written within a sentence: `The model` as `the model`.
pub(crate) fn in_sentence(who: &str) -> String {
    who.strip_prefix("The ").map_or_else(|| who.to_owned(), |rest| format!("the {rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_of_our_own_key_does_not_reach_a_client() {
        let refusal = Error::of_upstream(
            401,
            br#"{"error":{"message":"Incorrect API key provided: sk-proj-abcdefghijklmnopqrstuvwxyz"}}"#,
        );
        let shown = client_safe(refusal.clone(), &SentKeys::default());
        assert!(!shown.message.contains("sk-") && shown.class == Class::Upstream);
        let shown = client_safe(refusal, &SentKeys::callers());
        assert_eq!(shown.class, Class::Authentication);
    }

    #[test]
    fn no_error_quotes_a_key_in_its_message_or_member() {
        let sent = SentKeys::with("ours-without-any-prefix");
        let body = br#"{"error":{"message":"Bad ours-without-any-prefix","param":"Bearer ours-without-any-prefix"}}"#;
        for status in [400, 404, 429, 500] {
            let shown = client_safe(Error::of_upstream(status, body), &sent);
            let all = format!("{shown:?} {}", shown.body(hatch_dialects::Dialect::Messages, "req_1"));
            assert!(!all.contains("ours") && all.contains("Bad [redacted]"), "{all}");
        }
        let event = b"data: {\"error\":{\"message\":\"ours-without-any-prefix\"}}".to_vec();
        assert_eq!(sent.without_in_stream(event), b"data: {\"error\":{\"message\":\"[redacted]\"}}");
    }
}
