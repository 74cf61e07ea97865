//! The operator's room: the job engine from outside.

#[cfg(test)]
pub(crate) mod contract;

use serde_json::json;

use crate::{
    JOBS,
    error::Error,
    http::{Exchange, page},
    jobs::{self, Workshop},
    platform::response::Response,
};

/// `GET /admin/jobs`
pub(crate) async fn jobs(exchange: Exchange) -> Result<Response, Error> {
    let page = page::Page::of(&exchange)?;
    let (key, id) = page.bound();
    let answer = exchange.database()?.query_json(jobs::store::list_jobs(key, id, page.limit)).await?;
    Ok(page::response(answer.as_deref(), &exchange))
}

/// `GET /admin/dead-letters`
pub(crate) async fn dead_letters(exchange: Exchange) -> Result<Response, Error> {
    let page = page::Page::of(&exchange)?;
    let (key, id) = page.bound();
    let answer = exchange.database()?.query_json(jobs::store::list_dead_letters(key, id, page.limit)).await?;
    Ok(page::response(answer.as_deref(), &exchange))
}

/// `POST /admin/dead-letters/:id/redrive`: begins the letter's job again.
pub(crate) async fn redrive(exchange: Exchange) -> Result<Response, Error> {
    let workshop = Workshop::open(&exchange.env)?;
    let job_id = jobs::dead_letters::redrive(&workshop, JOBS, exchange.param("id")).await?;
    Ok(Response::json(202, json!({ "jobId": job_id, "state": "queued" }).to_string()))
}
