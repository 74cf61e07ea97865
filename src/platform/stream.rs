//! A response body that is written while the client reads it.

use std::cell::Cell;

use futures::{
    future::{Either, select},
    pin_mut,
};
use worker::{
    js_sys::{Promise, Uint8Array, futures::JsFuture},
    wasm_bindgen::{self, JsCast as _, JsValue, prelude::wasm_bindgen},
    web_sys::{ReadableStream, WritableStream, WritableStreamDefaultWriter},
};

use super::clock::{MINUTE_MS, sleep};
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

/// The bytes of a body, chunk by chunk. Dropping it cancels what has not been read, which frees the connection.
#[derive(Debug)]
pub(crate) struct Chunks {
    reader: Reader,
    view: Uint8Array,
    least: u32,
    is_over: bool,
}

/// A body was not read to its end; the runtime's reason.
#[derive(Debug)]
pub(crate) struct Broken(pub(super) String);

impl From<Broken> for Error {
    fn from(Broken(reason): Broken) -> Self {
        Self::Internal(format!("a body broke off: {reason}"))
    }
}

impl Chunks {
    /// Reads chunks of `most` bytes at most. Each but the last waits for `least` bytes: many make fewer reads, but
    /// those of a read that has not ended are lost if its future is dropped.
    ///
    /// # Errors
    /// If the body has a reader already.
    pub(crate) fn of(body: &Body, least: u32, most: u32) -> Result<Self, Broken> {
        let reader = body.reader().ok_or_else(|| Broken("it is read already".to_owned()))?;
        Ok(Self { reader, view: Uint8Array::new_with_length(most), least, is_over: false })
    }

    /// The next chunk; none at the end.
    ///
    /// # Errors
    /// If the body breaks off.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        if self.is_over {
            return Ok(None);
        }
        // If the read fails there is nothing to cancel any more.
        let read = JsFuture::from(self.reader.read_at_least(self.least, &self.view)).await;
        let read = read.inspect_err(|_| self.is_over = true).map_err(|e| Broken(format!("{e:?}")))?;
        let read = read.unchecked_into::<ReadResult>();
        let chunk = read.value();
        // Only the last read of a body brings less than it waits for.
        self.is_over = read.done() || chunk.as_ref().is_none_or(|chunk| chunk.length() < self.least);
        let Some(chunk) = chunk else { return Ok(None) };
        // The buffer was lent to the read.
        self.view = Uint8Array::new(&chunk.buffer());
        Ok(Some(chunk.to_vec()).filter(|bytes| !bytes.is_empty()))
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.reader.cancel();
        }
    }
}

/// How many milliseconds a body may have no reader. The runtime reads a response as soon as it has it, and never if the
/// client has left before; what is to be done all the same has the rest of the 30 s that the platform then gives.
pub(super) const UNREAD_MS: i64 = 5_000;
/// How many milliseconds a reader may take for one [`PIECE`].
const STALLED_MS: i64 = MINUTE_MS;
/// How many bytes are written at a time: a reader that takes that much within [`STALLED_MS`] is slow, and not gone.
const PIECE: usize = 64 * 1024;

/// The writable end of a [`Body`]. Each write waits until it has been read,
/// so a slow reader holds the writer back instead of filling memory.
#[derive(Debug)]
pub(crate) struct Writer {
    stream: WritableStreamDefaultWriter,
    has_reader: Cell<bool>,
}

/// A body, and the writer that feeds it.
pub(crate) fn channel() -> Result<(Writer, Body), Error> {
    let broken = |e: JsValue| Error::Internal(format!("no stream: {e:?}"));
    let pair = IdentityTransformStream::new().map_err(broken)?;
    let stream = WritableStreamDefaultWriter::new(&pair.writable()).map_err(broken)?;
    Ok((Writer { stream, has_reader: Cell::new(false) }, Body(pair.readable())))
}

impl Writer {
    /// Resolves when `bytes` have been read. A reader that does not come, or stops, counts as gone.
    pub(crate) async fn write(&self, bytes: &[u8]) -> Result<(), Gone> {
        for piece in bytes.chunks(PIECE) {
            self.read(self.write_chunk(&Uint8Array::from(piece))).await?;
        }
        Ok(())
    }

    /// Ends the body; the client sees a complete response.
    pub(crate) async fn close(self) {
        // When the client has gone first, the failure does not matter.
        let _ = self.read(self.stream.close()).await;
    }

    /// Aborts the body: a pending write fails, and the reader sees the body break off.
    pub(crate) fn abort(&self) {
        let _ = self.stream.abort();
    }

    /// Whether anything has been read.
    pub(super) fn has_reader(&self) -> bool {
        self.has_reader.get()
    }

    /// Notes that something has been read.
    pub(super) fn set_read(&self) {
        self.has_reader.set(true);
    }

    /// Waits until something has been read.
    async fn read(&self, read: Promise) -> Result<(), Gone> {
        let within_ms = if self.has_reader() { STALLED_MS } else { UNREAD_MS };
        let too_long = sleep(within_ms.unsigned_abs());
        pin_mut!(too_long);
        match select(JsFuture::from(read), too_long).await {
            Either::Left((read, _)) => read.map(|_| self.set_read()).map_err(|_| Gone),
            Either::Right(_) => {
                self.abort();
                Err(Gone)
            }
        }
    }

    pub(super) fn write_chunk(&self, chunk: &Uint8Array) -> Promise {
        self.stream.write_with_chunk(chunk)
    }
}

/// Appends `chunk` to `bytes`. Not into a resized `bytes`: compiled for size, its zeros are written one by one.
pub(super) fn append(bytes: &mut Vec<u8>, chunk: &Uint8Array) {
    bytes.extend_from_slice(&chunk.to_vec());
}
