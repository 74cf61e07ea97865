//! The outbound response, built with few crossings: each common shape has one shared `ResponseInit`
//! with its headers, and a body crosses as bytes.

use std::{borrow::Cow, cell::RefCell, rc::Rc};

use worker::{
    wasm_bindgen::JsValue,
    web_sys::{self, Headers, ResponseInit},
};

use super::stream::Body;

/// The kind of a response decides its fixed headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseKind {
    /// JSON and streams of the API: never framed, never a document.
    Api,
    /// A page of our own, or one of its files.
    Page,
    /// The console's page. Its policy contains the apps' origins, so the page sets it.
    Console,
    /// A hosted app on its own origin.
    App,
    /// A hosted app at `/p/:slug/`, beside the API, with an opaque origin.
    SandboxedApp,
}

const API: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("strict-transport-security", "max-age=31536000"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "cross-origin"),
];
const PAGE: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("strict-transport-security", "max-age=31536000"),
    ("referrer-policy", "no-referrer"),
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-resource-policy", "cross-origin"),
];
const CONSOLE: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("strict-transport-security", "max-age=31536000"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    // Wallets and previews open their own windows.
    ("cross-origin-opener-policy", "same-origin-allow-popups"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];
const APP: &[(&str, &str)] = &[("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")];
const SANDBOXED_APP: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "sandbox allow-scripts allow-forms allow-modals allow-popups"),
    // The app's origin is opaque, so its own modules are cross-origin too.
    ("access-control-allow-origin", "*"),
];

impl ResponseKind {
    fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Api => API,
            Self::Page => PAGE,
            Self::Console => CONSOLE,
            Self::App => APP,
            Self::SandboxedApp => SANDBOXED_APP,
        }
    }
}

/// A response's body.
#[derive(Debug)]
pub(crate) enum Content {
    Empty,
    Bytes(Vec<u8>),
    Stream(Body),
}

/// A response in JavaScript.
#[derive(Debug)]
pub(crate) struct JsResponse(pub(super) web_sys::Response);

/// A response before it crosses into JavaScript.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) kind: ResponseKind,
    pub(crate) status: u16,
    pub(crate) content_type: Cow<'static, str>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content: Content,
    /// Whether it may be stored for repeated requests. A secret may not.
    pub(crate) may_keep: bool,
}

pub(crate) const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

impl Response {
    pub(crate) fn json(status: u16, body: String) -> Self {
        Self::bytes(ResponseKind::Api, status, JSON, body.into_bytes())
    }

    pub(crate) fn bytes(
        kind: ResponseKind,
        status: u16,
        content_type: impl Into<Cow<'static, str>>,
        body: Vec<u8>,
    ) -> Self {
        Self {
            kind,
            status,
            content_type: content_type.into(),
            headers: Vec::new(),
            content: Content::Bytes(body),
            may_keep: true,
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self {
            kind: ResponseKind::Api,
            status,
            content_type: Cow::Borrowed(""),
            headers: Vec::new(),
            content: Content::Empty,
            may_keep: true,
        }
    }

    /// A body that is written while the client reads it.
    pub(crate) fn stream(status: u16, content_type: &'static str, body: Body) -> Self {
        Self {
            kind: ResponseKind::Api,
            status,
            content_type: Cow::Borrowed(content_type),
            headers: Vec::new(),
            content: Content::Stream(body),
            may_keep: false,
        }
    }

    /// Server-sent events (WHATWG HTML, 9.2).
    pub(crate) fn events(body: Body) -> Self {
        Self::stream(200, EVENT_STREAM, body)
            .with("cache-control", "no-store, no-transform")
            .with("x-accel-buffering", "no")
    }

    /// Sets a header. [`ResponseKind`]'s own headers must not be set.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Appends to a header whose value is a list.
    #[must_use]
    pub(crate) fn with_listed(mut self, name: &'static str, item: impl Into<String>) -> Self {
        let item = item.into();
        match self.headers.iter_mut().find(|(n, _)| *n == name) {
            Some((_, list)) => *list = format!("{list}, {item}"),
            None => self.headers.push((name, item)),
        }
        self
    }

    /// Excludes the response from storage, because it contains a secret.
    #[must_use]
    pub(crate) fn not_kept(mut self) -> Self {
        self.may_keep = false;
        self
    }

    /// The same head without a body, for HEAD.
    #[must_use]
    pub(crate) fn without_body(mut self) -> Self {
        if let Content::Bytes(bytes) = &self.content {
            self.headers.push(("content-length", bytes.len().to_string()));
        }
        self.content = Content::Empty;
        self
    }

    /// Crosses into JavaScript. `request_id` becomes `X-Request-Id`, `timing` becomes
    /// `Server-Timing`.
    pub(crate) fn into_js(self, request_id: &str, timing: &str) -> JsResponse {
        JsResponse(self.build(request_id, timing).unwrap_or_else(|_| web_sys::Response::error()))
    }

    fn build(self, request_id: &str, timing: &str) -> Result<web_sys::Response, JsValue> {
        let Self { kind, status, content_type, headers, content, .. } = self;
        let (repeating, own): (Vec<Header>, _) =
            headers.into_iter().partition(|(name, _)| REPEATING.contains(name));
        let init = Init::shared(kind, status, &content_type, repeating)?;
        // The constructor copies the headers, so the shared ones can be changed for this response.
        init.headers.set("x-request-id", request_id)?;
        init.set_timing(timing)?;
        let response = match content {
            Content::Empty => web_sys::Response::new_with_opt_str_and_init(None, &init.init)?,
            Content::Bytes(mut bytes) => {
                web_sys::Response::new_with_opt_u8_array_and_init(Some(&mut bytes), &init.init)?
            }
            Content::Stream(body) => {
                web_sys::Response::new_with_opt_readable_stream_and_init(Some(&body.0), &init.init)?
            }
        };
        if !own.is_empty() {
            let headers = response.headers();
            for (name, value) in &own {
                headers.set(name, value)?;
            }
        }
        Ok(response)
    }
}

type Header = (&'static str, String);

/// Headers with few distinct values, which are therefore part of a shape.
const REPEATING: &[&str] = &[
    "vary",
    "cache-control",
    "x-accel-buffering",
    "ratelimit-policy",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-expose-headers",
];

/// What many responses have in common.
#[derive(Debug)]
struct Shape {
    kind: ResponseKind,
    status: u16,
    content_type: String,
    headers: Vec<Header>,
}

/// A shape's objects in JavaScript.
#[derive(Debug)]
struct Init {
    shape: Shape,
    init: ResponseInit,
    headers: Headers,
    /// The current `Server-Timing` header. In production it is mostly the same as that of the
    /// previous response, because the clock advances only on I/O.
    timing: RefCell<String>,
}

/// Further shapes are built anew each time (an app's unusual media types).
const SHARED_INITS: usize = 64;

thread_local! {
    static INITS: RefCell<Vec<Rc<Init>>> = const { RefCell::new(Vec::new()) };
}

impl Init {
    fn shared(
        kind: ResponseKind,
        status: u16,
        content_type: &str,
        headers: Vec<Header>,
    ) -> Result<Rc<Self>, JsValue> {
        let known = INITS.with_borrow(|inits| {
            let is_same = |shape: &Shape| {
                shape.kind == kind
                    && shape.status == status
                    && shape.content_type == content_type
                    && shape.headers == headers
            };
            inits.iter().find(|init| is_same(&init.shape)).cloned()
        });
        if let Some(init) = known {
            return Ok(init);
        }
        let init =
            Rc::new(Self::new(Shape { kind, status, content_type: content_type.to_owned(), headers })?);
        INITS.with_borrow_mut(|inits| {
            if inits.len() < SHARED_INITS {
                inits.push(init.clone());
            }
        });
        Ok(init)
    }

    fn new(shape: Shape) -> Result<Self, JsValue> {
        let headers = Headers::new()?;
        if !shape.content_type.is_empty() {
            headers.set("content-type", &shape.content_type)?;
        }
        if shape.kind == ResponseKind::Api {
            headers.set("cache-control", "no-store")?;
        }
        for (name, value) in shape.kind.headers() {
            headers.set(name, value)?;
        }
        for (name, value) in &shape.headers {
            headers.set(name, value)?;
        }
        let init = ResponseInit::new();
        init.set_status(shape.status);
        init.set_headers_headers(&headers);
        Ok(Self { shape, init, headers, timing: RefCell::default() })
    }

    fn set_timing(&self, timing: &str) -> Result<(), JsValue> {
        let mut set = self.timing.borrow_mut();
        if *set != timing {
            self.headers.set("server-timing", timing)?;
            timing.clone_into(&mut set);
        }
        Ok(())
    }
}
