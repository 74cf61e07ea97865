//! Randomness from the platform's crypto.

use crate::error::Error;

/// A random (version 4) UUID in its usual text form.
pub(crate) fn uuid() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
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
