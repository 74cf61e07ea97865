//! Text from a person or a model as one line of limited length. Pure.

/// The text on one line: white space and control characters become single spaces, characters that turn or hide text are
/// removed, and text longer than `most` characters is cut with `…`, after a whole word if possible.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    for c in text.chars().filter(|c| !is_hidden(*c)) {
        match c.is_whitespace() || c.is_control() {
            true if line.is_empty() || line.ends_with(' ') => {}
            true => line.push(' '),
            false => line.push(c),
        }
        // One more than `most`, and a trailing space, are enough to see that the text is too long.
        if line.len() > 4 * (most + 2) {
            break;
        }
    }
    let line = line.trim_end();
    match line.chars().count() > most {
        true => shortened(line, most),
        false => line.to_owned(),
    }
}

fn shortened(line: &str, most: usize) -> String {
    let cut: String = line.chars().take(most.saturating_sub(1)).collect();
    // A whole word is worth up to half of the length.
    let at_word =
        cut.rsplit_once(' ').map(|(words, _)| words).filter(|words| words.chars().count() * 2 >= most);
    let kept =
        at_word.unwrap_or(&cut).trim_end_matches(|c: char| c.is_whitespace() || ",;:.-–—(".contains(c));
    format!("{kept}…")
}

/// Zero-width characters, byte order mark, soft hyphen, and characters that change the direction of text. Joiners stay:
/// emoji and some scripts need them.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_text_ends_at_a_word() {
        assert_eq!(one_line("  one\n\ttwo \u{202e}three\0", 20), "one two three");
        assert_eq!(one_line("one two three", 13), "one two three");
        assert_eq!(one_line("one two three", 12), "one two…");
        assert_eq!(one_line("日本の農家のための市場", 5), "日本の農…");
        assert_eq!(one_line("👩\u{200d}🌾", 5), "👩\u{200d}🌾");
        assert_eq!(one_line("x", 0), "…");
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_short_line(text in "(\\PC|\\pC|[ \n]){0,300}", most in 1..80_usize) {
            let line = one_line(&text, most);
            prop_assert!(line.chars().count() <= most);
            prop_assert!(!line.contains(|c: char| c.is_control() || is_hidden(c)));
            prop_assert_eq!(one_line(&line, most), line.clone());
        }
    }
}
