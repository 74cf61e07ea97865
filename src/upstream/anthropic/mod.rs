//! Anthropic's Messages API (docs.anthropic.com, version 2023-06-01): one streamed request, retried
//! until its first text arrives. complete.rs reads a complete answer.

pub(crate) mod complete;
pub(crate) mod models;
mod settings;

pub(crate) use settings::Claude;
pub(crate) use settings::SETTINGS;

use hatch_wire::anthropic::{
    Beginning, Opening, error_status, error_type, is_too_long,
    request::{self, Prompt},
};
use serde_json::{Value, json};

use crate::settings::FromVars as _;
use crate::{
    error::{Error, UpstreamKind},
    platform::{
        clock::{now_ms, sleep},
        fetch::{self, Failure, OutboundRequest},
        log,
        pump::{Deadlines, End, Source},
        random,
    },
    settings::Settings,
    upstream::retry::{self, Advice},
};

const VERSION: &str = "2023-06-01";
/// Error bodies are small; a longer one is not from Anthropic.
const ERROR_BODY: usize = 64 * 1024;

/// The error code for a conversation that exceeds the model's context.
pub(crate) const TOO_LONG: &str = "conversation_too_long";

/// Why an attempt failed before the first text of its answer.
#[derive(Debug)]
enum AttemptFailure {
    /// An error of the API, with its status and type.
    Api {
        status: u16,
        kind: &'static str,
        advice: Advice,
    },
    /// The conversation exceeds the model's context.
    TooLong,
    Timeout,
    /// No connection, or one that ended before the first text.
    Network,
    /// The server does not speak Anthropic's API.
    NotAnthropic,
}

/// Requests an answer as a stream. Returns once the first text has arrived or the stream is
/// otherwise open.
///
/// # Errors
/// [`Error::NotConfigured`] without a key; [`Error::Upstream`] when every attempt failed, with
/// `Retry-After` if the API sent one.
pub(crate) async fn stream(
    settings: &Settings,
    prompt: &Prompt,
    deadlines: Deadlines,
) -> Result<Source, Error> {
    open(settings, &body(prompt), deadlines).await
}

/// The request body, with the settings that its model accepts.
fn body(prompt: &Prompt) -> Value {
    request::body(prompt, models::max_tokens(&prompt.model), models::thinking(&prompt.model))
}

/// [`stream`] for a finished request body.
pub(crate) async fn open(
    settings: &Settings,
    request: &Value,
    deadlines: Deadlines,
) -> Result<Source, Error> {
    let claude = Claude::of(settings)?;
    let key = claude.key.as_deref().ok_or_else(|| Error::NotConfigured {
        variable: "CLAUDE_API_KEY",
        detail: "Set the secret CLAUDE_API_KEY to chat with Claude".to_owned(),
    })?;
    let body = request.to_string();
    let mut attempt = 0;
    loop {
        let failure = match try_once(settings, claude, key, &body, deadlines).await {
            Ok(source) => return Ok(source),
            Err(failure) => failure,
        };
        let pause = failure.pause_ms(attempt, random::jitter());
        log::line(&json!({
            "level": "warn", "event": "claude.refused", "model": request.get("model"), "reason": failure.name(),
            "attempt": attempt + 1, "retry_in_ms": pause,
        }));
        let Some(pause) = pause else { return Err(failure.into_error()) };
        sleep(pause).await;
        attempt += 1;
    }
}

async fn try_once(
    settings: &Settings,
    claude: &Claude,
    key: &str,
    body: &str,
    deadlines: Deadlines,
) -> Result<Source, AttemptFailure> {
    let request = OutboundRequest::post_json(format!("{}/v1/messages", claude.base_url), body.to_owned())
        .with("x-api-key", key)
        .with("anthropic-version", VERSION);
    let answer = fetch::send(request, settings.timeouts.head_ms).await.map_err(AttemptFailure::from)?;
    if answer.status() != 200 {
        return Err(refused(answer, settings).await);
    }
    let media_type = answer.header("content-type").unwrap_or_default();
    let body = answer.into_body().ok_or(AttemptFailure::Network)?;
    if !media_type.to_ascii_lowercase().starts_with("text/event-stream") {
        body.cancel();
        return Err(AttemptFailure::NotAnthropic);
    }
    let (mut opening, mut failed) = (Opening::default(), None);
    let source = Source::open(body, deadlines, |new| match opening.push(new) {
        Beginning::Silent => false,
        Beginning::Answering => true,
        Beginning::Failed(kind) => {
            failed = Some(kind);
            true
        }
    })
    .await?;
    // An error before the first text is reported like an error response.
    let Some(kind) = failed else { return Ok(source) };
    source.cancel();
    Err(AttemptFailure::Api { status: error_status(kind), kind, advice: Advice::default() })
}

async fn refused(answer: fetch::FetchResponse, settings: &Settings) -> AttemptFailure {
    let status = answer.status();
    let advice = Advice::read(|name| answer.header(name), now_ms());
    let body = answer.text(ERROR_BODY, settings.timeouts.head_ms).await.unwrap_or_default();
    if status == 413 || is_too_long(&body) {
        return AttemptFailure::TooLong;
    }
    AttemptFailure::Api { status, kind: error_type(&body), advice }
}

impl From<Failure> for AttemptFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Timeout => Self::Timeout,
            Failure::Network(_) | Failure::TooLong => Self::Network,
        }
    }
}

impl From<End> for AttemptFailure {
    fn from(end: End) -> Self {
        match end {
            End::Stalled => Self::Timeout,
            End::Closed | End::Cut | End::TooLong | End::Abandoned => Self::Network,
        }
    }
}

impl AttemptFailure {
    /// The reason for the log.
    fn name(&self) -> &'static str {
        match self {
            Self::Api { kind, .. } => kind,
            Self::TooLong => "question too long",
            Self::Timeout => "no answer in time",
            Self::Network => "no connection",
            Self::NotAnthropic => "not an event stream",
        }
    }

    fn pause_ms(&self, attempt: u32, jitter: u8) -> Option<u64> {
        match self {
            Self::Api { status, advice, .. } => retry::pause_ms(Some(*status), *advice, attempt, jitter),
            Self::Network => retry::pause_ms(None, Advice::default(), attempt, jitter),
            // A second long timeout helps no client.
            Self::TooLong | Self::Timeout | Self::NotAnthropic => None,
        }
    }

    /// The client gets our own message, never the upstream's.
    fn into_error(self) -> Error {
        let upstream = |kind, detail: &str, retry_after_s| Error::Upstream {
            kind,
            detail: detail.to_owned(),
            retry_after_s,
        };
        let Self::Api { status, kind, advice } = self else {
            return match self {
                Self::TooLong => Error::Refused {
                    code: TOO_LONG,
                    detail:
                        "The project and its conversation are too large for the model: name the files to \
                             change, make large ones smaller, or go on in a new project"
                            .to_owned(),
                },
                Self::Timeout => {
                    upstream(UpstreamKind::Timeout, "Claude did not answer in time; try again", None)
                }
                _ => upstream(
                    UpstreamKind::Unreachable,
                    "Claude cannot be reached; try again in a moment",
                    None,
                ),
            };
        };
        let retry_after = advice.after_s();
        match status {
            401 | 403 => {
                upstream(UpstreamKind::Unauthorized, "Claude refused our key: check CLAUDE_API_KEY", None)
            }
            402 => upstream(UpstreamKind::Billing, "The account of CLAUDE_API_KEY cannot pay for this", None),
            404 if kind == "not_found_error" => Error::Refused {
                code: "unknown_model",
                detail: "Claude does not know this model; leave `model` out for the default".to_owned(),
            },
            429 => upstream(
                UpstreamKind::RateLimited,
                "Claude's rate limit is reached; try again after the time in Retry-After",
                retry_after.or(Some(10)),
            ),
            529 | 503 => upstream(
                UpstreamKind::Overloaded,
                "Claude is overloaded; try again in a moment",
                retry_after.or(Some(5)),
            ),
            504 => upstream(UpstreamKind::Timeout, "Claude did not answer in time; try again", retry_after),
            400..500 => {
                Error::upstream(UpstreamKind::Rejected, format!("Claude refused the request ({kind})"))
            }
            _ => upstream(UpstreamKind::Failed, "Claude failed; try again in a moment", retry_after),
        }
    }
}
