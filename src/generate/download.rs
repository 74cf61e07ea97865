//! Streams a startup's ZIP from storage, whole or in part (RFC 9110, sections
//! 13 and 14).

use super::{PROJECT_NOT_FOUND, store};
use crate::{
    error::Error,
    http::{RequestContext, conditional},
    platform::response::Response,
    store::{Database, files},
};

/// `GET /api/download/:id`
pub(crate) async fn show(context: RequestContext) -> Result<Response, Error> {
    let (id, user) = (context.param("id"), context.caller.user_id()?);
    let database = context.database()?;
    let archive = archive(id, user, &database).await?;
    let header = |name| context.request.header(name);
    let head = |response: Response| {
        response
            .with("etag", archive.etag.clone())
            .with("accept-ranges", "bytes")
            .with("cache-control", "private, no-cache")
    };
    if conditional::matches_any(header("if-none-match").as_deref(), &archive.etag) {
        return Ok(head(Response::empty(304)));
    }
    // The file has changed since the client's first part, so it gets the whole file.
    let still_same = header("if-range").is_none_or(|tag| tag == archive.etag);
    let wanted = header("range").filter(|_| still_same);
    let range = match wanted.and_then(|range| ByteRange::read(&range, archive.bytes)) {
        Some(ByteRange::Beyond) => {
            let none = format!("bytes */{}", archive.bytes);
            return Ok(head(Response::empty(416)).with("content-range", none));
        }
        Some(ByteRange::Part { first, last }) => Some((first, last)),
        None => None,
    };
    let (first, last) = range.unwrap_or((0, archive.bytes.saturating_sub(1)));
    let length = last + 1 - first;
    let Some(body) = files::read(&context.env, &archive.key, first, length).await? else {
        // It may have been deleted with its startup meanwhile.
        self::archive(id, user, &database).await?;
        return Err(Error::Internal(format!("no object {}", archive.key)));
    };
    let status = if range.is_some() { 206 } else { 200 };
    let response = head(Response::stream(status, "application/zip", body))
        .with("content-length", length.to_string())
        .with("content-disposition", format!("attachment; filename=\"{}.zip\"", archive.slug));
    Ok(match range {
        Some(_) => response.with("content-range", format!("bytes {first}-{last}/{}", archive.bytes)),
        None => response,
    })
}

async fn archive(id: &str, user: &str, database: &Database) -> Result<store::Archive, Error> {
    database.query(store::archive(id, user)).await?.first()?.ok_or(PROJECT_NOT_FOUND)
}

/// The part that a `Range` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteRange {
    /// These bytes, including the last one.
    Part { first: u64, last: u64 },
    /// A range that begins after the end of the file.
    Beyond,
}

impl ByteRange {
    /// Reads one range of a file of `length` bytes. None for a header to ignore:
    /// another unit, several ranges, or a malformed one.
    fn read(header: &str, length: u64) -> Option<Self> {
        let (first, last) = header.trim().strip_prefix("bytes=")?.trim().split_once('-')?;
        let number = |digits: &str| match digits.bytes().all(|b| b.is_ascii_digit()) {
            true => digits.parse::<u64>().ok(),
            false => None,
        };
        match (first, last) {
            ("", suffix) => match number(suffix)? {
                0 => Some(Self::Beyond),
                _ if length == 0 => Some(Self::Beyond),
                suffix => Some(Self::Part { first: length.saturating_sub(suffix), last: length - 1 }),
            },
            (first, last) => {
                let first = number(first)?;
                let last = if last.is_empty() { u64::MAX } else { number(last)? };
                match first {
                    _ if last < first => None,
                    _ if first >= length => Some(Self::Beyond),
                    _ => Some(Self::Part { first, last: last.min(length - 1) }),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ByteRange;

    #[test]
    fn a_range_is_read_as_in_rfc_9110() {
        let part = |first, last| Some(ByteRange::Part { first, last });
        for (header, range) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=2-", part(2, 9)),
            ("bytes=2-100", part(2, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-100", part(0, 9)),
            ("bytes=10-", Some(ByteRange::Beyond)),
            ("bytes=-0", Some(ByteRange::Beyond)),
            ("bytes=5-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("items=0-1", None),
            ("", None),
        ] {
            assert_eq!(ByteRange::read(header, 10), range, "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_always_within_the_file(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", length in 0u64..1000) {
            if let Some(ByteRange::Part { first, last }) = ByteRange::read(&header, length) {
                prop_assert!(first <= last && last < length);
            }
        }
    }
}
