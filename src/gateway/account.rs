//! What each call needs to know of its user: the guardrails, and the keys of
//! providers that they have stored.

use hatch_guardrails::Policy;
use serde::Deserialize;

use super::store;
use crate::{
    error::Error,
    http::RequestContext,
    models::{Keys, SealedKey},
};

/// A user's guardrails and stored keys.
#[derive(Deserialize)]
pub(super) struct Account {
    pub(super) policy: Option<Policy>,
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
        account.ok_or_else(|| Error::Internal("a caller without an account".to_owned()))
    }

    /// The caller's own keys of providers: that of the request, or those that are stored.
    pub(super) fn keys(self, context: &RequestContext) -> Result<Keys, Error> {
        let for_request = context.request.header("x-provider-key").filter(|key| !key.is_empty());
        Ok(Keys::new(for_request.as_deref(), self.keys, context.caller.user_id()?, &context.settings))
    }
}
