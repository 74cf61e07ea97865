//! Every model that Hatch can ask, from any provider.
//!
//! settings.rs and providers/ list the providers; catalogue.rs lists their models with
//! abilities and prices (prices.rs). routing.rs turns a model name into an ordered list of
//! candidates. failover.rs tries them in order until one answers: ask.rs writes the request for
//! each (question.rs) and reads the answer (reading.rs), post.rs does so for what is no
//! conversation, outbound.rs sends it, failure.rs says why there is none, and health.rs remembers
//! which models fail. keys.rs opens the provider keys that callers bring. paid.rs asks for the
//! answers of jobs by a model that choice.rs chooses, within what allowance.rs gets from the budgets
//! that reservations.rs holds and booking.rs draws on; web_search.rs searches the web, with a model or
//! an engine.
//! limits.rs defines what an API key may ask, budgets.rs counts it, and buckets.rs sorts calls
//! into the histograms of `GET /metrics`. `hatch_dialects` defines requests and responses.

mod allowance;
mod ask;
mod booking;
pub(crate) mod buckets;
pub(crate) mod budgets;
pub(crate) mod catalogue;
mod choice;
mod failover;
mod failure;
mod health;
mod keys;
mod limits;
mod model;
mod outbound;
mod paid;
mod post;
mod prices;
mod providers;
mod question;
mod reading;
pub(crate) mod reservations;
mod routing;
mod sandbox;
mod sent_keys;
mod settings;
pub(crate) mod web_search;

#[cfg(test)]
pub(crate) use self::choice::without_price;
pub(crate) use self::{
    allowance::{Allowance, afford},
    ask::{AnsweredCall, ask},
    booking::Booking,
    catalogue::Catalogue,
    choice::{AnswerRules, OpenModels, choose, default_name, is_any_open, is_own, only_with_price},
    failover::FailedCall,
    failure::{client_safe, described, in_sentence, is_for_the_operator},
    keys::{KEY_CLOSED, Keys, SealedKey, seal_key},
    limits::KeyLimits,
    model::{Above, LONGEST_UNKNOWN, Model, Prices},
    paid::{PaidAnswer, PaidQuestion, answer},
    post::{Compaction, PostResponse, compact, post},
    prices::counted,
    question::{Question, WHOLE_MS},
    reading::{Live, ModelResponse},
    reservations::{DayBudget, PaidWork, Payer, Prompt, Reservation},
    routing::{AUTO, Candidate, Preference, RouteQuery, candidates, is_allowed, resolve},
    sandbox::embedding as sandbox_embedding,
    settings::{Providers, SETTINGS},
};
