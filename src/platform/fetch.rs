//! Requests to outside services. Each has a deadline, and none follows redirects by itself.

use futures::{
    StreamExt as _,
    future::{Either, select},
    pin_mut,
};
use worker::{
    AbortController, ByteStream, Env, Fetch, Headers, Method, Request, RequestInit, RequestRedirect,
    ResponseBody, js_sys::Uint8Array,
};

use super::{
    clock::{now_ms, sleep},
    stream::{Body, Broken, Chunks},
};

/// How many bytes of a body are read at a time.
const BUFFER: u32 = 16 * 1024;

/// A request to an outside service.
#[derive(Debug, Clone)]
pub(crate) struct OutboundRequest {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

impl OutboundRequest {
    pub(crate) fn new(method: Method, url: String) -> Self {
        Self { method, url, headers: Vec::new(), body: None }
    }

    pub(crate) fn get(url: String) -> Self {
        Self::new(Method::Get, url)
    }

    pub(crate) fn post_json(url: String, body: String) -> Self {
        Self::new(Method::Post, url).carrying("application/json", body)
    }

    /// The same request with this body.
    #[must_use]
    pub(crate) fn carrying(mut self, content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.with("content-type", content_type)
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn into_js(self) -> worker::Result<Request> {
        let headers = Headers::new();
        for (name, value) in &self.headers {
            headers.set(name, value)?;
        }
        let mut init = RequestInit::new();
        init.with_method(self.method)
            .with_headers(headers)
            .with_redirect(RequestRedirect::Manual)
            .with_body(self.body.map(|body| Uint8Array::from(body.as_slice()).into()));
        Request::new_with_init(&self.url, &init)
    }
}

/// Why there is no response, or only a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The deadline has passed.
    Timeout,
    /// The connection could not be made or was lost; the runtime's message.
    Network(String),
    /// The body exceeds the caller's limit.
    TooLong,
}

impl From<Broken> for Failure {
    fn from(Broken(reason): Broken) -> Self {
        Self::Network(reason)
    }
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub(crate) enum Piece<E> {
    Failed(Failure),
    /// The function that takes the chunks failed.
    Refused(E),
}

/// The time by which several requests must be done together. Separate timeouts would add up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    ends_ms: i64,
}

impl Deadline {
    pub(crate) fn after(ms: u64) -> Self {
        Self::at(now_ms(), ms)
    }

    fn at(now: i64, ms: u64) -> Self {
        Self { ends_ms: now.saturating_add_unsigned(ms) }
    }

    /// The milliseconds that are left, at least one.
    ///
    /// # Errors
    /// [`Failure::Timeout`] when no time is left.
    pub(crate) fn left(self) -> Result<u64, Failure> {
        self.left_at(now_ms())
    }

    fn left_at(self, now: i64) -> Result<u64, Failure> {
        let left = u64::try_from(self.ends_ms.saturating_sub(now)).ok();
        left.filter(|left| *left > 0).ok_or(Failure::Timeout)
    }
}

/// The response of an outside service, with an unread body.
#[derive(Debug)]
pub(crate) struct FetchResponse(worker::Response);

/// Sends `request` and waits at most `timeout_ms` for the response's head.
pub(crate) async fn send(request: OutboundRequest, timeout_ms: u64) -> Result<FetchResponse, Failure> {
    let network = |e: worker::Error| Failure::Network(e.to_string());
    let abort = AbortController::default();
    let signal = abort.signal();
    let fetch = Fetch::Request(request.into_js().map_err(network)?);
    let answer = within(timeout_ms, abort, fetch.send_with_signal(&signal)).await?;
    answer.map(FetchResponse).map_err(network)
}

/// Waits at most `timeout_ms` for an answer. Aborts its request if it takes longer, or
/// if nothing waits for it any more.
pub(super) async fn within<T>(
    timeout_ms: u64,
    abort: AbortController,
    answer: impl Future<Output = T>,
) -> Result<T, Failure> {
    let mut unanswered = AbortOnDrop(Some(abort));
    let timeout = sleep(timeout_ms);
    pin_mut!(answer, timeout);
    match select(answer, timeout).await {
        Either::Left((answer, _)) => {
            unanswered.0 = None;
            Ok(answer)
        }
        Either::Right(_) => Err(Failure::Timeout),
    }
}

/// Aborts a request that has no answer yet.
struct AbortOnDrop(Option<AbortController>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(abort) = self.0.take() {
            abort.abort();
        }
    }
}

/// A file of public/, by its path.
pub(crate) async fn asset(env: &Env, path: &str) -> Result<FetchResponse, Failure> {
    let network = |e: worker::Error| Failure::Network(e.to_string());
    let assets = env.assets("ASSETS").map_err(network)?;
    // Only the path matters; the host is a placeholder.
    assets.fetch(format!("https://assets{path}"), None).await.map(FetchResponse).map_err(network)
}

/// The response of another Worker to `body`, by the name of the service binding.
pub(crate) async fn service(
    env: &Env,
    binding: &str,
    body: String,
    timeout_ms: u64,
) -> Result<FetchResponse, Failure> {
    let network = |e: worker::Error| Failure::Network(e.to_string());
    let service = env.service(binding).map_err(network)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(Uint8Array::from(body.as_bytes()).into()));
    // Only the body matters; the host is a placeholder.
    let (answer, timeout) = (service.fetch("https://service/", Some(init)), sleep(timeout_ms));
    pin_mut!(answer, timeout);
    match select(answer, timeout).await {
        Either::Left((answer, _)) => answer.map(FetchResponse).map_err(network),
        Either::Right(_) => Err(Failure::Timeout),
    }
}

impl FetchResponse {
    pub(super) fn new(response: worker::Response) -> Self {
        Self(response)
    }

    pub(crate) fn status(&self) -> u16 {
        self.0.status_code()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.0.headers().get(name).ok().flatten()
    }

    /// The body as a stream; none when there is no body.
    pub(crate) fn into_body(self) -> Option<Body> {
        match self.0.body() {
            ResponseBody::Stream(stream) => Some(Body::new(stream.clone())),
            ResponseBody::Empty | ResponseBody::Body(_) => None,
        }
    }

    /// The whole body as text (invalid UTF-8 replaced), at most `limit` bytes
    /// and within `timeout_ms`.
    pub(crate) async fn text(self, limit: usize, timeout_ms: u64) -> Result<String, Failure> {
        let (text, timeout) = (self.read(limit), sleep(timeout_ms));
        pin_mut!(text, timeout);
        match select(text, timeout).await {
            Either::Left((text, _)) => text,
            Either::Right(_) => Err(Failure::Timeout),
        }
    }

    async fn read(self, limit: usize) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        self.read_into(&mut bytes, limit, BUFFER).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads the body chunk by chunk, each within `idle_ms`, until it ends or `take` returns false.
    ///
    /// # Errors
    /// [`Piece::Refused`] with the error of `take`.
    pub(crate) async fn read_pieces<E>(
        self,
        idle_ms: u64,
        mut take: impl AsyncFnMut(Vec<u8>) -> Result<bool, E>,
    ) -> Result<(), Piece<E>> {
        let Some(body) = self.into_body() else { return Ok(()) };
        let mut pieces = ByteStream::from(body.0);
        loop {
            let (piece, timeout) = (pieces.next(), sleep(idle_ms));
            pin_mut!(timeout);
            let piece = match select(piece, timeout).await {
                Either::Left((Some(Ok(piece)), _)) => piece,
                Either::Left((Some(Err(e)), _)) => {
                    return Err(Piece::Failed(Failure::Network(e.to_string())));
                }
                Either::Left((None, _)) => return Ok(()),
                Either::Right(_) => return Err(Piece::Failed(Failure::Timeout)),
            };
            if !take(piece).await.map_err(Piece::Refused)? {
                return Ok(());
            }
        }
    }

    /// The decoded beginning of the body: as much as arrives within `timeout_ms` and fits into
    /// `limit` bytes. A longer, slower or broken body is cut there.
    pub(crate) async fn beginning(self, limit: usize, timeout_ms: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        {
            let (body, timeout) = (self.read_into(&mut bytes, limit, 1), sleep(timeout_ms));
            pin_mut!(body, timeout);
            select(body, timeout).await;
        }
        bytes
    }

    /// Reads the body into `bytes`, `limit` of them at most. Each read waits for `least` bytes ([`Chunks::of`]).
    async fn read_into(self, bytes: &mut Vec<u8>, limit: usize, least: u32) -> Result<(), Failure> {
        let Some(body) = self.into_body() else { return Ok(()) };
        let mut chunks = Chunks::of(&body, least, BUFFER)?;
        while let Some(chunk) = chunks.next().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > limit {
                bytes.truncate(limit);
                return Err(Failure::TooLong);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn requests_one_after_the_other_take_no_longer_than_their_deadline(
            now in 0_i64..2_000_000_000_000, most in 0_u64..1_000_000, taken in prop::collection::vec(0_u64..400_000, 0..8)
        ) {
            let deadline = Deadline::at(now, most);
            let mut spent = 0;
            for wanted in taken {
                let Ok(left) = deadline.left_at(now + i64::try_from(spent).unwrap()) else { break };
                prop_assert_eq!(left, most - spent);
                spent += wanted.min(left);
            }
            prop_assert!(spent <= most);
            prop_assert_eq!(deadline.left_at(now.saturating_add_unsigned(most)), Err(Failure::Timeout));
        }
    }
}
