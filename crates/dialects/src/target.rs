//! The upstream model that a request is rendered for, and the rendered request.

use crate::{
    Class, Error,
    json::Raw,
    request::{Effort, ThinkingMode},
    write,
};

/// The model that a request goes to, and what it supports.
#[derive(Debug, Clone)]
pub struct Target {
    /// The model's name at the upstream.
    pub model: String,
    /// The most output tokens that it can generate.
    pub max_output: Option<u64>,
    /// What the model and the upstream support.
    pub can: Abilities,
    /// Leave unsupported settings out with a warning instead of refusing the
    /// request (`x-gateway-lenient`).
    pub is_lenient: bool,
    /// Ask for a stream, even if the client did not; the gateway collects it.
    pub stream: bool,
    /// Signed thoughts in the history are from this provider.
    pub keeps_thoughts: bool,
}

impl Target {
    /// A model that supports everything.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            max_output: None,
            can: Abilities::default(),
            is_lenient: false,
            stream: false,
            keeps_thoughts: true,
        }
    }

    /// Refuses `param`, or adds a warning for a lenient client.
    pub(crate) fn refuse(&self, warnings: &mut Vec<String>, param: &str, message: &str) -> Result<(), Error> {
        if !self.is_lenient {
            return Err(Error::unsupported(param, message));
        }
        warnings.push(format!("{param}: {message}"));
        Ok(())
    }
}

/// What a model and its upstream support, from the catalogue's flags.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "they are a table's columns")]
pub struct Abilities {
    /// `temperature`, `top_p`, `top_k`.
    pub sampling: bool,
    /// A tool choice other than auto and none.
    pub forced_tools: bool,
    /// A system message in the middle.
    pub mid_system: bool,
    /// A last message of the assistant, which the model continues.
    pub prefill: bool,
    /// `thinking: adaptive`; without it a budget is sent.
    pub adaptive_thinking: bool,
    /// `thinking: between_tools`.
    pub between_tools: bool,
    /// Thinking can be switched off.
    pub thinking_off: bool,
    /// Any reasoning at all.
    pub reasoning: bool,
    /// The highest effort that it accepts.
    pub max_effort: Effort,
    /// Answers by a JSON Schema.
    pub structured_output: bool,
    /// Pictures in messages.
    pub images: bool,
    /// Files in messages, such as a PDF.
    pub documents: bool,
    /// OpenAI itself: `developer`, `max_completion_tokens`, `reasoning_effort`
    /// with tools, custom tools. Other upstreams have the older names.
    pub openai: bool,
    /// The upstream supports `stream_options`.
    pub stream_usage: bool,
}

impl Abilities {
    /// Whether Anthropic's API takes this form of `thinking` for the model, as a client has written it.
    #[must_use]
    pub fn takes_thinking(&self, mode: ThinkingMode) -> bool {
        match mode {
            ThinkingMode::Enabled => self.reasoning && !self.adaptive_thinking,
            ThinkingMode::Adaptive => self.adaptive_thinking,
            ThinkingMode::BetweenTools => self.between_tools,
            ThinkingMode::Disabled => self.thinking_off && !self.between_tools,
        }
    }
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            sampling: true,
            forced_tools: true,
            mid_system: true,
            prefill: true,
            adaptive_thinking: true,
            between_tools: true,
            thinking_off: true,
            reasoning: true,
            max_effort: Effort::Max,
            structured_output: true,
            images: true,
            documents: true,
            openai: true,
            stream_usage: true,
        }
    }
}

/// A request in an upstream's dialect.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The body to send, as JSON.
    pub body: String,
    /// To be put into [`crate::Reply::names`].
    pub names: Names,
    /// The stop sequences that the upstream does not get. To be put into [`crate::Reply::stops`].
    pub stops: Vec<String>,
    /// For `x-gateway-warnings`.
    pub warnings: Vec<String>,
    /// The API requires a stream for an answer this long: render again with
    /// [`Target::stream`] and collect the stream.
    pub needs_stream: bool,
}

/// The tools that have other names at the upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(Vec<Renamed>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renamed {
    pub(crate) sent: String,
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    /// A function at the upstream, a custom tool for the client.
    pub(crate) is_custom: bool,
}

impl Names {
    pub(crate) fn insert(&mut self, renamed: Renamed) {
        let is_same = renamed.sent == renamed.name && renamed.namespace.is_none() && !renamed.is_custom;
        if !is_same {
            self.0.push(renamed);
        }
    }

    pub(crate) fn of(&self, sent: &str) -> Option<&Renamed> {
        self.0.iter().find(|renamed| renamed.sent == sent)
    }
}

/// The longest tool name that OpenAI accepts.
pub(crate) const OPENAI_NAME: usize = 64;
pub(crate) const ANTHROPIC_NAME: usize = 128;

/// A tool's name at an upstream: prefixed by its namespace, with only the
/// characters that the API accepts, and not too long. The same name always
/// gives the same result, both in the tools and in the history.
pub(crate) fn sent_name(namespace: Option<&str>, name: &str, limit: usize) -> String {
    let full = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}__{name}"));
    let plain = plain_id(&full);
    if plain == full && plain.len() <= limit {
        return plain;
    }
    // A hash distinguishes names that would be equal after truncation.
    let start: String = plain.chars().take(55).collect();
    format!("{start}_{:08x}", hash(&full))
}

/// Keeps the characters that Anthropic accepts in ids; `call.1:x` becomes
/// `call_1_x`.
pub(crate) fn plain_id(id: &str) -> String {
    id.chars().map(|char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' }).collect()
}

/// FNV-1a, which is stable across builds and platforms.
pub(crate) fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// A client's body for an upstream of the same dialect: unchanged except for
/// the members in `edits` (new JSON, or `None` to leave the member out).
pub fn forward(body: &[u8], edits: &[(&str, Option<String>)]) -> Result<String, Error> {
    let raw = crate::read::body(body)?;
    let edit = |name: &str| edits.iter().find(|(key, _)| *key == name);
    let members: Vec<_> = raw.members().collect();
    Ok(write::object(|o| {
        for (index, (name, value)) in members.iter().enumerate() {
            let comes_again = members.iter().skip(index.saturating_add(1)).any(|(later, _)| later == name);
            if !comes_again && edit(name).is_none() {
                o.raw(name, value.text());
            }
        }
        for (name, value) in edits {
            if let Some(json) = value {
                o.raw(name, json);
            }
        }
    }))
}

/// The members of a body that let the answer become longer than `most`, as each dialect calls them.
pub fn length_members(body: &[u8], most: u64) -> Result<Vec<&'static str>, Error> {
    let raw = crate::read::body(body)?;
    let mut names = vec!["max_tokens", "max_completion_tokens", "max_output_tokens"];
    names.retain(|name| raw.get_u64(name).is_some_and(|tokens| tokens > most));
    Ok(names)
}

/// The canonical form of a request's body, for a cache key: members sorted by
/// name, no blanks, no nulls, numbers and strings written one way. `ignored`
/// names members that do not change the answer, such as `stream` and `user`.
pub fn canonical(body: &[u8], ignored: &[&str]) -> Result<String, Error> {
    let raw = crate::read::body(body)?;
    let mut out = String::with_capacity(body.len());
    canonical_object(raw, ignored, &mut out);
    Ok(out)
}

fn canonical_value(raw: Raw<'_>, out: &mut String) {
    if raw.is_object() {
        canonical_object(raw, &[], out);
    } else if raw.is_array() {
        write::array_into(out, |a| raw.items().for_each(|item| canonical_value(item, a.item())));
    } else if let Some(text) = raw.as_str() {
        write::string(out, &text);
    } else if let Some(number) = raw.as_i64() {
        write::display(out, number);
    } else if let Some(number) = raw.as_f64() {
        write::display(out, number);
    } else {
        out.push_str(raw.text());
    }
}

/// [`crate::read::body`] has checked the depth.
fn canonical_object(raw: Raw<'_>, ignored: &[&str], out: &mut String) {
    let mut members: Vec<_> = raw.members().collect();
    // A stable sort keeps the last of two members with the same name last.
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    write::object_into(out, |o| {
        let mut rest = members.iter().peekable();
        while let Some((name, value)) = rest.next() {
            let comes_again = rest.peek().is_some_and(|(next, _)| next == name);
            if !comes_again && !value.is_null() && !ignored.contains(&name.as_ref()) {
                canonical_value(*value, o.key(name));
            }
        }
    });
}

/// Refuses a body that is too large before it is parsed.
pub fn check_size(body: &[u8], limit: usize) -> Result<(), Error> {
    if body.len() > limit {
        return Err(Error::new(Class::TooLarge, format!("The body is larger than {limit} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tools_name_is_made_valid_for_the_api_and_is_stable() {
        assert_eq!(sent_name(None, "get_weather", 64), "get_weather");
        assert_eq!(sent_name(Some("functions"), "shell", 64), "functions__shell");
        let long = "mcp__".repeat(20);
        let sent = sent_name(None, &long, 64);
        assert_eq!((sent.len(), sent_name(None, &long, 64) == sent), (64, true));
        assert!(sent.starts_with(long.get(..55).unwrap()));
        assert_eq!(sent_name(None, &long, 128), long);
        assert_ne!(sent_name(None, "a.b", 64), sent_name(None, "a:b", 64));
    }

    #[test]
    fn a_forwarded_body_is_unchanged_except_for_the_edits() {
        let body = br#"{ "model":"a/b", "messages":[ {"role": "user","content":"\u00e9"} ], "n":1, "n":2 }"#;
        let forwarded = forward(body, &[("model", Some("\"b\"".to_owned())), ("x", None)]).unwrap();
        assert_eq!(forwarded, r#"{"messages":[ {"role": "user","content":"\u00e9"} ],"n":2,"model":"b"}"#);
    }

    #[test]
    fn bodies_with_the_same_meaning_have_one_canonical_form() {
        let a = canonical(br#"{"b":[1.0,"\u00e9"],"a":null,"stream":true,"c":{"y":1,"x":2}}"#, &["stream"])
            .unwrap();
        let b = canonical("{ \"c\":{\"x\":2,\"y\":1}, \"b\":[ 1, \"é\" ] }".as_bytes(), &["stream"]).unwrap();
        assert_eq!(a, b);
        assert_eq!(a, r#"{"b":[1,"é"],"c":{"x":2,"y":1}}"#);
        assert_ne!(canonical(br#"{"b":[2,1]}"#, &[]).unwrap(), canonical(br#"{"b":[1,2]}"#, &[]).unwrap());
    }
}
