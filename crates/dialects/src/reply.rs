//! What an answer has to know of the request it answers.

use std::rc::Rc;

use crate::{
    Json, Names,
    json::Raw,
    request::{Request, Thinking},
    write,
};

/// How an answer is told to its client.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// The answer's id, without a dialect's prefix: letters, digits, `_`, `-`.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model's name for the client.
    pub model: String,
    /// Chat Completions: the client asked for the usage of a stream.
    pub include_usage: bool,
    /// Chat Completions: tell thoughts as `reasoning_content`.
    pub show_reasoning: bool,
    /// Chat Completions: the client knows functions, and no tools.
    pub has_legacy_functions: bool,
    /// Chat Completions: the answer is asked for by its id later, so that a
    /// stream has ours too.
    pub has_own_id: bool,
    /// Chat Completions: a stream is of Polychat's events.
    pub is_polychat: bool,
    /// Responses: the client takes thoughts that it can send again.
    pub include_encrypted_reasoning: bool,
    /// Responses: what of the request is in the answer.
    pub echo: Vec<(String, Json)>,
    /// The tools that are called something else upstream.
    pub names: Names,
    /// Seals thoughts for clients whose dialect has no place for them.
    pub seal: Option<Rc<dyn Seal>>,
    /// How many tokens the prompt may have, until the upstream tells.
    pub prompt_estimate: u64,
    /// For errors inside of a stream.
    pub request_id: String,
}

impl Reply {
    /// For this request. The id and the time are handed in.
    pub fn new(request: &Request, id: impl Into<String>, created: u64) -> Self {
        Self {
            id: id.into(),
            created,
            model: request.model.clone(),
            include_usage: request.include_usage,
            show_reasoning: true,
            has_legacy_functions: request.has_legacy_functions,
            include_encrypted_reasoning: request.include_encrypted_reasoning,
            echo: request.echo.clone(),
            ..Self::default()
        }
    }

    /// No stream can go on as it came: tools are called something else
    /// upstream, or the client is told something else.
    pub(crate) fn has_other_names(&self) -> bool {
        self.names != Names::default() || self.has_own_id || self.is_polychat
    }
}

/// Seals what a client carries for us, so that it can be neither read nor
/// forged. The gateway has the key.
pub trait Seal: std::fmt::Debug {
    fn seal(&self, plain: &str) -> String;
    /// Nothing if it was not sealed by us.
    fn open(&self, sealed: &str) -> Option<String>;
}

/// Thoughts as one text, to be sealed.
pub(crate) fn pack(thinking: &Thinking) -> String {
    write::object(|o| match thinking {
        Thinking::Signed { text, signature } => {
            o.str("text", text);
            o.str("signature", signature);
        }
        Thinking::Redacted { data } => o.str("redacted", data),
        Thinking::Encrypted { id, summary, content } => {
            o.str("id", id);
            o.array("summary", |a| summary.iter().for_each(|text| a.str(text)));
            o.str("encrypted", content);
        }
        Thinking::Plain(text) => o.str("plain", text),
    })
}

pub(crate) fn unpack(packed: &str) -> Option<Thinking> {
    let raw = Raw::parse(packed)?;
    let text = |name: &str| raw.get_str(name).map(std::borrow::Cow::into_owned);
    if let Some(signature) = text("signature") {
        return Some(Thinking::Signed { text: text("text")?, signature });
    }
    if let Some(data) = text("redacted") {
        return Some(Thinking::Redacted { data });
    }
    if let Some(content) = text("encrypted") {
        let summary =
            raw.get("summary")?.items().filter_map(|text| Some(text.as_str()?.into_owned())).collect();
        return Some(Thinking::Encrypted { id: text("id")?, summary, content });
    }
    text("plain").map(Thinking::Plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_thoughts_are_unpacked_as_they_were() {
        for thinking in [
            Thinking::Signed { text: String::new(), signature: "s\"".to_owned() },
            Thinking::Redacted { data: "d".to_owned() },
            Thinking::Encrypted {
                id: "rs_1".to_owned(),
                summary: vec!["a".to_owned()],
                content: "c".to_owned(),
            },
            Thinking::Plain("那".to_owned()),
        ] {
            assert_eq!(unpack(&pack(&thinking)), Some(thinking));
        }
        assert_eq!(unpack("{}"), None);
    }
}
