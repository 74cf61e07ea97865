//! Splits HTML into text and tags as browsers do (WHATWG HTML, 13.2.5), as far as text extraction
//! needs it. No tree is built, so any input has pieces and no error. A crate with the whole
//! standard takes 200 KB of Wasm. Pure.

/// A piece of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Decoded.
    Text(String),
    /// The content of a `<title>`, decoded.
    Title(String),
    /// A tag, its name in lower case; see [`attribute`].
    Start {
        name: String,
        attributes: &'a str,
    },
    End(String),
}

/// Elements whose content is not HTML and ends only with their own end tag. Of these only the title
/// is visible.
const RAW: &[&str] =
    &["script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript"];

/// The pieces of a page, in order.
pub(super) fn pieces(html: &str) -> Pieces<'_> {
    Pieces { rest: html, raw: None }
}

#[derive(Debug)]
pub(super) struct Pieces<'a> {
    rest: &'a str,
    /// The element whose raw content comes next.
    raw: Option<String>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        while !self.rest.is_empty() {
            let piece = match self.raw.take() {
                Some(name) => self.raw_content(&name),
                None if !self.rest.starts_with('<') => Some(self.text(0)),
                None => self.markup(),
            };
            if piece.is_some() {
                return piece;
            }
        }
        None
    }
}

impl<'a> Pieces<'a> {
    /// Takes `length` bytes off the front, or everything.
    fn take(&mut self, length: Option<usize>) -> &'a str {
        let (taken, rest) =
            self.rest.split_at_checked(length.unwrap_or(self.rest.len())).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Text up to the next `<` after the first `least` bytes.
    fn text(&mut self, least: usize) -> Piece<'a> {
        let end = self.rest.get(least..).and_then(|rest| rest.find('<')).map(|end| end + least);
        Piece::Text(decoded(self.take(end)))
    }

    /// Reads markup that begins with `<`.
    fn markup(&mut self) -> Option<Piece<'a>> {
        let mut after = self.rest.chars().skip(1);
        match (after.next(), after.next()) {
            (Some('!'), _) if self.rest.starts_with("<!--") => self.skip_past("-->"),
            (Some('!' | '?'), _) => self.skip_past(">"),
            (Some('/'), Some(c)) if c.is_ascii_alphabetic() => self.tag(2).map(|(name, _)| Piece::End(name)),
            (Some('/'), _) => self.skip_past(">"),
            (Some(c), _) if c.is_ascii_alphabetic() => {
                let (name, attributes) = self.tag(1)?;
                if RAW.contains(&name.as_str()) {
                    self.raw = Some(name.clone());
                }
                Some(Piece::Start { name, attributes })
            }
            // A literal less-than sign.
            _ => Some(self.text(1)),
        }
    }

    fn skip_past(&mut self, end: &str) -> Option<Piece<'a>> {
        let length = self.rest.find(end).map(|at| at + end.len());
        self.take(length);
        None
    }

    /// Reads a tag whose name begins at `start`: its name and attributes. `None` when the page ends
    /// within it.
    fn tag(&mut self, start: usize) -> Option<(String, &'a str)> {
        let end = end_of_tag(self.rest);
        let tag = self.take(end.map(|end| end + 1));
        let inner = tag.get(start..end?)?;
        let length = inner.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(inner.len());
        let (name, attributes) = inner.split_at_checked(length)?;
        Some((name.to_ascii_lowercase(), attributes))
    }

    /// The content before the end tag of a raw element.
    fn raw_content(&mut self, name: &str) -> Option<Piece<'a>> {
        let is_end = |at: &usize| {
            let tag = self.rest.get(at + 2..).and_then(|rest| rest.split_at_checked(name.len()));
            tag.is_some_and(|(tag, after)| {
                tag.eq_ignore_ascii_case(name)
                    && after.chars().next().is_none_or(|c| c.is_ascii_whitespace() || matches!(c, '/' | '>'))
            })
        };
        let end = self.rest.match_indices("</").map(|(at, _)| at).find(is_end);
        let content = self.take(end);
        (name == "title").then(|| Piece::Title(decoded(content)))
    }
}

/// The offset of a tag's `>`. One inside a quoted value, which follows `=`, does not count.
fn end_of_tag(tag: &str) -> Option<usize> {
    let (mut quote, mut last) = (None, b'<');
    tag.bytes().position(|b| {
        match (quote, b) {
            (None, b'>') => return true,
            (None, b'"' | b'\'') if last == b'=' => quote = Some(b),
            (Some(open), _) if open == b => quote = None,
            _ => {}
        }
        if !b.is_ascii_whitespace() {
            last = b;
        }
        false
    })
}

/// The decoded value of a tag's attribute; the first one if it is repeated.
pub(super) fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '='));
        if rest.is_empty() {
            return None;
        }
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '=');
        let (name, after) = rest.split_at_checked(rest.find(ends).unwrap_or(rest.len()))?;
        let (value, after) = match after.trim_ascii_start().strip_prefix('=') {
            Some(after) => value(after.trim_ascii_start())?,
            None => ("", after),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(decoded(value));
        }
        rest = after;
    }
}

/// The value at the start of `text`, and the rest.
fn value(text: &str) -> Option<(&str, &str)> {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let quoted = text.strip_prefix(quote)?;
            Some(quoted.split_once(quote).unwrap_or((quoted, "")))
        }
        _ => text.split_at_checked(text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len())),
    }
}

/// The named characters that texts use, out of 2,231.
const NAMED: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("shy", '\u{ad}'),
    ("copy", '©'),
    ("reg", '®'),
    ("trade", '™'),
    ("hellip", '…'),
    ("mdash", '—'),
    ("ndash", '–'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("bull", '•'),
    ("middot", '·'),
    ("euro", '€'),
    ("pound", '£'),
    ("yen", '¥'),
    ("cent", '¢'),
    ("sect", '§'),
    ("deg", '°'),
    ("plusmn", '±'),
    ("times", '×'),
    ("rarr", '→'),
    ("larr", '←'),
    ("check", '✓'),
    ("iexcl", '¡'),
    ("iquest", '¿'),
    ("szlig", 'ß'),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("agrave", 'à'),
    ("aacute", 'á'),
    ("acirc", 'â'),
    ("atilde", 'ã'),
    ("aring", 'å'),
    ("aelig", 'æ'),
    ("ccedil", 'ç'),
    ("egrave", 'è'),
    ("eacute", 'é'),
    ("ecirc", 'ê'),
    ("euml", 'ë'),
    ("igrave", 'ì'),
    ("iacute", 'í'),
    ("icirc", 'î'),
    ("iuml", 'ï'),
    ("ntilde", 'ñ'),
    ("ograve", 'ò'),
    ("oacute", 'ó'),
    ("ocirc", 'ô'),
    ("otilde", 'õ'),
    ("oslash", 'ø'),
    ("ugrave", 'ù'),
    ("uacute", 'ú'),
    ("ucirc", 'û'),
    ("Eacute", 'É'),
    ("Agrave", 'À'),
    ("Ccedil", 'Ç'),
];

/// `text` with its character references decoded; unknown ones stay.
fn decoded(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(';').and_then(|(name, rest)| Some((character(name)?, rest))) {
            Some((c, rest)) => {
                out.push(c);
                out.push_str(rest);
            }
            None => {
                out.push('&');
                out.push_str(part);
            }
        }
    }
    out
}

fn character(name: &str) -> Option<char> {
    let code = match name.strip_prefix('#') {
        None => return NAMED.iter().find(|(known, _)| *known == name).map(|(_, c)| *c),
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        },
    };
    char::from_u32(code.ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(html: &str) -> String {
        let visible = pieces(html).filter_map(|piece| match piece {
            Piece::Text(text) => Some(text),
            _ => None,
        });
        visible.collect()
    }

    #[test]
    fn tags_and_text_are_separated_as_in_browsers() {
        for (html, seen) in [
            ("a<b>c</b>d", "acd"),
            ("1 < 2 <3 <", "1 < 2 <3 <"),
            ("<a title='>' href=\">\">x", "x"),
            ("<p data-a=it's>x", "x"),
            ("<p class = \">\" >x", "x"),
            ("a<!-- <b> -- > -->b<!doctype x>c<?php d ?>e</ f>g", "abceg"),
            ("a<!-- never ends <b>", "a"),
            ("a<script>if (a</b> && '</scripted>') {}</SCRIPT >b", "ab"),
            ("a<style>never ends", "a"),
            ("a<b never ends", "a"),
            ("&lt;b&gt; &#66;&#x1F423; &nosuch; &amp;lt; AT&T", "<b> B🐣 &nosuch; &lt; AT&T"),
        ] {
            assert_eq!(text(html), seen, "{html}");
        }
        assert!(
            pieces("<title>a <b> &amp; c</title>").any(|piece| piece == Piece::Title("a <b> & c".to_owned()))
        );
    }

    #[test]
    fn an_attribute_is_parsed_in_all_its_forms() {
        let attributes = " name=Description  CONTENT = 'a &gt; \"b\"' data-x empty='' content=second /";
        assert_eq!(attribute(attributes, "name").as_deref(), Some("Description"));
        assert_eq!(attribute(attributes, "content").as_deref(), Some("a > \"b\""));
        assert_eq!(attribute(attributes, "data-x").as_deref(), Some(""));
        assert_eq!(attribute(attributes, "empty").as_deref(), Some(""));
        assert_eq!(attribute(attributes, "x"), None);
        assert_eq!(attribute("a='never ends", "a").as_deref(), Some("never ends"));
    }

    proptest! {
        #[test]
        fn text_without_markup_is_a_single_piece(text in "[^<&]{0,40}") {
            let all: Vec<_> = pieces(&text).collect();
            let expected: Vec<_> = Some(Piece::Text(text.clone())).into_iter().filter(|_| !text.is_empty()).collect();
            prop_assert_eq!(all, expected);
        }

        #[test]
        fn escaped_text_decodes_to_itself(text in "\\PC{0,60}") {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
            prop_assert_eq!(super::tests::text(&escaped), text);
        }

        #[test]
        fn any_text_has_pieces_and_any_tag_has_attributes(html in "([<>/!'\"= a-bé&;#x-]|<script|</script|<!--|-->|<title>){0,60}") {
            for piece in pieces(&html) {
                if let Piece::Start { attributes, .. } = piece {
                    let _ = attribute(attributes, "a");
                }
            }
        }
    }
}
