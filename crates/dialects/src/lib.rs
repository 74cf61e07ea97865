//! Dialects.

mod chat;
mod error;
mod incoming;
mod json;
mod messages;
mod outgoing;
mod read;
mod reply;
pub mod request;
pub mod response;
mod responses;
mod schema;
mod sse;
mod target;
mod write;

pub use error::{Class, Error};
pub use incoming::{Incoming, Version};
pub use json::Json;
pub use reply::{Reply, Seal};
pub use request::Request;
pub use response::{Event, Response, Usage};
pub use responses::parse::{Wanted, wanted};
pub use target::{Abilities, Names, Rendered, Target, canonical, check_size, forward};

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
}
