//! What each file of this folder states about its provider.

use hatch_dialects::Dialect;

use crate::{error::Error, settings::Vars};

/// A provider that has a file here.
pub(in crate::models) struct Description {
    pub(in crate::models) name: &'static str,
    /// The name of the variable with its key.
    pub(in crate::models) key: &'static str,
    /// The binding that is used instead of the key and the base URL where there is one.
    pub(in crate::models) binding: Option<&'static str>,
    /// The base URL, without a slash at the end.
    pub(in crate::models) base_url: fn(&Vars) -> Result<String, Error>,
    pub(in crate::models) speaks: &'static [Dialect],
    /// Whether callers may bring their own keys for it.
    pub(in crate::models) takes_keys: bool,
    /// Whether it is OpenAI itself, not only compatible with it.
    pub(in crate::models) is_openai: bool,
}
