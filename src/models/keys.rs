//! The keys that callers have of providers themselves: for one request in its
//! header, or kept (`PUT /auth/credentials/{provider}`).
//!
//! At rest they are sealed to their user and provider: a row that is moved to
//! another one's stays closed.

use std::fmt;

use serde::Deserialize;

use crate::{
    clouds::Cloud,
    error::Error,
    settings::Settings,
    store::{sealing, sealing_key},
};

/// A kept key, as its row has it.
#[derive(Deserialize)]
pub(crate) struct Sealed {
    target: String,
    sealed: String,
}

/// A caller's own keys.
#[derive(Default)]
pub(crate) struct Keys {
    /// Of the one provider that is asked then.
    for_request: Option<String>,
    /// Each with its provider.
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
            // What is stored for a cloud is no key of a model.
            if for_request.is_none() && Cloud::parse(&row.target).is_none() {
                let key = sealing::open(sealing_key(settings)?, &place_of(user, &row.target), &row.sealed)?;
                kept.push((row.target, key));
            }
        }
        Ok(Self { for_request: for_request.map(str::to_owned), kept })
    }

    /// The caller's own key of a provider.
    pub(crate) fn of(&self, provider: &str) -> Option<&str> {
        let kept = || self.kept.iter().find(|(name, _)| name == provider).map(|(_, key)| key.as_str());
        self.for_request.as_deref().or_else(kept)
    }

    /// The key is for one request, and so for one provider.
    pub(crate) fn is_for_request(&self) -> bool {
        self.for_request.is_some()
    }
}

impl fmt::Debug for Keys {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// Seals a key to its user and provider.
///
/// # Errors
/// [`Error::NotConfigured`] without a `SEALING_KEY`.
pub(crate) fn seal_key(user: &str, provider: &str, key: &str, settings: &Settings) -> Result<String, Error> {
    sealing::seal(sealing_key(settings)?, &place_of(user, provider), key)
}

fn place_of(user: &str, provider: &str) -> String {
    format!("provider_keys/{user}/{provider}")
}
