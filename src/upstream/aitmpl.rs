//! aitmpl.com, the site of davila7/claude-code-templates: components for Claude Code as static JSON
//! files.

use super::download::{DownloadFailure, get};
use crate::{
    error::Error,
    platform::fetch::OutboundRequest,
    settings::{FromVars, ParseSettings, Settings, Vars, parses},
};

/// Reports faults in its variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Aitmpl>()];

/// The longest list, in bytes. In 2026 the longest has about 1 MB.
const LONGEST_LIST: usize = 4_000_000;
/// The longest content of a component, in bytes.
const LONGEST_CONTENT: usize = 256 * 1024;

struct Aitmpl {
    base_url: String,
}

impl FromVars for Aitmpl {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self { base_url: vars.base_url("AITMPL_BASE_URL", "https://www.aitmpl.com")? })
    }
}

/// `/components/{types}.json`, where `types` is `agents`, `commands`, …: an unparsed JSON array.
pub(crate) async fn list(settings: &Settings, types: &str) -> Result<String, DownloadFailure> {
    let url = format!("{}/components/{types}.json", Aitmpl::of(settings)?.base_url);
    get(OutboundRequest::get(url), LONGEST_LIST, settings).await
}

/// `/component-content/{types}/{category}/{name}.json`: `{"content":"…"}`, unparsed. `slug` is
/// `category/name`, in characters that need no encoding.
pub(crate) async fn content(settings: &Settings, types: &str, slug: &str) -> Result<String, DownloadFailure> {
    let url = format!("{}/component-content/{types}/{slug}.json", Aitmpl::of(settings)?.base_url);
    get(OutboundRequest::get(url), LONGEST_CONTENT, settings).await
}
