//! Downloads a file or list from a source that may be slow, large or down.

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

/// A source that takes longer than this, for the head or for the body, counts as failed.
const DEADLINE_MS: u64 = 8_000;

/// Why a download failed.
#[derive(Debug)]
pub(crate) struct DownloadFailure {
    /// `None` when there was no response.
    pub(crate) status: Option<u16>,
    /// From `Retry-After`.
    pub(crate) retry_after_ms: Option<i64>,
    /// The reason for the log.
    pub(crate) reason: String,
}

/// A source with an invalid variable fails too.
impl From<Error> for DownloadFailure {
    fn from(error: Error) -> Self {
        Self { status: None, retry_after_ms: None, reason: error.detail() }
    }
}

impl From<Failure> for DownloadFailure {
    fn from(failure: Failure) -> Self {
        Self { status: None, retry_after_ms: None, reason: format!("{failure:?}") }
    }
}

/// The body of a 200 response within `limit` bytes and the deadline. Everything else, including a
/// redirect, is a failure.
pub(super) async fn get(
    request: OutboundRequest,
    limit: usize,
    settings: &Settings,
) -> Result<String, DownloadFailure> {
    let deadline_ms = settings.timeouts.head_ms.min(DEADLINE_MS);
    let answer = fetch::send(request.with("user-agent", "hatch-api"), deadline_ms).await?;
    let status = answer.status();
    if status == 200 {
        return Ok(answer.text(limit, deadline_ms).await?);
    }
    let advice = Advice::read(|name| answer.header(name), now_ms());
    Err(DownloadFailure {
        status: Some(status),
        retry_after_ms: advice.after_ms,
        reason: format!("status {status}"),
    })
}

/// As [`get`], with retries.
pub(super) async fn get_with_retries(
    request: OutboundRequest,
    limit: usize,
    settings: &Settings,
) -> Result<String, DownloadFailure> {
    let mut attempt = 0;
    loop {
        let failure = match get(request.clone(), limit, settings).await {
            Ok(body) => return Ok(body),
            Err(failure) => failure,
        };
        let advice = Advice { should_retry: None, after_ms: failure.retry_after_ms };
        let Some(pause) = retry::pause_ms(failure.status, advice, attempt, random::jitter()) else {
            return Err(failure);
        };
        sleep(pause).await;
        attempt += 1;
    }
}
