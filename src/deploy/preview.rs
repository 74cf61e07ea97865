//! Previews: the newest version of a project as it would be live, for a day, at an address that
//! cannot be guessed. A preview is never listed in discovery.

use serde::Deserialize;
use serde_json::json;
use worker::Env;

use super::{
    PROJECT_NOT_FOUND, isolation, needs_server, no_code, site, still_processing, store, target::Target,
};
use crate::{
    clouds::deployment,
    error::{Error, rfc3339},
    http::RequestContext,
    platform::{
        clock::{DAY_MS, now_ms},
        log, random,
        response::Response,
    },
    store::Database,
    upstream::compiler::Packages,
};

const LIFE_MS: i64 = DAY_MS;
const PREFIX: &str = "preview-";
const RANDOM_DIGITS: usize = 32;

/// The project to show, and its current preview.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Project {
    code: Option<String>,
    version: i64,
    is_processing: bool,
    slug: Option<String>,
    /// The version that the current preview shows.
    shown: Option<i64>,
}

/// `POST /api/projects/:id/preview`: the address stays the same for a day, so that a page keeps
/// what it stores there.
pub(crate) async fn create(context: RequestContext) -> Result<Response, Error> {
    let (id, user, database) = (context.param("id"), context.caller.user_id()?, context.database()?);
    let now = now_ms();
    let project = database.query(store::previewed(id, user, now)).await?;
    let project: Project = project.first()?.ok_or(PROJECT_NOT_FOUND)?;
    if project.is_processing {
        return Err(still_processing());
    }
    let code = project.code.ok_or_else(|| no_code(Target::Edge))?;
    if needs_server(&code) {
        return Err(server_needed());
    }
    let (slug, origin) = (project.slug.map_or_else(new_slug, Ok)?, context.request.origin());
    let expires_at = now + LIFE_MS;
    let write = store::Preview { slug: &slug, project_id: id, version: project.version, origin, expires_at };
    let stored = if project.shown == Some(project.version) {
        database.query(store::renew_preview(&write)).await?
    } else {
        let built = site::build(&code, Packages::FromCdn, &context.env).await?.map_err(not_compiled)?;
        let files = serde_json::to_string(&built.files).map_err(|e| Error::Internal(e.to_string()))?;
        let [.., stored] = database.batch(store::put_preview(&write, &files, now)).await?;
        stored
    };
    // The project or its preview was deleted at this very moment.
    let slug: String = stored.first()?.ok_or(PROJECT_NOT_FOUND)?;
    let url = deployment::url(context.settings.hosting_domain.as_deref(), origin, &slug);
    Ok(Response::json(200, json!({ "url": url, "expiresAt": rfc3339(expires_at) }).to_string()))
}

pub(super) fn not_compiled(reason: String) -> Error {
    Error::Refused { code: "not_compiled", detail: reason }
}

pub(super) fn server_needed() -> Error {
    Error::Refused {
        code: "server_needed",
        detail: "A Next.js app needs a server: deploy it to Vercel, or download it, to see it run".to_owned(),
    }
}

fn new_slug() -> Result<String, Error> {
    Ok(format!("{PREFIX}{}", random::uuid()?.replace('-', "")))
}

/// Whether a slug belongs to a preview. A deployed app's slug ends with a hyphen and eight digits,
/// so it never matches.
pub(super) fn is_preview(slug: &str) -> bool {
    slug.strip_prefix(PREFIX)
        .is_some_and(|digits| digits.len() == RANDOM_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Adds a script that sends the page's errors to the console, the window that frames or opened the
/// preview, but only if it has this origin. It also replaces storage, which browsers may block in
/// third-party frames.
pub(super) fn with_reporter(page: &str, origin: &str) -> String {
    // An origin has no character that could end a JavaScript string or a tag.
    let reporter = REPORTER.replace("@ORIGIN@", origin);
    isolation::with_script(page, &format!("{}{reporter}", isolation::STORAGE))
}

const REPORTER: &str = "<script>(()=>{const to='@ORIGIN@',kin=[self.parent,self.opener].filter(it=>it&&it!==self);\
    let sent=0;const report=(message,file,line)=>{if(sent++>50)return;for(const it of kin)try{\
    it.postMessage({type:'hatch-preview-error',message:String(message).slice(0,1000),file:String(file||''),line:Number(line)||0},to)}catch{}};\
    const place=url=>{try{const {pathname}=new URL(url,location);return pathname.replace(/^\\/p\\/[^/]+/,'')}catch{return''}};\
    addEventListener('error',event=>{const it=event.target;\
    if(it instanceof Element)report('Could not load '+(it.getAttribute('src')||it.getAttribute('href')||it.tagName),'',0);\
    else report(event.message,place(event.filename),event.lineno)},true);\
    addEventListener('unhandledrejection',event=>{const it=event.reason;report('Unhandled: '+(it&&it.message||it),'',0)});\
    const error=console.error;console.error=(...all)=>{report(all.map(it=>it&&it.message||String(it)).join(' '),'',0);error.apply(console,all)}})()</script>";

/// Deletes the expired previews.
pub(crate) async fn sweep(env: &Env) {
    let swept = async { Database::open(env)?.query(store::purge_previews(now_ms())).await };
    if let Err(error) = swept.await {
        log::failure("deploy.sweep", &error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slug_of_a_preview_differs_from_that_of_any_deployed_app() {
        assert!(is_preview(&format!("{PREFIX}{}", "0f".repeat(16))));
        for name in ["Preview", "preview 0123456789abcdef0123456789abcdef", "Preview of 1f3a9c04"] {
            assert!(!is_preview(&deployment::slug(name, "1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36")), "{name}");
        }
    }

    #[test]
    fn the_reporter_comes_after_the_doctype_and_names_one_origin() {
        let page = with_reporter("<!doctype html><p>x", "https://hatch.example");
        assert!(page.starts_with("<!doctype html><script>"), "{page}");
        assert!(page.contains("to='https://hatch.example'") && page.ends_with("<p>x"));
    }
}
