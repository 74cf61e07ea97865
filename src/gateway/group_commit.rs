//! Records calls that end at about the same time by one batch: a group commit.
//!
//! A batch costs a quarter of a call, and hardly more for many calls than for one. So while a batch is being written, a
//! call that ends lets the event loop turn once before it writes its own. Those that end meanwhile join its group, and
//! it writes all of them. A call that ends while nothing is written writes at once.
//!
//! A request can end at any time, and only it can use its own timers and connections. So each call waits in its own
//! request until it is recorded. If its group could not be written, or nothing is heard of it, it writes its record by
//! itself, unless that is there already. And a group is refused as a whole if one of its records is there already: so
//! whatever happens, none counts twice, and one that the database refuses takes no other with it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use super::store::{self, Call};
use crate::{
    error::Error,
    platform::{
        clock::{now_ms, sleep},
        log,
        notify::{Notifier, notifier},
    },
    store::Database,
};

/// So many records are far below the two megabytes of a value in D1.
const MOST: usize = 100;
/// No call waits longer for another one: the platform gives it 30 s after its client has left, and it may
/// have used 25 of them (live.rs).
const PATIENCE_MS: u64 = 3_000;
/// A group is written a turn after it was begun. The request of an older one has ended before that.
const OLD_MS: i64 = 500;

thread_local! {
    /// How many batches are being written. One that is never heard of counts on: then each call waits a turn.
    static WRITING: Cell<u32> = const { Cell::new(0) };
    /// The group that calls join.
    static OPEN: RefCell<Option<Rc<Group<Notifier>>>> = const { RefCell::new(None) };
}

/// Records a call.
///
/// # Errors
/// Those of the database.
pub(super) async fn record(call: Call, database: &Database) -> Result<(), Error> {
    let now = now_ms();
    if let Some(group) = OPEN.with_borrow(|open| open.clone().filter(|group| group.is_open_at(now))) {
        return follow(call, &group, database).await;
    }
    match WRITING.get() {
        0 => write(&call, database).await,
        _ => lead(call, now, database).await,
    }
}

/// Joins a group, and waits until it is written.
async fn follow(call: Call, group: &Group<Notifier>, database: &Database) -> Result<(), Error> {
    let (notifier, notified) = notifier();
    let member = group.join(call, notifier);
    notified.within(PATIENCE_MS).await;
    match member.leave() {
        Fate::Written => Ok(()),
        Fate::Waiting | Fate::Alone => write_unless_there(&member.call, database).await,
    }
}

/// Begins a group with this call, and writes all that have joined it a turn later.
async fn lead(call: Call, now: i64, database: &Database) -> Result<(), Error> {
    let group = Rc::new(Group::begun_at(now));
    OPEN.set(Some(group.clone()));
    sleep(0).await;
    OPEN.with_borrow_mut(|open| open.take_if(|open| Rc::ptr_eq(open, &group)));
    let others = group.close();
    if others.is_empty() {
        return write(&call, database).await;
    }
    let all: Vec<&Call> = others.iter().map(|member| &member.call).chain([&call]).collect();
    let written = async {
        let _writing = Writing::begin();
        database.batch(store::write_all(&all)?).await
    };
    let written = written.await;
    for member in &others {
        member.settle(if written.is_ok() { Fate::Written } else { Fate::Alone }, Notifier::notify);
    }
    match written {
        Ok(_) => Ok(()),
        Err(error) => {
            log::failure("gateway.group_commit", &error);
            write_unless_there(&call, database).await
        }
    }
}

async fn write(call: &Call, database: &Database) -> Result<(), Error> {
    let _writing = Writing::begin();
    database.batch([store::write(call), store::count(call)]).await.map(drop)
}

/// Writes a call that a group may have written, or may yet write.
async fn write_unless_there(call: &Call, database: &Database) -> Result<(), Error> {
    let _writing = Writing::begin();
    let written = database.batch([store::is_new(call), store::write(call), store::count(call)]).await;
    match written {
        Ok(_) | Err(Error::GuardFailed) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A batch that is being written.
struct Writing;

impl Writing {
    fn begin() -> Self {
        WRITING.set(WRITING.get() + 1);
        Self
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        WRITING.set(WRITING.get().saturating_sub(1));
    }
}

/// The calls that another one writes with itself. Each has a notifier.
#[derive(Debug)]
struct Group<N> {
    since: i64,
    is_open: Cell<bool>,
    members: RefCell<Vec<Rc<Member<N>>>>,
}

#[derive(Debug)]
struct Member<N> {
    call: Call,
    fate: Cell<Fate>,
    notifier: N,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waiting,
    Written,
    /// The call must write its record by itself, or does so.
    Alone,
}

impl<N> Group<N> {
    const fn begun_at(since: i64) -> Self {
        Self { since, is_open: Cell::new(true), members: RefCell::new(Vec::new()) }
    }

    /// Whether a call may join. The one that leads it counts as a member.
    fn is_open_at(&self, now: i64) -> bool {
        self.is_open.get() && now - self.since <= OLD_MS && self.members.borrow().len() + 1 < MOST
    }

    fn join(&self, call: Call, notifier: N) -> Rc<Member<N>> {
        let member = Rc::new(Member { call, fate: Cell::new(Fate::Waiting), notifier });
        self.members.borrow_mut().push(member.clone());
        member
    }

    /// Those that still wait. None can join any more.
    fn close(&self) -> Vec<Rc<Member<N>>> {
        self.is_open.set(false);
        let mut members = self.members.take();
        members.retain(|member| member.fate.get() == Fate::Waiting);
        members
    }
}

impl<N> Member<N> {
    /// Ends the waiting, unless the call has left.
    fn settle(&self, fate: Fate, notify: impl Fn(&N)) {
        if self.fate.get() == Fate::Waiting {
            self.fate.set(fate);
            notify(&self.notifier);
        }
    }

    /// What has become of it. From here on nobody else writes it who has not begun to.
    fn leave(&self) -> Fate {
        match self.fate.get() {
            Fate::Waiting => self.fate.replace(Fate::Alone),
            settled => settled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Count = Cell<u32>;

    fn call(id: &str) -> Call {
        Call { id: id.to_owned(), ..Call::default() }
    }

    fn ids(members: &[Rc<Member<Count>>]) -> Vec<&str> {
        members.iter().map(|member| member.call.id.as_str()).collect()
    }

    fn notify(count: &Count) {
        count.set(count.get() + 1);
    }

    #[test]
    fn those_that_join_before_it_closes_are_written_and_notified_once() {
        let group = Group::begun_at(0);
        let members = ["a", "b"].map(|id| group.join(call(id), Count::default()));
        let others = group.close();
        assert_eq!(ids(&others), ["a", "b"]);
        assert!(!group.is_open_at(0), "a later call begins a group of its own");
        for member in &others {
            member.settle(Fate::Written, notify);
        }
        assert_eq!(
            members.each_ref().map(|member| (member.leave(), member.notifier.get())),
            [(Fate::Written, 1); 2]
        );
    }

    #[test]
    fn each_member_of_a_group_that_failed_writes_by_itself() {
        let group = Group::begun_at(0);
        let member = group.join(call("a"), Count::default());
        group.close().iter().for_each(|member| member.settle(Fate::Alone, notify));
        assert_eq!((member.leave(), member.notifier.get()), (Fate::Alone, 1));
    }

    #[test]
    fn one_that_has_waited_too_long_is_neither_written_nor_notified_by_the_group() {
        let group = Group::begun_at(0);
        let [early, late, patient] = ["a", "b", "c"].map(|id| group.join(call(id), Count::default()));
        assert_eq!(early.leave(), Fate::Waiting);
        let others = group.close();
        assert_eq!(ids(&others), ["b", "c"]);
        // This one leaves while it is being written.
        assert_eq!(late.leave(), Fate::Waiting);
        for member in &others {
            member.settle(Fate::Written, notify);
        }
        assert_eq!([early.notifier.get(), late.notifier.get(), patient.notifier.get()], [0, 0, 1]);
        assert_eq!([late.leave(), patient.leave()], [Fate::Alone, Fate::Written]);
    }

    #[test]
    fn nobody_joins_a_full_group_or_one_whose_request_has_ended() {
        let group = Group::begun_at(1_000);
        assert!(group.is_open_at(1_000 + OLD_MS) && !group.is_open_at(1_001 + OLD_MS));
        for _ in 1..MOST {
            assert!(group.is_open_at(1_000));
            group.join(call("a"), Count::default());
        }
        assert!(!group.is_open_at(1_000));
    }

    #[test]
    fn a_batch_is_being_written_until_it_is_dropped() {
        let batches = [Writing::begin(), Writing::begin()];
        assert_eq!(WRITING.get(), 2);
        drop(batches);
        assert_eq!(WRITING.get(), 0);
    }
}
