//! The dialects of OpenAI (Chat Completions, Responses) and Anthropic
//! (Messages), and what each says in the other's words. Pure: no clock, no
//! randomness, no I/O; ids and times are handed in.
//!
//! A request is read from its client's dialect into a [`Request`] and written
//! for a [`Target`] in the upstream's; the answer comes back as a
//! [`Response`], or piece by piece through a [`Stream`]:
//!
//! ```
//! use hatch_dialects::{Dialect, Incoming, Reply, Stream, Target};
//!
//! let body = br#"{"model":"a/claude","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
//! let request = Dialect::Chat.parse_request(body, &Incoming::default())?;
//! let rendered = Dialect::Messages.render_request(&request, &Target::new("claude"))?;
//! assert!(rendered.body.starts_with(r#"{"model":"claude","max_tokens":8192,"#));
//!
//! let mut reply = Reply::new(&request, "an-id", 1_790_000_000);
//! reply.names = rendered.names;
//! let mut stream = Stream::new(Dialect::Messages, Dialect::Chat, &reply);
//! let mut out = Vec::new();
//! stream.push(b"event: error\ndata: {\"error\":{\"type\":\"overloaded_error\",", &mut out);
//! stream.push(b"\"message\":\"Overloaded\"}}\n\n", &mut out);
//! stream.finish(&mut out);
//! // Nothing has begun: another upstream may be asked instead.
//! assert!(!stream.meter().has_begun && stream.meter().error.is_some());
//! # Ok::<(), hatch_dialects::Error>(())
//! ```
//!
//! - Requests: [`Dialect::parse_request`], [`Dialect::render_request`];
//!   [`forward`] for an upstream of the same dialect, which gets the body as
//!   it came; [`canonical`] for the key of a cache; [`wanted`] for what the
//!   Responses API only names.
//! - Answers: [`Dialect::parse_answer`], [`Dialect::render_answer`];
//!   [`Reader`] for a whole answer out of a stream, [`stream_of`] for the way
//!   back.
//! - Streams: [`Stream`], whose [`Meter`] tells what was seen, and
//!   [`Meter::charged`] what is to be paid.
//! - Errors: [`Error::of_upstream`] reads them in all their forms;
//!   [`Error::status`] and [`Error::body`] write them for a client, and its
//!   [`Class`] tells what may be done about it.

mod chat;
mod collect;
mod completions;
mod embeddings;
mod error;
mod funnel;
mod incoming;
mod json;
mod llama_guard;
mod messages;
mod models;
mod moderations;
mod outgoing;
mod piece;
mod read;
mod reply;
pub mod request;
pub mod response;
mod responses;
mod schema;
mod sse;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod tokens;
mod usage;
mod write;

pub use collect::{Collector, replay};
pub use completions::{Completion, parse_completion, render_completion, stream_completion};
pub use embeddings::{Embeddings, parse_embeddings, render_embeddings, translate_embeddings};
pub use error::{Class, Error};
pub use incoming::{FindItem, Incoming, Version};
pub use json::Json;
pub use llama_guard::{is_llama_guard, render_llama_guard, texts_of, verdicts};
pub use messages::parse::parse_count;
pub use models::{Model, anthropic_model, anthropic_models, model_ids, openai_model, openai_models};
pub use moderations::{CATEGORIES, Moderation, parse_moderation, render_moderation, translate_moderation};
pub use reply::{Reply, Seal};
pub use request::Request;
pub use response::{Event, Response, Usage};
pub use responses::parse::{Wanted, wanted};
pub use stream::{Filter, Meter, Reader, Stream, stream_of};
pub use target::{Abilities, Names, Rendered, Target, canonical, check_size, forward};
pub use tokens::{count_body, estimate, estimate_prompt};

/// Whose words are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's Chat Completions, and all that are compatible with it.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
}

impl Dialect {
    /// Reads a client's request.
    pub fn parse_request(self, body: &[u8], incoming: &Incoming<'_>) -> Result<Request, Error> {
        match self {
            Self::Chat => chat::parse::parse(body, incoming),
            Self::Responses => responses::parse::parse(body, incoming),
            Self::Messages => messages::parse::parse(body, incoming),
        }
    }

    /// Writes a request for an upstream.
    pub fn render_request(self, request: &Request, target: &Target) -> Result<Rendered, Error> {
        match self {
            Self::Chat => chat::render::render(request, target),
            Self::Responses => responses::render::render(request, target),
            Self::Messages => messages::render::render(request, target),
        }
    }

    /// Reads an upstream's whole answer (a status of 200; others are
    /// [`Error::of_upstream`]'s).
    pub fn parse_answer(self, body: &[u8]) -> Result<Response, Error> {
        match self {
            Self::Chat => chat::answer::parse(body),
            Self::Responses => responses::answer::parse(body),
            Self::Messages => messages::answer::parse(body),
        }
    }

    /// Writes a whole answer for a client.
    pub fn render_answer(self, response: &Response, reply: &Reply) -> String {
        let response = stream::restored(response, reply);
        match self {
            Self::Chat => chat::answer::render(&response, reply),
            Self::Responses => responses::answer::render(&response, reply),
            Self::Messages => messages::answer::render(&response, reply),
        }
    }
}
