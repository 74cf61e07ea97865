//! Apps that an agent makes from a conversation.
//!
//! `message::send` begins a turn, `follow::events` streams its events, and
//! `message::stop` ends it. `app` lists, shows and deletes apps, `limits` counts
//! messages, and `staff` has the routes of staff and the operator. A turn is a
//! job (job.rs): the built-in agent (agent.rs, tools.rs) or an agent server
//! (agent_server.rs) changes the files. Then they are saved (save.rs), committed
//! (repository.rs) and deployed (live.rs). An app's files are those of the
//! project with the same id.

mod agent;
mod agent_server;
pub(crate) mod app;
mod destination;
mod dialect;
mod events;
pub(crate) mod files;
pub(crate) mod follow;
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
pub(crate) use store::owned::OWNED;
#[cfg(test)]
pub(crate) use store::owned::{ExportedApp, ExportedAppMessage};
