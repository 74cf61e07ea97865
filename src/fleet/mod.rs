//! The fleet: deployments that run on users' machines, which machines are
//! alive, when they ran, and what they are paid.
//!
//! Routes, at the root and under `/api/v1`: `deployments`, `heartbeat`,
//! `workers`, `metrics`, `payments`; `setup` serves the script with which a machine joins.

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

use hatch_credentials::wallet::Address;
use serde::Deserialize;
use worker::Env;

use crate::{
    error::Error,
    http::{RequestContext, caller::Caller, problem::Dialect},
    identity::Scope,
    platform::{clock::now_ms, log},
    store::Database,
};

/// How many machines one step of the sweep checks, and how many steps a sweep has.
const STEP_MACHINES: i64 = 1_000;
const STEPS: usize = 50;

/// The user whose rows the caller sees and changes; none means all rows, for
/// the operator and for deployers.
fn owner(context: &RequestContext) -> Option<&str> {
    match &context.caller {
        Caller::User(user) if !user.scopes.contains(Scope::FleetDeploy) => Some(&user.id),
        _ => None,
    }
}

/// Reads a wallet's address in a path or a query string, and returns the database's form.
fn wallet(text: &str, pointer: &str) -> Result<String, Error> {
    let address: Result<Address, _> = text.parse();
    address.map(|address| address.to_string()).map_err(|error| Error::invalid(pointer, format!("{error}")))
}

/// Records the windows of machines that fell silent. One run checks up to
/// 50,000 machines; the next one continues where it stopped.
pub(crate) async fn sweep(env: &Env) {
    if let Err(error) = sweep_steps(env).await {
        log::failure("fleet.sweep", &error);
    }
}

#[derive(Deserialize)]
struct SweepPosition {
    after: String,
}

async fn sweep_steps(env: &Env) -> Result<(), Error> {
    let database = Database::open(env)?;
    for _ in 0..STEPS {
        let now = now_ms();
        let [_, _, _, place] = database
            .batch(store::beats::sweep(STEP_MACHINES, now - window::GAP_MS, now - window::KEPT_MS))
            .await?;
        let place: Option<SweepPosition> = place.first()?;
        if place.is_none_or(|place| place.after.is_empty()) {
            return Ok(());
        }
    }
    Ok(())
}

/// Errors in the Worker's own form, also for the routes under `/api/v1`.
pub(crate) static DIALECT: Dialect = Dialect {
    prefixes: &["/api/v1"],
    also_under: Some("/api/v1"),
    for_clients_with: None,
    key_header: None,
    body: Error::problem,
    #[cfg(test)]
    document: crate::http::problem::PROBLEM_DOCUMENTED,
};
