//! Time. Rules take `now` as a parameter; only the edge of the Worker asks.

use std::time::Duration;

use worker::{Date, Delay};

/// Milliseconds since the Unix epoch. In production it advances only on I/O.
pub(crate) fn now_ms() -> i64 {
    i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX)
}

/// Resolves after `ms` milliseconds; the timer is cleared when dropped.
pub(crate) fn sleep(ms: u64) -> Delay {
    Delay::from(Duration::from_millis(ms))
}
