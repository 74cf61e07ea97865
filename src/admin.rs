//! The operator's room: the job engine from outside, and the audit log.

#[cfg(test)]
pub(crate) mod contract;

use serde_json::json;

use crate::{
    audit,
    error::Error,
    http::{Exchange, page},
    jobs::{self, Workshop},
    platform::response::Response,
};

/// `GET /admin/jobs`
pub(crate) async fn jobs(exchange: Exchange) -> Result<Response, Error> {
    let page = page::of(&exchange)?;
    let (key, id) = page.bound();
    let answer = exchange.database()?.query_json(jobs::store::list_jobs(key, id, page.limit)).await?;
    Ok(page::response(answer.as_deref(), &exchange))
}

/// `GET /admin/dead-letters`
pub(crate) async fn dead_letters(exchange: Exchange) -> Result<Response, Error> {
    let page = page::of(&exchange)?;
    let (key, id) = page.bound();
    let answer = exchange.database()?.query_json(jobs::store::list_dead_letters(key, id, page.limit)).await?;
    Ok(page::response(answer.as_deref(), &exchange))
}

/// `POST /admin/dead-letters/:id/redrive`: begins the letter's job again.
pub(crate) async fn redrive(exchange: Exchange) -> Result<Response, Error> {
    let workshop = Workshop::open(&exchange.env)?;
    let id = exchange.param("id");
    let job_id = jobs::dead_letters::redrive(&workshop, exchange.modules.jobs, id).await?;
    workshop.database.query(exchange.audit("dead-letter.redrive", id)).await?;
    Ok(Response::json(202, json!({ "jobId": job_id, "state": "queued" }).to_string()))
}

/// `GET /admin/audit`
pub(crate) async fn audit_log(exchange: Exchange) -> Result<Response, Error> {
    let page = page::of(&exchange)?;
    let answer = exchange.database()?.query_json(audit::list(&page)).await?;
    Ok(page::response(answer.as_deref(), &exchange))
}

/// `GET /admin/audit/verify`: whether nobody has rewritten the audit log.
pub(crate) async fn verify_audit_log(exchange: Exchange) -> Result<Response, Error> {
    let verdict = audit::verify(&exchange.database()?).await?;
    let body = json!({
        "intact": verdict.broken_at.is_none(),
        "entries": verdict.entries,
        "head": verdict.head,
        "brokenAt": verdict.broken_at,
    });
    Ok(Response::json(200, body.to_string()))
}
