//! Lists, shows and deletes apps.
//!
//! Handlers: [`list`], [`show`], [`history`], [`delete`].

use serde_json::json;

use super::{
    ids::{APP_NOT_FOUND, app_param},
    limits, store,
};
use crate::{
    clouds::{self, removal::Removal, store::App},
    error::{Error, Resource},
    http::{RequestContext, page},
    platform::response::Response,
    store::projects,
};

const DEFAULT_LIMIT: u32 = 10;
const MAX_LIMIT: u32 = 100;
/// How many messages the original's clients read at once.
const HISTORY: u32 = 1_000;

fn number(context: &RequestContext, name: &str, default: u32) -> Result<u32, Error> {
    let Some(value) = context.query(name) else { return Ok(default) };
    let number = value.parse().ok().filter(|number| (1..=1_000_000).contains(number));
    number.ok_or_else(|| Error::invalid(name, "must be a whole number from 1 to 1000000"))
}

/// The original's error for a `limit` that is too large.
pub(super) fn limit_exceeded() -> Error {
    Error::Refused { code: "limit_exceeded", detail: format!("Limit cannot exceed {MAX_LIMIT}") }
}

/// `GET /apps`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let (user, database) = (context.caller.user_id()?, context.database()?);
    let (page, limit) = (number(&context, "page", 1)?, number(&context, "limit", DEFAULT_LIMIT)?);
    if limit > MAX_LIMIT {
        return Err(limit_exceeded());
    }
    let list = database.query_json(store::apps::list(user, page, limit)).await?;
    let list = list.ok_or_else(|| Error::Internal("no list of apps".to_owned()))?;
    let usage = limits::usage(user, &context.settings, &database).await?;
    Ok(usage.add_headers(Response::json(200, list)))
}

/// `GET /apps/:id`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let (user, id) = (context.caller.user_id()?, app_param(&context)?);
    let app = context.database()?.query_json(store::apps::show(&id, user)).await?.ok_or(APP_NOT_FOUND)?;
    Ok(Response::json(200, app))
}

/// `GET /apps/:id/history`
pub(crate) async fn history(context: RequestContext) -> Result<Response, Error> {
    let (user, id, database) = (context.caller.user_id()?, app_param(&context)?, context.database()?);
    let mut page = page::with_default(&context, HISTORY)?;
    let answer = page::fetch(&database, &mut page, |page| store::events::history(&id, user, page)).await?;
    if page::is_empty(answer.as_deref()) && page.after.is_none() {
        return Err(NO_HISTORY);
    }
    Ok(page::response(answer.as_deref(), &context))
}

pub(super) const NO_HISTORY: Error = Error::NotFound(Resource::PromptHistory);

/// `DELETE /apps/:id`: deletes the app with its project, deployments and
/// conversation. Its repository stays.
pub(crate) async fn delete(context: RequestContext) -> Result<Response, Error> {
    clouds::credentials::check_headers(&context.request)?;
    let (user, id, database) = (context.caller.user_id()?, app_param(&context)?, context.database()?);
    let [present, _, deleted, _, apps] = database
        .batch([
            store::apps::show(&id, user),
            projects::delete_jobs(&id, user, None, 0),
            projects::delete(&id, user, None, 0),
            context.audit_change("app.delete", &id),
            clouds::store::apps_of_project(&id, user),
        ])
        .await?;
    if present.is_empty() {
        return Err(APP_NOT_FOUND);
    }
    if deleted.is_empty() {
        let removal = Removal {
            id: &id,
            user,
            revision: None,
            is_forced: context.query("force").as_deref() == Some("true"),
            audit: context.audit_change("app.delete", &id),
            request: &context.request,
            trace_id: &context.trace_id,
            settings: &context.settings,
        };
        let plan = removal.run(apps.read::<App>()?, &database).await?;
        plan.send(&context.env, &context.background);
    }
    let body = json!({ "message": "App deleted", "appId": id });
    Ok(Response::json(200, body.to_string()))
}
