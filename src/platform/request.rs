//! The inbound request. The fields that every route needs come with the call; all other headers come
//! in one crossing when a handler needs the second of them.

use std::{
    cell::{Cell, OnceCell, RefCell},
    fmt,
    rc::Rc,
};

use futures::{StreamExt as _, future::ready};
use worker::{
    ByteStream,
    js_sys::{Function, Uint8Array, futures::JsFuture},
    wasm_bindgen::JsValue,
    web_sys,
};

use super::clock::sleep;
use crate::error::Error;

/// How many bytes of a body that nobody wants are still read.
const DRAINED_BYTES: usize = 32 * 1024 * 1024;
/// For how long.
const DRAINED_MS: u64 = 30_000;
/// The runtime itself drops what is left of a shorter body.
const UNREAD_BYTES: usize = 64 * 1024;

/// The fields of a request that every route needs, as entry.js passes them.
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) request_id: Option<String>,
    pub(crate) traceparent: Option<String>,
    /// `Authorization`, or `X-Api-Key` without one.
    pub(crate) credential: Option<String>,
    pub(crate) origin: Option<String>,
    /// Lists the headers as one text: a line with each name, and one with its value.
    pub(crate) list_headers: Function,
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("method", &self.method).finish_non_exhaustive()
    }
}

/// An inbound HTTP request.
#[derive(Debug)]
pub(crate) struct InboundRequest {
    raw: web_sys::Request,
    head: Head,
    /// The byte offsets of the authority, and of the path's end, in `url`.
    authority: (usize, usize),
    path_end: usize,
    /// A header was read by itself. Many requests need no other one.
    has_read_one: Cell<bool>,
    /// The names and values of all headers, once a second one was read.
    headers: OnceCell<Vec<(String, String)>>,
    /// The body, once a caller has read it with [`Self::keep_body`].
    kept: RefCell<Option<Rc<[u8]>>>,
}

impl InboundRequest {
    pub(crate) fn new(raw: web_sys::Request, head: Head) -> Self {
        let url = &head.url;
        let start = url.find("://").map_or(0, |i| i + 3);
        let rest = url.get(start..).unwrap_or_default();
        let end = start + rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let tail = url.get(end..).unwrap_or_default();
        let path_end = end + tail.find(['?', '#']).unwrap_or(tail.len());
        Self {
            raw,
            authority: (start, end),
            path_end,
            head,
            has_read_one: Cell::default(),
            headers: OnceCell::new(),
            kept: RefCell::default(),
        }
    }

    pub(crate) fn method(&self) -> &str {
        &self.head.method
    }

    /// `X-Request-Id`.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.head.request_id.as_deref()
    }

    /// `Traceparent` (W3C Trace Context).
    pub(crate) fn traceparent(&self) -> Option<&str> {
        self.head.traceparent.as_deref()
    }

    /// `Authorization`, or `X-Api-Key` without one.
    pub(crate) fn credential(&self) -> Option<&str> {
        self.head.credential.as_deref()
    }

    /// The origin of the page that sent the request.
    pub(crate) fn page_origin(&self) -> Option<&str> {
        self.head.origin.as_deref()
    }

    /// `host[:port]` as the client addressed it.
    pub(crate) fn host(&self) -> &str {
        self.head.url.get(self.authority.0..self.authority.1).unwrap_or_default()
    }

    /// `scheme://host[:port]`.
    pub(crate) fn origin(&self) -> &str {
        self.head.url.get(..self.authority.1).unwrap_or_default()
    }

    /// The path, percent-encoded; at least `/`.
    pub(crate) fn path(&self) -> &str {
        match self.head.url.get(self.authority.1..self.path_end) {
            Some("") | None => "/",
            Some(path) => path,
        }
    }

    /// The query string without its `?`, percent-encoded.
    pub(crate) fn query(&self) -> &str {
        let tail = self.head.url.get(self.path_end..).unwrap_or_default();
        let tail = tail.split('#').next().unwrap_or_default();
        tail.strip_prefix('?').unwrap_or_default()
    }

    /// One header's value. The values of a repeated header are joined by commas.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        if !self.has_read_one.replace(true) {
            return self.raw.headers().get(name).ok().flatten();
        }
        let headers = self.headers.get_or_init(|| self.list_headers());
        let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    }

    fn list_headers(&self) -> Vec<(String, String)> {
        let text = self.head.list_headers.call1(&JsValue::NULL, &self.raw.headers());
        // The function is ours (entry.js), and cannot fail.
        let text = text.ok().and_then(|text| text.as_string()).unwrap_or_default();
        let mut lines = text.lines().map(str::to_owned);
        std::iter::from_fn(|| lines.next().zip(lines.next())).collect()
    }

    /// The whole body. A body longer than `limit` bytes is refused with 413 as early as possible:
    /// by its Content-Length, otherwise while it arrives.
    pub(crate) async fn body(&self, limit: usize) -> Result<Vec<u8>, Error> {
        if let Some(kept) = self.kept.borrow().as_ref() {
            return if kept.len() > limit { Err(Error::TooLarge { limit }) } else { Ok(kept.to_vec()) };
        }
        let declared = self.content_length();
        if declared.is_some_and(|n| n > limit) {
            return Err(Error::TooLarge { limit });
        }
        match declared {
            None => self.streamed(limit).await,
            Some(_) => self.whole().await,
        }
    }

    /// As [`Self::body`], and keeps it so that it can be read again.
    pub(crate) async fn keep_body(&self, limit: usize) -> Result<Rc<[u8]>, Error> {
        let body: Rc<[u8]> = self.body(limit).await?.into();
        self.kept.replace(Some(body.clone()));
        Ok(body)
    }

    fn content_length(&self) -> Option<usize> {
        self.header("content-length").and_then(|n| n.parse().ok())
    }

    /// Reads and drops a body that no handler has read. A client that is still sending reads no
    /// response, and finds its connection closed instead. An endless body is cut off.
    pub(crate) async fn drop_unread_body(&self) {
        if matches!(self.method(), "GET" | "HEAD") || self.raw.body_used() {
            return;
        }
        if self.content_length().is_some_and(|n| n <= UNREAD_BYTES) {
            return;
        }
        let Some(stream) = self.raw.body() else { return };
        drain(stream.into()).await;
    }

    /// Reads all of it with one promise: the runtime enforces the Content-Length.
    async fn whole(&self) -> Result<Vec<u8>, Error> {
        let cut = |_| Error::Malformed("The body was cut off".to_owned());
        let buffer = JsFuture::from(self.raw.array_buffer().map_err(cut)?).await.map_err(cut)?;
        Ok(Uint8Array::new(&buffer).to_vec())
    }

    async fn streamed(&self, limit: usize) -> Result<Vec<u8>, Error> {
        let Some(stream) = self.raw.body() else { return Ok(Vec::new()) };
        let mut stream = ByteStream::from(stream);
        let mut body = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| Error::Malformed("The body was cut off".to_owned()))?;
            body.extend_from_slice(&chunk);
            if body.len() > limit {
                drain(stream).await;
                return Err(Error::TooLarge { limit });
            }
        }
        Ok(body)
    }
}

/// Reads and drops the rest of a body, for a while and up to a limit.
async fn drain(body: ByteStream) {
    let mut dropped = 0;
    let is_bearable = move |chunk: &worker::Result<Vec<u8>>| {
        dropped += chunk.as_ref().map_or(DRAINED_BYTES, Vec::len);
        ready(dropped < DRAINED_BYTES)
    };
    body.take_until(sleep(DRAINED_MS)).take_while(is_bearable).for_each(|_| ready(())).await;
}
