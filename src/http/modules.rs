//! What only the whole Worker knows about its modules, for handlers of any module.

use std::fmt;

use crate::{jobs, settings::ParseSettings, store::owned::Owned};

/// What only the whole Worker knows about its modules.
pub(crate) struct Modules {
    /// Every kind of job.
    pub(crate) jobs: jobs::JobKinds,
    /// The tables with users' data, in the order of an export.
    pub(crate) owned: &'static [&'static Owned],
    /// The settings parsers of each module.
    pub(crate) settings: &'static [&'static [&'static [ParseSettings]]],
}

impl fmt::Debug for Modules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Modules").finish_non_exhaustive()
    }
}
