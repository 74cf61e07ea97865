//! Recognises thinking in an answer: its content is a draft, so no files are extracted from it.

use super::fence::is_blank;

/// The marks with which models begin and end their thinking. An element's name may be followed by attributes.
const MARKS: [(&str, &str); 13] = [
    ("<think", "</think>"),
    ("<thinking", "</thinking>"),
    ("<thought", "</thought>"),
    ("<thoughts", "</thoughts>"),
    ("<reasoning", "</reasoning>"),
    ("<reflection", "</reflection>"),
    ("<scratchpad", "</scratchpad>"),
    ("<antthinking", "</antthinking>"),
    ("<seed:think", "</seed:think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis", "<|end|>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
];

/// The closing mark, if this line begins thinking. Marks within a sentence do not count.
pub(super) fn opening(line: &str) -> Option<&'static str> {
    let line = line.trim_start_matches(is_blank);
    let begins = |(opening, _): &&(&str, &str)| {
        let is_element = opening.starts_with('<') && !opening.starts_with("<|");
        let ends_name = |after: &str| after.starts_with(|c: char| c == '>' || c.is_whitespace());
        strip_ignoring_case(line, opening).is_some_and(|after| !is_element || ends_name(after))
    };
    MARKS.iter().find(begins).map(|(_, closing)| *closing)
}

/// The position after `closing` in this line, if the thinking ends here.
pub(super) fn end(line: &str, closing: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    lower.find(closing).map(|at| at + closing.len())
}

/// The position after a closing mark without an opening one: servers that put the opening mark into the prompt send
/// only the closing one.
pub(super) fn end_without_opening(line: &str) -> Option<usize> {
    let start = line.len() - line.trim_start_matches(is_blank).len();
    let rest = line.get(start..)?;
    let closing = MARKS.iter().map(|(_, closing)| *closing).filter(|closing| closing.starts_with("</"));
    let mut ends = closing.filter(|closing| strip_ignoring_case(rest, closing).is_some());
    ends.next().map(|closing| start + closing.len())
}

fn strip_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_begins_at_the_start_of_a_line_however_it_is_marked() {
        for (line, closing) in [
            ("<think>", "</think>"),
            ("  <THINKING>well", "</thinking>"),
            ("<think mode=\"deep\">", "</think>"),
            ("<antThinking>", "</antthinking>"),
            ("[THINK]hm", "[/think]"),
            ("◁think▷", "◁/think▷"),
            ("<|channel|>analysis<|message|>", "<|end|>"),
            ("<thoughts>", "</thoughts>"),
        ] {
            assert_eq!(opening(line), Some(closing), "{line}");
        }
        for line in ["Use <think> for it", "`<think>` is a tag", "<thinker>", "<thinkpad x>", "think", ""] {
            assert_eq!(opening(line), None, "{line}");
        }
    }

    #[test]
    fn thinking_ends_after_its_mark() {
        assert_eq!(end("so.</THINK> Done", "</think>"), Some("so.</THINK>".len()));
        assert_eq!(end("so", "</think>"), None);
        assert_eq!(end_without_opening("  </think>Done"), Some("  </think>".len()));
        assert_eq!(end_without_opening("then `</think>`"), None);
    }
}
