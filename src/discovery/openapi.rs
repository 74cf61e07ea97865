//! What discovery takes and answers.

use schemars::{JsonSchema, json_schema};
use serde::Serialize;

use super::{LONGEST_SEARCH, NOT_FOUND};
use crate::{
    openapi::{Answer, Count, Id, Module, NO_NUL, Operation, Time, Url},
    store::projects::Project,
};

/// A live app, as everybody sees it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct App {
    /// Of its project.
    id: Id,
    name: &'static str,
    description: Option<&'static str>,
    deployment_url: Url,
    visits: Count,
    created_at: Time,
}

const APP: App = App {
    id: Project::ID,
    name: "Pomodoro",
    description: Some("A timer with a tomato red look"),
    deployment_url: Url("http://pomodoro-1f3a9c04.localhost:8787/"),
    visits: Count(42),
    created_at: Time("2026-11-21T09:32:01.000Z"),
};

pub(crate) fn module() -> Module {
    Module {
        name: "discovery",
        about: "The apps that are live, for everybody to see and to remix.",
        operations: vec![list(), show(), remix()],
    }
}

fn list() -> Operation {
    let apps = Answer::new(200, "Live apps.")
        .json(vec![APP])
        .with("Cache-Control", "Public.")
        .may_have("Link", "The next page, where there is one.");
    let search = json_schema!({ "type": "string", "maxLength": LONGEST_SEARCH, "pattern": NO_NUL });
    let sort = json_schema!({ "type": "string", "enum": ["recent", "popular"], "default": "recent" });
    Operation::new("GET /api/discovery", "discovery.list", "List the apps that are live")
        .query("q", "Text in the name or the description.", search)
        .query("sort", "Newest first, or most visited first.", sort)
        .paged(20)
        .answers(apps)
}

fn show() -> Operation {
    Operation::new("GET /api/discovery/{id}", "discovery.show", "Show a live app")
        .path("id", "The app.", APP.id)
        .answers(Answer::new(200, "The app.").json(APP).with("Cache-Control", "Public."))
        .fails(NOT_FOUND)
}

fn remix() -> Operation {
    let project = Answer::new(201, "The project.")
        .json(Project::example())
        .with("Location", "Where it is.")
        .leads_to(&["projects.show", "projects.delete"], "id", "/id");
    Operation::new("POST /api/discovery/{id}/remix", "discovery.remix", "Make a live app your own project")
        .path("id", "The app.", APP.id)
        .answers(project)
        .fails(NOT_FOUND)
}
