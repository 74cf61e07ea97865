//! The job behind a deployment: `build` makes the code files that can be
//! served, or says why it cannot, and `publish` puts them up.

use std::rc::Rc;

use super::{site, store};
use crate::{
    error::Error,
    jobs::{self, Job, Kind, Outcome, Policy, Workshop},
    platform::clock::now_ms,
    store::Statement,
};

pub(super) const FIRST_STEP: &str = "build";
const PUBLISH: &str = "publish";

pub(crate) const KIND: Kind = Kind {
    name: "deploy",
    policy: |_| Policy::QUICK,
    step: |job, workshop| Box::pin(step(job, workshop)),
    failed,
    revived,
};

/// Both steps make the files: that takes less than keeping them in between.
async fn step(job: Job, workshop: Rc<Workshop>) -> Result<Outcome, Error> {
    let id = &job.subject_id;
    let [code, _] = workshop.database.batch([store::code(id), store::begin(id, now_ms())]).await?;
    // The project has been deleted: there is nothing left to do.
    let Some(code) = code.into_json() else { return Ok(Outcome::Done { writes: Vec::new() }) };
    let files = match site::build(&code) {
        Ok(files) => files,
        Err(reason) => return Ok(Outcome::Failed { reason }),
    };
    match job.step.as_str() {
        FIRST_STEP => Ok(Outcome::Next { step: PUBLISH, writes: built(&job, &files) }),
        PUBLISH => Ok(Outcome::Done { writes: published(&job, &files)? }),
        other => Err(Error::Internal(format!("deploy has no step {other}"))),
    }
}

fn built(job: &Job, files: &[site::File]) -> Vec<Statement> {
    let now = now_ms();
    let bytes: usize = files.iter().map(|file| file.content.len()).sum();
    let told = match files {
        [_] => format!("Built 1 file, {bytes} bytes"),
        files => format!("Built {} files, {bytes} bytes", files.len()),
    };
    vec![store::set_status(&job.subject_id, "deploying", now), jobs::store::log(&job.id, "info", &told, now)]
}

fn published(job: &Job, files: &[site::File]) -> Result<Vec<Statement>, Error> {
    let now = now_ms();
    let files = serde_json::to_string(files).map_err(|e| Error::Internal(e.to_string()))?;
    let mut writes: Vec<Statement> = store::publish(&job.subject_id, &files, now).into();
    writes.push(store::log_live(&job.id, &job.subject_id, now));
    Ok(writes)
}

fn failed(job: &Job, reason: &str, now: i64) -> Vec<Statement> {
    vec![store::set_status(&job.subject_id, "failed", now), jobs::store::log(&job.id, "error", reason, now)]
}

fn revived(job: &Job, now: i64) -> (&'static str, Vec<Statement>) {
    (
        FIRST_STEP,
        vec![store::reopen(&job.subject_id, now), jobs::store::log(&job.id, "info", "Trying once more", now)],
    )
}
