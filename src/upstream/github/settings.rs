//! The address of GitHub's API, and the service that knows the users' GitHub accounts.

use std::fmt;

use hatch_credentials::github_app;

use crate::{
    error::Error,
    settings::{FromVars, ParseSettings, Vars, parses, vars::wrong},
};

/// Reports faults in its variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<GitHub>(), parses::<Option<ConnectedAccounts>>()];

#[derive(Debug)]
pub(crate) struct GitHub {
    pub(super) base_url: String,
    pub(super) timeout_ms: u64,
    /// Members of this organisation are staff.
    pub(crate) staff_organisation: Option<String>,
    /// The GitHub App that acts for organisations which have installed it.
    pub(super) app: Option<App>,
}

impl FromVars for GitHub {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self {
            base_url: vars.base_url("GITHUB_API_URL", "https://api.github.com")?,
            timeout_ms: vars.number("GITHUB_TIMEOUT_MS", 20_000)?,
            staff_organisation: vars.get("STAFF_GITHUB_ORG"),
            app: app(vars)?,
        })
    }
}

/// A GitHub App: the identity under which this Worker acts at GitHub.
pub(crate) struct App {
    pub(super) id: String,
    /// PKCS#8.
    pub(super) key: Vec<u8>,
}

impl fmt::Debug for App {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("id", &self.id).finish_non_exhaustive()
    }
}

const APP_ID: &str = "GITHUB_APP_ID";
const APP_KEY: &str = "GITHUB_APP_PRIVATE_KEY";

fn app(vars: &Vars) -> Result<Option<App>, Error> {
    let (id, pem) = match (vars.get(APP_ID), vars.get(APP_KEY)) {
        (None, None) => return Ok(None),
        (Some(id), Some(pem)) => (id, pem),
        (None, _) => return Err(wrong(APP_ID, "set beside GITHUB_APP_PRIVATE_KEY")),
        (_, None) => return Err(wrong(APP_KEY, "set beside GITHUB_APP_ID")),
    };
    let key = github_app::private_key(&pem).ok_or_else(|| wrong(APP_KEY, "an RSA key in PEM"))?;
    Ok(Some(App { id, key }))
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

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN RSA PRIVATE KEY-----\nAQID\n-----END RSA PRIVATE KEY-----";

    #[test]
    fn an_app_has_an_id_and_a_key_which_is_not_shown() {
        let of = |vars: &[(&str, &str)]| GitHub::from_vars(&Vars::for_test(vars));
        let github = of(&[(APP_ID, "7"), (APP_KEY, PEM)]).unwrap();
        assert_eq!(format!("{:?}", github.app.unwrap()), r#"App { id: "7", .. }"#);
        for (vars, named) in [
            (&[(APP_ID, "7")][..], APP_KEY),
            (&[(APP_KEY, PEM)], APP_ID),
            (&[(APP_ID, "7"), (APP_KEY, "secret")], APP_KEY),
        ] {
            let refused = of(vars).map(drop);
            assert!(matches!(refused, Err(Error::NotConfigured { variable, .. }) if variable == named));
        }
    }
}
