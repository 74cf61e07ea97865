//! The OpenAPI contract of the chat module.

use hatch_wire::anthropic::Usage;
use schemars::{JsonSchema, json_schema};
use serde_json::json;

use super::{
    NOT_FOUND,
    begin::NewMessage,
    model::images_unread,
    store::{MessageView, Role, Status},
};
use crate::{
    error::{Error, UpstreamKind},
    identity::quotas::{self, Quota},
    models,
    openapi::{Count, DocumentedResponse, Module, Operation},
    store::projects::Project,
};

/// One event. By default these are unnamed (`message`) events with `{"text"}`, the last one with
/// `{"done"}`. With `?format=events` they are Claude's own (`message_start`, `content_block_delta`,
/// …), and the last one is `done`. Both formats have `files`, `saved` and `error`.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct ChatEvent {
    event: String,
    /// JSON.
    #[schemars(extend("contentMediaType" = "application/json"))]
    data: String,
}

const STREAM: &str = r#"data: {"text":"Here is your timer."}

event: files
data: {"version":1,"files":[{"path":"index.html","bytes":1204,"status":"added"}]}

event: saved
data: {"messageId":"5d2c8e91-0f47-4b3a-8c6d-7e1f9a2b4c50","projectId":"1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36","usage":{"input_tokens":812,"output_tokens":1950},"model":"claude-sonnet-5-5","costMicroUsd":31686}

data: {"done":true}

"#;

pub(crate) fn module() -> Module {
    Module {
        name: "chat",
        about: "You say what to build, and a model answers with files.",
        operations: vec![stream(), stop(), history()],
    }
}

/// A failure of the model before the first byte of its answer.
fn upstream(kind: UpstreamKind, detail: &str, retry_after_s: Option<i64>) -> Error {
    Error::Upstream { kind, detail: detail.to_owned(), retry_after_s }
}

fn stream() -> Operation {
    Operation::new("POST /api/chat", "chat.stream", "Say what to build, and stream the answer")
        .about(
            "The stream has the answer's text as it arrives; then `files`: what the answer changed in the project's code, with \
             `notes` on files that were not taken and why (a path that is refused, a file that is abbreviated, an edit that \
             does not fit, a full project); then `saved`: its message and its cost; and last `{\"done\":true}`, when \
             everything is saved. A stream that is cut off ends in `error` and never in `done`; the text so far is saved as \
             `interrupted`. A `projectId` that is a UUID of no project begins a project of that id, named after the message \
             (a key needs `projects:write` for it). The same message, sent again while it is being answered or within 15 \
             seconds after its answer was cut off, gets the same answer and is not paid twice. `model` is a name of \
             `GET /v1/models`; for an unknown one the default answers, and `note` in `saved` says so. Answers by your own \
             key of a provider (`PUT /auth/credentials/{provider}`) cost nothing here.",
        )
        .query(
            "format",
            "`text`: data-only `{\"text\"}` pieces. `events`: the events of Claude's API, its own as they arrive, which is \
             also what a request with the header `anthropic-version` gets.",
            json_schema!({ "type": "string", "enum": ["events", "text"], "default": "text" }),
        )
        .body::<NewMessage>(json!({ "projectId": Project::ID, "message": "A pomodoro timer with a tomato red look" }))
        .answers(
            DocumentedResponse::new(200, "The answer, as it is written.")
                .events::<ChatEvent>(STREAM)
                .may_have("RateLimit", "What is left of today's quota."),
        )
        .fails(quotas::exceeded(Quota::Chat, 200, 0))
        .fails(quotas::exceeded(Quota::Budget, 1_000_000, 0))
        .fails(NOT_FOUND)
        .fails(Error::Refused {
            code: "unknown_model",
            detail: "Its provider does not know this model; leave `model` out for the default".to_owned(),
        })
        .fails(images_unread("The model openai/gpt-6-sol"))
        .fails(Error::Forbidden {
            code: "model_not_allowed",
            detail: "This API key may not ask openai/gpt-6-sol".into(),
        })
        .fails(models::without_price("openai/gpt-7"))
        .fails(Error::Refused {
            code: "conversation_too_long",
            detail: "The project and its conversation are too large for the model: name the files to change, make \
                     large ones smaller, or go on in a new project"
                .to_owned(),
        })
        .fails(upstream(UpstreamKind::RateLimited, "Claude takes no more requests for now; try again after the time in Retry-After", Some(10)))
        .fails(upstream(UpstreamKind::Unreachable, "Claude cannot be reached; try again in a moment", None))
        .fails(upstream(UpstreamKind::Failed, "Claude failed; try again in a moment", Some(5)))
        .fails(upstream(UpstreamKind::Rejected, "Claude refused the request", None))
        .fails(upstream(UpstreamKind::Unauthorized, "Claude refused our key; whoever runs this service must change it", None))
        .fails(upstream(UpstreamKind::Billing, "Claude refused: our account there cannot pay", None))
        .fails(upstream(UpstreamKind::Overloaded, "Claude is overloaded; try again in a moment", Some(5)))
        .fails(upstream(UpstreamKind::Timeout, "Claude did not answer in time; try again in a moment", None))
}

fn stop() -> Operation {
    let stopped = MessageView {
        role: Role::Assistant,
        content: "Here is your",
        status: Status::Interrupted,
        model: Some("claude-sonnet-5-5"),
        ..MessageView::example()
    };
    Operation::new("POST /api/chat/{id}/stop", "chat.stop", "Stop the answer that is being written")
        .about(
            "The answer does not change the code. The connection to the model is closed within seconds. The text so far is saved as \
             `interrupted`, and its cost is counted. The same message, sent again, begins a new turn.",
        )
        .path("id", "The project.", Project::ID)
        .answers(DocumentedResponse::new(200, "The answers that were stopped; empty if none was being written.").json(vec![stopped]))
        .fails(NOT_FOUND)
}

fn history() -> Operation {
    let usage = Usage { input_tokens: 812, output_tokens: 1950, ..Usage::default() };
    let messages = DocumentedResponse::new(200, "The conversation, oldest first.")
        .json(vec![
            MessageView::example(),
            MessageView {
                role: Role::Assistant,
                content: "Here is your timer.",
                model: Some("claude-sonnet-5-5"),
                usage: Some(usage),
                costMicroUsd: Some(Count(21_124)),
                ..MessageView::example()
            },
        ])
        .may_have("Link", "The next page, where there is one.");
    Operation::new("GET /api/chat/{id}", "chat.history", "Show the conversation of a project")
        .path("id", "The project.", Project::ID)
        .paged(100)
        .answers(messages)
        .fails(NOT_FOUND)
}
