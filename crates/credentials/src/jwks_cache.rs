//! Decides when a key set is fetched again, and which key verifies a token meanwhile.
//!
//! A state machine without a clock or a network: the caller calls [`JwksCache::decide`]. If the decision is to fetch,
//! the caller reports the start ([`Event::Started`]), fetches, reports the result, and calls it again. The rules:
//!
//! - A known key is used if its set is younger than 10 minutes.
//! - An older set is fetched again. While that fails its keys stay in use, so that an outage of the issuer does not
//!   sign users out. This is safe: tokens live for minutes, and only the issuer makes new ones.
//! - An unknown name may belong to a new key: the set is fetched again, but at most once a minute, so that a flood of
//!   invented names costs the issuer one request.
//! - Without any set the first request fetches. The fetch is retried 5 seconds after it failed or was lost.
//! - A request that needs a key from a running fetch waits by polling: one request of a Worker cannot wake another.

use p256::ecdsa::VerifyingKey;

use super::jwks::Jwks;

const FRESH_MS: u64 = 10 * 60 * 1000;
/// Pause between two fetches while there are keys.
const PAUSE_MS: u64 = 60 * 1000;
/// Pause between two fetches while there are no keys.
const COLD_PAUSE_MS: u64 = 5 * 1000;

/// The cached keys and the last fetch.
#[derive(Debug, Clone, Default)]
pub struct JwksCache {
    held: Option<Held>,
    attempt: Option<Attempt>,
}

#[derive(Debug, Clone)]
struct Held {
    keys: Jwks,
    since_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    outcome: Outcome,
    at_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    UnderWay,
    Fetched,
    Failed,
}

/// Events of a fetch.
#[derive(Debug)]
pub enum Event {
    /// The request is about to be sent.
    Started,
    /// It returned this set. Also used for a set from KV, with the time at which that was fetched.
    Fetched(Jwks),
    /// It did not return a valid key set.
    Failed,
}

/// What to do to get a token's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Verify the token with this key.
    Use(VerifyingKey),
    /// Fetch the set, then call `decide` again.
    Fetch,
    /// Another request is fetching the set: call `decide` again in a moment.
    Wait,
    /// The issuer has no such key: the token is invalid.
    Unknown,
    /// The key is not available now, so the token cannot be verified; this is not the caller's fault.
    Unavailable,
}

impl JwksCache {
    /// What to do for a token with the key `kid`.
    pub fn decide(&self, kid: &str, now_ms: i64) -> Decision {
        let held = self.held.as_ref();
        let is_fresh = held.is_some_and(|held| is_within(FRESH_MS, held.since_ms, now_ms));
        let last = self.attempt.map(|attempt| attempt.outcome);
        match held.and_then(|held| held.keys.get(kid)) {
            Some(key) if is_fresh => Decision::Use(*key),
            _ if self.may_fetch(now_ms) => Decision::Fetch,
            Some(key) => Decision::Use(*key),
            None => match last {
                Some(Outcome::Fetched) => Decision::Unknown,
                Some(Outcome::UnderWay) => Decision::Wait,
                Some(Outcome::Failed) | None => Decision::Unavailable,
            },
        }
    }

    /// Records an event at `now_ms`.
    pub fn apply(&mut self, event: Event, now_ms: i64) {
        let outcome = match event {
            Event::Started => Outcome::UnderWay,
            Event::Failed => Outcome::Failed,
            Event::Fetched(keys) => {
                self.held = Some(Held { keys, since_ms: now_ms });
                Outcome::Fetched
            }
        };
        self.attempt = Some(Attempt { outcome, at_ms: now_ms });
    }

    fn may_fetch(&self, now_ms: i64) -> bool {
        let Some(Attempt { at_ms, .. }) = self.attempt else { return true };
        // A fetch that has been running this long was lost with the request that started it.
        let pause_ms = if self.held.is_some() { PAUSE_MS } else { COLD_PAUSE_MS };
        !is_within(pause_ms, at_ms, now_ms)
    }
}

/// Whether the two times are less than `span_ms` apart, in either order. A request may have read the clock just before
/// another request's fetch ended. A clock that was set back far must not keep a set fresh until it catches up.
fn is_within(span_ms: u64, since_ms: i64, now_ms: i64) -> bool {
    now_ms.abs_diff(since_ms) < span_ms
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::{
        super::jwks::tests::{jwk, jwks},
        *,
    };

    const SECOND_MS: i64 = 1000;
    const MINUTE_MS: i64 = 60 * SECOND_MS;

    static KEYS: LazyLock<Jwks> = LazyLock::new(|| jwks(&[jwk("k1", 1)]).unwrap());

    fn keys() -> Jwks {
        KEYS.clone()
    }

    fn fetched(at_ms: i64) -> JwksCache {
        let mut cache = JwksCache::default();
        cache.apply(Event::Fetched(keys()), at_ms);
        cache
    }

    fn uses_k1(cache: &JwksCache, now_ms: i64) -> bool {
        cache.decide("k1", now_ms) == Decision::Use(*KEYS.get("k1").unwrap())
    }

    #[test]
    fn an_empty_cache_is_filled_first() {
        let mut cache = JwksCache::default();
        assert_eq!(cache.decide("k1", 0), Decision::Fetch);
        cache.apply(Event::Started, 0);
        cache.apply(Event::Fetched(keys()), 200);
        assert!(uses_k1(&cache, 200));
    }

    #[test]
    fn keys_are_fresh_for_ten_minutes() {
        assert!(uses_k1(&fetched(0), 10 * MINUTE_MS - 1));
        assert_eq!(fetched(0).decide("k1", 10 * MINUTE_MS), Decision::Fetch);
    }

    #[test]
    fn an_old_key_stays_in_use_while_the_fetch_is_under_way_and_when_it_fails() {
        let mut cache = fetched(0);
        cache.apply(Event::Started, 11 * MINUTE_MS);
        assert!(uses_k1(&cache, 11 * MINUTE_MS + 1));
        cache.apply(Event::Failed, 11 * MINUTE_MS + 2);
        assert!(uses_k1(&cache, 11 * MINUTE_MS + 3));
        assert_eq!(cache.decide("k1", 12 * MINUTE_MS + 2), Decision::Fetch);
    }

    #[test]
    fn a_key_that_the_new_set_lacks_is_no_longer_used() {
        let mut cache = fetched(0);
        cache.apply(Event::Fetched(jwks(&[jwk("k2", 2)]).unwrap()), MINUTE_MS);
        assert_eq!(cache.decide("k1", MINUTE_MS + 1), Decision::Unknown);
    }

    #[test]
    fn a_flood_of_unknown_kids_fetches_once_a_minute() {
        let mut cache = fetched(0);
        let mut fetches = 0;
        for now_ms in (0..5 * MINUTE_MS).step_by(10) {
            if cache.decide(&format!("made-up-{now_ms}"), now_ms) == Decision::Fetch {
                fetches += 1;
                cache.apply(Event::Started, now_ms);
                cache.apply(Event::Fetched(keys()), now_ms + 5);
            }
            assert!(uses_k1(&cache, now_ms), "a real token is not held up");
        }
        assert_eq!(fetches, 4);
    }

    #[test]
    fn an_unknown_kid_makes_the_token_invalid_only_after_a_successful_fetch() {
        let mut cache = fetched(0);
        assert_eq!(cache.decide("k2", 1), Decision::Unknown);
        cache.apply(Event::Started, MINUTE_MS);
        assert_eq!(cache.decide("k2", MINUTE_MS + 1), Decision::Wait);
        cache.apply(Event::Failed, MINUTE_MS + 2);
        assert_eq!(cache.decide("k2", MINUTE_MS + 3), Decision::Unavailable);
    }

    #[test]
    fn one_of_several_concurrent_requests_fills_an_empty_cache() {
        let mut cache = JwksCache::default();
        cache.apply(Event::Started, 0);
        assert_eq!(cache.decide("k1", 0), Decision::Wait);
        assert_eq!(cache.decide("k1", 5 * SECOND_MS), Decision::Fetch, "its request has died");
        cache.apply(Event::Fetched(keys()), 100);
        cache.apply(Event::Failed, 101);
        assert!(uses_k1(&cache, 102), "the one that failed takes nothing away");
    }

    #[test]
    fn an_empty_cache_is_fetched_again_five_seconds_after_a_failure() {
        let mut cache = JwksCache::default();
        cache.apply(Event::Failed, 0);
        assert_eq!(cache.decide("k1", 5 * SECOND_MS - 1), Decision::Unavailable);
        assert_eq!(cache.decide("k1", 5 * SECOND_MS), Decision::Fetch);
    }

    #[test]
    fn a_fetch_that_never_ended_blocks_for_a_minute_at_most() {
        let mut cache = fetched(0);
        cache.apply(Event::Started, MINUTE_MS);
        assert_eq!(cache.decide("k2", 2 * MINUTE_MS - 1), Decision::Wait);
        assert_eq!(cache.decide("k2", 2 * MINUTE_MS), Decision::Fetch);
    }

    #[test]
    fn a_set_from_kv_keeps_its_age() {
        assert!(uses_k1(&fetched(-9 * MINUTE_MS), 0));
        assert_eq!(fetched(-10 * MINUTE_MS).decide("k1", 0), Decision::Fetch);
    }

    #[test]
    fn a_request_that_read_the_clock_before_the_fetch_ended_does_not_fetch_again() {
        assert!(uses_k1(&fetched(5), 0));
        assert_eq!(fetched(5).decide("k2", 0), Decision::Unknown);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_prevent_fetches() {
        assert_eq!(fetched(i64::MAX).decide("k1", i64::MIN), Decision::Fetch);
    }

    proptest! {
        #[test]
        fn fetches_are_always_a_minute_apart_and_a_known_key_is_never_refused(
            steps in proptest::collection::vec((0_i64..30_000, "k[1-3]", 0..3), 1..200)
        ) {
            let (mut cache, mut now_ms, mut last_fetch) = (fetched(0), 0, 0);
            for (pause, kid, ending) in steps {
                now_ms += pause;
                if cache.decide(&kid, now_ms) == Decision::Fetch {
                    prop_assert!(now_ms - last_fetch >= MINUTE_MS);
                    last_fetch = now_ms;
                    cache.apply(Event::Started, now_ms);
                    match ending {
                        0 => cache.apply(Event::Fetched(keys()), now_ms),
                        1 => cache.apply(Event::Failed, now_ms),
                        _ => {}
                    }
                }
                prop_assert_ne!(cache.decide(&kid, now_ms), Decision::Fetch, "asked again, it has an answer");
                prop_assert!(uses_k1(&cache, now_ms));
            }
        }
    }
}
