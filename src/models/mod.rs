//! Every model that Hatch can ask, whoever serves it.
//!
//! settings.rs and providers/ know who serves models here, catalogue.rs what
//! they can and cost (prices.rs). routing.rs chooses whom to ask, ask.rs asks
//! one after the other until somebody answers, health.rs remembers who does
//! not. limits.rs is what a key may ask, budgets.rs counts it. What is said to a model, and what it answers, is `hatch_dialects`'.

mod ask;
pub(crate) mod budgets;
pub(crate) mod catalogue;
mod health;
mod limits;
mod model;
mod prices;
mod providers;
mod routing;
mod sandbox;
mod settings;

pub(crate) use self::{
    ask::{Answer, Answered, Live, Posted, Question, Unanswered, ask, post},
    catalogue::Catalogue,
    limits::{Budget, KeyLimits, Period, optional as optional_limits},
    model::{Above, Model, Prices},
    providers::Key,
    routing::{Candidate, Preference, Wish, candidates, is_allowed, resolve},
    sandbox::embedding as sandbox_embedding,
    settings::{Providers, SETTINGS},
};
