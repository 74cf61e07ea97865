//! The claim that a request with an `Idempotency-Key` holds while it runs.

use std::{cell::Cell, rc::Rc};

use sha2::{Digest as _, Sha256};

/// The row of the key that a request holds.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(super) tenant: String,
    pub(super) key: String,
    pub(super) owner: String,
    pub(super) seed: String,
    /// Whether an earlier request with this key may have created something.
    pub(crate) is_again: bool,
    /// Whether the response shows what an earlier request created.
    pub(super) is_replay: Rc<Cell<bool>>,
}

impl Claim {
    /// A UUID (version 8) that is the same for each request with this key, made of the row's seed
    /// and the id's purpose.
    pub(crate) fn id(&self, of: &str) -> String {
        let digest = Sha256::digest(format!("{}\n{of}", self.seed));
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
    }
}
