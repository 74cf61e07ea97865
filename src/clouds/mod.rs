//! Other people's clouds: by whose credentials an app gets there, and which
//! apps are there. The rooms that deploy, that delete projects and that delete
//! accounts all need to know.

mod account;
#[cfg(test)]
pub(crate) mod contract;
pub(crate) mod credentials;
mod right;
pub(crate) mod store;
pub(crate) mod take_down;

use serde::{Deserialize, Serialize};

pub(crate) use right::{Credentials, Right, Source};

/// A cloud that apps can be deployed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cloud {
    Cloudflare,
    Vercel,
    Koyeb,
}

/// What a cloud's credentials are called, and where they come from.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) token_header: &'static str,
    pub(crate) token_variable: &'static str,
    /// None where a token says all.
    pub(crate) account: Option<AccountNames>,
}

/// What tells which account of the token's is meant.
#[derive(Debug)]
pub(crate) struct AccountNames {
    pub(crate) header: &'static str,
    pub(crate) variable: &'static str,
    pub(crate) is_required: bool,
}

impl Cloud {
    pub(crate) const ALL: [Self; 3] = [Self::Cloudflare, Self::Vercel, Self::Koyeb];

    /// Its name in the API and in the database.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cloudflare => "cloudflare",
            Self::Vercel => "vercel",
            Self::Koyeb => "koyeb",
        }
    }

    /// Its name in a sentence.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Cloudflare => "Cloudflare",
            Self::Vercel => "Vercel",
            Self::Koyeb => "Koyeb",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cloud| cloud.name() == name)
    }

    /// The request headers that have credentials, for any cloud.
    pub(crate) fn headers() -> impl Iterator<Item = &'static str> {
        let of_account = |names: &Names| names.account.as_ref().map(|account| account.header);
        Self::ALL
            .map(Self::names)
            .into_iter()
            .flat_map(move |names| [Some(names.token_header), of_account(&names)].into_iter().flatten())
    }

    pub(crate) const fn names(self) -> Names {
        match self {
            Self::Cloudflare => Names {
                token_header: "X-Cloudflare-Api-Token",
                token_variable: "CLOUDFLARE_API_TOKEN",
                account: Some(AccountNames {
                    header: "X-Cloudflare-Account-Id",
                    variable: "CLOUDFLARE_ACCOUNT_ID",
                    is_required: true,
                }),
            },
            Self::Vercel => Names {
                token_header: "X-Vercel-Token",
                token_variable: "VERCEL_TOKEN",
                account: Some(AccountNames {
                    header: "X-Vercel-Team",
                    variable: "VERCEL_TEAM_ID",
                    is_required: false,
                }),
            },
            Self::Koyeb => {
                Names { token_header: "X-Koyeb-Token", token_variable: "KOYEB_TOKEN", account: None }
            }
        }
    }
}
