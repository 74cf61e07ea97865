//! The rules of translation, checked against what the vendors' SDKs require.

mod answers;
mod hostile;
mod invariants;
mod requests;
mod streams;

use std::rc::Rc;

use crate::{Reply, Seal};

/// Seals by adding a prefix, so that tests can read the content.
#[derive(Debug)]
struct Marked;

impl Seal for Marked {
    fn seal(&self, plain: &str) -> String {
        format!("sealed:{plain}")
    }

    fn open(&self, sealed: &str) -> Option<String> {
        sealed.strip_prefix("sealed:").map(str::to_owned)
    }
}

pub(crate) fn reply() -> Reply {
    Reply {
        id: "1".to_owned(),
        created: 7,
        model: "m".to_owned(),
        include_usage: true,
        show_reasoning: true,
        include_encrypted_reasoning: true,
        seal: Some(Rc::new(Marked)),
        request_id: "req_1".to_owned(),
        ..Reply::default()
    }
}
