//! Bounds the tokens of a text, to fit texts into the context of a model: too much would be refused, so the estimate is
//! rarely too small. What a text costs is estimated elsewhere, by the rule of `hatch_dialects::estimate`. A model's own
//! tokenizer needs megabytes of tables.

/// Sixths of a token.
const SIXTHS: usize = 6;
/// A run longer than this, in bytes, is not a word but a hash or an encoded image.
const LONGEST_WORD: usize = 20;

/// Estimates the tokens of a text on the high side: few texts have more. A token is three characters of English or code,
/// and one and a half of text that is not words. Letters of other alphabets count about one and a half tokens, ideographs more, emoji
/// three.
pub fn tokens_at_most(text: &str) -> u64 {
    let mut sixths = 0_usize;
    let mut word = 0_usize;
    for c in text.chars() {
        word = if c.is_ascii_alphanumeric() { word + 1 } else { 0 };
        sixths = sixths.saturating_add(match c.len_utf8() {
            1 if word > LONGEST_WORD => 4,
            1 => 2,
            2 => 4,
            3 => 8,
            _ => 18,
        });
    }
    u64::try_from(sixths.div_ceil(SIXTHS)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The counts of o200k and cl100k are between half and all of the estimate.
    #[test]
    fn an_estimate_holds_for_every_script() {
        for (text, least, most) in [
            ("The quick brown fox jumps over the lazy dog.", 10, 20),
            ("const [count, setCount] = useState<number>(0);", 13, 24),
            ("Съешь же ещё этих мягких французских булок.", 15, 40),
            ("いろはにほへとちりぬるを", 10, 24),
            ("敏捷的棕色狐狸跳过懒狗", 10, 24),
            ("👩‍👩‍👧‍👦🏳️‍🌈", 14, 40),
            ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk", 30, 60),
        ] {
            let estimate = tokens_at_most(text);
            assert!((least..=most).contains(&estimate), "{text}: {estimate}");
        }
        assert_eq!(tokens_at_most(""), 0);
    }
}
