//! Who somebody is, what they may do, and how much of it.
//!
//! `keys`, `sign_in` and `me` are the routes under `/auth`; identity.rs tells
//! whom a credential speaks for, quotas.rs counts. The rest are rules, pure:
//! time and random bytes are handed in, nothing is fetched or kept there. A
//! presented token is hashed and looked up by its hash, and the rest are
//! signatures, so that no comparison's time can tell anything.

#[cfg(test)]
pub(crate) mod contract;
pub(crate) mod credentials;
mod ethereum;
pub(crate) mod identity;
mod jwks;
mod jwks_cache;
mod jws;
pub(crate) mod keys;
pub(crate) mod me;
pub(crate) mod quotas;
mod scopes;
pub(crate) mod sign_in;
mod siwe;
mod stack_auth;
mod stellar;
mod store;
pub(crate) mod token;
mod wallet;

use worker::Env;

pub(crate) use self::{
    identity::{Credential, User},
    scopes::{Scope, Scopes},
    stack_auth::Project as StackAuthProject,
    wallet::Address,
};
use crate::{
    error::Error,
    platform::{clock::now_ms, log},
    store::Database,
};

/// The wallet of a user's account, as the database writes it.
pub(crate) async fn wallet_of(user: &str, database: &Database) -> Result<Option<String>, Error> {
    let user: Option<store::User> = database.query(store::user(user)).await?.first()?;
    Ok(user.and_then(|user| user.wallet))
}

/// Deletes what has gone by its time.
pub(crate) async fn sweep(env: &Env) {
    let purged: Result<_, Error> = async { Database::open(env)?.batch(store::purge(now_ms())).await }.await;
    if let Err(error) = purged {
        log::failure("accounts.sweep", &error);
    }
}
