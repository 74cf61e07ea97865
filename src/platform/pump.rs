//! The pump: carries an upstream body to the client at near native speed and
//! keeps every byte on the way.
//!
//! A stream costs by the reads that JavaScript sees, about 30 µs each. So the
//! pump reads into one reused buffer with workerd's `readAtLeast`, and it is
//! driven by four callbacks made once a stream: no future, no closure and no
//! allocation for a chunk. How many bytes a read waits for adapts: one while
//! bytes come slowly, so that a token is shown at once and a cut loses
//! nothing; up to [`MOST`] while they come faster than a screen shows them,
//! or [`MOST_BRAKE`] while all streams of the isolate together keep its one
//! thread busy.
//!
//! A client that leaves, or that takes nothing any more, does not stop the
//! pump. What arrived is the caller's to save, whatever happened to either end.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    convert::Infallible,
    fmt,
    rc::Rc,
};

use futures::{
    channel::oneshot,
    future::{Either, select},
    pin_mut,
};
use hatch_wire::sse::last_end;
use worker::{
    js_sys::{Promise, Uint8Array, futures::JsFuture},
    wasm_bindgen::{JsCast as _, JsValue, closure::Closure},
};

use super::{
    clock::{now_ms, sleep},
    stream::{Body, ReadResult, Reader, Writer, append},
};

/// Bytes of the one read buffer.
const BUFFER: u32 = 16 * 1024;
/// The most bytes a read of a steadily fast stream waits for.
const MOST: u32 = 8192;
/// The most after a few fast reads, which may be a burst.
const MOST_OF_BURST: u32 = 4096;
/// What it waits for first, once bytes come fast; then for four times as many
/// at each read, because a fast stream is nearly over.
const FIRST_STEP: u32 = 512;
/// A read that waits for nothing and brings so many bytes is large enough. Waiting for more would
/// only delay what follows, such as the first word after a long first event.
const LARGE: u32 = 1024;
/// Reads that follow within this many milliseconds are fast.
const FAST_MS: i64 = 4;
/// So many fast reads in a row make the next one wait for more bytes. A short
/// answer never gets there, and so loses nothing at a cut.
const FAST_READS: u32 = 8;
/// A stream with slower reads may still bring much, because the reads of many such streams wait for
/// each other: then a read waits for what came in such a time, in the slower one of the last two.
const SPAN_MS: i64 = 16;
/// A stream that brings less in such a time, about 4 events, shows each at once.
const MUCH: u32 = 1024;
/// How long the reads of all streams are counted before it is judged whether
/// there are too many, or few.
const COUNTED_MS: i64 = 40;
/// More reads in such a time keep the thread busy: 3 a millisecond.
const MANY_READS: u32 = 120;
/// With fewer, each read may wait for half as many bytes.
const FEW_READS: u32 = 32;
/// With fewer, a read that waits for [`FIRST_BRAKE`] need not wait: of small pieces it takes two at
/// a time, so there will be about twice as many reads.
const CALM_READS: u32 = MANY_READS / 2;
/// What a read waits for first, once there are too many.
const FIRST_BRAKE: u32 = 256;
/// The most bytes a read waits for because of other streams: a slow one shows
/// nothing meanwhile.
const MOST_BRAKE: u32 = 4096;
/// After such a silence the earlier counts say nothing about the load.
const FORGOTTEN_MS: i64 = 1_000;
/// How long a beginning without visible content is held back. After that the
/// client should see that something happens.
const HELD_MS: i64 = 1_000;
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
    /// after which a client that takes nothing counts as one that has left.
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

/// An upstream body whose first bytes have come.
pub(crate) struct Source {
    reader: Reader,
    view: Uint8Array,
    received: Vec<u8>,
    ended: bool,
    /// A read that is still pending; it owns the view's memory.
    pending: Option<Promise>,
    unwanted: Rc<Cell<bool>>,
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
    /// fails before that is an `Err`, because the client has no response yet.
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
            if source.pending.is_some() || has_begun(source.received.get(old..).unwrap_or_default()) {
                return Ok(source);
            }
            if source.ended {
                return Err(End::Closed);
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
            if has_begun(source.received.get(old..).unwrap_or_default()) {
                return Ok(source);
            }
            if source.ended {
                return Err(End::Closed);
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
        let chunk = result.value().ok_or(End::Closed)?;
        if chunk.length() == 0 {
            return Err(End::Closed);
        }
        self.ended = result.done();
        append(&mut self.received, &chunk);
        self.view = chunk;
        Ok(())
    }

    /// The bytes that have arrived so far.
    pub(crate) fn first(&self) -> &[u8] {
        &self.received
    }

    /// Once this is true, the rest is not wanted, and the pump ends within a tick.
    pub(crate) fn unwanted(&self) -> Rc<Cell<bool>> {
        self.unwanted.clone()
    }

    /// Cancels a body that will not be read further.
    pub(crate) fn cancel(self) {
        let _ = self.reader.cancel();
    }

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
        let (pump, now) = (pump.borrow(), now_ms());
        if pump.steps != steps {
            (steps, since) = (pump.steps, now);
        }
        let silent_ms = now - since;
        let end = match pump.client_left_ms {
            _ if pump.unwanted.get() => End::Abandoned,
            _ if pump.reading && silent_ms >= deadlines.of_read(pump.least) => End::Stalled,
            Some(left) if now - left >= deadlines.after_client_ms => End::Abandoned,
            _ => {
                if let (false, Some(client)) = (pump.reading, &pump.client)
                    && silent_ms >= deadlines.idle_ms
                {
                    client.abort();
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

/// How fast one stream is.
#[derive(Debug, Clone, Copy)]
struct Pace {
    since_ms: i64,
    bytes: u32,
    /// What the last span has brought.
    last_span: u32,
    /// How many bytes a read should wait for.
    least: u32,
}

impl Pace {
    fn new(now: i64) -> Self {
        Self { since_ms: now, bytes: 0, last_span: 0, least: 1 }
    }

    /// Counts the bytes of a read at `now`.
    fn count(self, now: i64, bytes: u32) -> Self {
        let (passed, bytes) = (now - self.since_ms, self.bytes.saturating_add(bytes));
        if passed < SPAN_MS {
            return Self { bytes, ..self };
        }
        let of_span = u32::try_from(i64::from(bytes) * SPAN_MS / passed).unwrap_or(MOST);
        let steady = of_span.min(self.last_span);
        let least = if steady < MUCH { 1 } else { steady.min(MOST) };
        Self { since_ms: now, bytes: 0, last_span: of_span, least }
    }
}

/// How busy the streams of this isolate keep its thread, together.
#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    since_ms: i64,
    reads: u32,
    /// How many bytes a read should wait for.
    least: u32,
}

thread_local! {
    static TRAFFIC: Cell<Traffic> = const { Cell::new(Traffic { since_ms: 0, reads: 0, least: 1 }) };
}

impl Traffic {
    /// Counts a read at `now`. A single fast stream slows itself down; this is for
    /// many slow ones.
    fn count(self, now: i64) -> Self {
        let passed = now - self.since_ms;
        if passed >= FORGOTTEN_MS {
            return Self { since_ms: now, reads: 1, least: 1 };
        }
        if passed < COUNTED_MS {
            return Self { reads: self.reads + 1, ..self };
        }
        // A longer period is scaled down to the usual one.
        let reads = i64::from(self.reads) * COUNTED_MS / passed;
        let least = match reads {
            reads if reads > i64::from(MANY_READS) => (self.least * 2).clamp(FIRST_BRAKE, MOST_BRAKE),
            reads if reads < i64::from(FEW_READS) && self.least > FIRST_BRAKE => self.least / 2,
            reads if reads < i64::from(CALM_READS) && self.least <= FIRST_BRAKE => 1,
            _ => self.least,
        };
        Self { since_ms: now, reads: 1, least }
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
    least: u32,
    fast_reads: u32,
    pace: Pace,
    last_read_ms: i64,
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
            client,
            rewrite,
            rewritten: VecDeque::new(),
            received: source.received,
            written: 0,
            chunk: source.view,
            ended: source.ended,
            pending: source.pending,
            unwanted: source.unwanted,
            least: 1,
            fast_reads: 0,
            pace: Pace::new(now_ms()),
            last_read_ms: now_ms(),
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
            written: callback(|pump, _| pump.write_rewritten()),
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
        self.adapt(start);
        self.forward(start);
    }

    /// Waits for more bytes at a time while reads follow each other closely,
    /// while they bring much, or while there are too many of them. The last one
    /// begins at `start`.
    fn adapt(&mut self, start: usize) {
        let now = now_ms();
        let bytes = u32::try_from(self.received.len() - start).unwrap_or(u32::MAX);
        let is_large = self.least == 1 && bytes >= LARGE;
        self.pace = if is_large { Pace::new(now) } else { self.pace.count(now, bytes) };
        if is_large || now - self.last_read_ms > FAST_MS {
            self.fast_reads = 0;
            self.least = self.pace.least;
        } else {
            self.fast_reads += 1;
            if self.fast_reads > FAST_READS {
                self.least = (self.least * 4).clamp(FIRST_STEP, MOST_OF_BURST).max(self.pace.least);
            }
        }
        self.last_read_ms = now;
        let traffic = TRAFFIC.get().count(now);
        TRAFFIC.set(traffic);
        if self.has_written {
            self.least = self.least.max(traffic.least);
        }
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

    /// Writes the next of what the last read was rewritten to; then reads on.
    fn write_rewritten(&mut self) {
        match self.rewritten.pop_front() {
            Some(bytes) if self.client.is_some() => self.write(&Uint8Array::from(bytes.as_slice())),
            _ => self.next(),
        }
    }

    fn on_client_left(&mut self) {
        self.client = None;
        self.client_left_ms = Some(now_ms());
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
        let read = self
            .pending
            .take()
            .unwrap_or_else(|| self.reader.read_at_least(self.least, &Uint8Array::new(&self.chunk.buffer())));
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

    /// The traffic after `ms` milliseconds with `a_ms` reads in each.
    fn after(traffic: Traffic, from: i64, ms: i64, a_ms: i64) -> Traffic {
        (from * a_ms..(from + ms) * a_ms).fold(traffic, |traffic, read| traffic.count(read / a_ms))
    }

    #[test]
    fn a_read_that_waits_for_several_bytes_may_take_longer() {
        let deadlines = Deadlines { idle_ms: 30_000, after_client_ms: 0 };
        assert_eq!([1, 2].map(|least| deadlines.of_read(least)), [30_000, 120_000]);
    }

    #[test]
    fn only_a_stream_that_brings_much_waits_for_what_comes_in_a_span() {
        let least = |every_ms: i64, bytes: u32| {
            (1..=20).fold(Pace::new(0), |pace, read| pace.count(read * every_ms, bytes)).least
        };
        // A token of a hosted model, a burst of a very fast one, and one of many streams of a thread.
        assert_eq!(least(20, 250), 1);
        assert_eq!(least(5, 100), 1);
        assert_eq!(least(5, 1_000), 3_200);
        assert_eq!(least(10, 60_000), MOST);
        // After a burst, words come one by one.
        let burst = (1..=16).fold(Pace::new(0), |pace, read| pace.count(read, 500));
        assert_eq!(burst.count(36, 200).least, 1);
    }

    #[test]
    fn many_streams_read_more_at_a_time_and_few_at_once() {
        let calm = after(Traffic::default(), 10_000, 1_000, 1);
        assert_eq!(calm.least, 1);
        let busy = after(calm, 11_000, 100, 20);
        assert!((FIRST_BRAKE..MOST_BRAKE).contains(&busy.least), "{busy:?}");
        let overrun = after(busy, 11_100, 400, 20);
        assert_eq!(overrun.least, MOST_BRAKE);
        // A medium load changes nothing.
        assert_eq!(after(overrun, 11_500, 1_000, 2).least, MOST_BRAKE);
        let calmed = (0..100).fold(overrun, |traffic, n| traffic.count(11_500 + 10 * n));
        assert_eq!(calmed.least, 1);
        assert_eq!(overrun.count(20_000).least, 1);
    }
}
