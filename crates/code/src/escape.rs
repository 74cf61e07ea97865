//! Unescapes code that a model wrote with HTML entities: `&lt;h1&gt;` for `<h1>`.

use super::language::{extension, is_markdown};

const ENTITIES: [(&str, char); 6] =
    [("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&#39;", '\''), ("&apos;", '\''), ("&amp;", '&')];
/// Signs that occur only in escaped code: a closing tag, an arrow, `&&`, a doctype.
const SIGNS: [&str; 6] = ["&lt;/", "/&gt;", "=&gt;", "&amp;&amp;", "&lt;!", "&lt;?"];

/// Unescapes a file's content if it was certainly escaped: it has no angle bracket, each `&` begins an entity, and it
/// has one of the signs. Text about code stays unchanged.
pub(super) fn unescaped(content: String, path: &str) -> String {
    let is_text = extension(path).is_none_or(|extension| is_markdown(&extension) || extension == "txt");
    let is_escaped = !is_text
        && !content.contains(['<', '>'])
        && SIGNS.iter().any(|sign| content.contains(sign))
        && content.match_indices('&').all(|(at, _)| entity(content.get(at..).unwrap_or_default()).is_some());
    if is_escaped { unescape(&content) } else { content }
}

/// Unescapes each entity once: `&amp;lt;` becomes `&lt;`.
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
