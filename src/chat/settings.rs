//! The stream's default format, and how much of a conversation is sent again.

use crate::{
    error::Error,
    settings::{FromVars, ParseSettings, Vars, parses, vars::wrong},
};

/// Finds what is wrong with the variables of this module.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Chat>()];

#[derive(Debug)]
pub(super) struct Chat {
    pub(super) format: ChatFormat,
    /// How much of a conversation Claude is sent again, in tokens.
    history_tokens: i64,
    /// How much of a project's code Claude is shown, in tokens.
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

/// The most tokens of what a question builds on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) history_tokens: u64,
    pub(super) code_tokens: u64,
}

impl Chat {
    /// More bytes than the history's tokens have: a token of English or code is about four.
    pub(super) fn history_bytes(&self) -> i64 {
        self.history_tokens.saturating_mul(4)
    }

    /// What Claude is asked with besides the question itself.
    pub(super) fn room(&self) -> Room {
        let tokens = |tokens: i64| u64::try_from(tokens).unwrap_or_default();
        Room { history_tokens: tokens(self.history_tokens), code_tokens: tokens(self.code_tokens) }
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
