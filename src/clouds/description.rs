//! The description of a cloud: everything in which clouds differ.

use futures::future::LocalBoxFuture;

use super::{
    app::{AppSpec, File, Report},
    container::Container,
    resolved::{Credentials, ResolvedCredentials},
};
use crate::{error::Error, settings::Settings};

/// Describes a cloud to the rest of the Worker.
///
/// `push` and `undeploy` name everything after the project, so repeating them after a crash has the
/// same effect as one run: an existing deployment is found again by its mark, or the same script is
/// uploaded to the same place.
pub(crate) struct Description {
    /// The name in the API and in the database.
    pub(crate) name: &'static str,
    /// The name in a sentence.
    pub(crate) title: &'static str,
    pub(crate) token_header: &'static str,
    pub(crate) token_variable: &'static str,
    /// `None` when the token alone identifies the account.
    pub(crate) account: Option<AccountName>,
    /// The operator's token and account.
    pub(super) own: fn(&Settings) -> Result<OwnAccount, Error>,
    /// The namespace in the operator's account that receives apps.
    pub(super) namespace: fn(&Settings) -> Result<Option<&'static str>, Error>,
    /// Whether a file tells the cloud how to build the project. Projects without such a file are
    /// built here.
    pub(crate) is_manifest: fn(&str) -> bool,
    /// Checks what the cloud needs besides credentials before a request is accepted: 400 or 503
    /// with what is missing.
    pub(super) check: fn(&str, &ResolvedCredentials, Option<&Container>, &Settings) -> Result<(), Error>,
    /// Uploads the files. `poll` reports the rest.
    pub(super) push: for<'a> fn(&'a AppSpec<'a>, &'a [File<'a>]) -> CloudFuture<'a, Report>,
    /// Returns the status of what was pushed the given milliseconds ago.
    pub(super) poll: for<'a> fn(&'a AppSpec<'a>, i64) -> CloudFuture<'a, Report>,
    /// Undeploys the app. A missing app is no error.
    pub(super) undeploy: for<'a> fn(&'a AppSpec<'a>) -> CloudFuture<'a, ()>,
    /// Whether a token's account contains the last push of an app, by its name and mark. Used when
    /// the token names no account.
    pub(super) has: for<'a> fn(&'a Credentials, &'a str, &'a str, &'a Settings) -> CloudFuture<'a, bool>,
    /// How long `push` to the end may take before the deployment fails.
    pub(crate) patience_ms: i64,
}

/// An error is [`Error::Upstream`] or [`Error::Refused`]. It is permanent if only the owner can fix
/// it, and its detail is for the owner.
pub(super) type CloudFuture<'a, T> = LocalBoxFuture<'a, Result<T, Error>>;

/// The operator's account at a cloud, as far as it is configured.
#[derive(Debug, Default)]
pub(super) struct OwnAccount {
    pub(super) token: Option<String>,
    pub(super) account: Option<String>,
}

/// How a request or a variable names one of a token's accounts.
pub(crate) struct AccountName {
    pub(crate) header: &'static str,
    pub(crate) variable: &'static str,
    /// The field in the body that stores credentials, as a JSON pointer.
    pub(crate) field: &'static str,
    pub(crate) is_required: bool,
    pub(super) is_good: fn(&str) -> bool,
    /// Completes "must be …".
    pub(super) expected: &'static str,
}
