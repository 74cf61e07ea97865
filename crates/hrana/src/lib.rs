//! Hrana, the protocol of Turso and of every libSQL server, as far as one
//! round trip needs it: a batch of steps, each on condition that the one
//! before it succeeded (HTTP_V2_SPEC.md and HRANA_2_SPEC.md in the docs of
//! github.com/tursodatabase/libsql).
//!
//! Written here and not taken from libsql-client: its batch conditions
//! serialise to what servers refuse, and its errors leave out the code.

use serde::{Deserialize, Serialize};

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

/// A value, as the protocol writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Value {
    Null,
    /// In decimal: JSON's numbers are exact to 2^53 only.
    Integer {
        value: String,
    },
    Float {
        value: f64,
    },
    Text {
        value: String,
    },
    Blob,
}

/// One SQL statement with its values for `?1`, `?2`, …
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statement {
    sql: &'static str,
    args: Vec<Value>,
    want_rows: bool,
}

impl Statement {
    /// A statement whose rows are wanted.
    #[must_use]
    pub fn new(sql: &'static str, args: Vec<Value>) -> Self {
        Self { sql, args, want_rows: true }
    }

    /// One that is run for what it does.
    fn silent(sql: &'static str) -> Self {
        Self { sql, args: Vec::new(), want_rows: false }
    }

    /// Whether it surely writes nothing.
    fn reads(&self) -> bool {
        self.sql.trim_start().starts_with("SELECT")
    }
}

/// The rows of one statement, each the text of its one column.
pub type Rows = Vec<String>;

/// Why there are no rows. What it tells is for the log, but for a token's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The token is not good for it; what to do.
    Token(&'static str),
    /// No libSQL server answers there; what does.
    NoDatabase(String),
    /// It passes by itself.
    Unavailable(String),
    /// The statement is wrong, or the answer.
    Internal(String),
}

/// What is sent in one round trip, and which of its steps were asked for.
#[derive(Debug)]
pub struct Script {
    steps: Vec<Step>,
    /// The first step that is a statement of the caller's.
    first: usize,
    statements: usize,
    writes: bool,
}

/// The server's answer to a [`Script`].
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
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
    stmt: Statement,
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
    pub fn query(statement: Statement) -> Self {
        let mut script = Self::new(statement.reads());
        script.add([statement]);
        script
    }

    /// All statements in one transaction, or none of them.
    pub fn transaction(statements: Vec<Statement>) -> Self {
        let only_reads = statements.iter().all(Statement::reads);
        let mut script = Self::new(only_reads);
        // IMMEDIATE takes the write lock before anything is read: a batch
        // never fails half-way because another one has written meanwhile.
        script.then(Statement::silent(if only_reads { "BEGIN" } else { "BEGIN IMMEDIATE" }));
        script.add(statements);
        script.then(Statement::silent("COMMIT"));
        let committed = Condition::Ok { step: script.steps.len() - 1 };
        let condition = Some(Condition::Not { cond: Box::new(committed) });
        script.steps.push(Step { condition, stmt: Statement::silent("ROLLBACK") });
        script
    }

    fn new(only_reads: bool) -> Self {
        let mut script = Self { steps: Vec::new(), first: 0, statements: 0, writes: !only_reads };
        // A token that may only read may not even say this.
        if !only_reads {
            script.then(Statement::silent(FOREIGN_KEYS));
        }
        script
    }

    fn add(&mut self, statements: impl IntoIterator<Item = Statement>) {
        self.first = self.steps.len();
        for statement in statements {
            self.then(statement);
        }
        self.statements = self.steps.len() - self.first;
    }

    /// A step that runs if the one before it succeeded.
    fn then(&mut self, stmt: Statement) {
        let condition = self.steps.len().checked_sub(1).map(|step| Condition::Ok { step });
        self.steps.push(Step { condition, stmt });
    }

    /// Whether it takes the write lock.
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// The body of `POST /v2/pipeline`.
    pub fn body(&self) -> Result<String, Failure> {
        let batch = Request::Batch { batch: Batch { steps: &self.steps } };
        serde_json::to_string(&Pipeline { requests: [batch, Request::Close] })
            .map_err(|e| Failure::Internal(format!("Turso: {e}")))
    }

    /// Reads the answer to [`Self::body`].
    ///
    /// # Errors
    /// [`Failure`], by what mends it.
    pub fn reply(&self, status: u16, body: &str) -> Result<Reply, Failure> {
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
            return if is_busy(&error) { Ok(Reply::Busy(describe(&error))) } else { Err(failed(&error)) };
        }
        let asked = step_results.into_iter().skip(self.first).take(self.statements);
        let rows: Vec<Rows> = asked.flatten().map(rows).collect();
        if rows.len() != self.statements {
            return Err(Failure::Internal("Turso: the answer leaves out a statement".to_owned()));
        }
        Ok(Reply::Rows(rows))
    }
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
    step_results: Vec<Option<StatementResult>>,
    step_errors: Vec<Option<Refusal>>,
}

#[derive(Deserialize)]
struct StatementResult {
    rows: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
    code: Option<String>,
}

/// The one column of every answering statement; a NULL is no row.
fn rows(result: StatementResult) -> Rows {
    let columns = result.rows.into_iter().filter_map(|row| row.into_iter().next());
    let text = |column| match column {
        Value::Text { value } | Value::Integer { value } => Some(value),
        Value::Float { value } => Some(value.to_string()),
        Value::Null | Value::Blob => None,
    };
    columns.filter_map(text).collect()
}

fn is_busy(error: &Refusal) -> bool {
    error.code.as_deref().is_some_and(|code| BUSY.iter().any(|busy| code.starts_with(busy)))
}

/// What a refused statement means for the caller.
fn failed(error: &Refusal) -> Failure {
    let passes = error.code.as_deref().is_some_and(|code| TRANSIENT.contains(&code)) || is_busy(error);
    if passes { Failure::Unavailable(describe(error)) } else { Failure::Internal(describe(error)) }
}

fn describe(error: &Refusal) -> String {
    format!("Turso: {} ({})", error.message, error.code.as_deref().unwrap_or("no code"))
}

/// What a status other than 200 means. The server's words go to the log at
/// most: they are not ours to show.
fn refused(status: u16, body: &str) -> Failure {
    match status {
        401 if body.contains("expired") => {
            Failure::Token("DATABASE_AUTH_TOKEN has expired; the database needs a new one")
        }
        401 => Failure::Token("The database does not accept DATABASE_AUTH_TOKEN"),
        403 => Failure::Token(
            "DATABASE_AUTH_TOKEN may only read, or belongs to another database; a token that may write is needed",
        ),
        408 | 429 | 500.. => Failure::Unavailable(format!("Turso: status {status}: {}", start(body))),
        400 | 413 => Failure::Internal(format!("Turso: status {status}: {}", start(body))),
        _ => no_database(&format!("status {status}")),
    }
}

fn unreadable(error: &serde_json::Error) -> Failure {
    if error.is_eof() {
        Failure::Unavailable(format!("Turso: the answer was cut off: {error}"))
    } else {
        no_database("no JSON of Hrana")
    }
}

fn no_database(what: &str) -> Failure {
    Failure::NoDatabase(what.to_owned())
}

/// Enough of a text to tell what it is about.
fn start(text: &str) -> String {
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    fn sql(text: &'static str) -> Statement {
        Statement::new(text, Vec::new())
    }

    fn integer(value: i64) -> Value {
        Value::Integer { value: value.to_string() }
    }

    fn text(value: &str) -> Value {
        Value::Text { value: value.to_owned() }
    }

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
        let script = Script::query(Statement::new("SELECT ?1 AS json", vec![integer(1)]));
        assert_eq!(
            sent(&script),
            json!({ "requests": [
                { "type": "batch", "batch": { "steps": [{ "stmt": {
                    "sql": "SELECT ?1 AS json", "args": [{ "type": "integer", "value": "1" }],
                    "want_rows": true,
                } }] } },
                { "type": "close" },
            ] })
        );
    }

    #[test]
    fn integers_are_exact_and_nulls_are_nulls() {
        let steps = steps(&Script::query(Statement::new(
            "SELECT ?1",
            vec![integer(i64::MIN), text("x"), Value::Null],
        )));
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
        let steps = steps(&Script::query(sql("DELETE FROM projects")));
        assert_eq!(steps[0]["stmt"]["sql"], FOREIGN_KEYS);
        assert_eq!(steps[1]["condition"], json!({ "type": "ok", "step": 0 }));
    }

    #[test]
    fn a_batch_commits_if_every_step_succeeded_and_else_rolls_back() {
        let steps = steps(&Script::transaction(vec![sql("DELETE FROM a"), sql("SELECT 1")]));
        let detail: Vec<_> = steps.iter().map(|s| s["stmt"]["sql"].as_str().unwrap()).collect();
        assert_eq!(
            detail,
            [FOREIGN_KEYS, "BEGIN IMMEDIATE", "DELETE FROM a", "SELECT 1", "COMMIT", "ROLLBACK"]
        );
        for (at, step) in steps.iter().enumerate().take(5).skip(1) {
            assert_eq!(step["condition"], json!({ "type": "ok", "step": at - 1 }));
        }
        assert_eq!(steps[5]["condition"], json!({ "type": "not", "cond": { "type": "ok", "step": 4 } }));
    }

    #[test]
    fn a_batch_of_reads_does_not_take_the_write_lock() {
        let steps = steps(&Script::transaction(vec![sql("SELECT 1"), sql("\n SELECT 2")]));
        assert_eq!(steps[0]["stmt"]["sql"], "BEGIN");
    }

    #[test]
    fn rows_are_those_of_the_statements_alone() {
        let script = Script::transaction(vec![sql("UPDATE a"), sql("SELECT 1")]);
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
        let rows = vec![vec!["{\"a\":1}".to_owned()], vec!["9223372036854775807".to_owned()]];
        assert_eq!(reply, Reply::Rows(rows));
    }

    #[test]
    fn the_first_error_of_a_batch_is_its_cause() {
        let script = Script::transaction(vec![sql("UPDATE a")]);
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
        let internal = Failure::Internal("Turso: database is locked (SQLITE_X)".to_owned());
        assert_eq!(reply("SQLITE_X"), Err(internal));
        let unavailable = Failure::Unavailable("Turso: database is locked (BLOCKED)".to_owned());
        assert_eq!(reply("BLOCKED"), Err(unavailable));
    }

    #[test]
    fn a_request_that_failed_as_a_whole_is_not_known_to_have_done_nothing() {
        let error = json!({ "message": "database is locked", "code": "SQLITE_BUSY" });
        let body = json!({ "results": [{ "type": "error", "error": error }] }).to_string();
        let reply = Script::query(sql("UPDATE a")).reply(200, &body);
        assert!(matches!(reply, Err(Failure::Unavailable(_))), "{reply:?}");
    }

    #[test]
    fn an_answer_without_a_statement_is_no_success() {
        let script = Script::query(sql("UPDATE a"));
        let empty =
            [json!({ "results": [] }).to_string(), answer(&json!([result(&[]), null]), &json!([null, null]))];
        for body in empty {
            assert!(matches!(script.reply(200, &body), Err(Failure::Internal(_))), "{body}");
        }
    }

    #[test]
    fn each_refusal_is_told_by_what_mends_it() {
        let script = Script::query(sql("UPDATE a"));
        let variable = |status, body| match script.reply(status, body) {
            Err(Failure::Token(_)) => "DATABASE_AUTH_TOKEN",
            Err(Failure::NoDatabase(_)) => "DATABASE_URL",
            Err(Failure::Unavailable(_)) => "later",
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
        let error = Script::query(sql("SELECT 1")).reply(401, "Unauthorized: eyJsecret").unwrap_err();
        assert!(!format!("{error:?}").contains("eyJ"));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(status in 200_u16..600, body in ".*") {
            let _ = Script::query(sql("UPDATE a")).reply(status, &body);
        }

        #[test]
        fn every_row_comes_back_as_it_was(statements in prop::collection::vec(prop::collection::vec(".*", 0..4), 1..5)) {
            let script = Script::transaction(vec![sql("SELECT 1"); statements.len()]);
            let rows = |rows: &Vec<String>| result(&rows.iter().map(|row| json!({ "type": "text", "value": row })).collect::<Vec<_>>());
            let mut results = vec![result(&[])];
            results.extend(statements.iter().map(rows));
            results.extend([result(&[]), Json::Null]);
            let errors = vec![Json::Null; results.len()];
            prop_assert_eq!(script.reply(200, &answer(&json!(results), &json!(errors))), Ok(Reply::Rows(statements)));
        }
    }
}
