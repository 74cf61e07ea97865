//! Serves files of public/ (Workers Assets) through our own routes, because hosted apps have files
//! at the same paths.

use super::{RequestContext, conditional};
use crate::{
    error::Error,
    platform::{
        fetch,
        response::{Content, Response, ResponseKind},
    },
};

/// Changes a file's text before it is served.
pub(crate) type Edit = fn(&str) -> String;

/// Limits for a file that is edited: its size in bytes, and the time to read it.
const MAX_BYTES: usize = 4_000_000;
const TIMEOUT_MS: u64 = 10_000;

/// The file at `path`, 304 when the client has it already, or `None` when there is no such file.
/// The caller sets how long it may be cached.
pub(crate) async fn response(
    context: &RequestContext,
    path: &str,
    kind: ResponseKind,
    edit: Option<Edit>,
) -> Result<Option<Response>, Error> {
    let broken = |why: &str| Error::Internal(format!("public{path}: {why}"));
    let failed = |failure| broken(&format!("{failure:?}"));
    let file = fetch::asset(&context.env, path).await.map_err(failed)?;
    if file.status() == 404 {
        return Ok(None);
    }
    let (200, Some(etag)) = (file.status(), file.header("etag")) else {
        return Err(broken(&format!("status {}", file.status())));
    };
    if conditional::matches_any(context.request.header("if-none-match").as_deref(), &etag) {
        return Ok(Some(Response { kind, ..Response::empty(304) }.with("etag", etag)));
    }
    let content_type = file.header("content-type").unwrap_or_default().into();
    let content = match edit {
        Some(edit) => {
            Content::Bytes(edit(&file.text(MAX_BYTES, TIMEOUT_MS).await.map_err(failed)?).into_bytes())
        }
        None => file.into_body().map_or(Content::Empty, Content::Stream),
    };
    let response =
        Response { kind, status: 200, content_type, headers: Vec::new(), content, may_keep: false };
    Ok(Some(response.with("etag", etag)))
}
