//! Reads JSON into types with `serde_json`, and says where in the JSON a fault is.
//!
//! Only an object is read as a struct. serde would also take an array, its fields in their order:
//! no client means that, and the code for it is as large as that for objects. (It still takes one
//! for the fields of an enum's variant, and within what it buffers itself: tagged enums and
//! flattened fields.)

mod error;
mod place;
mod strict;

use serde::de::Deserialize;
use serde_json::Value;

pub use error::{Error, Step};
use strict::{Origin, Strict};

/// Reads the whole text as a `T`, which may borrow from it.
///
/// # Errors
/// The text is not JSON, or not a `T`.
pub fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let (value, origin) = strict::noting(|| T::deserialize(Strict(&mut json)));
    match value {
        Ok(value) => json.end().map(|()| value).map_err(|error| Error::of(error, text, Origin::default())),
        Err(error) => Err(Error::of(error, text, origin)),
    }
}

/// As [`from_str`], of bytes that may not be UTF-8.
///
/// # Errors
/// As [`from_str`], and for bytes that are not UTF-8.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    from_str(std::str::from_utf8(bytes).map_err(|error| Error::not_utf8(bytes, error.valid_up_to()))?)
}

/// Reads a value as a `T`, which may borrow from it. For the path to a fault, read its text.
///
/// # Errors
/// The value is not a `T`.
pub fn from_value<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, Error> {
    let (value, _) = strict::noting(|| T::deserialize(Strict(value)));
    value.map_err(|error| Error::of(error, "", Origin::default()))
}

#[cfg(test)]
mod tests;
