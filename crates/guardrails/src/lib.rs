//! Guardrails: checks what is sent to a model and what it answers.
//!
//! A [`Policy`] has the rules for each side, a [`Guard`] is one compiled side of it, and a [`Redactor`] runs a guard
//! over a text that arrives in pieces. Whole texts and streams use the same engine, so chunk boundaries do not change
//! the result: at each character every detector that may match there reads ahead, and a detector that cannot decide yet
//! holds the text back from this character on. Rules that only flag run on text that has already been released, so they
//! hold nothing back. Pure: no Worker types, no panics, linear time, and no more than [`MAX_HELD_BYTES`] held.

mod cursor;
mod guard;
mod injection;
mod json_text;
mod pii;
mod policy;
mod redactor;
mod schema;
mod secrets;
#[cfg(test)]
mod tests;
mod trie;

pub use guard::{Finding, Guard, Inspection, PolicyError, Redaction};
pub use json_text::{JsonText, escaped};
pub use policy::{Action, Limit, OnFailure, PiiKind, PiiRule, Policy, Rule, Rules, SchemaRule, TermRule};
pub use redactor::{MAX_HELD_BYTES, Redactor};
pub use schema::{SchemaError, check_answer};
