//! Writes to a libSQL server take turns, a few of an isolate at a time.
//!
//! SQLite writes one after the other anyway. But sqld, asked for many
//! transactions at once, lets writers overtake each other until some are
//! refused; and with 16 and more for long it loses track of who is next and
//! answers nobody until it is restarted. With 4 it did neither, as fast.
//!
//! A waiting request looks by itself whether it is its turn: workerd lets no
//! request wake another one.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use crate::platform::clock::{now_ms, sleep};

/// How many writes are under way at once.
const AT_ONCE: usize = 4;
/// How often a waiting write looks.
const LOOK_MS: u64 = 4;
/// How long a write counts that began, or that waits and last looked, so many
/// milliseconds ago: a request whose client leaves is forgotten by workerd,
/// which drops nothing. A write takes a few milliseconds.
const COUNTS_MS: i64 = 1_000;

thread_local! {
    static NEXT: Cell<u64> = const { Cell::new(0) };
    /// By number: until when a turn counts, in milliseconds since the epoch.
    static QUEUE: RefCell<BTreeMap<u64, i64>> = const { RefCell::new(BTreeMap::new()) };
}

/// A place in the queue of writes, given up when dropped.
#[derive(Debug)]
pub(super) struct Turn(u64);

impl Turn {
    /// Waits for a turn until `deadline`, in milliseconds since the epoch. None
    /// when it has passed.
    pub(super) async fn wait(deadline: i64) -> Option<Self> {
        let turn = Self::take();
        loop {
            let now = now_ms();
            if turn.has_come(now) {
                return Some(turn);
            }
            if now >= deadline {
                return None;
            }
            sleep(LOOK_MS).await;
        }
    }

    fn take() -> Self {
        let number = NEXT.get();
        NEXT.set(number + 1);
        Self(number)
    }

    fn has_come(&self, now: i64) -> bool {
        QUEUE.with_borrow_mut(|queue| {
            queue.retain(|_, until| *until > now);
            let has_come = queue.range(..self.0).count() < AT_ONCE;
            queue.insert(self.0, now + COUNTS_MS);
            has_come
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        QUEUE.with_borrow_mut(|queue| queue.remove(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns<const N: usize>() -> [Turn; N] {
        std::array::from_fn(|_| Turn::take())
    }

    fn come(turns: &[Turn], now: i64) -> Vec<bool> {
        turns.iter().map(|turn| turn.has_come(now)).collect()
    }

    #[test]
    fn four_go_at_once_and_the_rest_in_their_order() {
        let mut turns = Vec::from(turns::<6>());
        assert_eq!(come(&turns, 0), [true, true, true, true, false, false]);
        assert_eq!(come(&turns, 1), [true, true, true, true, false, false]);
        drop(turns.remove(2));
        assert_eq!(come(&turns, 2), [true, true, true, true, false]);
    }

    #[test]
    fn a_waiting_write_that_was_forgotten_lets_the_next_one_pass() {
        let mut under_way = Vec::from(turns::<4>());
        let [forgotten, next] = turns();
        come(&under_way, 0);
        assert!(!forgotten.has_come(0));
        under_way.pop();
        assert!(!next.has_come(COUNTS_MS - 1));
        assert!(next.has_come(COUNTS_MS));
    }

    #[test]
    fn a_write_that_was_forgotten_lets_the_next_one_pass() {
        let forgotten = turns::<4>();
        assert_eq!(come(&forgotten, 0), [true; 4]);
        let [next] = turns::<1>();
        assert!(!next.has_come(COUNTS_MS - 1));
        assert!(next.has_come(COUNTS_MS));
    }
}
