//! Provider keys that callers bring: in the header of one request, or stored
//! (`PUT /auth/credentials/{provider}`).
//!
//! A stored key is sealed to its user and provider, so that a row that was
//! copied to another user or provider cannot be opened.

use std::{borrow::Cow, fmt};

use hatch_dialects::{Class, Error};
use serde::Deserialize;

use crate::{
    clouds::{self, Cloud},
    error,
    settings::Settings,
    store::{Database, sealing, sealing_key},
};

/// The row of a stored key.
#[derive(Deserialize)]
pub(crate) struct SealedKey {
    target: String,
    sealed: String,
}

/// A caller's own keys. A stored key is opened only when its provider is
/// asked, so one that cannot be opened does not affect other providers.
#[derive(Default)]
pub(crate) struct Keys {
    /// A key for this request only, which then asks only one provider.
    for_request: Option<String>,
    kept: Vec<SealedKey>,
    user: String,
    /// None without `SEALING_KEY`.
    sealing_key: Option<sealing::Key>,
}

impl Keys {
    pub(crate) fn new(
        for_request: Option<&str>,
        mut kept: Vec<SealedKey>,
        user: &str,
        settings: &Settings,
    ) -> Self {
        // What is stored for a cloud is no key of a model.
        kept.retain(|row| for_request.is_none() && Cloud::parse(&row.target).is_none());
        Self {
            for_request: for_request.map(str::to_owned),
            kept,
            user: user.to_owned(),
            sealing_key: sealing_key(settings).ok().copied(),
        }
    }

    /// The keys that a user has stored.
    pub(crate) async fn of_user(
        user: &str,
        settings: &Settings,
        database: &Database,
    ) -> Result<Self, error::Error> {
        let kept: Option<Vec<SealedKey>> = database.query(clouds::store::all_sealed(user)).await?.first()?;
        Ok(Self::new(None, kept.unwrap_or_default(), user, settings))
    }

    /// Whether the caller has no key of their own.
    pub(crate) fn is_empty(&self) -> bool {
        self.for_request.is_none() && self.kept.is_empty()
    }

    /// Whether the caller has a key of a provider.
    pub(crate) fn has(&self, provider: &str) -> bool {
        self.for_request.is_some() || self.kept_of(provider).is_some()
    }

    /// The caller's own key of a provider.
    ///
    /// # Errors
    /// For one that was sealed with another `SEALING_KEY`.
    pub(super) fn open(&self, provider: &str) -> Result<Option<Cow<'_, str>>, Error> {
        if let Some(key) = &self.for_request {
            return Ok(Some(Cow::Borrowed(key)));
        }
        let Some(row) = self.kept_of(provider) else { return Ok(None) };
        let opened = self
            .sealing_key
            .and_then(|key| sealing::open(&key, &place_of(&self.user, provider), &row.sealed).ok());
        opened.map(|key| Some(Cow::Owned(key))).ok_or_else(|| closed(provider))
    }

    fn kept_of(&self, provider: &str) -> Option<&SealedKey> {
        self.kept.iter().find(|row| row.target == provider)
    }

    /// Whether the key came with the request and so belongs to one provider.
    pub(crate) fn is_for_request(&self) -> bool {
        self.for_request.is_some()
    }
}

/// The code of an error for a stored key that cannot be opened.
pub(crate) const KEY_CLOSED: &str = "provider_key_closed";

fn closed(provider: &str) -> Error {
    let words = format!(
        "Your key of {provider} cannot be opened any more; store it again (PUT /auth/credentials/{provider})"
    );
    Error::new(Class::Authentication, words).with_code(KEY_CLOSED)
}

impl fmt::Debug for Keys {
    /// Leaves out the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// Seals a key, bound to its user and provider.
///
/// # Errors
/// [`error::Error::NotConfigured`] without a `SEALING_KEY`.
pub(crate) fn seal_key(
    user: &str,
    provider: &str,
    key: &str,
    settings: &Settings,
) -> Result<String, error::Error> {
    sealing::seal(sealing_key(settings)?, &place_of(user, provider), key)
}

fn place_of(user: &str, provider: &str) -> String {
    format!("provider_keys/{user}/{provider}")
}
