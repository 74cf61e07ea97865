//! A response body that is written while the client reads it.

use worker::{
    js_sys::{Promise, Uint8Array, futures::JsFuture},
    wasm_bindgen::{self, JsCast as _, JsValue, prelude::wasm_bindgen},
    web_sys::{ReadableStream, WritableStream, WritableStreamDefaultWriter},
};

use crate::error::Error;

#[wasm_bindgen]
extern "C" {
    /// workerd's own: bytes pass through natively, without a queue in JavaScript.
    #[wasm_bindgen(js_name = IdentityTransformStream)]
    type IdentityTransformStream;

    #[wasm_bindgen(constructor, catch, js_class = "IdentityTransformStream")]
    fn new() -> Result<IdentityTransformStream, JsValue>;

    #[wasm_bindgen(method, getter)]
    fn readable(this: &IdentityTransformStream) -> ReadableStream;

    #[wasm_bindgen(method, getter)]
    fn writable(this: &IdentityTransformStream) -> WritableStream;

    /// Reads bytes into a buffer that it is lent.
    #[wasm_bindgen(js_name = ReadableStreamBYOBReader)]
    #[derive(Debug)]
    pub(super) type Reader;

    #[wasm_bindgen(constructor, catch, js_class = "ReadableStreamBYOBReader")]
    fn open(stream: &ReadableStream) -> Result<Reader, JsValue>;

    /// workerd's own: resolves with a [`ReadResult`] once `least` bytes have come, or at the end.
    #[wasm_bindgen(method, js_name = readAtLeast)]
    pub(super) fn read_at_least(this: &Reader, least: u32, view: &Uint8Array) -> Promise;

    #[wasm_bindgen(method)]
    pub(super) fn cancel(this: &Reader) -> Promise;

    pub(super) type ReadResult;

    #[wasm_bindgen(method, getter)]
    pub(super) fn done(this: &ReadResult) -> bool;

    #[wasm_bindgen(method, getter)]
    pub(super) fn value(this: &ReadResult) -> Option<Uint8Array>;
}

/// The reader of the other end has gone, so nothing more can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// The readable end of a stream.
#[derive(Debug)]
pub(crate) struct Body(pub(super) ReadableStream);

impl Body {
    pub(crate) fn new(stream: ReadableStream) -> Self {
        Self(stream)
    }

    /// The reader of this body; none if it has one already.
    pub(super) fn reader(&self) -> Option<Reader> {
        Reader::open(&self.0).ok()
    }
}

/// How many bytes a chunk has at most.
const CHUNK: u32 = 64 * 1024;

/// The bytes of a body, chunk by chunk. Dropping it cancels what has not been read.
#[derive(Debug)]
pub(crate) struct Chunks {
    reader: Reader,
    view: Uint8Array,
}

impl Chunks {
    /// # Errors
    /// If the body has a reader already.
    pub(crate) fn of(body: &Body) -> Result<Self, Error> {
        let reader = body.reader().ok_or_else(|| Error::Internal("the body is read already".to_owned()))?;
        Ok(Self { reader, view: Uint8Array::new_with_length(CHUNK) })
    }

    /// The next chunk; none at the end.
    ///
    /// # Errors
    /// If the body breaks off.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let read = JsFuture::from(self.reader.read_at_least(1, &self.view)).await;
        let read = read.map_err(|e| Error::Internal(format!("a body broke off: {e:?}")))?;
        let Some(chunk) = read.unchecked_into::<ReadResult>().value() else { return Ok(None) };
        // The buffer was lent to the read.
        self.view = Uint8Array::new(&chunk.buffer());
        Ok(Some(chunk.to_vec()).filter(|bytes| !bytes.is_empty()))
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        let _ = self.reader.cancel();
    }
}

/// The writable end of a [`Body`]. Each write waits until it has been read,
/// so a slow reader holds the writer back instead of filling memory.
#[derive(Debug)]
pub(crate) struct Writer(WritableStreamDefaultWriter);

/// A body, and the writer that feeds it.
pub(crate) fn channel() -> Result<(Writer, Body), Error> {
    let broken = |e: JsValue| Error::Internal(format!("no stream: {e:?}"));
    let pair = IdentityTransformStream::new().map_err(broken)?;
    let writer = WritableStreamDefaultWriter::new(&pair.writable()).map_err(broken)?;
    Ok((Writer(writer), Body(pair.readable())))
}

impl Writer {
    /// Resolves when `bytes` have been read.
    pub(crate) async fn write(&self, bytes: &[u8]) -> Result<(), Gone> {
        if bytes.is_empty() {
            return Ok(());
        }
        JsFuture::from(self.write_chunk(&Uint8Array::from(bytes))).await.map(drop).map_err(|_| Gone)
    }

    /// Ends the body; the client sees a complete response.
    pub(crate) async fn close(self) {
        // When the client has gone first, the failure does not matter.
        let _ = JsFuture::from(self.0.close()).await;
    }

    /// Aborts the body: a pending write fails, and the reader sees the body break off.
    pub(crate) fn abort(&self) {
        let _ = self.0.abort();
    }

    pub(super) fn write_chunk(&self, chunk: &Uint8Array) -> Promise {
        self.0.write_with_chunk(chunk)
    }
}

/// Appends `chunk` to `bytes`. Not into a resized `bytes`: compiled for size, its zeros are written one by one.
pub(super) fn append(bytes: &mut Vec<u8>, chunk: &Uint8Array) {
    bytes.extend_from_slice(&chunk.to_vec());
}
