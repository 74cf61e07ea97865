//! Serves the apps that this Worker hosts: each on its own origin under the hosting domain, or
//! sandboxed at `/p/:slug/`.

use serde::Deserialize;

use super::{
    isolation, preview, site,
    site_request::{Purpose, SiteRequest, SiteResponse},
    store,
};
use crate::{
    error::Error,
    http::{RequestContext, conditional},
    platform::{
        clock::now_ms,
        response::{Response, ResponseKind},
    },
    settings::Settings,
    store::shared::SITE_FILES,
};

const NOT_FOUND_PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width\"><title>Not found</title>\
    <body style=\"font:16px system-ui;display:grid;place-items:center;min-height:90vh\">\
    <p>There is no app at this address.</p></body></html>";

#[derive(Debug, Deserialize)]
struct File {
    path: String,
    content: String,
    etag: String,
    /// For a preview: the origin of the console that receives its errors.
    console: Option<String>,
}

/// The slug of the app with the origin `host`.
pub(crate) fn slug_of_host<'a>(host: &'a str, settings: &Settings) -> Option<&'a str> {
    site::slug_of_host(host, settings.hosting_domain.as_deref()?)
}

/// `GET <slug>.<HOSTING_DOMAIN>/*`
pub(crate) async fn own_origin(context: RequestContext) -> Result<Response, Error> {
    serve(context, ResponseKind::App).await
}

/// `GET /p/:slug/*`
pub(crate) async fn sandboxed(context: RequestContext) -> Result<Response, Error> {
    serve(context, ResponseKind::SandboxedApp).await
}

/// `GET /p/:slug`: relative links of a page in a folder need the slash.
pub(crate) async fn redirect(context: RequestContext) -> Result<Response, Error> {
    Ok(with_slash(&context))
}

fn with_slash(context: &RequestContext) -> Response {
    let query = context.request.query();
    let mark = if query.is_empty() { "" } else { "?" };
    Response::empty(308).with("location", format!("{}/{mark}{query}", context.request.path()))
}

async fn serve(context: RequestContext, kind: ResponseKind) -> Result<Response, Error> {
    let slug = context.param("slug").to_owned();
    let header = |name: &str| context.request.header(name);
    let (mode, dest, accept) = (header("sec-fetch-mode"), header("sec-fetch-dest"), header("accept"));
    let purpose = Purpose { mode: mode.as_deref(), dest: dest.as_deref(), accept: accept.as_deref() };
    let Some(request) = SiteRequest::of(context.request.path(), context.param("path"), purpose) else {
        return Ok(malformed(kind));
    };
    let database = context.database()?;
    let is_preview = preview::is_preview(&slug);
    let file = match is_preview {
        true => store::preview_file(&slug, request.files(), now_ms()),
        false => store::file(&slug, request.files()),
    };
    let found = database.query_shared(&SITE_FILES, file).await?;
    let Some(file) = found.first::<File>()? else { return Ok(not_found(kind)) };
    let SiteResponse::File(media_type) = request.respond_with(&file.path) else {
        return Ok(Response { kind, ..with_slash(&context) });
    };
    let is_page = media_type.starts_with("text/html");
    let response = if conditional::matches_any(context.request.header("if-none-match").as_deref(), &file.etag)
    {
        Response { kind, ..Response::empty(304) }
    } else {
        let content = match kind {
            ResponseKind::SandboxedApp if is_page => isolation::page(&file.content, &format!("/p/{slug}")),
            _ => file.content,
        };
        let content = match file.console {
            Some(console) if is_page => preview::with_reporter(&content, &console),
            _ => content,
        };
        Response::bytes(kind, 200, media_type, content.into_bytes())
    };
    if is_preview {
        // Search engines must not index a preview, and caches must not outlive it.
        return Ok(response
            .with("etag", file.etag)
            .with("cache-control", "private, no-cache")
            .with("x-robots-tag", "noindex"));
    }
    if context.request.method() == "GET" && is_page {
        // After the response, so that counting delays no visit. A failed count is not the visitor's
        // problem.
        context.background.run(async move { drop(database.query(store::count_visit(&slug)).await) });
    }
    Ok(response.with("etag", file.etag).with("cache-control", "public, max-age=0, must-revalidate"))
}

fn malformed(kind: ResponseKind) -> Response {
    Response::bytes(kind, 400, "text/plain; charset=utf-8", b"The address is not well encoded".to_vec())
        .with("cache-control", "no-store")
}

fn not_found(kind: ResponseKind) -> Response {
    Response::bytes(kind, 404, "text/html; charset=utf-8", NOT_FOUND_PAGE.as_bytes().to_vec())
        .with("cache-control", "no-store")
}
