//! Concordium's account addresses and transactions.

pub mod address;
pub mod transaction;
