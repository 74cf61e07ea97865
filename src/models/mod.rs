//! Every model that Hatch can ask, whoever serves it.
//!
//! settings.rs and providers/ know who serves models here, catalogue.rs what
//! they can and cost (prices.rs). routing.rs chooses whom to ask, ask.rs asks
//! one after the other until somebody answers, health.rs remembers who does
//! not. keys.rs has the keys that callers bring themselves. limits.rs is what a key may ask, budgets.rs counts it; buckets.rs sorts calls for the operator's histograms. What is said to a model, and what it answers, is `hatch_dialects`'.

mod ask;
pub(crate) mod buckets;
pub(crate) mod budgets;
pub(crate) mod catalogue;
mod health;
mod keys;
mod limits;
mod model;
mod prices;
mod providers;
mod routing;
mod sandbox;
mod settings;

pub(crate) use self::{
    ask::{Answer, Answered, KEY_REFUSED, Live, Posted, Question, Unanswered, WHOLE_MS, ask, post},
    catalogue::Catalogue,
    keys::{Keys, seal_key},
    limits::{Budget, KeyLimits, Period, optional as optional_limits},
    model::{Above, Model, Prices},
    routing::{Candidate, Preference, Wish, candidates, is_allowed, resolve},
    sandbox::embedding as sandbox_embedding,
    settings::{Providers, SETTINGS},
};
