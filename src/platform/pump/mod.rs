//! The pump: carries an upstream body to the client at near native speed and
//! keeps every byte on the way.
//!
//! A stream costs by the reads that JavaScript sees, about 30 µs each. So the
//! pump reads into one reused buffer with workerd's `readAtLeast`, and it is
//! driven by four callbacks made once a stream: no future, no closure and no
//! allocation for a chunk. How many bytes a read waits for adapts ([`pace`]).
//!
//! A client that leaves, or that takes nothing any more, does not stop the
//! pump. What arrived is the caller's to save, whatever happened to either end.

mod pace;
mod source;

pub(crate) use source::Source;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    convert::Infallible,
    rc::Rc,
};

use futures::{
    channel::oneshot,
    future::{Either, select},
    pin_mut,
};
use hatch_wire::sse::last_end;
use worker::{
    js_sys::{Promise, Uint8Array},
    wasm_bindgen::{JsCast as _, JsValue, closure::Closure},
};

use self::pace::Pace;
use crate::platform::{
    clock::{now_ms, sleep},
    stream::{ReadResult, Reader, UNREAD_MS, Writer, append},
};

/// How many times as long a read may take that waits for several bytes.
const PATIENCE: i64 = 4;
/// How often the deadlines are checked.
const TICK_MS: u64 = 1_000;
/// How often the caller may save what has arrived so far.
const CHECKPOINT_MS: u64 = 3_000;
/// The most bytes that are kept in memory: several times the longest answer,
/// and few enough for many streams in the 128 MB of an isolate.
const MOST_KEPT: usize = 16 * 1024 * 1024;

/// When to give up on an upstream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// Milliseconds without a byte after which the upstream has stalled; or
    /// after which a client that takes nothing more counts as one that has left.
    pub(crate) idle_ms: i64,
    /// Milliseconds that the upstream is read on for after the client left.
    pub(crate) after_client_ms: i64,
}

impl Deadlines {
    /// After how many milliseconds a read that waits for `least` bytes has stalled. One that waits for
    /// several does not end with each event: the pings of a model that thinks may be too few for it.
    fn of_read(self, least: u32) -> i64 {
        if least > 1 { self.idle_ms.saturating_mul(PATIENCE) } else { self.idle_ms }
    }

    /// After how many milliseconds of one write this client counts as one that has left.
    fn of_write(self, client: &Writer) -> i64 {
        if client.has_reader() { self.idle_ms } else { self.idle_ms.min(UNREAD_MS) }
    }
}

/// How the upstream's body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The upstream closed it.
    Closed,
    /// The connection was lost.
    Cut,
    /// Cancelled by us, because no byte came for too long.
    Stalled,
    /// Cancelled by us, because it did not end.
    TooLong,
    /// Cancelled by us, because the client left long ago or the rest is not wanted.
    Abandoned,
}

/// The result of a pumped stream.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Every byte the upstream sent, as it came.
    pub(crate) received: Vec<u8>,
    pub(crate) end: End,
    /// The client's end, for the final events; `None` when the client has left.
    pub(crate) client: Option<Writer>,
}

/// Turns the bytes that just came into what the client gets: the second
/// argument takes the bytes of each write to it. Without one the client gets
/// the upstream's own events, each as soon as it is whole.
pub(crate) type Rewrite = Box<dyn FnMut(&[u8], &mut VecDeque<Vec<u8>>)>;

impl Source {
    /// Carries everything to `client`, rewritten if asked, until the upstream
    /// ends. `checkpoint` gets what has come since the last time, every
    /// few seconds of a long stream, also when nothing has. Await it under
    /// `wait_until`, registered before the response is returned.
    pub(crate) async fn pump(
        self,
        client: Writer,
        rewrite: Option<Rewrite>,
        deadlines: Deadlines,
        checkpoint: impl AsyncFn(Vec<u8>),
    ) -> Outcome {
        self.run(Some(client), rewrite, deadlines, checkpoint).await
    }

    /// Reads everything without a client, as if one had left at once, so for
    /// `deadlines.after_client_ms` at most.
    pub(crate) async fn collect(self, deadlines: Deadlines, checkpoint: impl AsyncFn(Vec<u8>)) -> Outcome {
        self.run(None, None, deadlines, checkpoint).await
    }

    async fn run(
        self,
        client: Option<Writer>,
        rewrite: Option<Rewrite>,
        deadlines: Deadlines,
        checkpoint: impl AsyncFn(Vec<u8>),
    ) -> Outcome {
        let (finished, finish) = oneshot::channel();
        let pump = Pump::start(self, client, rewrite, finished);
        let _dropped = Dropped(pump.clone());
        let watch = watch(pump.clone(), deadlines);
        let checkpoints = checkpoints(pump.clone(), checkpoint);
        pin_mut!(watch, checkpoints);
        let (end, has_finished) = match select(finish, select(watch, checkpoints)).await {
            Either::Left((end, _)) => (end.unwrap_or(End::Cut), true),
            Either::Right((Either::Left((end, _)), finish)) => (end, within_a_tick(finish).await),
            Either::Right((Either::Right((never, _)), _)) => match never {},
        };
        let mut pump = pump.borrow_mut();
        pump.release(has_finished);
        Outcome { received: std::mem::take(&mut pump.received), end, client: pump.client.take() }
    }
}

/// Ends a pump whose run is dropped early, because the rest is not wanted.
struct Dropped(Rc<RefCell<Pump>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let Ok(mut pump) = self.0.try_borrow_mut() else { return };
        if pump.callbacks.is_some() {
            let _ = pump.reader.cancel();
            pump.received = Vec::new();
            pump.release(false);
        }
    }
}

/// Whether the pump came to its end after the upstream was cancelled.
async fn within_a_tick(finish: oneshot::Receiver<End>) -> bool {
    let tick = sleep(TICK_MS);
    pin_mut!(tick);
    matches!(select(finish, tick).await, Either::Left(_))
}

/// Resolves when a deadline has passed, after the upstream was cancelled.
async fn watch(pump: Rc<RefCell<Pump>>, deadlines: Deadlines) -> End {
    let (mut steps, mut since) = (0, now_ms());
    loop {
        sleep(TICK_MS).await;
        let (mut pump, now) = (pump.borrow_mut(), now_ms());
        if pump.steps != steps {
            (steps, since) = (pump.steps, now);
        }
        let silent_ms = now - since;
        let end = match pump.client_left_ms {
            _ if pump.unwanted.get() => End::Abandoned,
            _ if pump.reading && silent_ms >= deadlines.of_read(pump.pace.least()) => End::Stalled,
            Some(left) if now - left >= deadlines.after_client_ms => End::Abandoned,
            _ => {
                if let (false, Some(client)) = (pump.reading, &pump.client)
                    && silent_ms >= deadlines.of_write(client)
                {
                    client.abort();
                    // Without a reader it had left before it got anything.
                    pump.client_left_ms = Some(if client.has_reader() { now } else { since });
                }
                continue;
            }
        };
        let _ = pump.reader.cancel();
        return end;
    }
}

/// Passes what has arrived since the last checkpoint, again and again.
async fn checkpoints(pump: Rc<RefCell<Pump>>, checkpoint: impl AsyncFn(Vec<u8>)) -> Infallible {
    let mut handed_over = 0;
    loop {
        sleep(CHECKPOINT_MS).await;
        let new = pump.borrow().received.get(handed_over..).unwrap_or_default().to_vec();
        handed_over += new.len();
        checkpoint(new).await;
    }
}

struct Pump {
    reader: Reader,
    client: Option<Writer>,
    client_left_ms: Option<i64>,
    rewrite: Option<Rewrite>,
    /// What the last read was rewritten to and is not written yet.
    rewritten: VecDeque<Vec<u8>>,
    received: Vec<u8>,
    /// How much of it has been written, where it is not rewritten: whole events.
    written: usize,
    /// The chunk of the last read; its memory is lent to the next one.
    chunk: Uint8Array,
    ended: bool,
    /// The pending read to continue with.
    pending: Option<Promise>,
    unwanted: Rc<Cell<bool>>,
    pace: Pace,
    /// The client has received something, so it can wait for more.
    has_written: bool,
    /// Counts reads and writes, so that a stall is noticed.
    steps: u32,
    /// Whether the pump waits for the upstream and not for the client.
    reading: bool,
    finished: Option<oneshot::Sender<End>>,
    callbacks: Option<Callbacks>,
}

struct Callbacks {
    read: Closure<dyn FnMut(JsValue)>,
    read_failed: Closure<dyn FnMut(JsValue)>,
    written: Closure<dyn FnMut(JsValue)>,
    write_failed: Closure<dyn FnMut(JsValue)>,
}

impl Pump {
    fn start(
        source: Source,
        client: Option<Writer>,
        rewrite: Option<Rewrite>,
        finished: oneshot::Sender<End>,
    ) -> Rc<RefCell<Self>> {
        let pump = Rc::new(RefCell::new(Self {
            reader: source.reader,
            client_left_ms: client.is_none().then(now_ms),
            pace: Pace::new(now_ms(), client.is_some()),
            client,
            rewrite,
            rewritten: VecDeque::new(),
            received: source.received,
            written: 0,
            chunk: source.view,
            ended: source.ended,
            pending: source.pending,
            unwanted: source.unwanted,
            has_written: false,
            steps: 0,
            reading: false,
            finished: Some(finished),
            callbacks: None,
        }));
        let callback = |step: fn(&mut Pump, JsValue)| {
            let pump = pump.clone();
            Closure::new(move |value| step(&mut pump.borrow_mut(), value))
        };
        let callbacks = Callbacks {
            read: callback(Self::on_read),
            read_failed: callback(|pump, _| pump.finish(End::Cut)),
            written: callback(|pump, _| pump.on_written()),
            write_failed: callback(|pump, _| pump.on_client_left()),
        };
        let mut first = pump.borrow_mut();
        first.callbacks = Some(callbacks);
        first.forward(0);
        drop(first);
        pump
    }

    /// Breaks the cycle between the pump and its callbacks. An unfinished read
    /// may still call them, so in that case those few bytes leak.
    fn release(&mut self, has_finished: bool) {
        let callbacks = self.callbacks.take();
        if !has_finished {
            std::mem::forget(callbacks);
        }
    }

    fn on_read(&mut self, result: JsValue) {
        let result = result.unchecked_into::<ReadResult>();
        self.reading = false;
        self.ended = result.done();
        let start = self.received.len();
        if let Some(chunk) = result.value() {
            append(&mut self.received, &chunk);
            self.chunk = chunk;
        }
        if self.received.len() == start {
            return self.next();
        }
        if self.received.len() > MOST_KEPT {
            let _ = self.reader.cancel();
            return self.finish(End::TooLong);
        }
        let bytes = u32::try_from(self.received.len() - start).unwrap_or(u32::MAX);
        self.pace.count(now_ms(), bytes, self.has_written);
        self.forward(start);
    }

    /// Writes what came from `start` on to the client.
    fn forward(&mut self, start: usize) {
        self.steps = self.steps.wrapping_add(1);
        if self.client.is_none() {
            return self.next();
        }
        let Some(rewrite) = &mut self.rewrite else { return self.write_events(start) };
        rewrite(self.received.get(start..).unwrap_or_default(), &mut self.rewritten);
        self.write_rewritten();
    }

    /// Writes the complete events. A partial one waits for its end, and is
    /// dropped if that never arrives.
    fn write_events(&mut self, start: usize) {
        let Some(end) = last_end(&self.received, start) else { return self.next() };
        let written = std::mem::replace(&mut self.written, end);
        // The chunk may be only the last part of the first bytes.
        if written == start && start > 0 && end == self.received.len() {
            let chunk = self.chunk.clone();
            return self.write(&chunk);
        }
        self.write(&Uint8Array::from(self.received.get(written..end).unwrap_or_default()));
    }

    fn write(&mut self, bytes: &Uint8Array) {
        self.has_written = true;
        if let (Some(client), Some(callbacks)) = (&self.client, &self.callbacks) {
            let _ = client.write_chunk(bytes).then2(&callbacks.written, &callbacks.write_failed);
        }
    }

    fn on_written(&mut self) {
        self.client.iter().for_each(Writer::set_read);
        self.write_rewritten();
    }

    /// Writes the next of what the last read was rewritten to; then reads on.
    fn write_rewritten(&mut self) {
        match self.rewritten.pop_front() {
            Some(bytes) if self.client.is_some() => self.write(&Uint8Array::from(bytes.as_slice())),
            _ => self.next(),
        }
    }

    fn on_client_left(&mut self) {
        self.client = None;
        self.client_left_ms.get_or_insert_with(now_ms);
        self.rewritten.clear();
        self.next();
    }

    fn next(&mut self) {
        if self.ended {
            return self.finish(End::Closed);
        }
        let Some(callbacks) = &self.callbacks else { return };
        self.steps = self.steps.wrapping_add(1);
        self.reading = true;
        let read = self.pending.take().unwrap_or_else(|| {
            self.reader.read_at_least(self.pace.least(), &Uint8Array::new(&self.chunk.buffer()))
        });
        let _ = read.then2(&callbacks.read, &callbacks.read_failed);
    }

    fn finish(&mut self, end: End) {
        if let Some(finished) = self.finished.take() {
            // The receiver is gone once a deadline has passed.
            let _ = finished.send(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_waits_for_several_bytes_may_take_longer() {
        let deadlines = Deadlines { idle_ms: 30_000, after_client_ms: 0 };
        assert_eq!([1, 2].map(|least| deadlines.of_read(least)), [30_000, 120_000]);
    }
}
