//! Stored answers. Those of the Responses API are stored for a day (responses.rs), those of Chat Completions on
//! request (`store: true`, completions.rs): OpenAI's clients see single completions (openai.rs), and the original
//! client whole conversations, whose ids it chooses (conversations.rs). Other users cannot read them, except one that
//! its user shares, by its share id. What is too large for a row is an object (large.rs).

pub(in crate::gateway) mod completions;
pub(crate) mod conversations;
pub(in crate::gateway) mod large;
pub(crate) mod openai;
#[cfg(test)]
pub(in crate::gateway) mod openapi;
pub(crate) mod responses;
pub(in crate::gateway) mod store;

use hatch_dialects::{Reply, Response};

use self::large::Unstored;
use crate::store::{Database, Statement};

/// What to store of an answer besides the record of its call.
#[derive(Debug)]
pub(super) enum Keep {
    Nothing,
    /// An answer of the Responses API.
    Response(responses::Keeper),
    /// An answer of Chat Completions.
    Completion(completions::Keeper),
}

impl Keep {
    pub(super) fn is_wanted(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// What stores a whole answer. An object that is too large for a row is written before.
    pub(super) async fn statements(
        self,
        user: &str,
        answer: Option<&Response>,
        reply: &Reply,
        database: &Database,
    ) -> Result<Vec<Statement>, Unstored> {
        match (self, answer) {
            (Self::Response(keeper), Some(answer)) => keeper.statements(user, answer, reply, database).await,
            (Self::Completion(keeper), Some(answer)) => {
                keeper.statements(user, answer, reply, database).await
            }
            _ => Ok(Vec::new()),
        }
    }
}
