//! The API's description, for programs (`/openapi.json`) and for people
//! (`/docs`), as files of public/. A native test makes the document from the
//! route table and the modules' contracts (src/openapi).

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

/// `GET /openapi.json`. In development the document says that no credential is needed.
pub(crate) async fn openapi(context: RequestContext) -> Result<Response, Error> {
    let edit = if context.settings.is_development() { Some(without_credentials as Edit) } else { None };
    respond(context, edit).await
}

/// `GET /docs`, and the files that its page loads.
pub(crate) async fn file(context: RequestContext) -> Result<Response, Error> {
    respond(context, None).await
}

/// Adds `{}`, no credential, to the choices of each `security` list (OpenAPI
/// 3.1, 4.8.30). The document writes a list that is not empty on several lines
/// and a string on one, so the replacement hits nothing else.
fn without_credentials(document: &str) -> String {
    document.replace("\"security\": [\n", "\"security\": [\n          {},\n")
}

async fn respond(context: RequestContext, edit: Option<Edit>) -> Result<Response, Error> {
    let path = context.request.path();
    let file = asset::response(&context, path, ResponseKind::Page, edit).await?;
    let file = file.ok_or_else(|| Error::Internal(format!("public{path} is missing")))?;
    Ok(file.with("cache-control", "public, max-age=0, must-revalidate"))
}
