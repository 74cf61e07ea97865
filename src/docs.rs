//! The API's description, for programs (`/openapi.json`) and for people
//! (`/docs`): files of public/. The document is made from the table and the
//! rooms' contracts by a native test (src/openapi).

#[cfg(test)]
pub(crate) mod contract;

use crate::{
    error::Error,
    http::{Exchange, conditional},
    platform::{
        fetch,
        response::{Content, Kind, Response},
    },
};

/// `GET /openapi.json`, `GET /docs` and what that page loads.
pub(crate) async fn file(exchange: Exchange) -> Result<Response, Error> {
    let path = exchange.request.path();
    let missing = |why: &str| Error::Internal(format!("public{path}: {why}"));
    let file = fetch::asset(&exchange.env, path).await.map_err(|failure| missing(&format!("{failure:?}")))?;
    let (200, Some(etag)) = (file.status(), file.header("etag")) else {
        return Err(missing(&format!("status {}", file.status())));
    };
    let known = conditional::matches_any(exchange.request.header("if-none-match").as_deref(), &etag);
    let response = if known {
        Response { kind: Kind::Page, ..Response::empty(304) }
    } else {
        let content_type = file.header("content-type").unwrap_or_default().into();
        let content = file.into_body().map_or(Content::Empty, Content::Stream);
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
