//! API keys, which a user gives to programs.

use garde::Validate;
use hatch_credentials::token::TokenKind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::store;
use crate::{
    error::{Error, Resource},
    http::{RequestContext, body, page},
    identity::{Scope, Scopes, token},
    models::KeyLimits,
    platform::{
        clock::{DAY_MS, now_ms},
        response::Response,
    },
};

pub(super) const NOT_FOUND: Error = Error::NotFound(Resource::Key);

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewKey {
    /// A name that says what the key is for.
    #[garde(length(chars, min = 1, max = 100))]
    name: String,
    /// The key's permissions; without them, those to build and run an app.
    #[serde(default)]
    #[garde(skip)]
    #[cfg_attr(test, schemars(length(min = 1)))]
    scopes: Option<Scopes>,
    /// The key expires after this many days; without it, never.
    #[serde(default, deserialize_with = "body::optional_integer")]
    #[garde(inner(range(min = 1, max = 3650)))]
    #[cfg_attr(test, schemars(range(min = 1, max = 3650)))]
    expires_in_days: Option<i64>,
    /// The gateway's limits of a key with the scope `gateway`; without them it is
    /// unlimited.
    #[serde(default)]
    #[garde(inner(custom(KeyLimits::check)))]
    gateway: Option<KeyLimits>,
}

impl NewKey {
    pub(super) fn scopes(&self) -> Result<Scopes, Error> {
        match self.scopes {
            None => Ok(Scopes::of_a_program()),
            Some(scopes) if scopes.is_empty() => {
                Err(Error::invalid("/scopes", "must name at least one scope"))
            }
            Some(scopes) => Ok(scopes),
        }
    }
}

/// `POST /auth/keys`: the only response that ever shows the key.
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user()?;
    let new: NewKey = body::json(&context).await?;
    let scopes = new.scopes()?;
    if !user.scopes.covers(scopes) {
        return Err(scopes_exceed_credential());
    }
    // Otherwise a key with a budget could make one without.
    if scopes.contains(Scope::Gateway) && user.gateway.is_some() {
        return Err(scopes_exceed_credential());
    }
    let gateway = new.gateway.as_ref().map(|limits| json!(limits).to_string());
    let token = token::fresh(TokenKind::ApiKey)?;
    let (id, now) = (context.new_id("key")?, now_ms());
    let key = store::NewKey {
        id: &id,
        user: &user.id,
        name: &new.name,
        hash: &token.hash(),
        hint: &token.hint(),
        scopes: &json!(scopes).to_string(),
        gateway: gateway.as_deref(),
        parent: user.credential.id(),
        expires_at: new.expires_in_days.map(|days| now + days * DAY_MS),
    };
    let [created, _, present] = context
        .database()?
        .batch([
            store::create_key(&key, now),
            context.audit_change("key.create", &id),
            store::key(&id, &user.id),
        ])
        .await?;
    // The request is repeated with the same Idempotency-Key: the key exists, and
    // only the first response had its text.
    if created.is_empty() {
        context.mark_replay();
    }
    let shown = if created.is_empty() { Value::Null } else { json!(token.reveal()) };
    let mut key: Value = present.first()?.ok_or(NOT_FOUND)?;
    if let Some(key) = key.as_object_mut() {
        key.insert("key".to_owned(), shown);
    }
    Ok(Response::json(201, key.to_string()).with("location", format!("/auth/keys/{id}")).not_kept())
}

pub(super) fn scopes_exceed_credential() -> Error {
    Error::InsufficientScope(
        "A key cannot do more than the credential that makes it; ask for fewer scopes".into(),
    )
}

/// `GET /auth/keys`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let page = page::of(&context)?;
    let answer = context.database()?.query_json(store::keys(user, &page)).await?;
    Ok(page::response(answer.as_deref(), &context))
}

/// `GET /auth/keys/:id`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let key = store::unrevoked_key(context.param("id"), context.caller.user_id()?);
    Ok(Response::json(200, context.database()?.query_json(key).await?.ok_or(NOT_FOUND)?))
}

/// `DELETE /auth/keys/:id`: revokes the key at once. Afterwards only the list
/// shows it.
pub(crate) async fn revoke(context: RequestContext) -> Result<Response, Error> {
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    let revoke = store::revoke_key(id, user, now_ms());
    let batch = [revoke, context.audit_change("key.revoke", id), store::key(id, user)];
    let [_, _, present] = context.database()?.batch(batch).await?;
    if present.is_empty() { Err(NOT_FOUND) } else { Ok(Response::empty(204)) }
}
