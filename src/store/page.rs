//! A page of a list, as bound to a statement (keyset pagination).

/// The most rows of a page.
pub(crate) const MAX_LIMIT: u32 = 100;

/// The page that a request asks for.
#[derive(Debug)]
pub(crate) struct Page {
    /// Rows on the page, 1..=100.
    pub(crate) limit: u32,
    /// The sort key of the last row of the page before, and its id.
    pub(crate) after: Option<(i64, String)>,
}

impl Page {
    /// The first page, with at most `limit` rows.
    pub(crate) fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }

    /// The upper bound of the keyset: the page starts after this key and id.
    pub(crate) fn bound(&self) -> (i64, &str) {
        // Above every row: keys are times, and every id sorts below `\u{10FFFF}`.
        self.after.as_ref().map_or((i64::MAX >> 11, "\u{10FFFF}"), |(key, id)| (*key, id))
    }
}

/// The SQL of one page of a list. `?4` is the page's limit.
///
/// It returns lines: the limit, then for each row its key and its JSON. A line after the last row
/// means that there are more rows. It returns nothing when the page has more than one row and, by
/// `bytes`, comes near D1's limit for one string (2 MB; JSON at most doubles the text of a row).
/// [`crate::http::page`] reads it.
///
/// `rows` is everything from FROM to ORDER BY. Rows that cannot be long (`bytes: "0"`) are read
/// once; others are measured first, without building their JSON.
macro_rules! page {
    (rows: $rows:expr, key: $key:expr, json: $json:expr, bytes: "0") => {
        constcat::concat!(
            "SELECT CAST(?4 AS INTEGER) || char(10) || coalesce(group_concat(",
            $key,
            " || char(10) || ",
            $json,
            ", char(10)), '') AS json FROM (SELECT * ",
            $rows,
            " LIMIT ?4 + 1)"
        )
    };
    (rows: $rows:expr, key: $key:expr, json: $json:expr, bytes: $bytes:literal) => {
        constcat::concat!(
            "SELECT CASE WHEN ?4 = 1 OR page_bytes <= 900000 THEN CAST(?4 AS INTEGER) || char(10) || coalesce((SELECT group_concat(",
            $key,
            " || char(10) || ",
            $json,
            ", char(10)) FROM (SELECT * ",
            $rows,
            " LIMIT ?4)), '') || iif(page_rows > ?4, char(10), '') END AS json FROM (SELECT count(*) AS page_rows, sum(",
            $bytes,
            ") AS page_bytes FROM (SELECT * ",
            $rows,
            " LIMIT ?4 + 1))"
        )
    };
}
pub(crate) use page;

/// A page of a user's rows, newest first. The table must have `user_id`, `created_at` and `id`.
macro_rules! newest_of_user {
    (table: $table:literal, json: $json:expr, bytes: $bytes:tt, $user:expr, $page:expr) => {{
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
