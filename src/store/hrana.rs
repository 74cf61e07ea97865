//! Hrana, the protocol of Turso and of every libSQL server, as far as one
//! round trip needs it: a batch of steps, each on condition that the one
//! before it succeeded (HTTP_V2_SPEC.md and HRANA_2_SPEC.md in the docs of
//! github.com/tursodatabase/libsql).
//!
//! Statements, values and results are libsql-client's types. The envelope
//! around them is ours: its batch conditions serialise to what servers
//! refuse, and its errors leave out the code.

use libsql_client::proto::{Stmt, StmtResult, Value as Wire};
use serde::{Deserialize, Serialize};

use super::{Rows, Statement, Value};
use crate::error::Error;

/// Deletes rely on `ON DELETE CASCADE`. A server has foreign keys on or off
/// by the way it was built, and each stream begins anew.
const FOREIGN_KEYS: &str = "PRAGMA foreign_keys = ON";

/// How the codes begin of a step that did nothing because others are at work.
const BUSY: &[&str] = &["SQLITE_BUSY", "SQLITE_LOCKED"];

/// Codes of other refusals that pass by themselves.
const TRANSIENT: &[&str] = &[
    "SQLITE_INTERRUPT",
    "TRANSACTION_BUSY",
    "TRANSACTION_TIMEOUT",
    // The plan is used up, or the database is being moved.
    "BLOCKED",
];

/// What is sent in one round trip, and which of its steps were asked for.
#[derive(Debug)]
pub(super) struct Script {
    steps: Vec<Step>,
    /// The first step that is a statement of the caller's.
    first: usize,
    statements: usize,
    writes: bool,
}

/// The server's answer to a [`Script`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The rows of each statement; what was to be written is written.
    Rows(Vec<Rows>),
    /// Others were writing for too long. Nothing is written, so that the
    /// script may be sent again; the server's words.
    Busy(String),
}

#[derive(Debug, Serialize)]
struct Step {
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
    stmt: Stmt,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Condition {
    Ok { step: usize },
    Not { cond: Box<Condition> },
}

#[derive(Serialize)]
struct Pipeline<'a> {
    requests: [Request<'a>; 2],
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Request<'a> {
    Batch {
        batch: Batch<'a>,
    },
    /// Ends the stream, so that there is no baton to send back and no
    /// `base_url` to follow, and an open transaction is rolled back.
    Close,
}

#[derive(Serialize)]
struct Batch<'a> {
    steps: &'a [Step],
}

impl Script {
    /// One statement.
    pub(super) fn query(statement: Statement) -> Self {
        let mut script = Self::new(reads(&statement));
        script.add([statement]);
        script
    }

    /// All statements in one transaction, or none of them.
    pub(super) fn transaction(statements: Vec<Statement>) -> Self {
        let only_reads = statements.iter().all(reads);
        let mut script = Self::new(only_reads);
        // IMMEDIATE takes the write lock before anything is read: a batch
        // never fails half-way because another one has written meanwhile.
        script.then(Stmt::new(if only_reads { "BEGIN" } else { "BEGIN IMMEDIATE" }, false));
        script.add(statements);
        script.then(Stmt::new("COMMIT", false));
        let committed = Condition::Ok { step: script.steps.len() - 1 };
        let condition = Some(Condition::Not { cond: Box::new(committed) });
        script.steps.push(Step { condition, stmt: Stmt::new("ROLLBACK", false) });
        script
    }

    fn new(only_reads: bool) -> Self {
        let mut script = Self { steps: Vec::new(), first: 0, statements: 0, writes: !only_reads };
        // A token that may only read may not even say this.
        if !only_reads {
            script.then(Stmt::new(FOREIGN_KEYS, false));
        }
        script
    }

    fn add(&mut self, statements: impl IntoIterator<Item = Statement>) {
        self.first = self.steps.len();
        for statement in statements {
            self.then(stmt(statement));
        }
        self.statements = self.steps.len() - self.first;
    }

    /// A step that runs if the one before it succeeded.
    fn then(&mut self, stmt: Stmt) {
        let condition = self.steps.len().checked_sub(1).map(|step| Condition::Ok { step });
        self.steps.push(Step { condition, stmt });
    }

    /// Whether it takes the write lock.
    pub(super) fn writes(&self) -> bool {
        self.writes
    }

    /// The body of `POST /v2/pipeline`.
    pub(super) fn body(&self) -> Result<String, Error> {
        let batch = Request::Batch { batch: Batch { steps: &self.steps } };
        serde_json::to_string(&Pipeline { requests: [batch, Request::Close] })
            .map_err(|e| Error::Internal(format!("Turso: {e}")))
    }

    /// Reads the answer to [`Self::body`].
    ///
    /// # Errors
    /// As [`refused`] and [`failed`] say.
    pub(super) fn reply(&self, status: u16, body: &str) -> Result<Reply, Error> {
        if status != 200 {
            return Err(refused(status, body));
        }
        let answer: Answer = serde_json::from_str(body).map_err(|e| unreadable(&e))?;
        let Outcome { response, error } = answer.results.into_iter().next().unwrap_or_default();
        if let Some(error) = error {
            return Err(failed(&error));
        }
        let BatchResult { step_results, step_errors } = response.and_then(|r| r.result).unwrap_or_default();
        // The first is the cause: the steps after it were left out.
        if let Some(error) = step_errors.into_iter().flatten().next() {
            return if is_busy(&error) { Ok(Reply::Busy(told(&error))) } else { Err(failed(&error)) };
        }
        let asked = step_results.into_iter().skip(self.first).take(self.statements);
        let rows: Vec<Rows> = asked.flatten().map(rows).collect();
        if rows.len() != self.statements {
            return Err(Error::Internal("Turso: the answer leaves out a statement".to_owned()));
        }
        Ok(Reply::Rows(rows))
    }
}

/// Whether a statement surely writes nothing.
fn reads(statement: &Statement) -> bool {
    statement.sql.trim_start().starts_with("SELECT")
}

fn stmt(statement: Statement) -> Stmt {
    let mut stmt = Stmt::new(statement.sql, true);
    for value in statement.values {
        stmt.bind(match value {
            Value::Null => Wire::Null,
            Value::Integer(value) => Wire::Integer { value },
            Value::Text(value) => Wire::Text { value },
        });
    }
    stmt
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Outcome>,
}

/// What became of one request of the pipeline.
#[derive(Default, Deserialize)]
struct Outcome {
    response: Option<Response>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Response {
    result: Option<BatchResult>,
}

/// By step: a step that was left out has neither result nor error.
#[derive(Default, Deserialize)]
struct BatchResult {
    step_results: Vec<Option<StmtResult>>,
    step_errors: Vec<Option<Refusal>>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
    code: Option<String>,
}

/// The one column of every answering statement; a NULL is no row.
fn rows(result: StmtResult) -> Rows {
    let columns = result.rows.into_iter().filter_map(|row| row.into_iter().next());
    Rows(
        columns
            .filter_map(|column| match column {
                Wire::Text { value } => Some(value),
                Wire::Integer { value } => Some(value.to_string()),
                Wire::Float { value } => Some(value.to_string()),
                Wire::Null | Wire::Blob { .. } => None,
            })
            .collect(),
    )
}

fn is_busy(error: &Refusal) -> bool {
    error.code.as_deref().is_some_and(|code| BUSY.iter().any(|busy| code.starts_with(busy)))
}

/// What a refused statement means for the caller.
fn failed(error: &Refusal) -> Error {
    let passes = error.code.as_deref().is_some_and(|code| TRANSIENT.contains(&code)) || is_busy(error);
    if passes { Error::Unavailable(told(error)) } else { Error::Internal(told(error)) }
}

fn told(error: &Refusal) -> String {
    format!("Turso: {} ({})", error.message, error.code.as_deref().unwrap_or("no code"))
}

/// What a status other than 200 means. The server's words go to the log at
/// most: they are not ours to show.
fn refused(status: u16, body: &str) -> Error {
    let token =
        |detail: &str| Error::NotConfigured { variable: "DATABASE_AUTH_TOKEN", detail: detail.to_owned() };
    match status {
        401 if body.contains("expired") => {
            token("DATABASE_AUTH_TOKEN has expired; the database needs a new one")
        }
        401 => token("The database does not accept DATABASE_AUTH_TOKEN"),
        403 => token(
            "DATABASE_AUTH_TOKEN may only read, or belongs to another database; a token that may write is needed",
        ),
        408 | 429 | 500.. => Error::Unavailable(format!("Turso: status {status}: {}", start(body))),
        400 | 413 => Error::Internal(format!("Turso: status {status}: {}", start(body))),
        _ => no_database(&format!("status {status}")),
    }
}

fn unreadable(error: &serde_json::Error) -> Error {
    if error.is_eof() {
        Error::Unavailable(format!("Turso: the answer was cut off: {error}"))
    } else {
        no_database("no JSON of Hrana")
    }
}

fn no_database(what: &str) -> Error {
    Error::NotConfigured {
        variable: "DATABASE_URL",
        detail: format!("There is no libSQL database at DATABASE_URL: it answers with {what}"),
    }
}

/// Enough of a text to tell what it is about.
fn start(text: &str) -> String {
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::store::sql;

    fn sent(script: &Script) -> Json {
        serde_json::from_str(&script.body().unwrap()).unwrap()
    }

    fn steps(script: &Script) -> Vec<Json> {
        sent(script)["requests"][0]["batch"]["steps"].as_array().unwrap().clone()
    }

    fn result(rows: &[Json]) -> Json {
        let rows: Vec<_> = rows.iter().map(|row| json!([row])).collect();
        json!({ "cols": [], "rows": rows, "affected_row_count": 0, "last_insert_rowid": "9223372036854775807" })
    }

    fn answer(results: &Json, errors: &Json) -> String {
        let batch = json!({ "step_results": results, "step_errors": errors });
        let batch = json!({ "type": "ok", "response": { "type": "batch", "result": batch } });
        json!({ "baton": null, "results": [batch, { "type": "ok", "response": { "type": "close" } }] })
            .to_string()
    }

    #[test]
    fn a_read_is_one_step_and_the_stream_is_closed() {
        let script = Script::query(sql!("SELECT ?1 AS json", 1_i64));
        assert_eq!(
            sent(&script),
            json!({ "requests": [
                { "type": "batch", "batch": { "steps": [{ "stmt": {
                    "sql": "SELECT ?1 AS json", "args": [{ "type": "integer", "value": "1" }], "named_args": [],
                    "want_rows": true,
                } }] } },
                { "type": "close" },
            ] })
        );
    }

    #[test]
    fn integers_are_exact_and_nulls_are_nulls() {
        let steps = steps(&Script::query(sql!("SELECT ?1", i64::MIN, "x", None::<i64>)));
        assert_eq!(
            steps[0]["stmt"]["args"],
            json!([
                { "type": "integer", "value": "-9223372036854775808" },
                { "type": "text", "value": "x" },
                { "type": "null" },
            ])
        );
    }

    #[test]
    fn a_write_has_foreign_keys_on_first() {
        let steps = steps(&Script::query(sql!("DELETE FROM projects")));
        assert_eq!(steps[0]["stmt"]["sql"], FOREIGN_KEYS);
        assert_eq!(steps[1]["condition"], json!({ "type": "ok", "step": 0 }));
    }

    #[test]
    fn a_batch_commits_if_every_step_succeeded_and_else_rolls_back() {
        let steps = steps(&Script::transaction(vec![sql!("DELETE FROM a"), sql!("SELECT 1")]));
        let told: Vec<_> = steps.iter().map(|s| s["stmt"]["sql"].as_str().unwrap()).collect();
        assert_eq!(
            told,
            [FOREIGN_KEYS, "BEGIN IMMEDIATE", "DELETE FROM a", "SELECT 1", "COMMIT", "ROLLBACK"]
        );
        for (at, step) in steps.iter().enumerate().take(5).skip(1) {
            assert_eq!(step["condition"], json!({ "type": "ok", "step": at - 1 }));
        }
        assert_eq!(steps[5]["condition"], json!({ "type": "not", "cond": { "type": "ok", "step": 4 } }));
    }

    #[test]
    fn a_batch_of_reads_does_not_take_the_write_lock() {
        let steps = steps(&Script::transaction(vec![sql!("SELECT 1"), sql!("\n SELECT 2")]));
        assert_eq!(steps[0]["stmt"]["sql"], "BEGIN");
    }

    #[test]
    fn rows_are_those_of_the_statements_alone() {
        let script = Script::transaction(vec![sql!("UPDATE a"), sql!("SELECT 1")]);
        let text = |text: &str| json!({ "type": "text", "value": text });
        let none = result(&[]);
        let results = json!([
            none,
            none,
            result(&[text("{\"a\":1}"), json!({ "type": "null" })]),
            result(&[json!({ "type": "integer", "value": "9223372036854775807" })]),
            none,
            null
        ]);
        let reply =
            script.reply(200, &answer(&results, &json!([null, null, null, null, null, null]))).unwrap();
        let rows = vec![Rows(vec!["{\"a\":1}".to_owned()]), Rows(vec!["9223372036854775807".to_owned()])];
        assert_eq!(reply, Reply::Rows(rows));
    }

    #[test]
    fn the_first_error_of_a_batch_is_its_cause() {
        let script = Script::transaction(vec![sql!("UPDATE a")]);
        let errors = |code: &str| {
            json!([null, { "message": "database is locked", "code": code }, null, null, {
                "message": "cannot rollback", "code": "SQLITE_UNKNOWN"
            }])
        };
        let results = json!([result(&[]), null, null, null, null]);
        let reply = |code| script.reply(200, &answer(&results, &errors(code)));
        for code in ["SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT"] {
            assert_eq!(reply(code), Ok(Reply::Busy(format!("Turso: database is locked ({code})"))));
        }
        let internal = Error::Internal("Turso: database is locked (SQLITE_X)".to_owned());
        assert_eq!(reply("SQLITE_X"), Err(internal));
        let unavailable = Error::Unavailable("Turso: database is locked (BLOCKED)".to_owned());
        assert_eq!(reply("BLOCKED"), Err(unavailable));
    }

    #[test]
    fn a_request_that_failed_as_a_whole_is_not_known_to_have_done_nothing() {
        let error = json!({ "message": "database is locked", "code": "SQLITE_BUSY" });
        let body = json!({ "results": [{ "type": "error", "error": error }] }).to_string();
        let reply = Script::query(sql!("UPDATE a")).reply(200, &body);
        assert!(matches!(reply, Err(Error::Unavailable(_))), "{reply:?}");
    }

    #[test]
    fn an_answer_without_a_statement_is_no_success() {
        let script = Script::query(sql!("UPDATE a"));
        let empty =
            [json!({ "results": [] }).to_string(), answer(&json!([result(&[]), null]), &json!([null, null]))];
        for body in empty {
            assert!(matches!(script.reply(200, &body), Err(Error::Internal(_))), "{body}");
        }
    }

    #[test]
    fn each_refusal_is_told_by_what_mends_it() {
        let script = Script::query(sql!("UPDATE a"));
        let variable = |status, body| match script.reply(status, body) {
            Err(Error::NotConfigured { variable, .. }) => variable,
            Err(Error::Unavailable(_)) => "later",
            _ => "bug",
        };
        for status in [401, 403] {
            assert_eq!(variable(status, "{}"), "DATABASE_AUTH_TOKEN");
        }
        for (status, body) in [(404, ""), (302, ""), (200, "<html>"), (200, "{}")] {
            assert_eq!(variable(status, body), "DATABASE_URL", "{status} {body}");
        }
        for (status, body) in [(429, ""), (500, ""), (503, ""), (200, ""), (200, "{\"results\":[")] {
            assert_eq!(variable(status, body), "later", "{status} {body}");
        }
        assert_eq!(variable(400, ""), "bug");
    }

    #[test]
    fn what_a_server_says_about_a_token_is_not_repeated() {
        let error = Script::query(sql!("SELECT 1")).reply(401, "Unauthorized: eyJsecret").unwrap_err();
        assert!(!error.detail().contains("eyJ"));
    }
}
