//! The fleet (Tassium): what is to run on whose machines, which of them live,
//! when they ran, and what they are paid.
//!
//! `deployments`, `heartbeat`, `workers` and `payments` are the routes, at the
//! root and under `/api/v1`; `setup` is the script by which a machine joins.

mod amount;
pub(crate) mod deployments;
mod fields;
pub(crate) mod heartbeat;
pub(crate) mod metrics;
#[cfg(test)]
pub(crate) mod openapi;
mod owned;
pub(crate) mod payments;
#[cfg(test)]
mod row;
mod settings;
pub(crate) use settings::SETTINGS;
pub(crate) mod setup;
#[cfg(test)]
mod simulation;
mod status;
mod store;
#[cfg(test)]
pub(crate) use owned::ExportedFleet;
pub(crate) use owned::OWNED;
mod window;
pub(crate) mod workers;

use hatch_tokens::wallet::Address;
use serde::Deserialize;
use worker::Env;

use crate::{
    error::Error,
    http::{RequestContext, caller::Caller, problem::Dialect},
    identity::Scope,
    platform::{clock::now_ms, log},
    store::Database,
};

/// Machines that one step of the sweep looks at, and steps of one sweep.
const PIECE: i64 = 1_000;
const PIECES: usize = 50;

/// Whose rows the caller sees and changes; none is everybody's, for the
/// operator and for deployers.
fn owner(context: &RequestContext) -> Option<&str> {
    match &context.caller {
        Caller::User(user) if !user.scopes.contains(Scope::FleetDeploy) => Some(&user.id),
        _ => None,
    }
}

/// A wallet's address of a path or of a query string, as the database writes it.
fn wallet(text: &str, pointer: &str) -> Result<String, Error> {
    let address: Result<Address, _> = text.parse();
    address.map(|address| address.to_string()).map_err(|error| Error::invalid(pointer, format!("{error}")))
}

/// Records the windows of machines that fell silent. One run looks at up to
/// 50,000 machines; the next one goes on where it stopped.
pub(crate) async fn sweep(env: &Env) {
    if let Err(error) = sweep_pieces(env).await {
        log::failure("fleet.sweep", &error);
    }
}

#[derive(Deserialize)]
struct Place {
    after: String,
}

async fn sweep_pieces(env: &Env) -> Result<(), Error> {
    let database = Database::open(env)?;
    for _ in 0..PIECES {
        let now = now_ms();
        let [_, _, _, place] =
            database.batch(store::sweep(PIECE, now - window::GAP_MS, now - window::KEPT_MS)).await?;
        let place: Option<Place> = place.first()?;
        if place.is_none_or(|place| place.after.is_empty()) {
            return Ok(());
        }
    }
    Ok(())
}

/// Errors as everywhere, and the routes under `/api/v1` as well.
pub(crate) static DIALECT: Dialect = Dialect {
    prefixes: &["/api/v1"],
    also_under: Some("/api/v1"),
    body: Error::problem,
    #[cfg(test)]
    document: crate::http::problem::PROBLEM_DOCUMENTED,
};
