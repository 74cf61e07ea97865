//! SQL of the discovery module. It reads live sites only, because they are
//! public and other projects are not.

use constcat::concat;
use serde::Deserialize;

use crate::store::{Statement, page, page::Page, projects::rfc3339, shape::shape, sql};
#[cfg(test)]
use crate::{
    openapi::{Count, Id, Time, Url},
    store::projects::Project,
};

shape! {
    /// A live app as everyone sees it.
    pub(super) struct App, APP_JSON {
        /// The id of its project.
        id: Id = "project_id", Project::ID;
        name: &'static str = "name", "Pomodoro";
        description: Option<&'static str> = "description", Some("A timer with a tomato red look");
        deploymentUrl: Url = "url", Url("http://pomodoro-1f3a9c04.localhost:8787/");
        visits: Count = "visits", Count(42);
        createdAt: Time = rfc3339!("created_at"), Time("2026-11-21T09:32:01.000Z");
    }
}

/// A page of apps, sorted by one key.
macro_rules! list {
    ($key:literal) => {
        page!(
            rows: concat!(
                "FROM sites WHERE (", $key, ", project_id) < (?2, ?3)
                 AND (?1 = '' OR instr(lower(name || ' ' || coalesce(description, '')), ?1) > 0)
                 ORDER BY ", $key, " DESC, project_id DESC"
            ),
            key: concat!($key, " || '.' || project_id"),
            json: APP_JSON,
            bytes: "0"
        )
    };
}

pub(super) fn recent(search: &str, page: &Page) -> Statement {
    let (key, id) = page.bound();
    sql!(list!("created_at"), search, key, id, page.limit)
}

pub(super) fn popular(search: &str, page: &Page) -> Statement {
    let (key, id) = page.bound();
    sql!(list!("visits"), search, key, id, page.limit)
}

pub(super) fn show(id: &str) -> Statement {
    sql!(concat!("SELECT ", APP_JSON, " AS json FROM sites WHERE project_id = ?1"), id)
}

/// The app that a remix copies.
#[derive(Debug, Deserialize)]
pub(super) struct RemixSource {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) code: String,
}

pub(super) fn remix_source(id: &str) -> Statement {
    sql!(
        "SELECT json_object('name', s.name, 'description', s.description, 'code', (
           SELECT json_group_object(path, content) FROM site_files WHERE slug = s.slug
         ) || '') AS json FROM sites s WHERE s.project_id = ?1",
        id
    )
}
