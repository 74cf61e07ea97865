//! The OpenAPI contract of the operator's module.

use super::Redriven;
use crate::{
    audit::{Entry, Verdict},
    error::{Error, Resource},
    jobs::store::{DeadLetter, JobView},
    openapi::{Answer, Module, Operation},
};

pub(crate) fn module() -> Module {
    Module {
        name: "admin",
        about: "For those who run this service: jobs, the audit log, figures.",
        operations: vec![jobs(), dead_letters(), redrive(), audit_log(), verify_audit_log(), metrics()],
    }
}

fn jobs() -> Operation {
    let jobs = Answer::new(200, "Jobs, newest first.")
        .json(vec![JobView::example()])
        .may_have("Link", "The next page, where there is one.");
    Operation::new("GET /admin/jobs", "admin.jobs", "List the jobs").paged(20).answers(jobs)
}

fn dead_letters() -> Operation {
    let letters = Answer::new(200, "Messages that could not be dealt with, newest first.")
        .json(vec![DeadLetter::example()])
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
    .path("id", "The letter.", DeadLetter::example().id)
    .answers(
        Answer::new(202, "The job is queued.")
            .json(Redriven { job_id: JobView::example().id.0.to_owned(), state: "queued" }),
    )
    .fails(Error::NotFound(Resource::DeadLetter))
    .fails(conflict("redriven", "This letter has been redriven already"))
    .fails(conflict("not_redrivable", "This letter's job has not failed"))
}

fn audit_log() -> Operation {
    Operation::new("GET /admin/audit", "admin.audit_log", "List what was done by whom").paged(20).answers(
        Answer::new(200, "Entries, newest first.")
            .json(vec![Entry::example()])
            .may_have("Link", "The next page, where there is one."),
    )
}

fn verify_audit_log() -> Operation {
    let verdict = Verdict {
        intact: true,
        entries: 1,
        head: Entry::example().hash.unwrap_or_default().to_owned(),
        broken_at: None,
    };
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
