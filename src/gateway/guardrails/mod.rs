//! `GET` and `PUT /v1/guardrails`: the rules for all requests of a user. guards.rs applies them, with those of a key, to
//! what goes to a model (input.rs) and to its answer (output.rs); moderation.rs asks a model to judge both.

mod guards;
mod input;
pub(super) mod moderation;
mod output;
#[cfg(test)]
mod tests;
mod texts;

pub(super) use guards::Guards;
pub(super) use input::Checked;

use hatch_guardrails::{Guard, Policy, Rules};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::store;
use crate::{
    error::Error,
    http::{RequestContext, body},
    platform::{clock::now_ms, response::Response},
};

/// `GET /v1/guardrails`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let Some(stored) = context.database()?.query(store::policy(user)).await?.first::<Value>()? else {
        return answer(&Policy::default());
    };
    match Policy::deserialize(&stored) {
        Ok(policy) => answer(&policy),
        // Its owner needs to see what another version has stored in order to replace it.
        Err(_) => Ok(Response::json(200, stored.to_string())),
    }
}

/// `PUT /v1/guardrails`: replaces the user's rules.
pub(crate) async fn put(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user()?;
    // Otherwise a limited key could lift the rules that its user has set.
    if user.gateway.is_some() {
        return Err(Error::InsufficientScope("A key with limits cannot change guardrails".into()));
    }
    let policy = read(body::object(&context).await?)?;
    let json = serde_json::to_string(&policy).map_err(|error| Error::Internal(error.to_string()))?;
    let put = store::put_policy(&user.id, &json, now_ms());
    context.database()?.batch([put, context.audit("guardrails.put", &user.id)]).await?;
    answer(&policy)
}

/// Reads a policy.
///
/// # Errors
/// 400 for a value that is not a policy, or for rules that are not supported.
pub(super) fn read(object: Map<String, Value>) -> Result<Policy, Error> {
    let mut policy = Policy::default();
    for (name, value) in object {
        match name.as_str() {
            "input" => policy.input = rules("/input", &value)?,
            "output" => policy.output = rules("/output", &value)?,
            other => {
                return Err(Error::invalid(
                    format!("/{other}"),
                    "is not known; there are `input` and `output`",
                ));
            }
        }
    }
    Ok(policy)
}

fn rules(pointer: &str, value: &Value) -> Result<Rules, Error> {
    let rules: Rules = body::value(value, pointer)?;
    Guard::new(&rules).map_err(|error| Error::invalid(pointer, error.to_string()))?;
    Ok(rules)
}

fn answer(policy: &Policy) -> Result<Response, Error> {
    let text = serde_json::to_string(policy).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(Response::json(200, text))
}
