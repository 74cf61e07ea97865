//! A circuit breaker for each model (Nygard, "Release It!"): a model that fails
//! several times in a row gets no requests for a while, then one as a probe.
//!
//! Each isolate remembers only its own requests. That is enough to spare a
//! provider that is down, and costs no round trip.

use std::{cell::RefCell, collections::HashMap};

/// How many failures in a row open the circuit.
const FAILURES: u32 = 3;
/// How long an open circuit lets no request through.
const OPEN_MS: i64 = 10_000;
/// A probe without a result after this time is lost, and another one is sent.
const PROBE_MS: i64 = 30_000;

/// One model's circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Circuit {
    /// Requests pass. `failures` of the last ones have failed in a row.
    Closed {
        failures: u32,
    },
    Open {
        until_ms: i64,
    },
    /// One request is the probe.
    HalfOpen {
        since_ms: i64,
    },
}

impl Default for Circuit {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Circuit {
    /// Whether a request may pass now, and the circuit after it.
    fn enter(self, now: i64) -> (bool, Self) {
        match self {
            Self::Closed { .. } => (true, self),
            Self::Open { until_ms } if now < until_ms => (false, self),
            Self::HalfOpen { since_ms } if now - since_ms < PROBE_MS => (false, self),
            Self::Open { .. } | Self::HalfOpen { .. } => (true, Self::HalfOpen { since_ms: now }),
        }
    }

    fn failed(self, now: i64) -> Self {
        match self {
            Self::Closed { failures } if failures.saturating_add(1) < FAILURES => {
                Self::Closed { failures: failures.saturating_add(1) }
            }
            _ => Self::Open { until_ms: now.saturating_add(OPEN_MS) },
        }
    }
}

/// What this isolate remembers of one model.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    circuit: Circuit,
    /// Milliseconds to the first word, a moving average.
    first_token_ms: Option<i64>,
}

thread_local! {
    static MEMORY: RefCell<HashMap<String, Memory>> = RefCell::default();
}

fn change(model: &str, change: impl FnOnce(&mut Memory)) {
    MEMORY.with_borrow_mut(|memory| match memory.get_mut(model) {
        Some(known) => change(known),
        None => change(memory.entry(model.to_owned()).or_default()),
    });
}

/// Whether a request may go to this model now. A caller that gets `true` must
/// report with [`succeeded`], [`alive`] or [`failed`].
pub(super) fn enter(model: &str, now: i64) -> bool {
    let mut may = true;
    change(model, |memory| (may, memory.circuit) = memory.circuit.enter(now));
    may
}

/// Whether the circuit would stop a request now. Does not change it.
pub(super) fn is_open(model: &str, now: i64) -> bool {
    MEMORY.with_borrow(|memory| memory.get(model).is_some_and(|memory| !memory.circuit.enter(now).0))
}

pub(super) fn succeeded(model: &str, first_token_ms: i64) {
    change(model, |memory| {
        memory.circuit = Circuit::default();
        let before = memory.first_token_ms.unwrap_or(first_token_ms);
        memory.first_token_ms = Some((before.saturating_mul(3).saturating_add(first_token_ms)) / 4);
    });
}

/// Reports a model that has answered, though with an error.
pub(super) fn alive(model: &str) {
    change(model, |memory| memory.circuit = Circuit::default());
}

pub(super) fn failed(model: &str, now: i64) {
    change(model, |memory| memory.circuit = memory.circuit.failed(now));
}

/// How long this model took lately until the first word of its answer.
pub(super) fn first_token_ms(model: &str) -> Option<i64> {
    MEMORY.with_borrow(|memory| memory.get(model).and_then(|memory| memory.first_token_ms))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_failures_in_a_row_open_the_circuit_and_one_probe_closes_it() {
        let model = "a/opens";
        for now in 0..3 {
            assert!(enter(model, now));
            failed(model, now);
        }
        assert!(!enter(model, 5) && is_open(model, 5));
        assert!(enter(model, 20_000), "a probe");
        assert!(!enter(model, 20_001), "only one probe");
        alive(model);
        assert!(enter(model, 20_002));
    }

    #[test]
    fn a_success_between_failures_keeps_the_circuit_closed() {
        let model = "a/stays";
        for now in 0..20 {
            assert!(enter(model, now));
            failed(model, now);
            succeeded(model, 1);
        }
    }

    proptest! {
        #[test]
        fn an_open_circuit_stops_requests_and_later_lets_one_pass(
            steps in prop::collection::vec((any::<bool>(), 0_i64..5_000), 1..60)
        ) {
            let (mut circuit, mut now) = (Circuit::default(), 0);
            for (fails, after) in steps {
                now += after;
                let (may, next) = circuit.enter(now);
                if let Circuit::Open { until_ms } = circuit {
                    prop_assert_eq!(may, now >= until_ms);
                }
                circuit = match (may, fails) {
                    (false, _) => next,
                    (true, true) => next.failed(now),
                    (true, false) => Circuit::default(),
                };
            }
            prop_assert!(circuit.enter(now + OPEN_MS + PROBE_MS).0);
        }
    }
}
