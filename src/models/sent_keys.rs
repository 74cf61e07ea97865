//! The keys with which a provider is asked: no client may see them in its words.

use std::fmt;

use super::providers::{Provider, Upstream};
use crate::redact;

/// A shorter key may be a word of any text.
const SHORTEST: usize = 8;

#[derive(Clone, Default)]
pub(crate) struct SentKeys {
    keys: Vec<String>,
    /// It is the caller's own key that the provider judges.
    pub(super) is_callers: bool,
}

impl fmt::Debug for SentKeys {
    /// Leaves out the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentKeys").field("is_callers", &self.is_callers).finish_non_exhaustive()
    }
}

impl SentKeys {
    pub(super) fn of(provider: &Provider, own_key: Option<&str>) -> Self {
        let ours = match &provider.upstream {
            Upstream::Http { key, gateway_token, .. } => [key.as_deref(), gateway_token.as_deref()],
            Upstream::Binding(_) | Upstream::Sandbox => [None, None],
        };
        let all = ours.into_iter().chain([own_key]).flatten().filter(|key| key.len() >= SHORTEST);
        Self { keys: all.map(str::to_owned).collect(), is_callers: own_key.is_some() }
    }

    #[cfg(test)]
    pub(super) fn callers() -> Self {
        Self { is_callers: true, ..Self::default() }
    }

    #[cfg(test)]
    pub(super) fn with(key: &str) -> Self {
        Self { keys: vec![key.to_owned()], is_callers: false }
    }

    /// A provider's words without any secret.
    pub(super) fn without(&self, text: &str) -> String {
        redact::text(&self.masked(text.to_owned()))
    }

    /// The bytes of a stream that ends with a provider's error.
    pub(crate) fn without_in_stream(&self, bytes: Vec<u8>) -> Vec<u8> {
        match String::from_utf8(bytes) {
            Ok(text) => self.masked(text).into_bytes(),
            Err(bytes) => bytes.into_bytes(),
        }
    }

    fn masked(&self, text: String) -> String {
        self.keys.iter().fold(text, |text, key| match text.contains(key.as_str()) {
            true => text.replace(key.as_str(), redact::MASK),
            false => text,
        })
    }
}
