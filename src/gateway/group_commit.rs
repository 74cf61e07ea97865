//! Records calls that end at about the same time by one batch: a group commit.
//!
//! A batch costs a quarter of a call, and hardly more for many calls than for one. If a group could not be written, or
//! nothing is heard of it, each call writes its record by itself, unless that is there already. And a group is refused
//! as a whole if one of its records is there already: so whatever happens, none counts twice, and one that the database
//! refuses takes no other with it.

use std::rc::Rc;

use super::store::{self, Call};
use crate::{
    error::Error,
    platform::{batcher::Batcher, log},
    store::Database,
};

/// So many records are far below the two megabytes of a value in D1.
const MOST: usize = 100;
/// The platform gives a call 30 s after its client has left, and it may have used 25 of them (live.rs).
const ANSWERS_MS: u64 = 2_000;

thread_local! {
    static CALLS: Batcher<Call, Result<(), Error>> = const { Batcher::new(MOST, ANSWERS_MS) };
}

/// Records a call.
///
/// # Errors
/// Those of the database.
pub(super) async fn record(call: Call, database: &Database) -> Result<(), Error> {
    let call = Rc::new(call);
    let write_them = async |calls: &[Rc<Call>]| match calls {
        [call] => vec![Some(write(call, database).await)],
        calls => write_all(calls, database).await,
    };
    if let Some(written) = Batcher::run(&CALLS, call.clone(), write_them).await {
        return written;
    }
    let _under_way = Batcher::under_way(&CALLS);
    write_unless_there(&call, database).await
}

async fn write(call: &Call, database: &Database) -> Result<(), Error> {
    database.batch([store::write(call), store::count(call)]).await.map(drop)
}

/// Nothing for each call if they could not be written together.
async fn write_all(calls: &[Rc<Call>], database: &Database) -> Vec<Option<Result<(), Error>>> {
    let calls: Vec<&Call> = calls.iter().map(Rc::as_ref).collect();
    let written = async { database.batch(store::write_all(&calls)?).await };
    match written.await {
        Ok(_) => calls.iter().map(|_| Some(Ok(()))).collect(),
        Err(error) => {
            log::failure("gateway.group_commit", &error);
            Vec::new()
        }
    }
}

/// Writes a call that a group may have written, or may yet write.
async fn write_unless_there(call: &Call, database: &Database) -> Result<(), Error> {
    let written = database.batch([store::is_new(call), store::write(call), store::count(call)]).await;
    match written {
        Ok(_) | Err(Error::GuardFailed) => Ok(()),
        Err(error) => Err(error),
    }
}
