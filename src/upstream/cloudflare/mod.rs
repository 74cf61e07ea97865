//! The part of Cloudflare's API that puts a Worker of static assets online, as wrangler does it.

mod api;
mod assets;
mod errors;
mod script;

pub(crate) use self::{api::Api, assets::Asset, script::Upload};
