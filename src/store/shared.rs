//! Requests that ask D1 at about the same time share a round trip.
//!
//! A round trip costs far more than what a statement does in it. If one of several cannot be answered, or nothing is
//! heard of their batch, each asks by itself: so only what may run twice is shared. Reads and writes go apart: D1 repeats
//! a batch of reads by itself, and reads need not wait for writes.

use std::rc::Rc;

use super::{
    Rows, Statement,
    d1::{self, D1},
};
use crate::{error::Error, platform::batcher::Batcher};

/// An answer is one string of D1's, however many requests it is for.
const MOST: usize = 16;
const PATIENCE_MS: u64 = 1_000;

type Trips = Batcher<Vec<Statement>, Result<Vec<Rows>, Error>>;

thread_local! {
    static READS: Trips = const { Trips::new(MOST, PATIENCE_MS) };
    static WRITES: Trips = const { Trips::new(MOST, PATIENCE_MS) };
}

/// Runs statements that may run twice, in one transaction with those of other requests. Returns the rows of each.
///
/// # Errors
/// As [`d1::batch`].
pub(super) async fn batch(database: &D1, statements: Vec<Statement>) -> Result<Vec<Rows>, Error> {
    let trips = if statements.iter().all(Statement::is_read) { &READS } else { &WRITES };
    let statements = Rc::new(statements);
    let ask = async |requests: &[Rc<Vec<Statement>>]| match requests {
        [one] => vec![Some(alone(database, one).await)],
        several => together(database, several).await,
    };
    match Batcher::run(trips, statements.clone(), ask).await {
        Some(rows) => rows,
        None => alone(database, &statements).await,
    }
}

async fn alone(database: &D1, statements: &[Statement]) -> Result<Vec<Rows>, Error> {
    match statements {
        [statement] => Ok(vec![d1::query(database, statement).await?]),
        statements => d1::batch(database, statements).await,
    }
}

/// Nothing for each request if they could not be asked for together.
async fn together(database: &D1, requests: &[Rc<Vec<Statement>>]) -> Vec<Option<Result<Vec<Rows>, Error>>> {
    let statements: Vec<&Statement> = requests.iter().flat_map(|statements| statements.iter()).collect();
    let Ok(rows) = d1::batch(database, &statements).await else { return Vec::new() };
    let mut rows = rows.into_iter();
    let part = |statements: &Rc<Vec<Statement>>| {
        let part: Vec<Rows> = rows.by_ref().take(statements.len()).collect();
        (part.len() == statements.len()).then_some(Ok(part))
    };
    requests.iter().map(part).collect()
}
