//! Projects: what a user builds, with every version of its code.
//!
//! Handlers: `create`, `list`, `show`, `update`, `delete`, `versions`, `version`, `rollback`.

#[cfg(test)]
pub(crate) mod openapi;
mod store;
#[cfg(test)]
pub(crate) use store::ExportedVersion;
pub(crate) use store::OWNED;

use garde::Validate;
use hatch_code::CodeMap;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::{
    clouds::{self, removal::Removal, store::App},
    error::{Error, Resource},
    http::{RequestContext, body, conditional, page},
    platform::{clock::now_ms, response::Response},
    store::{Rows, page::Page, projects},
};

const NOT_FOUND: Error = Error::NotFound(Resource::Project);

// The fields that serde does not skip are written by store::projects.
#[derive(Debug, Deserialize, Serialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct NewProject {
    #[garde(length(chars, min = 1, max = 100), custom(body::not_blank))]
    #[cfg_attr(test, schemars(regex(pattern = crate::openapi::NOT_BLANK)))]
    name: String,
    #[serde(default)]
    #[garde(inner(length(chars, max = 2000)))]
    #[cfg_attr(test, schemars(length(max = 2000)))]
    description: Option<String>,
    /// The initial code: the map of path to content, as a JSON object or as one in a string.
    #[serde(default, skip_serializing)]
    #[garde(skip)]
    #[cfg_attr(test, schemars(with = "Option<crate::openapi::Code>"))]
    code: Option<Value>,
}

// As NewProject; an omitted field stays as it is.
#[derive(Debug, Deserialize, Serialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct ProjectChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(chars, min = 1, max = 100), custom(body::not_blank)))]
    #[cfg_attr(test, schemars(length(min = 1, max = 100), regex(pattern = crate::openapi::NOT_BLANK)))]
    name: Option<String>,
    /// `null` removes the description.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[garde(inner(inner(length(chars, max = 2000))))]
    #[cfg_attr(test, schemars(length(max = 2000)))]
    description: Option<Option<String>>,
    /// The map of path to content: a JSON object, or one in a string, as
    /// projects show it.
    #[serde(default, skip_serializing)]
    #[garde(skip)]
    #[cfg_attr(test, schemars(with = "Option<crate::openapi::Code>"))]
    code: Option<Value>,
}

#[derive(Debug, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Rollback {
    #[serde(deserialize_with = "body::integer")]
    #[garde(range(min = 1, max = 9_007_199_254_740_991_i64))]
    version: i64,
}

fn read_code(code: Option<&Value>) -> Result<Option<CodeMap>, Error> {
    code.map(|code| body::code(code, "/code")).transpose()
}

/// Distinguishes a field that is `null` from a missing one.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// `POST /api/projects`
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let new: NewProject = body::json(&context).await?;
    let code = read_code(new.code.as_ref())?.map(|code| code.to_json());
    let new = NewProject { name: new.name.trim().to_owned(), ..new };
    let (database, id) = (context.database()?, context.new_id("project")?);
    if context.is_again() && !database.query(projects::code(&id, user)).await?.is_empty() {
        context.mark_replay();
    }
    let create = store::create(&id, user, &json!(new), code.as_deref(), now_ms());
    let project = match &code {
        None => database.query(create).await?,
        Some(_) => {
            let [project, _] =
                database.batch([create, projects::record_version(&id, user, "create", None)]).await?;
            project
        }
    };
    Ok(to_response(201, project)?.with("location", format!("/api/projects/{id}")))
}

/// `GET /api/projects`
pub(crate) async fn list(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let list = |page: &Page| store::list(user, page);
    let answer = page::fetch(&context.database()?, &mut page::of(&context)?, list).await?;
    Ok(page::response(answer.as_deref(), &context))
}

/// `GET /api/projects/:id`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let show = store::show(context.param("id"), context.caller.user_id()?);
    let response = to_response(200, context.database()?.query(show).await?)?;
    let etag = response.headers.iter().find(|(name, _)| *name == "etag").map(|(_, etag)| etag.clone());
    let unchanged =
        etag.filter(|tag| conditional::matches_any(context.request.header("if-none-match").as_deref(), tag));
    match unchanged {
        Some(etag) => Ok(Response::empty(304).with("etag", etag)),
        None => Ok(response),
    }
}

/// `PATCH /api/projects/:id`
pub(crate) async fn update(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let revision = conditional::wanted_revision(context.request.header("if-match").as_deref());
    let change: ProjectChange = body::json(&context).await?;
    let code = read_code(change.code.as_ref())?;

    let change = ProjectChange { name: change.name.map(|name| name.trim().to_owned()), ..change };
    let change = store::Change { set: json!(change), code: code.map(|code| code.to_json()), revision };
    let id = context.param("id");
    let [updated, _, present] = context
        .database()?
        .batch([
            store::update(id, user, change, now_ms()),
            projects::record_version(id, user, "update", None),
            store::show(id, user),
        ])
        .await?;
    if updated.is_empty() && !present.is_empty() {
        return Err(Error::PreconditionFailed);
    }
    to_response(200, updated)
}

/// `DELETE /api/projects/:id`: deletes also its versions, chat and deployments,
/// and takes its live apps down.
pub(crate) async fn delete(context: RequestContext) -> Result<Response, Error> {
    clouds::credentials::check_headers(&context.request)?;
    let user = context.caller.user_id()?;
    let revision = conditional::wanted_revision(context.request.header("if-match").as_deref());
    let id = context.param("id");
    let is_forced = match context.query("force").as_deref() {
        Some("true") => true,
        None | Some("false") => false,
        Some(_) => return Err(Error::invalid("force", "must be `true` or `false`")),
    };
    // This comes first, because a project that is deleted below has none afterwards either.
    let [unbuilt_jobs, unbuilt] = store::delete_unbuilt(id, user);
    let [_, unbuilt, present, _, deleted, _, apps] = context
        .database()?
        .batch([
            unbuilt_jobs,
            unbuilt,
            store::show(id, user),
            projects::delete_jobs(id, user, revision, 0),
            projects::delete(id, user, revision, 0),
            context.audit_change("project.delete", id),
            clouds::store::apps_of_project(id, user),
        ])
        .await?;
    let apps: Vec<App> = apps.read()?;
    match (present.is_empty(), deleted.is_empty(), apps.is_empty()) {
        (true, _, _) if !unbuilt.is_empty() => Ok(Response::empty(204)),
        (true, _, _) => Err(NOT_FOUND),
        (false, true, false) => {
            let removal = Removal {
                id,
                user,
                revision,
                is_forced,
                audit: context.audit_change("project.delete", id),
                request: &context.request,
                trace_id: &context.trace_id,
                settings: &context.settings,
            };
            let plan = removal.run(apps, &context.database()?).await?;
            plan.send(&context.env, &context.background);
            Ok(Response::empty(204))
        }
        (false, true, true) => Err(Error::PreconditionFailed),
        (false, false, _) => Ok(Response::empty(204)),
    }
}

/// `GET /api/projects/:id/versions`
pub(crate) async fn versions(context: RequestContext) -> Result<Response, Error> {
    let page = page::of(&context)?;
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    let [present, list] =
        context.database()?.batch([projects::code(id, user), store::versions(id, user, &page)]).await?;
    if present.is_empty() {
        return Err(NOT_FOUND);
    }
    Ok(page::response(list.into_json().as_deref(), &context))
}

/// `GET /api/projects/:id/versions/:version`: a version with its code.
pub(crate) async fn version(context: RequestContext) -> Result<Response, Error> {
    let (id, user, database) = (context.param("id"), context.caller.user_id()?, context.database()?);
    let wanted = context.param("version").parse().ok();
    let found = match wanted {
        Some(version) => database.query_json(store::version(id, user, version)).await?,
        None => None,
    };
    match found {
        Some(version) => Ok(Response::json(200, version)),
        None if database.query(store::show(id, user)).await?.is_empty() => Err(NOT_FOUND),
        None => Err(Error::NotFound(Resource::Version)),
    }
}

/// `POST /api/projects/:id/rollback`
pub(crate) async fn rollback(context: RequestContext) -> Result<Response, Error> {
    let user = context.caller.user_id()?;
    let wanted: Rollback = body::json(&context).await?;
    let (id, database) = (context.param("id"), context.database()?);
    if context.is_again() {
        let done = database.query(store::rolled_back(id, user, wanted.version)).await?;
        if !done.is_empty() {
            context.mark_replay();
            return to_response(200, done);
        }
    }
    let [present, rolled_back, _] = database
        .batch([
            projects::code(id, user),
            store::roll_back(id, user, wanted.version, now_ms()),
            projects::record_version(id, user, "rollback", None),
        ])
        .await?;
    match (present.is_empty(), rolled_back.is_empty()) {
        (true, _) => Err(NOT_FOUND),
        (false, true) => Err(Error::NotFound(Resource::Version)),
        (false, false) => to_response(200, rolled_back),
    }
}

/// Writes the response for a project row, `{"revision":…,"project":{…}}`: the
/// project is the body, and the revision its ETag.
fn to_response(status: u16, rows: Rows) -> Result<Response, Error> {
    let row = rows.into_json().ok_or(NOT_FOUND)?;
    let (revision, project) = row.split_once('\n').unwrap_or(("0", &row));
    let etag = conditional::etag(revision.parse().unwrap_or_default());
    Ok(Response::json(status, project.to_owned()).with("etag", etag))
}
