//! The entry point: what this service is, and whether it lives.

#[cfg(test)]
pub(crate) mod openapi;

use serde_json::{Map, Value, json};

use crate::{
    error::Error, http::RequestContext, platform::response::Response, settings::binding, store::sql,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The last file of migrations/, by build.rs.
const NEWEST_MIGRATION: &str = env!("NEWEST_MIGRATION");

/// `GET /`
pub(crate) async fn show(_: RequestContext) -> Result<Response, Error> {
    let body = json!({
        "status": "ok",
        "service": "hatch-api",
        "version": VERSION,
        "message": "From a prompt to a live app. Start with POST /api/projects; the README has the journey.",
    });
    Ok(Response::json(200, body.to_string()))
}

/// `GET /health`: answers as long as the Worker runs, whatever it depends on.
pub(crate) async fn health(_: RequestContext) -> Result<Response, Error> {
    Ok(Response::json(200, json!({ "status": "ok" }).to_string()))
}

/// `GET /ready`: whether all that it depends on answers.
///
/// # Errors
/// [`Error::NotConfigured`] naming the first variable, of whatever module, whose
/// value makes no sense: the routes that need it do not work.
pub(crate) async fn ready(context: RequestContext) -> Result<Response, Error> {
    let mut modules = context.modules.settings.iter().copied().flatten().copied().flatten();
    modules.try_for_each(|parse| parse(&context.settings))?;
    let (database, kv) = futures::join!(database(&context), kv(&context));
    let queue = context.env.queue(binding::JOBS).is_ok();
    let checks = [("database", database), ("kv", kv), ("queue", queue), ("configuration", true)];
    let is_ready = checks.iter().all(|(_, ok)| *ok);
    let detail = |ok: bool| Value::from(if ok { "ok" } else { "failed" });
    let checks: Map<String, Value> =
        checks.map(|(name, ok)| (name.to_owned(), detail(ok))).into_iter().collect();
    let status = if is_ready { "ready" } else { "not_ready" };
    let body = json!({ "status": status, "checks": checks }).to_string();
    Ok(Response::json(if is_ready { 200 } else { 503 }, body))
}

/// Whether the database has every table that this Worker was built for.
async fn database(context: &RequestContext) -> bool {
    let applied = sql!("SELECT name AS json FROM d1_migrations WHERE name = ?1", NEWEST_MIGRATION);
    let asked = async { context.database()?.query(applied).await };
    asked.await.is_ok_and(|rows| rows.into_json().is_some())
}

async fn kv(context: &RequestContext) -> bool {
    let Ok(kv) = context.env.kv(binding::HEARTBEATS) else { return false };
    kv.get("ready").text().await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_migration_is_the_last_file_of_its_folder() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
        let newest = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).max();
        assert_eq!(newest.as_deref(), Some(NEWEST_MIGRATION));
    }
}
