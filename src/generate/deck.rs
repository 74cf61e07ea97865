//! The pitch deck: five slides as one HTML page that needs nothing else. Pure.

use serde::{Deserialize, Serialize};

/// How many slides every deck has.
pub(crate) const SLIDES: u32 = 5;

/// What a deck says. Plain text of any script: [`page`] escapes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deck {
    pub(crate) problem: Slide,
    pub(crate) solution: Slide,
    pub(crate) market: Slide,
    pub(crate) competitors: Vec<Competitor>,
    pub(crate) model: Slide,
    /// What comes next, and what is asked for.
    pub(crate) roadmap: Slide,
}

/// A headline and a few short points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slide {
    pub(crate) headline: String,
    pub(crate) points: Vec<String>,
}

/// Another product, and how this one differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Competitor {
    pub(crate) name: String,
    pub(crate) difference: String,
}

/// The whole page, `text/html; charset=utf-8`.
pub(crate) fn page(_name: &str, _tagline: &str, _deck: &Deck) -> String {
    String::new()
}
