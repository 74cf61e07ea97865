//! Identity of callers, their permissions and their quotas.
//!
//! authenticate.rs finds the user of a credential, scopes.rs lists permissions,
//! quotas.rs counts daily usage, wallet.rs verifies a wallet's signature.
//! Tokens are looked up by their hash, and all other credentials are
//! signatures (`hatch_credentials`), so no comparison leaks a secret by its timing.

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
    authenticate::{
        AboutOwner, Authenticated, Credential, LOCAL_DEVELOPER, Principal, User, authenticate, by_stack_token,
    },
    scopes::{Scope, Scopes},
    settings::{Access, DailyLimits, WalletChains},
    wallet::wallet_of,
};
