//! Calls the API of a cloud: sends one request, reads its response within limits, and turns
//! failures into messages that the reader can act on.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    error::{Error, UpstreamKind},
    platform::{
        clock::now_ms,
        fetch::{self, Failure, OutboundRequest},
    },
    redact,
    upstream::retry::Advice,
};

/// The time limit of one call, for the head and again for the body.
const DEADLINE_MS: u64 = 20_000;
/// The longest response. Build logs are the largest.
const LONGEST_ANSWER: usize = 4_000_000;
/// The longest part of a provider's message that is shown.
const LONGEST_WORDS: usize = 300;

/// A response of any status.
#[derive(Debug)]
pub(super) struct ApiResponse {
    pub(super) status: u16,
    pub(super) body: String,
    advice: Advice,
}

/// A provider, for the messages of its failures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provider<'a> {
    pub(super) name: &'static str,
    /// Masked in messages, in case the provider repeats it.
    pub(super) secret: &'a str,
    /// From the settings, in milliseconds.
    pub(super) timeout_ms: u64,
}

impl Provider<'_> {
    /// Sends a request once.
    ///
    /// # Errors
    /// [`Error::Upstream`] when there is no complete response; a retry may help.
    pub(super) async fn call(&self, request: OutboundRequest) -> Result<ApiResponse, Error> {
        let deadline = self.timeout_ms.min(DEADLINE_MS);
        let answer = fetch::send(request, deadline).await.map_err(|failure| self.unreached(&failure))?;
        let (status, advice) = (answer.status(), Advice::read(|name| answer.header(name), now_ms()));
        let body = answer.text(LONGEST_ANSWER, deadline).await.map_err(|failure| self.unreached(&failure))?;
        Ok(ApiResponse { status, body, advice })
    }

    fn unreached(&self, failure: &Failure) -> Error {
        let name = self.name;
        match failure {
            Failure::Timeout => {
                Error::upstream(UpstreamKind::Timeout, format!("{name} did not answer in time"))
            }
            Failure::Network(_) => Error::upstream(
                UpstreamKind::Unreachable,
                format!("{name} cannot be reached, or broke off its answer"),
            ),
            Failure::TooLong => {
                Error::upstream(UpstreamKind::Unreadable, format!("{name} answered more than we read"))
            }
        }
    }

    /// The body of a successful response.
    ///
    /// # Errors
    /// [`Error::Upstream`] for a body in another format: a proxy may have responded, which a retry
    /// may avoid.
    pub(super) fn read<T: DeserializeOwned>(&self, answer: &ApiResponse) -> Result<T, Error> {
        hatch_json::from_str(&answer.body).map_err(|_| self.senseless())
    }

    pub(super) fn senseless(&self) -> Error {
        Error::upstream(
            UpstreamKind::Unreadable,
            format!("{} answered something that is not its API's", self.name),
        )
    }

    /// The error for a status that the caller does not handle. `words` is the message in the
    /// response, if its format is known.
    pub(super) fn error_for(&self, answer: &ApiResponse, words: Option<&str>) -> Error {
        let (name, status) = (self.name, answer.status);
        let retry_after_s = answer.advice.after_s();
        let passes = |detail| Error::Upstream { kind: UpstreamKind::Busy, detail, retry_after_s };
        match status {
            429 => passes(format!("{name} takes no more requests for now")),
            408 | 500.. => passes(format!("{name} has a problem of its own ({status})")),
            _ => rejected(match words.map(|words| self.quote(words)).filter(|words| !words.is_empty()) {
                Some(words) => format!("{name} refused ({status}): {words}"),
                None => format!("{name} refused ({status})"),
            }),
        }
    }

    /// A provider's message as one short line without secrets.
    pub(super) fn quote(&self, words: &str) -> String {
        let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = if self.secret.is_empty() { line } else { line.replace(self.secret, "[redacted]") };
        redact::text(&line).chars().take(LONGEST_WORDS).collect()
    }
}

/// Characters that need no encoding in a path (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes an id from a service as one path segment.
pub(super) fn segment(id: &str) -> String {
    utf8_percent_encode(id, UNRESERVED).to_string()
}

/// A temporary failure.
pub(super) fn busy(detail: impl Into<String>) -> Error {
    Error::upstream(UpstreamKind::Busy, detail)
}

/// A permanent failure; `detail` says who can fix it and how.
pub(super) fn rejected(detail: impl Into<String>) -> Error {
    Error::upstream(UpstreamKind::Rejected, detail)
}

/// A wrong credential, or one without the needed permission.
pub(super) fn unauthorized(detail: impl Into<String>) -> Error {
    Error::upstream(UpstreamKind::Unauthorized, detail)
}

impl ApiResponse {
    /// The pause that the response asks for.
    pub(super) fn retry_after_s(&self) -> Option<i64> {
        self.advice.after_s()
    }

    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body, if it has this format.
    pub(super) fn parsed<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        hatch_json::from_str(&self.body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDER: Provider<'_> = Provider { name: "Cloud", secret: "tok-1234", timeout_ms: 1 };

    fn answer(status: u16, retry_after: Option<&str>) -> ApiResponse {
        let advice = Advice::read(|n| retry_after.filter(|_| n == "retry-after").map(str::to_owned), 0);
        ApiResponse { status, body: String::new(), advice }
    }

    fn code_of(status: u16) -> &'static str {
        PROVIDER.error_for(&answer(status, None), None).code()
    }

    #[test]
    fn transient_errors_are_distinguished_from_permanent_ones() {
        for status in [408, 429, 500, 502, 503, 529] {
            assert_eq!(code_of(status), "upstream_busy", "{status}");
        }
        for status in [301, 400, 402, 404, 409, 413, 422] {
            assert_eq!(code_of(status), "upstream_rejected", "{status}");
        }
        let limited = PROVIDER.error_for(&answer(429, Some("7")), None);
        assert!(matches!(limited, Error::Upstream { retry_after_s: Some(7), .. }));
    }

    #[test]
    fn a_providers_message_is_one_short_line_without_our_secret() {
        let words = format!("Bad\n token tok-1234:  {}", "é".repeat(500));
        let message = PROVIDER.error_for(&answer(400, None), Some(&words)).detail();
        assert!(message.starts_with("Cloud refused (400): Bad token [redacted]: éé"), "{message}");
        assert!(message.chars().count() < 330 && !message.contains('\n'));
    }
}
