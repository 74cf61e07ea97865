//! Random values from the platform's cryptographic source.

use std::cell::RefCell;

use crate::error::Error;

/// How many random bytes for ids are fetched at once: each fetch is a crossing.
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

/// Fills the pool and takes its first id.
fn refill() -> Result<[u8; 16], Error> {
    let mut bytes = [0_u8; POOL_BYTES];
    fill(&mut bytes)?;
    let (ids, _) = bytes.as_chunks();
    POOL.set(ids.to_vec());
    let taken = POOL.with_borrow_mut(Vec::pop);
    taken.ok_or_else(|| Error::Internal("the pool of randomness is empty".to_owned()))
}

/// Fills `bytes` with cryptographically secure random bytes.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|e| Error::Internal(format!("no randomness: {e}")))
}

/// A random byte that spreads out clients which would otherwise retry at once.
pub(crate) fn jitter() -> u8 {
    let mut byte = [0];
    // Without randomness all clients pause equally long, which is no error.
    let _ = fill(&mut byte);
    byte[0]
}
