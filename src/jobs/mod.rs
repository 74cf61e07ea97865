//! The engine under work that takes longer than a request.
//!
//! A job and what it still owes (its outbox row) are written in the batch
//! that creates its subject, so a job that was answered for cannot be lost.
//! A message on the queue then says "look at job N"; it may come twice, late
//! or never. Whoever takes it needs the job's lease, does one step, and
//! writes the step's result and the next step in one batch that fails if the
//! lease has been lost meanwhile. A long step's lease is renewed while it works,
//! and a step that has lost it is broken off. The outbox row goes in the last batch; until
//! then the sweep, or whoever asks after the job, sends it again.
//!
//! consumer.rs acknowledges messages, work.rs does the work, sweep.rs and outbox.rs
//! make lost messages good, dead_letters.rs keeps what could not be done.

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

/// A job, and the lease by which we hold it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// The row that the job works on.
    pub(crate) subject_id: String,
    pub(crate) step: String,
    /// At this step, this one included.
    pub(crate) attempts: u32,
    lease_owner: Option<String>,
    /// Of the request that made it.
    trace_id: Option<String>,
}

impl Job {
    /// Who holds its lease: this consumer, for as long as it is not thought dead.
    pub(crate) fn holder(&self) -> &str {
        self.lease_owner.as_deref().unwrap_or_default()
    }

    /// The trace of the request that made it, for what it makes itself.
    pub(crate) fn trace_id(&self) -> &str {
        self.trace_id.as_deref().unwrap_or_default()
    }
}

/// How a step ended, with the statements that make it so.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Go on with this step.
    Next { step: &'static str, writes: Vec<Statement> },
    /// Come back to this very step, not before `after_ms` have passed: what it
    /// waits for is not there yet. That is no failed attempt. A step that may
    /// wait for ever must end its wait itself.
    Wait { after_ms: i64, writes: Vec<Statement> },
    /// The job has done its work.
    Done { writes: Vec<Statement> },
    /// The job cannot be done; `reason` is for its owner: the first line is the
    /// job's error, further ones are for its log.
    Failed { reason: String },
}

/// What a step works with.
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
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// How often, and for how long, a step of this name may be tried.
    pub(crate) policy: fn(step: &str) -> Policy,
    /// Does the job's present step. An `Err` is tried again, with growing
    /// pauses, unless it says that trying again cannot help. A step may be broken off anywhere and begun again, so what it
    /// does beside its outcome's writes must bear being done twice.
    pub(crate) step: fn(Job, Rc<JobContext>) -> Step,
    /// What a failed job means for its subject.
    pub(crate) failed: fn(&Job, reason: &str, now: i64) -> Vec<Statement>,
    /// What it means for the subject that a failed job is tried once more,
    /// and the step that it begins with.
    pub(crate) revived: fn(&Job, now: i64) -> (&'static str, Vec<Statement>),
}

/// Every kind, in the order of their modules. lib.rs has it.
pub(crate) type Kinds = &'static [Kind];

fn kind_of(kinds: Kinds, job: &Job) -> Result<&'static Kind, Error> {
    let found = kinds.iter().find(|kind| kind.name == job.kind);
    found.ok_or_else(|| Error::Internal(format!("no such kind of job: {}", job.kind)))
}
