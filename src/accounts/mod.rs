//! The account and its sign-in: the routes under `/auth`.

pub(crate) mod credentials;
pub(crate) mod keys;
pub(crate) mod me;
#[cfg(test)]
pub(crate) mod openapi;
pub(crate) mod sign_in;
pub(crate) mod stack_auth;
mod store;

pub(crate) use store::OWNED;

use worker::Env;

use crate::{
    error::Error,
    platform::{clock::now_ms, log},
    store::Database,
};

/// Deletes expired rows.
pub(crate) async fn sweep(env: &Env) {
    let purged: Result<_, Error> = async { Database::open(env)?.batch(store::purge(now_ms())).await }.await;
    if let Err(error) = purged {
        log::failure("accounts.sweep", &error);
    }
}
