//! Turso, or another libSQL server such as sqld: one `POST /v2/pipeline` per query or batch.

use hatch_hrana::{self as hrana, Reply, Script};

use super::{
    settings::Turso,
    statement::{GUARD, Rows, Statement, Value},
    turns::WriteTurn,
};
use crate::{
    error::Error,
    platform::{
        clock::{now_ms, sleep},
        fetch::{self, Failure, OutboundRequest},
    },
};

/// The longest response that is read, in bytes; sqld itself stops at 10 MB.
const LONGEST: usize = 16 * 1024 * 1024;

/// Pauses before a busy database gets the request again, in milliseconds.
const FIRST_PAUSE_MS: u64 = 10;
const LONGEST_PAUSE_MS: u64 = 500;

pub(super) async fn query(server: &Turso, statement: Statement) -> Result<Rows, Error> {
    let rows = run(server, &Script::query(sent(statement))).await?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

pub(super) async fn batch(server: &Turso, statements: Vec<Statement>) -> Result<Vec<Rows>, Error> {
    run(server, &Script::transaction(statements.into_iter().map(sent).collect())).await
}

/// Sends `script` until the database is not busy. A request without a response is not repeated: it
/// may have been executed.
async fn run(server: &Turso, script: &Script) -> Result<Vec<Rows>, Error> {
    let deadline = now_ms().saturating_add_unsigned(server.timeout_ms);
    let _turn = match script.writes() {
        true => Some(WriteTurn::wait(deadline).await.ok_or_else(too_many)?),
        false => None,
    };
    let mut pause_ms = FIRST_PAUSE_MS;
    loop {
        match send(server, script).await? {
            Reply::Rows(rows) => return Ok(rows.into_iter().map(Rows).collect()),
            Reply::Busy(message) if now_ms() >= deadline => return Err(Error::database(message)),
            Reply::Busy(_) => sleep(pause_ms).await,
        }
        pause_ms = (pause_ms * 2).min(LONGEST_PAUSE_MS);
    }
}

async fn send(server: &Turso, script: &Script) -> Result<Reply, Error> {
    let mut request =
        OutboundRequest::post_json(format!("{}/v2/pipeline", server.url), script.body().map_err(refused)?);
    if let Some(token) = &server.token {
        request = request.with("authorization", format!("Bearer {token}"));
    }
    let lost = |failure| lost(failure, server.timeout_ms);
    let answer = fetch::send(request, server.timeout_ms).await.map_err(lost)?;
    let status = answer.status();
    let body = answer.text(LONGEST, server.timeout_ms).await.map_err(lost)?;
    script.reply(status, &body).map_err(refused)
}

fn sent(statement: Statement) -> hrana::Statement {
    let value = |value| match value {
        Value::Null => hrana::Value::Null,
        Value::Integer(value) => hrana::Value::Integer { value: value.to_string() },
        Value::Text(value) => hrana::Value::Text { value },
    };
    hrana::Statement::new(statement.sql, statement.values.into_iter().map(value).collect())
}

fn refused(failure: hrana::HranaError) -> Error {
    match failure {
        hrana::HranaError::Token(detail) => {
            Error::NotConfigured { variable: "DATABASE_AUTH_TOKEN", detail: detail.to_owned() }
        }
        hrana::HranaError::NoDatabase(what) => Error::NotConfigured {
            variable: "DATABASE_URL",
            detail: format!("There is no libSQL database at DATABASE_URL: it answers with {what}"),
        },
        hrana::HranaError::Unavailable(detail) => Error::database(detail),
        hrana::HranaError::Internal(detail) if detail.contains(GUARD) => Error::GuardFailed,
        hrana::HranaError::Internal(detail) => Error::Internal(detail),
    }
}

fn too_many() -> Error {
    Error::database("Turso: too many writes wait for their turn".to_owned())
}

fn lost(failure: Failure, timeout_ms: u64) -> Error {
    match failure {
        Failure::Timeout => Error::database(format!("Turso: no answer within {timeout_ms} ms")),
        Failure::Network(message) => Error::database(format!("Turso: {message}")),
        Failure::TooLong => Error::Internal(format!("Turso: an answer is longer than {LONGEST} bytes")),
    }
}
