//! Reading a file or list from a source that may be slow, large or down.

use super::retry::{self, Advice};
use crate::{
    error::Error,
    platform::{
        clock::{now_ms, sleep},
        fetch::{self, Failure, OutboundRequest},
        random,
    },
    settings::Settings,
};

/// A source that is slower than this, for the head and again for
/// the body, counts as failed.
const DEADLINE_MS: u64 = 8_000;

/// Why a source has no answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// None when there was no answer at all.
    pub(crate) status: Option<u16>,
    /// From `Retry-After`.
    pub(crate) retry_after_ms: Option<i64>,
    /// For the log.
    pub(crate) reason: String,
}

/// A source whose variable is wrong has no answer either.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { status: None, retry_after_ms: None, reason: error.detail() }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { status: None, retry_after_ms: None, reason: format!("{failure:?}") }
    }
}

/// The body of a 200 within `limit` bytes and the deadline; anything else,
/// a redirect too, is refused.
pub(super) async fn get(
    request: OutboundRequest,
    limit: usize,
    settings: &Settings,
) -> Result<String, Refusal> {
    let deadline_ms = settings.timeouts.head_ms.min(DEADLINE_MS);
    let answer = fetch::send(request.with("user-agent", "hatch-api"), deadline_ms).await?;
    let status = answer.status();
    if status == 200 {
        return Ok(answer.text(limit, deadline_ms).await?);
    }
    let advice = Advice::read(|name| answer.header(name), now_ms());
    Err(Refusal { status: Some(status), retry_after_ms: advice.after_ms, reason: format!("status {status}") })
}

/// The same, tried again while that may help.
pub(super) async fn get_patiently(
    request: OutboundRequest,
    limit: usize,
    settings: &Settings,
) -> Result<String, Refusal> {
    let mut attempt = 0;
    loop {
        let refusal = match get(request.clone(), limit, settings).await {
            Ok(body) => return Ok(body),
            Err(refusal) => refusal,
        };
        let advice = Advice { should_retry: None, after_ms: refusal.retry_after_ms };
        let Some(pause) = retry::pause_ms(refusal.status, advice, attempt, random::jitter()) else {
            return Err(refusal);
        };
        sleep(pause).await;
        attempt += 1;
    }
}
