//! The address of GitHub's API, and the service that knows the users' GitHub accounts.

use std::fmt;

use crate::{
    error::Error,
    settings::{FromVars, ParseSettings, Vars, parses},
};

/// Reports faults in its variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<GitHub>(), parses::<Option<ConnectedAccounts>>()];

#[derive(Debug)]
pub(crate) struct GitHub {
    pub(super) base_url: String,
    pub(super) timeout_ms: u64,
    /// Members of this organisation are staff.
    pub(crate) staff_organisation: Option<String>,
}

impl FromVars for GitHub {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self {
            base_url: vars.base_url("GITHUB_API_URL", "https://api.github.com")?,
            timeout_ms: vars.number("GITHUB_TIMEOUT_MS", 20_000)?,
            staff_organisation: vars.get("STAFF_GITHUB_ORG"),
        })
    }
}

/// Stack Auth's server API, which provides the tokens of accounts that users have connected.
pub(crate) struct ConnectedAccounts {
    pub(crate) base_url: String,
    pub(crate) project_id: String,
    pub(crate) secret: String,
}

impl fmt::Debug for ConnectedAccounts {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectedAccounts").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl FromVars for Option<ConnectedAccounts> {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let (Some(project_id), Some(secret)) =
            (vars.get("STACK_PROJECT_ID"), vars.get("STACK_SECRET_SERVER_KEY"))
        else {
            return Ok(None);
        };
        let base_url = vars.base_url("STACK_AUTH_URL", "https://api.stack-auth.com")?;
        Ok(Some(ConnectedAccounts { base_url, project_id, secret }))
    }
}
