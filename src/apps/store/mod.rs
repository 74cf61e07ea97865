//! The SQL of the apps module. Every statement takes the owner, or the turn
//! whose job runs it.
//!
//! `apps` has the apps themselves, and `files` their files with the repository that has them. `turns` begins and
//! ends a turn, and `work` has what an agent reads and keeps during one. `events` writes and shows the conversation,
//! and `follow` reads what a client has not received of it. `limits` counts a day's messages and new apps. `owned`
//! has the rows that belong to a user, and their export.

pub(super) mod apps;
pub(super) mod events;
pub(super) mod files;
pub(super) mod follow;
pub(super) mod limits;
pub(super) mod owned;
pub(super) mod turns;
pub(super) mod work;
