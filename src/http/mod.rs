//! From a request to a handler and back.

pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod conditional;
mod cors;
pub(crate) mod page;
pub(crate) mod routes;
pub(crate) mod sse;

use std::rc::Rc;

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
    pub(crate) request_id: String,
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
    let line = json!({ "method": request.method(), "path": redact::text(request.path()) });
    let cors = cors::Cors::of(&request);
    let (response, route) = match Settings::of(&env) {
        Err(error) => (told(&error, Family::Hatch, &request_id), None),
        Ok(settings) => {
            let (response, route) = dispatch(request, env, background, &settings, &cors, &request_id).await;
            (cors.apply(response, &settings), route)
        }
    };
    log_line(line, route, &response, &request_id, now_ms() - started);
    response.into_js(&request_id)
}

async fn dispatch(
    request: Incoming,
    env: Env,
    background: Background,
    settings: &Rc<Settings>,
    cors: &cors::Cors,
    request_id: &str,
) -> (Response, Option<&'static str>) {
    let head = request.method() == "HEAD";
    let found = routes::find(&request, settings);
    let family = found.as_ref().map_or(Family::Hatch, |found| found.route.family);
    let pattern = found.as_ref().ok().map(|found| found.route.pattern);
    let result = async {
        let routes::Found { route, params } = found?;
        if let Some(preflight) = cors.preflight(&request, settings, route.pattern) {
            return Ok(preflight);
        }
        cors.refuse_foreign_write(&request, settings)?;
        let caller = caller::identify(&request, settings, route.access)?;
        let exchange = Exchange {
            request,
            request_id: request_id.to_owned(),
            caller,
            settings: settings.clone(),
            env,
            background,
            params,
        };
        run(route, exchange).await
    }
    .await;
    let response = result.unwrap_or_else(|error| told(&error, family, request_id));
    (if head { response.without_body() } else { response }, pattern)
}

async fn run(route: &'static Route, exchange: Exchange) -> Result<Response, Error> {
    (route.handler)(exchange).await
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
        (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let given = request.header("x-request-id").filter(harmless);
    given.unwrap_or_else(|| random::uuid().map_or_else(|_| "req_unknown".to_owned(), |id| format!("req_{id}")))
}

fn log_line(
    mut line: serde_json::Value,
    route: Option<&str>,
    response: &Response,
    request_id: &str,
    duration_ms: i64,
) {
    if let Some(line) = line.as_object_mut() {
        let level = if response.status >= 500 { "error" } else { "info" };
        line.insert("level".to_owned(), json!(level));
        line.insert("route".to_owned(), json!(route));
        line.insert("status".to_owned(), json!(response.status));
        line.insert("duration_ms".to_owned(), json!(duration_ms));
        line.insert("request_id".to_owned(), json!(request_id));
    }
    log::line(&line);
}
