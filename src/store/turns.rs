//! Limits the concurrent writes of an isolate to a libSQL server.
//!
//! SQLite writes one after the other anyway. With many concurrent transactions, sqld lets writers
//! overtake each other until some are refused; with 16 and more for a long time it loses track of
//! the next one and stops answering until a restart. With 4 it did neither and was as fast.
//!
//! A waiting request polls for its turn, so that one which is forgotten keeps nobody waiting.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use crate::platform::clock::{now_ms, sleep};

/// How many writes run at once.
const AT_ONCE: usize = 4;
/// How often a waiting write polls.
const POLL_MS: u64 = 4;
/// How long after its start, or after its last poll, a write counts as alive: the platform forgets a
/// request about 30 s after its client has left, and drops nothing. A write takes a few milliseconds.
const ALIVE_MS: i64 = 1_000;

thread_local! {
    static NEXT: Cell<u64> = const { Cell::new(0) };
    /// For each turn's number, the time in milliseconds since the epoch until which it counts.
    static QUEUE: RefCell<BTreeMap<u64, i64>> = const { RefCell::new(BTreeMap::new()) };
}

/// A place in the queue of writes, released on drop.
#[derive(Debug)]
pub(super) struct WriteTurn(u64);

impl WriteTurn {
    /// Waits for a turn until `deadline`, in milliseconds since the epoch. `None` when the deadline
    /// has passed.
    pub(super) async fn wait(deadline: i64) -> Option<Self> {
        let turn = Self::take();
        loop {
            let now = now_ms();
            if turn.is_due(now) {
                return Some(turn);
            }
            if now >= deadline {
                return None;
            }
            sleep(POLL_MS).await;
        }
    }

    fn take() -> Self {
        let number = NEXT.get();
        NEXT.set(number + 1);
        Self(number)
    }

    fn is_due(&self, now: i64) -> bool {
        QUEUE.with_borrow_mut(|queue| {
            queue.retain(|_, until| *until > now);
            let is_due = queue.range(..self.0).count() < AT_ONCE;
            queue.insert(self.0, now + ALIVE_MS);
            is_due
        })
    }
}

impl Drop for WriteTurn {
    fn drop(&mut self) {
        QUEUE.with_borrow_mut(|queue| queue.remove(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns<const N: usize>() -> [WriteTurn; N] {
        std::array::from_fn(|_| WriteTurn::take())
    }

    fn due(turns: &[WriteTurn], now: i64) -> Vec<bool> {
        turns.iter().map(|turn| turn.is_due(now)).collect()
    }

    #[test]
    fn four_writes_run_at_once_and_the_rest_in_order() {
        let mut turns = Vec::from(turns::<6>());
        assert_eq!(due(&turns, 0), [true, true, true, true, false, false]);
        assert_eq!(due(&turns, 1), [true, true, true, true, false, false]);
        drop(turns.remove(2));
        assert_eq!(due(&turns, 2), [true, true, true, true, false]);
    }

    #[test]
    fn an_abandoned_waiting_write_lets_the_next_one_pass() {
        let mut under_way = Vec::from(turns::<4>());
        let [forgotten, next] = turns();
        due(&under_way, 0);
        assert!(!forgotten.is_due(0));
        under_way.pop();
        assert!(!next.is_due(ALIVE_MS - 1));
        assert!(next.is_due(ALIVE_MS));
    }

    #[test]
    fn an_abandoned_write_lets_the_next_one_pass() {
        let forgotten = turns::<4>();
        assert_eq!(due(&forgotten, 0), [true; 4]);
        let [next] = turns::<1>();
        assert!(!next.is_due(ALIVE_MS - 1));
        assert!(next.is_due(ALIVE_MS));
    }
}
