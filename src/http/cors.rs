//! Which web pages may call the API (Fetch standard, CORS protocol): pages of our own origin, and
//! those that [`Settings::allows_pages_of`] accepts.

use crate::{
    error::Error,
    http::route::Router,
    platform::{request::InboundRequest, response::Response},
    settings::Settings,
};

const EXPOSED: &str = "ETag, Link, Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, \
                       Idempotency-Replayed, Server-Timing, \
                       X-DailyLimit-Limit, X-DailyLimit-Remaining, X-DailyLimit-Usage, X-DailyLimit-Reset, \
                       X-Daily-Apps-Limit, X-Daily-Apps-Reset";

/// The origin of the page that sent the request.
#[derive(Debug)]
pub(crate) struct Cors {
    origin: Option<String>,
    own: bool,
}

impl Cors {
    pub(crate) fn of(request: &InboundRequest) -> Self {
        let origin = request.page_origin();
        Self { own: origin == Some(request.origin()), origin: origin.map(str::to_owned) }
    }

    fn allowed(&self, settings: &Settings) -> bool {
        self.origin.as_deref().is_some_and(|origin| settings.allows_pages_of(origin))
    }

    /// The response to an OPTIONS request: the methods of the path, and the permission for a
    /// preflight from an allowed origin.
    pub(crate) fn preflight(
        &self,
        request: &InboundRequest,
        settings: &Settings,
        pattern: &str,
        router: &Router,
    ) -> Option<Response> {
        if request.method() != "OPTIONS" {
            return None;
        }
        let allow = router.allow(pattern);
        let response = Response::empty(204).with("allow", allow.clone());
        if !self.allowed(settings) {
            return Some(response);
        }
        Some(
            response
                .with("access-control-allow-methods", allow)
                .with("access-control-allow-headers", router.request_headers.as_str())
                .with("access-control-max-age", "7200"),
        )
    }

    /// Refuses writes from pages of a foreign origin. Browsers send some writes without a
    /// preflight, and in development, which needs no credential, any page could send one.
    pub(crate) fn refuse_foreign_write(
        &self,
        request: &InboundRequest,
        settings: &Settings,
    ) -> Result<(), Error> {
        let reads = matches!(request.method(), "GET" | "HEAD" | "OPTIONS");
        if reads || self.origin.is_none() || self.own || self.allowed(settings) {
            return Ok(());
        }
        Err(Error::Forbidden {
            code: "origin_not_allowed",
            detail: "Pages of this origin may not call the API; add it to CORS_ORIGINS".into(),
        })
    }

    /// Lets an allowed origin read the response, also for requests with browser credentials. When
    /// there are allowed origins, every response varies by `Origin`, because a cache may later
    /// serve it to a page.
    pub(crate) fn apply(&self, response: Response, settings: &Settings) -> Response {
        if !settings.allows_pages() {
            return response;
        }
        let response = response.with_listed("vary", "Origin");
        match &self.origin {
            Some(origin) if self.allowed(settings) => response
                .with("access-control-allow-origin", origin.clone())
                .with("access-control-allow-credentials", "true")
                .with("access-control-expose-headers", EXPOSED),
            _ => response,
        }
    }
}
