//! Hatchr: from a prompt to a packaged startup.

mod archive;
mod complete;
mod deck;
mod idea;
mod launch;
mod line;
mod startup;
mod verify;
