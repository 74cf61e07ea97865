//! Discovery: the gallery of live apps, which anyone may see and remix.
//!
//! Handlers: `list`, `show`, `remix`.

#[cfg(test)]
pub(crate) mod openapi;
mod store;

use serde_json::json;

use crate::{
    error::{Error, Resource},
    http::{RequestContext, page},
    platform::{clock::now_ms, response::Response},
    store::projects,
};

const NOT_FOUND: Error = Error::NotFound(Resource::App);
const CACHE: &str = "public, max-age=30, stale-while-revalidate=300, stale-if-error=86400";
/// The longest search text, in characters.
const LONGEST_SEARCH: usize = 200;

/// `GET /api/discovery`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let page = page::of(&context)?;
    // SQLite's lower() handles ASCII only.
    let search = context.query("q").unwrap_or_default().trim().to_ascii_lowercase();
    if search.chars().count() > LONGEST_SEARCH || search.contains('\0') {
        return Err(Error::invalid("q", format!("must be text of at most {LONGEST_SEARCH} characters")));
    }
    let list = match context.query("sort").as_deref() {
        None | Some("recent") => store::recent(&search, &page),
        Some("popular") => store::popular(&search, &page),
        Some(_) => return Err(Error::invalid("sort", "must be `recent` or `popular`")),
    };
    let answer = context.database()?.query_json(list).await?;
    Ok(page::response(answer.as_deref(), &context).with("cache-control", CACHE))
}

/// `GET /api/discovery/:id`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let app = context.database()?.query_json(store::show(context.param("id"))).await?;
    Ok(Response::json(200, app.ok_or(NOT_FOUND)?).with("cache-control", CACHE))
}

/// `POST /api/discovery/:id/remix`: makes a new project of the caller's from
/// the live app's code.
pub(crate) async fn remix(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let database = context.database()?;
    let app =
        database.query(store::remix_source(context.param("id"))).await?.first::<store::RemixSource>()?;
    let app = app.ok_or(NOT_FOUND)?;
    let id = context.new_id("project")?;
    if context.is_again() && !database.query(projects::code(&id, user)).await?.is_empty() {
        context.mark_replay();
    }
    let set = json!({ "name": app.name, "description": app.description });
    let create = projects::create(&id, user, &set, Some(&app.code), now_ms());
    let [project, _] = database.batch(create).await?;
    let project = project.into_json().ok_or_else(|| Error::Internal("a remix left no project".to_owned()))?;
    Ok(Response::json(201, project).with("location", format!("/api/projects/{id}")))
}
