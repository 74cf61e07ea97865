//! What a request with an `Idempotency-Key` holds while it is at work.

use std::{cell::Cell, rc::Rc};

use sha2::{Digest as _, Sha256};

/// The row that a request works on.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(super) tenant: String,
    pub(super) key: String,
    pub(super) owner: String,
    pub(super) seed: String,
    /// Whether an earlier request with this key may have made something.
    pub(crate) is_again: bool,
    /// Whether what is answered with is what an earlier request made.
    pub(super) is_replay: Rc<Cell<bool>>,
}

impl Claim {
    /// An id that is the same for each request with this key: a UUID
    /// (version 8) from the row's seed and what the id is for.
    pub(crate) fn id(&self, of: &str) -> String {
        let digest = Sha256::digest(format!("{}\n{of}", self.seed));
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
    }
}
