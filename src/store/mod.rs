//! Storage: statements in, typed rows out.
//!
//! Every statement that returns rows returns one column of JSON text, which SQLite assembles
//! (`json_object`, `json_group_array`). A row of any width, or a list of any length, then crosses
//! into Wasm as one string, and D1 and Turso are read alike.

pub(crate) mod archive;
mod d1;
pub(crate) mod files;
pub(crate) mod owned;
pub(crate) mod page;
pub(crate) mod projects;
pub(crate) mod sealing;
mod settings;
pub(crate) use settings::SETTINGS;
pub(crate) mod shape;
pub(crate) mod shared;
mod statement;
mod turns;
mod turso;

pub(crate) use page::{newest_of_user, page};
use settings::Turso;
pub(crate) use settings::sealing_key;
use shared::Trips;
pub(crate) use statement::{Rows, Statement, Value, guard, sql};

use std::{cell::RefCell, collections::BTreeMap, thread::LocalKey};

use worker::Env;

use crate::{
    error::Error,
    platform::clock::{MINUTE_MS, now_ms},
    settings::{FromVars as _, Settings},
};

/// The database: D1, or Turso when `DATABASE_URL` is set. All SQL runs on both.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    D1(d1::D1),
    Turso(&'static Turso),
}

impl Database {
    pub(crate) fn open(env: &Env) -> Result<Self, Error> {
        match Option::<Turso>::of(&*Settings::of(env)?)? {
            Some(turso) => Ok(Self::Turso(turso)),
            None => d1::open(env).map(Self::D1),
        }
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be reached, [`Error::NotConfigured`] when it
    /// refuses the token, [`Error::Internal`] when it refuses the statement.
    pub(crate) async fn query(&self, statement: Statement) -> Result<Rows, Error> {
        let _waiting = Waiting::begin();
        match self {
            Self::D1(database) => d1::query(database, &statement).await,
            Self::Turso(server) => turso::query(server, statement).await,
        }
    }

    /// Like [`Self::query`], for a statement that may run twice, because it reads or is idempotent: at D1 it shares
    /// its round trip with those of other requests, if there are several at a time.
    pub(crate) async fn query_shared(
        &self,
        trips: &'static LocalKey<Trips>,
        statement: Statement,
    ) -> Result<Rows, Error> {
        match self {
            Self::D1(_) => self.batch_shared(trips, [statement]).await.map(|[rows]| rows),
            Self::Turso(_) => self.query(statement).await,
        }
    }

    /// [`Self::query_shared`] for several statements.
    pub(crate) async fn batch_shared<const N: usize>(
        &self,
        trips: &'static LocalKey<Trips>,
        statements: [Statement; N],
    ) -> Result<[Rows; N], Error> {
        let _waiting = Waiting::begin();
        let rows = match self {
            Self::D1(database) => shared::batch(trips, database, statements.into()).await?,
            Self::Turso(server) => turso::batch(server, statements.into()).await?,
        };
        of_each(rows)
    }

    /// The first row of one statement as its unparsed JSON.
    pub(crate) async fn query_json(&self, statement: Statement) -> Result<Option<String>, Error> {
        Ok(self.query(statement).await?.into_json())
    }

    /// Runs all statements in one transaction and one round trip, or none of them. Returns the rows
    /// of each.
    ///
    /// # Errors
    /// As [`Self::query`], and [`Error::GuardFailed`] when a [`guard`] among them finds no row.
    pub(crate) async fn batch<const N: usize>(&self, statements: [Statement; N]) -> Result<[Rows; N], Error> {
        of_each(self.batch_all(statements.into()).await?)
    }

    /// [`Self::batch`] for any number of statements.
    pub(crate) async fn batch_all(&self, statements: Vec<Statement>) -> Result<Vec<Rows>, Error> {
        let _waiting = Waiting::begin();
        match self {
            Self::D1(database) => d1::batch(database, &statements).await,
            Self::Turso(server) => turso::batch(server, statements).await,
        }
    }
}

fn of_each<const N: usize>(rows: Vec<Rows>) -> Result<[Rows; N], Error> {
    rows.try_into().map_err(|_| Error::Internal("the database left out a statement's rows".to_owned()))
}

/// How many queries may wait for the database at once. It runs them one after the other, so a new
/// request would wait too long; and running requests need further queries to finish.
const MOST_WAITING: usize = 256;
/// No query takes so long. The platform ends an invocation about 30 s after its client has left, and drops nothing.
const FORGOTTEN_MS: i64 = MINUTE_MS;

thread_local! {
    static WAITING: RefCell<WaitingQueries> = const { RefCell::new(WaitingQueries::NONE) };
}

/// Whether too many queries are waiting, so that new requests should be refused.
pub(crate) fn is_overrun() -> bool {
    WAITING.with_borrow_mut(|waiting| waiting.are_too_many(now_ms))
}

/// Since when queries wait, by their numbers.
struct WaitingQueries {
    next: u64,
    since: BTreeMap<u64, i64>,
}

impl WaitingQueries {
    const NONE: Self = Self { next: 0, since: BTreeMap::new() };

    fn add(&mut self, now: i64) -> u64 {
        let number = self.next;
        self.next += 1;
        self.since.insert(number, now);
        number
    }

    fn are_too_many(&mut self, now: impl Fn() -> i64) -> bool {
        if self.since.len() >= MOST_WAITING {
            let oldest = now() - FORGOTTEN_MS;
            self.since.retain(|_, since| *since > oldest);
        }
        self.since.len() >= MOST_WAITING
    }
}

/// A query that waits for the database.
struct Waiting(u64);

impl Waiting {
    fn begin() -> Self {
        Self(WAITING.with_borrow_mut(|waiting| waiting.add(now_ms())))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.with_borrow_mut(|waiting| waiting.since.remove(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_overrun_while_too_many_queries_wait_that_are_not_forgotten() {
        let mut waiting = WaitingQueries::NONE;
        let numbers: Vec<u64> = (0..MOST_WAITING).map(|_| waiting.add(0)).collect();
        assert!(waiting.are_too_many(|| FORGOTTEN_MS - 1));
        waiting.since.remove(&numbers[7]);
        assert!(!waiting.are_too_many(|| 1));
        waiting.add(5);
        assert!(waiting.are_too_many(|| 5));
        assert!(!waiting.are_too_many(|| FORGOTTEN_MS));
    }
}
