//! How the errors of these routes are written: as OpenAI and as Anthropic
//! write theirs, so that their SDKs raise the class that stands for it.

use hatch_dialects::{Class, Dialect as Spoken, Error as Said};

use crate::{
    error::{Error, UpstreamKind},
    http::problem::Dialect,
    platform::response::Response,
};

pub(crate) static OPENAI: Dialect = Dialect {
    prefixes: &["/v1", "/chat", "/models"],
    also_under: None,
    body: |error, request_id| body(error, Spoken::Chat, request_id),
    #[cfg(test)]
    document: crate::http::problem::Documented {
        media_type: "application/json",
        schema: "OpenAIError",
        prefix: "openai-",
    },
};

pub(crate) static ANTHROPIC: Dialect = Dialect {
    prefixes: &["/v1/messages"],
    also_under: None,
    body: |error, request_id| body(error, Spoken::Messages, request_id),
    #[cfg(test)]
    document: crate::http::problem::Documented {
        media_type: "application/json",
        schema: "AnthropicError",
        prefix: "anthropic-",
    },
};

/// The answer to a client of `dialect`.
pub(super) fn body(error: &Error, dialect: Spoken, request_id: &str) -> Response {
    let said = said(error);
    let status = match error {
        Error::Model(_) | Error::Unavailable(..) | Error::Upstream { .. } => said.status(dialect),
        _ => error.status(),
    };
    let response = Response::json(status, said.body(dialect, request_id)).with("request-id", request_id);
    match error {
        // What is spent is still spent when an SDK asks again a second later.
        Error::TooManyRequests(exceeded) if exceeded.code == "budget_exceeded" => {
            response.with("x-should-retry", "false")
        }
        _ => response,
    }
}

fn said(error: &Error) -> Said {
    let detail = || error.detail();
    match error {
        Error::Model(said) => said.error.clone(),
        Error::Invalid(violations) => match violations.as_slice() {
            [one] => Said::invalid(one.pointer.trim_start_matches('/').replace('/', "."), one.detail.clone()),
            _ => Said::new(Class::Invalid, detail()),
        },
        Error::Upstream { kind: UpstreamKind::RateLimited, .. } => Said::new(Class::RateLimit, detail()),
        Error::Upstream { kind: UpstreamKind::Timeout, .. } => Said::new(Class::Timeout, detail()),
        Error::TooManyRequests(exceeded) => Said::new(Class::RateLimit, detail()).with_code(exceeded.code),
        _ => Said::new(class(error), detail()).with_code(error.code()),
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
    fn our_own_errors_have_the_class_that_an_sdk_expects() {
        let told = |error: &Error| (said(error).class, body(error, Spoken::Messages, "r").status);
        assert_eq!(told(&Error::Unauthorized("".into())), (Class::Authentication, 401));
        assert_eq!(told(&Error::NotFound(Resource::Path)), (Class::NotFound, 404));
        assert_eq!(told(&Error::Malformed("x".to_owned())), (Class::Invalid, 400));
        assert_eq!(told(&Error::TooLarge { limit: 1 }), (Class::TooLarge, 413));
        assert_eq!(told(&Error::Unavailable(Service::Database, String::new())), (Class::Overloaded, 529));
        assert_eq!(told(&Error::Internal("secret".to_owned())), (Class::Upstream, 500));
        assert!(!said(&Error::Internal("secret".to_owned())).message.contains("secret"));
    }
}
