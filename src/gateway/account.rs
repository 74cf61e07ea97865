//! What each call needs to know of its user: the guardrails, and the keys of
//! providers that they have stored.

use hatch_guardrails::Policy;
use serde::Deserialize;
use serde_json::Value;

use super::store;
use crate::{
    error::Error,
    http::RequestContext,
    models::{Keys, SealedKey},
};

/// A user's guardrails and stored keys.
#[derive(Deserialize)]
pub(super) struct Account {
    policy: Option<Value>,
    keys: Vec<SealedKey>,
}

impl Account {
    /// The caller's account, as it was when the request began: it was read together with the API key
    /// or the session. For other credentials this is a query.
    pub(super) async fn of(context: &RequestContext) -> Result<Self, Error> {
        let account = match &context.owner_rows {
            Some(rows) => rows.first()?,
            None => context.database()?.query(store::account(context.caller.user_id()?)).await?.first()?,
        };
        account.ok_or_else(without_account)
    }

    /// The caller's guardrails.
    ///
    /// # Errors
    /// As [`unreadable`]'s.
    pub(super) fn policy(&self) -> Result<Option<Policy>, Error> {
        read(self.policy.as_ref())
    }

    /// The caller's own keys of providers: that of the request, or those that are stored.
    pub(super) fn keys(self, context: &RequestContext) -> Result<Keys, Error> {
        let for_request = context.request.header("x-provider-key").filter(|key| !key.is_empty());
        Ok(Keys::new(for_request.as_deref(), self.keys, context.caller.user_id()?, &context.settings))
    }
}

/// The caller's guardrails alone, for what asks no model.
///
/// # Errors
/// As [`unreadable`]'s.
pub(super) async fn policy(context: &RequestContext) -> Result<Option<Policy>, Error> {
    #[derive(Deserialize)]
    struct OnlyPolicy {
        policy: Option<Value>,
    }
    let stored = match &context.owner_rows {
        Some(rows) => rows.first::<OnlyPolicy>()?.ok_or_else(without_account)?.policy,
        None => context.database()?.query(store::policy(context.caller.user_id()?)).await?.first()?,
    };
    read(stored.as_ref())
}

fn read(stored: Option<&Value>) -> Result<Option<Policy>, Error> {
    stored.map(Policy::deserialize).transpose().map_err(|_| unreadable())
}

fn without_account() -> Error {
    Error::Internal("a caller without an account".to_owned())
}

/// The error of every call whose guardrails were stored by another version and cannot be read now: without
/// them it is not known what a model may get.
pub(super) fn unreadable() -> Error {
    let detail = "The stored guardrails cannot be read any more, so no model is asked; \
                  GET /v1/guardrails shows them, and PUT /v1/guardrails replaces them. \
                  If they are those of an API key, create a new key";
    Error::Refused { code: "guardrails_unreadable", detail: detail.to_owned() }
}
