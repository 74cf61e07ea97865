//! The job that makes a startup: one queue message for each step, and one for
//! each turn of building.

use std::rc::Rc;

use super::{
    building, discovery, identity, marketing, packaging,
    steps::Step,
    store::{self, Startup},
    work::Work,
};
use crate::{
    error::Error,
    jobs::{self, Job, JobContext, JobKind, Outcome, Policy},
    platform::clock::now_ms,
    settings::Settings,
    store::Statement,
};

pub(crate) const KIND: JobKind = JobKind {
    name: "generate",
    policy: |step| Step::named(step).map_or(Policy::QUICK, Step::policy),
    step: |job, context| Box::pin(step(job, context)),
    failed,
    revived,
};

async fn step(job: Job, context: Rc<JobContext>) -> Result<Outcome, Error> {
    let Some(step) = Step::named(&job.step) else {
        return Err(Error::Internal(format!("generate has no step {}", job.step)));
    };
    let begin = store::progress(&job.subject_id, step.begins_at(), now_ms());
    let [_, startup] = context.database.batch([begin, store::startup(&job.subject_id)]).await?;
    // The startup was deleted or cancelled: nothing is left to do.
    let Some(startup) = startup.first::<Startup>()? else { return Ok(Outcome::Done { writes: Vec::new() }) };
    let settings = Settings::of(&context.env)?;
    let work = Work::new(job, startup, settings, context).await?;
    match step {
        Step::Discovery => discovery::step(&work).await,
        Step::Building => building::step(&work).await,
        Step::Packaging => packaging::step(&work).await,
        Step::Marketing => marketing::step(&work).await,
        Step::Identity => identity::step(&work).await,
    }
}

fn failed(job: &Job, reason: &str, now: i64) -> Vec<Statement> {
    vec![store::end(&job.subject_id, "failed", now), jobs::store::log(&job.id, "error", reason, now)]
}

fn revived(job: &Job, now: i64) -> (&'static str, Vec<Statement>) {
    let step = Step::named(&job.step).unwrap_or(Step::Discovery);
    let again =
        vec![store::reopen(&job.subject_id, now), jobs::store::log(&job.id, "info", "Trying once more", now)];
    (step.name(), again)
}
