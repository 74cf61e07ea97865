//! The Worker's own accounts at other people's clouds, and where these answer.

use super::base_url;
use crate::error::Error;

#[derive(Debug)]
pub(crate) struct Clouds {
    pub(crate) cloudflare: Cloudflare,
    pub(crate) vercel: Vercel,
    pub(crate) koyeb: Koyeb,
}

#[derive(Debug)]
pub(crate) struct Cloudflare {
    pub(crate) base_url: String,
    pub(crate) token: Option<String>,
    pub(crate) account_id: Option<String>,
    /// Of Workers for Platforms: what is deployed to the Worker's own account
    /// goes there.
    pub(crate) namespace: Option<String>,
    /// Where an app answers, with `{name}` and `{subdomain}` in it.
    pub(crate) app_url: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Vercel {
    pub(crate) token: Option<String>,
    pub(crate) team: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Koyeb {
    pub(crate) token: Option<String>,
}

impl Clouds {
    pub(super) fn parse(var: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        Ok(Self {
            cloudflare: Cloudflare {
                base_url: base_url(&var, "CLOUDFLARE_BASE_URL", "https://api.cloudflare.com/client/v4")?,
                token: var("CLOUDFLARE_API_TOKEN"),
                account_id: var("CLOUDFLARE_ACCOUNT_ID"),
                namespace: var("CLOUDFLARE_DISPATCH_NAMESPACE"),
                app_url: var("CLOUDFLARE_APP_URL"),
            },
            vercel: Vercel { token: var("VERCEL_TOKEN"), team: var("VERCEL_TEAM") },
            koyeb: Koyeb { token: var("KOYEB_TOKEN") },
        })
    }
}
