//! Finds the root-relative addresses of a page (`/app.js`), which must be moved below another root.
//! Pure.
//!
//! A page is tokenized as in browsers (WHATWG HTML, 13.2.5), as far as needed to find addresses:
//! text, comments, titles and other attributes have none. Anyone can send a page through here, so
//! the parser reads each byte only once.

/// Attributes whose value is an address.
const ADDRESSES: &[&str] =
    &["src", "href", "xlink:href", "action", "formaction", "poster", "background", "data"];
/// Attributes whose value is a list of addresses, each with the size of its image.
const IMAGE_SETS: &[&str] = &["srcset", "imagesrcset"];
/// Elements whose content is not markup.
const RAW: &[&str] = &["style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"];

/// Moves every root-relative address of the page below `root`.
pub(super) fn below(page: &str, root: &str) -> String {
    let mut finder = Finder { page, found: Vec::new() };
    finder.read();
    let mut out = String::with_capacity(page.len() + finder.found.len() * root.len());
    let mut copied = 0;
    for at in finder.found {
        out.push_str(page.get(copied..at).unwrap_or_default());
        out.push_str(root);
        copied = at;
    }
    out.push_str(page.get(copied..).unwrap_or_default());
    out
}

/// A part of the page, and its byte offset.
#[derive(Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Piece<'a> {
    /// The rest from the byte `from` on.
    fn after(self, from: usize) -> Self {
        Self { text: self.text.get(from..).unwrap_or_default(), at: self.at + from.min(self.text.len()) }
    }

    /// The part before the first character that matches, and the rest.
    fn split(self, is_end: impl Fn(char) -> bool) -> (Self, Self) {
        self.split_at(self.text.find(is_end).unwrap_or(self.text.len()))
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        (Self { text: self.text.get(..at).unwrap_or(self.text), ..self }, self.after(at))
    }

    fn without_start(self, is_dropped: impl Fn(char) -> bool) -> Self {
        self.split(|c| !is_dropped(c)).1
    }

    /// The part after `prefix`, which is matched without regard to case.
    fn strip(self, prefix: &str) -> Option<Self> {
        starts_with(self.text, prefix).then(|| self.after(prefix.len()))
    }

    fn is(self, name: &str) -> bool {
        self.text.eq_ignore_ascii_case(name)
    }
}

struct Finder<'a> {
    page: &'a str,
    /// The byte offsets of root-relative addresses, in order.
    found: Vec<usize>,
}

impl<'a> Finder<'a> {
    fn read(&mut self) {
        let mut rest = Piece { text: self.page, at: 0 };
        while let Some(open) = rest.text.find('<') {
            rest = rest.after(open);
            rest = match rest.text.as_bytes().get(1) {
                Some(letter) if letter.is_ascii_alphabetic() => self.element(rest.after(1)),
                Some(b'!') if rest.text.starts_with("<!--") => rest.after(comment_end(rest.text)),
                Some(b'!' | b'?' | b'/') => rest.after(rest.text.find('>').unwrap_or(rest.text.len())),
                _ => rest.after(1),
            };
        }
    }

    /// Reads a start tag after its `<`, and the element's content if that is not markup. Returns
    /// the rest.
    fn element(&mut self, piece: Piece<'a>) -> Piece<'a> {
        let (name, rest) = piece.split(ends_name);
        let Some((attributes, rest)) = attributes(rest) else {
            // A tag without an end is not a tag.
            return rest.after(rest.text.len());
        };
        if name.is("meta") {
            if is(&attributes, "http-equiv", "refresh") {
                value_of(&attributes, "content").into_iter().for_each(|value| self.refresh(value));
            }
            return rest;
        }
        for (attribute, value) in &attributes {
            self.attribute(name, *attribute, *value);
        }
        if name.is("script") {
            let (content, rest) = rest.split_at(script_end(rest.text));
            if is(&attributes, "type", "importmap") {
                self.import_map(content);
            }
            return rest;
        }
        let Some(raw) = RAW.iter().find(|raw| name.is(raw)) else { return rest };
        let (content, rest) = rest.split_at(element_end(rest.text, raw));
        if *raw == "style" {
            self.style(content);
        }
        rest
    }

    fn attribute(&mut self, element: Piece<'a>, name: Piece<'a>, value: Piece<'a>) {
        let is_one_of = |names: &[&str]| names.iter().any(|one| name.is(one));
        if is_one_of(ADDRESSES) && (!name.is("data") || element.is("object")) {
            self.address(value.without_start(is_space));
        } else if is_one_of(IMAGE_SETS) {
            self.image_set(value);
        } else if name.is("style") {
            self.style(value);
        }
    }

    fn address(&mut self, address: Piece<'a>) {
        if address.text.starts_with('/') && !address.text.starts_with("//") {
            self.found.push(address.at);
        }
    }

    /// `/a.png 1x, /b.png 2x` (WHATWG HTML, 4.8.4.2.1)
    fn image_set(&mut self, value: Piece<'a>) {
        let mut rest = value;
        loop {
            rest = rest.without_start(|c| is_space(c) || c == ',');
            if rest.text.is_empty() {
                return;
            }
            self.address(rest);
            let (address, after) = rest.split(is_space);
            rest = if address.text.ends_with(',') { after } else { after.split(|c| c == ',').1 };
        }
    }

    /// `0; url=/x` (WHATWG HTML, 4.2.5.3)
    fn refresh(&mut self, value: Piece<'a>) {
        let rest = value.without_start(|c| is_space(c) || c.is_ascii_digit() || c == '.');
        let rest = rest.without_start(|c| is_space(c) || matches!(c, ';' | ','));
        let named = rest.strip("url").and_then(|rest| rest.without_start(is_space).strip("="));
        let rest = named.unwrap_or(rest).without_start(is_space);
        self.address(rest.strip("\"").or(rest.strip("'")).unwrap_or(rest));
    }

    /// Finds addresses in `url(…)` and after `@import`, outside of comments and strings.
    fn style(&mut self, sheet: Piece<'a>) {
        let mut rest = sheet;
        let mut imports = false;
        while let Some(c) = rest.text.chars().next() {
            rest = if rest.text.starts_with("/*") {
                rest.after(rest.text.find("*/").map_or(rest.text.len(), |end| end + 2))
            } else if let Some(address) = rest.strip("url(") {
                let address = address.without_start(is_space);
                imports = false;
                self.address(address.strip("\"").or(address.strip("'")).unwrap_or(address));
                if address.text.starts_with(['"', '\'']) { address } else { address.split(|c| c == ')').1 }
            } else if let Some(after) = rest.strip("@import") {
                imports = true;
                after
            } else if matches!(c, '"' | '\'') {
                if std::mem::take(&mut imports) {
                    self.address(rest.after(1));
                }
                rest.after(string_end(rest.text, c))
            } else {
                imports &= is_space(c);
                rest.after(c.len_utf8())
            };
        }
    }

    /// Finds the addresses in an import map, and its scopes. Module specifiers stay unchanged.
    fn import_map(&mut self, map: Piece<'a>) {
        let (mut rest, mut depth, mut section) = (map, 0_usize, "");
        while let Some(c) = rest.text.chars().next() {
            match c {
                '{' | '[' => depth += 1,
                '}' | ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if c != '"' {
                rest = rest.after(c.len_utf8());
                continue;
            }
            let (string, after) = rest.split_at(string_end(rest.text, '"'));
            let is_key = after.without_start(is_space).text.starts_with(':');
            if is_key && depth == 1 {
                section = string.text.trim_matches('"');
            }
            if !is_key || (depth == 2 && matches!(section, "scopes" | "integrity")) {
                self.address(string.after(1));
            }
            rest = after;
        }
    }
}

/// The attributes after a tag's name, and the text after the tag, if the tag ends.
fn attributes(tag: Piece<'_>) -> Option<(Vec<(Piece<'_>, Piece<'_>)>, Piece<'_>)> {
    let (mut found, mut rest) = (Vec::new(), tag);
    loop {
        rest = rest.without_start(|c| is_space(c) || c == '/');
        match rest.text.chars().next()? {
            '>' => return Some((found, rest.after(1))),
            first => {
                let end = |text: &str| text.find(|c| ends_name(c) || c == '=').unwrap_or(text.len());
                let length = first.len_utf8();
                let (name, after) = rest.split_at(length + end(rest.after(length).text));
                let Some(value) = after.without_start(is_space).strip("=") else {
                    rest = after;
                    continue;
                };
                let value = value.without_start(is_space);
                let quote = value.text.chars().next().filter(|c| matches!(c, '"' | '\''));
                let (value, after) = match quote {
                    Some(quote) => {
                        let (value, after) = value.after(1).split(|c| c == quote);
                        (value, after.after(1))
                    }
                    None => value.split(|c| is_space(c) || c == '>'),
                };
                found.push((name, value));
                rest = after;
            }
        }
    }
}

/// The value of the first attribute with this name.
fn value_of<'a>(attributes: &[(Piece<'a>, Piece<'a>)], name: &str) -> Option<Piece<'a>> {
    attributes.iter().find(|(given, _)| given.is(name)).map(|(_, value)| *value)
}

fn is(attributes: &[(Piece<'_>, Piece<'_>)], name: &str, value: &str) -> bool {
    value_of(attributes, name).is_some_and(|given| given.text.trim().eq_ignore_ascii_case(value))
}

/// The end of a comment; `<!-->` is a comment too.
fn comment_end(text: &str) -> usize {
    let mut ends = text.match_indices('>').map(|(at, _)| at);
    let ends_it = |at: &usize| {
        let before = |from| text.get(from..*at).unwrap_or_default();
        before(2).ends_with("--") || before(4).ends_with("--!")
    };
    ends.find(ends_it).map_or(text.len(), |at| at + 1)
}

/// The start of the end tag of an element whose content is not markup.
fn element_end(text: &str, name: &str) -> usize {
    let mut ends = text.match_indices("</").map(|(at, _)| at);
    ends.find(|at| text.get(at + 2..).is_some_and(|tag| names(tag, name))).unwrap_or(text.len())
}

/// As [`element_end`] for a script, where `<!-- <script>` opens a nested script that must end first
/// (13.2.5.15 to 13.2.5.30).
fn script_end(text: &str) -> usize {
    #[derive(PartialEq)]
    enum In {
        Script,
        Comment,
        ScriptInComment,
    }
    let (mut place, mut at) = (In::Script, 0);
    while let Some(here) = text.get(at..).and_then(|rest| Some(at + rest.find(['<', '-'])?)) {
        let rest = text.get(here..).unwrap_or_default();
        at = here + 1;
        let begins = rest.strip_prefix('<').is_some_and(|tag| names(tag, "script"));
        let ends = rest.strip_prefix("</").is_some_and(|tag| names(tag, "script"));
        place = match place {
            In::Script | In::Comment if ends => return here,
            In::Script if rest.starts_with("<!--") => {
                // The dashes of the opening may end the comment.
                at = here + 2;
                In::Comment
            }
            In::Comment | In::ScriptInComment if rest.starts_with("-->") => In::Script,
            In::Comment if begins => In::ScriptInComment,
            In::ScriptInComment if ends => In::Comment,
            same => same,
        };
    }
    text.len()
}

/// Whether a tag after its `<` or `</` has exactly this name.
fn names(tag: &str, name: &str) -> bool {
    starts_with(tag, name) && tag.get(name.len()..).is_some_and(|rest| rest.starts_with(ends_name))
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The offset after the closing quote of a string that starts with its quote.
fn string_end(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    text.len()
}

fn ends_name(c: char) -> bool {
    is_space(c) || matches!(c, '/' | '>')
}

/// White space of HTML, CSS and JSON.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `§` marks the places where the root must be inserted.
    #[track_caller]
    fn assert_inserted(marked: &str) {
        assert_eq!(below(&marked.replace('§', ""), "/p/x"), marked.replace('§', "/p/x"));
    }

    #[test]
    fn root_relative_addresses_move_below_the_apps_root() {
        for marked in [
            "<script type=\"module\" src=\"§/a.js\"></script>",
            "<a href='§/'><a href=§/b>",
            "<img alt=\"1 > 0\" src=\"§/c.svg\">",
            "<A HREF=\"§/a\"><IMG Src = §/b>",
            "<button formaction=\"§/send\">",
            "<object data=\"§/a.svg\"></object><p data=\"/a\">",
            "<svg><use xlink:href='§/i.svg#a'/></svg>",
            "<a href=\" §/blank\">",
            "<img srcset=\"§/a.png 1x, §/b.png 2x,c.png\"><source srcset='§/a.png, //host/b 2x, §/c 3x'>",
            "<link rel=preload as=image imagesrcset=\"§/a.webp 400w\">",
            "<meta http-equiv=refresh content=\"0;url=§/x\"><meta content='3; URL = §/y' http-equiv=Refresh>",
            "<meta http-equiv=refresh content=\"1, §/z\"><meta http-equiv=refresh content=\"5\">",
            "<style>a{background:url(§/x.png)} b{background: URL( '§/y.png' )} @import \"§/z.css\";@import url(§/w.css);</style>",
            "<p style=\"background:url(§/x.png)\">",
        ] {
            assert_inserted(marked);
        }
    }

    #[test]
    fn other_addresses_and_text_outside_of_tags_stay() {
        for page in [
            "<a href=\"//host/a\"><a href=\"https://host/a\"><a href=\"a/b\"><a href=\"#a\">",
            "<script>document.write('<a href=\"/a\">')</script>",
            "<!-- <a href=\"/a\"> --> href=\"/a\"",
            "<p data-src=\"/a\">",
            "<p <",
            "<style>a{} <a href=\"/a\">",
            "<SCRIPT></p><a href=\"/a\"></Script>",
            "<a title=\"see href=/x\"><a title='src=\"/x\"'>",
            "<title>see <a href=\"/x\"></title><textarea><img src=/x></textarea>",
            "<meta name=description content=\"0;url=/x\"><meta content=\"/x\">",
            "<style>/* url(/x) */ a::after{content:\"url(/x)\"} @imports \"/a\"</style>",
            "</a href=\"/x\"><!doctype href=\"/x\"><?xml href=\"/x\"?>",
            "<a href=\"/x",
        ] {
            assert_inserted(page);
        }
    }

    #[test]
    fn a_script_ends_where_browsers_end_it() {
        for marked in [
            "<script>a</scripty><a href=\"/a\"></script><a href=\"§/b\">",
            "<script>\"<!--<script>\"</script><a href='/a'>\"--></script><a href=\"§/b\">",
            "<script><!-- a </script><a href=\"§/b\">",
            "<script><!--> <script> </script><a href=\"§/b\">",
            "<script><!-- <script --> </script><a href=\"§/b\">",
            "<script><!-- <scripty> </script><a href=\"§/b\">",
            "<style></stylesheet><a href=/a></style ><a href=\"§/b\">",
        ] {
            assert_inserted(marked);
        }
    }

    #[test]
    fn comments_end_where_browsers_end_them() {
        for marked in [
            "<!--><a href=§/a>-->",
            "<!---><a href=§/a>",
            "<!-- <a href=/a> --!><a href=§/b>",
            "<!-- <a href=/a>",
        ] {
            assert_inserted(marked);
        }
    }

    #[test]
    fn an_import_map_points_below_the_root() {
        assert_inserted(
            r#"<script type="importmap">{"imports":{"a":"§/lib/a.js","/b/":"§/lib/b/","c":"./c.js","d":"https://h/d"},
            "scopes":{"§/old/":{"/a":"§/a1.js"}},"integrity":{"§/lib/a.js":"sha384-x"}}</script>"#,
        );
        assert_inserted(
            r#"<script type=importmap>{"imports":{"a\"":"§/a.js"}</script><script>{"imports":{"a":"/a.js"}}</script>"#,
        );
    }

    #[test]
    fn each_byte_of_a_page_is_read_once() {
        let page =
            "<script></script><style>url(</style><!-- --><a b='<p srcset=\"a,,,\" style=\"@import url(\">"
                .repeat(20_000);
        // With repeated scanning, these would take an hour.
        below(&page, "/p/x");
        below(&"<script><!--".repeat(100_000), "/p/x");
        below(&"<a href=\"".repeat(100_000), "/p/x");
    }

    proptest! {
        #[test]
        fn nothing_but_the_root_is_added(page in "([<>/=\"' a-z!,(){}:-]|<script|</script|<style>|<!--|-->| src=\"/| srcset=| style=\"|url\\(|@import|type=importmap>|é){0,40}") {
            prop_assert!(below(&page, "/p/x").replace("/p/x", "") == page.replace("/p/x", ""));
        }
    }
}
