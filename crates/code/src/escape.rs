//! Code that came as if it were the text of a web page: `&lt;h1&gt;` for `<h1>`.

use super::language::{extension, is_markdown};

const ENTITIES: [(&str, char); 6] =
    [("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&#39;", '\''), ("&apos;", '\''), ("&amp;", '&')];
/// What only escaped code has: the end of an element, an arrow, a conjunction, the beginning of a page.
const SIGNS: [&str; 6] = ["&lt;/", "/&gt;", "=&gt;", "&amp;&amp;", "&lt;!", "&lt;?"];

/// The content of the file at this path; unescaped where it is certain that it was escaped: it has no angle bracket of its
/// own, each `&` begins an entity, and something of it is nothing but escaped code. Text about code stays as it is.
pub(super) fn unescaped(content: String, path: &str) -> String {
    let is_text = extension(path).is_none_or(|extension| is_markdown(&extension) || extension == "txt");
    let is_escaped = !is_text
        && !content.contains(['<', '>'])
        && SIGNS.iter().any(|sign| content.contains(sign))
        && content.match_indices('&').all(|(at, _)| entity(content.get(at..).unwrap_or_default()).is_some());
    if is_escaped { unescape(&content) } else { content }
}

/// Each entity once: `&amp;lt;` is the entity `&lt;` of the file.
pub(super) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, at)) = rest.find('&').and_then(|at| rest.split_at_checked(at)) {
        plain.push_str(before);
        let (c, length) = entity(at).unwrap_or(('&', 1));
        plain.push(c);
        rest = at.get(length..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

fn entity(text: &str) -> Option<(char, usize)> {
    ENTITIES.iter().find(|(entity, _)| text.starts_with(entity)).map(|(entity, c)| (*c, entity.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_code_is_unescaped_where_that_is_certain() {
        for (path, escaped, plain) in [
            (
                "a.html",
                "&lt;!doctype html&gt;\n&lt;p title=&quot;x&quot;&gt;1 &amp;lt; 2&lt;/p&gt;",
                "<!doctype html>\n<p title=\"x\">1 &lt; 2</p>",
            ),
            ("a.js", "list.map((x) =&gt; x &amp;&amp; x.y)", "list.map((x) => x && x.y)"),
            (
                "a.tsx",
                "export default () =&gt; &lt;b&gt;it&#39;s&lt;/b&gt;",
                "export default () => <b>it's</b>",
            ),
        ] {
            assert_eq!(unescaped(escaped.to_owned(), path), plain);
        }
        for (path, content) in [
            ("a.html", "<p>1 &lt; 2 &amp;&amp; 3 =&gt; 4</p>"),
            ("a.js", "const escaped = s.replace(/x/g, '&lt;')"),
            ("a.js", "if (a & b) f('=&gt;')"),
            ("a.md", "Write &lt;p&gt; and &lt;/p&gt;"),
            ("LICENSE", "&lt;/"),
        ] {
            assert_eq!(unescaped(content.to_owned(), path), content, "{path}");
        }
    }
}
