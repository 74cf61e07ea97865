//! Provider keys that callers bring: in the header of one request, or stored
//! (`PUT /auth/credentials/{provider}`).
//!
//! A stored key is sealed to its user and provider, so that a row that was
//! copied to another user or provider cannot be opened.

use std::fmt;

use serde::Deserialize;

use crate::{
    clouds::Cloud,
    error::Error,
    settings::Settings,
    store::{sealing, sealing_key},
};

/// The row of a stored key.
#[derive(Deserialize)]
pub(crate) struct Sealed {
    target: String,
    sealed: String,
}

/// A caller's own keys.
#[derive(Default)]
pub(crate) struct Keys {
    /// A key for this request only, which then asks only one provider.
    for_request: Option<String>,
    /// Pairs of a provider and the stored key for it.
    kept: Vec<(String, String)>,
}

impl Keys {
    /// # Errors
    /// [`Error::NotConfigured`] when a key was sealed with another `SEALING_KEY`.
    pub(crate) fn open(
        for_request: Option<&str>,
        rows: Vec<Sealed>,
        user: &str,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let mut kept = Vec::new();
        for row in rows {
            // The same table holds the credentials of clouds.
            if for_request.is_none() && Cloud::parse(&row.target).is_none() {
                let key = sealing::open(sealing_key(settings)?, &place_of(user, &row.target), &row.sealed)?;
                kept.push((row.target, key));
            }
        }
        Ok(Self { for_request: for_request.map(str::to_owned), kept })
    }

    /// The caller's own key for a provider.
    pub(crate) fn of(&self, provider: &str) -> Option<&str> {
        let kept = || self.kept.iter().find(|(name, _)| name == provider).map(|(_, key)| key.as_str());
        self.for_request.as_deref().or_else(kept)
    }

    /// Whether the key came with the request and so belongs to one provider.
    pub(crate) fn is_for_request(&self) -> bool {
        self.for_request.is_some()
    }
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
/// [`Error::NotConfigured`] without a `SEALING_KEY`.
pub(crate) fn seal_key(user: &str, provider: &str, key: &str, settings: &Settings) -> Result<String, Error> {
    sealing::seal(sealing_key(settings)?, &place_of(user, provider), key)
}

fn place_of(user: &str, provider: &str) -> String {
    format!("provider_keys/{user}/{provider}")
}
