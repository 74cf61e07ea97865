//! The path from a request to its handler and back.

mod admission;
pub(crate) mod asset;
pub(crate) mod body;
pub(crate) mod caller;
mod claim;
pub(crate) mod conditional;
mod context;
mod cors;
pub(crate) mod idempotency;
mod json_error;
pub(crate) mod limits;
pub(crate) mod modules;
pub(crate) mod page;
pub(crate) mod problem;
pub(crate) mod progress;
pub(crate) mod rate;
pub(crate) mod route;
mod trace;

pub(crate) use context::RequestContext;

use std::{borrow::Cow, cell::Cell, rc::Rc};

use serde::Serialize;
use serde_json::json;
use worker::Env;

use crate::{
    error::{Error, Service},
    http::{
        caller::{Access, Caller},
        problem::{Dialect, PROBLEM},
        route::{Found, Route, Router},
        trace::Trace,
    },
    platform::{
        background::Background,
        clock::now_ms,
        log, random,
        request::InboundRequest,
        response::{JsResponse, Response},
    },
    redact,
    settings::{Logs, Settings},
    store,
};

/// A slower request always gets a line in the log.
const SLOW_MS: i64 = 1_000;

/// The request headers that any route may read.
pub(crate) const REQUEST_HEADERS: &[&str] = &[
    "Authorization",
    "X-Api-Key",
    "Content-Type",
    "Range",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Idempotency-Key",
    "Last-Event-ID",
    "X-Request-Id",
    "Traceparent",
];

/// Answers one request by the routes of `router`. Every failure becomes a response in the dialect
/// of its route; nothing escapes as an exception.
pub(crate) async fn answer(
    router: &'static Router,
    request: InboundRequest,
    env: Env,
    background: Background,
) -> JsResponse {
    let request = Rc::new(request);
    let settings = Settings::of(&env);
    let logs = settings.as_ref().map_or(Logs::All, |settings| settings.logs);
    let mut record = Record::begin(request.clone());
    let response = match settings {
        Ok(settings) => dispatch(router, request, env, background, &settings, &mut record).await,
        Err(error) => error_response(&error, &PROBLEM, &record.request_id),
    };
    record.request.drop_unread_body().await;
    let duration_ms = now_ms() - record.started;
    if logs == Logs::All || record.is_notable(response.status, duration_ms) {
        record.log(response.status, duration_ms);
    }
    response.into_js(&record.request_id, &record.timing(duration_ms))
}

/// What is known about a request so far.
struct Record {
    started: i64,
    request: Rc<InboundRequest>,
    request_id: String,
    trace: Trace,
    route: Option<&'static Route>,
    caller: Option<Caller>,
    is_audited: Rc<Cell<bool>>,
    /// How long authentication took.
    auth_ms: i64,
}

/// The log entry of a request: one line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    level: &'static str,
    request_id: &'a str,
    trace_id: &'a str,
    method: &'a str,
    /// Redacted, because a path may contain a secret by mistake.
    path: &'a str,
    /// The pattern; `None` for an unknown path.
    route: Option<&'static str>,
    /// The user's id, or `operator`.
    caller: Option<&'a str>,
    /// The id of the API key or of the session.
    credential: Option<&'a str>,
    status: u16,
    /// In production the clock advances only on I/O.
    duration_ms: i64,
}

impl Record {
    fn begin(request: Rc<InboundRequest>) -> Self {
        let request_id = request_id(&request);
        Self {
            started: now_ms(),
            trace: Trace::of(&request, &request_id),
            request,
            request_id,
            route: None,
            caller: None,
            is_audited: Rc::default(),
            auth_ms: 0,
        }
    }

    /// Whether the request is logged where only some are: it failed or was slow, it used or was
    /// refused operator rights, or its trace is sampled.
    fn is_notable(&self, status: u16, duration_ms: i64) -> bool {
        let is_operators =
            || self.route.is_some_and(|route| matches!(route.access, Access::Staff | Access::Operator));
        status >= 500
            || status == 403
            || duration_ms > SLOW_MS
            || self.trace.is_sampled
            || self.is_audited.get()
            || is_operators()
    }

    fn log(&self, status: u16, duration_ms: i64) {
        let credential = match &self.caller {
            Some(Caller::User(user)) => user.credential.id(),
            _ => None,
        };
        log::line(&Line {
            level: if status >= 500 { "error" } else { "info" },
            request_id: &self.request_id,
            trace_id: &self.trace.id,
            method: self.request.method(),
            path: &redact::text(self.request.path()),
            route: self.route.map(|route| route.pattern),
            caller: self.caller.as_ref().and_then(Caller::name),
            credential,
            status,
            duration_ms,
        });
    }

    /// `Server-Timing` (W3C).
    fn timing(&self, duration_ms: i64) -> Cow<'static, str> {
        match (self.auth_ms, duration_ms) {
            (0, 0) => Cow::Borrowed("total;dur=0"),
            (0, _) => Cow::Owned(format!("total;dur={duration_ms}")),
            (auth_ms, _) => Cow::Owned(format!("auth;dur={auth_ms}, total;dur={duration_ms}")),
        }
    }
}

async fn dispatch(
    router: &'static Router,
    request: Rc<InboundRequest>,
    env: Env,
    background: Background,
    settings: &Rc<Settings>,
    record: &mut Record,
) -> Response {
    let is_head = request.method() == "HEAD";
    let cors = cors::Cors::of(&request);
    let result = match router.find(&request, settings) {
        Ok(found) => {
            record.route = Some(found.route);
            match cors.preflight(&request, settings, found.route.pattern, router) {
                Some(preflight) => Ok(preflight),
                None => handle(found, request, env, background, settings, &cors, record).await,
            }
        }
        Err(error) => Err(error),
    };
    let dialect = || {
        let dialect =
            record.route.map_or_else(|| router.dialect_of(record.request.path()), |route| route.dialect);
        dialect.for_client(&record.request)
    };
    let response = result.unwrap_or_else(|error| error_response(&error, dialect(), &record.request_id));
    let response = cors.apply(rate::add_policy(response, record.route, settings), settings);
    if is_head { response.without_body() } else { response }
}

async fn handle(
    Found { route, params, modules }: Found,
    request: Rc<InboundRequest>,
    env: Env,
    background: Background,
    settings: &Rc<Settings>,
    cors: &cors::Cors,
    record: &mut Record,
) -> Result<Response, Error> {
    cors.refuse_foreign_write(&request, settings)?;
    let is_health = route.pattern == "/health";
    // A health check is answered even if there is too much to do.
    let _admitted = if is_health { None } else { Some(admission::admit(record.started).await?) };
    if store::is_overrun() && !is_health {
        return Err(Error::Unavailable(Service::Everything, String::new()));
    }
    rate::count_address(&request, route, settings, &env).await?;
    let Route { dialect, about_owner, .. } = *route;
    let (caller, owner_rows) =
        match caller::identify(&request, dialect, about_owner, settings, &env, &background).await {
            // A health check does not depend on authentication.
            Err(Error::Unavailable(..)) if is_health => (Caller::Anonymous, None),
            identified => identified?,
        };
    record.auth_ms = now_ms() - record.started;
    record.caller = Some(caller.clone());
    caller::admit(&caller, route.access, settings)?;
    rate::count_caller(&caller, route, settings, &env).await?;
    let context = RequestContext {
        request,
        caller,
        owner_rows,
        settings: settings.clone(),
        env,
        background,
        modules,
        limits: route.limits,
        request_id: record.request_id.clone(),
        trace_id: record.trace.id.clone(),
        params,
        idempotency: None,
        is_audited: record.is_audited.clone(),
    };
    idempotency::run(context, route).await
}

/// The error's response; details that clients may not see go to the log first.
fn error_response(error: &Error, dialect: &Dialect, request_id: &str) -> Response {
    if let Some(detail) = error.internal_detail() {
        log::line(&json!({
            "level": "error",
            "request_id": request_id,
            "code": error.code(),
            "detail": redact::text(detail),
        }));
    }
    error.to_response(dialect, request_id)
}

/// The client's own request id if it is well-formed, otherwise a new one.
fn request_id(request: &InboundRequest) -> String {
    let harmless = |id: &&str| {
        (8..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let made = || random::uuid().map_or_else(|_| "req_unknown".to_owned(), |id| format!("req_{id}"));
    request.request_id().filter(harmless).map_or_else(made, str::to_owned)
}
