//! How a startup is told to the world: tagline, launch channels and what its deck says. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    deck::{Competitor, Deck, Slide},
    idea::Idea,
};

/// The most launch channels.
pub(crate) const MAX_CHANNELS: usize = 8;

/// What marketing makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) name: String,
    pub(crate) tagline: String,
    /// The most important first.
    pub(crate) channels: Vec<Channel>,
    pub(crate) deck: Deck,
}

/// A place to be seen at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) priority: Priority,
}

/// How soon a channel matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Priority {
    High,
    Medium,
    Low,
}

/// A competitor as discovery found it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rival<'a> {
    pub(crate) name: &'a str,
    /// What it is, in a sentence or a list of features.
    pub(crate) about: &'a str,
}

/// The sandbox model's launch: the same for the same idea and rivals.
pub(crate) fn sandbox(idea: &Idea, _rivals: &[Rival<'_>]) -> Launch {
    let slide = || Slide { headline: String::new(), points: Vec::new() };
    Launch {
        name: idea.name.clone(),
        tagline: idea.tagline.clone(),
        channels: Vec::new(),
        deck: Deck {
            problem: slide(),
            solution: slide(),
            market: slide(),
            competitors: Vec::<Competitor>::new(),
            model: slide(),
            roadmap: slide(),
        },
    }
}

/// What Claude is asked: the prompt, the rivals, and what was built, each as data rather than as instructions.
pub(crate) fn question(_prompt: &str, _rivals: &[Rival<'_>], _readme: &str) -> String {
    String::new()
}

/// The schema of the answer, for `output_config.format`.
pub(crate) fn schema() -> Value {
    Value::Null
}

/// Reads Claude's answer: bounded, on one line each, without control characters.
///
/// # Errors
/// A sentence that says what is wrong with it, to be sent back to the model.
pub(crate) fn parse(_answer: &str) -> Result<Launch, String> {
    Err(String::new())
}
