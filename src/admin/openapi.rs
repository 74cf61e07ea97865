//! What the operator's module answers.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    error::{Error, Resource},
    openapi::{Answer, Count, Id, Module, Operation, Time},
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

/// Something that was done.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Entry {
    seq: Count,
    at: Time,
    /// A user's id, or `operator`.
    actor: &'static str,
    action: &'static str,
    /// The id of what it was done to.
    subject: &'static str,
    request_id: &'static str,
    /// Over the entry and the hash before it; null for a moment.
    hash: Option<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    intact: bool,
    entries: Count,
    /// The newest hash: noted elsewhere, it shows any later change.
    head: &'static str,
    /// The first entry that is not as it was sealed.
    broken_at: Option<i64>,
}

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

pub(crate) fn module() -> Module {
    Module {
        name: "admin",
        about: "For those who run this service: jobs, the audit log, figures.",
        operations: vec![jobs(), dead_letters(), redrive(), audit_log(), verify_audit_log(), metrics()],
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
    let conflict = |code, detail: &'static str| Error::Conflict { code, detail: detail.into() };
    Operation::new(
        "POST /admin/dead-letters/{id}/redrive",
        "admin.redrive",
        "Begin a dead letter's job again",
    )
    .path("id", "The letter.", LETTER)
    .answers(Answer::new(202, "The job is queued.").json(Redriven { job_id: JOB, state: "queued" }))
    .fails(Error::NotFound(Resource::DeadLetter))
    .fails(conflict("redriven", "This letter has been redriven already"))
    .fails(conflict("not_redrivable", "This letter's job has not failed"))
}

fn audit_log() -> Operation {
    let entry = Entry {
        seq: Count(1),
        at: NOON,
        actor: "8d2e6b4f-1a70-4c93-b5e8-0f9a7c3d2e61",
        action: "key.create",
        subject: "5c1f7e0a-3b92-4d68-9a47-e2d8c6b1f305",
        request_id: "req_01890a5d-ac96-774b-bcce-b302099a8057",
        hash: Some(HASH),
    };
    Operation::new("GET /admin/audit", "admin.audit_log", "List what was done by whom").paged(20).answers(
        Answer::new(200, "Entries, newest first.")
            .json(vec![entry])
            .may_have("Link", "The next page, where there is one."),
    )
}

fn verify_audit_log() -> Operation {
    let verdict = Verdict { intact: true, entries: Count(1), head: HASH, broken_at: None };
    Operation::new(
        "GET /admin/audit/verify",
        "admin.verify_audit_log",
        "Tell whether anybody has rewritten the audit log",
    )
    .answers(Answer::new(200, "What a walk along the chain found.").json(verdict))
}

fn metrics() -> Operation {
    Operation::new("GET /metrics", "admin.metrics", "Figures, as Prometheus reads them")
        .answers(Answer::new(200, "Text form, version 0.0.4.").file("text/plain"))
}
