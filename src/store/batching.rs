//! Requests that ask D1 at about the same time share one round trip.
//!
//! A round trip costs far more than what a statement does in it. So while the database is being asked, the next who asks
//! lets the event loop turn once; whoever asks meanwhile joins, and all go as one batch. Who asks while nothing is being
//! asked goes at once.
//!
//! Only what may run twice is shared: reads, and what says so. A request can end at any time, and with it the batch that
//! it has begun. So whoever hears nothing of a batch for a second, or whose batch is refused, asks again, alone. What is
//! likely to be large goes alone too: it would make the others wait.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    thread::LocalKey,
};

use super::{
    Rows, Statement, Value,
    d1::{self, D1},
};
use crate::{
    error::Error,
    platform::{
        background::{hold, spawn},
        clock::{now_ms, sleep},
        notify::{Notifier, notifier},
    },
};

/// D1 lets a whole batch take 30 s.
const MOST_STATEMENTS: usize = 32;
/// Who binds more text than this, or expects more, goes alone.
const MOST_BYTES: usize = 64 * 1024;
/// Nobody waits longer for a batch that another request has begun.
const PATIENCE_MS: u64 = 1_000;
/// A batch leaves a turn after it was begun. The request of an older one has ended before that.
const OLD_MS: i64 = 500;

type Open = RefCell<Option<Rc<Group<Notifier>>>>;

thread_local! {
    /// The batch of reads that others may join.
    static READS: Open = const { RefCell::new(None) };
    /// The batch that writes. D1 repeats reads by itself, but not beside writes.
    static WRITES: Open = const { RefCell::new(None) };
}

/// Runs statements that may run twice in one transaction, with those of other requests. Returns the rows of each.
///
/// # Errors
/// As [`d1::run`].
pub(super) async fn run(database: &D1, statements: Vec<Statement>) -> Result<Vec<Rows>, Error> {
    if !may_share(&statements) {
        return alone(database, &statements).await;
    }
    // A request whose client leaves now would end, and wait for ever.
    let _invocation = hold();
    let (notifier, notified) = notifier();
    let member = join(database, statements, notifier);
    notified.within(PATIENCE_MS).await;
    match member.leave() {
        Fate::Answered(answer) => answer,
        Fate::Waiting | Fate::Alone => alone(database, &member.statements).await,
    }
}

/// Joins the batch that is open, or begins one.
fn join(database: &D1, statements: Vec<Statement>, notifier: Notifier) -> Rc<Member<Notifier>> {
    let now = now_ms();
    let open = if statements.iter().all(Statement::is_read) { &READS } else { &WRITES };
    if let Some(group) =
        open.with_borrow(|open| open.clone().filter(|group| group.is_open_at(now, statements.len())))
    {
        return group.join(statements, notifier);
    }
    let group = Rc::new(Group::begun_at(now));
    let member = group.join(statements, notifier);
    open.set(Some(group.clone()));
    spawn(leave(database.clone(), group, open));
    member
}

/// A turn later, asks for all who have joined. This goes on although who has begun it is done, or dropped.
async fn leave(database: D1, group: Rc<Group<Notifier>>, open: &'static LocalKey<Open>) {
    sleep(0).await;
    open.with_borrow_mut(|open| open.take_if(|open| Rc::ptr_eq(open, &group)));
    let members = group.close();
    let statements: Vec<&Statement> = members.iter().flat_map(|member| &member.statements).collect();
    let mut answer = d1::run(&database, &statements).await;
    let is_refused =
        matches!(&answer, Err(error) if members.len() > 1 && !matches!(error, Error::Unavailable(..)));
    for member in &members {
        let fate =
            if is_refused { Fate::Alone } else { Fate::Answered(part(&mut answer, member.statements.len())) };
        member.settle(fate, Notifier::notify);
    }
}

async fn alone(database: &D1, statements: &[Statement]) -> Result<Vec<Rows>, Error> {
    d1::run(database, &statements.iter().collect::<Vec<_>>()).await
}

fn may_share(statements: &[Statement]) -> bool {
    let bytes = statements.iter().map(|statement| bound_bytes(statement) + d1::expected_bytes(statement));
    bytes.sum::<usize>() <= MOST_BYTES
}

fn bound_bytes(statement: &Statement) -> usize {
    let bytes = statement.values.iter().map(|value| match value {
        Value::Text(text) => text.len(),
        Value::Null | Value::Integer(_) => 0,
    });
    bytes.sum()
}

/// Takes the rows of the next `count` statements from an answer.
fn part(answer: &mut Result<Vec<Rows>, Error>, count: usize) -> Result<Vec<Rows>, Error> {
    let rows = answer.as_mut().map_err(|error| error.clone())?;
    if rows.len() < count {
        return Err(Error::Internal("D1 left out a statement's rows".to_owned()));
    }
    Ok(rows.drain(..count).collect())
}

/// Those whose statements go with another's. Each has a notifier.
#[derive(Debug)]
struct Group<N> {
    since: i64,
    statements: Cell<usize>,
    members: RefCell<Vec<Rc<Member<N>>>>,
}

#[derive(Debug)]
struct Member<N> {
    statements: Vec<Statement>,
    fate: RefCell<Fate>,
    notifier: N,
}

#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Waiting,
    Answered(Result<Vec<Rows>, Error>),
    /// The member asks by itself.
    Alone,
}

impl<N> Group<N> {
    const fn begun_at(since: i64) -> Self {
        Self { since, statements: Cell::new(0), members: RefCell::new(Vec::new()) }
    }

    /// Whether somebody may join with so many statements.
    fn is_open_at(&self, now: i64, statements: usize) -> bool {
        now - self.since <= OLD_MS && self.statements.get() + statements <= MOST_STATEMENTS
    }

    fn join(&self, statements: Vec<Statement>, notifier: N) -> Rc<Member<N>> {
        self.statements.set(self.statements.get() + statements.len());
        let member = Rc::new(Member { statements, fate: RefCell::new(Fate::Waiting), notifier });
        self.members.borrow_mut().push(member.clone());
        member
    }

    /// Those that still wait.
    fn close(&self) -> Vec<Rc<Member<N>>> {
        let mut members = self.members.take();
        members.retain(|member| *member.fate.borrow() == Fate::Waiting);
        members
    }
}

impl<N> Member<N> {
    /// Ends the waiting, unless the member has left.
    fn settle(&self, fate: Fate, notify: impl Fn(&N)) {
        if *self.fate.borrow() == Fate::Waiting {
            self.fate.replace(fate);
            notify(&self.notifier);
        }
    }

    /// What has become of it. From here on nobody answers it.
    fn leave(&self) -> Fate {
        self.fate.replace(Fate::Alone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql;

    type Count = Cell<u32>;

    fn ask(name: &str) -> Vec<Statement> {
        vec![sql!("SELECT ?1 AS json", name)]
    }

    fn count(count: &Count) {
        count.set(count.get() + 1);
    }

    fn rows(names: &[&str]) -> Vec<Rows> {
        names.iter().map(|name| Rows(vec![(*name).to_owned()])).collect()
    }

    #[test]
    fn each_gets_the_rows_of_its_own_statements() {
        let mut answer = Ok(rows(&["a", "b1", "b2", "c"]));
        let parts = [1, 2, 1].map(|count| part(&mut answer, count));
        assert_eq!(parts, [Ok(rows(&["a"])), Ok(rows(&["b1", "b2"])), Ok(rows(&["c"]))]);
        assert!(matches!(part(&mut answer, 1), Err(Error::Internal(_))), "nobody gets the rows of another");
    }

    #[test]
    fn each_is_told_that_nothing_was_heard() {
        let lost = Error::database("D1: Network connection lost");
        let mut answer = Err(lost.clone());
        assert_eq!([1, 2].map(|count| part(&mut answer, count)), [Err(lost.clone()), Err(lost)]);
    }

    #[test]
    fn those_that_join_before_it_closes_are_asked_for_and_notified_once() {
        let group = Group::begun_at(0);
        let members = ["a", "b"].map(|name| group.join(ask(name), Count::default()));
        let others = group.close();
        assert_eq!(others.len(), 2);
        for (member, name) in others.iter().zip(["a", "b"]) {
            member.settle(Fate::Answered(Ok(rows(&[name]))), count);
            member.settle(Fate::Alone, count);
        }
        for (member, name) in members.iter().zip(["a", "b"]) {
            assert_eq!((member.leave(), member.notifier.get()), (Fate::Answered(Ok(rows(&[name]))), 1));
        }
    }

    #[test]
    fn who_has_left_is_neither_asked_for_nor_notified() {
        let group = Group::begun_at(0);
        let [early, late] = ["a", "b"].map(|name| group.join(ask(name), Count::default()));
        assert_eq!(early.leave(), Fate::Waiting);
        let others = group.close();
        assert_eq!(others.len(), 1);
        assert_eq!(late.leave(), Fate::Waiting);
        others.iter().for_each(|member| member.settle(Fate::Alone, count));
        assert_eq!([early.notifier.get(), late.notifier.get()], [0, 0]);
    }

    #[test]
    fn nobody_joins_a_full_batch_or_one_whose_request_has_ended() {
        let group = Group::begun_at(1_000);
        assert!(group.is_open_at(1_000 + OLD_MS, 1) && !group.is_open_at(1_001 + OLD_MS, 1));
        assert!(!group.is_open_at(1_000, MOST_STATEMENTS + 1));
        for _ in 0..MOST_STATEMENTS {
            assert!(group.is_open_at(1_000, 1));
            group.join(ask("a"), Count::default());
        }
        assert!(!group.is_open_at(1_000, 1));
    }

    #[test]
    fn long_values_go_alone() {
        assert!(may_share(&ask("a")));
        assert!(may_share(&ask(&"a".repeat(MOST_BYTES))) && !may_share(&ask(&"a".repeat(MOST_BYTES + 1))));
        let [half, rest] = [MOST_BYTES / 2, MOST_BYTES / 2 + 1].map(|bytes| "a".repeat(bytes));
        assert!(!may_share(&[sql!("SELECT ?1 AS json", half), sql!("SELECT ?1 AS json", rest)]));
    }
}
