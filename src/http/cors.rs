//! Which pages may call us (Fetch standard, CORS protocol): those of our own
//! origin and those that [`Settings::allows_pages_of`] names.

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

/// What the request says about the page that sends it.
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

    /// The answer to an OPTIONS request: the methods of the path, and to a
    /// preflight from an allowed origin its permission.
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

    /// Stops a page of a foreign origin from changing anything. Browsers send
    /// some writes without asking first; in development, where no credential
    /// is needed, any page could make them.
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

    /// Lets an allowed origin read the response, also one to a request that
    /// had the browser's credentials with it. Where there are such origins
    /// every answer varies by them, also one that nobody's page asked for: a
    /// cache may give it to a page.
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
