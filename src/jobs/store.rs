//! The job engine's SQL.

use super::{Job, lease};
#[cfg(test)]
use crate::openapi::{Count, Id, Time};
use crate::store::{
    Statement, Value, guard,
    owned::{Owned, give},
    page,
    projects::rfc3339,
    shape::shape,
    sql,
};

#[cfg(test)]
const NOON: Time = Time("2026-11-21T12:00:00.000Z");

pub(crate) const OWNED: Owned = Owned {
    tables: &["jobs"],
    export: &[],
    in_files: &[],
    delete: |user| vec![sql!("DELETE FROM jobs WHERE user_id = ?1", user)],
    give: |from, to| vec![give!("jobs", from, to)],
};

/// A job in the form that [`Job`] deserializes.
macro_rules! job_json {
    () => {
        "json_object('id', id, 'kind', kind, 'subjectId', subject_id, 'step', step, \
         'attempts', attempts, 'leaseOwner', lease_owner, 'traceId', trace_id)"
    };
}

/// The statements that create a job; they belong in the batch that creates its subject. Call
/// [`super::outbox::send`] after that batch.
pub(crate) fn create(
    id: &str,
    user: &str,
    kind: &str,
    subject: &str,
    step: &str,
    trace_id: &str,
    now: i64,
) -> [Statement; 2] {
    [
        sql!(
            "INSERT INTO jobs (id, user_id, kind, subject_id, step, trace_id, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
            id,
            user,
            kind,
            subject,
            step,
            trace_id,
            now
        ),
        schedule(id, now + lease::LEASE_MS),
    ]
}

/// The most lines of a job's log, without the lines about its end.
const LINES: i64 = 1_000;
/// How many of these lines outside reports may take.
const REPORTED: i64 = 800;
/// The most lines about a job's end.
const END_LINES: usize = 100;

/// Appends a line to a job's log.
pub(crate) fn log(job: &str, level: &str, message: &str, now: i64) -> Statement {
    sql!(
        "INSERT INTO job_logs (job_id, seq, level, message, created_at)
         SELECT id, (SELECT coalesce(max(seq), 0) + 1 FROM job_logs WHERE job_id = ?1), ?2, ?3, ?4
         FROM jobs WHERE id = ?1 AND (SELECT count(*) FROM job_logs WHERE job_id = ?1) < ?5",
        job,
        level,
        message,
        now,
        LINES
    )
}

/// Appends lines from an outside service, which may send any number of them: `lines` is JSON,
/// `[{"level", "message"}, …]`, with `count` lines. When they do not fit, the last line says so.
pub(crate) fn log_report(job: &str, lines: &str, count: usize, now: i64) -> Statement {
    sql!(
        "WITH log AS (SELECT coalesce(max(seq), 0) AS last, CAST(?5 AS INTEGER) - count(*) AS room FROM job_logs WHERE job_id = ?1)
         INSERT INTO job_logs (job_id, seq, level, message, created_at)
         SELECT ?1, log.last + 1 + l.key,
           CASE WHEN l.key < log.room THEN l.value ->> 'level' ELSE 'info' END,
           CASE WHEN l.key < log.room THEN l.value ->> 'message' ELSE '(the log is full: '
             || CASE log.room WHEN 0 THEN CAST(?4 AS INTEGER) ELSE json_array_length(?2) - log.room END
             || ' lines, and all that follow, are left out)' END,
           ?3
         FROM log, json_each(?2) l WHERE l.key <= log.room AND EXISTS (SELECT 1 FROM jobs WHERE id = ?1)",
        job,
        lines,
        now,
        i64::try_from(count).unwrap_or(i64::MAX),
        REPORTED
    )
}

/// Appends the lines about a job's end, for which there is always space.
pub(crate) fn log_end(job: &str, level: &str, text: &str, now: i64) -> Statement {
    let lines: Vec<&str> = text.lines().take(END_LINES).collect();
    sql!(
        "INSERT INTO job_logs (job_id, seq, level, message, created_at)
         SELECT ?1, (SELECT coalesce(max(seq), 0) FROM job_logs WHERE job_id = ?1) + 1 + l.key, ?2, l.value, ?4
         FROM json_each(?3) l WHERE EXISTS (SELECT 1 FROM jobs WHERE id = ?1)",
        job,
        level,
        serde_json::Value::from(lines).to_string(),
        now
    )
}

/// Records that a job's message is to be sent when `send_at` has passed.
pub(super) fn schedule(job: &str, send_at: i64) -> Statement {
    sql!(
        "INSERT INTO outbox (job_id, send_at) SELECT id, ?2 FROM jobs WHERE id = ?1
         ON CONFLICT (job_id) DO UPDATE SET send_at = excluded.send_at",
        job,
        send_at
    )
}

pub(super) fn clear_outbox(job: &str) -> Statement {
    sql!("DELETE FROM outbox WHERE job_id = ?1", job)
}

/// Takes the lease if the job is unfinished and no consumer holds it.
pub(super) fn take(job: &str, owner: &str, now: i64) -> [Statement; 2] {
    [
        sql!(
            concat!(
                "UPDATE jobs SET lease_owner = ?2, lease_until = ?4, attempts = attempts + 1, updated_at = ?3
                 WHERE id = ?1 AND state = 'queued' AND lease_until <= ?3 RETURNING ",
                job_json!(),
                " AS json"
            ),
            job,
            owner,
            now,
            now + lease::LEASE_MS
        ),
        sql!(
            "UPDATE outbox SET send_at = ?3 WHERE job_id = ?1
             AND EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND lease_owner = ?2)",
            job,
            owner,
            now + lease::LEASE_MS
        ),
    ]
}

/// Guards writes that only the holder of the lease may make.
pub(super) fn still_leased(job: &Job) -> Statement {
    guard!(
        "SELECT 1 FROM jobs WHERE id = ?1 AND lease_owner = ?2",
        job.id.as_str(),
        job.lease_owner.as_deref()
    )
}

/// Returns a row if the lease was still ours.
pub(super) fn renew(job: &Job, now: i64) -> Statement {
    sql!(
        "UPDATE jobs SET lease_until = ?3 WHERE id = ?1 AND lease_owner = ?2 RETURNING json_object('id', id) AS json",
        job.id.as_str(),
        job.lease_owner.as_deref(),
        now + lease::LEASE_MS
    )
}

/// Releases the lease and blocks the job until `until`.
pub(super) fn wait(job: &Job, until: i64, now: i64) -> Statement {
    sql!(
        "UPDATE jobs SET attempts = 0, lease_owner = NULL, lease_until = ?2, updated_at = ?3 WHERE id = ?1",
        job.id.as_str(),
        until,
        now
    )
}

/// Cancels a job for its owner; a consumer that holds its lease loses it. Fails the batch when the
/// job has ended already.
pub(crate) fn cancel(job: &str, now: i64) -> [Statement; 3] {
    [
        guard!("SELECT 1 FROM jobs WHERE id = ?1 AND state = 'queued'", job),
        sql!(
            "UPDATE jobs SET state = 'failed', error = 'Cancelled', lease_owner = NULL, lease_until = 0, updated_at = ?2
             WHERE id = ?1",
            job,
            now
        ),
        clear_outbox(job),
    ]
}

/// Restarts a failed job at the step that failed. Fails the batch when the job has not failed.
pub(crate) fn retry(job: &str, now: i64) -> [Statement; 3] {
    [
        guard!("SELECT 1 FROM jobs WHERE id = ?1 AND state = 'failed'", job),
        sql!(
            "UPDATE jobs SET state = 'queued', attempts = 0, error = NULL, updated_at = ?2 WHERE id = ?1",
            job,
            now
        ),
        schedule(job, now + lease::LEASE_MS),
    ]
}

pub(super) fn advance_to(job: &Job, step: &str, now: i64) -> Statement {
    sql!(
        "UPDATE jobs SET step = ?2, attempts = 0, lease_owner = NULL, lease_until = 0, updated_at = ?3 WHERE id = ?1",
        job.id.as_str(),
        step,
        now
    )
}

pub(super) fn end(job: &Job, state: &str, error: Option<&str>, now: i64) -> Statement {
    sql!(
        "UPDATE jobs SET state = ?2, error = ?3, lease_owner = NULL, lease_until = 0, updated_at = ?4 WHERE id = ?1",
        job.id.as_str(),
        state,
        error,
        now
    )
}

/// Releases the lease after a failed attempt.
pub(super) fn release_lease(job: &Job, now: i64) -> Statement {
    sql!(
        "UPDATE jobs SET lease_owner = NULL, lease_until = 0, updated_at = ?2 WHERE id = ?1",
        job.id.as_str(),
        now
    )
}

/// Restarts a failed job at `step`.
pub(super) fn revive(job: &Job, step: &str, now: i64) -> Statement {
    sql!(
        "UPDATE jobs SET state = 'queued', step = ?2, attempts = 0, error = NULL, updated_at = ?3 WHERE id = ?1",
        job.id.as_str(),
        step,
        now
    )
}

/// Claims overdue outbox rows, so that only one sweep sends their messages.
pub(super) fn claim_due(now: i64, most: i64) -> Statement {
    sql!(
        "UPDATE outbox SET send_at = ?2, sends = sends + 1
         WHERE job_id IN (SELECT job_id FROM outbox WHERE send_at <= ?1 ORDER BY send_at LIMIT ?3)
         RETURNING json_object('jobId', job_id) AS json",
        now,
        now + lease::LEASE_MS,
        most
    )
}

/// [`claim_due`] for one job.
pub(super) fn claim_one(job: &str, now: i64) -> Statement {
    sql!(
        "UPDATE outbox SET send_at = ?3, sends = sends + 1 WHERE job_id = ?1 AND send_at <= ?2
         RETURNING json_object('jobId', job_id) AS json",
        job,
        now,
        now + lease::LEASE_MS
    )
}

/// Unfinished jobs without a change since `before`. All of them have an outbox row, so CROSS JOIN
/// makes SQLite scan the outbox first.
pub(super) fn stuck(before: i64, most: i64) -> Statement {
    sql!(
        "SELECT json_object('jobId', j.id) AS json FROM outbox o CROSS JOIN jobs j ON j.id = o.job_id
         WHERE j.updated_at < ?1 ORDER BY j.updated_at LIMIT ?2",
        before,
        most
    )
}

pub(super) fn add_dead_letter(id: &str, job: Option<&str>, body: &str, reason: &str, now: i64) -> Statement {
    sql!(
        "INSERT INTO dead_letters (id, job_id, body, reason, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        id,
        job,
        body,
        reason,
        now
    )
}

pub(super) fn dead_letter(id: &str) -> Statement {
    sql!(
        concat!(
            "SELECT json_object(
               'redriven', json(CASE WHEN redriven_at IS NULL THEN 'false' ELSE 'true' END),
               'job', (SELECT json(",
            job_json!(),
            ") FROM jobs WHERE jobs.id = dead_letters.job_id)
             ) AS json FROM dead_letters WHERE id = ?1"
        ),
        id
    )
}

/// Guards against another operator who redrives the same letter.
pub(super) fn still_redrivable(id: &str) -> Statement {
    guard!(
        "SELECT 1 FROM dead_letters l JOIN jobs j ON j.id = l.job_id
         WHERE l.id = ?1 AND l.redriven_at IS NULL AND j.state = 'failed'",
        id
    )
}

pub(super) fn mark_redriven(id: &str, now: i64) -> Statement {
    sql!("UPDATE dead_letters SET redriven_at = ?2 WHERE id = ?1", id, now)
}

shape! {
    /// A message that could not be handled, as the operator sees it.
    pub(crate) struct DeadLetter, DEAD_LETTER_JSON {
        id: Id = "id", Id("e4f8a2c6-71b9-4d35-8e0a-6f2c9d1b5a73");
        jobId: Option<&'static str> = "job_id", Some("9b1d4e7a-25c3-4f86-a0d9-3c5e7f1b8a62");
        /// The message, redacted.
        body: &'static str = "body", r#"{"v":1,"jobId":"9b1d4e7a-25c3-4f86-a0d9-3c5e7f1b8a62"}"#;
        reason: &'static str = "reason", "failed 10 times";
        createdAt: Time = rfc3339!("created_at"), NOON;
        redrivenAt: Option<Time> = rfc3339!("redriven_at"), None;
    }
}

pub(crate) fn list_dead_letters(key: i64, id: &str, limit: u32) -> Statement {
    sql!(
        page!(
            rows: "FROM dead_letters WHERE (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: DEAD_LETTER_JSON,
            bytes: "0"
        ),
        Value::Null,
        key,
        id,
        limit
    )
}

#[cfg(test)]
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(dead_code, reason = "values of the schema that no example has")]
pub(crate) enum State {
    Queued,
    Done,
    Failed,
}

shape! {
    /// A job as the operator sees it.
    #[schemars(rename = "Job")]
    pub(crate) struct JobView, JOB_JSON {
        id: Id = "id", Id("9b1d4e7a-25c3-4f86-a0d9-3c5e7f1b8a62");
        kind: &'static str = "kind", "deploy";
        /// The id of the row that the job works on.
        subjectId: &'static str = "subject_id", "c7e5a1d2-83f4-4069-b1c8-5a9d0e6f2b47";
        userId: &'static str = "user_id", "local-developer";
        step: &'static str = "step", "build";
        state: State = "state", State::Done;
        /// Attempts at the current step.
        attempts: Count = "attempts", Count(1);
        error: Option<&'static str> = "error", None;
        createdAt: Time = rfc3339!("created_at"), NOON;
        updatedAt: Time = rfc3339!("updated_at"), NOON;
    }
}

pub(crate) fn list_jobs(key: i64, id: &str, limit: u32) -> Statement {
    sql!(
        page!(
            rows: "FROM jobs WHERE (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC",
            key: "created_at || '.' || id",
            json: JOB_JSON,
            bytes: "0"
        ),
        Value::Null,
        key,
        id,
        limit
    )
}
