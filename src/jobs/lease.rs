//! Leases and retries: who may work on a job, for how long, and how often. Pure.

/// How long a silent consumer keeps others from its job.
pub(super) const LEASE_MS: i64 = 30_000;
/// How often a running step renews its lease.
pub(super) const RENEW_MS: u64 = 10_000;

/// The retry policy of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Attempts before the job fails.
    pub(crate) attempts: u32,
    /// The time limit of one attempt.
    pub(crate) longest_ms: u64,
    /// The longest pause between two attempts, unless an outside service asks for a longer one.
    pub(crate) longest_pause_ms: i64,
}

impl Policy {
    /// For our own work: quick, and safe to repeat.
    pub(crate) const QUICK: Self =
        Self { attempts: 5, longest_ms: 60_000, longest_pause_ms: LONGEST_PAUSE_MS };

    /// The pause after attempt number `attempts` has failed.
    pub(crate) fn pause_ms(self, attempts: u32) -> i64 {
        (FIRST_PAUSE_MS << attempts.saturating_sub(1).min(20)).min(self.longest_pause_ms)
    }
}

const FIRST_PAUSE_MS: i64 = 2_000;
pub(super) const LONGEST_PAUSE_MS: i64 = 900_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_quarter_of_an_hour() {
        let pause_ms = |attempts| Policy::QUICK.pause_ms(attempts);
        assert_eq!(pause_ms(1), 2_000);
        assert_eq!(pause_ms(2), 4_000);
        assert_eq!(pause_ms(u32::MAX), LONGEST_PAUSE_MS);
        assert!((1..40).all(|n| pause_ms(n) <= pause_ms(n + 1)));
        assert_eq!(Policy { longest_pause_ms: 3_000, ..Policy::QUICK }.pause_ms(2), 3_000);
    }
}
