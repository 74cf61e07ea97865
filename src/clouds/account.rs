//! Accounts at the clouds: how they are spoken to, and what is in them.

use super::{Cloud, Right, store::App};
use crate::{
    error::Error,
    settings::Settings,
    upstream::{
        koyeb::{Koyeb, app_name},
        vercel::Vercel,
    },
};

impl Right {
    pub(crate) fn vercel<'a>(&'a self, settings: &'a Settings) -> Vercel<'a> {
        Vercel {
            base_url: &settings.clouds.vercel.base_url,
            token: &self.credentials.token,
            team: self.credentials.account.as_deref(),
            timeout_ms: settings.timeouts.head_ms,
        }
    }

    pub(crate) fn koyeb<'a>(&'a self, settings: &'a Settings) -> Koyeb<'a> {
        Koyeb {
            base_url: &settings.clouds.koyeb.base_url,
            token: &self.credentials.token,
            timeout_ms: settings.timeouts.head_ms,
        }
    }
}

/// Whether the account of `right` has what was last brought there of `app`, by
/// its mark. An account that cannot be asked, or cannot be told by its right, is
/// not known to.
pub(super) async fn has(right: &Right, app: &App, settings: &Settings) -> bool {
    let found: Result<bool, Error> = match app.cloud {
        // A right there names its account, which is all there is to know.
        Cloud::Cloudflare => Ok(false),
        Cloud::Vercel => {
            let found = right.vercel(settings).find(&app.name, &app.deployment_id).await;
            found.map(|found| found.is_some())
        }
        Cloud::Koyeb => right.koyeb(settings).has(&app_name(&app.name), &app.deployment_id).await,
    };
    found.unwrap_or(false)
}
