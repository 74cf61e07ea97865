//! Which app a request is about.

use uuid::Uuid;

use crate::{
    error::{Error, Resource},
    http::RequestContext,
};

pub(super) const APP_NOT_FOUND: Error = Error::NotFound(Resource::Application);

/// An app's id in the one form in which ids are kept.
pub(super) fn app_id(text: &str) -> Option<String> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(|id| id.to_string())
}

/// The app of the path.
///
/// # Errors
/// [`invalid_app_id`] for what is no UUID.
pub(super) fn app_param(context: &RequestContext) -> Result<String, Error> {
    app_id(context.param("id")).ok_or_else(invalid_app_id)
}

pub(super) fn invalid_app_id() -> Error {
    Error::Refused { code: "invalid_app_id", detail: "Invalid app ID".to_owned() }
}
