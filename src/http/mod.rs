//! From a request to a handler and back.

pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod conditional;
mod cors;
pub(crate) mod page;
pub(crate) mod routes;
pub(crate) mod sse;

use std::rc::Rc;

use serde::Serialize;
use serde_json::json;
use worker::Env;

use crate::{
    error::{Error, Family},
    http::{caller::Caller, routes::Route},
    platform::{background::Background, clock::now_ms, log, random, request::Incoming, response::Response},
    redact,
    settings::Settings,
    store::Database,
};

/// What a handler gets: the request, who sends it, and the Worker around it.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Incoming,
    pub(crate) caller: Caller,
    pub(crate) settings: Rc<Settings>,
    pub(crate) env: Env,
    pub(crate) background: Background,
    params: Vec<(String, String)>,
}

impl Exchange {
    /// A parameter of the route's pattern, percent-decoded; empty when the
    /// pattern has none of that name.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// A parameter of the query string, percent-decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.request.query().as_bytes())
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.into_owned())
    }

    pub(crate) fn database(&self) -> Result<Database, Error> {
        Database::open(&self.env)
    }
}

/// Answers one request. Every failure is told in its family's form; nothing
/// escapes as an exception.
pub(crate) async fn answer(request: Incoming, env: Env, background: Background) -> worker::web_sys::Response {
    let started = now_ms();
    let request_id = request_id(&request);
    let (method, path) = (request.method().to_owned(), redact::text(request.path()));
    let (response, route) = match Settings::of(&env) {
        Ok(settings) => dispatch(request, env, background, settings, &request_id).await,
        Err(error) => (told(&error, Family::Hatch, &request_id), None),
    };
    log::line(&Line {
        level: if response.status >= 500 { "error" } else { "info" },
        request_id: &request_id,
        method: &method,
        path: &path,
        route: route.map(|route| route.pattern),
        status: response.status,
        duration_ms: now_ms() - started,
    });
    response.into_js(&request_id)
}

/// What the log keeps of a request: one line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    level: &'static str,
    request_id: &'a str,
    method: &'a str,
    /// Redacted, for a path may hold a secret by mistake.
    path: &'a str,
    /// The pattern; none for an unknown path.
    route: Option<&'static str>,
    status: u16,
    /// In production the clock stands still but for I/O.
    duration_ms: i64,
}

async fn dispatch(
    request: Incoming,
    env: Env,
    background: Background,
    settings: Rc<Settings>,
    request_id: &str,
) -> (Response, Option<&'static Route>) {
    let head = request.method() == "HEAD";
    let cors = cors::Cors::of(&request);
    let (result, route) = match routes::find(&request, &settings) {
        Ok(found) => {
            let route = found.route;
            (handle(found, request, env, background, &settings, &cors).await, Some(route))
        }
        Err(error) => (Err(error), None),
    };
    let family = route.map_or(Family::Hatch, |route| route.family);
    let response = result.unwrap_or_else(|error| told(&error, family, request_id));
    let response = cors.apply(response, &settings);
    (if head { response.without_body() } else { response }, route)
}

async fn handle(
    routes::Found { route, params }: routes::Found,
    request: Incoming,
    env: Env,
    background: Background,
    settings: &Rc<Settings>,
    cors: &cors::Cors,
) -> Result<Response, Error> {
    if let Some(preflight) = cors.preflight(&request, settings, route.pattern) {
        return Ok(preflight);
    }
    cors.refuse_foreign_write(&request, settings)?;
    let caller = caller::identify(&request, settings, route.access)?;
    (route.handler)(Exchange { request, caller, settings: settings.clone(), env, background, params }).await
}

/// The error's answer, after the log has had what the client may not see.
fn told(error: &Error, family: Family, request_id: &str) -> Response {
    if let Some(detail) = error.internal_detail() {
        log::line(&json!({
            "level": "error",
            "request_id": request_id,
            "code": error.code(),
            "detail": redact::text(detail),
        }));
    }
    error.to_response(family, request_id)
}

/// The client's own request id where it is harmless, else a new one.
fn request_id(request: &Incoming) -> String {
    let harmless = |id: &String| {
        (8..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let given = request.header("x-request-id").filter(harmless);
    given
        .unwrap_or_else(|| random::uuid().map_or_else(|_| "req_unknown".to_owned(), |id| format!("req_{id}")))
}
