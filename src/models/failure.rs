//! A failure of a model, in words for the person who waits for its answer.

use hatch_dialects::{Class, Error};

use super::ask::{KEY_REFUSED, UNPAID, UNREACHABLE};
use crate::error::{self, UpstreamKind};

/// An error of the model `who`.
pub(crate) fn described(error: &Error, retry_after_s: Option<i64>, who: &str) -> error::Error {
    let (kind, detail) = match error.class {
        Class::Overloaded => (UpstreamKind::Overloaded, format!("{who} is overloaded")),
        Class::RateLimit => (UpstreamKind::RateLimited, format!("{who} takes no more requests for now")),
        Class::Timeout => (UpstreamKind::Timeout, format!("{who} did not answer in time")),
        Class::Cut => (UpstreamKind::Interrupted, format!("{who} broke off in the middle of the answer")),
        Class::Upstream => of_provider(error.code.as_deref(), who),
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
