//! Guardrails: what may go to a model and what may come back.
//!
//! A [`Policy`] says which rules hold on each side, a [`Guard`] is one side of it made ready, and a [`Redactor`] runs a guard
//! over a text that comes in pieces. There is one engine for whole texts and for streams, so that a text cut anywhere gives
//! the same: at each character, in order, every detector that may begin there reads ahead; one that has not seen enough to
//! decide holds the text back from this character on, and nothing else does. Rules that only flag read behind, and hold nothing.
//! Pure: no Worker types, no panics, linear time,
//! and no more than [`MAX_HELD_BYTES`] held.

mod cursor;
mod guard;
mod injection;
mod pii;
mod policy;
mod redactor;
mod schema;
mod secrets;
#[cfg(test)]
mod tests;
mod trie;

pub use guard::{Finding, Guard, Inspection, PolicyError};
pub use policy::{Action, Limit, OnFailure, PiiKind, PiiRule, Policy, Rule, Rules, SchemaRule, TermRule};
pub use redactor::{MAX_HELD_BYTES, Redactor};
pub use schema::{SchemaError, check_answer};
