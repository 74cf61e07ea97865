//! What only the whole Worker knows, handed to whoever answers.

use std::fmt;

use crate::{jobs, settings::ParseSettings, store::owned::Owned};

/// What only the whole Worker knows of its modules.
pub(crate) struct Modules {
    /// Every kind of job.
    pub(crate) jobs: jobs::Kinds,
    /// What of their tables is somebody's, in the order of an export.
    pub(crate) owned: &'static [&'static Owned],
    /// Parses the settings of each.
    pub(crate) settings: &'static [&'static [&'static [ParseSettings]]],
}

impl fmt::Debug for Modules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Modules").finish_non_exhaustive()
    }
}
