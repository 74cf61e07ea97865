//! How many bytes a read waits for: one while bytes come slowly, so that a token is shown at once
//! and a cut loses nothing; more while they come faster than a screen shows them, or while all
//! streams of the isolate together keep its one thread busy.

use std::cell::Cell;

/// The most bytes a read of a fast stream waits for.
const MOST: u32 = 8192;
/// What it waits for first, once bytes come fast; then for four times as many
/// at each read, because a fast stream is nearly over. If it was a burst after a
/// pause, and not fast, the last of it waits about as long as the pause was.
const FIRST_STEP: u32 = 512;
/// A read that waits for nothing and brings so many bytes is large enough. Waiting for more would
/// only delay what follows, such as the first word after a long first event.
const LARGE: u32 = 1024;
/// Reads that follow within this many milliseconds are fast.
const FAST_MS: i64 = 4;
/// So many fast reads in a row make the next one wait for more bytes. A short
/// answer never gets there, and so loses nothing at a cut. Without a client
/// nobody sees the pieces, and one is enough.
const FAST_READS: u32 = 8;
/// A stream with slower reads may still bring much, because the reads of many such streams wait for
/// each other: then a read waits for what came in such a time, in the slower one of the last two.
const SPAN_MS: i64 = 16;
/// A stream that brings less in such a time, about 4 events, shows each at once.
const MUCH: u32 = 1024;
/// How long the reads of all streams are counted before it is judged whether
/// there are too many, or few.
const COUNTED_MS: i64 = 40;
/// With more reads in such a time, about 4 a millisecond, all streams begin to wait for several bytes. Fifty that
/// bring a piece every 20 ms have half as many, and show each piece at once.
const TOO_MANY_READS: u32 = 150;
/// Once they wait, they wait for more until there are so few: 3 a millisecond. Fewer would hold fifty streams at the
/// pace of a screen back for longer, of which the first reads after a brake were still begun before it.
const MANY_READS: u32 = 120;
/// With fewer, each read may wait for half as many bytes.
const FEW_READS: u32 = 32;
/// With fewer, a read that waits for [`FIRST_BRAKE`] need not wait: of small pieces it takes two at
/// a time, so there will be about twice as many reads.
const CALM_READS: u32 = TOO_MANY_READS * 2 / 5;
/// What a read waits for first, once there are too many.
const FIRST_BRAKE: u32 = 256;
/// The most bytes a read waits for because of other streams: a slow one shows
/// nothing meanwhile.
const MOST_BRAKE: u32 = 4096;
/// After such a silence the earlier counts say nothing about the load.
const FORGOTTEN_MS: i64 = 1_000;

/// How fast one stream is, and so how many bytes its next read waits for.
#[derive(Debug)]
pub(super) struct Pace {
    least: u32,
    fast_reads: u32,
    /// After how many fast reads in a row the next one waits for more.
    patience: u32,
    span: Span,
    last_read_ms: i64,
}

impl Pace {
    pub(super) const fn new(now: i64, has_client: bool) -> Self {
        let patience = if has_client { FAST_READS } else { 0 };
        Self { least: 1, fast_reads: 0, patience, span: Span::new(now), last_read_ms: now }
    }

    /// How many bytes the next read waits for.
    pub(super) const fn least(&self) -> u32 {
        self.least
    }

    /// Counts a read of `bytes` at `now`. Because of other streams the next one waits only if this
    /// stream's client has received something (`has_written`).
    pub(super) fn count(&mut self, now: i64, bytes: u32, has_written: bool) {
        let is_large = self.least == 1 && bytes >= LARGE;
        self.span = if is_large { Span::new(now) } else { self.span.count(now, bytes) };
        if is_large || now - self.last_read_ms > FAST_MS {
            self.fast_reads = 0;
            self.least = self.span.least;
        } else {
            self.fast_reads += 1;
            if self.fast_reads > self.patience {
                self.least = (self.least * 4).clamp(FIRST_STEP, MOST);
            }
        }
        self.last_read_ms = now;
        let traffic = TRAFFIC.get().count(now);
        TRAFFIC.set(traffic);
        if has_written {
            self.least = self.least.max(traffic.least);
        }
    }
}

/// What a stream brings in [`SPAN_MS`].
#[derive(Debug, Clone, Copy)]
struct Span {
    since_ms: i64,
    bytes: u32,
    /// What the last span has brought.
    last_span: u32,
    /// How many bytes a read should wait for.
    least: u32,
}

impl Span {
    const fn new(now: i64) -> Self {
        Self { since_ms: now, bytes: 0, last_span: 0, least: 1 }
    }

    /// Counts the bytes of a read at `now`.
    fn count(self, now: i64, bytes: u32) -> Self {
        let (passed, bytes) = (now - self.since_ms, self.bytes.saturating_add(bytes));
        if passed < SPAN_MS {
            return Self { bytes, ..self };
        }
        let of_span = u32::try_from(i64::from(bytes) * SPAN_MS / passed).unwrap_or(MOST);
        let steady = of_span.min(self.last_span);
        let least = if steady < MUCH { 1 } else { steady.min(MOST) };
        Self { since_ms: now, bytes: 0, last_span: of_span, least }
    }
}

/// How busy the streams of this isolate keep its thread, together.
#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    since_ms: i64,
    reads: u32,
    /// How many bytes a read should wait for.
    least: u32,
}

thread_local! {
    static TRAFFIC: Cell<Traffic> = const { Cell::new(Traffic { since_ms: 0, reads: 0, least: 1 }) };
}

impl Traffic {
    /// Counts a read at `now`. A single fast stream slows itself down; this is for
    /// many slow ones.
    fn count(self, now: i64) -> Self {
        let passed = now - self.since_ms;
        if passed >= FORGOTTEN_MS {
            return Self { since_ms: now, reads: 1, least: 1 };
        }
        if passed < COUNTED_MS {
            return Self { reads: self.reads + 1, ..self };
        }
        // A longer period is scaled down to the usual one.
        let reads = i64::from(self.reads) * COUNTED_MS / passed;
        let most = if self.least > 1 { MANY_READS } else { TOO_MANY_READS };
        let least = match reads {
            reads if reads > i64::from(most) => (self.least * 2).clamp(FIRST_BRAKE, MOST_BRAKE),
            reads if reads < i64::from(FEW_READS) && self.least > FIRST_BRAKE => self.least / 2,
            reads if reads < i64::from(CALM_READS) && self.least <= FIRST_BRAKE => 1,
            _ => self.least,
        };
        Self { since_ms: now, reads: 1, least }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The traffic after `ms` milliseconds with `a_ms` reads in each.
    fn after(traffic: Traffic, from: i64, ms: i64, a_ms: i64) -> Traffic {
        (from * a_ms..(from + ms) * a_ms).fold(traffic, |traffic, read| traffic.count(read / a_ms))
    }

    #[test]
    fn only_a_stream_that_brings_much_waits_for_what_comes_in_a_span() {
        let least = |every_ms: i64, bytes: u32| {
            (1..=20).fold(Span::new(0), |pace, read| pace.count(read * every_ms, bytes)).least
        };
        // A token of a hosted model, a burst of a very fast one, and one of many streams of a thread.
        assert_eq!(least(20, 250), 1);
        assert_eq!(least(5, 100), 1);
        assert_eq!(least(5, 1_000), 3_200);
        assert_eq!(least(10, 60_000), MOST);
        // After a burst, words come one by one.
        let burst = (1..=16).fold(Span::new(0), |pace, read| pace.count(read, 500));
        assert_eq!(burst.count(36, 200).least, 1);
    }

    #[test]
    fn a_fast_stream_waits_for_more_soon_and_at_once_if_nobody_sees_it() {
        let reads = |has_client: bool| {
            let mut pace = Pace::new(0, has_client);
            (1..=12)
                .map(|now| {
                    pace.count(now, pace.least().max(130), true);
                    pace.least()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(reads(true), [[1; 8].as_slice(), &[512, 2048, MOST, MOST]].concat());
        assert_eq!(reads(false)[..4], [512, 2048, MOST, MOST]);
    }

    #[test]
    fn many_streams_read_more_at_a_time_and_few_at_once() {
        let calm = after(Traffic::default(), 10_000, 1_000, 1);
        assert_eq!(calm.least, 1);
        assert_eq!(after(calm, 11_000, 1_000, 3).least, 1);
        let busy = after(calm, 11_000, 100, 20);
        assert!((FIRST_BRAKE..MOST_BRAKE).contains(&busy.least), "{busy:?}");
        let overrun = after(busy, 11_100, 400, 20);
        assert_eq!(overrun.least, MOST_BRAKE);
        // A medium load changes nothing. A larger one does, if the streams wait already.
        assert_eq!(after(overrun, 11_500, 1_000, 2).least, MOST_BRAKE);
        assert!(after(busy, 11_100, 100, 4).least > busy.least);
        // Fifty streams that bring a piece every 20 ms, of which a braked read takes two.
        let braked = Traffic { least: FIRST_BRAKE, ..after(calm, 11_000, 40, 1) };
        let paced = (0..100).fold(braked, |traffic, n| traffic.count(11_040 + 4 * n / 5));
        assert_eq!(paced.least, 1);
        let calmed = (0..100).fold(overrun, |traffic, n| traffic.count(11_500 + 10 * n));
        assert_eq!(calmed.least, 1);
        assert_eq!(overrun.count(20_000).least, 1);
    }
}
