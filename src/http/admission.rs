//! Admission of requests: a few in each turn, in order, and not without end.
//!
//! An isolate is one thread, and reads from its connections only when all that it has read before
//! is done. If a hundred requests begin at once, the next one waits for all of them. So a few begin
//! in each turn of the event loop, and the others queue: health checks and pieces of streams get
//! through in between. When the queue is full, requests are refused.

use std::{cell::RefCell, collections::VecDeque};

use crate::{
    error::{Error, Service},
    platform::clock::{now_ms, sleep},
};

/// This many requests may begin in one turn. Those that are done within it do not count.
const MOST_IN_TURN: usize = 32;
/// With more in the queue than [`CROWD`], so many may.
const FEW_IN_TURN: usize = 4;
const CROWD: usize = 16;
const MOST_QUEUED: usize = 256;
/// A request that has queued for longer is refused.
const MOST_WAIT_MS: i64 = 5_000;
/// About the length of a turn in a busy isolate.
const TURN_MS: usize = 4;

thread_local! {
    static QUEUE: RefCell<Queue> = const { RefCell::new(Queue::EMPTY) };
}

/// Waits until a request that arrived at `arrived` may begin.
///
/// # Errors
/// [`Error::Unavailable`] when the queue is full, or the request has queued for five seconds.
pub(super) async fn admit(arrived: i64) -> Result<Admitted, Error> {
    let refused = || Error::Unavailable(Service::Everything, String::new());
    let ticket = QUEUE.with_borrow_mut(|queue| queue.enter(arrived)).ok_or_else(refused)?;
    let (mut slept_in, mut now) = (None, arrived);
    loop {
        let (decision, turn) =
            QUEUE.with_borrow_mut(|queue| (queue.decide(ticket, slept_in, now), queue.turn));
        match decision {
            Decision::Begin => return Ok(Admitted { turn }),
            Decision::Refuse => return Err(refused()),
            Decision::Wait(ms) => sleep(ms).await,
        }
        (slept_in, now) = (Some(turn), now_ms());
    }
}

/// A request that has begun and is not done.
#[derive(Debug)]
pub(super) struct Admitted {
    turn: u64,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        QUEUE.with_borrow_mut(|queue| queue.leave(self.turn));
    }
}

/// The queue of an isolate.
#[derive(Debug)]
struct Queue {
    /// Turns are counted as far as they matter: a new one is noticed by a request that went to
    /// sleep in the last one.
    turn: u64,
    /// How many requests have begun in this turn and are not done.
    begun: usize,
    tickets: VecDeque<Ticket>,
    next: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticket {
    number: u64,
    since: i64,
}

#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Begin,
    /// Decide again after this many milliseconds.
    Wait(u64),
    Refuse,
}

impl Queue {
    const EMPTY: Self = Self { turn: 0, begun: 0, tickets: VecDeque::new(), next: 0 };

    /// A ticket for a request that arrives, unless the queue is full.
    fn enter(&mut self, now: i64) -> Option<Ticket> {
        // A request whose invocation the platform has ended never wakes.
        while self.tickets.front().is_some_and(|first| now - first.since > MOST_WAIT_MS) {
            self.tickets.pop_front();
        }
        if self.tickets.len() >= MOST_QUEUED {
            return None;
        }
        let ticket = Ticket { number: self.next, since: now };
        self.next += 1;
        self.tickets.push_back(ticket);
        Some(ticket)
    }

    /// Whether a request may begin. `slept_in` is the turn in which it went to sleep.
    fn decide(&mut self, ticket: Ticket, slept_in: Option<u64>, now: i64) -> Decision {
        if slept_in == Some(self.turn) {
            self.turn += 1;
            self.begun = 0;
        }
        let Some(place) = self.tickets.iter().position(|queued| *queued == ticket) else {
            return Decision::Refuse;
        };
        if now - ticket.since > MOST_WAIT_MS {
            self.tickets.remove(place);
            return Decision::Refuse;
        }
        let room = if self.tickets.len() > CROWD { FEW_IN_TURN } else { MOST_IN_TURN };
        // Those before it may all begin in this turn too.
        if place + self.begun < room {
            self.tickets.remove(place);
            self.begun += 1;
            return Decision::Begin;
        }
        Decision::Wait((1 + place / FEW_IN_TURN * TURN_MS) as u64)
    }

    /// A request is done that has begun in `turn`.
    const fn leave(&mut self, turn: u64) {
        if turn == self.turn {
            self.begun = self.begun.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(queue: &mut Queue, requests: usize) -> Vec<Ticket> {
        (0..requests).map_while(|_| queue.enter(0)).collect()
    }

    fn begun(queue: &mut Queue, tickets: &[Ticket], slept_in: Option<u64>) -> Vec<u64> {
        let begins = |ticket: &&Ticket| queue.decide(**ticket, slept_in, 0) == Decision::Begin;
        tickets.iter().filter(begins).map(|ticket| ticket.number).collect()
    }

    #[test]
    fn of_a_crowd_a_few_begin_in_each_turn_in_the_order_of_arrival() {
        let mut queue = Queue::EMPTY;
        let tickets = fill(&mut queue, 30);
        assert_eq!(begun(&mut queue, &tickets, None), [0, 1, 2, 3]);
        assert_eq!(begun(&mut queue, &tickets, None), [0_u64; 0], "the same turn");
        let backwards: Vec<_> = tickets.iter().rev().copied().collect();
        assert_eq!(begun(&mut queue, &backwards, Some(0)), [7, 6, 5, 4]);
        assert_eq!(begun(&mut queue, &tickets, Some(1)), [8, 9, 10, 11]);
    }

    #[test]
    fn requests_that_are_no_crowd_begin_at_once() {
        let mut queue = Queue::EMPTY;
        for number in 0..MOST_IN_TURN as u64 {
            let tickets = fill(&mut queue, 1);
            assert_eq!(begun(&mut queue, &tickets, None), [number]);
        }
        let tickets = fill(&mut queue, 1);
        assert_eq!(begun(&mut queue, &tickets, None), [0_u64; 0]);
    }

    #[test]
    fn requests_that_are_done_at_once_are_not_counted() {
        let mut queue = Queue::EMPTY;
        for _ in 0..100 {
            let tickets = fill(&mut queue, 1);
            assert_eq!(begun(&mut queue, &tickets, None).len(), 1);
            queue.leave(0);
        }
    }

    #[test]
    fn a_request_that_began_in_an_earlier_turn_makes_no_room_in_this_one() {
        let mut queue = Queue::EMPTY;
        let tickets = fill(&mut queue, 60);
        begun(&mut queue, &tickets, None);
        begun(&mut queue, &tickets, Some(0));
        queue.leave(0);
        assert_eq!(begun(&mut queue, &tickets, None).len(), 0);
    }

    #[test]
    fn a_full_queue_refuses_and_one_that_nobody_serves_is_empty_after_five_seconds() {
        let mut queue = Queue::EMPTY;
        let tickets = fill(&mut queue, MOST_QUEUED);
        assert_eq!(tickets.len(), MOST_QUEUED);
        assert_eq!(queue.enter(MOST_WAIT_MS), None);
        let late = MOST_WAIT_MS + 1;
        assert_eq!(queue.decide(tickets[0], Some(0), late), Decision::Refuse);
        let next = queue.enter(late).expect("the queue has room again");
        assert_eq!(queue.decide(next, None, late), Decision::Begin);
        assert_eq!(queue.decide(tickets[1], Some(0), late), Decision::Refuse);
    }
}
