//! Randomness from the platform's crypto.

use std::cell::RefCell;

use crate::error::Error;

/// How many bytes for ids are asked for at once: each asking is a crossing.
const POOL_BYTES: usize = 1024;

thread_local! {
    static POOL: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
}

/// A random (version 4) UUID in its usual text form.
pub(crate) fn uuid() -> Result<String, Error> {
    let bytes = match POOL.with_borrow_mut(Vec::pop) {
        Some(bytes) => bytes,
        None => refill()?,
    };
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// Fills the pool of bytes for ids, and takes the first ones of it.
fn refill() -> Result<[u8; 16], Error> {
    let mut bytes = [0_u8; POOL_BYTES];
    fill(&mut bytes)?;
    let (ids, _) = bytes.as_chunks();
    POOL.set(ids.to_vec());
    let taken = POOL.with_borrow_mut(Vec::pop);
    taken.ok_or_else(|| Error::Internal("the pool of randomness is empty".to_owned()))
}

/// Fills `bytes` with random bytes that are fit for secrets.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|e| Error::Internal(format!("no randomness: {e}")))
}

/// A byte by which clients differ that would otherwise act at once.
pub(crate) fn jitter() -> u8 {
    let mut byte = [0];
    // Without randomness all clients would pause alike, which is no error.
    let _ = fill(&mut byte);
    byte[0]
}
