//! The entry point: what this service is, whether it runs, and whether it is
//! ready. Browsers get the console (console/).

#[cfg(test)]
pub(crate) mod openapi;

use serde_json::{Map, Value, json};

use crate::{
    error::{Error, Resource},
    http::{RequestContext, asset},
    platform::response::{Response, ResponseKind},
    settings::{Settings, binding},
    store::sql,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The last file of migrations/, found by build.rs.
const NEWEST_MIGRATION: &str = env!("NEWEST_MIGRATION");

/// `GET /`: the console for browsers, JSON for programs.
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    if wants_page(context.request.header("accept").as_deref()) {
        return console(context).await;
    }
    let body = json!({
        "status": "ok",
        "service": "hatch-api",
        "version": VERSION,
        "message": "From a prompt to a live app. Start with POST /api/projects; the README has the journey.",
    });
    Ok(Response::json(200, body.to_string()).with("vary", "Accept"))
}

/// Whether `Accept` prefers HTML to JSON. Programs send `*/*`,
/// `application/json` or nothing.
fn wants_page(accept: Option<&str>) -> bool {
    let quality = |media_type: &str| {
        let ranges = accept.unwrap_or_default().split(',');
        ranges.filter_map(|range| quality_of(range, media_type)).fold(0.0_f32, f32::max)
    };
    let html = quality("text/html");
    html > 0.0 && html >= quality("application/json")
}

/// The weight of a range in `Accept`, if it matches the media type.
fn quality_of(range: &str, media_type: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    let is_of_type = parts.next()?.eq_ignore_ascii_case(media_type);
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    is_of_type.then(|| weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
}

async fn console(context: RequestContext) -> Result<Response, Error> {
    let page = asset::response(&context, "/console", ResponseKind::Console, None).await?;
    let page = page.ok_or_else(|| Error::Internal("public/console.html is missing".to_owned()))?;
    let policy = console_policy(&context.settings, context.request.origin());
    Ok(page.with("content-security-policy", policy).with("cache-control", "no-cache").with("vary", "Accept"))
}

/// Allows scripts, styles and requests of our own origin only, and frames of
/// hosted apps only. Text from models and users never becomes markup; if it
/// did, this policy would stop it.
fn console_policy(settings: &Settings, origin: &str) -> String {
    let apps = match settings.hosting_domain.as_deref() {
        None => String::new(),
        Some("localhost") => {
            let port = origin.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
            format!(" http://*.localhost{}", port.map_or_else(String::new, |(_, port)| format!(":{port}")))
        }
        Some(domain) => format!(" https://*.{domain}"),
    };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; \
         img-src 'self' data:; frame-src 'self'{apps}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify"
    )
}

/// Whether this is the name of a file in the folder, and not a path.
fn is_file_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    name.bytes().all(is_plain) && name.split('.').all(|part| !part.is_empty())
}

/// `GET /console/:file`. The name has a hash of the content, so the file never changes.
pub(crate) async fn console_file(context: RequestContext) -> Result<Response, Error> {
    let name = context.param("file");
    if !is_file_name(name) {
        return Err(Error::NotFound(Resource::Path));
    }
    let file = asset::response(&context, &format!("/console/{name}"), ResponseKind::Page, None).await?;
    let file = file.ok_or(Error::NotFound(Resource::Path))?;
    Ok(file.with("cache-control", "public, max-age=31536000, immutable"))
}

/// `GET /health`: responds while the Worker runs, whatever its dependencies do.
pub(crate) async fn health(_: RequestContext) -> Result<Response, Error> {
    Ok(Response::json(200, json!({ "status": "ok" }).to_string()))
}

/// `GET /ready`: checks that all dependencies respond.
///
/// # Errors
/// [`Error::NotConfigured`] with the first variable, of any module, that has
/// an invalid value: the routes that need it do not work.
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

/// Whether the newest migration was applied to the database.
async fn database(context: &RequestContext) -> bool {
    let applied = sql!("SELECT name AS json FROM d1_migrations WHERE name = ?1", NEWEST_MIGRATION);
    let reply = async { context.database()?.query(applied).await };
    reply.await.is_ok_and(|rows| rows.into_json().is_some())
}

async fn kv(context: &RequestContext) -> bool {
    let Ok(kv) = context.env.kv(binding::HEARTBEATS) else { return false };
    kv.get("ready").text().await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_the_page_and_programs_get_json() {
        let chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8";
        for page in [chromium, "TEXT/HTML", "text/html, application/json", "text/html;q=0.5"] {
            assert!(wants_page(Some(page)), "{page}");
        }
        for program in [
            "*/*",
            "application/json",
            "application/json, text/html;q=0.9",
            "text/html;q=0",
            "text/htmlx",
            "",
        ] {
            assert!(!wants_page(Some(program)), "{program}");
        }
        assert!(!wants_page(None));
    }

    #[test]
    fn only_files_of_the_folder_are_console_files() {
        assert!(is_file_name("console-X7Q2ZJ4A.js"));
        for odd in
            ["", ".", "..", "../openapi.json", "a/b.js", "\0", "a%2fb", "a?b", "a\\b", ".js", "a..js", "é.js"]
        {
            assert!(!is_file_name(odd), "{odd:?}");
        }
    }

    #[test]
    fn the_console_frames_only_apps_of_the_hosting_domain() {
        let policy = |vars: &[(&'static str, &'static str)], origin: &str| {
            let policy = console_policy(&Settings::for_test(vars), origin);
            policy.split("; ").find(|part| part.starts_with("frame-src")).unwrap().to_owned()
        };
        assert_eq!(policy(&[], "https://hatch.example"), "frame-src 'self'");
        assert_eq!(
            policy(&[("HOSTING_DOMAIN", "apps.example")], "https://hatch.example"),
            "frame-src 'self' https://*.apps.example"
        );
        assert_eq!(
            policy(&[("ENVIRONMENT", "development")], "http://localhost:8787"),
            "frame-src 'self' http://*.localhost:8787"
        );
    }

    #[test]
    fn the_newest_migration_is_the_last_file_of_its_folder() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
        let newest = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).max();
        assert_eq!(newest.as_deref(), Some(NEWEST_MIGRATION));
    }
}
