//! Cloudflare D1, through worker's binding.

use serde::Deserialize;
use worker::{D1Database, D1PreparedStatement, D1Result, D1Type, Env};

use super::{Rows, Statement, Value, statement::GUARD};
use crate::{error::Error, settings::binding};

/// Parts of the messages of failures that pass by themselves
/// (developers.cloudflare.com/d1/observability/debug-d1).
const TRANSIENT: &[&str] = &[
    "Network connection lost",
    "storage caused object to be reset",
    "reset because its code was updated",
    "overloaded",
    "Too many requests queued",
    "Internal error",
    "database is locked",
];

pub(super) fn open(env: &Env) -> Result<D1Database, Error> {
    env.d1(binding::DATABASE).map_err(|_| Error::NotConfigured {
        variable: binding::DATABASE,
        detail: "The D1 binding DB is missing from wrangler.toml".to_owned(),
    })
}

pub(super) async fn query(database: &D1Database, statement: Statement) -> Result<Rows, Error> {
    let result = prepare(database, &statement)?.run().await.map_err(|e| failed(&e))?;
    rows(&result)
}

pub(super) async fn batch(database: &D1Database, statements: Vec<Statement>) -> Result<Vec<Rows>, Error> {
    let prepared: Result<_, Error> = statements.iter().map(|s| prepare(database, s)).collect();
    let results = database.batch(prepared?).await.map_err(|e| failed(&e))?;
    results.iter().map(rows).collect()
}

fn prepare(database: &D1Database, statement: &Statement) -> Result<D1PreparedStatement, Error> {
    let prepared = database.prepare(statement.sql);
    let values: Vec<D1Type> = statement.values.iter().map(bound).collect();
    prepared.bind_refs(&values).map_err(|e| failed(&e))
}

fn bound(value: &Value) -> D1Type<'_> {
    match value {
        Value::Null => D1Type::Null,
        // D1Type::Integer is 32 bits wide; a number that is whole is stored as
        // an INTEGER all the same.
        #[expect(clippy::cast_precision_loss, reason = "integers are bounded by 2^53, see Value")]
        Value::Integer(number) => D1Type::Real(*number as f64),
        Value::Text(text) => D1Type::Text(text),
    }
}

/// Every answering statement has one column, named `json`.
#[derive(Deserialize)]
struct Row {
    json: Option<String>,
}

fn rows(result: &D1Result) -> Result<Rows, Error> {
    let rows = result.results::<Row>().map_err(|e| Error::Internal(format!("D1 rows: {e}")))?;
    Ok(Rows(rows.into_iter().filter_map(|row| row.json).collect()))
}

fn failed(error: &worker::Error) -> Error {
    let message = match error {
        worker::Error::D1(error) => error.cause(),
        other => other.to_string(),
    };
    if message.contains(GUARD) {
        return Error::GuardFailed;
    }
    let message = format!("D1: {message}");
    if TRANSIENT.iter().any(|part| message.contains(part)) {
        return Error::database(message);
    }
    Error::Internal(message)
}
