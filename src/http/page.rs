//! Paged lists with an opaque cursor (keyset pagination).

use crate::{
    error::Error,
    http::RequestContext,
    platform::response::Response,
    store::{
        Database, Statement,
        page::{MAX_LIMIT, Page},
        shared::LISTS,
    },
};

const DEFAULT_LIMIT: u32 = 20;

/// Reads `limit` and `cursor` from the query string.
///
/// # Errors
/// [`Error::Invalid`] with the parameter's name.
pub(crate) fn of(context: &RequestContext) -> Result<Page, Error> {
    with_default(context, DEFAULT_LIMIT)
}

/// [`of`] with another default `limit`.
pub(crate) fn with_default(context: &RequestContext, limit: u32) -> Result<Page, Error> {
    Ok(Page {
        limit: number(context, "limit", limit, MAX_LIMIT)?,
        after: context.query("cursor").map(|cursor| decode(&cursor)).transpose()?,
    })
}

/// A number in `1..=max` from the query string.
pub(crate) fn number(context: &RequestContext, name: &str, default: u32, max: u32) -> Result<u32, Error> {
    let Some(value) = context.query(name) else { return Ok(default) };
    match value.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(Error::invalid(name, format!("must be a number from 1 to {max}"))),
    }
}

/// Fetches a page of rows that may be long. When the page is too long for one string (the database
/// returns nothing), a shorter page is fetched and `page` is set to it; its next cursor continues
/// from there.
pub(crate) async fn fetch(
    database: &Database,
    page: &mut Page,
    list: impl Fn(&Page) -> Statement,
) -> Result<Option<String>, Error> {
    loop {
        let answer = database.query_shared(&LISTS, list(page)).await?.into_json();
        if answer.is_some() || page.limit == 1 {
            return Ok(answer);
        }
        page.limit /= 2;
    }
}

/// Whether a list statement returned an empty list.
pub(crate) fn is_empty(answer: Option<&str>) -> bool {
    split(answer.unwrap_or_default()).1 == "[]"
}

/// A row of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    key: &'a str,
    pub(crate) json: &'a str,
}

impl<'a> Row<'a> {
    /// Where a page starts that goes on after this row.
    pub(crate) fn end(self) -> Option<(i64, &'a str)> {
        let (key, id) = self.key.split_once('.')?;
        Some((key.parse().ok()?, id))
    }
}

/// The rows in the output of a list statement, the lines of [`crate::store::page`], and whether there are more.
pub(crate) fn rows(answer: &str) -> (Vec<Row<'_>>, bool) {
    let Some((limit, rows)) = answer.split_once('\n') else { return (Vec::new(), false) };
    let (limit, mut lines) = (limit.parse().unwrap_or(0), rows.split('\n'));
    let next = |_| Some(Row { key: lines.next()?, json: lines.next()? });
    let rows = (0..limit).map_while(next).collect();
    (rows, lines.next().is_some())
}

/// The JSON of rows, without the brackets of a list.
pub(crate) fn joined(rows: &[Row<'_>]) -> String {
    rows.iter().map(|row| row.json).collect::<Vec<_>>().join(",")
}

/// Splits the output of a list statement into the start of the next page and the list.
pub(crate) fn split(answer: &str) -> (Option<(i64, &str)>, String) {
    let (rows, has_more) = rows(answer);
    let next = rows.last().filter(|_| has_more).and_then(|row| row.end());
    (next, format!("[{}]", joined(&rows)))
}

/// The response for a list whose rows SQLite assembled, with `Link: <…>; rel="next"` (RFC 8288)
/// when there is a next page.
pub(crate) fn response(answer: Option<&str>, context: &RequestContext) -> Response {
    let (last, list) = split(answer.unwrap_or_default());
    let response = Response::json(200, list);
    let Some((key, id)) = last else { return response };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(context.request.query().as_bytes()) {
        if name != "cursor" {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair("cursor", &encode(key, id));
    response.with("link", format!("<{}?{}>; rel=\"next\"", context.request.path(), query.finish()))
}

/// A cursor: 13 hexadecimal digits for a key below 2^52, then two for each character of an ASCII
/// id. The OpenAPI document has a pattern for it.
fn encode(key: i64, id: &str) -> String {
    id.bytes().fold(format!("{key:013x}"), |cursor, byte| cursor + &format!("{byte:02x}"))
}

fn decode(cursor: &str) -> Result<(i64, String), Error> {
    let digits = cursor.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let parts = cursor.split_at_checked(13).filter(|(_, id)| digits && id.len() % 2 == 0);
    parts
        .and_then(|(key, id)| Some((i64::from_str_radix(key, 16).ok()?, text(id)?)))
        .ok_or_else(|| Error::invalid("cursor", "is not a cursor of this list; start again without it"))
}

/// The printable ASCII text that these hexadecimal digits encode.
fn text(digits: &str) -> Option<String> {
    let pairs = (0..digits.len()).step_by(2).map(|at| digits.get(at..at + 2));
    let byte =
        |pair: Option<&str>| u8::from_str_radix(pair?, 16).ok().filter(|byte| (0x20..0x80).contains(byte));
    pairs.map(|pair| byte(pair).map(char::from)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode, rows, split};

    #[test]
    fn a_line_after_the_last_row_means_that_there_is_a_next_page() {
        let list = |answer| {
            let (next, list) = split(answer);
            (next.map(|(key, id)| format!("{key} {id}")).unwrap_or_default(), list)
        };
        let expected = |next: &str, json: &str| (next.to_owned(), json.to_owned());
        assert_eq!(list(""), expected("", "[]"));
        assert_eq!(list("20\n"), expected("", "[]"));
        assert_eq!(list("2\n7.a\n{}"), expected("", "[{}]"));
        assert_eq!(list("2\n7.a\n{}\n6.b\n[1]"), expected("", "[{},[1]]"));
        // The line after the last row is a hidden row, or empty.
        assert_eq!(list("2\n7.a\n{}\n6.b\n[1]\n5.c\n{}"), expected("6 b", "[{},[1]]"));
        assert_eq!(list("1\n7.a.b\n{}\n"), expected("7 a.b", "[{}]"));
    }

    #[test]
    fn after_an_answer_without_lines_there_is_no_more() {
        assert_eq!(rows(""), (Vec::new(), false));
    }

    proptest! {
        #[test]
        fn an_encoded_cursor_decodes_to_itself(key in 0..=i64::MAX >> 11, id in "[ -~]*") {
            prop_assert_eq!(decode(&encode(key, &id)), Ok((key, id)));
        }

        #[test]
        fn decoding_any_text_never_panics(text in ".*") {
            let _ = decode(&text);
        }
    }
}
