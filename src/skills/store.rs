//! SQL of the skills module.

use serde_json::json;

use super::{
    feeds::{FRESH_MS, Feed, LEASE_MS, SkillSource},
    skill::{Skill, Type},
};
#[cfg(test)]
use crate::openapi::Count;
use crate::{
    platform::clock::DAY_MS,
    store::{Statement, shape::shape, sql},
};
use constcat::concat;

/// D1 takes strings up to 2 MB.
const CHUNK_BYTES: usize = 500_000;
/// The most searches sent in a day. The source's quotas are 50 and 500, and the
/// default search and retries need some of them.
const SEARCHES_A_DAY: i64 = 40;
const SEARCHES_A_DAY_WITH_KEY: i64 = 400;
/// How long search results are kept, and how many of them.
const MONTH_MS: i64 = 30 * DAY_MS;
const MOST_OF_MARKETPLACE: i64 = 5000;

/// The filter and the page of a list.
#[derive(Debug, Clone)]
pub(super) struct Search {
    /// The words that a skill must have, in lower case.
    pub(super) words: Vec<String>,
    pub(super) category: Option<String>,
    pub(super) kind: Option<Type>,
    pub(super) limit: u32,
    pub(super) page: u32,
}

shape! {
    // Uses the rows `found`, and the parameters `?4` and `?5` of a [`Search`].
    /// A page of skills.
    pub(super) struct SkillPage, PAGE_JSON {
        skills: Vec<Skill> = "(SELECT json_group_array(json(skill)) FROM (
            SELECT skills.skill FROM found JOIN skills USING (id)
            ORDER BY found.stars DESC, found.name COLLATE NOCASE, id LIMIT ?4 OFFSET (?5 - 1) * ?4
          ))", vec![Skill::example()];
        /// The number of skills on all pages.
        total: Count = "(SELECT count(*) FROM found)", Count(1);
        page: u32 = "CAST(?5 AS INTEGER)", 1;
        limit: u32 = "CAST(?4 AS INTEGER)", 20;
        has_more: bool = "json(iif((SELECT count(*) FROM found) > ?5 * ?4, 'true', 'false'))", false;
        /// The value of the parameter `page` for the next page; null on the last one.
        next_page: Option<&'static str> =
            "iif((SELECT count(*) FROM found) > ?5 * ?4, CAST(CAST(?5 AS INTEGER) + 1 AS TEXT), NULL)", None;
        /// The sources of the results, separated by commas.
        source: &'static str = "coalesce((SELECT group_concat(source, ',') FROM (
            SELECT DISTINCT source FROM found ORDER BY source
          )), '')", "aitmpl";
    }
}

shape! {
    /// A category in the list of categories.
    pub(super) struct Category, CATEGORY_JSON {
        name: &'static str = "name", "development-team";
        /// How many skills it has.
        count: Count = "skills", Count(17);
    }
}

shape! {
    /// All categories.
    pub(super) struct Categories, CATEGORIES_JSON {
        categories: Vec<Category> = concat!("json_group_array(", CATEGORY_JSON, ")"), vec![Category::example()];
    }
}

/// Selects the whole response of a list. Words are found with `instr`, because
/// LIKE has wildcards and takes only 50 bytes on D1. Numbers are cast, because
/// D1 binds them as reals, which JSON would show as `20.0`.
pub(super) fn list(search: &Search) -> Statement {
    sql!(
        concat!(
            "WITH found AS (
           SELECT id, source, name, stars FROM skills
           WHERE (?1 IS NULL OR category = ?1 COLLATE NOCASE) AND (?2 IS NULL OR type = ?2)
             AND NOT EXISTS (SELECT 1 FROM json_each(?3) WHERE instr(haystack, value) = 0)
         )
         SELECT ",
            PAGE_JSON,
            " AS json"
        ),
        search.category.as_deref(),
        search.kind.map(Type::name),
        json!(search.words).to_string(),
        search.limit,
        search.page
    )
}

pub(super) fn show(id: &str) -> Statement {
    sql!("SELECT skill AS json FROM skills WHERE id = ?1", id)
}

pub(super) fn categories() -> Statement {
    sql!(concat!(
        "SELECT ",
        CATEGORIES_JSON,
        " AS json
             FROM (
               SELECT min(category) AS name, count(*) AS skills FROM skills WHERE category IS NOT NULL
               GROUP BY category COLLATE NOCASE ORDER BY category COLLATE NOCASE
             )"
    ))
}

/// A row of `skill_fetches` as [`super::feeds::State`] reads it.
macro_rules! state_json {
    () => {
        "json_object('source', source, 'query', query, 'fetched_at', fetched_at, 'failures', failures, 'next_at', next_at)"
    };
}

/// Selects the states of these feeds.
pub(super) fn states(feeds: &[Feed]) -> Statement {
    sql!(
        concat!(
            "SELECT ",
            state_json!(),
            " AS json FROM skill_fetches
             WHERE (source, query) IN (SELECT value ->> 'source', value ->> 'query' FROM json_each(?1))"
        ),
        json!(feeds).to_string()
    )
}

/// Claims the feeds that are due and that no other request has claimed, and
/// returns their states. A search is claimed only while its source works and
/// the day's share of the quota is not used.
pub(super) fn claim(feeds: &[Feed], has_key: bool, now: i64) -> Statement {
    let base: Vec<_> = feeds.iter().filter(|feed| feed.is_base()).collect();
    let searches: Vec<_> = feeds.iter().filter(|feed| !feed.is_base()).collect();
    sql!(
        concat!(
            "INSERT INTO skill_fetches (source, query, next_at)
             SELECT value ->> 'source', value ->> 'query', ?3 + ?4 FROM (
               SELECT value FROM json_each(?1)
               UNION ALL
               SELECT value FROM json_each(?2) AS search
               WHERE (SELECT count(*) FROM skill_fetches f
                      WHERE f.source = search.value ->> 'source' AND f.fetched_at > ?3 - ?5) < ?6
                 AND NOT EXISTS (SELECT 1 FROM skill_fetches f
                      WHERE f.source = search.value ->> 'source' AND f.failures > 0 AND f.next_at > ?3)
             ) WHERE true
             ON CONFLICT DO UPDATE SET next_at = excluded.next_at WHERE next_at <= ?3
             RETURNING ",
            state_json!(),
            " AS json"
        ),
        json!(base).to_string(),
        json!(searches).to_string(),
        now,
        LEASE_MS,
        DAY_MS,
        if has_key { SEARCHES_A_DAY_WITH_KEY } else { SEARCHES_A_DAY }
    )
}

/// Replaces the skills of a feed with those of its new response.
pub(super) fn keep(feed: &Feed, skills: &[Skill], now: i64) -> Vec<Statement> {
    let rows = skills.iter().map(|skill| json!({ "haystack": skill.haystack(), "skill": skill }).to_string());
    let mut statements: Vec<_> =
        chunks(rows).into_iter().map(|rows| upsert(rows, feed.source, now)).collect();
    statements.push(match feed.source {
        SkillSource::Aitmpl => sql!(
            "DELETE FROM skills WHERE source = 'aitmpl' AND type = ?1 AND fetched_at < ?2",
            Type::of_plural(&feed.query).map(Type::name), now
        ),
        SkillSource::Skillsmp => sql!(
            "DELETE FROM skills WHERE source = 'skillsmp' AND (fetched_at < ?1 OR id IN (
               SELECT id FROM skills WHERE source = 'skillsmp' ORDER BY fetched_at DESC, stars DESC LIMIT -1 OFFSET ?2
             ))",
            now - MONTH_MS, MOST_OF_MARKETPLACE
        ),
    });
    statements.push(sql!("DELETE FROM skill_fetches WHERE next_at < ?1", now - MONTH_MS));
    statements.push(sql!(
        "UPDATE skill_fetches SET fetched_at = ?3, failures = 0, next_at = ?3 + ?4 WHERE source = ?1 AND query = ?2",
        feed.source.name(), feed.query.as_str(), now, FRESH_MS
    ));
    statements
}

fn upsert(rows: String, source: SkillSource, now: i64) -> Statement {
    sql!(
        "INSERT INTO skills (id, source, type, category, name, stars, haystack, skill, fetched_at)
         SELECT skill ->> 'id', ?2, skill ->> 'type', skill ->> '$.categories[0]', skill ->> 'name', skill ->> 'stars',
           haystack, skill, ?3
         FROM (SELECT value ->> 'haystack' AS haystack, value ->> 'skill' AS skill FROM json_each(?1)) WHERE true
         ON CONFLICT (id) DO UPDATE SET
           category = excluded.category, name = excluded.name, stars = excluded.stars,
           haystack = excluded.haystack, skill = excluded.skill, fetched_at = excluded.fetched_at",
        rows, source.name(), now
    )
}

/// Records that a feed failed, and when it may be asked again.
pub(super) fn remember_failure(feed: &Feed, next_at: i64) -> Statement {
    sql!(
        "UPDATE skill_fetches SET failures = failures + 1, next_at = ?3 WHERE source = ?1 AND query = ?2",
        feed.source.name(),
        feed.query.as_str(),
        next_at
    )
}

/// JSON arrays of these rows, none much longer than [`CHUNK_BYTES`].
fn chunks(rows: impl Iterator<Item = String>) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    for row in rows {
        match chunks.last_mut().filter(|chunk| chunk.len() + row.len() < CHUNK_BYTES) {
            Some(chunk) => {
                chunk.push(',');
                chunk.push_str(&row);
            }
            None => chunks.push(format!("[{row}")),
        }
    }
    chunks.iter_mut().for_each(|chunk| chunk.push(']'));
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_split_into_strings_that_d1_takes() {
        let row = format!("\"{}\"", "x".repeat(4000));
        let sent = chunks(std::iter::repeat_n(row.clone(), 500));
        assert!(sent.len() > 1 && sent.iter().all(|chunk| chunk.len() <= CHUNK_BYTES + 1));
        let rows: Vec<String> =
            sent.iter().flat_map(|chunk| hatch_json::from_str::<Vec<String>>(chunk).unwrap()).collect();
        assert_eq!(rows, vec!["x".repeat(4000); 500]);
        assert!(chunks(std::iter::empty()).is_empty());
    }
}
