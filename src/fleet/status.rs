//! The status of a fleet deployment: `pending → processing → success` or
//! `failed`, and from `failed` back to `pending` for another try.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Pending,
    Processing,
    Success,
    Failed,
}

impl Status {
    #[cfg(test)]
    const ALL: [Self; 4] = [Self::Pending, Self::Processing, Self::Success, Self::Failed];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Processing, Self::Success, Self::Failed]
            .into_iter()
            .find(|status| status.name() == name)
    }

    /// The only status before this one. SQL guards the change by it.
    pub(super) fn follows(self) -> Self {
        match self {
            Self::Pending => Self::Failed,
            Self::Processing => Self::Pending,
            Self::Success | Self::Failed => Self::Processing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_status_is_skipped_and_only_a_failure_goes_back() {
        let allowed: Vec<_> = Status::ALL.into_iter().map(|to| (to.follows().name(), to.name())).collect();
        assert_eq!(
            allowed,
            [
                ("failed", "pending"),
                ("pending", "processing"),
                ("processing", "success"),
                ("processing", "failed")
            ]
        );
    }

    #[test]
    fn a_status_is_read_by_its_name() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.name()), Some(status));
        }
        assert_eq!(Status::parse("SUCCESS"), None);
    }
}
