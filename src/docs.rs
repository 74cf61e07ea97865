//! The API's description, for programs (`/openapi.json`) and for people
//! (`/docs`): files of public/. The document is made from the table and the
//! modules' contracts by a native test (src/openapi).

#[cfg(test)]
pub(crate) mod openapi;

use crate::{
    error::Error,
    http::{
        RequestContext,
        asset::{self, Edit},
    },
    platform::response::{Response, ResponseKind},
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

/// The document with `{}`, no credential, as a choice wherever one is wanted
/// (OpenAPI 3.1, 4.8.30). Its lists that are not empty go over many lines, and
/// a string cannot, so that nothing else is meant.
fn without_credentials(document: &str) -> String {
    document.replace("\"security\": [\n", "\"security\": [\n          {},\n")
}

async fn respond(context: RequestContext, edit: Option<Edit>) -> Result<Response, Error> {
    let path = context.request.path();
    let file = asset::response(&context, path, ResponseKind::Page, edit).await?;
    let file = file.ok_or_else(|| Error::Internal(format!("public{path} is missing")))?;
    Ok(file.with("cache-control", "public, max-age=0, must-revalidate"))
}
