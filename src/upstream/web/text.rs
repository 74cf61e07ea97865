//! Extracts a page's title, description and visible text. Any bytes are accepted, and nothing of it
//! is trusted. Pure.

use super::html::{self, Piece};

/// The longest text of a page, in characters.
pub(crate) const MOST_CHARS: usize = 6_000;
/// The longest title, and the longest description.
const MOST_LINE_CHARS: usize = 300;

/// The visible content of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) title: String,
    pub(crate) description: String,
    /// Paragraphs, one per line.
    pub(crate) text: String,
}

/// Reads HTML in UTF-8; invalid bytes are replaced.
pub(crate) fn of_html(bytes: &[u8]) -> Read {
    let mut read = Read::default();
    let mut text = Lines::new(MOST_CHARS);
    let mut hidden: Option<String> = None;
    for piece in html::pieces(&String::from_utf8_lossy(bytes)) {
        match piece {
            Piece::Title(title) if read.title.is_empty() && hidden.is_none() => read.title = line(&title),
            Piece::Text(words) if hidden.is_none() => text.push(&words),
            Piece::Start { name, attributes } => {
                if name == "meta" && hidden.is_none() && read.description.is_empty() {
                    read.description = description(attributes).as_deref().map(line).unwrap_or_default();
                }
                if !INLINE.contains(&name.as_str()) {
                    text.end();
                }
                if hidden.is_none() && HIDDEN.contains(&name.as_str()) {
                    hidden = Some(name);
                }
            }
            Piece::End(name) => {
                if !INLINE.contains(&name.as_str()) {
                    text.end();
                }
                if hidden.as_ref() == Some(&name) {
                    hidden = None;
                }
            }
            Piece::Title(_) | Piece::Text(_) => {}
        }
        if text.is_full() {
            break;
        }
    }
    Read { text: text.finish(), ..read }
}

/// The description in a `<meta>` tag.
fn description(attributes: &str) -> Option<String> {
    let named = html::attribute(attributes, "name").or_else(|| html::attribute(attributes, "property"))?;
    let is_description = matches!(named.to_ascii_lowercase().as_str(), "description" | "og:description");
    if is_description { html::attribute(attributes, "content") } else { None }
}

/// Reads plain text.
pub(crate) fn of_plain(bytes: &[u8]) -> Read {
    let mut text = Lines::new(MOST_CHARS);
    for words in String::from_utf8_lossy(bytes).lines() {
        text.push(words);
        text.end();
    }
    Read { text: text.finish(), ..Read::default() }
}

/// One line of text from a snippet of HTML, such as search engines give.
pub(crate) fn of_snippet(html: &str) -> String {
    line(&of_html(html.as_bytes()).text)
}

/// `text` on one line, without control characters, at most [`MOST_LINE_CHARS`] long.
fn line(text: &str) -> String {
    let mut lines = Lines::new(MOST_LINE_CHARS);
    lines.push(text);
    lines.finish()
}

/// Collects text with normalized white space, up to a number of characters.
struct Lines {
    text: String,
    left: usize,
    gap: Gap,
}

enum Gap {
    None,
    Space,
    Line,
}

impl Lines {
    fn new(most: usize) -> Self {
        Self { text: String::new(), left: most, gap: Gap::None }
    }

    fn push(&mut self, words: &str) {
        for c in words.chars() {
            if c.is_whitespace() || c.is_control() {
                if matches!(self.gap, Gap::None) {
                    self.gap = Gap::Space;
                }
                continue;
            }
            let gap = std::mem::replace(&mut self.gap, Gap::None);
            match gap {
                _ if self.text.is_empty() => {}
                Gap::None => {}
                Gap::Space => self.put(' '),
                Gap::Line => self.put('\n'),
            }
            self.put(c);
        }
    }

    fn put(&mut self, c: char) {
        if self.left > 0 {
            self.left -= 1;
            self.text.push(c);
        }
    }

    fn end(&mut self) {
        self.gap = Gap::Line;
    }

    fn is_full(&self) -> bool {
        self.left == 0
    }

    fn finish(self) -> String {
        self.text.trim_end().to_owned()
    }
}

/// Elements with invisible content, besides those in html.rs whose content is not HTML.
const HIDDEN: &[&str] = &["template", "svg", "math", "object", "select"];

/// Elements that do not end a line of text.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd",
    "label", "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: &str = "<!doctype html><html><head><title>Acme &amp; Co\n  | Bookings</title>\
        <meta name=Description content='Bookings for &quot;small&quot; caf&eacute;s'><style>p{color:red}</style>\
        <script>var a = '<p>no</p>';</script></head><body><svg><title>Logo</title><text>x</text></svg>\
        <h1>Book <b>fast</b>er</h1><p>Free   for\n5 seats<br>No card.<!-- hidden --><noscript><p>on</p></noscript>\
        <template><p>later</p></template><ul><li>Teams<li>Reports &lt;PDF&gt;</ul><script>no()</script></body></html>";

    #[test]
    fn a_page_is_reduced_to_its_visible_text() {
        let read = of_html(PAGE.as_bytes());
        assert_eq!(read.title, "Acme & Co | Bookings");
        assert_eq!(read.description, "Bookings for \"small\" cafés");
        assert_eq!(read.text, "Book faster\nFree for 5 seats\nNo card.\nTeams\nReports <PDF>");
    }

    #[test]
    fn a_snippet_is_one_line() {
        assert_eq!(of_snippet("The <strong>best</strong> tool &#39;26\n<p>ever"), "The best tool '26 ever");
    }

    #[test]
    fn a_long_text_is_cut_by_characters() {
        let long = of_plain("é ".repeat(MOST_CHARS).as_bytes());
        assert_eq!(long.text.chars().count(), MOST_CHARS - 1);
        assert_eq!(of_html("<p>é".repeat(9_000).as_bytes()).text.chars().count(), MOST_CHARS - 1);
    }

    fn is_bounded(read: &Read) -> bool {
        let is_line =
            |text: &str| text.chars().count() <= MOST_LINE_CHARS && !text.contains(char::is_control);
        let is_text = |c: char| c == '\n' || !c.is_control();
        is_line(&read.title)
            && is_line(&read.description)
            && read.text.chars().count() <= MOST_CHARS
            && read.text.chars().all(is_text)
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_bounded_text(bytes: Vec<u8>) {
            prop_assert!(is_bounded(&of_html(&bytes)) && is_bounded(&of_plain(&bytes)));
        }

        #[test]
        fn any_mess_of_tags_has_a_bounded_text(
            parts in prop::collection::vec(prop::sample::select(vec![
                "<", ">", "</", "<p", "<p>", "<meta name=description content=", "<title>", "</title>", "<script>",
                "</script", "<!--", "-->", "<![CDATA[", "]]>", "&", "&amp", "&#x", "&#99999999;", "=", "'", "\"", "/",
                "a", "é", "\0", " ", "<svg/", "<plaintext>", "<!doctype", "<template>", "<p a=1 a=2 a>",
            ]), 0..60)
        ) {
            prop_assert!(is_bounded(&of_html(parts.concat().as_bytes())));
        }

        #[test]
        fn a_script_is_never_read(word in "[a-z]{1,9}", more in "[a-z<>/ ]{0,20}") {
            let page = format!("<p>seen<script>{word}QZ {more}</script><p>end");
            prop_assert!(!of_html(page.as_bytes()).text.contains("QZ"));
        }
    }
}
