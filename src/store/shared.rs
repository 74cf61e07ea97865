//! Requests that read from D1 at about the same time share a round trip.
//!
//! A round trip costs far more than what a statement does in it. If one of several cannot be answered, or nothing is
//! heard of their batch, each asks by itself: so only what may run twice is shared.

use std::rc::Rc;

use super::{
    Rows, Statement,
    d1::{self, D1},
};
use crate::{error::Error, platform::batcher::Batcher};

/// An answer is one string of D1's, however many statements it is for.
const MOST: usize = 16;
const PATIENCE_MS: u64 = 1_000;

thread_local! {
    static READS: Batcher<Statement, Result<Rows, Error>> = const { Batcher::new(MOST, PATIENCE_MS) };
}

/// Runs a statement that only reads, in one transaction with those of other requests.
///
/// # Errors
/// As [`d1::query`].
pub(super) async fn query(database: &D1, statement: Statement) -> Result<Rows, Error> {
    let statement = Rc::new(statement);
    let ask = async |statements: &[Rc<Statement>]| match statements {
        [one] => vec![Some(d1::query(database, one).await)],
        several => {
            let answers = d1::batch(database, several).await.unwrap_or_default();
            answers.into_iter().map(|rows| Some(Ok(rows))).collect()
        }
    };
    match Batcher::run(&READS, statement.clone(), ask).await {
        Some(rows) => rows,
        None => d1::query(database, &statement).await,
    }
}
