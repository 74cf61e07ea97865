//! Concordium's accounts, and what they sign.

pub mod address;
pub mod transaction;
