//! W3C Trace Context: the trace of a request.

use crate::platform::request::InboundRequest;

/// One in so many traces is sampled when the caller has not decided.
const SAMPLED: u128 = 100;

/// The trace of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    /// 32 hex digits: the caller's (`traceparent`), or made from our own request id.
    pub(crate) id: String,
    /// Whether its requests are always logged: the caller sampled it, or we picked it at random.
    pub(crate) is_sampled: bool,
}

impl Trace {
    pub(crate) fn of(request: &InboundRequest, request_id: &str) -> Self {
        Self::continued(request.traceparent(), request_id)
    }

    fn continued(traceparent: Option<&str>, request_id: &str) -> Self {
        let (id, by_caller) = match traceparent.and_then(of_traceparent) {
            Some((id, is_sampled)) => (id.to_owned(), is_sampled),
            None => (of_request_id(request_id), false),
        };
        let by_us = u128::from_str_radix(&id, 16).is_ok_and(|number| number % SAMPLED == 0);
        Self { id, is_sampled: by_caller || by_us }
    }
}

/// Parses `00-<32 hex>-<16 hex>-<2 hex>`; later versions may append fields. Returns the trace id,
/// and whether the caller sampled it.
fn of_traceparent(header: &str) -> Option<(&str, bool)> {
    let mut parts = header.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_some = |text: &str| text.bytes().any(|b| b != b'0');
    let well_formed = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    let known = version != "ff" && (version != "00" || parts.next().is_none());
    let is_sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
    (well_formed && known && is_some(trace) && is_some(parent)).then_some((trace, is_sampled))
}

/// A UUID's digits; a client's own id that is no UUID is hashed.
fn of_request_id(request_id: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digits: String = request_id.trim_start_matches("req_").chars().filter(|c| *c != '-').collect();
    if digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return digits;
    }
    let hash = base16ct::lower::encode_string(&Sha256::digest(request_id.as_bytes()));
    hash.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_traceparent_is_continued() {
        for (header, is_sampled) in [
            (format!("00-{TRACE}-00f067aa0ba902b7-01"), true),
            (format!("00-{TRACE}-00f067aa0ba902b7-00"), false),
            (format!("00-{TRACE}-00f067aa0ba902b7-02"), false),
            (format!("cc-{TRACE}-00f067aa0ba902b7-03-what-will-come"), true),
        ] {
            assert_eq!(of_traceparent(&header), Some((TRACE, is_sampled)), "{header}");
        }
    }

    #[test]
    fn an_invalid_traceparent_is_ignored() {
        let zeros = "0".repeat(32);
        for header in [
            String::new(),
            TRACE.to_owned(),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
        ] {
            assert_eq!(of_traceparent(&header), None, "{header}");
        }
    }

    #[test]
    fn one_trace_in_a_hundred_and_every_trace_of_a_sampling_caller_is_sampled() {
        let sampled = |flags: &str, trace: u128| {
            Trace::continued(Some(&format!("00-{trace:032x}-00f067aa0ba902b7-{flags}")), "req").is_sampled
        };
        assert!((1..=10_000).all(|trace| sampled("01", trace)));
        assert_eq!((1..=10_000).filter(|trace| sampled("00", *trace)).count(), 100);
    }

    #[test]
    fn a_request_id_makes_a_trace() {
        let id = of_request_id("req_4bf92f35-77b3-4da6-a3ce-929d0e0e4736");
        assert_eq!(id, TRACE);
        assert_eq!(of_request_id("my-own-request").len(), 32);
    }
}
