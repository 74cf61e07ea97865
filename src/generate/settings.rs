//! Settings of the startup generator: the model, and how many jobs a user may run at once.

use crate::{
    error::Error,
    settings::{FromVars, ParseSettings, Vars, parses},
};

/// Parsers that check this module's variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Generate>()];

#[derive(Debug)]
pub(super) struct Generate {
    /// The most running jobs of one user.
    pub(super) running_jobs: u32,
    /// The model that generates. None means the model of Claude's settings.
    pub(super) model: Option<String>,
}

impl FromVars for Generate {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self { running_jobs: vars.number("RUNNING_JOBS_LIMIT", 3)?, model: vars.get("GENERATE_MODEL") })
    }
}
