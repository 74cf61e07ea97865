//! Requests that ask D1 at about the same time share a round trip.
//!
//! A round trip costs far more than what a statement does in it. If one of several cannot be answered, or nothing is
//! heard of their batch, each asks by itself: so only what may run twice is shared. And only like goes with like,
//! because all wait for the slowest.

use std::{rc::Rc, thread::LocalKey};

use super::{
    Rows, Statement,
    d1::{self, D1},
};
use crate::{
    error::Error,
    platform::{batcher::Batcher, log},
};

/// An answer is one string of D1's, however many requests it is for.
const MOST: usize = 16;
/// D1 takes as long for a batch that has left as for its statements one by one.
const ANSWERS_MS: u64 = 5_000;

/// What goes together.
pub(crate) type Trips = Batcher<Vec<Statement>, Result<Vec<Rows>, Error>>;

thread_local! {
    /// Who is asking.
    pub(crate) static CREDENTIALS: Trips = const { Trips::new(MOST, ANSWERS_MS) };
    /// Pages of lists, which may be long.
    pub(crate) static LISTS: Trips = const { Trips::new(MOST, ANSWERS_MS) };
    /// The states of jobs.
    pub(crate) static STATES: Trips = const { Trips::new(MOST, ANSWERS_MS) };
    /// Files of hosted sites.
    pub(crate) static SITE_FILES: Trips = const { Trips::new(MOST, ANSWERS_MS) };
    /// Beats of machines.
    pub(crate) static BEATS: Trips = const { Trips::new(MOST, ANSWERS_MS) };
}

/// Runs statements that may run twice, in one transaction with those of other requests. Returns the rows of each.
///
/// # Errors
/// As [`d1::batch`].
pub(super) async fn batch(
    trips: &'static LocalKey<Trips>,
    database: &D1,
    statements: Vec<Statement>,
) -> Result<Vec<Rows>, Error> {
    let statements = Rc::new(statements);
    let ask = async |requests: &[Rc<Vec<Statement>>]| match requests {
        [one] => vec![Some(alone(database, one).await)],
        several => together(database, several).await,
    };
    if let Some(rows) = Batcher::run(trips, statements.clone(), ask).await {
        return rows;
    }
    let _under_way = Batcher::under_way(trips);
    alone(database, &statements).await
}

async fn alone(database: &D1, statements: &[Statement]) -> Result<Vec<Rows>, Error> {
    match statements {
        [statement] => Ok(vec![d1::query(database, statement).await?]),
        statements => d1::batch(database, statements).await,
    }
}

/// Nothing for each request if one of them may be the reason why they cannot be answered together.
async fn together(database: &D1, requests: &[Rc<Vec<Statement>>]) -> Vec<Option<Result<Vec<Rows>, Error>>> {
    let statements: Vec<&Statement> = requests.iter().flat_map(|statements| statements.iter()).collect();
    match d1::batch(database, &statements).await {
        Ok(rows) => parts(rows, requests.iter().map(|statements| statements.len())),
        Err(error @ Error::Unavailable(..)) => requests.iter().map(|_| Some(Err(error.clone()))).collect(),
        Err(error) => {
            log::failure("store.shared", &error);
            Vec::new()
        }
    }
}

/// Cuts the rows of all statements into those of each request, which has so many.
fn parts<E>(rows: Vec<Rows>, counts: impl Iterator<Item = usize>) -> Vec<Option<Result<Vec<Rows>, E>>> {
    let mut rows = rows.into_iter();
    let part = |count| {
        let part: Vec<Rows> = rows.by_ref().take(count).collect();
        (part.len() == count).then_some(Ok(part))
    };
    counts.map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_the_rows_of_its_own_statements_or_nothing() {
        let rows =
            |names: &[&str]| names.iter().map(|name| Rows(vec![(*name).to_owned()])).collect::<Vec<_>>();
        let cut = parts::<()>(rows(&["a", "b1", "b2", "c"]), [1, 2, 1, 1].into_iter());
        assert_eq!(
            cut,
            [Some(Ok(rows(&["a"]))), Some(Ok(rows(&["b1", "b2"]))), Some(Ok(rows(&["c"]))), None]
        );
    }
}
