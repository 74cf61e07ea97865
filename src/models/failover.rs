//! Asks one candidate after the other, each as often as its errors allow.
//!
//! The class of an error decides whether the same model, or another one, may
//! be asked ([`Class::may_fail_over`], [`Class::is_retryable`]).

use hatch_dialects::{Class, Error, Usage};

use super::{failure::AttemptError, health, routing::Candidate};
use crate::platform::{
    clock::{now_ms, sleep},
    random,
};

/// The most requests to providers for one request of a client.
const MOST_ATTEMPTS: u32 = 6;
/// The most of them to one model.
const MOST_TRIES: u32 = 3;
/// A provider that asks for a longer pause is not tried again.
const LONGEST_PAUSE_MS: i64 = 10_000;
const FIRST_PAUSE_MS: i64 = 300;

/// A call that no model has answered.
#[derive(Debug)]
pub(crate) struct FailedCall {
    pub(crate) error: Error,
    pub(crate) retry_after_s: Option<i64>,
    pub(crate) attempts: u32,
    /// The model that was asked last. None if no model was asked.
    pub(crate) model: Option<String>,
    /// What was answered before the failure, if the call consists of several questions.
    pub(crate) answered: Option<Box<(Candidate, Usage)>>,
}

impl FailedCall {
    /// A call that failed before any model was asked.
    pub(crate) fn before(error: Error) -> Self {
        Self { error, retry_after_s: None, attempts: 0, model: None, answered: None }
    }
}

/// The result of the first attempt that succeeded.
pub(super) struct Succeeded<T> {
    pub(super) got: T,
    pub(super) candidate: Candidate,
    pub(super) attempts: u32,
    pub(super) first_token_ms: i64,
}

/// Tries the candidates in order, each as often as its errors allow. The
/// second argument of `attempt` says whether this is the last candidate.
pub(super) async fn in_order<T>(
    candidates: Vec<Candidate>,
    attempt: impl AsyncFn(&Candidate, bool) -> Result<T, AttemptError>,
) -> Result<Succeeded<T>, FailedCall> {
    let (started, mut attempts) = (now_ms(), 0);
    let mut first: Option<AttemptError> = None;
    let (mut last_model, mut too_small) = (None, 0);
    let some_are_closed = candidates.iter().any(|candidate| !health::is_open(&candidate.model.id, started));
    let count = candidates.len();
    for (index, candidate) in candidates.into_iter().enumerate() {
        let (id, is_last) = (candidate.model.id.clone(), index + 1 == count);
        if candidate.model.context <= too_small {
            continue;
        }
        // If every circuit is open, the first candidate is asked anyway.
        let may_enter = health::enter(&id, now_ms()) || (!some_are_closed && first.is_none());
        if !may_enter {
            continue;
        }
        last_model = Some(id.clone());
        let (mut tries, is_first) = (0, first.is_none());
        while attempts < MOST_ATTEMPTS {
            attempts += 1;
            tries += 1;
            let failure = match attempt(&candidate, is_last).await {
                Ok(got) => {
                    let first_token_ms = now_ms() - started;
                    health::succeeded(&id, first_token_ms);
                    return Ok(Succeeded { got, candidate, attempts, first_token_ms });
                }
                Err(failure) => failure,
            };
            let class = failure.error.class;
            if class.is_retryable() && class != Class::RateLimit {
                health::failed(&id, now_ms());
            } else {
                health::alive(&id);
            }
            let pause = pause_ms(&failure, tries, is_last, random::jitter());
            if class == Class::ContextTooLong {
                too_small = too_small.max(candidate.model.context);
            } else if pause.is_none() && !class.may_fail_over() && is_first {
                return Err(unanswered(failure, attempts, last_model));
            }
            first.get_or_insert(failure);
            let Some(pause) = pause else { break };
            sleep(pause).await;
        }
    }
    let unavailable =
        || Error::new(Class::Overloaded, "No model is available now; try again in a moment").into();
    Err(unanswered(first.unwrap_or_else(unavailable), attempts, last_model))
}

fn unanswered(failure: AttemptError, attempts: u32, model: Option<String>) -> FailedCall {
    let is_full = matches!(failure.error.class, Class::RateLimit | Class::Overloaded);
    let retry_after_s = failure.advice.after_s().or(is_full.then_some(5));
    FailedCall { error: failure.error, retry_after_s, attempts, model, answered: None }
}

/// The pause before the same model is asked again; None if it must not be.
/// While other candidates remain, only failures that tend to pass at once are
/// retried on the same model.
fn pause_ms(failure: &AttemptError, tries: u32, is_last: bool, jitter: u8) -> Option<u64> {
    let class = failure.error.class;
    let most = match class {
        Class::Upstream if is_last => MOST_TRIES,
        // A lock at the provider, which the vendors' SDKs wait for too.
        Class::Conflict => MOST_TRIES,
        Class::Upstream => 2,
        Class::RateLimit | Class::Overloaded if is_last => MOST_TRIES,
        // A timeout has cost a long wait already, and the others would fail again.
        _ => 1,
    };
    let is_final = failure.advice.should_retry == Some(false) || failure.is_for_the_operator();
    if tries >= most || is_final {
        return None;
    }
    let backoff = FIRST_PAUSE_MS << tries.saturating_sub(1).min(4);
    let jittered = backoff - backoff * i64::from(jitter) / (4 * 255);
    let pause = failure.advice.after_ms.unwrap_or(jittered);
    (pause <= LONGEST_PAUSE_MS).then(|| u64::try_from(pause).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        models::{failure::client_safe, sent_keys::SentKeys},
        upstream::retry::Advice,
    };

    fn attempt_error(class: Class, after_ms: Option<i64>) -> AttemptError {
        AttemptError { error: Error::new(class, ""), advice: Advice { should_retry: None, after_ms } }
    }

    #[test]
    fn with_another_candidate_only_errors_that_pass_at_once_are_retried() {
        let pause = |class, after, tries, is_last| pause_ms(&attempt_error(class, after), tries, is_last, 0);
        assert_eq!(pause(Class::Upstream, None, 1, false), Some(300));
        assert_eq!(pause(Class::Upstream, None, 2, false), None);
        for class in [Class::RateLimit, Class::Overloaded] {
            assert_eq!(pause(class, Some(2_000), 1, false), None, "there is another candidate");
            assert_eq!(pause(class, Some(2_000), 1, true), Some(2_000));
            assert_eq!(pause(class, Some(11_000), 1, true), None, "too long");
            assert_eq!(pause(class, None, MOST_TRIES, true), None);
        }
        for class in [Class::Timeout, Class::Invalid, Class::ContentPolicy, Class::Cut] {
            assert_eq!(pause(class, None, 1, true), None, "{class:?}");
        }
        let mut of_our_key = attempt_error(Class::Upstream, None);
        of_our_key.error = client_safe(Error::new(Class::Authentication, "sk-1"), &SentKeys::default());
        assert_eq!(pause_ms(&of_our_key, 1, true, 0), None);
    }
}
