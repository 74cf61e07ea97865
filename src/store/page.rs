//! A page of a list, as a statement is bound to it (keyset pagination).

/// The most rows of a page.
pub(crate) const MAX_LIMIT: u32 = 100;

/// Which page is asked for.
#[derive(Debug)]
pub(crate) struct Page {
    /// Rows on the page, 1..=100.
    pub(crate) limit: u32,
    /// The sort key of the last row of the page before, and its id.
    pub(crate) after: Option<(i64, String)>,
}

impl Page {
    /// The first page of so many rows.
    pub(crate) fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }

    /// The bound of the keyset: rows before this key and id come next.
    pub(crate) fn bound(&self) -> (i64, &str) {
        // Above every row: keys are times, ids are text, and text is less than `\u{10FFFF}`.
        self.after.as_ref().map_or((i64::MAX >> 11, "\u{10FFFF}"), |(key, id)| (*key, id))
    }
}

/// The SQL of one page of a list. `?4` is the page's limit.
///
/// It answers `key\n[…]`: the key of the page's last row, if there are rows
/// after it, and the list as JSON. It answers nothing when the page is longer
/// than one row and, by `bytes`, comes near what D1 takes as one string (2 MB;
/// JSON at most doubles the text of a row). [`crate::http::page`] knows both.
///
/// `rows` is everything from FROM to ORDER BY; it is walked along its index
/// alone for all but the rows of the page.
macro_rules! page {
    (rows: $rows:expr, key: $key:expr, json: $json:expr, bytes: $bytes:literal) => {
        constcat::concat!(
            "SELECT CASE WHEN ?4 = 1 OR (SELECT coalesce(sum(",
            $bytes,
            "), 0) FROM (SELECT * ",
            $rows,
            " LIMIT ?4)) <= 900000 THEN coalesce((SELECT ",
            $key,
            " ",
            $rows,
            " LIMIT 1 OFFSET ?4 - 1) || (SELECT '' ",
            $rows,
            " LIMIT 1 OFFSET ?4), '') || char(10) || (SELECT json_group_array(",
            $json,
            ") FROM (SELECT * ",
            $rows,
            " LIMIT ?4)) END AS json"
        )
    };
}
pub(crate) use page;

/// A page of a user's rows, newest first: of a table that has their id as
/// `user_id`, and a time and an id of its own.
macro_rules! newest_of_user {
    (table: $table:literal, json: $json:expr, bytes: $bytes:literal, $user:expr, $page:expr) => {{
        let (time, id) = $page.bound();
        $crate::store::sql!(
            $crate::store::page!(
                rows: concat!(
                    "FROM ",
                    $table,
                    " WHERE user_id = ?1 AND (created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC"
                ),
                key: "created_at || '.' || id",
                json: $json,
                bytes: $bytes
            ),
            $user,
            time,
            id,
            $page.limit
        )
    }};
}
pub(crate) use newest_of_user;
