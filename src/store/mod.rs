//! What is kept: strings in, typed rows out.
//!
//! Every statement that answers does so with one column of JSON text, which
//! SQLite assembles (`json_object`, `json_group_array`). A row then crosses
//! into Wasm as one string whatever its width, a list as one string whatever
//! its length, and D1 and Turso are read alike.

mod d1;
pub(crate) mod export;
pub(crate) mod files;
mod hrana;
pub(crate) mod page;
pub(crate) mod projects;
pub(crate) mod sealing;
mod turns;
mod turso;

pub(crate) use page::page;

use std::rc::Rc;

use serde::de::DeserializeOwned;
use worker::Env;

use crate::{
    error::Error,
    settings::{Settings, Turso},
};

/// A value bound to a statement. Integers are exact to 2^53 (D1 passes them
/// as JavaScript numbers); what is larger is kept as text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One SQL statement with its values for `?1`, `?2`, …
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) values: Vec<Value>,
}

/// `sql!("SELECT …", a, b)`: a [`Statement`].
macro_rules! sql {
    ($sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::Statement { sql: $sql, values: vec![$($crate::store::Value::from($value)),*] }
    };
}
pub(crate) use sql;

/// The rows of one statement, each its JSON text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rows(pub(crate) Vec<String>);

impl Rows {
    /// Every row, read as a `T`.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<Vec<T>, Error> {
        self.0.iter().map(|json| read(json)).collect()
    }

    /// The first row, read as a `T`.
    pub(crate) fn first<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.0.first().map(|json| read(json)).transpose()
    }

    /// The first row's JSON as it is.
    pub(crate) fn into_json(self) -> Option<String> {
        self.0.into_iter().next()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json)
        .map_err(|e| Error::Internal(format!("a row is not what the code expects: {e}")))
}

/// The truth: D1, or Turso where `DATABASE_URL` is set. All SQL runs on both.
#[derive(Debug)]
pub(crate) enum Database {
    D1(worker::D1Database),
    Turso(Rc<Turso>),
}

impl Database {
    pub(crate) fn open(env: &Env) -> Result<Self, Error> {
        match &Settings::of(env)?.turso {
            Some(turso) => Ok(Self::Turso(turso.clone())),
            None => d1::open(env).map(Self::D1),
        }
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot answer now,
    /// [`Error::NotConfigured`] when it refuses the token,
    /// [`Error::Internal`] for a statement that it refuses.
    pub(crate) async fn query(&self, statement: Statement) -> Result<Rows, Error> {
        match self {
            Self::D1(database) => d1::query(database, statement).await,
            Self::Turso(server) => turso::query(server, statement).await,
        }
    }

    /// The first row of one statement as JSON, passed on as it is.
    pub(crate) async fn query_json(&self, statement: Statement) -> Result<Option<String>, Error> {
        Ok(self.query(statement).await?.into_json())
    }

    /// Runs all statements in one transaction and one round trip, or none of
    /// them. Answers with the rows of each.
    pub(crate) async fn batch<const N: usize>(&self, statements: [Statement; N]) -> Result<[Rows; N], Error> {
        let rows = self.batch_all(statements.into()).await?;
        rows.try_into().map_err(|_| Error::Internal("the database left out a statement's rows".to_owned()))
    }

    /// [`Self::batch`] for as many statements as there are.
    pub(crate) async fn batch_all(&self, statements: Vec<Statement>) -> Result<Vec<Rows>, Error> {
        match self {
            Self::D1(database) => d1::batch(database, statements).await,
            Self::Turso(server) => turso::batch(server, statements).await,
        }
    }
}
