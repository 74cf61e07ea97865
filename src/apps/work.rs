//! What every step of a turn's job needs.

use std::rc::Rc;

use hatch_diff::Files;

use super::{
    events::Event,
    store::{self, turns::AppTurn, work::Draft},
};
use crate::{
    audit,
    error::Error,
    jobs::{Job, JobContext},
    platform::clock::now_ms,
    settings::Settings,
    store::Statement,
};

#[derive(Debug)]
pub(super) struct Work {
    pub(super) job: Job,
    pub(super) turn: AppTurn,
    pub(super) settings: Rc<Settings>,
    pub(super) context: Rc<JobContext>,
}

impl Work {
    /// The statement that adds events, for the outcome's batch.
    pub(super) fn add_events(&self, events: &[Event]) -> Statement {
        store::events::add_events(&self.turn.id, events, now_ms())
    }

    /// The audit entry for an action outside of the turn's files.
    pub(super) fn audit(&self, action: &str, subject: &str) -> Statement {
        audit::entry(&self.turn.user_id, action, subject, &self.turn.trace_id, now_ms())
    }

    /// The files that the turn works on.
    pub(super) async fn files(&self) -> Result<Files, Error> {
        let draft: Option<Draft> =
            self.context.database.query(store::work::draft(&self.turn.id)).await?.first()?;
        let draft = draft.ok_or_else(|| Error::Internal("a turn has no draft".to_owned()))?;
        files_of(&draft.files)
    }
}

/// The files of a project's code.
pub(super) fn files_of(code: &str) -> Result<Files, Error> {
    hatch_json::from_str(code).map_err(|e| Error::Internal(format!("a project's code: {e}")))
}

/// The code of a project's files.
pub(super) fn code_of(files: &Files) -> String {
    // A map of strings always serializes.
    serde_json::to_string(files).unwrap_or_default()
}
