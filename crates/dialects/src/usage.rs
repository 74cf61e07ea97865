//! Token counts in each dialect's form.

use crate::{json::Raw, response::Usage, write::Object};

/// Parses the usage of Chat Completions, Responses and compatible upstreams.
/// OpenAI includes cached tokens in the prompt's count.
pub(crate) fn of_openai(raw: Raw<'_>) -> Option<Usage> {
    let count = |names: [&str; 2]| names.iter().find_map(|name| raw.get_u64(name));
    let prompt = count(["prompt_tokens", "input_tokens"]);
    let output = count(["completion_tokens", "output_tokens"]);
    if prompt.is_none() && output.is_none() {
        return None;
    }
    let read = ["prompt_tokens_details", "input_tokens_details"].iter().find_map(|name| raw.get(name));
    let written =
        ["completion_tokens_details", "output_tokens_details"].iter().find_map(|name| raw.get(name));
    let detail = |of: Option<Raw<'_>>, name: &str| of.and_then(|details| details.get_u64(name));
    let cache_read =
        detail(read, "cached_tokens").or_else(|| raw.get_u64("prompt_cache_hit_tokens")).unwrap_or_default();
    let cache_write = detail(read, "cache_write_tokens").unwrap_or_default();
    Some(Usage {
        input: prompt.unwrap_or_default().saturating_sub(cache_read).saturating_sub(cache_write),
        cache_read,
        cache_write,
        output: output.unwrap_or_default(),
        reasoning: detail(written, "reasoning_tokens").unwrap_or_default(),
        ..Usage::default()
    })
}

/// Takes over Anthropic's counts. They are totals: a new count replaces the
/// last one, and a missing or null count keeps it.
pub(crate) fn update_from_anthropic(usage: &mut Usage, raw: Raw<'_>) {
    for (name, value) in raw.members() {
        let Some(count) = value.as_u64() else {
            match name.as_ref() {
                "cache_creation" => cache_creation(usage, value),
                "output_tokens_details" => {
                    usage.reasoning = value.get_u64("thinking_tokens").unwrap_or(usage.reasoning);
                }
                "server_tool_use" => {
                    usage.web_searches = value.get_u64("web_search_requests").unwrap_or(usage.web_searches);
                }
                _ => {}
            }
            continue;
        };
        match name.as_ref() {
            "input_tokens" => usage.input = count,
            "output_tokens" => usage.output = count,
            "cache_read_input_tokens" => usage.cache_read = count,
            // If `cache_creation` has the parts, they add up to the same
            // number.
            "cache_creation_input_tokens" if count != usage.cache_writes() => {
                usage.cache_write = count;
                usage.cache_write_long = 0;
            }
            _ => {}
        }
    }
}

fn cache_creation(usage: &mut Usage, raw: Raw<'_>) {
    let short = raw.get_u64("ephemeral_5m_input_tokens");
    let long = raw.get_u64("ephemeral_1h_input_tokens");
    if short.is_some() || long.is_some() {
        usage.cache_write = short.unwrap_or_default();
        usage.cache_write_long = long.unwrap_or_default();
    }
}

/// The member names that differ between OpenAI's two APIs.
pub(crate) struct OpenAi {
    prompt: &'static str,
    output: &'static str,
    prompt_details: &'static str,
    output_details: &'static str,
}

pub(crate) const CHAT: OpenAi = OpenAi {
    prompt: "prompt_tokens",
    output: "completion_tokens",
    prompt_details: "prompt_tokens_details",
    output_details: "completion_tokens_details",
};

pub(crate) const RESPONSES: OpenAi = OpenAi {
    prompt: "input_tokens",
    output: "output_tokens",
    prompt_details: "input_tokens_details",
    output_details: "output_tokens_details",
};

pub(crate) fn write_openai(usage: &Usage, words: &OpenAi, o: &mut Object<'_>) {
    write_openai_with(usage, words, None, o);
}

/// Writes the counts, and those of `sent` that [`Usage`] does not have.
pub(crate) fn write_openai_with(usage: &Usage, words: &OpenAi, sent: Option<Raw<'_>>, o: &mut Object<'_>) {
    let details = |name: &str| sent.and_then(|sent| sent.get(name));
    o.put(words.prompt, usage.prompt());
    o.put(words.output, usage.output);
    o.put("total_tokens", usage.total());
    o.object(words.prompt_details, |o| {
        o.put("cached_tokens", usage.cache_read);
        o.put("cache_write_tokens", usage.cache_writes());
        others(details(words.prompt_details), &["cached_tokens", "cache_write_tokens"], o);
    });
    o.object(words.output_details, |o| {
        o.put("reasoning_tokens", usage.reasoning);
        others(details(words.output_details), &["reasoning_tokens"], o);
    });
    others(
        sent,
        &[words.prompt, words.output, "total_tokens", words.prompt_details, words.output_details],
        o,
    );
}

fn others(sent: Option<Raw<'_>>, known: &[&str], o: &mut Object<'_>) {
    let members = sent.into_iter().flat_map(Raw::members);
    let others = members.filter(|(name, value)| !known.contains(&name.as_ref()) && !value.is_null());
    others.for_each(|(name, value)| o.raw(&name, value.text()));
}

pub(crate) fn write_anthropic(usage: &Usage, o: &mut Object<'_>) {
    o.put("input_tokens", usage.input);
    o.put("cache_creation_input_tokens", usage.cache_writes());
    o.put("cache_read_input_tokens", usage.cache_read);
    o.object("cache_creation", |o| {
        o.put("ephemeral_5m_input_tokens", usage.cache_write);
        o.put("ephemeral_1h_input_tokens", usage.cache_write_long);
    });
    o.put("output_tokens", usage.output);
    o.object("output_tokens_details", |o| o.put("thinking_tokens", usage.reasoning));
    o.null("server_tool_use");
    o.null("service_tier");
    o.null("inference_geo");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write;

    fn anthropic(sets: &[&str]) -> Usage {
        let mut usage = Usage::default();
        sets.iter().for_each(|set| update_from_anthropic(&mut usage, Raw::parse(set).unwrap()));
        usage
    }

    #[test]
    fn openai_includes_cached_tokens_and_anthropic_counts_them_separately() {
        let usage = anthropic(&[
            r#"{"input_tokens":3,"cache_creation_input_tokens":1000,"cache_read_input_tokens":20000,"output_tokens":7}"#,
        ]);
        let chat = write::object(|o| write_openai(&usage, &CHAT, o));
        let raw = Raw::parse(&chat).unwrap();
        assert_eq!(raw.get_u64("prompt_tokens"), Some(21_003));
        assert_eq!(raw.get_u64("total_tokens"), Some(21_010));
        assert_eq!(raw.get("prompt_tokens_details").unwrap().get_u64("cached_tokens"), Some(20_000));
        assert_eq!(of_openai(raw), Some(usage));
        let openai = r#"{"prompt_tokens":21003,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":20000}}"#;
        let usage = of_openai(Raw::parse(openai).unwrap()).unwrap();
        assert_eq!((usage.input, usage.cache_read), (1_003, 20_000));
    }

    #[test]
    fn later_counts_replace_earlier_ones() {
        let usage = anthropic(&[
            r#"{"input_tokens":8834,"output_tokens":1}"#,
            r#"{"input_tokens":18,"cache_read_input_tokens":8831,"output_tokens":9}"#,
        ]);
        assert_eq!((usage.prompt(), usage.output), (8_849, 9));
        let usage = anthropic(&[
            r#"{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1}"#,
            r#"{"input_tokens":null,"cache_read_input_tokens":null,"output_tokens":9}"#,
        ]);
        assert_eq!((usage.input, usage.cache_read, usage.output), (5, 2, 9));
    }

    #[test]
    fn short_and_long_cache_writes_are_counted_separately() {
        for order in [
            r#"{"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}"#,
            r#"{"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"cache_creation_input_tokens":30}"#,
        ] {
            let usage = anthropic(&[order]);
            assert_eq!((usage.cache_write, usage.cache_write_long), (10, 20));
        }
    }

    #[test]
    fn an_explicit_zero_is_not_a_missing_usage() {
        assert_eq!(
            of_openai(Raw::parse(r#"{"prompt_tokens":0,"completion_tokens":0}"#).unwrap()),
            Some(Usage::default())
        );
        assert_eq!(of_openai(Raw::parse("{}").unwrap()), None);
    }
}
