//! Lines and fences, by CommonMark's rules for fenced code blocks (spec 0.31, section 4.5).
//!
//! One rule is wider: a fence indented by four columns or more, which is an indented code block in CommonMark, is a fence
//! inside a list, because that is where models write them and few keep the list's own indentation exactly.

use super::path::is_invisible;

/// One line of the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Without its line end.
    pub text: &'a str,
    /// With its line end, as it was written.
    pub raw: &'a str,
}

impl Line<'_> {
    /// Whether the line has an end. Only the last line of an answer may have none.
    pub(super) fn is_ended(&self) -> bool {
        self.raw.len() > self.text.len()
    }
}

/// The first line of a text, ended by `\n`, `\r\n` or `\r`; `None` if nothing is left.
pub(super) fn first_line(text: &str) -> Option<Line<'_>> {
    if text.is_empty() {
        return None;
    }
    let Some(end) = text.bytes().position(|b| b == b'\n' || b == b'\r') else {
        return Some(Line { text, raw: text });
    };
    let (line, after) = text.split_at_checked(end)?;
    let end_len = if after.starts_with("\r\n") { 2 } else { 1 };
    Some(Line { text: line, raw: text.get(..end + end_len)? })
}

/// An opened fence: what it takes to close it and to give its lines their own indentation back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fence {
    mark: char,
    length: usize,
    indent: usize,
}

impl Fence {
    /// Reads an opening fence and its info string, trimmed. `in_list` says whether deep indentation may be a list's.
    pub(super) fn opening(text: &str, in_list: bool) -> Option<(Self, &str)> {
        let (marker, rest) = list_marker(text).unwrap_or(("", text));
        let (indent, rest) = indentation(rest);
        if marker.is_empty() && indent > 3 && !in_list {
            return None;
        }
        let mark = rest.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = rest.trim_start_matches(mark);
        let length = rest.len() - info.len();
        // Backticks after backticks are a span of code in a line of prose.
        let is_fence = length >= 3 && !(mark == '`' && info.contains('`'));
        let fence = Self { mark, length, indent: columns(marker) + indent };
        is_fence.then(|| (fence, info.trim_matches(is_blank)))
    }

    /// Whether this line closes the block: the same mark, at least as often, and nothing else.
    pub(super) fn is_closed_by(&self, text: &str) -> bool {
        let (indent, rest) = indentation(text);
        let deepest = if self.indent > 3 { self.indent + 3 } else { 3 };
        let after = rest.trim_start_matches(self.mark);
        indent <= deepest && rest.len() - after.len() >= self.length && after.chars().all(is_blank)
    }

    /// Whether `inner`, opened inside this block, would be closed by a line that could close this one.
    pub(super) fn is_shadowed_by(&self, inner: &Self) -> bool {
        self.mark == inner.mark && inner.length >= self.length
    }

    /// A line of the block without the fence's own indentation, or as much of it as the line has.
    pub(super) fn unindent<'a>(&self, raw: &'a str) -> &'a str {
        let mut column = 0;
        raw.trim_start_matches(|c| {
            let strips = column < self.indent && matches!(c, ' ' | '\t');
            column += if c == '\t' { 4 - column % 4 } else { 1 };
            strips
        })
    }
}

/// The marker of a list item (`- `, `* `, `+ `, `1. `, `1) `) with its indentation, and what follows.
pub(super) fn list_marker(text: &str) -> Option<(&str, &str)> {
    let item = text.trim_start_matches([' ', '\t']);
    let after = match item.strip_prefix(['-', '*', '+']) {
        Some(after) => after,
        None => {
            let after = item.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = item.len() - after.len();
            after.strip_prefix(['.', ')']).filter(|_| (1..=9).contains(&digits))?
        }
    };
    let content = after.trim_start_matches([' ', '\t']);
    (content.len() < after.len()).then(|| text.split_at_checked(text.len() - content.len()))?
}

/// Whether a character is invisible: white space or of zero width.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_invisible(c)
}

fn indentation(text: &str) -> (usize, &str) {
    let rest = text.trim_start_matches(|c| matches!(c, ' ' | '\t') || is_invisible(c));
    let white = text.get(..text.len() - rest.len()).unwrap_or_default();
    (columns(white), rest)
}

fn columns(text: &str) -> usize {
    text.chars().fold(0, |column, c| match c {
        '\t' => column + 4 - column % 4,
        c if is_invisible(c) => column,
        _ => column + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> Option<&str> {
        Fence::opening(text, false).map(|(_, info)| info)
    }

    fn closes(opening: &str, line: &str) -> bool {
        Fence::opening(opening, true).unwrap().0.is_closed_by(line)
    }

    #[test]
    fn lines_end_with_lf_crlf_or_cr() {
        for (text, line, raw) in [
            ("a\nb", "a", "a\n"),
            ("a\r\nb", "a", "a\r\n"),
            ("a\rb", "a", "a\r"),
            ("a", "a", "a"),
            ("\n", "", "\n"),
        ] {
            let first = first_line(text).unwrap();
            assert_eq!((first.text, first.raw), (line, raw));
        }
        assert!(first_line("").is_none());
    }

    #[test]
    fn a_fence_has_three_marks_or_more_and_an_info_string() {
        assert_eq!(info("```"), Some(""));
        assert_eq!(info("````` tsx:src/App.tsx  "), Some("tsx:src/App.tsx"));
        assert_eq!(info("~~~ js `x`"), Some("js `x`"));
        assert_eq!(info("   ```js"), Some("js"));
        assert_eq!(info("- ```js"), Some("js"));
        assert_eq!(info("\u{feff}```js"), Some("js"));
        assert_eq!(info("``"), None);
        assert_eq!(info("```js``` is inline"), None);
        assert_eq!(info("text ```js"), None);
        assert_eq!(info("    ```js"), None);
        assert!(Fence::opening("     ```js", true).is_some());
    }

    #[test]
    fn only_a_bare_fence_of_the_same_mark_and_length_closes() {
        assert!(closes("```js", "```"));
        assert!(closes("```js", "   `````  \t"));
        assert!(closes("      ```js", "      ```"));
        assert!(closes("- ```js", "  ```"));
        assert!(!closes("````", "```"));
        assert!(!closes("```", "~~~"));
        assert!(!closes("```", "```js"));
        assert!(!closes("```", "const s = \"```\";"));
        assert!(!closes("```", "    ```"));
    }

    #[test]
    fn only_the_fences_own_indentation_is_removed() {
        let (fence, _) = Fence::opening("   ```js", false).unwrap();
        assert_eq!(fence.unindent("     x\n"), "  x\n");
        assert_eq!(fence.unindent(" x\n"), "x\n");
        assert_eq!(fence.unindent("\tx\n"), "x\n");
    }
}
