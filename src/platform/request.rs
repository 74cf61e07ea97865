//! The incoming request, read across the boundary as little as possible: what
//! every route needs comes with the call, another header when somebody asks for it.

use std::{cell::RefCell, fmt, rc::Rc};

use futures::StreamExt as _;
use worker::{
    ByteStream,
    js_sys::{Uint8Array, futures::JsFuture},
    web_sys,
};

use crate::error::Error;

/// How much of a body that is too long is still read.
const DRAINED_BYTES: usize = 32 * 1024 * 1024;

/// What every route needs of a request, as entry.js hands it over.
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) request_id: Option<String>,
    pub(crate) traceparent: Option<String>,
    /// `Authorization`, or where there is none `X-Api-Key`.
    pub(crate) credential: Option<String>,
    pub(crate) origin: Option<String>,
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("method", &self.method).finish_non_exhaustive()
    }
}

/// An incoming HTTP request.
#[derive(Debug)]
pub(crate) struct InboundRequest {
    raw: web_sys::Request,
    head: Head,
    /// Where the authority, the path and the query of `url` begin and end.
    authority: (usize, usize),
    path_end: usize,
    /// The body, once somebody has read it to keep.
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
        Self { raw, authority: (start, end), path_end, head, kept: RefCell::default() }
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

    /// `Authorization`, or where there is none `X-Api-Key`.
    pub(crate) fn credential(&self) -> Option<&str> {
        self.head.credential.as_deref()
    }

    /// That of the page that sends it.
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

    /// The path, still percent-encoded, `/` at least.
    pub(crate) fn path(&self) -> &str {
        match self.head.url.get(self.authority.1..self.path_end) {
            Some("") | None => "/",
            Some(path) => path,
        }
    }

    /// The query string without its `?`, still encoded.
    pub(crate) fn query(&self) -> &str {
        let tail = self.head.url.get(self.path_end..).unwrap_or_default();
        let tail = tail.split('#').next().unwrap_or_default();
        tail.strip_prefix('?').unwrap_or_default()
    }

    /// One header's value; each call crosses into JavaScript.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.raw.headers().get(name).ok().flatten()
    }

    /// The whole body, refused with 413 as soon as it is known to be longer
    /// than `limit` bytes: by its Content-Length, else while it arrives.
    pub(crate) async fn body(&self, limit: usize) -> Result<Vec<u8>, Error> {
        if let Some(kept) = self.kept.borrow().as_ref() {
            return if kept.len() > limit { Err(Error::TooLarge { limit }) } else { Ok(kept.to_vec()) };
        }
        let declared = self.header("content-length").and_then(|n| n.parse::<usize>().ok());
        if declared.is_some_and(|n| n > limit) {
            self.drain().await;
            return Err(Error::TooLarge { limit });
        }
        match declared {
            None => self.streamed(limit).await,
            Some(_) => self.whole().await,
        }
    }

    /// [`Self::body`], which then can be read once more.
    pub(crate) async fn keep_body(&self, limit: usize) -> Result<Rc<[u8]>, Error> {
        let body: Rc<[u8]> = self.body(limit).await?.into();
        self.kept.replace(Some(body.clone()));
        Ok(body)
    }

    /// Reads a body that is too long and drops it: a client that is still
    /// sending reads no answer. One that goes on and on is cut off.
    async fn drain(&self) {
        let Some(stream) = self.raw.body() else { return };
        let (mut stream, mut dropped) = (ByteStream::from(stream), 0);
        while let Some(Ok(chunk)) = stream.next().await {
            dropped += chunk.len();
            if dropped > DRAINED_BYTES {
                return;
            }
        }
    }

    /// One promise for all of it: the runtime holds a body to its Content-Length.
    async fn whole(&self) -> Result<Vec<u8>, Error> {
        let cut = |_| Error::Malformed("The body was cut off".to_owned());
        let buffer = JsFuture::from(self.raw.array_buffer().map_err(cut)?).await.map_err(cut)?;
        Ok(Uint8Array::new(&buffer).to_vec())
    }

    async fn streamed(&self, limit: usize) -> Result<Vec<u8>, Error> {
        let Some(stream) = self.raw.body() else { return Ok(Vec::new()) };
        let mut stream = ByteStream::from(stream);
        // What follows a body that is too long is read and dropped, as by `drain`.
        let (mut body, mut dropped) = (Vec::new(), 0);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| Error::Malformed("The body was cut off".to_owned()))?;
            if body.len() <= limit {
                body.extend_from_slice(&chunk);
            }
            dropped += chunk.len();
            if dropped > DRAINED_BYTES {
                break;
            }
        }
        if body.len() > limit { Err(Error::TooLarge { limit }) } else { Ok(body) }
    }
}
