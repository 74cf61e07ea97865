//! Statements for a database, and the rows that they return.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;

/// A value bound to a statement. Integers are exact to 2^53 (D1 passes them as JavaScript numbers);
/// larger numbers are stored as text.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
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

/// `sql!("SELECT …", a, b)` makes a [`Statement`].
macro_rules! sql {
    ($sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::Statement { sql: $sql, values: vec![$($crate::store::Value::from($value)),*] }
    };
}
pub(crate) use sql;

/// SQLite's message for a batch that a [`guard`] refused contains this text.
pub(super) const GUARD: &str = "refused by a guard";

/// A statement that fails, and so rolls back its batch, unless the query finds a row:
/// [`Error::GuardFailed`]. Outside of triggers, SQLite can only fail on purpose through a function
/// that rejects its argument. This one quotes the argument in its message, which must be the text
/// of `GUARD`.
macro_rules! guard {
    ($query:literal $(, $value:expr)* $(,)?) => {
        $crate::store::sql!(
            concat!("SELECT json_extract('{}', 'refused by a guard') AS json WHERE NOT EXISTS (", $query, ")")
            $(, $value)*
        )
    };
}
pub(crate) use guard;

/// The rows of one statement, each as JSON text.
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

    /// The first row's JSON, unparsed.
    pub(crate) fn into_json(self) -> Option<String> {
        self.0.into_iter().next()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    hatch_json::from_str(json)
        .map_err(|e| Error::Internal(format!("a row is not what the code expects: {e}")))
}
