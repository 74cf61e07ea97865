//! Who serves models. Each provider that we know by name is one file with one
//! [`Description`]; others are what `PROVIDERS` says.

mod anthropic;
mod openai;
mod workers_ai;

use std::fmt;

use hatch_dialects::Dialect;

use super::catalogue::Model;
use crate::{
    error::Error,
    settings::Vars,
};

/// A provider that has a file here.
pub(super) struct Description {
    pub(super) name: &'static str,
    /// The secret without which it cannot be asked.
    pub(super) key: &'static str,
    /// Where it is asked, without a slash at the end.
    pub(super) base_url: fn(&Vars) -> Result<String, Error>,
    pub(super) speaks: &'static [Dialect],
    /// It is OpenAI itself, and not only compatible with it.
    pub(super) is_openai: bool,
}

/// The providers that have a file here.
pub(super) static DESCRIPTIONS: &[&Description] =
    &[&anthropic::ANTHROPIC, &openai::OPENAI, &workers_ai::WORKERS_AI];

/// A provider as it is asked here.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) upstream: Upstream,
    /// The dialects that it speaks, the best one first.
    pub(super) speaks: Vec<Dialect>,
    pub(super) is_openai: bool,
    /// Models that the catalogue does not have to know.
    pub(super) models: Vec<Model>,
}

/// Where a provider is.
#[derive(Clone)]
pub(crate) enum Upstream {
    Http { base_url: String, key: Option<String>, gateway_token: Option<String> },
    /// The sandbox model of a development Worker answers.
    Sandbox,
}

/// Whose key a provider is asked with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    Ours,
    /// The caller's own, for this request.
    Theirs(&'a str),
}

impl fmt::Debug for Provider {
    /// Without its keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("name", &self.name).field("speaks", &self.speaks).finish_non_exhaustive()
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "Ours",
            Self::Theirs(_) => "Theirs",
        })
    }
}

impl Provider {
    /// The dialect in which a request that came in `client` is sent on.
    pub(super) fn dialect_for(&self, client: Dialect) -> Dialect {
        let same = self.speaks.iter().find(|dialect| **dialect == client);
        same.or(self.speaks.first()).copied().unwrap_or(Dialect::Chat)
    }
}

/// Where a request of this dialect goes, behind the base URL.
pub(super) fn path_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Chat => "/chat/completions",
        Dialect::Responses => "/responses",
        Dialect::Messages => "/v1/messages",
    }
}
