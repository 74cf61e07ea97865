//! Estimates tokens of a text, on the high side.

use crate::{
    Request,
    request::{Content, MediaSource, Part, ToolKind},
};

/// About four Latin letters make a token, one ideograph makes one, and an emoji
/// two. Used for reservations, for `count_tokens`, and for billing when the upstream
/// has not reported the usage.
pub fn estimate(text: &str) -> u64 {
    // In quarters of a token.
    let quarters = text.chars().fold(0_u64, |sum, char| sum.saturating_add(quarters(char)));
    quarters.div_ceil(4)
}

fn quarters(char: char) -> u64 {
    match u32::from(char) {
        // Latin letters, digits, blanks.
        0..=0x7F if char.is_ascii_alphanumeric() || char == ' ' => 1,
        // Punctuation is more often a token of its own.
        0..=0x7F => 2,
        // Other alphabets.
        0x80..=0x10FF => 2,
        // Syllables and ideographs.
        0x1100..=0xFFFF => 4,
        // Emoji and rare scripts.
        _ => 8,
    }
}

/// Overhead of every message, in tokens.
const MESSAGE: u64 = 4;

/// Tokens of an image: about what Claude counts for its largest size, so rarely too few.
pub const IMAGE_TOKENS: u64 = 1_600;

/// Fewest tokens of a document. A page has about 2,000 tokens and 80 KB as
/// base64, so about 40 characters make a token.
const DOCUMENT: u64 = 3_000;

/// The estimated tokens of a request's prompt.
pub fn estimate_prompt(request: &Request) -> u64 {
    let messages = request.messages.iter().map(|message| {
        let name = message.name.as_deref().map_or(0, estimate);
        message.parts.iter().map(part).fold(MESSAGE.saturating_add(name), u64::saturating_add)
    });
    let tools = request.tools.iter().map(|tool| {
        let schema = match &tool.kind {
            ToolKind::Function { parameters } => {
                parameters.as_ref().map_or(0, |json| estimate(json.as_str()))
            }
            ToolKind::Custom { format } => format.as_ref().map_or(0, |json| estimate(json.as_str())),
            ToolKind::Hosted { json, .. } => estimate(json.as_str()),
        };
        let texts = estimate(&tool.name).saturating_add(tool.description.as_deref().map_or(0, estimate));
        schema.saturating_add(texts).saturating_add(MESSAGE)
    });
    messages.chain(tools).fold(3, u64::saturating_add)
}

fn part(part: &Part) -> u64 {
    match &part.content {
        Content::Text(text) => estimate(&text.text),
        Content::Refusal(text) => estimate(text),
        Content::Image(_) => IMAGE_TOKENS,
        Content::Document(document) => {
            let about = [&document.title, &document.context].into_iter().flatten();
            let about = about.map(|text| estimate(text)).fold(0, u64::saturating_add);
            about.saturating_add(match &document.source {
                MediaSource::Text(text) => estimate(text),
                MediaSource::Base64 { data, .. } => DOCUMENT.max((data.len() as u64) / 40),
                MediaSource::Url(_) | MediaSource::File(_) => DOCUMENT,
            })
        }
        Content::Audio { data, .. } => (data.len() as u64) / 1_000,
        Content::ToolCall(call) => {
            estimate(&call.name).saturating_add(estimate(&call.arguments)).saturating_add(MESSAGE)
        }
        Content::ToolResult(result) => result.parts.iter().map(self::part).fold(MESSAGE, u64::saturating_add),
        Content::Thinking(thinking) => match thinking {
            crate::request::Thinking::Signed { text, .. } | crate::request::Thinking::Plain(text) => {
                estimate(text)
            }
            crate::request::Thinking::Redacted { data } => (data.len() as u64) / 4,
            crate::request::Thinking::Encrypted { content, .. } => (content.len() as u64) / 4,
        },
        Content::Foreign { json, .. } => estimate(json.as_str()),
    }
}

/// The response body of `count_tokens`.
pub fn count_body(tokens: u64) -> String {
    crate::write::object(|o| o.put("input_tokens", tokens))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Document, Message, Role};

    #[test]
    fn no_script_is_underestimated_by_much() {
        // A text, and its tokens by a current tokenizer.
        let cases = [
            ("The quick brown fox jumps over the lazy dog.", 10),
            ("那个快速的棕色狐狸跳过了懒狗。", 15),
            ("Быстрая коричневая лиса прыгает через ленивую собаку", 18),
            ("🚀🚀🚀🎉🎉", 8),
            ("fn main() { println!(\"{}\", 1 + 2); }", 14),
        ];
        for (text, tokens) in cases {
            let estimate = estimate(text);
            assert!((tokens * 7 / 10..=tokens * 5 / 2).contains(&estimate), "{text}: {estimate}");
        }
        assert_eq!(estimate(""), 0);
    }

    #[test]
    fn names_of_documents_and_speakers_are_part_of_the_prompt() {
        let (plain, long) = ("a".to_owned(), "a".repeat(4_000));
        let prompt = |name: &str, title: &str| {
            let document = Document {
                source: MediaSource::Text("text".to_owned()),
                title: Some(title.to_owned()),
                context: None,
                citations: None,
            };
            let mut message = Message::new(Role::User, vec![Content::Document(document).into()]);
            message.name = Some(name.to_owned());
            estimate_prompt(&Request { messages: vec![message], ..Request::default() })
        };
        let least = prompt(&plain, &plain);
        assert_eq!([prompt(&long, &plain), prompt(&plain, &long)], [least + 999; 2]);
    }
}
