//! The job of a turn: `work` until the agent has ended, then `save`, `commit`
//! if there is a repository, `deploy`, and `watch` until the app is live. Each
//! step is a queue message of its own and is committed as a whole.

use std::rc::Rc;

use super::{
    agent, agent_server,
    events::{DONE, Event, MessageKind},
    live, repository, save,
    settings::AgentServer,
    steps::{COMMIT, DEPLOY, SAVE, WATCH, WORK},
    store::{self, turns::AppTurn},
    work::Work,
};
use crate::{
    error::Error,
    jobs::{Job, JobContext, JobKind, Outcome, Policy},
    settings::{FromVars as _, Settings},
    store::Statement,
};

pub(super) const FIRST_STEP: &str = WORK;

pub(crate) const KIND: JobKind = JobKind {
    name: "agent",
    policy: |step| match step {
        // A model's answer takes minutes, and repeating it costs money.
        WORK => Policy { attempts: 4, longest_ms: 14 * 60_000, ..Policy::QUICK },
        COMMIT => Policy { attempts: 6, longest_ms: 5 * 60_000, ..Policy::QUICK },
        _ => Policy::QUICK,
    },
    step: |job, context| Box::pin(step(job, context)),
    failed,
    revived,
};

async fn step(job: Job, context: Rc<JobContext>) -> Result<Outcome, Error> {
    // A turn that was deleted, stopped or ended leaves nothing to do.
    let turn: Option<AppTurn> = context.database.query(store::turns::turn(&job.subject_id)).await?.first()?;
    let Some(turn) = turn else { return Ok(Outcome::Done { writes: Vec::new() }) };
    let settings = Settings::of(&context.env)?;
    let work = Work { job, turn, settings, context };
    match work.job.step.as_str() {
        WORK => match Option::<AgentServer>::of(&work.settings)? {
            Some(server) => agent_server::step(&work, server).await,
            None => agent::step(&work).await,
        },
        SAVE => save::step(&work).await,
        COMMIT => repository::step(&work).await,
        DEPLOY => live::deploy(&work).await,
        WATCH => live::watch(&work).await,
        other => Err(Error::Internal(format!("the agent has no step {other}"))),
    }
}

fn failed(job: &Job, reason: &str, now: i64) -> Vec<Statement> {
    let text = format!("The agent could not go on. {reason}");
    let turn = &job.subject_id;
    let mut writes = vec![
        store::events::add_events(turn, &[Event::idle(MessageKind::RuntimeError, text), DONE], now),
        store::limits::refund(turn),
    ];
    writes.extend(store::turns::end(turn, "failed", now));
    writes
}

fn revived(job: &Job, _: i64) -> (&'static str, Vec<Statement>) {
    (FIRST_STEP, store::turns::reopen(&job.subject_id).into())
}
