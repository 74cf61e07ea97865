//! What is too large for a row of the database: JSON objects in the bucket. The row has the key, and of what is
//! there only the ids.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use worker::Env;

use crate::{
    error::Error,
    platform::log,
    store::{Database, Statement, files},
};

/// The most that is stored in a row. A row of D1 holds two megabytes.
pub(in crate::gateway) const MOST_BYTES_IN_ROW: usize = 1_500_000;

/// Why an answer is not stored, as its client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Unstored {
    TooLarge,
    /// It could not be written.
    Failed,
}

impl Unstored {
    pub(in crate::gateway) fn warning(self) -> &'static str {
        match self {
            Self::TooLarge => "store: the answer is too large to be stored",
            Self::Failed => "store: the answer could not be stored",
        }
    }
}

/// Writes an object. The batch that writes its row needs the statement.
pub(in crate::gateway) async fn write(
    key: &str,
    object: String,
    env: &Env,
    database: &Database,
) -> Result<Statement, Unstored> {
    files::put_unclaimed(env, database, key, object.into_bytes()).await.map_err(|error| failed(&error))?;
    Ok(files::claim(key))
}

pub(in crate::gateway) fn failed(error: &Error) -> Unstored {
    log::failure("gateway.store", error);
    Unstored::Failed
}

/// How often a row is read whose object is gone.
const MOST_READS: u32 = 3;

/// Reads a row with its object. `read` returns none if the object is gone: since the row was read it has been
/// replaced or deleted, so it is read again.
pub(in crate::gateway) async fn with_row<T>(
    read: impl AsyncFn() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    for _ in 0..MOST_READS {
        if let Some(found) = read().await? {
            return Ok(found);
        }
    }
    Err(Error::Internal("the object of a row is missing".to_owned()))
}

/// None if there is no such object.
pub(in crate::gateway) async fn read<T: DeserializeOwned>(key: &str, env: &Env) -> Result<Option<T>, Error> {
    let Some(text) = files::read_text(env, key).await? else { return Ok(None) };
    let object = hatch_json::from_str(&text);
    object.map(Some).map_err(|error| Error::Internal(format!("the object {key}: {error}")))
}

/// What the row has of these entries.
pub(in crate::gateway) fn ids_of<'e>(entries: impl IntoIterator<Item = &'e Value>) -> String {
    let ids: Vec<Value> = entries.into_iter().map(|entry| json!({ "id": entry.get("id") })).collect();
    json!(ids).to_string()
}
