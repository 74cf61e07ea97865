//! The part of Hrana, the protocol of Turso and of every libSQL server, that
//! one round trip needs: a batch of steps, each conditional on the success of
//! the one before (HTTP_V2_SPEC.md and HRANA_2_SPEC.md in the docs of
//! github.com/tursodatabase/libsql).
//!
//! libsql-client is not used: servers refuse the form of its batch conditions,
//! and its errors lack the code.

use serde::{Deserialize, Serialize};

/// Deletes rely on `ON DELETE CASCADE`. Whether foreign keys are on by default
/// depends on the server's build, and each stream starts with the default.
const FOREIGN_KEYS: &str = "PRAGMA foreign_keys = ON";

/// Prefixes of the error codes of a step that did nothing because the database
/// was locked.
const BUSY: &[&str] = &["SQLITE_BUSY", "SQLITE_LOCKED"];

/// Other error codes that are transient.
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
    /// SQL's NULL.
    Null,
    /// In decimal, because JSON numbers are exact only up to 2^53.
    Integer {
        /// The digits.
        value: String,
    },
    /// A floating-point number.
    Float {
        /// The number.
        value: f64,
    },
    /// Text in UTF-8.
    Text {
        /// The text.
        value: String,
    },
    /// Bytes. They are not read: a row here is one column of JSON text.
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

    /// A statement whose rows are not needed.
    fn silent(sql: &'static str) -> Self {
        Self { sql, args: Vec::new(), want_rows: false }
    }

    /// Whether it certainly writes nothing.
    fn reads(&self) -> bool {
        self.sql.trim_start().starts_with("SELECT")
    }
}

/// The rows of one statement; each is the text of its only column.
pub type Rows = Vec<String>;

/// Why a script failed. The text is for the log only, except for `Token`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HranaError {
    /// The token was not accepted; says what the operator must do.
    Token(&'static str),
    /// The URL is not a libSQL server; says what answered.
    NoDatabase(String),
    /// A transient failure.
    Unavailable(String),
    /// The statement or the response is invalid.
    Internal(String),
}

/// The steps of one round trip, and which of them are the caller's statements.
#[derive(Debug)]
pub struct Script {
    steps: Vec<Step>,
    /// The first step that is a statement of the caller.
    first: usize,
    statements: usize,
    writes: bool,
}

/// The server's response to a [`Script`].
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// The rows of each statement; all writes are committed.
    Rows(Vec<Rows>),
    /// The database was locked for too long. Nothing was written, so the script
    /// may be sent again. Contains the server's message.
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
    /// Closes the stream, so that there is no baton and no `base_url` to track,
    /// and an open transaction is rolled back.
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
        // IMMEDIATE takes the write lock before the first read, so that a
        // concurrent write cannot make a batch fail half-way.
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
        // A read-only token may not run this pragma.
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
    pub fn body(&self) -> Result<String, HranaError> {
        let batch = Request::Batch { batch: Batch { steps: &self.steps } };
        serde_json::to_string(&Pipeline { requests: [batch, Request::Close] })
            .map_err(|e| HranaError::Internal(format!("Turso: {e}")))
    }

    /// Parses the response to [`Self::body`].
    ///
    /// # Errors
    /// [`HranaError`], by what the caller or the operator can do about it.
    pub fn reply(&self, status: u16, body: &str) -> Result<Reply, HranaError> {
        if status != 200 {
            return Err(refused(status, body));
        }
        let answer: PipelineResponse = hatch_json::from_str(body).map_err(|e| unreadable(&e))?;
        let RequestOutcome { response, error } = answer.results.into_iter().next().unwrap_or_default();
        if let Some(error) = error {
            return Err(failed(&error));
        }
        let BatchResult { step_results, step_errors } = response.and_then(|r| r.result).unwrap_or_default();
        // The first error is the cause, because the steps after it were
        // skipped.
        if let Some(error) = step_errors.into_iter().flatten().next() {
            return if is_busy(&error) { Ok(Reply::Busy(describe(&error))) } else { Err(failed(&error)) };
        }
        let asked = step_results.into_iter().skip(self.first).take(self.statements);
        let rows: Vec<Rows> = asked.flatten().map(rows).collect();
        if rows.len() != self.statements {
            return Err(HranaError::Internal(
                "Turso: the response lacks the result of a statement".to_owned(),
            ));
        }
        Ok(Reply::Rows(rows))
    }
}

#[derive(Deserialize)]
struct PipelineResponse {
    results: Vec<RequestOutcome>,
}

/// The result of one request of the pipeline.
#[derive(Default, Deserialize)]
struct RequestOutcome {
    response: Option<Response>,
    error: Option<StepError>,
}

#[derive(Deserialize)]
struct Response {
    result: Option<BatchResult>,
}

/// By step: a skipped step has neither a result nor an error.
#[derive(Default, Deserialize)]
struct BatchResult {
    step_results: Vec<Option<StatementResult>>,
    step_errors: Vec<Option<StepError>>,
}

#[derive(Deserialize)]
struct StatementResult {
    rows: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct StepError {
    message: String,
    code: Option<String>,
}

/// The values of the only column; NULL values are left out.
fn rows(result: StatementResult) -> Rows {
    let columns = result.rows.into_iter().filter_map(|row| row.into_iter().next());
    let text = |column| match column {
        Value::Text { value } | Value::Integer { value } => Some(value),
        Value::Float { value } => Some(value.to_string()),
        Value::Null | Value::Blob => None,
    };
    columns.filter_map(text).collect()
}

fn is_busy(error: &StepError) -> bool {
    error.code.as_deref().is_some_and(|code| BUSY.iter().any(|busy| code.starts_with(busy)))
}

/// Classifies the error of a statement.
fn failed(error: &StepError) -> HranaError {
    let passes = error.code.as_deref().is_some_and(|code| TRANSIENT.contains(&code)) || is_busy(error);
    if passes { HranaError::Unavailable(describe(error)) } else { HranaError::Internal(describe(error)) }
}

fn describe(error: &StepError) -> String {
    format!("Turso: {} ({})", error.message, error.code.as_deref().unwrap_or("no code"))
}

/// Classifies a status other than 200. The server's message goes only to the
/// log, never to a client.
fn refused(status: u16, body: &str) -> HranaError {
    match status {
        401 if body.contains("expired") => {
            HranaError::Token("DATABASE_AUTH_TOKEN has expired; the database needs a new one")
        }
        401 => HranaError::Token("The database does not accept DATABASE_AUTH_TOKEN"),
        403 => HranaError::Token(
            "DATABASE_AUTH_TOKEN may only read, or belongs to another database; a token that may write is needed",
        ),
        408 | 429 | 500.. => HranaError::Unavailable(format!("Turso: status {status}: {}", start(body))),
        400 | 413 => HranaError::Internal(format!("Turso: status {status}: {}", start(body))),
        _ => no_database(&format!("status {status}")),
    }
}

fn unreadable(error: &hatch_json::Error) -> HranaError {
    if error.is_eof() {
        HranaError::Unavailable(format!("Turso: the answer was cut off: {error}"))
    } else {
        no_database("no JSON of Hrana")
    }
}

fn no_database(what: &str) -> HranaError {
    HranaError::NoDatabase(what.to_owned())
}

/// The beginning of a text, for the log.
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
    fn a_write_turns_foreign_keys_on_first() {
        let steps = steps(&Script::query(sql("DELETE FROM projects")));
        assert_eq!(steps[0]["stmt"]["sql"], FOREIGN_KEYS);
        assert_eq!(steps[1]["condition"], json!({ "type": "ok", "step": 0 }));
    }

    #[test]
    fn a_batch_commits_if_every_step_succeeded_and_rolls_back_otherwise() {
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
    fn only_rows_of_the_callers_statements_are_returned() {
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
        let internal = HranaError::Internal("Turso: database is locked (SQLITE_X)".to_owned());
        assert_eq!(reply("SQLITE_X"), Err(internal));
        let unavailable = HranaError::Unavailable("Turso: database is locked (BLOCKED)".to_owned());
        assert_eq!(reply("BLOCKED"), Err(unavailable));
    }

    #[test]
    fn a_request_that_failed_as_a_whole_is_not_reported_as_busy() {
        let error = json!({ "message": "database is locked", "code": "SQLITE_BUSY" });
        let body = json!({ "results": [{ "type": "error", "error": error }] }).to_string();
        let reply = Script::query(sql("UPDATE a")).reply(200, &body);
        assert!(matches!(reply, Err(HranaError::Unavailable(_))), "{reply:?}");
    }

    #[test]
    fn a_response_that_lacks_a_statement_is_an_error() {
        let script = Script::query(sql("UPDATE a"));
        let empty =
            [json!({ "results": [] }).to_string(), answer(&json!([result(&[]), null]), &json!([null, null]))];
        for body in empty {
            assert!(matches!(script.reply(200, &body), Err(HranaError::Internal(_))), "{body}");
        }
    }

    #[test]
    fn each_error_is_classified_by_what_can_be_done_about_it() {
        let script = Script::query(sql("UPDATE a"));
        let variable = |status, body| match script.reply(status, body) {
            Err(HranaError::Token(_)) => "DATABASE_AUTH_TOKEN",
            Err(HranaError::NoDatabase(_)) => "DATABASE_URL",
            Err(HranaError::Unavailable(_)) => "later",
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
    fn a_servers_message_about_a_token_is_not_repeated() {
        let error = Script::query(sql("SELECT 1")).reply(401, "Unauthorized: eyJsecret").unwrap_err();
        assert!(!format!("{error:?}").contains("eyJ"));
    }

    proptest! {
        #[test]
        fn any_response_is_parsed_or_refused(status in 200_u16..600, body in ".*") {
            let _ = Script::query(sql("UPDATE a")).reply(status, &body);
        }

        #[test]
        fn every_row_survives_a_round_trip(statements in prop::collection::vec(prop::collection::vec(".*", 0..4), 1..5)) {
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
