//! The API's description, for programs (`/openapi.json`) and for people
//! (`/docs`): files of public/. The document is made from the table and the
//! modules' contracts by a native test (src/openapi).

#[cfg(test)]
pub(crate) mod openapi;

use crate::{
    error::Error,
    http::{RequestContext, conditional},
    platform::{
        fetch,
        response::{Content, Kind, Response},
    },
};

/// `GET /openapi.json`: in development, where no credential is needed, it says so.
pub(crate) async fn openapi(context: RequestContext) -> Result<Response, Error> {
    let edit = if context.settings.is_development() { Some(without_credentials as Edit) } else { None };
    respond(context, edit).await
}

/// `GET /docs` and what that page loads.
pub(crate) async fn file(context: RequestContext) -> Result<Response, Error> {
    respond(context, None).await
}

/// What is done to a file's text before it is served.
type Edit = fn(&str) -> String;

/// The document with `{}`, no credential, as a choice wherever one is wanted
/// (OpenAPI 3.1, 4.8.30). Its lists that are not empty go over many lines, and
/// a string cannot, so that nothing else is meant.
fn without_credentials(document: &str) -> String {
    document.replace("\"security\": [\n", "\"security\": [\n          {},\n")
}

/// Limits of a file that is edited: bytes, and the time to read them.
const MAX_BYTES: usize = 4_000_000;
const TIMEOUT_MS: u64 = 10_000;

async fn respond(context: RequestContext, edit: Option<Edit>) -> Result<Response, Error> {
    let path = context.request.path();
    let missing = |why: &str| Error::Internal(format!("public{path}: {why}"));
    let failed = |failure| missing(&format!("{failure:?}"));
    let file = fetch::asset(&context.env, path).await.map_err(failed)?;
    let (200, Some(etag)) = (file.status(), file.header("etag")) else {
        return Err(missing(&format!("status {}", file.status())));
    };
    let known = conditional::matches_any(context.request.header("if-none-match").as_deref(), &etag);
    let response = if known {
        Response { kind: Kind::Page, ..Response::empty(304) }
    } else {
        let content_type = file.header("content-type").unwrap_or_default().into();
        let content = match edit {
            Some(edit) => {
                Content::Bytes(edit(&file.text(MAX_BYTES, TIMEOUT_MS).await.map_err(failed)?).into_bytes())
            }
            None => file.into_body().map_or(Content::Empty, Content::Stream),
        };
        Response {
            kind: Kind::Page,
            status: 200,
            content_type,
            headers: Vec::new(),
            content,
            may_keep: false,
        }
    };
    Ok(response.with("etag", etag).with("cache-control", "public, max-age=0, must-revalidate"))
}
