//! The bounds of a turn, the daily limits of messages and apps, the agent server,
//! and the bucket for files.

use std::fmt;

use crate::{
    error::Error,
    platform::clock::MINUTE_MS,
    settings::{FromVars, ParseSettings, Vars, parses, vars::wrong},
};

/// Reports wrong values of this module's variables.
pub(crate) const SETTINGS: &[ParseSettings] =
    &[parses::<Apps>(), parses::<Option<AgentServer>>(), parses::<Option<Bucket>>()];

#[derive(Debug)]
pub(super) struct Apps {
    /// How many messages a user may send in a day (UTC).
    pub(super) daily_messages: i64,
    /// How many apps all users together may begin in a day.
    pub(super) daily_apps: i64,
    /// The model of the built-in agent. None means the model of Claude's settings.
    pub(super) model: Option<String>,
    pub(super) bounds: Bounds,
}

/// The bounds of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Answers of the model.
    pub(super) steps: i64,
    /// Tokens, read and written.
    pub(super) tokens: i64,
    pub(super) micro_usd: i64,
    pub(super) ms: i64,
}

impl FromVars for Apps {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self {
            daily_messages: natural(vars, "DAILY_MESSAGE_LIMIT", 10)?,
            daily_apps: natural(vars, "DAILY_APPS_LIMIT", 50)?,
            model: vars.get("AGENT_MODEL"),
            bounds: Bounds {
                steps: natural(vars, "AGENT_MAX_STEPS", 40)?,
                tokens: natural(vars, "AGENT_MAX_TOKENS", 3_000_000)?,
                micro_usd: natural(vars, "AGENT_MAX_MICRO_USD", 5_000_000)?,
                ms: natural(vars, "AGENT_MAX_MINUTES", 30)?.saturating_mul(MINUTE_MS),
            },
        })
    }
}

fn natural(vars: &Vars, name: &'static str, default: i64) -> Result<i64, Error> {
    match vars.number(name, default)? {
        number if (0..=1 << 53).contains(&number) => Ok(number),
        _ => Err(wrong(name, "a whole number that is not negative")),
    }
}

/// An agent server, which does the work in place of the built-in agent.
pub(super) struct AgentServer {
    pub(super) url: String,
    /// Sent as a Bearer token.
    pub(super) secret: Option<String>,
    /// The longest pause between two bytes of its answer. It sends a sign of life every 30 s.
    pub(super) idle_ms: u64,
}

impl fmt::Debug for AgentServer {
    /// Leaves out the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentServer").field("url", &self.url).finish_non_exhaustive()
    }
}

impl FromVars for Option<AgentServer> {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        if vars.get("AGENT_SERVER_URL").is_none() {
            return Ok(None);
        }
        let url = vars.base_url("AGENT_SERVER_URL", "")?;
        let idle_ms = vars.number("AGENT_SERVER_IDLE_MS", 90_000)?;
        Ok(Some(AgentServer { url, secret: vars.get("AGENT_API_SECRET_AUTH"), idle_ms }))
    }
}

/// A bucket of S3, or of R2 with its S3 API, for apps' files.
pub(super) struct Bucket {
    pub(super) endpoint: String,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) key_id: String,
    pub(super) secret: String,
}

impl fmt::Debug for Bucket {
    /// Leaves out the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl FromVars for Option<Bucket> {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let Some(name) = vars.get("S3_BUCKET") else { return Ok(None) };
        let needed = |variable: &'static str| {
            vars.get(variable).ok_or_else(|| wrong(variable, "set beside S3_BUCKET"))
        };
        Ok(Some(Bucket {
            endpoint: vars.base_url("S3_ENDPOINT", "https://s3.amazonaws.com")?,
            name,
            region: vars.get("S3_REGION").unwrap_or_else(|| "auto".to_owned()),
            key_id: needed("S3_ACCESS_KEY_ID")?,
            secret: needed("S3_SECRET_ACCESS_KEY")?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_named() {
        for name in ["DAILY_MESSAGE_LIMIT", "DAILY_APPS_LIMIT", "AGENT_MAX_STEPS", "AGENT_MAX_MINUTES"] {
            for value in ["-1", "many"] {
                let parsed = Apps::from_vars(&Vars::for_test(&[(name, value)])).map(drop);
                assert!(
                    matches!(parsed, Err(Error::NotConfigured { variable, .. }) if variable == name),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn the_agent_servers_secret_is_not_shown() {
        let vars = [("AGENT_SERVER_URL", "http://agent:8001/"), ("AGENT_API_SECRET_AUTH", "hush")];
        let server = Option::<AgentServer>::from_vars(&Vars::for_test(&vars)).unwrap().unwrap();
        assert_eq!(server.url, "http://agent:8001");
        assert!(!format!("{server:?}").contains("hush"));
    }
}
