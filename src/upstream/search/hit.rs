//! What every engine answers, and how it refuses.

use hatch_wire::anthropic::Usage;

use crate::{
    error::{Error, UpstreamKind},
    upstream::{download, web::text},
};

/// The longest list of results, in bytes.
pub(super) const LONGEST_ANSWER: usize = 2_000_000;

/// A page that a search has found. All of it is the web's, so untrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) title: String,
    pub(crate) url: String,
    /// One line; may be empty.
    pub(crate) snippet: String,
}

/// What a search has found, the best first, and what it cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) hits: Vec<Hit>,
    /// Claude's tokens; none of other providers.
    pub(crate) usage: Usage,
    /// What Claude cost; the other providers have their own bills.
    pub(crate) cost_micro_usd: i64,
}

pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl Hit {
    /// A result as an engine gives it, with HTML tags in it.
    pub(super) fn of(title: &str, url: String, snippet: &str) -> Self {
        Self { title: text::of_snippet(title), url, snippet: text::of_snippet(snippet) }
    }
}

/// An engine's refusal. Its own words, and the runtime's, may quote the
/// address with the key in it, so neither is passed on.
pub(super) fn refused(name: &str, variable: &str, refusal: &download::Refusal) -> Error {
    let after_s = refusal.retry_after_ms.map(|ms| ms.saturating_add(999) / 1000);
    let (kind, detail) = match refusal.status {
        None => (UpstreamKind::Unreachable, format!("{name} cannot be reached")),
        Some(429) => (UpstreamKind::RateLimited, format!("{name} takes no more searches for now")),
        Some(status @ 400..500) => {
            (UpstreamKind::Unauthorized, format!("{name} refused the search ({status}): check {variable}"))
        }
        Some(status) => (UpstreamKind::Failed, format!("{name} failed ({status})")),
    };
    Error::Upstream { kind, detail, retry_after_s: after_s }
}

pub(super) fn unreadable(name: &str) -> Error {
    Error::upstream(UpstreamKind::Unreadable, format!("{name} answered something that is not its API"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_what_to_do_and_never_the_key() {
        let refusal = |status, reason: &str| download::Refusal {
            status,
            retry_after_ms: Some(1_500),
            reason: reason.to_owned(),
        };
        let message = |refusal| refused("Google", "GOOGLE_API_KEY", &refusal).detail();
        assert_eq!(message(refusal(Some(403), "")), "Google refused the search (403): check GOOGLE_API_KEY");
        assert_eq!(message(refusal(None, "https://x/?key=AIzaSecret")), "Google cannot be reached");
        let limited = refused("Brave", "BRAVE_API_KEY", &refusal(Some(429), ""));
        assert!(matches!(
            limited,
            Error::Upstream { kind: UpstreamKind::RateLimited, retry_after_s: Some(2), .. }
        ));
    }
}
