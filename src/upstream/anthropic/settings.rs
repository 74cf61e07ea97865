//! The key, address and default model for Claude.

use std::fmt;

use crate::{
    error::Error,
    settings::{FromVars, ParseSettings, Vars, parses},
};

/// Reports faults in the variables of this module.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Claude>()];

/// The client of Anthropic's API.
pub(crate) struct Claude {
    pub(crate) key: Option<String>,
    pub(super) base_url: String,
    /// The default model.
    pub(crate) model: String,
}

impl fmt::Debug for Claude {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claude").field("model", &self.model).finish_non_exhaustive()
    }
}

impl FromVars for Claude {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self {
            key: vars.get("CLAUDE_API_KEY"),
            base_url: vars.base_url("CLAUDE_BASE_URL", "https://api.anthropic.com")?,
            model: vars.get("CLAUDE_MODEL").unwrap_or_else(|| "claude-sonnet-5-5".to_owned()),
        })
    }
}
