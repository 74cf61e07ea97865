//! Seals a model's reasoning, which the client keeps and sends back with its next
//! request.

use hatch_dialects::Seal;

use crate::{
    http::RequestContext,
    store::{sealing, sealing_key},
};

/// Seals reasoning, bound to its user.
#[derive(Debug)]
pub(super) struct ReasoningSeal {
    key: sealing::Key,
    place: String,
}

impl ReasoningSeal {
    /// None without `SEALING_KEY`: then no reasoning is sent to the client.
    pub(super) fn of(context: &RequestContext, user: &str) -> Option<Self> {
        let key = sealing_key(&context.settings).ok()?;
        Some(Self { key: *key, place: format!("thoughts/{user}") })
    }
}

impl Seal for ReasoningSeal {
    fn seal(&self, plain: &str) -> String {
        sealing::seal(&self.key, &self.place, plain).unwrap_or_default()
    }

    fn open(&self, sealed: &str) -> Option<String> {
        sealing::open(&self.key, &self.place, sealed).ok()
    }
}
