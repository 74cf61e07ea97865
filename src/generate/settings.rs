//! How many startups may be in the making at once.

use crate::{
    error::Error,
    settings::{FromVars, ParseSettings, Vars, parses},
};

/// Finds what is wrong with the variables of this module.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Generate>()];

#[derive(Debug)]
pub(super) struct Generate {
    /// Of one user, at once.
    pub(super) running_jobs: u32,
}

impl FromVars for Generate {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self { running_jobs: vars.number("RUNNING_JOBS_LIMIT", 3)? })
    }
}
