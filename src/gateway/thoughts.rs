//! Thoughts of a model that a client carries for us until its next request.

use hatch_dialects::Seal;

use crate::{
    http::RequestContext,
    store::{sealing, sealing_key},
};

/// Seals thoughts that a client carries for us, to its user.
#[derive(Debug)]
pub(super) struct Sealed {
    key: sealing::Key,
    place: String,
}

impl Sealed {
    /// None without `SEALING_KEY`: then thoughts are not carried.
    pub(super) fn of(context: &RequestContext, user: &str) -> Option<Self> {
        let key = sealing_key(&context.settings).ok()?;
        Some(Self { key: *key, place: format!("thoughts/{user}") })
    }
}

impl Seal for Sealed {
    fn seal(&self, plain: &str) -> String {
        sealing::seal(&self.key, &self.place, plain).unwrap_or_default()
    }

    fn open(&self, sealed: &str) -> Option<String> {
        sealing::open(&self.key, &self.place, sealed).ok()
    }
}
