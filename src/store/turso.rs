//! Turso, or any other libSQL server such as sqld: one `POST /v2/pipeline` a
//! query and a batch.

use super::{Rows, Statement, hrana::Script};
use crate::{
    error::Error,
    platform::fetch::{self, Failure, Outgoing},
    settings::Turso,
};

/// The longest answer that is read, in bytes; sqld itself stops at 10 MB.
const LONGEST: usize = 16 * 1024 * 1024;

pub(super) async fn query(server: &Turso, statement: Statement) -> Result<Rows, Error> {
    let rows = run(server, &Script::query(statement)).await?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

pub(super) async fn batch(server: &Turso, statements: Vec<Statement>) -> Result<Vec<Rows>, Error> {
    run(server, &Script::transaction(statements)).await
}

async fn run(server: &Turso, script: &Script) -> Result<Vec<Rows>, Error> {
    let mut request = Outgoing::post_json(format!("{}/v2/pipeline", server.url), script.body()?);
    if let Some(token) = &server.token {
        request = request.with("authorization", format!("Bearer {token}"));
    }
    let lost = |failure| lost(failure, server.timeout_ms);
    let answer = fetch::send(request, server.timeout_ms).await.map_err(lost)?;
    let status = answer.status();
    let body = answer.text(LONGEST, server.timeout_ms).await.map_err(lost)?;
    script.rows(status, &body)
}

fn lost(failure: Failure, timeout_ms: u64) -> Error {
    match failure {
        Failure::Timeout => Error::Unavailable(format!("Turso: no answer within {timeout_ms} ms")),
        Failure::Network(message) => Error::Unavailable(format!("Turso: {message}")),
        Failure::TooLong => Error::Internal(format!("Turso: an answer is longer than {LONGEST} bytes")),
    }
}
