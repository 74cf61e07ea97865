//! Pages: just enough of HTML (WHATWG, 13.2.5) to find scripts and styles,
//! and to change a page at those places and nowhere else.

use std::ops::Range;

/// An element that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    /// In lower case.
    pub(crate) name: String,
    /// Its start tag.
    pub(crate) tag: Range<usize>,
    /// Between its tags, of `script` and `style`; empty of others.
    pub(crate) content: Range<usize>,
    /// To the end of its end tag, of `script` and `style`; of others that of the start tag.
    pub(crate) end: usize,
    attributes: Vec<Attribute>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Attribute {
    name: String,
    value: String,
    /// With its quotes.
    written: Range<usize>,
}

impl Element {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
            .map(|attribute| attribute.value.as_str())
    }

    /// Where the value of an attribute is written, with its quotes.
    pub(crate) fn place(&self, name: &str) -> Option<Range<usize>> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
            .map(|attribute| attribute.written.clone())
    }

    pub(crate) fn is_module_script(&self) -> bool {
        self.name == "script" && self.get("type").is_some_and(|kind| kind.eq_ignore_ascii_case("module"))
    }
}

/// Every element of a page, in order.
pub(crate) fn elements(page: &str) -> Vec<Element> {
    let mut elements = Vec::new();
    let mut at = 0;
    while let Some(open) = page.get(at..).and_then(|rest| rest.find('<')).map(|found| at + found) {
        let rest = page.get(open..).unwrap_or_default();
        if rest.starts_with("<!--") {
            at = rest.find("-->").map_or(page.len(), |end| open + end + 3);
        } else if rest.get(1..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic())) {
            let element = element(page, open);
            at = element.end;
            elements.push(element);
        } else {
            at = open + 1;
        }
    }
    elements
}

fn element(page: &str, open: usize) -> Element {
    let bytes = page.as_bytes();
    let at_byte = |at: usize| bytes.get(at).copied();
    let span = |from: usize, ends: &dyn Fn(u8) -> bool| {
        (from..bytes.len()).find(|at| at_byte(*at).is_some_and(ends)).unwrap_or(bytes.len())
    };
    let text = |range: Range<usize>| page.get(range).unwrap_or_default();

    let name_end = span(open + 1, &|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'));
    let name = text(open + 1..name_end).to_ascii_lowercase();
    let (mut at, mut attributes) = (name_end, Vec::new());
    loop {
        at = span(at, &|b| !b.is_ascii_whitespace() && b != b'/');
        if matches!(at_byte(at), None | Some(b'>')) {
            break;
        }
        // An `=` where a name should begin is part of the name.
        let end = span(at + 1, &|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/' | b'='));
        let name = text(at..end).to_ascii_lowercase();
        let equals = span(end, &|b| !b.is_ascii_whitespace());
        if at_byte(equals) != Some(b'=') {
            attributes.push(Attribute { name, value: String::new(), written: end..end });
            at = end;
            continue;
        }
        let start = span(equals + 1, &|b| !b.is_ascii_whitespace());
        let (value, end) = match at_byte(start) {
            Some(quote @ (b'"' | b'\'')) => {
                let close = span(start + 1, &|b| b == quote);
                (start + 1..close, (close + 1).min(bytes.len()))
            }
            _ => {
                let end = span(start, &|b| b.is_ascii_whitespace() || b == b'>');
                (start..end, end)
            }
        };
        attributes.push(Attribute { name, value: text(value).replace("&amp;", "&"), written: start..end });
        at = end;
    }
    let tag_end = (at + 1).min(bytes.len());
    let (content, end) = match name.as_str() {
        "script" | "style" | "title" | "textarea" => raw_text(page, &name, tag_end),
        _ => (tag_end..tag_end, tag_end),
    };
    Element { name, tag: open..tag_end, content, end, attributes }
}

/// What is between the tags of an element whose content is no markup.
fn raw_text(page: &str, name: &str, from: usize) -> (Range<usize>, usize) {
    let close = format!("</{name}");
    let rest = page.get(from..).unwrap_or_default();
    let found = rest
        .match_indices("</")
        .find(|(at, _)| rest.get(*at..at + close.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(&close)));
    let Some((at, _)) = found else { return (from..page.len(), page.len()) };
    let end = rest.get(at..).and_then(|tag| tag.find('>')).map_or(page.len(), |end| from + at + end + 1);
    (from..from + at, end)
}

/// Changes to a page, each at a place of the page as it was.
#[derive(Debug, Default)]
pub(crate) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    pub(crate) fn replace(&mut self, place: Range<usize>, text: impl Into<String>) {
        self.0.push((place, text.into()));
    }

    pub(crate) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// The page with all changes made; those at one place in the order in which they came.
    pub(crate) fn apply(mut self, page: &str) -> String {
        // What is inserted where something is replaced comes before it.
        self.0.sort_by_key(|(place, _)| (place.start, place.end));
        let (mut out, mut at) = (String::with_capacity(page.len()), 0);
        for (place, text) in self.0 {
            if place.start < at {
                continue;
            }
            out.push_str(page.get(at..place.start).unwrap_or_default());
            out.push_str(&text);
            at = place.end;
        }
        out.push_str(page.get(at..).unwrap_or_default());
        out
    }
}

/// A value as it is written in a tag.
pub(crate) fn quoted(value: &str) -> String {
    format!("\"{}\"", escaped(value))
}

/// As text or in a double-quoted value.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scripts_are_found_with_their_attributes_and_content() {
        let page = "<!doctype html><!-- <script src=no> --><SCRIPT type='module' async src=/a.tsx></SCRIPT>\
            <p title=\"a>b\">1 < 2<script>if (a</b/) '<p>'</script>";
        let found = elements(page);
        let names: Vec<_> = found.iter().map(|element| element.name.as_str()).collect();
        assert_eq!(names, ["script", "p", "script"]);
        assert!(found[0].is_module_script());
        assert_eq!((found[0].get("src"), found[0].get("async")), (Some("/a.tsx"), Some("")));
        assert_eq!(found[1].get("title"), Some("a>b"));
        assert_eq!(&page[found[2].content.clone()], "if (a</b/) '<p>'");
    }

    #[test]
    fn edits_change_their_places_only() {
        let page = "<script src=a></script><p>";
        let script = &elements(page)[0];
        let mut edits = Edits::default();
        edits.insert(script.tag.start, "1");
        edits.replace(script.place("src").unwrap(), quoted("b\"c"));
        edits.insert(script.tag.start, "2");
        assert_eq!(edits.apply(page), "12<script src=\"b&quot;c\"></script><p>");
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(page in "([a-z<>/=\"' !é-]|<script|</script>|<!--|-->|<p a=){0,40}") {
            let mut last = 0;
            for element in elements(&page) {
                prop_assert!(element.tag.start >= last && element.end <= page.len());
                prop_assert!(page.get(element.content.clone()).is_some());
                last = element.tag.start;
            }
            prop_assert_eq!(Edits::default().apply(&page), page);
        }
    }
}
