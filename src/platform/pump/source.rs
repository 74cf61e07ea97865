//! Opens an upstream body: waits for its first bytes, before the client gets a response.

use std::{cell::Cell, fmt, rc::Rc};

use futures::{
    future::{Either, select},
    pin_mut,
};
use worker::{
    js_sys::{Promise, Uint8Array, futures::JsFuture},
    wasm_bindgen::JsCast as _,
};

use super::{Deadlines, End};
use crate::platform::{
    clock::{now_ms, sleep},
    stream::{Body, ReadResult, Reader, append},
};

/// Bytes of the one read buffer.
const BUFFER: u32 = 16 * 1024;
/// How long a beginning without visible content is held back. After that the
/// client should see that something happens.
const HELD_MS: i64 = 1_000;

/// An upstream body whose first bytes have come.
pub(crate) struct Source {
    pub(super) reader: Reader,
    pub(super) view: Uint8Array,
    pub(super) received: Vec<u8>,
    pub(super) ended: bool,
    /// A read that is still pending; it owns the view's memory.
    pub(super) pending: Option<Promise>,
    pub(super) unwanted: Rc<Cell<bool>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("received", &self.received.len()).finish_non_exhaustive()
    }
}

impl Source {
    /// Waits for the first bytes, and then until `has_begun`, which gets what
    /// has just come, says that a client should see them; for the bytes at most
    /// `deadlines.idle_ms`, and for the beginning [`HELD_MS`]. A body that
    /// fails before that is an `Err`, because the client has no response yet. One
    /// that ends before that may be whole all the same ([`Self::has_ended`]).
    pub(crate) async fn open(
        body: Body,
        deadlines: Deadlines,
        mut has_begun: impl FnMut(&[u8]) -> bool,
    ) -> Result<Self, End> {
        let mut source = Self::unread(&body)?;
        let mut held_until = None;
        loop {
            let old = source.received.len();
            source.read(deadlines.idle_ms, held_until).await?;
            let has_begun = has_begun(source.received.get(old..).unwrap_or_default());
            if has_begun || source.ended || source.pending.is_some() {
                return Ok(source);
            }
            held_until.get_or_insert_with(|| now_ms() + HELD_MS);
        }
    }

    /// As [`Self::open`], but the client sees nothing before the body has begun. A
    /// body that does not begin within `within_ms` is an `Err`.
    pub(crate) async fn begun(
        body: Body,
        within_ms: u64,
        mut has_begun: impl FnMut(&[u8]) -> bool,
    ) -> Result<Self, End> {
        let mut source = Self::unread(&body)?;
        let until = now_ms().saturating_add_unsigned(within_ms);
        loop {
            let old = source.received.len();
            source.read((until - now_ms()).max(0), None).await?;
            if has_begun(source.received.get(old..).unwrap_or_default()) || source.ended {
                return Ok(source);
            }
        }
    }

    fn unread(body: &Body) -> Result<Self, End> {
        let reader = body.reader().ok_or(End::Cut)?;
        let view = Uint8Array::new_with_length(BUFFER);
        Ok(Self { reader, view, received: Vec::new(), ended: false, pending: None, unwanted: Rc::default() })
    }

    /// Reads once. A read that takes longer than `until` stays pending.
    async fn read(&mut self, idle_ms: i64, until: Option<i64>) -> Result<(), End> {
        let left_ms = until.map_or(i64::MAX, |until| (until - now_ms()).max(0));
        let view = Uint8Array::new(&self.view.buffer());
        let read = self.reader.read_at_least(1, &view);
        let timeout = sleep(u64::try_from(idle_ms.min(left_ms)).unwrap_or_default());
        pin_mut!(timeout);
        let result = match select(JsFuture::from(read.clone()), timeout).await {
            Either::Left((result, _)) => result.map_err(|_| End::Cut)?.unchecked_into::<ReadResult>(),
            Either::Right(_) if left_ms < idle_ms => {
                self.pending = Some(read);
                return Ok(());
            }
            Either::Right(_) => {
                let _ = self.reader.cancel();
                return Err(End::Stalled);
            }
        };
        let chunk = result.value().filter(|chunk| chunk.length() > 0);
        self.ended = result.done() || chunk.is_none();
        if let Some(chunk) = chunk {
            append(&mut self.received, &chunk);
            self.view = chunk;
        }
        Ok(())
    }

    /// The bytes that have arrived so far.
    pub(crate) fn first(&self) -> &[u8] {
        &self.received
    }

    /// All bytes have arrived.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Once this is true, the rest is not wanted, and the pump ends within a tick.
    pub(crate) fn unwanted(&self) -> Rc<Cell<bool>> {
        self.unwanted.clone()
    }

    /// Cancels a body that will not be read further.
    pub(crate) fn cancel(self) {
        let _ = self.reader.cancel();
    }
}
