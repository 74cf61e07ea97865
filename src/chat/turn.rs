//! A turn: a question, its answer, and the code that the answer changes.

use hatch_code::CodeMap;
use serde::Deserialize;

use crate::{error::Error, identity::quotas::Taken, models::Reservation, store::Rows};

/// A question and its answer.
#[derive(Debug, Clone)]
pub(super) struct ChatTurn {
    /// The id of the answer's row.
    pub(super) id: String,
    pub(super) question_id: String,
    pub(super) project_id: String,
    pub(super) user: String,
    pub(super) model: String,
    /// Says that another model answers than the one asked for.
    pub(super) note: Option<String>,
    /// About how many tokens the prompt has.
    pub(super) prompt_tokens: u64,
    /// The message, counted against the user's daily limit.
    pub(super) counted: Option<Taken>,
    /// What was reserved of budgets for the answer.
    pub(super) reserved: Option<Reservation>,
}

impl ChatTurn {
    /// The same question, answered by the row `id` of another turn, so that nothing
    /// is counted or reserved for this one.
    pub(super) fn answered_by(self, id: String) -> Self {
        Self { id, counted: None, reserved: None, ..self }
    }
}

/// The code that an answer changes.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) code: CodeMap,
    pub(super) version: i64,
}

#[derive(Deserialize)]
struct ProjectCode {
    code: Option<String>,
    version: i64,
}

impl Base {
    /// Reads a row of `{"code", "version"}`; without a row the code is empty.
    pub(super) fn of(project: &Rows) -> Result<Self, Error> {
        let project: Option<ProjectCode> = project.first()?;
        let (json, version) = project.map_or((None, 0), |project| (project.code, project.version));
        let code = CodeMap::stored(json.as_deref().unwrap_or("{}"))
            .map_err(|error| Error::Internal(format!("stored code: {error}")))?;
        Ok(Self { code, version })
    }
}
