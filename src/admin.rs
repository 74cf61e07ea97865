//! The operator's module: jobs, dead letters and the audit log.

#[cfg(test)]
pub(crate) mod openapi;

use serde::Serialize;
use serde_json::json;

use crate::{
    audit,
    error::Error,
    http::{RequestContext, page},
    jobs::{self, JobContext},
    platform::response::Response,
};

/// `GET /admin/jobs`
pub(crate) async fn jobs(context: RequestContext) -> Result<Response, Error> {
    let page = page::of(&context)?;
    let (key, id) = page.bound();
    let answer = context.database()?.query_json(jobs::store::list_jobs(key, id, page.limit)).await?;
    Ok(page::response(answer.as_deref(), &context))
}

/// `GET /admin/dead-letters`
pub(crate) async fn dead_letters(context: RequestContext) -> Result<Response, Error> {
    let page = page::of(&context)?;
    let (key, id) = page.bound();
    let answer = context.database()?.query_json(jobs::store::list_dead_letters(key, id, page.limit)).await?;
    Ok(page::response(answer.as_deref(), &context))
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Redriven {
    #[cfg_attr(test, schemars(with = "crate::openapi::Id"))]
    job_id: String,
    #[cfg_attr(test, schemars(extend("const" = "queued")))]
    state: &'static str,
}

/// `POST /admin/dead-letters/:id/redrive`: begins the job of a dead letter again.
pub(crate) async fn redrive(context: RequestContext) -> Result<Response, Error> {
    let job_context = JobContext::open(&context.env)?;
    let id = context.param("id");
    let job_id = jobs::dead_letters::redrive(&job_context, context.modules.jobs, id).await?;
    job_context.database.query(context.audit("dead-letter.redrive", id)).await?;
    Ok(Response::json(202, json!(Redriven { job_id, state: "queued" }).to_string()))
}

/// `GET /admin/audit`
pub(crate) async fn audit_log(context: RequestContext) -> Result<Response, Error> {
    let page = page::of(&context)?;
    let answer = context.database()?.query_json(audit::list(&page)).await?;
    Ok(page::response(answer.as_deref(), &context))
}

/// `GET /admin/audit/verify`: checks that the audit log was not rewritten.
pub(crate) async fn verify_audit_log(context: RequestContext) -> Result<Response, Error> {
    let verdict = audit::verify(&context.database()?).await?;
    Ok(Response::json(200, json!(verdict).to_string()))
}
