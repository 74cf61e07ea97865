//! Credentials, and their source.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A client's credentials for a cloud.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) token: String,
    /// One of the token's accounts: Cloudflare's account id, Vercel's team.
    pub(crate) account: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Credentials {
    /// The end of the token, enough for its owner to recognize it.
    pub(crate) fn hint(&self) -> String {
        let end = self.token.len().checked_sub(4).filter(|start| *start >= 12);
        format!("…{}", end.and_then(|start| self.token.get(start..)).unwrap_or_default())
    }
}

/// The source of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CredentialSource {
    /// The request's headers; used only for what it requests.
    Header,
    /// Stored by the user.
    Stored,
    /// The operator's settings.
    Own,
}

impl CredentialSource {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Stored => "stored",
            Self::Own => "own",
        }
    }

    /// Whether credentials from one source may undeploy what the other deployed. The operator's
    /// account is never searched for a user's app or the other way round, because another app could
    /// have the same name.
    pub(super) fn is_same_owner(self, other: Self) -> bool {
        (self == Self::Own) == (other == Self::Own)
    }
}

/// Credentials, and their source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResolvedCredentials {
    pub(crate) credentials: Credentials,
    pub(crate) source: CredentialSource,
}
