//! A turn: a question, its answer, and the code that the answer changes.

use hatch_code::CodeMap;
use hatch_wire::anthropic::Message;
use serde::Deserialize;

use super::settings::ChatFormat;
use crate::{
    error::Error,
    identity::quotas::Taken,
    models::{self, Model, Reservation},
    store::Rows,
};

/// A question and its answer.
#[derive(Debug, Clone)]
pub(super) struct ChatTurn {
    /// The id of the answer's row.
    pub(super) id: String,
    pub(super) question_id: String,
    pub(super) project_id: String,
    pub(super) user: String,
    pub(super) model: String,
    /// The form in which its client gets the answer.
    pub(super) format: ChatFormat,
    /// Says that another model answers than the one asked for.
    pub(super) note: Option<String>,
    /// About how many tokens the prompt has.
    pub(super) prompt_tokens: u64,
    /// The message, counted against the user's daily limit.
    pub(super) counted: Option<Taken>,
    /// What was reserved of budgets for the answer.
    pub(super) reserved: Option<Reservation>,
    /// What the answer costs. None before a model has begun to answer, and of the sandbox model.
    pub(super) pricing: Option<Pricing>,
}

/// The model that answers, and who pays it.
#[derive(Debug, Clone)]
pub(super) struct Pricing {
    /// Its name in the row of the answer.
    pub(super) name: String,
    pub(super) model: Model,
    /// The user's own key pays.
    pub(super) is_own_key: bool,
}

impl ChatTurn {
    /// The name of the model that has answered.
    pub(super) fn answered_as<'a>(&'a self, message: &'a Message) -> &'a str {
        let named = self.pricing.as_ref().map_or(&self.model, |pricing| &pricing.name);
        message.model.as_deref().filter(|model| !model.is_empty()).unwrap_or(named)
    }

    /// What has arrived of the answer costs so much, in micro-dollars. None if the model's prices are not known.
    pub(super) fn cost(&self, message: &Message) -> Option<i64> {
        let Pricing { model, is_own_key, .. } = self.pricing.as_ref()?;
        // An error in place of an answer costs nothing.
        if *is_own_key || (message.error.is_some() && message.is_empty()) {
            return Some(0);
        }
        model.cost_micro_usd(&models::counted(message, self.prompt_tokens))
    }

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
