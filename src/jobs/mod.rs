//! The engine for work that takes longer than a request.
//!
//! A job and its outbox row are written in the batch that creates its subject, so an accepted job
//! cannot be lost. A message on the queue only says "look at job N"; it may come twice, late or
//! never. A consumer takes the job's lease, runs one step, and writes the step's result and the
//! next step in one batch, which fails if the lease was lost meanwhile. A long step renews its
//! lease while it works and is aborted when it loses the lease. The last batch deletes the outbox
//! row; until then the sweep, or a request for the job's progress, sends the message again.
//!
//! consumer.rs acknowledges messages, work.rs runs steps, sweep.rs and outbox.rs resend lost
//! messages, dead_letters.rs stores failed messages and jobs.

pub(crate) mod consumer;
pub(crate) mod dead_letters;
mod lease;
pub(crate) mod outbox;
pub(crate) mod store;
pub(crate) use store::OWNED;
pub(crate) mod sweep;
mod work;

use std::{future::Future, pin::Pin, rc::Rc};

use serde::Deserialize;
use worker::Env;

use crate::{
    error::Error,
    store::{Database, Statement},
};

/// A job, with our lease on it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// The row that the job works on.
    pub(crate) subject_id: String,
    pub(crate) step: String,
    /// Attempts at the current step, including this one.
    pub(crate) attempts: u32,
    lease_owner: Option<String>,
    /// The trace of the request that created the job.
    trace_id: Option<String>,
}

impl Job {
    /// Who holds its lease: this consumer, for as long as it is not thought dead.
    pub(crate) fn holder(&self) -> &str {
        self.lease_owner.as_deref().unwrap_or_default()
    }

    /// The trace of the request that created the job, for the requests and jobs that the job
    /// creates.
    pub(crate) fn trace_id(&self) -> &str {
        self.trace_id.as_deref().unwrap_or_default()
    }
}

/// The outcome of a step, with the statements that record it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Continue with this step.
    Next { step: &'static str, writes: Vec<Statement> },
    /// Run this step again after `after_ms`: what it waits for is not ready yet. This is not a
    /// failed attempt. The step itself must limit how long it waits.
    Wait { after_ms: i64, writes: Vec<Statement> },
    /// The job is complete.
    Done { writes: Vec<Statement> },
    /// The job cannot be done. `reason` is for its owner: the first line is the job's error,
    /// further lines belong in its log.
    Failed { reason: String },
}

/// The context of a step.
#[derive(Debug)]
pub(crate) struct JobContext {
    pub(crate) env: Env,
    pub(crate) database: Database,
}

impl JobContext {
    pub(crate) fn open(env: &Env) -> Result<Self, Error> {
        Ok(Self { env: env.clone(), database: Database::open(env)? })
    }
}

type Step = Pin<Box<dyn Future<Output = Result<Outcome, Error>>>>;

pub(crate) use lease::Policy;

/// A kind of job, as its module describes it to the engine.
#[derive(Debug)]
pub(crate) struct JobKind {
    pub(crate) name: &'static str,
    /// How often, and for how long, a step of this name is tried.
    pub(crate) policy: fn(step: &str) -> Policy,
    /// Runs the job's current step. An `Err` is retried with growing pauses, unless the error is
    /// not retryable. A step may be aborted anywhere and started again, so its side effects beside
    /// the outcome's statements must be safe to repeat.
    pub(crate) step: fn(Job, Rc<JobContext>) -> Step,
    /// What a failed job changes in its subject.
    pub(crate) failed: fn(&Job, reason: &str, now: i64) -> Vec<Statement>,
    /// What a restarted job changes in its subject, and the step that it starts with.
    pub(crate) revived: fn(&Job, now: i64) -> (&'static str, Vec<Statement>),
}

/// All job kinds, in the order of their modules; lib.rs lists them.
pub(crate) type JobKinds = &'static [JobKind];

fn kind_of(kinds: JobKinds, job: &Job) -> Result<&'static JobKind, Error> {
    let found = kinds.iter().find(|kind| kind.name == job.kind);
    found.ok_or_else(|| Error::Internal(format!("no such kind of job: {}", job.kind)))
}
