//! Credentials, whose they are, and which account they lead to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a cloud knows somebody by.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) token: String,
    /// Which account of the token's: Cloudflare's account id, Vercel's team.
    pub(crate) account: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Enough of a token to know it again by.
    pub(crate) fn hint(&self) -> String {
        let end = self.token.len().checked_sub(4).filter(|start| *start >= 12);
        format!("…{}", end.and_then(|start| self.token.get(start..)).unwrap_or_default())
    }
}

/// Where credentials came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// The headers of the request, for what it asks for and no longer.
    Header,
    /// The user's stored ones.
    Stored,
    /// The Worker's settings.
    Own,
}

impl Source {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Stored => "stored",
            Self::Own => "own",
        }
    }

    /// Whether what came by the one may be taken down by the other. What a user
    /// has brought somewhere is never the Worker's to look for in its own
    /// account, nor the other way round: of one name, it would find another app.
    pub(super) fn is_akin(self, other: Self) -> bool {
        (self == Self::Own) == (other == Self::Own)
    }
}

/// Credentials, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResolvedCredentials {
    pub(crate) credentials: Credentials,
    pub(crate) source: Source,
}
