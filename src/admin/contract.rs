//! What the operator's room answers.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    error::Error,
    openapi::{Answer, Count, Id, Operation, Room, Time},
};

const JOB: Id = Id("9b1d4e7a-25c3-4f86-a0d9-3c5e7f1b8a62");
const LETTER: Id = Id("e4f8a2c6-71b9-4d35-8e0a-6f2c9d1b5a73");
const NOON: Time = Time("2026-11-21T12:00:00.000Z");

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Job {
    id: Id,
    kind: &'static str,
    /// What it works on.
    subject_id: &'static str,
    user_id: &'static str,
    step: &'static str,
    state: State,
    /// Of the present step.
    attempts: Count,
    error: Option<&'static str>,
    created_at: Time,
    updated_at: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
enum State {
    Queued,
    Done,
    Failed,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DeadLetter {
    id: Id,
    job_id: Option<&'static str>,
    /// The message, redacted.
    body: &'static str,
    reason: &'static str,
    created_at: Time,
    redriven_at: Option<Time>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Redriven {
    job_id: Id,
    #[schemars(extend("const" = "queued"))]
    state: &'static str,
}

pub(crate) fn room() -> Room {
    Room {
        name: "admin",
        about: "The operator's view of the job engine.",
        operations: vec![jobs(), dead_letters(), redrive()],
    }
}

fn jobs() -> Operation {
    let job = Job {
        id: JOB,
        kind: "deploy",
        subject_id: "c7e5a1d2-83f4-4069-b1c8-5a9d0e6f2b47",
        user_id: "local-developer",
        step: "build",
        state: State::Done,
        attempts: Count(1),
        error: None,
        created_at: NOON,
        updated_at: NOON,
    };
    let jobs = Answer::new(200, "Jobs, newest first.")
        .json(vec![job])
        .may_have("Link", "The next page, where there is one.");
    Operation::new("GET /admin/jobs", "admin.jobs", "List the jobs").paged(20).answers(jobs)
}

fn dead_letters() -> Operation {
    let letter = DeadLetter {
        id: LETTER,
        job_id: Some("9b1d4e7a-25c3-4f86-a0d9-3c5e7f1b8a62"),
        body: r#"{"v":1,"jobId":"9b1d4e7a-25c3-4f86-a0d9-3c5e7f1b8a62"}"#,
        reason: "failed 10 times",
        created_at: NOON,
        redriven_at: None,
    };
    let letters = Answer::new(200, "Messages that could not be dealt with, newest first.")
        .json(vec![letter])
        .may_have("Link", "The next page, where there is one.");
    Operation::new("GET /admin/dead-letters", "admin.dead_letters", "List the dead letters")
        .paged(20)
        .answers(letters)
}

fn redrive() -> Operation {
    let conflict = |code, detail: &str| Error::Conflict { code, detail: detail.to_owned() };
    Operation::new(
        "POST /admin/dead-letters/{id}/redrive",
        "admin.redrive",
        "Begin a dead letter's job again",
    )
    .path("id", "The letter.", LETTER)
    .answers(Answer::new(202, "The job is queued.").json(Redriven { job_id: JOB, state: "queued" }))
    .fails(Error::NotFound("Dead letter not found"))
    .fails(conflict("redriven", "This letter has been redriven already"))
    .fails(conflict("not_redrivable", "This letter's job has not failed"))
}
