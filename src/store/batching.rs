//! Requests that ask D1 at about the same time share one round trip.
//!
//! A round trip costs far more than what a statement does in it. So while the database is being asked, the next who asks
//! lets the event loop turn once; whoever asks meanwhile joins, and all go as one batch. Who asks while nothing is being
//! asked goes at once.
//!
//! A batch is one transaction, in which the statements of each run one after the other. Reads share with reads, and
//! writes with writes. If a batch fails without having written, each asks by itself. If the answer of one that writes is
//! lost, each is told so, as if that had happened to it alone. What is likely to be refused, or large, goes alone: it
//! would cost the others a second trip, or make them wait.

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
        background::hold,
        clock::{now_ms, sleep},
        notify::{Notifier, notifier},
    },
};

/// Statements of a shared batch. Cloudflare's free plan lets a request make 50 queries.
const MOST_STATEMENTS: usize = 32;
/// Who binds more text than this, or expects more, goes alone.
const MOST_BYTES: usize = 64 * 1024;
/// Nobody waits longer for another's batch: a call of the gateway whose client has left may have 5 s to be recorded.
const PATIENCE_MS: u64 = 4_000;
/// A shared batch leaves a turn after it was begun. The request of an older one has ended before that.
const OLD_MS: i64 = 500;

type Open = RefCell<Option<Rc<Group<Notifier>>>>;

thread_local! {
    /// The batch of reads that others may join.
    static READS: Open = const { RefCell::new(None) };
    /// The batch that writes.
    static WRITES: Open = const { RefCell::new(None) };
}

/// Runs all statements in one transaction, with those of other requests if the database `is_busy`. Returns the rows of
/// each.
///
/// # Errors
/// As [`d1::run`].
pub(super) async fn run(
    database: &D1,
    statements: Vec<Statement>,
    is_busy: bool,
) -> Result<Vec<Rows>, Error> {
    if !is_busy || !may_share(&statements) {
        return alone(database, &statements).await;
    }
    // A request whose client leaves now would end, and nobody would hear of those who wait for it.
    let _invocation = hold();
    let now = now_ms();
    let open = if are_reads(&statements) { &READS } else { &WRITES };
    match open.with_borrow(|open| open.clone().filter(|group| group.is_open_at(now, statements.len()))) {
        Some(group) => follow(database, &group, statements).await,
        None => lead(database, statements, open, now).await,
    }
}

async fn alone(database: &D1, statements: &[Statement]) -> Result<Vec<Rows>, Error> {
    d1::run(database, &statements.iter().collect::<Vec<_>>()).await
}

fn are_reads(statements: &[Statement]) -> bool {
    statements.iter().all(Statement::is_read)
}

fn may_share(statements: &[Statement]) -> bool {
    let bytes = statements.iter().map(|statement| bound_bytes(statement) + d1::expected_bytes(statement));
    !statements.iter().any(Statement::is_guard) && bytes.sum::<usize>() <= MOST_BYTES
}

fn bound_bytes(statement: &Statement) -> usize {
    let bytes = statement.values.iter().map(|value| match value {
        Value::Text(text) => text.len(),
        Value::Null | Value::Integer(_) => 0,
    });
    bytes.sum()
}

/// Joins a batch, and waits for its part of the answer.
async fn follow(
    database: &D1,
    group: &Group<Notifier>,
    statements: Vec<Statement>,
) -> Result<Vec<Rows>, Error> {
    let (notifier, notified) = notifier();
    let member = group.join(statements, notifier);
    notified.within(PATIENCE_MS).await;
    match member.leave() {
        Fate::Answered(answer) => answer,
        Fate::Asked if !are_reads(&member.statements) => {
            Err(Error::database("D1: a shared batch was never heard of"))
        }
        Fate::Waiting | Fate::Alone | Fate::Asked => alone(database, &member.statements).await,
    }
}

/// Begins a batch, and asks for all who have joined it a turn later.
async fn lead(
    database: &D1,
    statements: Vec<Statement>,
    open: &'static LocalKey<Open>,
    now: i64,
) -> Result<Vec<Rows>, Error> {
    let group = Rc::new(Group::begun_at(now, statements.len()));
    open.set(Some(group.clone()));
    sleep(0).await;
    open.with_borrow_mut(|open| open.take_if(|open| Rc::ptr_eq(open, &group)));
    let others = group.close();
    let asked: Vec<&Statement> =
        statements.iter().chain(others.iter().flat_map(|member| &member.statements)).collect();
    let answer = d1::run(database, &asked).await;
    let has_not_written = |error| are_reads(&statements) || d1::is_refusal(error);
    if !others.is_empty() && answer.as_ref().is_err_and(has_not_written) {
        others.iter().for_each(|member| member.settle(Fate::Alone, Notifier::notify));
        return alone(database, &statements).await;
    }
    let mut rest = answer;
    let own = part(&mut rest, statements.len());
    for member in &others {
        member.settle(Fate::Answered(part(&mut rest, member.statements.len())), Notifier::notify);
    }
    own
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
    is_open: Cell<bool>,
    /// Those of the one that leads it, too.
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
    /// The batch is on its way, and may have been run.
    Asked,
    Answered(Result<Vec<Rows>, Error>),
    /// Nothing has happened, and the member asks by itself.
    Alone,
}

impl<N> Group<N> {
    const fn begun_at(since: i64, statements: usize) -> Self {
        Self {
            since,
            is_open: Cell::new(true),
            statements: Cell::new(statements),
            members: RefCell::new(Vec::new()),
        }
    }

    /// Whether somebody may join with so many statements.
    fn is_open_at(&self, now: i64, statements: usize) -> bool {
        self.is_open.get()
            && now - self.since <= OLD_MS
            && self.statements.get() + statements <= MOST_STATEMENTS
    }

    fn join(&self, statements: Vec<Statement>, notifier: N) -> Rc<Member<N>> {
        self.statements.set(self.statements.get() + statements.len());
        let member = Rc::new(Member { statements, fate: RefCell::new(Fate::Waiting), notifier });
        self.members.borrow_mut().push(member.clone());
        member
    }

    /// Those that still wait. None can join any more, and from here on they are asked for.
    fn close(&self) -> Vec<Rc<Member<N>>> {
        self.is_open.set(false);
        let mut members = self.members.take();
        members.retain(|member| {
            let is_waiting = *member.fate.borrow() == Fate::Waiting;
            if is_waiting {
                member.fate.replace(Fate::Asked);
            }
            is_waiting
        });
        members
    }
}

impl<N> Member<N> {
    /// Ends the waiting, unless the member has left.
    fn settle(&self, fate: Fate, notify: impl Fn(&N)) {
        if *self.fate.borrow() == Fate::Asked {
            self.fate.replace(fate);
            notify(&self.notifier);
        }
    }

    /// What has become of it. From here on nobody asks for it who has not begun to.
    fn leave(&self) -> Fate {
        self.fate.replace(Fate::Alone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{guard, sql};

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
        let group = Group::begun_at(0, 1);
        let members = ["a", "b"].map(|name| group.join(ask(name), Count::default()));
        let others = group.close();
        assert_eq!(others.len(), 2);
        assert!(!group.is_open_at(0, 1), "who comes later begins another");
        for (member, name) in others.iter().zip(["a", "b"]) {
            member.settle(Fate::Answered(Ok(rows(&[name]))), count);
            member.settle(Fate::Alone, count);
        }
        for (member, name) in members.iter().zip(["a", "b"]) {
            assert_eq!((member.leave(), member.notifier.get()), (Fate::Answered(Ok(rows(&[name]))), 1));
        }
    }

    #[test]
    fn who_has_left_is_not_asked_for_and_who_leaves_later_does_not_know() {
        let group = Group::begun_at(0, 1);
        let [early, late] = ["a", "b"].map(|name| group.join(ask(name), Count::default()));
        assert_eq!(early.leave(), Fate::Waiting);
        let others = group.close();
        assert_eq!(others.len(), 1);
        assert_eq!(late.leave(), Fate::Asked);
        others.iter().for_each(|member| member.settle(Fate::Alone, count));
        assert_eq!([early.notifier.get(), late.notifier.get()], [0, 0]);
    }

    #[test]
    fn nobody_joins_a_full_batch_or_one_whose_request_has_ended() {
        let group = Group::begun_at(1_000, 2);
        assert!(group.is_open_at(1_000 + OLD_MS, 1) && !group.is_open_at(1_001 + OLD_MS, 1));
        assert!(!group.is_open_at(1_000, MOST_STATEMENTS - 1));
        for _ in 2..MOST_STATEMENTS {
            assert!(group.is_open_at(1_000, 1));
            group.join(ask("a"), Count::default());
        }
        assert!(!group.is_open_at(1_000, 1));
    }

    #[test]
    fn guards_and_long_values_go_alone() {
        assert!(may_share(&ask("a")));
        assert!(!may_share(&[sql!("SELECT 1 AS json"), guard!("SELECT 1 WHERE 0")]));
        assert!(may_share(&ask(&"a".repeat(MOST_BYTES))) && !may_share(&ask(&"a".repeat(MOST_BYTES + 1))));
        let [half, rest] = [MOST_BYTES / 2, MOST_BYTES / 2 + 1].map(|bytes| "a".repeat(bytes));
        assert!(!may_share(&[sql!("SELECT ?1 AS json", half), sql!("SELECT ?1 AS json", rest)]));
    }
}
