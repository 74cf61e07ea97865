//! Routes about staff and for the operator: whether the caller is staff, events
//! of clients, and the message limit of a user.
//!
//! Handlers: [`is_employee`], [`is_privileged`], [`track`], [`show_user`],
//! [`set_user`].

use garde::Validate;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{github, limits, store};
use crate::{
    error::{Error, Resource},
    http::{RequestContext, body},
    identity::store as users,
    platform::{clock::now_ms, log, response::Response},
    redact,
    store::Database,
};

/// `GET /auth/is-neon-employee`
pub(crate) async fn is_employee(context: RequestContext) -> Result<Response, Error> {
    let is_staff = is_staff(&context).await?;
    Ok(Response::json(200, json!({ "isNeonEmployee": is_staff }).to_string()))
}

/// `GET /auth/is-privileged-user`
pub(crate) async fn is_privileged(context: RequestContext) -> Result<Response, Error> {
    let is_staff = is_staff(&context).await?;
    Ok(Response::json(200, json!({ "isPrivilegedUser": is_staff }).to_string()))
}

/// Whether the caller is staff, by a verified address or as a member of the organisation.
async fn is_staff(context: &RequestContext) -> Result<bool, Error> {
    Ok(context.caller.user()?.is_staff || github::is_member_of_staff(context).await?)
}

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientEvent {
    /// `track` or `identify`.
    #[garde(length(chars, min = 1, max = 64))]
    event_type: String,
    #[serde(default)]
    #[garde(inner(length(chars, max = 128)))]
    #[cfg_attr(test, schemars(length(max = 128)))]
    event_name: Option<String>,
    /// Anything that the client adds. It is not stored.
    #[serde(default)]
    #[garde(skip)]
    #[expect(dead_code, reason = "clients of the original send it")]
    properties: Option<Map<String, Value>>,
}

/// `POST /analytics/event`: writes a line to the log and stores nothing.
pub(crate) async fn track(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let event: ClientEvent = body::json(&context).await?;
    let name = event.event_name.as_deref().map(redact::text);
    log::line(&json!({
        "level": "info", "event": "apps.client", "caller": user, "type": redact::text(&event.event_type), "name": name,
        "request_id": context.request_id,
    }));
    Ok(Response::json(200, json!({ "status": "ok" }).to_string()))
}

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct UserLimits {
    /// Messages a day, instead of the default.
    #[serde(deserialize_with = "body::integer")]
    #[garde(range(min = 1, max = 1_000))]
    daily_message_limit: i64,
}

/// `GET /admin/users/:id`
pub(crate) async fn show_user(context: RequestContext) -> Result<Response, Error> {
    let database = context.database()?;
    user(context.param("id"), &context, &database).await
}

/// `PUT /admin/users/:id`
pub(crate) async fn set_user(context: RequestContext) -> Result<Response, Error> {
    let (id, database) = (context.param("id"), context.database()?);
    let limits: UserLimits = body::json(&context).await?;
    let [changed, _] = database
        .batch([
            store::limits::set_limit(id, limits.daily_message_limit, now_ms()),
            context.audit_change("user.set-limit", id),
        ])
        .await?;
    if changed.is_empty() {
        return Err(USER_NOT_FOUND);
    }
    user(id, &context, &database).await
}

pub(super) const USER_NOT_FOUND: Error = Error::NotFound(Resource::User);

async fn user(id: &str, context: &RequestContext, database: &Database) -> Result<Response, Error> {
    let known: Option<users::User> = database.query(users::user(id)).await?.first()?;
    let known = known.ok_or(USER_NOT_FOUND)?;
    let usage = limits::usage(id, &context.settings, database).await?;
    let apps: Option<i64> = database.query(store::apps::count_of(id)).await?.first()?;
    let body = json!({
        "id": known.id, "email": known.email, "name": known.name, "dailyMessageLimit": usage.limit,
        "currentUsage": usage.used, "apps": apps.unwrap_or_default(),
    });
    Ok(Response::json(200, body.to_string()))
}
