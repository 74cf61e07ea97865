//! Who somebody is, what they may do, and how much of it.
//!
//! authenticate.rs finds whose a credential is, scopes.rs what that
//! opens, quotas.rs counts, wallet.rs takes a wallet's signature for its user.
//! A presented token is hashed and looked up by its hash, and the rest are
//! signatures (`hatch_tokens`), so that no comparison's time gives anything away.

mod authenticate;
pub(crate) mod quotas;
mod scopes;
mod settings;
pub(crate) use settings::SETTINGS;
pub(crate) mod store;
pub(crate) mod token;
pub(crate) mod wallet;

#[cfg(test)]
pub(crate) use self::authenticate::unavailable;
pub(crate) use self::quotas::OWNED;
pub(crate) use self::{
    authenticate::{Credential, LOCAL_DEVELOPER, Principal, User, authenticate, by_stack_token},
    scopes::{Scope, Scopes},
    settings::{Access, DailyLimits, WalletChains},
    wallet::wallet_of,
};
