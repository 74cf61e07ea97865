//! What a file of this folder says of its provider.

use hatch_dialects::Dialect;

use crate::{error::Error, settings::Vars};

/// A provider that has a file here.
pub(in crate::models) struct Description {
    pub(in crate::models) name: &'static str,
    /// The secret without which it cannot be asked.
    pub(in crate::models) key: &'static str,
    /// Where it is asked, without a slash at the end.
    pub(in crate::models) base_url: fn(&Vars) -> Result<String, Error>,
    pub(in crate::models) speaks: &'static [Dialect],
    /// Somebody else's key is asked at the same address.
    pub(in crate::models) takes_keys: bool,
    /// It is OpenAI itself, and not only compatible with it.
    pub(in crate::models) is_openai: bool,
}
