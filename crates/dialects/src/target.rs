//! Whom a request is written for, and what came of it.

use crate::{Class, Error, json::Raw, request::Effort, write};

/// The model that a request goes to, and what it takes.
#[derive(Debug, Clone)]
pub struct Target {
    /// The upstream's name for it.
    pub model: String,
    /// As many tokens as it can say.
    pub max_output: Option<u64>,
    pub can: Abilities,
    /// What cannot be had is left out with a warning, where it would be
    /// refused (`x-gateway-lenient`).
    pub is_lenient: bool,
    /// Ask for a stream, whatever the client asked: the gateway collects it.
    pub stream: bool,
    /// Signed thoughts in the history are this provider's own.
    pub keeps_thoughts: bool,
}

impl Target {
    /// A model that takes everything.
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

    /// Refuses `param`, or leaves it out with a warning for a lenient client.
    pub(crate) fn refuse(&self, warnings: &mut Vec<String>, param: &str, message: &str) -> Result<(), Error> {
        if !self.is_lenient {
            return Err(Error::unsupported(param, message));
        }
        warnings.push(format!("{param}: {message}"));
        Ok(())
    }
}

/// What a model and its upstream take, as the catalogue's flags tell it.
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
    /// Thinking can be switched off.
    pub thinking_off: bool,
    /// Any reasoning at all.
    pub reasoning: bool,
    /// Reads the hardest effort up to this one.
    pub max_effort: Effort,
    /// Answers by a JSON Schema.
    pub structured_output: bool,
    pub images: bool,
    pub documents: bool,
    /// OpenAI itself: `developer`, `max_completion_tokens`, `reasoning_effort`
    /// beside tools, custom tools. Other upstreams know the older words.
    pub openai: bool,
    /// The upstream knows `stream_options`.
    pub stream_usage: bool,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            sampling: true,
            forced_tools: true,
            mid_system: true,
            prefill: true,
            adaptive_thinking: true,
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

/// A request as an upstream reads it.
#[derive(Debug, Clone)]
pub struct Rendered {
    pub body: String,
    /// Belongs into [`crate::Reply::names`].
    pub names: Names,
    /// For `x-gateway-warnings`.
    pub warnings: Vec<String>,
    /// So long an answer comes only as a stream: ask again with
    /// [`Target::stream`], and collect it.
    pub needs_stream: bool,
}

/// The tools whose names are others at the upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(Vec<Renamed>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renamed {
    pub(crate) sent: String,
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    /// A function there, a tool with plain text here.
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

/// OpenAI's names are no longer.
pub(crate) const OPENAI_NAME: usize = 64;
pub(crate) const ANTHROPIC_NAME: usize = 128;

/// What a tool is called at an upstream: its namespace before it, no other
/// characters than the API takes, and not too long. The same name always
/// becomes the same, in the tools as in the history.
pub(crate) fn sent_name(namespace: Option<&str>, name: &str, limit: usize) -> String {
    let full = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}__{name}"));
    let plain = plain_id(&full);
    if plain == full && plain.len() <= limit {
        return plain;
    }
    // A hash tells apart what would be the same after the cut.
    let start: String = plain.chars().take(55).collect();
    format!("{start}_{:08x}", hash(&full))
}

/// The characters that Anthropic takes in ids; `call.1:x` becomes `call_1_x`.
pub(crate) fn plain_id(id: &str) -> String {
    id.chars().map(|char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' }).collect()
}

/// FNV-1a: the same everywhere and for ever.
pub(crate) fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// A client's body for an upstream of the same dialect: as it came, but for
/// the members in `edits` (JSON, or nothing to leave the member out).
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

/// The body of a request in the one form of all that mean the same: members
/// in order of their names, no blanks, no nulls, numbers and strings written
/// one way. `ignored` names members that do not change the answer, such as
/// `stream` and `user`. For the key of a cache.
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

/// The depth is bounded: [`crate::read::body`] has looked.
fn canonical_object(raw: Raw<'_>, ignored: &[&str], out: &mut String) {
    let mut members: Vec<_> = raw.members().collect();
    // Stable, so that of two members with one name the last one is the last.
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

/// A body that has nothing wrong but its size is not read at all.
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
    fn a_name_becomes_what_the_api_takes_and_the_same_each_time() {
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
    fn a_body_goes_on_as_it_came_but_for_what_is_edited() {
        let body = br#"{ "model":"a/b", "messages":[ {"role": "user","content":"\u00e9"} ], "n":1, "n":2 }"#;
        let forwarded = forward(body, &[("model", Some("\"b\"".to_owned())), ("x", None)]).unwrap();
        assert_eq!(forwarded, r#"{"messages":[ {"role": "user","content":"\u00e9"} ],"n":2,"model":"b"}"#);
    }

    #[test]
    fn what_means_the_same_has_one_canonical_form() {
        let a = canonical(br#"{"b":[1.0,"\u00e9"],"a":null,"stream":true,"c":{"y":1,"x":2}}"#, &["stream"])
            .unwrap();
        let b = canonical("{ \"c\":{\"x\":2,\"y\":1}, \"b\":[ 1, \"é\" ] }".as_bytes(), &["stream"]).unwrap();
        assert_eq!(a, b);
        assert_eq!(a, r#"{"b":[1,"é"],"c":{"x":2,"y":1}}"#);
        assert_ne!(canonical(br#"{"b":[2,1]}"#, &[]).unwrap(), canonical(br#"{"b":[1,2]}"#, &[]).unwrap());
    }
}
