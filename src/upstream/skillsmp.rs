//! skillsmp.com, a marketplace of skills, and the GitHub repositories that contain the skills.

use super::download::{DownloadFailure, get};
use crate::{
    error::Error,
    platform::{clock::HOUR_MS, fetch::OutboundRequest},
    settings::{FromVars, ParseSettings, Settings, Vars, parses},
};

/// Reports faults in its variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<SkillsMp>()];

/// The most skills in one search response.
const PAGE: u32 = 100;
const LONGEST_ANSWER: usize = 4_000_000;
/// The longest SKILL.md, in bytes.
const LONGEST_CONTENT: usize = 256 * 1024;
/// The quota is daily, so an hour is not too long to wait.
const AFTER_QUOTA_MS: i64 = HOUR_MS;

pub(crate) struct SkillsMp {
    base_url: String,
    pub(crate) key: Option<String>,
    raw_github_url: String,
}

impl FromVars for SkillsMp {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        Ok(Self {
            base_url: vars.base_url("SKILLSMP_BASE_URL", "https://skillsmp.com")?,
            key: vars.get("SKILLSMP_API_KEY"),
            raw_github_url: vars.base_url("RAW_GITHUB_BASE_URL", "https://raw.githubusercontent.com")?,
        })
    }
}

/// `GET /api/v1/skills/search`, the skills with the most stars:
/// `{"success":true,"data":{"skills":[…]}}`, unparsed. 50 requests a day are allowed without a key,
/// 500 with one.
pub(crate) async fn search(settings: &Settings, query: &str) -> Result<String, DownloadFailure> {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let SkillsMp { base_url, key, .. } = SkillsMp::of(settings)?;
    let url = format!("{base_url}/api/v1/skills/search?q={query}&page=1&limit={PAGE}&sortBy=stars");
    let key = key.iter().map(|key| ("authorization", format!("Bearer {key}")));
    let mut request = OutboundRequest::get(url);
    request.headers.extend(key);
    get(request, LONGEST_ANSWER, settings).await.map_err(|failure| match failure.status {
        Some(429) => {
            DownloadFailure { retry_after_ms: failure.retry_after_ms.or(Some(AFTER_QUOTA_MS)), ..failure }
        }
        _ => failure,
    })
}

/// A file at raw.githubusercontent.com. `path` is `{owner}/{repository}/{branch}/{path}`, in
/// characters that need no encoding.
pub(crate) async fn raw_file(settings: &Settings, path: &str) -> Result<String, DownloadFailure> {
    let url = format!("{}/{path}", SkillsMp::of(settings)?.raw_github_url);
    get(OutboundRequest::get(url), LONGEST_CONTENT, settings).await
}
