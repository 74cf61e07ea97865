//! The OpenAPI contract of the documentation.

use schemars::json_schema;

use crate::openapi::{DocumentedResponse, Module, Operation};

pub(crate) fn module() -> Module {
    let file = |route, id, summary, media_type| {
        Operation::new(route, id, summary)
            .header(
                "If-None-Match",
                "Answers 304 if this is still its `ETag`.",
                json_schema!({ "type": "string" }),
            )
            .answers(
                DocumentedResponse::new(200, "The file.").file(media_type).with("ETag", "Of its content."),
            )
            .answers(DocumentedResponse::new(304, "It has not changed.").with("ETag", "Of its content."))
    };
    Module {
        name: "docs",
        about: "This description of the API, for programs and for people.",
        operations: vec![
            file("GET /openapi.json", "docs.openapi", "Load this document", "application/json"),
            file("GET /docs", "docs.page", "Read this document as a page", "text/html"),
            file("GET /docs.css", "docs.style", "Load the page's style", "text/css"),
            file("GET /docs.js", "docs.script", "Load the page's script", "text/javascript"),
        ],
    }
}
