//! What each Claude model accepts and costs. The 5.5 generation refuses settings that older models
//! accept, so only settings in this table are sent.

use hatch_wire::anthropic::{Message, Usage};
use serde_json::{Value, json};

/// The thinking setting for a chat without tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thinking {
    /// Thinks only between tool calls, so text arrives at once.
    BetweenTools,
    /// Always thinks; summaries keep the stream from falling silent.
    Always,
    /// Thinks only on request.
    Optional,
}

/// Prices in micro-dollars per million tokens.
#[derive(Debug, Clone, Copy)]
struct Prices {
    input: u64,
    output: u64,
    cache_write: u64,
    cache_read: u64,
}

/// One model.
#[derive(Debug)]
pub(crate) struct Model {
    id: &'static str,
    max_output: u32,
    thinking: Thinking,
    prices: Prices,
    /// The prices of prompts with more than this many tokens.
    above: Option<(u64, Prices)>,
}

const fn prices(input: u64, output: u64, cache_write: u64, cache_read: u64) -> Prices {
    Prices { input, output, cache_write, cache_read }
}

static MODELS: &[Model] = &[
    Model {
        id: "claude-sonnet-5-5",
        max_output: 128_000,
        thinking: Thinking::BetweenTools,
        prices: prices(2_000_000, 10_000_000, 2_500_000, 100_000),
        above: None,
    },
    Model {
        id: "claude-opus-5-5",
        max_output: 128_000,
        thinking: Thinking::Always,
        prices: prices(4_000_000, 20_000_000, 5_000_000, 200_000),
        above: None,
    },
    Model {
        id: "claude-haiku-5-5",
        max_output: 128_000,
        thinking: Thinking::Optional,
        prices: prices(100_000, 500_000, 125_000, 10_000),
        above: Some((100_000, prices(500_000, 2_500_000, 625_000, 50_000))),
    },
    Model {
        id: "claude-fable-5-1",
        max_output: 128_000,
        thinking: Thinking::Always,
        prices: prices(10_000_000, 50_000_000, 12_500_000, 250_000),
        above: None,
    },
    Model {
        id: "claude-fable-5-2",
        max_output: 128_000,
        thinking: Thinking::Always,
        prices: prices(8_000_000, 40_000_000, 10_000_000, 200_000),
        above: None,
    },
    Model {
        id: "claude-opus-5",
        max_output: 128_000,
        thinking: Thinking::Optional,
        prices: prices(5_000_000, 25_000_000, 6_250_000, 500_000),
        above: None,
    },
    Model {
        id: "claude-sonnet-5",
        max_output: 128_000,
        thinking: Thinking::Optional,
        prices: prices(2_000_000, 10_000_000, 2_500_000, 200_000),
        above: None,
    },
    Model {
        id: "claude-haiku-4-5",
        max_output: 64_000,
        thinking: Thinking::Optional,
        prices: prices(1_000_000, 5_000_000, 1_250_000, 100_000),
        above: None,
    },
];

/// A search with the API's own tool: ten dollars per thousand.
const WEB_SEARCH_MICRO_USD: i64 = 10_000;

/// Enough for an app of many files, and within every model's limit.
const MAX_TOKENS: u32 = 32_000;

/// Model names that front ends use without a version.
const ALIASES: &[(&str, &str)] = &[
    ("opus-4.5", "claude-opus-5-5"),
    ("sonnet-4.5", "claude-sonnet-5-5"),
    ("haiku-4.5", "claude-haiku-5-5"),
];

/// The id that Claude's API uses for a model: the id itself, or the current model for an alias;
/// `None` for other models.
pub(crate) fn resolve(name: &str) -> Option<&str> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, id)| *id);
    alias.or_else(|| find(name).map(|_| name))
}

/// The table row of a model; dated names (`claude-haiku-4-5-20251001`) match too.
fn find(id: &str) -> Option<&'static Model> {
    let dated = |model: &&Model| {
        let date = id.strip_prefix(model.id).and_then(|rest| rest.strip_prefix('-'));
        date.is_some_and(|date| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))
    };
    MODELS.iter().find(|model| model.id == id).or_else(|| MODELS.iter().find(dated))
}

/// `max_tokens` of a chat with this model.
pub(super) fn max_tokens(id: &str) -> u32 {
    find(id).map_or(8_192, |model| model.max_output.min(MAX_TOKENS))
}

/// `thinking` for a chat with this model; `None` to leave it out.
pub(super) fn thinking(id: &str) -> Option<Value> {
    match find(id)?.thinking {
        Thinking::BetweenTools => Some(json!({ "type": "between_tools" })),
        Thinking::Always => Some(json!({ "type": "adaptive", "display": "summarized" })),
        Thinking::Optional => None,
    }
}

/// The cost of an answer in micro-dollars, rounded up; `None` for a model without known prices.
pub(crate) fn cost_micro_usd(id: &str, usage: &Usage) -> Option<u64> {
    let model = find(id)?;
    let prompt = usage.read_tokens();
    let prices = match model.above {
        Some((tokens, prices)) if prompt > tokens => prices,
        _ => model.prices,
    };
    let parts = [
        (usage.input_tokens, prices.input),
        (usage.output_tokens, prices.output),
        (usage.cache_creation_input_tokens, prices.cache_write),
        (usage.cache_read_input_tokens, prices.cache_read),
    ];
    // The counts come from a server, so the sum must not overflow.
    let cost = parts
        .into_iter()
        .fold(0_u64, |sum, (tokens, price)| sum.saturating_add(tokens.saturating_mul(price)));
    Some(cost.div_ceil(1_000_000))
}

/// The highest possible cost in micro-dollars of an answer to a prompt of about `prompt_tokens`:
/// half as many tokens again, nothing cached, the longest answer. A model without known prices
/// counts as the most expensive one.
pub(crate) fn most_micro_usd(id: &str, prompt_tokens: u64) -> i64 {
    let tokens = prompt_tokens.saturating_add(prompt_tokens / 2);
    let output_tokens = u64::from(max_tokens(id));
    let usage = Usage { cache_creation_input_tokens: tokens, output_tokens, ..Usage::default() };
    cost_of_tokens(id, &usage)
}

/// The cost of an answer in micro-dollars, with its web searches. Tokens that the API has not
/// counted, as in an interrupted answer, are estimated: those of the answer from its text, those of
/// the question from `prompt_tokens`.
pub(crate) fn cost_of_answer(id: &str, message: &Message, prompt_tokens: u64) -> i64 {
    let mut usage = message.usage.clone();
    if !message.is_complete() || !message.has_output_count() {
        usage.output_tokens = usage.output_tokens.max(hatch_code::tokens(&message.text));
    }
    if usage.read_tokens() == 0 {
        usage.input_tokens = prompt_tokens;
    }
    let model = message.model.as_deref().filter(|model| find(model).is_some()).unwrap_or(id);
    let searches =
        i64::try_from(message.web_searches).unwrap_or(i64::MAX).saturating_mul(WEB_SEARCH_MICRO_USD);
    cost_of_tokens(model, &usage).saturating_add(searches)
}

/// The cost of these tokens in micro-dollars. A model without known prices counts as the most
/// expensive one.
pub(crate) fn cost_of_tokens(id: &str, usage: &Usage) -> i64 {
    let dearest = || MODELS.iter().filter_map(|model| cost_micro_usd(model.id, usage)).max();
    let cost = cost_micro_usd(id, usage).or_else(dearest).unwrap_or_default();
    i64::try_from(cost).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input_tokens: input, output_tokens: output, ..Usage::default() }
    }

    #[test]
    fn cost_is_exact_and_rounded_up() {
        assert_eq!(cost_micro_usd("claude-sonnet-5-5", &usage(1_000, 100)), Some(3_000));
        assert_eq!(cost_micro_usd("claude-haiku-5-5", &usage(1, 0)), Some(1));
        assert_eq!(cost_micro_usd("sandbox", &usage(1, 1)), None);
        assert_eq!(
            cost_micro_usd("claude-sonnet-5-5", &usage(u64::MAX, u64::MAX)),
            Some(u64::MAX.div_ceil(1_000_000))
        );
    }

    #[test]
    fn every_model_has_the_prices_of_the_published_tables() {
        let of = |id: &str, usage: Usage| cost_micro_usd(id, &usage).unwrap();
        let million = 1_000_000;
        // Micro-dollars per million tokens: input, output, cache write, cache read.
        for (id, input, output, write, read) in [
            ("claude-sonnet-5-5", 2_000_000, 10_000_000, 2_500_000, 100_000),
            ("claude-opus-5-5", 4_000_000, 20_000_000, 5_000_000, 200_000),
            ("claude-haiku-5-5", 500_000, 500_000, 625_000, 50_000),
            ("claude-fable-5-1", 10_000_000, 50_000_000, 12_500_000, 250_000),
            ("claude-fable-5-2", 8_000_000, 40_000_000, 10_000_000, 200_000),
            ("claude-sonnet-5", 2_000_000, 10_000_000, 2_500_000, 200_000),
            ("claude-opus-5", 5_000_000, 25_000_000, 6_250_000, 500_000),
            ("claude-haiku-4-5", 1_000_000, 5_000_000, 1_250_000, 100_000),
        ] {
            let (written, reread) = (
                Usage { cache_creation_input_tokens: million, ..Usage::default() },
                Usage { cache_read_input_tokens: million, ..Usage::default() },
            );
            let costs =
                (of(id, usage(million, 0)), of(id, usage(0, million)), of(id, written), of(id, reread));
            assert_eq!(costs, (input, output, write, read), "{id}");
        }
    }

    #[test]
    fn tokens_that_are_not_counted_are_estimated_and_never_free() {
        let answer = |usage: &str| {
            let text = "x".repeat(30_000);
            let start = format!(
                r#"data: {{"type":"message_start","message":{{"model":"claude-sonnet-5-5"{usage}}}}}"#
            );
            let delta = format!(
                r#"data: {{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
            );
            let end = r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":null}"#;
            let stop = r#"data: {"type":"message_stop"}"#;
            Message::of(format!("{start}\n\n{delta}\n\n{end}\n\n{stop}\n\n").as_bytes())
        };
        for usage in ["", r#","usage":null"#, r#","usage":{"output_tokens":1}"#] {
            let cost = cost_of_answer("claude-sonnet-5-5", &answer(usage), 1_000);
            assert!(cost > 2_000 + 10 * 30_000 / 5, "{usage}: {cost}");
        }
    }

    #[test]
    fn a_long_prompt_pays_the_upper_tier() {
        assert_eq!(cost_micro_usd("claude-haiku-5-5", &usage(100_000, 0)), Some(10_000));
        assert_eq!(cost_micro_usd("claude-haiku-5-5", &usage(100_001, 0)), Some(50_001));
    }

    #[test]
    fn the_reserved_amount_is_never_less_than_the_cost() {
        for model in MODELS {
            let most = most_micro_usd(model.id, 100_000);
            let usage =
                Usage { cache_creation_input_tokens: 150_000, ..usage(0, u64::from(max_tokens(model.id))) };
            assert!(
                i64::try_from(cost_micro_usd(model.id, &usage).unwrap()).unwrap() <= most,
                "{}",
                model.id
            );
            assert!(most <= most_micro_usd("of-tomorrow", 100_000) || max_tokens(model.id) > 8_192);
        }
    }

    #[test]
    fn a_name_is_resolved_to_an_id_that_the_api_knows_or_to_none() {
        for (alias, id) in ALIASES {
            assert_eq!(resolve(alias), Some(*id));
            assert!(find(id).is_some(), "{id}");
        }
        assert_eq!(resolve("claude-haiku-4-5-20251001"), Some("claude-haiku-4-5-20251001"));
        for name in ["gpt-5.2-codex", "opus", "claude", "", "claude-opus-99"] {
            assert_eq!(resolve(name), None, "{name}");
        }
    }

    #[test]
    fn a_dated_name_is_its_model() {
        assert_eq!(max_tokens("claude-haiku-4-5-20251001"), 32_000);
        assert_eq!(max_tokens("claude-haiku-4-5-preview"), 8_192);
        assert_eq!(thinking("claude-sonnet-5"), None);
    }

    #[test]
    fn no_model_gets_a_setting_that_it_refuses() {
        let kind = |model| thinking(model).map(|thinking| thinking["type"].clone());
        assert_eq!(kind("claude-sonnet-5-5"), Some(json!("between_tools")));
        assert_eq!(
            thinking("claude-opus-5-5").map(|thinking| thinking["display"].clone()),
            Some(json!("summarized"))
        );
        assert_eq!(thinking("claude-haiku-4-5"), None);
    }
}
