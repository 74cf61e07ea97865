//! JSON as configuration files have it: with comments and trailing commas.

use serde::de::DeserializeOwned;

/// Reads it; none when it is no JSON even so.
pub(crate) fn lenient<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(&plain(text)).ok()
}

/// The same without comments and trailing commas.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                plain.push(c);
                let mut escaped = false;
                for next in chars.by_ref() {
                    plain.push(next);
                    if next == '"' && !escaped {
                        break;
                    }
                    escaped = next == '\\' && !escaped;
                }
            }
            '/' if chars.peek() == Some(&'/') => {
                chars.by_ref().find(|next| *next == '\n');
            }
            '/' if chars.peek() == Some(&'*') => {
                chars.next();
                let mut last = ' ';
                for next in chars.by_ref() {
                    if last == '*' && next == '/' {
                        break;
                    }
                    last = next;
                }
            }
            '}' | ']' => {
                let kept = plain.trim_end().trim_end_matches(',').len();
                plain.truncate(kept);
                plain.push(c);
            }
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn comments_and_trailing_commas_are_read_over() {
        let text = "{ // one\n \"a\": \"x // y, /* z */ \\\"\", /* two\n */ \"b\": [1, 2, ], }";
        assert_eq!(lenient::<Value>(text), Some(json!({ "a": "x // y, /* z */ \"", "b": [1, 2] })));
        assert_eq!(lenient::<Value>("{ oops"), None);
    }
}
