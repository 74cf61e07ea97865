//! The OpenAPI contract of the operator's module.

use super::Redriven;
use crate::{
    audit::{Entry, Verdict},
    error::{Error, Resource},
    jobs::store::{DeadLetter, JobView},
    openapi::{DocumentedResponse, Module, Operation},
};

pub(crate) fn module() -> Module {
    Module {
        name: "admin",
        about: "For operators of this service: jobs, the audit log, metrics.",
        operations: vec![jobs(), dead_letters(), redrive(), audit_log(), verify_audit_log(), metrics()],
    }
}

fn jobs() -> Operation {
    let jobs = DocumentedResponse::new(200, "Jobs, newest first.")
        .json(vec![JobView::example()])
        .may_have("Link", "The next page, where there is one.");
    Operation::new("GET /admin/jobs", "admin.jobs", "List the jobs").paged(20).answers(jobs)
}

fn dead_letters() -> Operation {
    let letters = DocumentedResponse::new(200, "Messages that could not be processed, newest first.")
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
    .path("id", "The dead letter.", DeadLetter::example().id)
    .answers(
        DocumentedResponse::new(202, "The job is queued.")
            .json(Redriven { job_id: JobView::example().id.0.to_owned(), state: "queued" }),
    )
    .fails(Error::NotFound(Resource::DeadLetter))
    .fails(conflict("redriven", "This letter has been redriven already"))
    .fails(conflict("not_redrivable", "This letter's job has not failed"))
}

fn audit_log() -> Operation {
    Operation::new("GET /admin/audit", "admin.audit_log", "List the entries of the audit log")
        .paged(20)
        .answers(
            DocumentedResponse::new(200, "Entries, newest first.")
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
        "Check that the audit log was not rewritten",
    )
    .answers(DocumentedResponse::new(200, "The result of the check.").json(verdict))
}

fn metrics() -> Operation {
    Operation::new("GET /metrics", "admin.metrics", "Metrics for Prometheus")
        .answers(DocumentedResponse::new(200, "Text format, version 0.0.4.").file("text/plain"))
}
