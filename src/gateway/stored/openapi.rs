//! The contract of stored completions, in OpenAI's and in Polychat's form.

use schemars::{JsonSchema, json_schema};
use serde::Serialize;
use serde_json::{Value, json};

use super::{conversations, openai};
use crate::{
    error::{Error, Resource},
    gateway::openapi::{MODEL, Vendors},
    openapi::{Count, DocumentedResponse, Operation},
};

const ID: &str = "chatcmpl-9b1d4e7a25c34f86a0d93c5e7f1b8a62";

#[derive(Debug, Serialize, JsonSchema)]
struct Shared {
    share_id: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Title {
    title: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Done {
    success: bool,
    message: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Conversations {
    conversations: Vec<Vendors>,
    total_pages: Count,
    page_number: Count,
    page_size: Count,
}

pub(in crate::gateway) fn operations() -> Vec<Operation> {
    [of_openai(), of_conversations(), of_one_conversation()].into_iter().flatten().collect()
}

fn of_openai() -> Vec<Operation> {
    let completion = || {
        Vendors(
            json!({ "id": ID, "object": "chat.completion", "model": MODEL, "choices": [], "metadata": {} }),
        )
    };
    let list = || {
        Vendors(json!({ "object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false }))
    };
    vec![
        paged(Operation::new("GET /v1/chat/completions", "gateway.stored", "List stored completions (OpenAI)"), "asc")
            .about("The completions of requests with `store: true`. Each is stored for 30 days after its last change. \
                    `metadata[key]=value` lists only those with this metadata.")
            .query("model", "Only completions of this model.", json_schema!({ "type": "string" }))
            .answers(DocumentedResponse::new(200, "A page.").json(list())),
        one("GET /v1/chat/completions/{id}", "gateway.stored-completion", "Show a stored completion (OpenAI)")
            .answers(DocumentedResponse::new(200, "The completion.").json(completion())),
        one("POST /v1/chat/completions/{id}", "gateway.update-stored", "Change a stored completion's metadata (OpenAI)")
            .object(
                json_schema!({ "type": "object", "required": ["metadata"], "properties": { "metadata": {
                    "type": ["object", "null"], "maxProperties": 16, "propertyNames": { "maxLength": 64 },
                    "additionalProperties": { "type": "string", "maxLength": 512 } } } }),
                json!({ "metadata": { "topic": "clocks" } }),
                |object| openai::read_update(object).map(drop),
            )
            .answers(DocumentedResponse::new(200, "The changed completion.").json(completion())),
        one("DELETE /v1/chat/completions/{id}", "gateway.delete-stored", "Delete a stored completion (OpenAI)")
            .answers(DocumentedResponse::new(200, "The completion is deleted.").json(Vendors(json!({ "object": "chat.completion.deleted", "id": ID, "deleted": true })))),
        paged(one("GET /v1/chat/completions/{id}/messages", "gateway.stored-messages", "List the messages before a stored completion (OpenAI)"), "asc")
            .answers(DocumentedResponse::new(200, "A page.").json(list())),
    ]
}

fn of_conversations() -> Vec<Operation> {
    let conversations = Conversations {
        conversations: vec![Vendors(json!({ "id": "1795824000-17", "title": "Clocks", "messages": [] }))],
        total_pages: Count(1),
        page_number: Count(1),
        page_size: Count(25),
    };
    let number = |most: u32, default: u32| json_schema!({ "type": "integer", "minimum": 1, "maximum": most, "default": default });
    vec![
        Operation::new("GET /chat/completions", "gateway.conversations", "List conversations (Polychat)")
            .query("page", "The number of the page. The newest conversations come first.", number(1_000, 1))
            .query("limit", "The most entries of a page.", number(100, 25))
            .answers(DocumentedResponse::new(200, "A page.").json(conversations)),
        Operation::new(
            "DELETE /chat/completions",
            "gateway.delete-conversations",
            "Delete all conversations (Polychat)",
        )
        .answers(done()),
        Operation::new(
            "GET /chat/shared/{share_id}",
            "gateway.shared-conversation",
            "Read a shared conversation (Polychat)",
        )
        .about("Needs no credentials: the id is the secret. System messages and tool results are not shown.")
        .path("share_id", "The share id.", "9b1d4e7a25c34f86a0d93c5e7f1b8a62")
        .answers(
            DocumentedResponse::new(200, "The messages of the user and of the model.")
                .json(Vendors(json!({ "title": null, "messages": [] }))),
        )
        .fails(Error::NotFound(Resource::Path)),
    ]
}

fn of_one_conversation() -> Vec<Operation> {
    let conversation =
        json!({ "id": ID, "title": null, "is_public": false, "share_id": null, "messages": [] });
    let role =
        json_schema!({ "type": "object", "properties": { "role": { "enum": ["user", "assistant", null] } } });
    vec![
        one("GET /chat/completions/{id}", "gateway.conversation", "Show a conversation (Polychat)")
            .answers(DocumentedResponse::new(200, "The whole conversation.").json(Vendors(conversation))),
        one("PUT /chat/completions/{id}", "gateway.rename-conversation", "Rename a conversation (Polychat)")
            .body::<conversations::NewTitle>(json!({ "title": "Clocks" }))
            .answers(
                DocumentedResponse::new(200, "The title.")
                    .json(Vendors(json!({ "id": ID, "title": "Clocks" }))),
            ),
        one(
            "DELETE /chat/completions/{id}",
            "gateway.delete-conversation",
            "Delete a conversation (Polychat)",
        )
        .answers(done()),
        super::super::openapi::asks(one(
            "POST /chat/completions/{id}/generate-title",
            "gateway.generate-title",
            "Generate a conversation's title (Polychat)",
        ))
        .answers(DocumentedResponse::new(200, "The title.").json(Title { title: "Clocks" })),
        one(
            "POST /chat/completions/{id}/share",
            "gateway.share-conversation",
            "Share a conversation (Polychat)",
        )
        .answers(
            DocumentedResponse::new(200, "The share id.")
                .json(Shared { share_id: "9b1d4e7a25c34f86a0d93c5e7f1b8a62" }),
        ),
        one(
            "DELETE /chat/completions/{id}/share",
            "gateway.unshare-conversation",
            "Stop sharing a conversation (Polychat)",
        )
        .answers(done()),
        one("POST /chat/completions/{id}/feedback", "gateway.feedback", "Rate the last answer (Polychat)")
            .body::<conversations::Feedback>(json!({ "feedback": 1, "score": 100 }))
            .answers(done()),
        one(
            "POST /chat/completions/{id}/check",
            "gateway.check-conversation",
            "Check a conversation with your guardrails (Polychat)",
        )
        .object(role, json!({ "role": "user" }), |object: serde_json::Map<String, Value>| {
            conversations::role_of(&object).map(drop)
        })
        .answers(DocumentedResponse::new(200, "The rules that found something.").json(Vendors(
            json!({ "content": "Input is valid", "data": { "isValid": true, "violations": [] } }),
        ))),
    ]
}

fn one(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary)
        .path("id", "The completion.", ID)
        .fails(Error::NotFound(Resource::Path))
}

pub(in crate::gateway) fn paged(operation: Operation, order: &str) -> Operation {
    operation
        .query("after", "The id of the last entry of the page before.", json_schema!({ "type": "string" }))
        .query(
            "limit",
            "The most entries of a page.",
            json_schema!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 20 }),
        )
        .query(
            "order",
            "The order by time of creation.",
            json_schema!({ "enum": ["asc", "desc"], "default": order }),
        )
}

fn done() -> DocumentedResponse {
    DocumentedResponse::new(200, "Done.").json(Done { success: true, message: "The conversation is deleted" })
}
