//! Requests that ask D1 at about the same time share one round trip.
//!
//! A round trip costs far more than what a statement does in it. So while the database is being asked, the next who asks
//! lets the event loop turn once; whoever asks meanwhile joins, and all go as one batch. Who asks while nothing is being
//! asked goes at once.
//!
//! A batch is one transaction, in which the statements of each run one after the other. Reads share with reads, and
//! writes with writes. If a batch is refused, nothing of it has happened, and each asks by itself. If the database cannot
//! be reached, or its answer is lost, each is told so. What is likely to be refused, or large, goes alone: it would cost
//! the others a second trip, or make them wait.
//!
//! A batch is work of its own in the request that has begun it, which goes on although that request is done, or its
//! client has left.

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
        background::spawn,
        clock::{now_ms, sleep},
        notify::{Notifier, notifier},
    },
};

/// D1 lets a whole batch take 30 s.
const MOST_STATEMENTS: usize = 32;
/// Who binds more text than this, or expects more, goes alone.
const MOST_BYTES: usize = 64 * 1024;
/// Nobody waits longer for a batch. It is never heard of if the platform has ended the request that began it.
const PATIENCE_MS: u64 = 30_000;
/// A batch leaves a turn after it was begun. The request of an older one has been ended before that.
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
    let (notifier, notified) = notifier();
    let member = join(database, statements, notifier);
    notified.within(PATIENCE_MS).await;
    match member.leave() {
        Fate::Answered(answer) => answer,
        Fate::Waiting | Fate::Alone => alone(database, &member.statements).await,
        Fate::Asked | Fate::Left => Err(Error::database("D1: a shared batch was never heard of")),
    }
}

/// Joins the batch that is open, or begins one.
fn join(database: &D1, statements: Vec<Statement>, notifier: Notifier) -> Rc<Member<Notifier>> {
    let now = now_ms();
    let open = if are_reads(&statements) { &READS } else { &WRITES };
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

/// Asks for all who have joined a turn later.
async fn leave(database: D1, group: Rc<Group<Notifier>>, open: &'static LocalKey<Open>) {
    sleep(0).await;
    open.with_borrow_mut(|open| open.take_if(|open| Rc::ptr_eq(open, &group)));
    let members = group.close();
    let statements: Vec<&Statement> = members.iter().flat_map(|member| &member.statements).collect();
    let mut answer = d1::run(&database, &statements).await;
    let is_refused = members.len() > 1 && answer.as_ref().is_err_and(d1::is_refusal);
    for member in &members {
        let fate =
            if is_refused { Fate::Alone } else { Fate::Answered(part(&mut answer, member.statements.len())) };
        member.settle(fate, Notifier::notify);
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
    /// The batch is on its way, and may have been run.
    Asked,
    Answered(Result<Vec<Rows>, Error>),
    /// Nothing has happened, and the member asks by itself.
    Alone,
    Left,
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

    /// Those that still wait. From here on they are asked for.
    fn close(&self) -> Vec<Rc<Member<N>>> {
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
        self.fate.replace(Fate::Left)
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
    fn who_has_left_is_not_asked_for_and_who_leaves_later_does_not_know() {
        let group = Group::begun_at(0);
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
    fn guards_and_long_values_go_alone() {
        assert!(may_share(&ask("a")));
        assert!(!may_share(&[sql!("SELECT 1 AS json"), guard!("SELECT 1 WHERE 0")]));
        assert!(may_share(&ask(&"a".repeat(MOST_BYTES))) && !may_share(&ask(&"a".repeat(MOST_BYTES + 1))));
        let [half, rest] = [MOST_BYTES / 2, MOST_BYTES / 2 + 1].map(|bytes| "a".repeat(bytes));
        assert!(!may_share(&[sql!("SELECT ?1 AS json", half), sql!("SELECT ?1 AS json", rest)]));
    }
}
