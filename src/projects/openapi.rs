//! The OpenAPI contract of the projects module.

use schemars::json_schema;
use serde_json::json;

use super::{
    NOT_FOUND, NewProject, ProjectChange, Rollback, read_code,
    store::{Version, VersionWithCode},
};
use crate::{
    clouds::{CLOUDFLARE, openapi::with_credentials, undeploy},
    error::{Error, Resource},
    openapi::{Count, DocumentedResponse, Module, Operation},
    store::projects::Project,
};

const ETAG: &str = "The row's revision, for `If-Match` and `If-None-Match`.";

pub(crate) fn module() -> Module {
    Module {
        name: "projects",
        about: "What you are building, with every version of its code.",
        operations: vec![create(), list(), show(), update(), delete(), versions(), version(), rollback()],
    }
}

fn project_operation(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary).path("id", "The project.", Project::ID).fails(NOT_FOUND)
}

fn with_if_match(operation: Operation) -> Operation {
    let tag = json_schema!({ "type": "string" });
    operation.header("If-Match", "Only if this is still its `ETag`.", tag).fails(Error::PreconditionFailed)
}

fn create() -> Operation {
    let project = DocumentedResponse::new(201, "The project.")
        .json(Project { code: None, version: Count(0), ..Project::example() })
        .with("Location", "The project's address.")
        .with("ETag", ETAG)
        .leads_to(
            &["projects.show", "projects.update", "projects.delete", "projects.versions", "chat.history"],
            "id",
            "/id",
        )
        .leads_to_body("chat.stream", json!({ "projectId": "$response.body#/id" }))
        .leads_to_body(
            "deploy.create",
            json!({ "projectId": "$response.body#/id", "code": { "index.html": "<!doctype html>" } }),
        );
    Operation::new("POST /api/projects", "projects.create", "Create a project")
        .body_read_by::<NewProject>(
            json!({ "name": "Pomodoro", "description": "A timer with a tomato red look" }),
            |new| read_code(new.code.as_ref()).map(drop),
        )
        .answers(project)
}

fn list() -> Operation {
    let projects = DocumentedResponse::new(200, "Your projects, newest first.")
        .json(vec![Project::example()])
        .may_have("Link", "The next page, where there is one.");
    Operation::new("GET /api/projects", "projects.list", "List your projects").paged(20).answers(projects)
}

fn show() -> Operation {
    let project = DocumentedResponse::new(200, "The project.").json(Project::example()).with("ETag", ETAG);
    project_operation("GET /api/projects/{id}", "projects.show", "Show a project")
        .header(
            "If-None-Match",
            "Answers 304 if this is still its `ETag`.",
            json_schema!({ "type": "string" }),
        )
        .answers(project)
        .answers(DocumentedResponse::new(304, "It has not changed.").with("ETag", ETAG))
}

fn update() -> Operation {
    let project =
        DocumentedResponse::new(200, "The project as it is now.").json(Project::example()).with("ETag", ETAG);
    with_if_match(project_operation("PATCH /api/projects/{id}", "projects.update", "Change a project"))
        .about("An omitted field stays as it is. Changed code is a new version.")
        .body_read_by::<ProjectChange>(
            json!({ "code": { "index.html": "<!doctype html><title>Pomodoro</title>" } }),
            |change| read_code(change.code.as_ref()).map(drop),
        )
        .answers(project)
}

fn delete() -> Operation {
    let delete = project_operation("DELETE /api/projects/{id}", "projects.delete", "Delete a project");
    with_credentials(with_if_match(delete))
        .about(
            "Deletes also its versions, chat and deployments, and takes its live apps down. Apps on clouds follow a little later, with the \
             credentials of this request, your stored ones, or this Worker's own.",
        )
        .query(
            "force",
            "With `true`, the project is deleted although an app is live in an account without credentials here. That app stays up.",
            json_schema!({ "type": "string", "enum": ["true", "false"] }),
        )
        .answers(DocumentedResponse::new(204, "The project is deleted."))
        .fails(undeploy::credentials_needed(CLOUDFLARE))
}

fn versions() -> Operation {
    let versions = DocumentedResponse::new(200, "The versions of its code, newest first.")
        .json(vec![Version::example()])
        .may_have("Link", "The next page, where there is one.");
    project_operation(
        "GET /api/projects/{id}/versions",
        "projects.versions",
        "List the versions of a project's code",
    )
    .paged(20)
    .answers(versions)
}

fn version() -> Operation {
    project_operation(
        "GET /api/projects/{id}/versions/{version}",
        "projects.version",
        "Show a version with its code",
    )
    .path("version", "Its number.", Count(1))
    .answers(DocumentedResponse::new(200, "The version.").json(VersionWithCode::example()))
    .fails(Error::NotFound(Resource::Version))
}

fn rollback() -> Operation {
    let project = DocumentedResponse::new(200, "The project as it is now.")
        .json(Project { version: Count(3), ..Project::example() })
        .with("ETag", ETAG);
    project_operation("POST /api/projects/{id}/rollback", "projects.rollback", "Go back to a version")
        .about("The old code becomes the newest version; nothing is lost.")
        .body::<Rollback>(json!({ "version": 1 }))
        .answers(project)
}
