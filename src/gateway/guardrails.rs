//! `GET` and `PUT /v1/guardrails`: what holds for all that a user asks.

use hatch_dialects::Error as Said;
use hatch_guardrails::{Guard, Policy};

use super::store;
use crate::{
    error::Error,
    http::RequestContext,
    platform::{clock::now_ms, response::Response},
};

/// `GET /v1/guardrails`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let policy: Option<Policy> = context.database()?.query(store::policy(user)).await?.first()?;
    answer(&policy.unwrap_or_default())
}

/// `PUT /v1/guardrails`: in the place of those before.
pub(crate) async fn put(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user()?;
    // A key could free itself of what its user has set.
    if user.gateway.is_some() {
        return Err(Error::InsufficientScope("A key with limits cannot change guardrails".into()));
    }
    let bytes = context.body().await?;
    let policy = read(&bytes)?;
    let json = serde_json::to_string(&policy).map_err(|error| Error::Internal(error.to_string()))?;
    let put = store::put_policy(&user.id, &json, now_ms());
    context.database()?.batch([put, context.audit("guardrails.put", &user.id)]).await?;
    answer(&policy)
}

/// # Errors
/// 400 for what is no policy, or one that cannot be followed here.
pub(super) fn read(bytes: &[u8]) -> Result<Policy, Error> {
    let refused = |words: String| Error::from(Said::new(hatch_dialects::Class::Invalid, words));
    let policy: Policy = serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
    for rules in [&policy.input, &policy.output] {
        Guard::new(rules).map_err(|error| refused(error.to_string()))?;
        if rules.moderation.is_some() {
            return Err(refused(
                "moderation: no guardrail of this service asks a moderation model yet".to_owned(),
            ));
        }
    }
    Ok(policy)
}

fn answer(policy: &Policy) -> Result<Response, Error> {
    let text = serde_json::to_string(policy).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(Response::json(200, text))
}
