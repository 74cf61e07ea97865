//! The app id of a request.

use uuid::Uuid;

use crate::{
    error::{Error, Resource},
    http::RequestContext,
};

pub(super) const APP_NOT_FOUND: Error = Error::NotFound(Resource::Application);

/// An app's id in the form in which ids are stored.
pub(super) fn app_id(text: &str) -> Option<String> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(|id| id.to_string())
}

/// The app id in the path.
///
/// # Errors
/// [`invalid_app_id`] if it is not a UUID.
pub(super) fn app_param(context: &RequestContext) -> Result<String, Error> {
    app_id(context.param("id")).ok_or_else(invalid_app_id)
}

pub(super) fn invalid_app_id() -> Error {
    Error::Refused { code: "invalid_app_id", detail: "Invalid app ID".to_owned() }
}
