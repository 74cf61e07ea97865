//! The job of a deployment. `build` turns the code into files that can be served, or says why it
//! cannot. Then `publish` puts them online on this Worker; for a cloud, `push` uploads them there
//! and `await` polls until they are live (cloud.rs).

use std::rc::Rc;

use super::{
    cloud::{self, AWAIT},
    cloud_store::{self, Task},
    site::{Built, File},
    store,
};
use crate::{
    clouds::{
        Container,
        deployment::{FIRST_STEP, JOB},
    },
    error::Error,
    jobs::{self, Job, JobContext, JobKind, Outcome, Policy},
    platform::{clock::now_ms, random},
    store::Statement,
};

const PUBLISH: &str = "publish";
const PUSH: &str = "push";

/// How often a deployment checks whether an older one has finished.
const POLL_MS: i64 = 2_000;

pub(crate) const KIND: JobKind = JobKind {
    name: JOB,
    policy: |step| match step {
        // A push has many files, and the cloud may ask for pauses.
        PUSH => Policy { longest_ms: 300_000, ..Policy::QUICK },
        // A cloud whose API fails may still bring the app live, so the cloud's patience limits the
        // wait, not the number of attempts.
        AWAIT => Policy { attempts: 100, longest_pause_ms: 30_000, ..Policy::QUICK },
        _ => Policy::QUICK,
    },
    step: |job, context| Box::pin(step(job, context)),
    failed,
    revived,
};

async fn step(job: Job, context: Rc<JobContext>) -> Result<Outcome, Error> {
    match job.step.as_str() {
        FIRST_STEP | PUBLISH | PUSH => with_files(&job, &context).await,
        AWAIT => cloud::wait(&job, &context).await,
        other => Err(Error::Internal(format!("deploy has no step {other}"))),
    }
}

/// Runs the steps that need the files. Building twice takes less time than storing the files in
/// between.
async fn with_files(job: &Job, context: &JobContext) -> Result<Outcome, Error> {
    let id = &job.subject_id;
    let [code, task, _] = context
        .database
        .batch([store::code(id), cloud_store::task(id, &job.id), store::begin(id, now_ms())])
        .await?;
    // The project is deleted: nothing is left to do.
    let (Some(code), Some(task)) = (code.into_json(), task.first::<Task>()?) else {
        return Ok(Outcome::Done { writes: Vec::new() });
    };
    let is_of_files = task.container.as_ref().is_none_or(Container::is_of_files);
    let site = match is_of_files {
        true => task.target.files(&code, task.packages(), &context.env).await?,
        false => Ok(Built::default()),
    };
    let site = match site {
        Ok(site) => site,
        Err(reason) => return Ok(Outcome::Failed { reason }),
    };
    match (task.target.cloud(), job.step.as_str()) {
        (None, FIRST_STEP) => Ok(Outcome::Next { step: PUBLISH, writes: built(job, &site) }),
        (None, _) => Ok(Outcome::Done { writes: published(job, &site.files)? }),
        // At a cloud the last upload wins, so deployments go in order.
        (Some(_), FIRST_STEP) if !task.is_next => Ok(wait_for_turn(job)),
        (Some(_), FIRST_STEP) => {
            let mut writes = built(job, &site);
            writes.push(cloud_store::claim_app(&random::uuid()?, id, now_ms()));
            Ok(Outcome::Next { step: PUSH, writes })
        }
        (Some(cloud), _) => cloud::push(job, context, cloud, &task, &site.files).await,
    }
}

fn wait_for_turn(job: &Job) -> Outcome {
    let message = "Waiting for an earlier job of this app to finish";
    Outcome::Wait { after_ms: POLL_MS, writes: vec![cloud_store::log_once(&job.id, message, now_ms())] }
}

fn built(job: &Job, site: &Built) -> Vec<Statement> {
    let now = now_ms();
    let bytes: usize = site.files.iter().map(|file| file.content.len()).sum();
    let message = match site.files.as_slice() {
        [] => "Nothing to build: the image or repository was made elsewhere".to_owned(),
        [_] => format!("Built 1 file, {bytes} bytes"),
        files => format!("Built {} files, {bytes} bytes", files.len()),
    };
    let mut writes = vec![store::set_status(&job.subject_id, "deploying", now)];
    writes
        .extend(site.notes.iter().chain([&message]).map(|line| jobs::store::log(&job.id, "info", line, now)));
    writes
}

fn published(job: &Job, files: &[File]) -> Result<Vec<Statement>, Error> {
    let now = now_ms();
    let files = serde_json::to_string(files).map_err(|e| Error::Internal(e.to_string()))?;
    let mut writes: Vec<Statement> = store::publish(&job.subject_id, &files, now).into();
    writes.push(store::log_live(&job.id, &job.subject_id, now));
    Ok(writes)
}

fn failed(job: &Job, reason: &str, now: i64) -> Vec<Statement> {
    let mut writes = vec![store::set_status(&job.subject_id, "failed", now)];
    writes.push(jobs::store::log_end(&job.id, "error", reason, now));
    writes
}

fn revived(job: &Job, now: i64) -> (&'static str, Vec<Statement>) {
    (
        FIRST_STEP,
        vec![store::reopen(&job.subject_id, now), jobs::store::log(&job.id, "info", "Trying once more", now)],
    )
}

#[cfg(test)]
mod tests {
    use super::{AWAIT, KIND};
    use crate::{clouds::CLOUDS, http::progress};

    #[test]
    fn a_stream_lasts_longer_than_any_clouds_patience() {
        assert!(CLOUDS.iter().all(|cloud| cloud.patience_ms < progress::LONGEST_MS));
    }

    #[test]
    fn a_cloud_whose_api_fails_is_polled_until_its_patience_ends() {
        let policy = (KIND.policy)(AWAIT);
        let waited: i64 = (1..policy.attempts).map(|attempts| policy.pause_ms(attempts)).sum();
        assert!(CLOUDS.iter().all(|cloud| cloud.patience_ms < waited));
    }
}
