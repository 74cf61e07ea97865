//! Computes the cost of an answer, in whole micro-dollars. What a provider has not counted is estimated by the rule of
//! [`hatch_dialects::estimate`]. The gateway, which sees the pieces of an answer, counts at least a token for each.

use hatch_dialects::{Pricing, Usage, estimate};
use hatch_wire::anthropic::Message;

use super::model::{Model, Prices};

/// OpenAI and Anthropic both charge ten dollars for a thousand web searches.
const WEB_SEARCH_MICRO_USD: u64 = 10_000;

impl Pricing for Model {
    fn cost(&self, usage: &Usage) -> i64 {
        self.cost_micro_usd(usage).unwrap_or_default()
    }
}

impl Model {
    /// The cost of these tokens, rounded up. None if the model's prices are not
    /// known.
    pub(crate) fn cost_micro_usd(&self, usage: &Usage) -> Option<i64> {
        let prices = self.prices_of(usage.prompt())?;
        let parts = [
            (usage.input, prices.input),
            (usage.cache_read, prices.cache_read),
            (usage.cache_write, prices.cache_write),
            (usage.cache_write_long, prices.cache_write_long),
            (usage.output, prices.output),
        ];
        // The counts come from another server, so no value may make the sum overflow.
        let sum = parts
            .iter()
            .map(|(tokens, price)| u128::from(*tokens).saturating_mul(u128::from(*price)))
            .fold(0, u128::saturating_add);
        let searches = u128::from(usage.web_searches).saturating_mul(u128::from(WEB_SEARCH_MICRO_USD));
        let micro = sum.div_ceil(1_000_000).saturating_add(searches);
        Some(i64::try_from(micro).unwrap_or(MOST).min(MOST))
    }

    /// The most that an answer of `output` tokens to a prompt of `prompt` tokens
    /// can cost. Writing the whole prompt to the long cache costs most.
    pub(crate) fn most_micro_usd(&self, prompt: u64, output: u64) -> Option<i64> {
        let usage = Usage { cache_write_long: prompt, output, ..Usage::default() };
        let dearest = Usage { input: prompt, cache_write_long: 0, ..usage };
        Some(self.cost_micro_usd(&usage)?.max(self.cost_micro_usd(&dearest)?))
    }

    fn prices_of(&self, prompt: u64) -> Option<Prices> {
        match self.above {
            Some(above) if prompt > above.tokens => Some(above.prices),
            _ => self.prices,
        }
    }
}

/// An upper bound that JavaScript's numbers represent exactly. No answer costs as much.
const MOST: i64 = 1 << 50;

/// The tokens of an answer in Claude's events. Those that the provider has not counted, as in an interrupted
/// answer, are estimated: those of the answer from its text and thoughts, those of the question are `prompt_tokens`.
pub(crate) fn counted(message: &Message, prompt_tokens: u64) -> Usage {
    let by_provider = &message.usage;
    let mut usage = Usage {
        input: by_provider.input_tokens,
        cache_read: by_provider.cache_read_input_tokens,
        cache_write: by_provider.cache_creation_input_tokens,
        output: by_provider.output_tokens,
        web_searches: message.web_searches,
        ..Usage::default()
    };
    if !message.is_complete() || !message.has_output_count() {
        // Of thoughts only the bytes are known. As of a Latin text, about four of them are a token.
        let arrived = estimate(&message.text).saturating_add(message.thinking_bytes / 4);
        usage.output = usage.output.max(arrived);
    }
    if usage.prompt() == 0 {
        usage.input = prompt_tokens;
    }
    usage
}

#[cfg(test)]
mod tests {
    use hatch_dialects::{Dialect, Reader};
    use proptest::prelude::*;

    use super::*;
    use crate::models::model::Above;

    fn model() -> Model {
        let prices = |factor: u64| Prices {
            input: 100_000 * factor,
            output: 500_000 * factor,
            cache_read: 10_000 * factor,
            cache_write: 125_000 * factor,
            cache_write_long: 200_000 * factor,
        };
        Model {
            prices: Some(prices(1)),
            above: Some(Above { tokens: 100_000, prices: prices(5) }),
            ..Model::for_test("a/haiku")
        }
    }

    #[test]
    fn each_token_is_priced_once_by_its_kind() {
        let usage = Usage { input: 3, cache_write: 1_000, cache_read: 20_000, output: 7, ..Usage::default() };
        // 0.3 + 125 + 200 + 3.5
        assert_eq!(model().cost_micro_usd(&usage), Some(329));
        assert_eq!(Model { prices: None, above: None, ..model() }.cost_micro_usd(&usage), None);
    }

    #[test]
    fn a_long_prompt_pays_the_upper_tier_for_all_its_tokens() {
        let cost = |input| model().cost_micro_usd(&Usage { input, ..Usage::default() });
        assert_eq!((cost(100_000), cost(100_001)), (Some(10_000), Some(50_001)));
    }

    proptest! {
        #[test]
        fn the_reserved_amount_is_never_less_than_the_cost(
            parts in prop::array::uniform4(0_u64..60_000), output in 0_u64..200_000
        ) {
            let [input, cache_read, cache_write, cache_write_long] = parts;
            let usage = Usage { input, cache_read, cache_write, cache_write_long, output, ..Usage::default() };
            let most = model().most_micro_usd(usage.prompt(), output).unwrap();
            prop_assert!(model().cost_micro_usd(&usage).unwrap() <= most);
        }

        #[test]
        fn no_token_count_makes_the_price_overflow(parts in prop::array::uniform4(any::<u64>()), output in any::<u64>()) {
            let [input, cache_read, cache_write, web_searches] = parts;
            let usage = Usage { input, cache_read, cache_write, output, web_searches, ..Usage::default() };
            prop_assert!((0..=MOST).contains(&model().cost_micro_usd(&usage).unwrap()));
        }
    }

    #[test]
    fn an_interrupted_answer_of_one_piece_costs_as_much_in_the_chat_as_at_the_gateway() {
        for text in ["const limit = 10;", "Größe", "いろはにほへと", "🚀🎉"] {
            let delta = format!(
                r#"data: {{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
            );
            let start =
                r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
            let stream = format!("{start}\n\n{delta}\n\n");
            let mut reader = Reader::new(Dialect::Messages);
            reader.push(stream.as_bytes());
            let (at_gateway, is_estimate) = reader.meter().charged(100);
            assert!(is_estimate);
            assert_eq!(counted(&Message::of(stream.as_bytes()), 100), at_gateway, "{text}");
        }
    }

    #[test]
    fn tokens_that_are_not_counted_are_estimated_and_never_free() {
        let answer = |usage: &str| {
            let text = "x".repeat(30_000);
            let start = format!(r#"data: {{"type":"message_start","message":{{"model":"claude"{usage}}}}}"#);
            let delta = format!(
                r#"data: {{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
            );
            let end = r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":null}"#;
            let stop = r#"data: {"type":"message_stop"}"#;
            Message::of(format!("{start}\n\n{delta}\n\n{end}\n\n{stop}\n\n").as_bytes())
        };
        for usage in ["", r#","usage":null"#, r#","usage":{"output_tokens":1}"#] {
            let usage = counted(&answer(usage), 1_000);
            assert!(usage.input == 1_000 && usage.output > 30_000 / 5, "{usage:?}");
        }
    }

    #[test]
    fn thoughts_without_a_word_of_the_answer_are_not_free() {
        let thought = r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Well, well."}}"#;
        let message = Message::of(format!("{thought}\n\n").repeat(1_000).as_bytes());
        assert!(message.text.is_empty() && !message.is_empty());
        assert!(counted(&message, 10).output > 2_000);
    }
}
