//! The five steps of a job in their order, and the progress at which each
//! begins and ends. Pure.

use crate::jobs::Policy;

/// A step of the job; each is a queue message of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Discovery,
    Building,
    Packaging,
    Marketing,
    Identity,
}

impl Step {
    pub(super) const ALL: [Self; 5] =
        [Self::Discovery, Self::Building, Self::Packaging, Self::Marketing, Self::Identity];

    /// Its name in the database.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Building => "building",
            Self::Packaging => "packaging",
            Self::Marketing => "marketing",
            Self::Identity => "identity",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    /// The job's progress, in per cent, when the step begins.
    pub(super) const fn begins_at(self) -> u32 {
        match self {
            Self::Discovery => 10,
            Self::Building => 40,
            Self::Packaging => 75,
            Self::Marketing => 90,
            Self::Identity => 95,
        }
    }

    /// The job's progress, in per cent, when the step is done.
    pub(super) const fn ends_at(self) -> u32 {
        match self {
            Self::Discovery => 33,
            Self::Building => 66,
            Self::Packaging => 90,
            Self::Marketing => 95,
            Self::Identity => 100,
        }
    }

    /// Claude's answers take minutes and are expensive to repeat; the rest is quick.
    pub(super) const fn policy(self) -> Policy {
        match self {
            Self::Discovery | Self::Building | Self::Marketing => {
                Policy { attempts: 4, longest_ms: 12 * 60_000, ..Policy::QUICK }
            }
            Self::Packaging => Policy::QUICK,
            Self::Identity => Policy { attempts: 8, ..Policy::QUICK },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_goes_back() {
        let marks: Vec<u32> = Step::ALL.iter().flat_map(|step| [step.begins_at(), step.ends_at()]).collect();
        assert!(marks.is_sorted());
        assert_eq!(marks.last(), Some(&100));
    }

    #[test]
    fn a_step_is_found_by_its_name() {
        assert!(Step::ALL.iter().all(|step| Step::named(step.name()) == Some(*step)));
        assert_eq!(Step::named("unknown"), None);
    }
}
