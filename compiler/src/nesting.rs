//! How deep brackets go. The parser calls itself for each level, and in Wasm
//! the stack ends after some thousands, with a trap that names no file.

/// The most levels that are compiled. People stay under 50.
const DEEPEST: usize = 600;

/// The byte where brackets go deeper than can be compiled, if they do.
///
/// A reading by the byte, not by the grammar: a regular expression or a text
/// in JSX may mislead it by a bracket or two, which is why the limit is far
/// from what anybody writes.
pub(crate) fn too_deep(source: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut bytes = source.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            // A string ends with its line, so a lone apostrophe ends there too.
            b'"' | b'\'' => {
                let mut escaped = false;
                for (_, next) in bytes.by_ref() {
                    if next == b'\n' || (next == byte && !escaped) {
                        break;
                    }
                    escaped = next == b'\\' && !escaped;
                }
            }
            b'/' if bytes.peek().is_some_and(|(_, next)| *next == b'/') => {
                bytes.by_ref().find(|(_, next)| *next == b'\n');
            }
            _ => {}
        }
        if depth > DEEPEST {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_deep_is_found_where_it_gets_so() {
        assert_eq!(too_deep(&"(".repeat(100_000)), Some(DEEPEST));
        assert_eq!(too_deep(&"[(".repeat(DEEPEST)), Some(DEEPEST));
    }

    #[test]
    fn brackets_that_close_or_are_text_do_not_count() {
        for source in ["(){}[]", "':('\n", "\":(\\\"((\"\n", "// :(((\n", "it's (\n)"] {
            assert_eq!(too_deep(&source.repeat(10_000)), None, "{source}");
        }
    }
}
