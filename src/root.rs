//! The front door: what this service is, and whether it lives.

#[cfg(test)]
pub(crate) mod contract;

use serde_json::{Map, Value, json};

use crate::{error::Error, http::Exchange, platform::response::Response, settings::binding, store::sql};

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

/// `GET /ready`: whether all that it depends on answers. The configuration
/// does, or this would not run.
pub(crate) async fn ready(exchange: Exchange) -> Result<Response, Error> {
    let (database, kv) = futures::join!(database(&exchange), kv(&exchange));
    let queue = exchange.env.queue(binding::JOBS).is_ok();
    let checks = [("database", database), ("kv", kv), ("queue", queue), ("configuration", true)];
    let is_ready = checks.iter().all(|(_, ok)| *ok);
    let told = |ok: bool| Value::from(if ok { "ok" } else { "failed" });
    let checks: Map<String, Value> =
        checks.map(|(name, ok)| (name.to_owned(), told(ok))).into_iter().collect();
    let status = if is_ready { "ready" } else { "not_ready" };
    let body = json!({ "status": status, "checks": checks }).to_string();
    Ok(Response::json(if is_ready { 200 } else { 503 }, body))
}

async fn database(exchange: &Exchange) -> bool {
    // A table of the newest migration: a database without it is not ours yet.
    let asked = async {
        exchange.database()?.query(sql!("SELECT count(*) || '' AS json FROM audit_chain WHERE seq < 0")).await
    };
    asked.await.is_ok()
}

async fn kv(exchange: &Exchange) -> bool {
    let Ok(kv) = exchange.env.kv(binding::HEARTBEATS) else { return false };
    kv.get("ready").text().await.is_ok()
}
