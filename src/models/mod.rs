//! Every model that Hatch can ask, from any provider.
//!
//! settings.rs and providers/ list the providers; catalogue.rs lists their models with
//! abilities and prices (prices.rs). routing.rs turns a model name into an ordered list of
//! candidates. failover.rs tries them in order until one answers: ask.rs renders the request
//! and reads the answer, post.rs does so for what is no conversation, outbound.rs sends it,
//! failure.rs says why there is none, and health.rs remembers which models fail. keys.rs opens
//! the provider keys that callers bring. paid.rs asks for the answers of jobs, within budgets
//! that reservations.rs holds; web_search.rs searches the web, with a model or an engine.
//! limits.rs defines what an API key may ask, budgets.rs counts it, and buckets.rs sorts calls
//! into the histograms of `GET /metrics`. `hatch_dialects` defines requests and responses.

mod ask;
pub(crate) mod buckets;
pub(crate) mod budgets;
pub(crate) mod catalogue;
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
pub(crate) mod reservations;
mod routing;
mod sandbox;
mod sent_keys;
mod settings;
pub(crate) mod web_search;

pub(crate) use self::{
    ask::{AnsweredCall, Live, ModelResponse, Question, WHOLE_MS, ask},
    catalogue::Catalogue,
    failover::FailedCall,
    failure::{client_safe, described, in_sentence, is_for_the_operator},
    keys::{KEY_CLOSED, Keys, SealedKey, seal_key},
    limits::KeyLimits,
    model::{Above, Model, Prices},
    paid::{
        Allowance, AnswerRules, Booking, PaidAnswer, afford, answer, choose, counted, default_name,
        is_any_open, named, without_price,
    },
    post::{Compaction, PostResponse, compact, post},
    reservations::{DayBudget, PaidWork, Payer, Prompt, Reservation},
    routing::{AUTO, Candidate, Preference, RouteQuery, candidates, is_allowed, resolve},
    sandbox::embedding as sandbox_embedding,
    settings::{Providers, SETTINGS},
};
