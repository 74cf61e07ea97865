//! app.build: apps that an agent makes from a conversation.
//!
//! `message::send` begins a turn, `follow::events` tells of it, `message::stop`
//! ends it; `app` shows and deletes apps; `limits` counts; `staff` is for those
//! who run this. A turn is a job (job.rs): an agent works on the files, our own
//! (agent.rs with its tools, a step a message) or an agent server's
//! (foreign.rs), then they are saved (save.rs), committed (repository.rs) and
//! taken live (live.rs). An app's files are those of the project of the same id.

mod agent;
pub(crate) mod app;
mod destination;
mod dialect;
mod events;
pub(crate) mod files;
pub(crate) mod follow;
mod foreign;
pub(crate) mod github;
mod ids;
pub(crate) mod job;
pub(crate) mod limits;
pub(crate) mod live;
mod merge;
pub(crate) mod message;
mod model;
#[cfg(test)]
pub(crate) mod openapi;
mod prompt;
mod repository;
pub(crate) mod reservations;
mod sandbox;
mod save;
mod settings;
pub(crate) mod staff;
mod steps;
mod store;
mod tools;
mod transcript;
mod work;

pub(crate) use dialect::DIALECT;
pub(crate) use settings::SETTINGS;
pub(crate) use store::OWNED;
