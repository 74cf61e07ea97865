//! Windows: the times in which a machine ran, computed from its beats.
//!
//! A window is `[start, end]`, from the first to the last beat of a series
//! without a gap, by the machine's clock but never later than ours. This is the
//! rule as pure code; `store::beats::beat` is the same rule in SQL, which also
//! serializes concurrent beats. simulation.rs checks that the two agree.

#[cfg(test)]
use std::cmp::Ordering;

use crate::platform::clock::{DAY_MS, HOUR_MS, MINUTE_MS};

/// The longest time between two beats of one window.
pub(super) const GAP_MS: i64 = 30 * MINUTE_MS;
/// How far a machine's clock may be ahead of ours.
pub(super) const AHEAD_MS: i64 = 5 * MINUTE_MS;

/// How late a beat may arrive: beats that a machine saved while it was offline
/// count, and beats for a past long ago are refused.
pub(super) const LATE_MS: i64 = DAY_MS;
/// How long after its end the uptime of a period is final: the oldest accepted
/// beat can close a gap before it, and half an hour covers beats that were
/// accepted and are still pending.
pub(super) const SETTLED_MS: i64 = LATE_MS + GAP_MS + 30 * MINUTE_MS;

/// For how many hours reports of machines are kept.
pub(super) const MOST_HOURS: u32 = 24;
/// How long reports of machines are kept.
pub(super) const KEPT_MS: i64 = MOST_HOURS as i64 * HOUR_MS;

/// A time in which a machine ran, in milliseconds of the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// A machine's last window, and the time of its last beat by its own clock,
/// which is later than the window's end if that clock is ahead.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastBeat {
    pub(super) window: Window,
    pub(super) stamped_at: i64,
}

/// The effect of a beat.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// It is not newer than the last one, and changes nothing.
    Stale,
    /// It has the same time as the last one, and is the first of that time with
    /// containers: they are saved, and the window stays.
    Reports,
    /// It extends the window, or begins the machine's first one.
    Extends(Window),
    /// It closes the first window, which is then recorded, and begins the second.
    Begins { closed: Window, opened: Window },
}

/// The effect of a beat with the time `at` at our time `now`. `is_full` says
/// that it reports containers; the last such beat had the time `reported_at`.
#[cfg(test)]
pub(super) fn beat(
    last: Option<LastBeat>,
    reported_at: Option<i64>,
    at: i64,
    now: i64,
    is_full: bool,
) -> Beat {
    // Uptime never goes beyond our own clock.
    let until = at.min(now);
    let fresh = Window { start: until, end: until };
    let Some(LastBeat { window, stamped_at }) = last else { return Beat::Extends(fresh) };
    match at.cmp(&stamped_at) {
        Ordering::Equal if is_full && reported_at != Some(at) => Beat::Reports,
        Ordering::Equal | Ordering::Less => Beat::Stale,
        Ordering::Greater if until - window.end <= GAP_MS => {
            Beat::Extends(Window { end: window.end.max(until), ..window })
        }
        Ordering::Greater => Beat::Begins { closed: window, opened: fresh },
    }
}

/// The health of a machine by the time since it was last seen; two missed beats
/// are still healthy.
pub(super) fn status(seen_at: Option<i64>, now: i64) -> &'static str {
    const HEALTHY_MS: i64 = 15 * MINUTE_MS;
    match seen_at.map(|seen_at| now - seen_at) {
        None => "UNKNOWN",
        Some(silent) if silent <= HEALTHY_MS => "HEALTHY",
        Some(silent) if silent <= GAP_MS => "WARNING",
        Some(_) => "DEAD",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Window = Window { start: 1_000, end: 5_000 };
    const LAST: LastBeat = LastBeat { window: OPEN, stamped_at: 5_000 };
    const LATER: i64 = 1 << 40;

    #[test]
    fn a_gap_is_thirty_minutes_to_the_millisecond() {
        let at = |gap| beat(Some(LAST), None, OPEN.end + gap, LATER, true);
        assert_eq!(at(GAP_MS - 1), Beat::Extends(Window { start: 1_000, end: 1_804_999 }));
        assert_eq!(at(GAP_MS), Beat::Extends(Window { start: 1_000, end: 1_805_000 }));
        let opened = Window { start: 1_805_001, end: 1_805_001 };
        assert_eq!(at(GAP_MS + 1), Beat::Begins { closed: OPEN, opened });
    }

    #[test]
    fn a_beat_that_is_not_newer_changes_nothing() {
        for at in [OPEN.end, OPEN.end - 1, OPEN.start, 0] {
            assert_eq!(beat(Some(LAST), None, at, LATER, false), Beat::Stale);
            assert_eq!(beat(Some(LAST), Some(OPEN.end), at, LATER, true), Beat::Stale);
        }
    }

    #[test]
    fn a_full_beat_after_a_ping_of_the_same_time_reports_containers_once() {
        for reported_at in [None, Some(OPEN.start), Some(OPEN.end - 1)] {
            assert_eq!(beat(Some(LAST), reported_at, OPEN.end, LATER, true), Beat::Reports);
            assert_eq!(beat(Some(LAST), reported_at, OPEN.end - 1, LATER, true), Beat::Stale);
        }
    }

    #[test]
    fn a_clock_that_is_ahead_adds_no_uptime() {
        let now = OPEN.end + 1_000;
        let window = Window { end: now, ..OPEN };
        assert_eq!(beat(Some(LAST), None, now + AHEAD_MS, now, false), Beat::Extends(window));
        assert_eq!(
            beat(None, None, now + AHEAD_MS, now, false),
            Beat::Extends(Window { start: now, end: now })
        );
        // Repeated later, it is stale, and so is an older one.
        let ahead = LastBeat { window, stamped_at: now + AHEAD_MS };
        for at in [now + AHEAD_MS, now + AHEAD_MS - 1, now + 1] {
            assert_eq!(beat(Some(ahead), None, at, now + MINUTE_MS, false), Beat::Stale);
        }
        // A difference between clocks of ours never shortens a window.
        assert_eq!(beat(Some(LAST), None, now, OPEN.end - 10, false), Beat::Extends(OPEN));
    }

    #[test]
    fn a_machine_s_health_follows_from_when_it_was_last_seen() {
        let minutes = |minutes: i64| status(Some(0), minutes * MINUTE_MS);
        assert_eq!(
            [minutes(0), minutes(15), minutes(16), minutes(30), minutes(31)],
            ["HEALTHY", "HEALTHY", "WARNING", "WARNING", "DEAD"]
        );
        assert_eq!(status(None, 0), "UNKNOWN");
    }
}
