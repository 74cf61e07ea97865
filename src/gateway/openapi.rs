//! The OpenAPI description of the gateway. The vendors document their bodies
//! themselves, so it only points to that documentation.

use hatch_dialects::{
    Dialect, InboundContext, parse_completion, parse_count, parse_embeddings, parse_moderation,
};
use schemars::{JsonSchema, Schema, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    dynamic_apps, guardrails,
    models::{NewModel, NewModels},
    stored, usage,
};
use crate::{
    error::{Error, Resource, UpstreamKind},
    models::{Model, Preference, Prices},
    openapi::{Count, DocumentedResponse, Id, Module, Operation},
};

pub(super) const MODEL: &str = "sandbox/sandbox";

/// A JSON object that a vendor documents.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Vendors(pub(super) Value);

impl JsonSchema for Vendors {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Vendors".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct UsageRow {
    /// Null unless rows are grouped by day; `model` and `keyId` likewise.
    day: Option<String>,
    model: Option<String>,
    key_id: Option<Id>,
    requests: Count,
    /// With a status of 400 or more.
    failed: Count,
    input_tokens: Count,
    cache_read_tokens: Count,
    cache_write_tokens: Count,
    output_tokens: Count,
    reasoning_tokens: Count,
    /// In millionths of a dollar.
    cost_micro_usd: Count,
    cache_hits: Count,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Usage {
    /// `list`
    object: &'static str,
    from: &'static str,
    to: &'static str,
    data: Vec<UsageRow>,
}

pub(crate) fn module() -> Module {
    Module {
        name: "gateway",
        about: "Every model behind one API, for the SDKs of OpenAI and of Anthropic. Bodies and answers are the vendors' \
                own (platform.openai.com/docs/api-reference, platform.claude.com/docs/en/api); headers say which model \
                has answered. Every route needs the scope `gateway`.",
        operations: vec![
            chat("POST /v1/chat/completions", "gateway.chat", &["model", "messages"], |object| {
                reads(Dialect::Chat, object)
            }),
            chat("POST /chat/completions", "gateway.chat-at-the-root", &["messages"], reads_at_the_root),
            responses(),
            of_response("GET /v1/responses/{id}", "gateway.response", "Show a stored answer"),
            input_tokens(),
            compact(),
            input_items(),
            cancel(),
            of_response("DELETE /v1/responses/{id}", "gateway.forget-response", "Delete a stored answer"),
            messages(),
            count_tokens(),
            completions(),
            embeddings(),
            moderations(),
            list("GET /v1/models", "gateway.models"),
            list_by_id(),
            show("GET /v1/models/{*id}", "gateway.model"),
            show("GET /models/{*id}", "gateway.model-at-the-root"),
            usage(),
            of_guardrails("GET /v1/guardrails", "gateway.guardrails", "Show guardrails"),
            of_guardrails("PUT /v1/guardrails", "gateway.set-guardrails", "Set guardrails").object(
                json_schema!({ "type": "object", "description": "Each side with its rules: docs/gateway.md.", "additionalProperties": false, "properties": { "input": { "type": "object" }, "output": { "type": "object" } } }),
                json!({ "input": { "secrets": { "action": "redact" } } }),
                |object| guardrails::read(object).map(drop),
            ),
            put_model(),
            put_models(),
        ]
        .into_iter()
        .chain(stored::openapi::operations())
        .chain(dynamic_apps::openapi::operations())
        .collect(),
    }
}

/// What every route takes that asks a model.
pub(super) fn asks(operation: Operation) -> Operation {
    operation
        .header("X-Provider-Key", "The caller's own key of the provider, for this request.", json_schema!({ "type": "string" }))
        .header("X-Gateway-Lenient", "`true` drops parameters that the model does not support, with a warning.", json_schema!({ "enum": ["true", "false"] }))
        .header("X-Gateway-Models", "The models to ask if the first one does not answer, separated by commas.", json_schema!({ "type": "string" }))
        .header(
            "X-Gateway-Route",
            "What `auto` prefers.",
            json_schema!({ "enum": ["balanced", "cost", "speed", "quality"] }),
        )
        .read_by(|name| Preference::parse(name).is_some())
        .header(
            "X-Gateway-Stream-Mode",
            "`buffered` sends a stream only when all of it has arrived, so that another model can answer if it breaks off.",
            json_schema!({ "enum": ["live", "buffered"] }),
        )
        .header("X-Gateway-Cache", "How many seconds the answer may be cached: `60`, or `60;force` for a temperature above 0 too.", json_schema!({ "type": "string", "pattern": "^ *[0-9]{1,5} *(?:; *force *)?$" }))
        .fails(Error::NotFound(Resource::Path))
        .fails(Error::upstream(UpstreamKind::Failed, "The model's provider failed"))
        .fails(Error::upstream(UpstreamKind::Timeout, "The model's provider did not answer in time"))
        .fails(Error::upstream(UpstreamKind::Overloaded, "The model is overloaded"))
        .fails(Error::upstream(UpstreamKind::RateLimited, "The model's provider takes no more requests now"))
}

fn answered(answer: DocumentedResponse) -> DocumentedResponse {
    answer
        .with("X-Gateway-Provider", "The provider that has answered.")
        .with("X-Gateway-Model", "The model that has answered.")
        .with("X-Gateway-Attempts", "The number of requests to providers.")
        .may_have("X-Gateway-Cache", "`hit` or `miss`, if the request has this header.")
        .may_have("X-Gateway-Warnings", "Dropped parameters, and guardrails that found something.")
}

fn vendors(about: &'static str, example: Value) -> DocumentedResponse {
    answered(DocumentedResponse::new(200, about).json(Vendors(example)))
}

/// The schema of a vendor's body, with only the required members.
fn body(about: &'static str, required: &[&str]) -> Schema {
    let name = json!({ "type": "string" });
    let list = json!({ "type": "array", "minItems": 1, "items": { "type": "object" } });
    let properties =
        json!({ "model": name, "messages": list, "max_tokens": { "type": "integer", "minimum": 0 } });
    let properties: Map<String, Value> = properties
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| required.contains(&name.as_str()))
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    json_schema!({ "type": "object", "required": required, "description": about, "properties": properties })
}

fn bytes(object: Map<String, Value>) -> Vec<u8> {
    Value::Object(object).to_string().into_bytes()
}

fn reads(dialect: Dialect, object: Map<String, Value>) -> Result<(), Error> {
    dialect.parse_request(&bytes(object), &InboundContext::default()).map(drop).map_err(Error::from)
}

type Read = fn(Map<String, Value>) -> Result<(), Error>;

fn chat(route: &'static str, id: &'static str, required: &'static [&'static str], read: Read) -> Operation {
    let answer = json!({ "id": "chatcmpl-1", "object": "chat.completion", "created": 1_795_824_000, "model": MODEL,
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "Hello" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10 } });
    asks(Operation::new(route, id, "Chat (OpenAI)"))
        .about("`model` is `provider/name`, a name of the catalogue, or `auto`; `models` lists the models to ask if it does not answer. \
                `store` stores the completion for its user, with `completion_id` as its id if that is given; `enabled_tools` names \
                tools that are run here.")
        .query("format", "`polychat`: a stream of Polychat's events.", json_schema!({ "enum": ["openai", "polychat"], "default": "openai" }))
        .object(
            body("As OpenAI describes it: /docs/api-reference/chat/create.", required),
            json!({ "model": MODEL, "messages": [{ "role": "user", "content": "Hi" }] }),
            read,
        )
        .answers(vendors("The answer, or its chunks.", answer).events::<Vendors>("data: {\"choices\":[]}\n\ndata: [DONE]\n\n"))
}

/// Polychat's client names no model.
fn reads_at_the_root(object: Map<String, Value>) -> Result<(), Error> {
    let incoming = InboundContext { default_model: Some("auto"), ..InboundContext::default() };
    Dialect::Chat.parse_request(&bytes(object), &incoming).map(drop).map_err(Error::from)
}

fn responses() -> Operation {
    let answer =
        json!({ "id": "resp_1", "object": "response", "status": "completed", "model": MODEL, "output": [] });
    asks(Operation::new("POST /v1/responses", "gateway.responses", "Respond (OpenAI)"))
        .about("An answer is stored for a day, for `previous_response_id` and `item_reference`, unless `store` is false.")
        .object(
            body("As OpenAI describes it: /docs/api-reference/responses/create.", &["model", "input"]),
            json!({ "model": MODEL, "input": "Hi" }),
            |object| reads(Dialect::Responses, object),
        )
        .answers(vendors("The answer, or its events.", answer).events::<Vendors>("event: response.created\ndata: {}\n\n"))
}

fn input_tokens() -> Operation {
    Operation::new(
        "POST /v1/responses/input_tokens",
        "gateway.input-tokens",
        "Count a response's input tokens (OpenAI)",
    )
    .about("An estimate for every model that is rather too high.")
    .object(
        body("As OpenAI describes it: /docs/api-reference/responses/create.", &["model", "input"]),
        json!({ "model": MODEL, "input": "Hi" }),
        |object| reads(Dialect::Responses, object),
    )
    .answers(
        DocumentedResponse::new(200, "How many.")
            .json(Vendors(json!({ "object": "response.input_tokens", "input_tokens": 9 }))),
    )
    .fails(Error::NotFound(Resource::Path))
}

fn compact() -> Operation {
    let item = json!({ "id": "cmp_1", "type": "compaction", "encrypted_content": "gAAAAA" });
    let usage = json!({ "input_tokens": 9, "output_tokens": 1, "total_tokens": 10 });
    let answer = json!({ "id": "resp_1", "object": "response.compaction", "created_at": 1_795_824_000,
        "output": [item], "usage": usage });
    asks(Operation::new("POST /v1/responses/compact", "gateway.compact", "Compact a conversation (OpenAI)"))
        .about(
            "Only models whose provider has OpenAI's Responses API can do it. The items of the answer take the place of the \
             conversation's in the next request. `input` may be missing after `previous_response_id`. It is not stored.",
        )
        .object(
            body("As OpenAI describes it: /docs/api-reference/responses/compact.", &["model"]),
            json!({ "model": MODEL, "input": "Hi" }),
            |object| reads(Dialect::Responses, object),
        )
        .answers(vendors("The items that are left.", answer))
}

fn input_items() -> Operation {
    let page = json!({ "object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false });
    let operation = Operation::new(
        "GET /v1/responses/{id}/input_items",
        "gateway.response-input",
        "List the items before a stored answer (OpenAI)",
    );
    stored::openapi::paged(operation, "desc")
        .path("id", "The id of the answer.", "resp_1")
        .answers(DocumentedResponse::new(200, "A page.").json(Vendors(page)))
        .fails(Error::NotFound(Resource::Path))
}

fn cancel() -> Operation {
    Operation::new("POST /v1/responses/{id}/cancel", "gateway.cancel-response", "Cancel an answer (OpenAI)")
        .about("Always refused: OpenAI's API cancels what is made in the background, and here a client waits for each answer.")
        .path("id", "The id of the answer.", "resp_1")
        .fails(Error::Refused { code: "invalid_request_error", detail: "Cannot cancel a synchronous response.".to_owned() })
        .fails(Error::NotFound(Resource::Path))
}

fn of_response(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary)
        .path("id", "The id of the answer.", "resp_1")
        .answers(DocumentedResponse::new(200, "The answer.").json(Vendors(json!({ "id": "resp_1" }))))
        .fails(Error::NotFound(Resource::Path))
}

fn version(operation: Operation) -> Operation {
    operation.header("Anthropic-Version", "Required.", json_schema!({ "enum": ["2023-06-01", "2026-10-21"] }))
}

fn messages() -> Operation {
    let answer = json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL,
        "content": [{ "type": "text", "text": "Hello" }], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": { "input_tokens": 9, "output_tokens": 1 } });
    version(asks(Operation::new("POST /v1/messages", "gateway.messages", "Message (Anthropic)")))
        .header(
            "Anthropic-Beta",
            "Sent on to Anthropic, if it is the provider.",
            json_schema!({ "type": "string" }),
        )
        .object(
            body("As Anthropic describes it: /docs/en/api/messages.", &["model", "messages", "max_tokens"]),
            json!({ "model": MODEL, "max_tokens": 100, "messages": [{ "role": "user", "content": "Hi" }] }),
            |object| reads(Dialect::Messages, object),
        )
        .answers(
            vendors("The answer, or its events.", answer)
                .events::<Vendors>("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
        )
}

fn count_tokens() -> Operation {
    version(Operation::new(
        "POST /v1/messages/count_tokens",
        "gateway.count-tokens",
        "Count tokens (Anthropic)",
    ))
    .about("An estimate for every model that is rather too high.")
    .object(
        body("As Anthropic describes it.", &["model", "messages"]),
        json!({ "model": MODEL, "messages": [{ "role": "user", "content": "Hi" }] }),
        |object| parse_count(&bytes(object), &InboundContext::default()).map(drop).map_err(Error::from),
    )
    .answers(DocumentedResponse::new(200, "How many.").json(Vendors(json!({ "input_tokens": 9 }))))
    .fails(Error::NotFound(Resource::Path))
}

fn completions() -> Operation {
    let answer = json!({ "id": "cmpl-1", "object": "text_completion", "created": 1_795_824_000, "model": MODEL,
        "choices": [{ "text": "Hello", "index": 0, "logprobs": null, "finish_reason": "stop" }] });
    asks(Operation::new("POST /v1/completions", "gateway.completions", "Complete (OpenAI, legacy)"))
        .object(
            body("As OpenAI describes it; each prompt is sent as a chat.", &["model", "prompt"]),
            json!({ "model": MODEL, "prompt": "Hi" }),
            |object| parse_completion(&bytes(object)).map(drop).map_err(Error::from),
        )
        .answers(
            vendors("The completion, or its chunks.", answer)
                .events::<Vendors>("data: {\"choices\":[]}\n\ndata: [DONE]\n\n"),
        )
}

fn embeddings() -> Operation {
    let answer = json!({ "object": "list", "model": MODEL, "data": [{ "object": "embedding", "index": 0, "embedding": [1.0] }],
        "usage": { "prompt_tokens": 1, "total_tokens": 1 } });
    asks(Operation::new("POST /v1/embeddings", "gateway.embeddings", "Embed (OpenAI)"))
        .object(
            body("As OpenAI describes it.", &["model", "input"]),
            json!({ "model": MODEL, "input": "Hi" }),
            |object| parse_embeddings(&bytes(object)).map(drop).map_err(Error::from),
        )
        .answers(vendors("Numbers, or base64 of them.", answer))
}

fn moderations() -> Operation {
    let answer = json!({ "id": "modr-1", "model": MODEL, "results": [{ "flagged": false }] });
    asks(Operation::new("POST /v1/moderations", "gateway.moderations", "Moderate (OpenAI)"))
        .object(
            json_schema!({ "type": "object", "required": ["input"], "description": "As OpenAI describes it." }),
            json!({ "input": "Hi" }),
            |object| parse_moderation(&bytes(object)).map(drop).map_err(Error::from),
        )
        .answers(vendors("What was found.", answer))
}

fn list(route: &'static str, id: &'static str) -> Operation {
    models(route, id).answers(
        DocumentedResponse::new(200, "The models that this key may ask.")
            .json(Vendors(json!({ "object": "list", "data": [] }))),
    )
}

fn list_by_id() -> Operation {
    models("GET /models", "gateway.models-at-the-root").answers(
        DocumentedResponse::new(200, "The models that this key may ask, by their ids, in Polychat's form.")
            .json(Vendors(
                json!({ "success": true, "message": "The models that this key may ask", "data": {} }),
            )),
    )
}

fn models(route: &'static str, id: &'static str) -> Operation {
    Operation::new(route, id, "List models")
        .about("In Anthropic's form if the request has `anthropic-version`.")
        .header(
            "Anthropic-Version",
            "Asks for Anthropic's form.",
            json_schema!({ "enum": ["2023-06-01", "2026-10-21"] }),
        )
        .fails(Error::invalid("anthropic-version", "is not known"))
}

fn show(route: &'static str, id: &'static str) -> Operation {
    Operation::new(route, id, "Show a model")
        .header(
            "Anthropic-Version",
            "Asks for Anthropic's form.",
            json_schema!({ "enum": ["2023-06-01", "2026-10-21"] }),
        )
        .path("id", "Its id, slashes included.", MODEL)
        .fails(Error::invalid("anthropic-version", "is not known"))
        .answers(
            DocumentedResponse::new(200, "The model.")
                .json(Vendors(json!({ "id": MODEL, "object": "model" }))),
        )
        .fails(Error::NotFound(Resource::Path))
}

fn usage() -> Operation {
    let day = || json_schema!({ "type": "string", "format": "date", "pattern": "^\\d{4}-\\d{2}-\\d{2}$" });
    let row = UsageRow {
        day: Some("2026-11-29".to_owned()),
        model: None,
        key_id: None,
        requests: Count(1),
        failed: Count(0),
        input_tokens: Count(9),
        cache_read_tokens: Count(0),
        cache_write_tokens: Count(0),
        output_tokens: Count(1),
        reasoning_tokens: Count(0),
        cost_micro_usd: Count(28),
        cache_hits: Count(0),
    };
    let usage = Usage { object: "list", from: "2026-10-31", to: "2026-11-29", data: vec![row] };
    Operation::new("GET /v1/usage", "gateway.usage", "Show usage")
        .about("Sums of the caller's own calls, which are stored for 100 days.")
        .query("from", "The first day, in UTC.", day())
        .query("to", "The last day.", day())
        .query("key", "The id of an API key: only its calls.", json_schema!({ "type": "string" }))
        .query(
            "group_by",
            "`day`, `model` and `key`, separated by commas.",
            json_schema!({ "type": "string", "default": "day", "pattern": "^ *(?:day|model|key) *(?:, *(?:day|model|key) *)*$" }),
        )
        .read_by(|list| usage::groups(list).is_ok())
        .answers(DocumentedResponse::new(200, "A row for each group.").json(usage))
}

fn of_guardrails(route: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(route, id, summary).answers(
        DocumentedResponse::new(200, "The guardrails that apply now.")
            .json(Vendors(json!({ "input": {}, "output": {} }))),
    )
}

/// A row of the catalogue, and the body that sets it.
fn example_row() -> (Model, Value) {
    let prices = Prices {
        input: 2_000_000,
        output: 10_000_000,
        cache_read: 100_000,
        cache_write: 2_500_000,
        cache_write_long: 4_000_000,
    };
    let model = Model { prices: Some(prices), ..Model::for_test("anthropic/claude-sonnet-5-5") };
    let mut body = serde_json::to_value(&model).unwrap();
    let members = body.as_object_mut().unwrap();
    for ours in ["id", "provider", "name"] {
        members.remove(ours);
    }
    members.insert("source".to_owned(), json!("platform.claude.com/docs/en/about-claude/pricing"));
    (model, body)
}

fn put_model() -> Operation {
    let (model, body) = example_row();
    Operation::new("PUT /admin/models/{*id}", "gateway.put-model", "Add or change a model of the catalogue")
        .path("id", "`provider/name`.", "anthropic/claude-sonnet-5-5")
        .body::<NewModel>(body)
        .answers(DocumentedResponse::new(200, "The model as it is now.").json(model))
}

#[derive(Debug, Serialize, JsonSchema)]
struct Changed {
    changed: Count,
}

fn put_models() -> Operation {
    let (model, body) = example_row();
    Operation::new("PUT /admin/models", "gateway.put-models", "Refresh the catalogue")
        .about("Takes all of the rows or none; other rows stay.")
        .body::<NewModels>(json!({ "models": { model.id.as_str(): body } }))
        .answers(DocumentedResponse::new(200, "The number of rows.").json(Changed { changed: Count(1) }))
}
