//! Calling the API of a cloud that apps are deployed to: one request, its
//! answer within limits, and a failure in words that its reader can act on.

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

/// How long one call may take, for the head and again for the body.
const DEADLINE_MS: u64 = 20_000;
/// The longest answer. Build logs are the largest.
const LONGEST_ANSWER: usize = 4_000_000;
/// As much of a provider's own words as anybody reads.
const LONGEST_WORDS: usize = 300;

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    advice: Advice,
}

/// A provider, as its failures speak of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provider<'a> {
    pub(super) name: &'static str,
    /// Masked, should the provider repeat it.
    pub(super) secret: &'a str,
    /// Of the settings, in milliseconds.
    pub(super) timeout_ms: u64,
}

impl Provider<'_> {
    /// Sends a request once.
    ///
    /// # Errors
    /// [`Error::Upstream`] when there is no whole answer; another try may bring one.
    pub(super) async fn call(&self, request: OutboundRequest) -> Result<Answer, Error> {
        let deadline = self.timeout_ms.min(DEADLINE_MS);
        let answer = fetch::send(request, deadline).await.map_err(|failure| self.unreached(&failure))?;
        let (status, advice) = (answer.status(), Advice::read(|name| answer.header(name), now_ms()));
        let body = answer.text(LONGEST_ANSWER, deadline).await.map_err(|failure| self.unreached(&failure))?;
        Ok(Answer { status, body, advice })
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

    /// The body of a good answer.
    ///
    /// # Errors
    /// [`Error::Upstream`] for one that is not the API's: a proxy in between
    /// may have answered, and not the next time.
    pub(super) fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Error> {
        serde_json::from_str(&answer.body).map_err(|_| self.senseless())
    }

    pub(super) fn senseless(&self) -> Error {
        Error::upstream(
            UpstreamKind::Unreadable,
            format!("{} answered something that is not its API's", self.name),
        )
    }

    /// What to make of a status that the caller has no use for. `words` is the
    /// message within the answer, where its form is known.
    pub(super) fn refusal(&self, answer: &Answer, words: Option<&str>) -> Error {
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

    /// A provider's own words: one line, no secret, no longer than is read.
    pub(super) fn quote(&self, words: &str) -> String {
        let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = if self.secret.is_empty() { line } else { line.replace(self.secret, "[redacted]") };
        redact::text(&line).chars().take(LONGEST_WORDS).collect()
    }
}

/// What stands for itself in a path (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An id as one segment of a path, whatever a service has answered.
pub(super) fn segment(id: &str) -> String {
    utf8_percent_encode(id, UNRESERVED).to_string()
}

/// What passes by itself.
pub(super) fn busy(detail: impl Into<String>) -> Error {
    Error::upstream(UpstreamKind::Busy, detail)
}

/// A failure that stays until somebody acts; `detail` says who and how.
pub(super) fn rejected(detail: impl Into<String>) -> Error {
    Error::upstream(UpstreamKind::Rejected, detail)
}

/// A credential that is wrong, or may not do this.
pub(super) fn unauthorized(detail: impl Into<String>) -> Error {
    Error::upstream(UpstreamKind::Unauthorized, detail)
}

impl Answer {
    /// The pause that it asks for.
    pub(super) fn retry_after_s(&self) -> Option<i64> {
        self.advice.after_s()
    }

    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body, if it is of this form.
    pub(super) fn parsed<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_str(&self.body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDER: Provider<'_> = Provider { name: "Cloud", secret: "tok-1234", timeout_ms: 1 };

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        let advice = Advice::read(|n| retry_after.filter(|_| n == "retry-after").map(str::to_owned), 0);
        Answer { status, body: String::new(), advice }
    }

    fn code_of(status: u16) -> &'static str {
        PROVIDER.refusal(&answer(status, None), None).code()
    }

    #[test]
    fn what_may_pass_is_told_from_what_stays() {
        for status in [408, 429, 500, 502, 503, 529] {
            assert_eq!(code_of(status), "upstream_busy", "{status}");
        }
        for status in [301, 400, 402, 404, 409, 413, 422] {
            assert_eq!(code_of(status), "upstream_rejected", "{status}");
        }
        let limited = PROVIDER.refusal(&answer(429, Some("7")), None);
        assert!(matches!(limited, Error::Upstream { retry_after_s: Some(7), .. }));
    }

    #[test]
    fn a_providers_words_are_one_short_line_without_our_secret() {
        let words = format!("Bad\n token tok-1234:  {}", "é".repeat(500));
        let message = PROVIDER.refusal(&answer(400, None), Some(&words)).detail();
        assert!(message.starts_with("Cloud refused (400): Bad token [redacted]: éé"), "{message}");
        assert!(message.chars().count() < 330 && !message.contains('\n'));
    }
}
