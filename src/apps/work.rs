//! What every step of a turn's job works with.

use std::rc::Rc;

use hatch_diff::Files;

use super::{
    events::Event,
    store::{self, Draft, Turn},
};
use crate::{
    audit,
    error::Error,
    jobs::{Job, JobContext},
    models::KeyLimits,
    platform::clock::now_ms,
    settings::Settings,
    store::Statement,
};

#[derive(Debug)]
pub(super) struct Work {
    pub(super) job: Job,
    pub(super) turn: Turn,
    pub(super) settings: Rc<Settings>,
    pub(super) context: Rc<JobContext>,
}

impl Work {
    /// Events for the outcome's batch.
    pub(super) fn tell(&self, events: &[Event]) -> Statement {
        store::tell(&self.turn.id, events, now_ms())
    }

    /// What the turn does beyond its own files, for the outcome's batch.
    pub(super) fn audit(&self, action: &str, subject: &str) -> Statement {
        audit::entry(&self.turn.user_id, action, subject, &self.turn.trace_id, now_ms())
    }

    /// What the key may that began the turn.
    pub(super) fn key_limits(&self) -> Result<KeyLimits, Error> {
        KeyLimits::parse(self.turn.key_limits.as_deref())
    }

    /// The files that the turn works on.
    pub(super) async fn files(&self) -> Result<Files, Error> {
        let draft: Option<Draft> = self.context.database.query(store::draft(&self.turn.id)).await?.first()?;
        let draft = draft.ok_or_else(|| Error::Internal("a turn has no draft".to_owned()))?;
        files_of(&draft.files)
    }
}

/// The files of a project's code.
pub(super) fn files_of(code: &str) -> Result<Files, Error> {
    serde_json::from_str(code).map_err(|e| Error::Internal(format!("a project's code: {e}")))
}

/// The code of a project's files.
pub(super) fn code_of(files: &Files) -> String {
    // A map of strings has no way to fail.
    serde_json::to_string(files).unwrap_or_default()
}
