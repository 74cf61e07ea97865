//! A turn: a question, the answer to come, and the code that it changes.

use hatch_code::CodeMap;
use serde::Deserialize;

use crate::{error::Error, identity::quotas::Taken, store::Rows};

/// A question and the answer to come.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    /// Of the answer's row.
    pub(super) id: String,
    pub(super) question_id: String,
    pub(super) project_id: String,
    pub(super) user: String,
    pub(super) model: String,
    /// Why another model answers than the one that was asked for.
    pub(super) note: Option<String>,
    /// About as many tokens as the model is asked with.
    pub(super) prompt_tokens: u64,
    /// What was taken of the user's messages of today for it.
    pub(super) counted: Option<Taken>,
    /// What was set aside of their budget.
    pub(super) reserved: Option<Taken>,
}

impl Turn {
    /// The same question, which the row `id` answers already: nothing more is
    /// taken for it.
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
struct Project {
    code: Option<String>,
    version: i64,
}

impl Base {
    /// Reads a row of `{"code", "version"}`; no row is no code.
    pub(super) fn of(project: &Rows) -> Result<Self, Error> {
        let project: Option<Project> = project.first()?;
        let (json, version) = project.map_or((None, 0), |project| (project.code, project.version));
        let code = CodeMap::stored(json.as_deref().unwrap_or("{}"))
            .map_err(|error| Error::Internal(format!("stored code: {error}")))?;
        Ok(Self { code, version })
    }
}
