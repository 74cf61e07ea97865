//! Translates between the dialects of OpenAI (Chat Completions, Responses) and Anthropic (Messages). Pure: no clock, no
//! randomness, no I/O; the caller passes ids and times in.
//!
//! A request is parsed from the client's dialect into a [`Request`] and rendered for a [`Target`] in the upstream's
//! dialect. The answer comes back as a [`Response`], or chunk by chunk through a [`Stream`]:
//!
//! ```
//! use hatch_dialects::{Dialect, InboundContext, Reply, Stream, Target};
//!
//! let body = br#"{"model":"a/claude","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
//! let request = Dialect::Chat.parse_request(body, &InboundContext::default())?;
//! let rendered = Dialect::Messages.render_request(&request, &Target::new("claude"))?;
//! assert!(rendered.body.starts_with(r#"{"model":"claude","max_tokens":8192,"#));
//!
//! let mut reply = Reply::new(&request, "an-id", 1_790_000_000);
//! reply.names = rendered.names;
//! reply.stops = rendered.stops;
//! let mut stream = Stream::new(Dialect::Messages, Dialect::Chat, &reply);
//! let mut out = Vec::new();
//! stream.push(b"event: error\ndata: {\"error\":{\"type\":\"overloaded_error\",", &mut out);
//! stream.push(b"\"message\":\"Overloaded\"}}\n\n", &mut out);
//! stream.finish(&mut out);
//! // No output has been sent yet, so the gateway may try another upstream.
//! assert!(!stream.meter().has_begun && stream.meter().error.is_some());
//! # Ok::<(), hatch_dialects::Error>(())
//! ```
//!
//! - Requests: [`Dialect::parse_request`], [`Dialect::render_request`]; [`forward`] passes the body on unchanged to an
//!   upstream of the same dialect; [`canonical`] makes a cache key; [`references`] lists the stored items that a
//!   Responses request refers to.
//! - Responses: [`Dialect::parse_response`], [`Dialect::render_response`]; [`Reader`] collects a stream into a whole
//!   response, [`stream_of`] turns a whole response into a stream.
//! - Streams: [`Stream`]; its [`Meter`] records what was seen, and [`Meter::charged`] gives the usage to bill.
//! - Errors: [`Error::of_upstream`] reads an upstream's error in any form; [`Error::status`] and [`Error::body`] write
//!   it for a client; its [`Class`] says whether a retry or another upstream may help.

mod chat;
mod collect;
mod completions;
mod embeddings;
mod error;
mod funnel;
mod inbound;
mod json;
mod llama_guard;
mod messages;
mod models;
mod moderations;
mod outbound;
mod piece;
mod read;
mod reply;
pub mod request;
pub mod response;
mod responses;
mod schema;
mod shortcut;
mod sse;
mod stops;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod tokens;
mod usage;
mod workers_ai;
mod write;

pub use collect::{Collector, replay};
pub use completions::{Completion, parse_completion, render_completions};
pub use embeddings::{Embeddings, parse_embeddings, render_embeddings, translate_embeddings};
pub use error::{Class, Error};
pub use inbound::{FindItem, InboundContext, Version};
pub use json::{Json, has_duplicates, tree};
pub use llama_guard::{is_llama_guard, render_llama_guard, texts_of, verdicts};
pub use messages::parse::parse_count;
pub use models::{Model, anthropic_model, anthropic_models, model_ids, openai_model, openai_models};
pub use moderations::{CATEGORIES, Moderation, parse_moderation, render_moderation, translate_moderation};
pub use outbound::{length_warning, refusal_warning};
pub use reply::{ChatForm, DailyBudget, Pricing, Reply, Seal};
pub use request::Request;
pub use response::{Event, Response, Usage};
pub use responses::{
    compaction::{render_compaction, translate_compaction},
    native::{Items, include_thoughts, without_thoughts},
    parse::{References, references},
};
pub use stream::{Filter, Meter, Reader, Stream, filtered_stream_of, stream_of};
pub use target::{Abilities, Names, Rendered, Target, canonical, check_size, forward, length_members};
pub use tokens::{IMAGE_TOKENS, count_body, estimate, estimate_prompt};
pub use workers_ai::{openai_of_workers_ai, workers_ai_inputs};

/// An API format that a client or an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's Chat Completions, and every API compatible with it.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
}

impl Dialect {
    /// Parses a client's request.
    pub fn parse_request(self, body: &[u8], inbound: &InboundContext<'_>) -> Result<Request, Error> {
        match self {
            Self::Chat => chat::parse::parse(body, inbound),
            Self::Responses => responses::parse::parse(body, inbound),
            Self::Messages => messages::parse::parse(body, inbound),
        }
    }

    /// Renders a request for an upstream.
    pub fn render_request(self, request: &Request, target: &Target) -> Result<Rendered, Error> {
        let plain = if self == Self::Messages { None } else { request.in_plain_text() };
        let request = plain.as_ref().unwrap_or(request);
        match self {
            Self::Chat => chat::render::render(request, target),
            Self::Responses => responses::render::render(request, target),
            Self::Messages => messages::render::render(request, target),
        }
    }

    /// Parses an upstream's whole response with status 200. For other statuses use [`Error::of_upstream`].
    pub fn parse_response(self, body: &[u8]) -> Result<Response, Error> {
        match self {
            Self::Chat => chat::response::parse(body),
            Self::Responses => responses::response::parse(body),
            Self::Messages => messages::response::parse(body),
        }
    }

    /// Renders a whole response for a client.
    pub fn render_response(self, response: &Response, reply: &Reply) -> String {
        if self == Self::Responses
            && let Some(native) = responses::response::native(response, reply)
        {
            return native;
        }
        let response = stream::restored(response, reply);
        match self {
            Self::Chat => match &reply.form {
                ChatForm::Completion { prompt } => {
                    render_completions(&[(prompt.as_deref(), &response)], reply)
                }
                ChatForm::Chat | ChatForm::Original => chat::response::render(&response, reply),
            },
            Self::Responses => responses::response::render(&response, reply),
            Self::Messages => messages::response::render(&response, reply),
        }
    }
}
