//! W3C Trace Context: which trace a request belongs to.

use crate::platform::request::InboundRequest;

/// The trace id, 32 hex digits: the caller's (`traceparent`), or one made
/// from our own request id.
pub(crate) fn id(request: &InboundRequest, request_id: &str) -> String {
    let given = request.header("traceparent");
    given.as_deref().and_then(of_traceparent).map_or_else(|| of_request_id(request_id), str::to_owned)
}

/// `00-<32 hex>-<16 hex>-<2 hex>`; later versions may say more after that.
fn of_traceparent(header: &str) -> Option<&str> {
    let mut parts = header.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_some = |text: &str| text.bytes().any(|b| b != b'0');
    let well_formed = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    let known = version != "ff" && (version != "00" || parts.next().is_none());
    (well_formed && known && is_some(trace) && is_some(parent)).then_some(trace)
}

/// The digits of a UUID, such as ours hold; an id that a client made up is hashed into one.
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
        for header in [
            format!("00-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-00"),
            format!("cc-{TRACE}-00f067aa0ba902b7-01-what-will-come"),
        ] {
            assert_eq!(of_traceparent(&header), Some(TRACE), "{header}");
        }
    }

    #[test]
    fn what_is_no_traceparent_is_left_alone() {
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
    fn a_request_id_makes_a_trace() {
        let id = of_request_id("req_4bf92f35-77b3-4da6-a3ce-929d0e0e4736");
        assert_eq!(id, TRACE);
        assert_eq!(of_request_id("my-own-request").len(), 32);
    }
}
