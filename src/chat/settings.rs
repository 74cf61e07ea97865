//! Settings of the chat: the default format, and the budget of a prompt.

use crate::{
    error::Error,
    settings::{FromVars, ParseSettings, Vars, parses, vars::wrong},
};

/// Parsers that check this module's variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Chat>()];

#[derive(Debug)]
pub(super) struct Chat {
    pub(super) format: ChatFormat,
    /// How many tokens of the conversation are sent to the model.
    history_tokens: i64,
    /// How many tokens of the project's code are sent to the model.
    code_tokens: i64,
}

impl FromVars for Chat {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let format = match vars.get("CHAT_STREAM_FORMAT") {
            None => ChatFormat::Text,
            Some(name) => {
                ChatFormat::parse(&name).ok_or(wrong("CHAT_STREAM_FORMAT", "`events` or `text`"))?
            }
        };
        Ok(Self {
            format,
            history_tokens: vars.number("CHAT_HISTORY_TOKENS", 100_000)?,
            code_tokens: vars.number("CHAT_CODE_TOKENS", 100_000)?,
        })
    }
}

/// The most tokens of history and code in a prompt.
#[derive(Debug, Clone, Copy)]
pub(super) struct PromptBudget {
    pub(super) history_tokens: u64,
    pub(super) code_tokens: u64,
}

impl Chat {
    /// An upper bound of the history in bytes: a token of English or code has about four.
    pub(super) fn history_bytes(&self) -> i64 {
        self.history_tokens.saturating_mul(4)
    }

    /// The budget for what a prompt has besides the question itself.
    pub(super) fn prompt_budget(&self) -> PromptBudget {
        let tokens = |tokens: i64| u64::try_from(tokens).unwrap_or_default();
        PromptBudget { history_tokens: tokens(self.history_tokens), code_tokens: tokens(self.code_tokens) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChatFormat {
    /// Claude's own events, byte for byte.
    Events,
    /// Data-only `{"text": …}` pieces.
    Text,
}

impl ChatFormat {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "events" => Some(Self::Events),
            "text" => Some(Self::Text),
            _ => None,
        }
    }
}
