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
pub(super) const MOST_BYTES_IN_ROW: usize = 1_500_000;

/// Writes an object. The batch that writes its row needs the statement. None if it cannot be written.
pub(super) async fn write(key: &str, object: String, env: &Env, database: &Database) -> Option<Statement> {
    match files::put_unclaimed(env, database, key, object.into_bytes()).await {
        Ok(()) => Some(files::claim(key)),
        Err(error) => {
            log::failure("gateway.store_large", &error);
            None
        }
    }
}

pub(super) async fn read<T: DeserializeOwned>(key: &str, env: &Env) -> Result<T, Error> {
    let text = files::read_text(env, key).await?;
    let text = text.ok_or_else(|| Error::Internal(format!("the object {key} is missing")))?;
    hatch_json::from_str(&text).map_err(|error| Error::Internal(format!("the object {key}: {error}")))
}

/// What the row has of these entries.
pub(super) fn ids_of<'e>(entries: impl IntoIterator<Item = &'e Value>) -> String {
    let ids: Vec<Value> = entries.into_iter().map(|entry| json!({ "id": entry.get("id") })).collect();
    json!(ids).to_string()
}
