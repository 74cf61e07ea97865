//! The Worker's own accounts at other people's clouds, and where these answer.

use hatch_tokens::sigv4;

use super::vars::{base_url, wrong};
use crate::error::Error;

#[derive(Debug)]
pub(crate) struct Clouds {
    pub(crate) cloudflare: Cloudflare,
    pub(crate) vercel: Vercel,
    pub(crate) koyeb: Koyeb,
    pub(crate) ecr: Option<Ecr>,
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

impl Cloudflare {
    /// Whether somebody has begun to set an account.
    pub(crate) fn is_set(&self) -> bool {
        self.token.is_some() || self.account_id.is_some()
    }
}

#[derive(Debug)]
pub(crate) struct Vercel {
    pub(crate) base_url: String,
    pub(crate) token: Option<String>,
    pub(crate) team: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Koyeb {
    pub(crate) base_url: String,
    pub(crate) token: Option<String>,
    /// Where services run: `fra`, `was`, …
    pub(crate) region: String,
    /// How large they are: `free`, `nano`, …
    pub(crate) instance_type: String,
}

/// The registry of container images of the Worker's own account at AWS.
#[derive(Debug)]
pub(crate) struct Ecr {
    pub(crate) base_url: String,
    pub(crate) region: String,
    pub(crate) keys: sigv4::Keys,
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
            vercel: Vercel {
                base_url: base_url(&var, "VERCEL_BASE_URL", "https://api.vercel.com")?,
                token: var("VERCEL_TOKEN"),
                team: var("VERCEL_TEAM_ID"),
            },
            koyeb: Koyeb {
                base_url: base_url(&var, "KOYEB_BASE_URL", "https://app.koyeb.com")?,
                token: var("KOYEB_TOKEN"),
                region: var("KOYEB_REGION").unwrap_or_else(|| "fra".to_owned()),
                instance_type: var("KOYEB_INSTANCE_TYPE").unwrap_or_else(|| "free".to_owned()),
            },
            ecr: ecr(&var)?,
        })
    }
}

fn ecr(var: impl Fn(&str) -> Option<String>) -> Result<Option<Ecr>, Error> {
    let keys = match (var("AWS_ACCESS_KEY_ID"), var("AWS_SECRET_ACCESS_KEY")) {
        (None, None) => return Ok(None),
        (Some(id), Some(secret)) => sigv4::Keys { id, secret },
        (Some(_), None) => return Err(wrong("AWS_SECRET_ACCESS_KEY", "set beside AWS_ACCESS_KEY_ID")),
        (None, Some(_)) => return Err(wrong("AWS_ACCESS_KEY_ID", "set beside AWS_SECRET_ACCESS_KEY")),
    };
    let region = var("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned());
    if !region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Err(wrong("AWS_REGION", "a region's name, such as us-east-1"));
    }
    let default = format!("https://api.ecr.{region}.amazonaws.com");
    Ok(Some(Ecr { base_url: base_url(&var, "ECR_BASE_URL", &default)?, region, keys }))
}
