//! The catalogue of models with their abilities and prices: the rows of the
//! table `models`, and the models that `PROVIDERS` lists.

use std::{cell::RefCell, rc::Rc};

use serde::Serialize;

use super::{model::Model, settings::Providers};
use crate::{
    error::Error,
    platform::clock::{MINUTE_MS, now_ms},
    settings::{FromVars as _, Settings},
    store::{Database, Statement, sql},
};

/// Every model of the database and of the settings.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) models: Vec<Model>,
}

/// How long an isolate uses the catalogue that it has read.
const FRESH_MS: i64 = MINUTE_MS;

thread_local! {
    static KNOWN: RefCell<Option<(i64, Rc<Catalogue>)>> = const { RefCell::new(None) };
}

impl Catalogue {
    /// The catalogue as this isolate knows it, at most a minute old.
    pub(crate) async fn of(settings: &Settings, database: &Database) -> Result<Rc<Self>, Error> {
        let now = now_ms();
        let known = KNOWN.with_borrow(|known| {
            known.as_ref().filter(|(at, _)| now - at < FRESH_MS).map(|(_, catalogue)| catalogue.clone())
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let rows: Option<Vec<Model>> = database.query(all()).await?.first()?;
        let catalogue = Rc::new(Self::new(rows.unwrap_or_default(), Providers::of(settings)?));
        KNOWN.set(Some((now, catalogue.clone())));
        Ok(catalogue)
    }

    pub(super) fn new(mut models: Vec<Model>, providers: &Providers) -> Self {
        for listed in providers.all.iter().flat_map(|provider| &provider.models) {
            models.retain(|model| model.id != listed.id);
            models.push(listed.clone());
        }
        Self { models }
    }

    /// Drops this isolate's copy after a change.
    pub(crate) fn forget() {
        KNOWN.set(None);
    }
}

/// A row as [`Model`] reads it.
macro_rules! model_json {
    () => {
        "json_object('id', id, 'provider', provider, 'name', name, 'displayName', display_name, 'context', context,
           'maxOutput', max_output, 'prices', json(prices), 'above', json(above), 'capabilities', json(capabilities),
           'quality', quality, 'speed', speed,
           'isDeprecated', json(CASE is_deprecated WHEN 0 THEN 'false' ELSE 'true' END))"
    };
}

fn all() -> Statement {
    sql!(concat!(
        "SELECT json_group_array(",
        model_json!(),
        ") AS json FROM (SELECT * FROM models ORDER BY id)"
    ))
}

/// A model, and the source of its prices and limits.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) model: Model,
    pub(crate) source: String,
}

/// Inserts rows, or replaces those of the same ids. `as_of` is the day.
pub(crate) fn put(rows: &[Row], as_of: &str) -> Result<Statement, Error> {
    let rows = serde_json::to_string(rows).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(sql!(
        "INSERT INTO models (id, provider, name, display_name, context, max_output, prices, above, capabilities, quality, speed,
           is_deprecated, source, as_of)
         SELECT value ->> 'id', value ->> 'provider', value ->> 'name', value ->> 'displayName', value ->> 'context',
           value ->> 'maxOutput', nullif(value -> 'prices', 'null'), nullif(value -> 'above', 'null'),
           value -> 'capabilities', value ->> 'quality', value ->> 'speed', value ->> 'isDeprecated', value ->> 'source', ?2
         FROM json_each(?1) WHERE true
         ON CONFLICT (id) DO UPDATE SET display_name = excluded.display_name, context = excluded.context,
           max_output = excluded.max_output, prices = excluded.prices, above = excluded.above,
           capabilities = excluded.capabilities, quality = excluded.quality, speed = excluded.speed,
           is_deprecated = excluded.is_deprecated, source = excluded.source, as_of = excluded.as_of",
        rows,
        as_of
    ))
}
