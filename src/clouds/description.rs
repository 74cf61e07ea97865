//! What a cloud is: all that differs from one to another.

use futures::future::LocalBoxFuture;

use super::{
    app::{AppSpec, File, Report},
    container::Container,
    resolved::{Credentials, ResolvedCredentials},
};
use crate::{error::Error, settings::Settings};

/// All that there is to know of a cloud.
///
/// Whatever `push` and `take_down` do there is named after the project, so that
/// doing it once more, after a crash anywhere in between, leaves what once would
/// have left: a deployment that is there is found again by its mark, or the same
/// script is put once more in its own place.
pub(crate) struct Description {
    /// In the API and in the database.
    pub(crate) name: &'static str,
    /// In a sentence.
    pub(crate) title: &'static str,
    pub(crate) token_header: &'static str,
    pub(crate) token_variable: &'static str,
    /// None where a token says all.
    pub(crate) account: Option<AccountName>,
    /// The Worker's own token and account.
    pub(super) own: fn(&Settings) -> Result<OwnAccount, Error>,
    /// The part of the Worker's own account that apps go to.
    pub(super) namespace: fn(&Settings) -> Result<Option<&'static str>, Error>,
    /// Whether a file is one by which the cloud builds the files around it. A
    /// project without one is built here.
    pub(crate) is_manifest: fn(&str) -> bool,
    /// What it needs beside credentials, before anything is accepted: 400 or 503
    /// that say what is missing.
    pub(super) check: fn(&str, &ResolvedCredentials, Option<&Container>, &Settings) -> Result<(), Error>,
    /// Brings the files there. What it still has to do is learned by `poll`.
    pub(super) push: for<'a> fn(&'a AppSpec<'a>, &'a [File<'a>]) -> Answer<'a, Report>,
    /// How it gets on with what was pushed so many milliseconds ago.
    pub(super) poll: for<'a> fn(&'a AppSpec<'a>, i64) -> Answer<'a, Report>,
    /// Takes the app down. One that is not there is down.
    pub(super) take_down: for<'a> fn(&'a AppSpec<'a>) -> Answer<'a, ()>,
    /// Whether the account of a token has what was last brought there of an app,
    /// by its name and mark. Asked where a token names no account.
    pub(super) has: for<'a> fn(&'a Credentials, &'a str, &'a str, &'a Settings) -> Answer<'a, bool>,
    /// How long it may take from `push` to the end before it has failed.
    pub(crate) patience_ms: i64,
}

/// An error is [`Error::Upstream`] or [`Error::Refused`], permanent for what only
/// the owner can change, its detail for them.
pub(super) type Answer<'a, T> = LocalBoxFuture<'a, Result<T, Error>>;

/// The Worker's own account at a cloud, as far as it is set.
#[derive(Debug, Default)]
pub(super) struct OwnAccount {
    pub(super) token: Option<String>,
    pub(super) account: Option<String>,
}

/// How a request or a variable names one of the token's accounts.
pub(crate) struct AccountName {
    pub(crate) header: &'static str,
    pub(crate) variable: &'static str,
    /// Of the body that stores credentials, as a JSON pointer.
    pub(crate) field: &'static str,
    pub(crate) is_required: bool,
    pub(super) is_good: fn(&str) -> bool,
    /// Completes "must be …".
    pub(super) expected: &'static str,
}

pub(super) const MINUTE_MS: i64 = 60_000;
