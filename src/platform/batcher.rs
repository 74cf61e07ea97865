//! Requests that want the same kind of thing at about the same time get it together, as with DataLoader
//! (github.com/graphql/dataloader): while something is under way, the next request lets the event loop turn once, and
//! takes those along that come meanwhile. Who comes while nothing is under way goes at once.
//!
//! A request can end at any time, and only it can use its own timers and connections. So each waits in its own request,
//! and one that hears nothing of its batch must help itself.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    thread::LocalKey,
};

use super::{
    clock::{now_ms, sleep},
    notify::{Notifier, notifier},
};

/// A batch leaves a turn after it was begun. The request of an older one has probably ended before that.
const OLD_MS: i64 = 500;
/// Nobody waits longer for a batch to leave.
const LEAVES_MS: u64 = 1_000;

/// Where requests meet: a `thread_local`, because an isolate is one thread. `T` is what one wants, `R` what it gets.
pub(crate) struct Batcher<T, R> {
    /// The most that go together.
    most: usize,
    /// How long a follower waits for its batch's result, once the batch has left.
    answers_ms: u64,
    /// How many batches are under way. One that is never heard of counts on: then each request waits a turn.
    under_way: Cell<u32>,
    /// The batch that others join.
    open: Cell<Option<Rc<Batch<T, R, Notifier>>>>,
}

impl<T: 'static, R: 'static> Batcher<T, R> {
    pub(crate) const fn new(most: usize, answers_ms: u64) -> Self {
        Self { most, answers_ms, under_way: Cell::new(0), open: Cell::new(None) }
    }

    /// What `work` gives for `item`. It gets those of a batch, and returns what each gets, in their order.
    ///
    /// None if nothing was heard of the batch, or if `work` had nothing for this item. It may have been done all
    /// the same, or may yet be. Who then helps itself is [`Self::under_way`] as well.
    pub(crate) async fn run(
        place: &'static LocalKey<Self>,
        item: Rc<T>,
        work: impl AsyncFnOnce(&[Rc<T>]) -> Vec<Option<R>>,
    ) -> Option<R> {
        let now = now_ms();
        if let Some(batch) = place.with(|batcher| batcher.open_at(now)) {
            return Self::follow(place, &batch, item).await;
        }
        let mut items = vec![item];
        let mut others = Vec::new();
        if place.with(|batcher| batcher.under_way.get()) > 0 {
            others = Self::gather(place, now).await;
            items.extend(others.iter().map(|member| member.item.clone()));
        }
        let mut results = {
            let _under_way = Self::under_way(place);
            work(&items).await.into_iter()
        };
        let own = results.next().flatten();
        for member in &others {
            member.settle(results.next().flatten(), Notifier::notify);
        }
        own
    }

    /// Counts as a batch that is under way while the returned value exists.
    pub(crate) fn under_way(place: &'static LocalKey<Self>) -> UnderWay<T, R> {
        place.with(|batcher| batcher.under_way.set(batcher.under_way.get() + 1));
        UnderWay(place)
    }

    /// Joins a batch, and waits until it is done.
    async fn follow(place: &'static LocalKey<Self>, batch: &Batch<T, R, Notifier>, item: Rc<T>) -> Option<R> {
        let (notifier, notified) = notifier();
        let member = batch.join(item, notifier);
        notified.within(LEAVES_MS).await;
        if member.is_waiting() && batch.has_left.get() {
            notified.within(place.with(|batcher| batcher.answers_ms)).await;
        }
        member.leave()
    }

    /// Begins a batch, and returns those that have joined it a turn later.
    async fn gather(place: &'static LocalKey<Self>, now: i64) -> Vec<Rc<Member<T, R, Notifier>>> {
        let batch = Rc::new(Batch::begun_at(now));
        place.with(|batcher| batcher.open.set(Some(batch.clone())));
        sleep(0).await;
        place.with(|batcher| batcher.close(&batch))
    }

    fn open_at(&self, now: i64) -> Option<Rc<Batch<T, R, Notifier>>> {
        let open = self.open.take();
        self.open.set(open.clone());
        open.filter(|batch| batch.is_open_at(now, self.most))
    }

    /// Those that still wait. None can join any more.
    fn close(&self, batch: &Rc<Batch<T, R, Notifier>>) -> Vec<Rc<Member<T, R, Notifier>>> {
        self.open.set(self.open.take().filter(|open| !Rc::ptr_eq(open, batch)));
        batch.leave()
    }
}

/// Counts a batch that is under way.
pub(crate) struct UnderWay<T: 'static, R: 'static>(&'static LocalKey<Batcher<T, R>>);

impl<T, R> Drop for UnderWay<T, R> {
    fn drop(&mut self) {
        self.0.with(|batcher| batcher.under_way.set(batcher.under_way.get().saturating_sub(1)));
    }
}

/// Those that go along with another one. Each has a notifier.
#[derive(Debug)]
struct Batch<T, R, N> {
    since: i64,
    has_left: Cell<bool>,
    members: RefCell<Vec<Rc<Member<T, R, N>>>>,
}

#[derive(Debug)]
struct Member<T, R, N> {
    item: Rc<T>,
    fate: RefCell<Fate<R>>,
    notifier: N,
}

#[derive(Debug)]
enum Fate<R> {
    Waiting,
    Settled(Option<R>),
    Left,
}

impl<T, R, N> Batch<T, R, N> {
    const fn begun_at(since: i64) -> Self {
        Self { since, has_left: Cell::new(false), members: RefCell::new(Vec::new()) }
    }

    /// Whether another one may join. The one that leads it counts as a member.
    fn is_open_at(&self, now: i64, most: usize) -> bool {
        now - self.since <= OLD_MS && self.members.borrow().len() + 1 < most
    }

    fn join(&self, item: Rc<T>, notifier: N) -> Rc<Member<T, R, N>> {
        let member = Rc::new(Member { item, fate: RefCell::new(Fate::Waiting), notifier });
        self.members.borrow_mut().push(member.clone());
        member
    }

    /// Those that still wait, with whom it leaves.
    fn leave(&self) -> Vec<Rc<Member<T, R, N>>> {
        self.has_left.set(true);
        let mut members = self.members.take();
        members.retain(|member| member.is_waiting());
        members
    }
}

impl<T, R, N> Member<T, R, N> {
    fn is_waiting(&self) -> bool {
        matches!(*self.fate.borrow(), Fate::Waiting)
    }

    /// Ends the waiting, unless the member has left.
    fn settle(&self, result: Option<R>, notify: impl Fn(&N)) {
        if self.is_waiting() {
            self.fate.replace(Fate::Settled(result));
            notify(&self.notifier);
        }
    }

    /// What it gets. Nobody gives it anything after this.
    fn leave(&self) -> Option<R> {
        match self.fate.replace(Fate::Left) {
            Fate::Settled(result) => result,
            Fate::Waiting | Fate::Left => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Count = Cell<u32>;
    type Texts = Batch<&'static str, u32, Count>;

    fn items(members: &[Rc<Member<&'static str, u32, Count>>]) -> Vec<&'static str> {
        members.iter().map(|member| *member.item).collect()
    }

    fn notify(count: &Count) {
        count.set(count.get() + 1);
    }

    #[test]
    fn each_gets_its_own_result_and_is_notified_once() {
        let batch = Texts::begun_at(0);
        let members = ["a", "b"].map(|item| batch.join(Rc::new(item), Count::default()));
        let waiting = batch.leave();
        assert_eq!(items(&waiting), ["a", "b"]);
        for (member, result) in waiting.iter().zip([Some(1), None]) {
            member.settle(result, notify);
            member.settle(Some(9), notify);
        }
        let notified = members.each_ref().map(|member| member.notifier.get());
        assert_eq!((members.map(|member| member.leave()), notified), ([Some(1), None], [1, 1]));
    }

    #[test]
    fn one_that_has_waited_too_long_gets_nothing_and_is_not_notified() {
        let batch = Texts::begun_at(0);
        let [early, late, patient] = ["a", "b", "c"].map(|item| batch.join(Rc::new(item), Count::default()));
        assert_eq!(early.leave(), None);
        let waiting = batch.leave();
        assert_eq!(items(&waiting), ["b", "c"]);
        // This one leaves while the batch is under way.
        assert_eq!(late.leave(), None);
        waiting.iter().for_each(|member| member.settle(Some(1), notify));
        assert_eq!(
            [early, late, patient].map(|member| (member.notifier.get(), member.leave())),
            [(0, None), (0, None), (1, Some(1))]
        );
    }

    #[test]
    fn nobody_joins_a_full_batch_or_one_whose_request_has_ended() {
        let batch = Texts::begun_at(1_000);
        assert!(batch.is_open_at(1_000 + OLD_MS, 3) && !batch.is_open_at(1_001 + OLD_MS, 3));
        for _ in 1..3 {
            assert!(batch.is_open_at(1_000, 3));
            batch.join(Rc::new("a"), Count::default());
        }
        assert!(!batch.is_open_at(1_000, 3));
    }

    #[test]
    fn a_batch_that_is_closed_is_not_joined_but_a_later_one_stays_open() {
        let batcher = Batcher::<&'static str, u32>::new(3, 1);
        let [first, second] = [0, 1].map(|since| Rc::new(Batch::begun_at(since)));
        batcher.open.set(Some(first.clone()));
        assert!(batcher.open_at(0).is_some_and(|open| Rc::ptr_eq(&open, &first)));
        batcher.open.set(Some(second.clone()));
        batcher.close(&first);
        assert!(batcher.open_at(0).is_some_and(|open| Rc::ptr_eq(&open, &second)));
        batcher.close(&second);
        assert!(batcher.open_at(0).is_none());
    }

    #[test]
    fn a_batch_is_under_way_until_it_is_dropped() {
        thread_local! {
            static PLACE: Batcher<&'static str, u32> = const { Batcher::new(3, 1) };
        }
        let batches = [Batcher::under_way(&PLACE), Batcher::under_way(&PLACE)];
        assert_eq!(PLACE.with(|place| place.under_way.get()), 2);
        drop(batches);
        assert_eq!(PLACE.with(|place| place.under_way.get()), 0);
    }
}
