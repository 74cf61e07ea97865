//! The front door: what this service is, and whether it lives.

#[cfg(test)]
pub(crate) mod contract;

use serde_json::json;

use crate::{error::Error, http::Exchange, platform::response::Response};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `GET /`
pub(crate) async fn show(_: Exchange) -> Result<Response, Error> {
    let body = json!({
        "status": "ok",
        "service": "hatch-api",
        "version": VERSION,
        "message": "From a prompt to a live app. Start with POST /api/projects; the README has the journey.",
    });
    Ok(Response::json(200, body.to_string()))
}

/// `GET /health`: answers as long as the Worker runs, whatever it depends on.
pub(crate) async fn health(_: Exchange) -> Result<Response, Error> {
    Ok(Response::json(200, json!({ "status": "ok" }).to_string()))
}
