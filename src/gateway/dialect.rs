//! Renders the errors of these routes in OpenAI's and in Anthropic's form, so
//! that their SDKs raise the right class of error.

use hatch_dialects::{Class, Dialect as ModelDialect, Error as DialectError};

use crate::{
    error::{Error, UpstreamKind},
    http::problem::Dialect,
    models::is_for_the_operator,
    platform::response::Response,
};

pub(crate) static OPENAI: Dialect = Dialect {
    prefixes: &["/v1/chat", "/chat"],
    also_under: None,
    for_clients_with: None,
    key_header: None,
    body: |error, request_id| body(error, ModelDialect::Chat, request_id),
    #[cfg(test)]
    document: crate::http::problem::Documented {
        media_type: "application/json",
        schema: "OpenAIError",
        prefix: "openai-",
    },
};

/// For paths that clients of both vendors ask: only Anthropic's send its version.
pub(crate) static EITHER: Dialect = Dialect {
    prefixes: &["/v1", "/models"],
    for_clients_with: Some(("anthropic-version", &ANTHROPIC)),
    #[cfg(test)]
    document: crate::http::problem::Documented { prefix: "either-", ..OPENAI.document },
    ..OPENAI
};

pub(crate) static ANTHROPIC: Dialect = Dialect {
    prefixes: &["/v1/messages"],
    also_under: None,
    for_clients_with: None,
    key_header: Some("x-api-key"),
    body: |error, request_id| body(error, ModelDialect::Messages, request_id),
    #[cfg(test)]
    document: crate::http::problem::Documented {
        media_type: "application/json",
        schema: "AnthropicError",
        prefix: "anthropic-",
    },
};

/// The error response to a client of `dialect`.
pub(super) fn body(error: &Error, dialect: ModelDialect, request_id: &str) -> Response {
    let converted = convert(error);
    let status = match error {
        Error::Model(_) | Error::Unavailable(..) | Error::Upstream { .. } => converted.status(dialect),
        _ => error.status(),
    };
    let response = Response::json(status, converted.body(dialect, request_id)).with("request-id", request_id);
    if is_final(error, status) { response.with("x-should-retry", "false") } else { response }
}

/// Whether the same request would get the same error a second later. By the
/// status alone Claude Code asks again after a 401, ten times in three minutes.
fn is_final(error: &Error, status: u16) -> bool {
    match error {
        Error::TooManyRequests(exceeded) => exceeded.code == "budget_exceeded",
        Error::Model(model) if is_for_the_operator(&model.error) => true,
        _ => (400..500).contains(&status) && !matches!(status, 408 | 409 | 425 | 429),
    }
}

/// An error of ours as the errors of the dialects.
pub(super) fn convert(error: &Error) -> DialectError {
    let detail = || error.detail();
    match error {
        Error::Model(model) => model.error.clone(),
        Error::Invalid(violations) => match violations.as_slice() {
            [one] => DialectError::invalid(
                one.pointer.trim_start_matches('/').replace('/', "."),
                one.detail.clone(),
            ),
            _ => DialectError::new(Class::Invalid, detail()),
        },
        Error::Upstream { kind: UpstreamKind::RateLimited, .. } => {
            DialectError::new(Class::RateLimit, detail())
        }
        Error::Upstream { kind: UpstreamKind::Timeout, .. } => DialectError::new(Class::Timeout, detail()),
        // With the vendors' own code, which their clients look for.
        Error::Unauthorized(_) | Error::InvalidToken(_) => DialectError::new(Class::Authentication, detail()),
        Error::TooManyRequests(exceeded) => {
            DialectError::new(Class::RateLimit, detail()).with_code(exceeded.code)
        }
        _ => DialectError::new(class(error), detail()).with_code(error.code()),
    }
}

fn class(error: &Error) -> Class {
    match error.status() {
        401 => Class::Authentication,
        403 => Class::Permission,
        404 => Class::NotFound,
        409 => Class::Conflict,
        413 => Class::TooLarge,
        503 => Class::Overloaded,
        500.. => Class::Upstream,
        _ => Class::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Resource, Service};

    #[test]
    fn a_wrong_key_has_openais_code() {
        for error in [Error::Unauthorized("".into()), Error::InvalidToken("".into())] {
            assert_eq!(convert(&error).body(ModelDialect::Chat, "r").matches("invalid_api_key").count(), 1);
            assert_eq!(error.code(), "unauthorized");
        }
    }

    #[test]
    fn an_sdk_is_told_not_to_repeat_what_stays_refused() {
        let is_told = |error: &Error| {
            let response = body(error, ModelDialect::Messages, "r");
            response.headers.iter().any(|(name, value)| *name == "x-should-retry" && value == "false")
        };
        assert!(is_told(&Error::InvalidToken("".into())));
        assert!(is_told(&Error::NotFound(Resource::Path)));
        assert!(!is_told(&Error::Unavailable(Service::Database, String::new())));
        assert!(!is_told(&Error::Internal(String::new())));
    }

    #[test]
    fn our_own_errors_have_the_class_that_an_sdk_expects() {
        let rendered =
            |error: &Error| (convert(error).class, body(error, ModelDialect::Messages, "r").status);
        assert_eq!(rendered(&Error::Unauthorized("".into())), (Class::Authentication, 401));
        assert_eq!(rendered(&Error::NotFound(Resource::Path)), (Class::NotFound, 404));
        assert_eq!(rendered(&Error::Malformed("x".to_owned())), (Class::Invalid, 400));
        assert_eq!(rendered(&Error::TooLarge { limit: 1 }), (Class::TooLarge, 413));
        assert_eq!(rendered(&Error::Unavailable(Service::Database, String::new())), (Class::Overloaded, 529));
        assert_eq!(rendered(&Error::Internal("secret".to_owned())), (Class::Upstream, 500));
        assert!(!convert(&Error::Internal("secret".to_owned())).message.contains("secret"));
    }
}
