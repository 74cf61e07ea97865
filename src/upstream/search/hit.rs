//! A result, and the errors of all search engines.

use crate::{
    error::{Error, UpstreamKind},
    upstream::{download, web::text},
};

/// The longest list of results, in bytes.
pub(super) const LONGEST_ANSWER: usize = 2_000_000;

/// A page that a search found. All of it comes from the web and is untrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) title: String,
    pub(crate) url: String,
    /// One line; may be empty.
    pub(crate) snippet: String,
}

pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl Hit {
    /// A result as an engine sends it, with HTML tags.
    pub(crate) fn of(title: &str, url: String, snippet: &str) -> Self {
        Self { title: text::of_snippet(title), url, snippet: text::of_snippet(snippet) }
    }
}

/// The error for an engine's failure. The engine's message and the runtime's may quote the URL with
/// the key, so neither is shown.
pub(super) fn refused(name: &str, variable: &str, failure: &download::DownloadFailure) -> Error {
    let after_s = failure.retry_after_ms.map(|ms| ms.saturating_add(999) / 1000);
    let (kind, detail) = match failure.status {
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
    fn a_failure_says_what_to_do_and_never_contains_the_key() {
        let failure = |status, reason: &str| download::DownloadFailure {
            status,
            retry_after_ms: Some(1_500),
            reason: reason.to_owned(),
        };
        let message = |failure| refused("Google", "GOOGLE_API_KEY", &failure).detail();
        assert_eq!(message(failure(Some(403), "")), "Google refused the search (403): check GOOGLE_API_KEY");
        assert_eq!(message(failure(None, "https://x/?key=AIzaSecret")), "Google cannot be reached");
        let limited = refused("Brave", "BRAVE_API_KEY", &failure(Some(429), ""));
        assert!(matches!(
            limited,
            Error::Upstream { kind: UpstreamKind::RateLimited, retry_after_s: Some(2), .. }
        ));
    }
}
