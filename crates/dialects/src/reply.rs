//! What the response needs to know about its request.

use std::rc::Rc;

use crate::{
    Json, Names, Usage,
    json::Raw,
    request::{Request, Thinking},
    write,
};

/// How a response is written for its client.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// The response's id, without a dialect's prefix: letters, digits, `_`,
    /// `-`.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model's name as the client wrote it.
    pub model: String,
    /// Chat Completions: the client asked for the usage of a stream.
    pub include_usage: bool,
    /// Chat Completions: send thoughts as `reasoning_content`.
    pub show_reasoning: bool,
    /// Chat Completions: the client used `functions` instead of `tools`.
    pub has_legacy_functions: bool,
    /// Chat Completions: the answer is stored under the gateway's id, so a
    /// stream has that id too.
    pub has_own_id: bool,
    /// Chat Completions: the stream continues one that has begun with so many characters of text, so it has
    /// no role.
    pub continues: Option<usize>,
    /// Chat Completions: how the answer is written.
    pub form: ChatForm,
    /// The user's daily budget, which the original client shows.
    pub budget: Option<DailyBudget>,
    /// Responses: the client asked for encrypted thoughts that it can send
    /// back.
    pub include_encrypted_reasoning: bool,
    /// Responses: members of the request that the response repeats.
    pub echo: Vec<(String, Json)>,
    /// The tools that have other names at the upstream.
    pub names: Names,
    /// The stop sequences that the upstream does not know.
    pub stops: Vec<String>,
    /// Seals thoughts for clients whose dialect has no place for them.
    pub seal: Option<Rc<dyn Seal>>,
    /// Estimated tokens of the prompt, used until the upstream reports them.
    pub prompt_estimate: u64,
    /// For errors within a stream.
    pub request_id: String,
}

impl Reply {
    /// Makes the reply for this request.
    pub fn new(request: &Request, id: impl Into<String>, created: u64) -> Self {
        Self {
            id: id.into(),
            created,
            model: request.model.clone(),
            include_usage: request.include_usage,
            show_reasoning: true,
            has_legacy_functions: request.has_legacy_functions,
            include_encrypted_reasoning: request.include_encrypted_reasoning(),
            echo: request.echo.clone(),
            ..Self::default()
        }
    }

    /// A member of the request that the response repeats, as JSON.
    pub(crate) fn echoed(&self, name: &str) -> Option<&str> {
        self.echo.iter().find(|(known, _)| known == name).map(|(_, json)| json.as_str())
    }

    /// Whether an answer has to be translated although the client speaks its dialect: tools have other names at the
    /// upstream, it ends at a stop sequence, or the client gets another form of it.
    pub(crate) fn is_changed(&self) -> bool {
        let is_ended = !self.stops.is_empty();
        self.names != Names::default() || is_ended || self.form != ChatForm::Chat
    }
}

/// How an answer is written for a client of Chat Completions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ChatForm {
    #[default]
    /// A chat completion.
    Chat,
    /// A stream has the original client's format; a whole answer is as in `Chat`.
    Original,
    /// A legacy completion, which begins with its prompt if the client wants it repeated.
    Completion {
        /// The prompt to repeat; `None` if the client did not set `echo`.
        prompt: Option<String>,
    },
}

/// A user's daily budget, in micro-dollars.
#[derive(Debug, Clone)]
pub struct DailyBudget {
    /// What was spent of it before this response.
    pub used: i64,
    /// What may be spent in a day (UTC).
    pub limit: i64,
    /// The prices of the model that answers. None if this response costs nothing.
    pub pricing: Option<Rc<dyn Pricing>>,
}

/// Knows what a response costs.
pub trait Pricing: std::fmt::Debug {
    /// In micro-dollars.
    fn cost(&self, usage: &Usage) -> i64;
}

/// Encrypts and authenticates data that a client carries for the gateway. The
/// gateway has the key.
pub trait Seal: std::fmt::Debug {
    /// The sealed text, of characters that any JSON string may have.
    fn seal(&self, plain: &str) -> String;
    /// `None` if it was not sealed with the gateway's key.
    fn open(&self, sealed: &str) -> Option<String>;
}

/// Serialises thoughts into one text, to be sealed.
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
    fn unpacking_restores_packed_thoughts() {
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
