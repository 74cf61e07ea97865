//! Settings of sign-in and of daily limits.

use hatch_credentials::stack_auth::Project;

use crate::{
    error::Error,
    settings::{FromVars, ParseSettings, Vars, parses, vars::wrong},
};

/// Parsers that check this module's variables.
pub(crate) const SETTINGS: &[ParseSettings] =
    &[parses::<Access>(), parses::<WalletChains>(), parses::<DailyLimits>()];

/// The credentials that are accepted besides our own keys and sessions.
pub(crate) struct Access {
    /// The operator's credential.
    pub(crate) admin_token: Option<String>,
    /// The Stack Auth project whose access tokens are accepted.
    pub(super) stack_auth: Option<Project>,
    /// The domains whose verified addresses belong to staff, in lower case.
    staff_domains: Vec<String>,
}

impl FromVars for Access {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let lower = |words: Vec<String>| words.into_iter().map(|word| word.to_ascii_lowercase()).collect();
        Ok(Self {
            admin_token: vars.get("ADMIN_TOKEN"),
            stack_auth: stack_auth(vars)?,
            staff_domains: vars.words("STAFF_EMAIL_DOMAINS").map(lower).unwrap_or_default(),
        })
    }
}

impl Access {
    /// Whether a verified address belongs to staff.
    pub(super) fn is_staff(&self, email: Option<&str>) -> bool {
        let domain =
            email.and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain.to_ascii_lowercase());
        domain.is_some_and(|domain| self.staff_domains.contains(&domain))
    }

    /// Whether staff or an operator can exist.
    pub(crate) fn has_staff(&self) -> bool {
        self.admin_token.is_some() || (self.stack_auth.is_some() && !self.staff_domains.is_empty())
    }
}

fn stack_auth(vars: &Vars) -> Result<Option<Project>, Error> {
    let Some(id) = vars.get("STACK_PROJECT_ID") else { return Ok(None) };
    if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(wrong("STACK_PROJECT_ID", "the id of a Stack Auth project"));
    }
    let base = vars.base_url("STACK_AUTH_URL", STACK_AUTH_URL)?;
    // Stack Auth is changing its name; its tokens may have either.
    let aliases: &[&str] = if base == STACK_AUTH_URL { &["https://api.hexclave.com"] } else { &[] };
    Ok(Some(Project::new(&base, aliases, &id)))
}

const STACK_AUTH_URL: &str = "https://api.stack-auth.com";

/// Chains (EIP-155) that a wallet may sign in on; the first is the default.
#[derive(Debug)]
pub(crate) struct WalletChains(pub(crate) Vec<u64>);

impl FromVars for WalletChains {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let Some(list) = vars.words("WALLET_CHAIN_IDS") else {
            return Ok(Self(vec![1, 10, 137, 8453, 42161]));
        };
        let ids: Option<Vec<u64>> = list.iter().map(|id| id.parse().ok()).collect();
        let ids = ids.filter(|ids| !ids.is_empty());
        ids.map(Self).ok_or(wrong("WALLET_CHAIN_IDS", "chain ids with commas between them"))
    }
}

/// The daily limits of a user; none is unlimited.
#[derive(Debug)]
pub(crate) struct DailyLimits {
    /// Messages to Claude.
    pub(crate) chat: Option<i64>,
    pub(crate) deploy: Option<i64>,
    /// The cost of Claude's answers.
    pub(crate) budget_micro_usd: Option<i64>,
}

impl FromVars for DailyLimits {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self {
            chat: limit(vars, "DAILY_CHAT_LIMIT")?,
            deploy: limit(vars, "DAILY_DEPLOY_LIMIT")?,
            budget_micro_usd: limit(vars, "DAILY_BUDGET_MICRO_USD")?,
        })
    }
}

fn limit(vars: &Vars, name: &'static str) -> Result<Option<i64>, Error> {
    match vars.get(name).map(|value| value.parse::<i64>()) {
        None => Ok(None),
        Some(Ok(limit)) if (0..=1 << 53).contains(&limit) => Ok(Some(limit)),
        Some(_) => Err(wrong(name, "a whole number of a day")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_named() {
        let names = |parsed: Result<(), Error>, name: &str| {
            assert!(
                matches!(parsed, Err(Error::NotConfigured { variable, .. }) if variable == name),
                "{name}"
            );
        };
        let vars = |name, value| Vars::for_test(&[(name, value)]);
        names(Access::from_vars(&vars("STACK_PROJECT_ID", "../x")).map(drop), "STACK_PROJECT_ID");
        names(WalletChains::from_vars(&vars("WALLET_CHAIN_IDS", "mainnet")).map(drop), "WALLET_CHAIN_IDS");
        names(DailyLimits::from_vars(&vars("DAILY_CHAT_LIMIT", "-1")).map(drop), "DAILY_CHAT_LIMIT");
    }
}
