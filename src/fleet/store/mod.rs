//! The SQL of the fleet, a file for each thing that it stores.
//!
//! `deployments` has what the machines should run. `machines` has their tokens and their reports, `beats` the
//! statement that takes a beat and the sweep of machines that fell silent, and `uptime` reads when a machine ran.
//! `payments` is the ledger, and `payouts` what it owes machines for their uptime. `owner` has the condition that
//! several of them share: whose rows these are.

pub(super) mod beats;
pub(super) mod deployments;
pub(super) mod machines;
mod owner;
pub(super) mod payments;
pub(super) mod payouts;
pub(super) mod uptime;
