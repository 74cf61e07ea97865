//! What models there are, what they can, and what they cost: rows of the
//! database, and what `PROVIDERS` lists.

use std::{cell::RefCell, rc::Rc};

use super::{model::Model, settings::Providers};
use crate::{
    error::Error,
    platform::clock::now_ms,
    settings::{FromVars as _, Settings},
    store::{Database, Statement, sql},
};

/// Every model, of the database and of the settings.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) models: Vec<Model>,
}

/// How long an isolate believes what it has read.
const FRESH_MS: i64 = 60_000;

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

    /// Forgets what this isolate has read, after it has changed.
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

/// Puts a row in the place of the one of its id. `source` and `as_of` say
/// where it is from.
pub(crate) fn put(model: &Model, source: &str, as_of: &str) -> Result<Statement, Error> {
    let json = |value: serde_json::Result<String>| value.map_err(|error| Error::Internal(error.to_string()));
    let prices = model.prices.map(|prices| json(serde_json::to_string(&prices))).transpose()?;
    let above = model.above.map(|above| json(serde_json::to_string(&above))).transpose()?;
    Ok(sql!(
        "INSERT INTO models (id, provider, name, display_name, context, max_output, prices, above, capabilities, quality, speed,
           is_deprecated, source, as_of)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (id) DO UPDATE SET display_name = excluded.display_name, context = excluded.context,
           max_output = excluded.max_output, prices = excluded.prices, above = excluded.above,
           capabilities = excluded.capabilities, quality = excluded.quality, speed = excluded.speed,
           is_deprecated = excluded.is_deprecated, source = excluded.source, as_of = excluded.as_of",
        model.id.as_str(),
        model.provider.as_str(),
        model.name.as_str(),
        model.display_name.as_str(),
        model.context,
        model.max_output,
        prices,
        above,
        json(serde_json::to_string(&model.capabilities))?,
        model.quality,
        model.speed,
        i64::from(model.is_deprecated),
        source,
        as_of
    ))
}
