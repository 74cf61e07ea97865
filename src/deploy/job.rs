//! The job behind a deployment: `build` checks the code and makes it files
//! that can be served, `publish` puts them up.

use std::rc::Rc;

use super::{site, store};
use crate::{
    code::CodeMap,
    error::Error,
    jobs::{self, Job, Kind, Outcome, Workshop},
    platform::clock::now_ms,
    store::Statement,
};

pub(super) const FIRST_STEP: &str = "build";
const PUBLISH: &str = "publish";

pub(crate) const KIND: Kind =
    Kind { name: "deploy", step: |job, workshop| Box::pin(step(job, workshop)), failed, revived };

async fn step(job: Job, workshop: Rc<Workshop>) -> Result<Outcome, Error> {
    match job.step.as_str() {
        FIRST_STEP => build(&job, &workshop).await,
        PUBLISH => publish(&job, &workshop).await,
        other => Err(Error::Internal(format!("deploy has no step {other}"))),
    }
}

async fn build(job: &Job, workshop: &Workshop) -> Result<Outcome, Error> {
    let now = now_ms();
    let begin = [
        store::code(&job.subject_id),
        store::set_status(&job.subject_id, "building", now),
        jobs::store::log(&job.id, "info", "Building", now),
    ];
    let [code, _, _] = workshop.database.batch(begin).await?;
    // The project has been deleted: there is nothing left to do.
    let Some(code) = code.into_json() else { return Ok(Outcome::Done { writes: Vec::new() }) };
    let files = match CodeMap::parse(&code).map_err(|e| e.to_string()).and_then(|code| site::build(&code)) {
        Ok(files) => files,
        Err(reason) => return Ok(Outcome::Failed { reason }),
    };
    let now = now_ms();
    let bytes: usize = files.iter().map(|file| file.content.len()).sum();
    let told = format!("Built {} files, {bytes} bytes", files.len());
    Ok(Outcome::Next {
        step: PUBLISH,
        writes: vec![
            store::set_status(&job.subject_id, "deploying", now),
            jobs::store::log(&job.id, "info", &told, now),
        ],
    })
}

async fn publish(job: &Job, workshop: &Workshop) -> Result<Outcome, Error> {
    let code = workshop.database.query_json(store::code(&job.subject_id)).await?;
    let Some(code) = code else { return Ok(Outcome::Done { writes: Vec::new() }) };
    let files = match CodeMap::parse(&code).map_err(|e| e.to_string()).and_then(|code| site::build(&code)) {
        Ok(files) => files,
        Err(reason) => return Ok(Outcome::Failed { reason }),
    };
    let files = serde_json::to_string(&files).map_err(|e| Error::Internal(e.to_string()))?;
    let now = now_ms();
    let mut writes: Vec<Statement> = store::publish(&job.subject_id, &files, now).into();
    writes.push(store::log_live(&job.id, &job.subject_id, now));
    Ok(Outcome::Done { writes })
}

fn failed(job: &Job, reason: &str, now: i64) -> Vec<Statement> {
    vec![store::set_status(&job.subject_id, "failed", now), jobs::store::log(&job.id, "error", reason, now)]
}

fn revived(job: &Job, now: i64) -> (&'static str, Vec<Statement>) {
    let told = "Trying again";
    (
        FIRST_STEP,
        vec![store::reopen(&job.subject_id, now), jobs::store::log(&job.id, "info", told, now)],
    )
}
