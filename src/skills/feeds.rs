//! Decides when a source is asked, without any I/O.
//!
//! A feed is one question to a source: a list of aitmpl.com, or a search of
//! skillsmp.com. Its row says when it was last answered and when it may be
//! asked again. A request claims a feed by moving that time, so only one of
//! several requests asks.

use serde::{Deserialize, Serialize};

use super::skill::Type;
use crate::platform::clock::{DAY_MS, HOUR_MS, MINUTE_MS};

/// How long a response is fresh (the quotas of skillsmp.com are daily).
pub(super) const FRESH_MS: i64 = DAY_MS;
/// How long a claim keeps others from asking; longer than asking can take.
pub(super) const LEASE_MS: i64 = 30_000;

/// skillsmp.com has no list of everything, so this search is used as one.
const DEFAULT_QUERY: &str = "claude";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SkillSource {
    Aitmpl,
    Skillsmp,
}

impl SkillSource {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Aitmpl => "aitmpl",
            Self::Skillsmp => "skillsmp",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Feed {
    pub(super) source: SkillSource,
    /// The name of a list, or the words of a search.
    pub(super) query: String,
}

impl Feed {
    /// The feeds of the catalogue. The search comes first, because six lists that
    /// hang would use all connections.
    pub(super) fn base() -> Vec<Self> {
        let search = Self { source: SkillSource::Skillsmp, query: DEFAULT_QUERY.to_owned() };
        let list = |kind: Type| Self { source: SkillSource::Aitmpl, query: kind.plural().to_owned() };
        std::iter::once(search).chain(Type::ALL.into_iter().map(list)).collect()
    }

    /// [`Self::base`], and the search of skillsmp.com for these words.
    pub(super) fn with_search(words: &[String]) -> Vec<Self> {
        let mut feeds = Self::base();
        let search = Self { source: SkillSource::Skillsmp, query: words.join(" ") };
        if !words.is_empty() && !feeds.contains(&search) {
            feeds.push(search);
        }
        feeds
    }

    /// Whether the whole catalogue needs this feed. The others are extra, and stop
    /// when the day's share of the quota is used.
    pub(super) fn is_base(&self) -> bool {
        self.source == SkillSource::Aitmpl || self.query == DEFAULT_QUERY
    }
}

/// The stored state of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct State {
    #[serde(flatten)]
    pub(super) feed: Feed,
    pub(super) fetched_at: Option<i64>,
    /// How often it failed since it was last answered.
    pub(super) failures: u32,
    /// When it may be asked next.
    pub(super) next_at: i64,
}

impl State {
    fn is_due(&self, now: i64) -> bool {
        self.next_at <= now
    }

    /// Whether a request is asking it for the first time now.
    fn is_first_under_way(&self, now: i64) -> bool {
        self.fetched_at.is_none() && self.failures == 0 && !self.is_due(now)
    }

    fn is_fresh(&self, now: i64) -> bool {
        self.fetched_at.is_some_and(|at| now < at + FRESH_MS)
    }
}

/// Where a response came from, for `x-cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CacheStatus {
    /// From the catalogue, and all of it is at most a day old.
    Hit,
    /// From the catalogue, while a source has not answered for a day or ever.
    Stale,
    /// From the sources, which were asked first.
    Miss,
}

impl CacheStatus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hit => "HIT",
            Self::Stale => "STALE",
            Self::Miss => "MISS",
        }
    }
}

/// The next step of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask these feeds, wait, and check again.
    Fetch(Vec<Feed>),
    /// Another request is asking; check again in a moment.
    Wait,
    /// Respond, and ask these feeds in the background.
    Answer(CacheStatus, Vec<Feed>),
    /// The catalogue has nothing, and no source answers.
    Unavailable { retry_after_s: i64 },
}

/// How long a request has tried so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) fetched: bool,
    pub(super) waited_long: bool,
}

/// Decides the next step. A request waits only for feeds that were never asked;
/// failed feeds are tried again in the background, unless the catalogue is empty.
pub(super) fn next(feeds: &[Feed], states: &[State], now: i64, tried: Tried) -> Step {
    let states: Vec<_> =
        feeds.iter().map(|feed| (feed, states.iter().find(|state| state.feed == *feed))).collect();
    let filled =
        states.iter().any(|(feed, state)| feed.is_base() && state.is_some_and(|s| s.fetched_at.is_some()));
    let which = |wanted: &dyn Fn(Option<&State>) -> bool| -> Vec<Feed> {
        states.iter().filter(|(_, state)| wanted(*state)).map(|(feed, _)| (*feed).clone()).collect()
    };
    let due = which(&|state| state.is_some_and(|state| state.is_due(now)));
    let mut wanted_now = which(&|state| state.is_none());
    if !filled {
        wanted_now.extend(due.iter().cloned());
    }
    if !wanted_now.is_empty() && !tried.fetched {
        return Step::Fetch(wanted_now);
    }
    let known = states.iter().filter_map(|(_, state)| *state);
    if !tried.waited_long && known.clone().any(|state| state.is_first_under_way(now)) {
        return Step::Wait;
    }
    if !filled {
        let next_at = known.map(|state| state.next_at).min().unwrap_or(now);
        return Step::Unavailable { retry_after_s: (next_at - now).max(1000) / 1000 };
    }
    let all_fresh = states.iter().all(|(_, state)| state.is_some_and(|state| state.is_fresh(now)));
    Step::Answer(if all_fresh { CacheStatus::Hit } else { CacheStatus::Stale }, due)
}

/// When a feed may be asked again after a failure: after one minute, then two,
/// four, … up to an hour, and not before the time that the source asks for.
pub(super) fn retry_at(failures_before: u32, retry_after_ms: Option<i64>, now: i64) -> i64 {
    let backoff = (MINUTE_MS << failures_before.min(6)).min(HOUR_MS);
    now + backoff.max(retry_after_ms.unwrap_or_default().min(DAY_MS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn state(feed: Feed, fetched_at: Option<i64>, failures: u32, next_at: i64) -> State {
        State { feed, fetched_at, failures, next_at }
    }

    fn fresh(feed: Feed) -> State {
        state(feed, Some(NOW - 5), 0, NOW - 5 + FRESH_MS)
    }

    fn failed(feed: Feed) -> State {
        state(feed, None, 1, NOW + MINUTE_MS)
    }

    fn under_way(feed: Feed) -> State {
        state(feed, None, 0, NOW + LEASE_MS)
    }

    fn all(of: fn(Feed) -> State) -> Vec<State> {
        Feed::base().into_iter().map(of).collect()
    }

    fn next_of(states: &[State]) -> Step {
        next(&Feed::base(), states, NOW, Tried::default())
    }

    #[test]
    fn an_empty_catalogue_asks_every_source() {
        assert_eq!(next_of(&[]), Step::Fetch(Feed::base()));
    }

    #[test]
    fn a_fresh_catalogue_responds_without_asking() {
        assert_eq!(next_of(&all(fresh)), Step::Answer(CacheStatus::Hit, vec![]));
    }

    #[test]
    fn a_stale_catalogue_responds_and_asks_in_the_background() {
        let mut states = all(fresh);
        let stale = state(states[0].feed.clone(), Some(NOW - FRESH_MS), 0, NOW);
        states[0] = stale.clone();
        assert_eq!(next_of(&states), Step::Answer(CacheStatus::Stale, vec![stale.feed.clone()]));
        states[0].next_at = NOW + LEASE_MS;
        assert_eq!(
            next_of(&states),
            Step::Answer(CacheStatus::Stale, vec![]),
            "another request is asking already"
        );
    }

    #[test]
    fn a_source_that_failed_does_not_hold_the_others_back() {
        let mut states = all(fresh);
        let last = states.len() - 1;
        states[last] = failed(states[last].feed.clone());
        assert_eq!(next_of(&states), Step::Answer(CacheStatus::Stale, vec![]));
        states[last].next_at = NOW;
        assert_eq!(next_of(&states), Step::Answer(CacheStatus::Stale, vec![states[last].feed.clone()]));
    }

    #[test]
    fn with_an_empty_catalogue_a_failed_feed_is_asked_again_only_when_it_is_due() {
        assert_eq!(next_of(&all(failed)), Step::Unavailable { retry_after_s: 60 });
        let due = all(|feed| State { next_at: NOW, ..failed(feed) });
        assert_eq!(next_of(&due), Step::Fetch(Feed::base()));
        let tried = Tried { fetched: true, waited_long: false };
        assert_eq!(next(&Feed::base(), &due, NOW, tried), Step::Unavailable { retry_after_s: 1 });
    }

    #[test]
    fn a_feed_that_another_request_asks_is_waited_for_but_not_for_ever() {
        assert_eq!(next_of(&all(under_way)), Step::Wait);
        let tried = Tried { fetched: false, waited_long: true };
        assert_eq!(next(&Feed::base(), &all(under_way), NOW, tried), Step::Unavailable { retry_after_s: 30 });
    }

    #[test]
    fn a_new_search_is_asked_for_by_itself() {
        let words = ["pdf".to_owned(), "forms".to_owned()];
        let feeds = Feed::with_search(&words);
        let search = Feed { source: SkillSource::Skillsmp, query: "pdf forms".to_owned() };
        assert_eq!(next(&feeds, &all(fresh), NOW, Tried::default()), Step::Fetch(vec![search]));
        assert_eq!(Feed::with_search(&[]), Feed::base());
        assert_eq!(Feed::with_search(&[DEFAULT_QUERY.to_owned()]), Feed::base());
    }

    #[test]
    fn failures_are_tried_again_ever_more_rarely() {
        let pause = |failures, after| retry_at(failures, after, NOW) - NOW;
        assert_eq!(
            [0, 1, 2, 5, 6, 1000].map(|n| pause(n, None)),
            [1, 2, 4, 32, 60, 60].map(|m| m * MINUTE_MS)
        );
        assert_eq!(pause(0, Some(1000)), MINUTE_MS);
        assert_eq!(pause(0, Some(HOUR_MS * 2)), HOUR_MS * 2);
        assert_eq!(pause(0, Some(i64::MAX)), DAY_MS);
    }

    proptest! {
        #[test]
        fn every_request_comes_to_an_end(
            kept in prop::collection::vec((prop::option::of(-2..2_i64), 0..3_u32, -1..2_i64), 0..9)
        ) {
            let feeds = Feed::with_search(&["x".to_owned()]);
            let states: Vec<_> = feeds.iter().cloned().zip(kept)
                .map(|(feed, (at, failures, next))| state(feed, at.map(|d| NOW + d * DAY_MS), failures, NOW + next * DAY_MS))
                .collect();
            let tried = Tried { fetched: true, waited_long: true };
            let step = next(&feeds, &states, NOW, tried);
            prop_assert!(matches!(step, Step::Answer(..) | Step::Unavailable { .. }), "{step:?}");
        }
    }
}
