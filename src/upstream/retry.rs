//! When a failed request is retried, as in Anthropic's SDKs.

/// Requests in total, including the first.
pub(crate) const ATTEMPTS: u32 = 3;
/// When a service asks for a longer pause, the client gets the error instead.
const LONGEST_PAUSE_MS: i64 = 8_000;
const FIRST_PAUSE_MS: i64 = 500;

/// The retry headers of a response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    /// `x-should-retry`.
    pub(crate) should_retry: Option<bool>,
    /// `retry-after-ms` or `retry-after`, as milliseconds from now.
    pub(crate) after_ms: Option<i64>,
}

impl Advice {
    /// Reads the headers; `now` is in milliseconds since the epoch.
    pub(crate) fn read(header: impl Fn(&str) -> Option<String>, now: i64) -> Self {
        let should_retry = match header("x-should-retry").as_deref() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        let exact = header("retry-after-ms").and_then(|ms| ms.trim().parse::<f64>().ok()).and_then(whole);
        let after_ms = exact.or_else(|| header("retry-after").and_then(|value| retry_after_ms(&value, now)));
        Self { should_retry, after_ms }
    }

    /// Whole seconds, rounded up, for our own `Retry-After`.
    pub(crate) fn after_s(self) -> Option<i64> {
        self.after_ms.map(|ms| ms.saturating_add(999) / 1000)
    }
}

/// Seconds, or an HTTP date (RFC 9110, 10.2.3). Negative and absurd values are ignored.
fn retry_after_ms(value: &str, now: i64) -> Option<i64> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return whole(seconds * 1000.0);
    }
    let date = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.timestamp_millis() - now).max(0))
}

fn whole(ms: f64) -> Option<i64> {
    let a_day = 86_400_000.0;
    #[expect(clippy::cast_possible_truncation, reason = "within a day")]
    (0.0..=a_day).contains(&ms).then_some(ms as i64)
}

/// The pause before the next attempt, in milliseconds; `None` without a retry. `attempt` counts
/// from 0; `jitter` is in 0..=255.
pub(crate) fn pause_ms(status: Option<u16>, advice: Advice, attempt: u32, jitter: u8) -> Option<u64> {
    if attempt + 1 >= ATTEMPTS || !advice.should_retry.unwrap_or_else(|| is_transient(status)) {
        return None;
    }
    let backoff = (FIRST_PAUSE_MS << attempt.min(4)).min(LONGEST_PAUSE_MS);
    let jittered = backoff - backoff * i64::from(jitter) / (4 * 255);
    let pause = advice.after_ms.unwrap_or(jittered);
    (pause <= LONGEST_PAUSE_MS).then(|| u64::try_from(pause).unwrap_or_default())
}

/// A missing response counts as transient.
fn is_transient(status: Option<u16>) -> bool {
    status.is_none_or(|status| matches!(status, 408 | 409 | 429) || status >= 500)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn advice(name: &str, value: &str) -> Advice {
        Advice::read(|n| (n == name).then(|| value.to_owned()), NOW)
    }

    #[test]
    fn retry_after_is_parsed_in_all_its_forms() {
        assert_eq!(advice("retry-after", "2").after_ms, Some(2_000));
        assert_eq!(advice("retry-after-ms", "150").after_ms, Some(150));
        assert_eq!(advice("retry-after", "Tue, 14 Nov 2023 22:13:25 GMT").after_ms, Some(5_000));
        assert_eq!(advice("retry-after", "Tue, 14 Nov 2022 22:13:25 GMT").after_ms, None);
        for nonsense in ["-5", "soon", "1e300", "NaN", ""] {
            assert_eq!(advice("retry-after", nonsense).after_ms, None, "{nonsense}");
        }
    }

    #[test]
    fn only_transient_failures_are_retried() {
        for status in [408, 409, 429, 500, 503, 529] {
            assert!(pause_ms(Some(status), Advice::default(), 0, 0).is_some(), "{status}");
        }
        for status in [400, 401, 402, 403, 404, 413, 422] {
            assert_eq!(pause_ms(Some(status), Advice::default(), 0, 0), None, "{status}");
        }
        assert!(pause_ms(None, Advice::default(), 0, 0).is_some());
        assert_eq!(pause_ms(Some(500), advice("x-should-retry", "false"), 0, 0), None);
        assert!(pause_ms(Some(400), advice("x-should-retry", "true"), 0, 0).is_some());
    }

    #[test]
    fn a_long_pause_is_left_to_the_client() {
        assert_eq!(pause_ms(Some(429), advice("retry-after", "2"), 0, 0), Some(2_000));
        assert_eq!(pause_ms(Some(429), advice("retry-after", "60"), 0, 0), None);
    }

    proptest! {
        #[test]
        fn no_more_attempts_than_allowed_and_no_pause_too_long(
            status in proptest::option::of(100_u16..600), attempt in 0_u32..10, jitter: u8
        ) {
            match pause_ms(status, Advice::default(), attempt, jitter) {
                Some(pause) => prop_assert!(attempt + 1 < ATTEMPTS && pause <= 8_000),
                None => prop_assert!(attempt + 1 >= ATTEMPTS || !is_transient(status)),
            }
        }
    }
}
