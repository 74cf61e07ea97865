//! JSON with comments and commas too many, as tsconfig.json is.

use serde_json::Value;

/// The value, if it is one once comments and trailing commas are gone.
pub(super) fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(&plain(text)).ok()
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => string(rest),
            '/' if rest.starts_with("//") => {
                rest = rest.find('\n').and_then(|at| rest.get(at..)).unwrap_or_default();
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = rest.get(2..).and_then(|rest| rest.split_once("*/")).map_or("", |(_, after)| after);
                continue;
            }
            ']' | '}' => {
                let kept = out.trim_end();
                let kept = kept.strip_suffix(',').unwrap_or(kept).len();
                out.truncate(kept);
                1
            }
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        out.push_str(token);
        rest = after;
    }
    out
}

/// The length of the string at the beginning of `rest`.
fn string(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn comments_and_trailing_commas_are_no_part_of_the_value() {
        let text = "\u{feff}{ // a\n \"a\": [1, 2, /* , */ ], \"b\": \"// \\\" /* */ ,]\", }";
        assert_eq!(parse(text), Some(json!({"a": [1, 2], "b": "// \" /* */ ,]"})));
        assert_eq!(parse("{"), None);
        assert_eq!(parse("/*"), None);
    }

    proptest! {
        #[test]
        fn json_is_read_as_it_is(keys in proptest::collection::vec(("\\PC{0,9}", "\\PC{0,9}"), 0..5)) {
            let value = json!(keys);
            prop_assert_eq!(parse(&value.to_string()), Some(value));
        }

        #[test]
        fn any_text_can_be_read(text in "(\\PC|[\"\\\\/*\n,}]){0,60}") {
            parse(&text);
        }
    }
}
