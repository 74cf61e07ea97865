//! The OpenAPI contract of the discovery module.

use schemars::json_schema;

use super::{LONGEST_SEARCH, NOT_FOUND, store::App};
use crate::{
    openapi::{DocumentedResponse, Module, NO_NUL, Operation},
    store::projects::Project,
};

pub(crate) fn module() -> Module {
    Module {
        name: "discovery",
        about: "The live apps, which everyone may see and remix.",
        operations: vec![list(), show(), remix()],
    }
}

fn list() -> Operation {
    let apps = DocumentedResponse::new(200, "Live apps.")
        .json(vec![App::example()])
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
        .path("id", "The app.", App::example().id)
        .answers(
            DocumentedResponse::new(200, "The app.").json(App::example()).with("Cache-Control", "Public."),
        )
        .fails(NOT_FOUND)
}

fn remix() -> Operation {
    let project = DocumentedResponse::new(201, "The project.")
        .json(Project::example())
        .with("Location", "The project's address.")
        .leads_to(&["projects.show", "projects.delete"], "id", "/id");
    Operation::new("POST /api/discovery/{id}/remix", "discovery.remix", "Make a live app your own project")
        .path("id", "The app.", App::example().id)
        .answers(project)
        .fails(NOT_FOUND)
}
