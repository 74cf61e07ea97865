//! When a machine ran: windows, made of beats.
//!
//! A window is `[start, end]`, from the first to the last beat of an unbroken
//! row of them, by the machine's clock as far as ours has come. This is the rule; `store::beat` is the same in SQL, where it
//! holds for beats that come at once, and the two are held against each other
//! by a simulation (simulation.rs).

#[cfg(test)]
use std::cmp::Ordering;

/// A beat at most this long after the last one still belongs to its window.
pub(super) const GAP_MS: i64 = 30 * 60 * 1000;
/// How far ahead of ours a machine's clock may be.
pub(super) const AHEAD_MS: i64 = 5 * 60 * 1000;

/// How late a beat may come: what a machine kept while it had no network still
/// counts, and what it makes up of last year does not.
pub(super) const LATE_MS: i64 = 24 * 60 * 60 * 1000;
/// From so long after a period's end on its uptime stays as it is: the oldest
/// beat that is taken reaches back over one gap, and half an hour is for those
/// that were taken and are still under way.
pub(super) const SETTLED_MS: i64 = LATE_MS + GAP_MS + 30 * 60 * 1000;

/// How many hours of what machines said of themselves are kept.
pub(super) const MOST_HOURS: u32 = 24;
/// How long what a machine said is kept.
pub(super) const KEPT_MS: i64 = MOST_HOURS as i64 * 60 * 60 * 1000;

/// A machine's time of running, in milliseconds of the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// A machine's last window, and what its clock said at its last beat: later
/// than the window's end where its clock is ahead of ours.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) window: Window,
    pub(super) stamped_at: i64,
}

/// What a beat does.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// It is not newer than the last one, and changes nothing.
    Stale,
    /// It is of the very moment of the last one, and the first of it that
    /// tells what the machine runs: that is taken, and the window stays.
    Tells,
    /// The window goes on, or is the machine's first.
    Extends(Window),
    /// The first window is over and to be recorded; the second one begins.
    Begins { closed: Window, opened: Window },
}

/// What a beat that says `at` does at our `now`. `is_full`: it tells what the
/// machine runs, as one at `said_at` last did.
#[cfg(test)]
pub(super) fn beat(last: Option<Last>, said_at: Option<i64>, at: i64, now: i64, is_full: bool) -> Beat {
    // A machine has run until now at most, whatever its clock says.
    let until = at.min(now);
    let fresh = Window { start: until, end: until };
    let Some(Last { window, stamped_at }) = last else { return Beat::Extends(fresh) };
    match at.cmp(&stamped_at) {
        Ordering::Equal if is_full && said_at != Some(at) => Beat::Tells,
        Ordering::Equal | Ordering::Less => Beat::Stale,
        Ordering::Greater if until - window.end <= GAP_MS => {
            Beat::Extends(Window { end: window.end.max(until), ..window })
        }
        Ordering::Greater => Beat::Begins { closed: window, opened: fresh },
    }
}

/// How a machine is, by the time since it was last seen: two beats may be
/// missed before anybody worries.
pub(super) fn status(seen_at: Option<i64>, now: i64) -> &'static str {
    const HEALTHY_MS: i64 = 15 * 60 * 1000;
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
    const LAST: Last = Last { window: OPEN, stamped_at: 5_000 };
    const LATER: i64 = 1 << 40;

    #[test]
    fn thirty_minutes_to_the_millisecond() {
        let at = |gap| beat(Some(LAST), None, OPEN.end + gap, LATER, true);
        assert_eq!(at(GAP_MS - 1), Beat::Extends(Window { start: 1_000, end: 1_804_999 }));
        assert_eq!(at(GAP_MS), Beat::Extends(Window { start: 1_000, end: 1_805_000 }));
        let opened = Window { start: 1_805_001, end: 1_805_001 };
        assert_eq!(at(GAP_MS + 1), Beat::Begins { closed: OPEN, opened });
    }

    #[test]
    fn what_is_not_newer_changes_nothing() {
        for at in [OPEN.end, OPEN.end - 1, OPEN.start, 0] {
            assert_eq!(beat(Some(LAST), None, at, LATER, false), Beat::Stale);
            assert_eq!(beat(Some(LAST), Some(OPEN.end), at, LATER, true), Beat::Stale);
        }
    }

    #[test]
    fn of_one_moment_a_beat_after_a_ping_tells_what_runs_once() {
        for said_at in [None, Some(OPEN.start), Some(OPEN.end - 1)] {
            assert_eq!(beat(Some(LAST), said_at, OPEN.end, LATER, true), Beat::Tells);
            assert_eq!(beat(Some(LAST), said_at, OPEN.end - 1, LATER, true), Beat::Stale);
        }
    }

    #[test]
    fn a_clock_that_is_ahead_makes_no_time_up() {
        let now = OPEN.end + 1_000;
        let window = Window { end: now, ..OPEN };
        assert_eq!(beat(Some(LAST), None, now + AHEAD_MS, now, false), Beat::Extends(window));
        assert_eq!(
            beat(None, None, now + AHEAD_MS, now, false),
            Beat::Extends(Window { start: now, end: now })
        );
        // Sent again while our clock goes on, it says nothing new, and nor does one that is older.
        let ahead = Last { window, stamped_at: now + AHEAD_MS };
        for at in [now + AHEAD_MS, now + AHEAD_MS - 1, now + 1] {
            assert_eq!(beat(Some(ahead), None, at, now + 60_000, false), Beat::Stale);
        }
        // Clocks of ours that differ turn no window back.
        assert_eq!(beat(Some(LAST), None, now, OPEN.end - 10, false), Beat::Extends(OPEN));
    }

    #[test]
    fn a_machine_is_as_well_as_it_was_seen_lately() {
        let minutes = |minutes: i64| status(Some(0), minutes * 60_000);
        assert_eq!(
            [minutes(0), minutes(15), minutes(16), minutes(30), minutes(31)],
            ["HEALTHY", "HEALTHY", "WARNING", "WARNING", "DEAD"]
        );
        assert_eq!(status(None, 0), "UNKNOWN");
    }
}
