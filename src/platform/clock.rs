//! Time. Rules take `now` as a parameter; only the edge of the Worker reads the clock.

use std::{convert::Infallible, future::Future, time::Duration};

use futures::{
    future::{Either, select},
    pin_mut,
};
use worker::{Delay, js_sys::Date};

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// Milliseconds since the Unix epoch. In production it advances only on I/O.
pub(crate) fn now_ms() -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds, far below 2^53")]
    let now = Date::now() as i64;
    now
}

/// Resolves after `ms` milliseconds; the timer is cleared when dropped.
pub(crate) fn sleep(ms: u64) -> Delay {
    Delay::from(Duration::from_millis(ms))
}

/// Runs `work`, and `tick` every `ms` milliseconds until the work is done.
pub(crate) async fn with_ticks<T>(ms: u64, tick: impl AsyncFn(), work: impl Future<Output = T>) -> T {
    let ticks = async {
        loop {
            sleep(ms).await;
            tick().await;
        }
    };
    pin_mut!(work, ticks);
    match select::<_, std::pin::Pin<&mut dyn Future<Output = Infallible>>>(work, ticks).await {
        Either::Left((done, _)) => done,
        Either::Right((never, _)) => match never {},
    }
}
