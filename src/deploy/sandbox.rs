//! What a hosted page needs at `/p/:slug/`, beside the API and in an origin
//! that is nobody's: storage, and a root of its own. Pure.

/// Stands in for the storage that a sandboxed page may not touch: a script
/// that only reads a setting from it would stop there. Lasts as long as the page.
pub(super) const STORAGE: &str = "<script>for(const name of['localStorage','sessionStorage'])try{self[name]}catch{\
    const kept=new Map;Object.defineProperty(self,name,{value:{\
    getItem:key=>kept.get(String(key))??null,setItem(key,value){kept.set(String(key),String(value))},\
    removeItem(key){kept.delete(String(key))},clear(){kept.clear()},\
    key:index=>[...kept.keys()][index]??null,get length(){return kept.size}}})}</script>";

/// The page as it is served below `root`, which is `/p/slug`.
pub(super) fn page(page: &str, root: &str) -> String {
    with_script(&below(page, root), STORAGE)
}

/// The page with a script before all else. Nothing may stand before a page's
/// doctype, or browsers lay it out as they did in the nineties.
pub(super) fn with_script(page: &str, script: &str) -> String {
    let start = before_doctype(page.trim_start_matches(is_blank));
    let has_doctype = start.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype"));
    let after = if has_doctype { start.split_once('>') } else { None };
    match after {
        Some((doctype, rest)) => format!("{doctype}>{script}{rest}"),
        None => format!("{script}{page}"),
    }
}

/// A byte order mark counts as white space here, as nobody is to see it.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// The page without the comments that may stand before its doctype, of which
/// `<?xml …?>` is one (WHATWG HTML, 13.2.6.4.1).
fn before_doctype(page: &str) -> &str {
    let mut rest = page;
    loop {
        let after = match rest {
            _ if rest.starts_with("<!--") => rest.split_once("-->"),
            _ if rest.starts_with("<?") => rest.split_once('>'),
            _ => None,
        };
        let Some((_, after)) = after else { return rest };
        rest = after.trim_start_matches(is_blank);
    }
}

/// Attributes whose value is an address.
const ADDRESSES: &[&str] = &["src", "href", "action", "poster"];

/// The page with the addresses in its tags that begin at the root (`/app.js`)
/// below `root` instead: the API's root is not the app's.
fn below(page: &str, root: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(page.len() + 64), page);
    while let Some((before, from_tag)) = rest.find('<').and_then(|open| rest.split_at_checked(open)) {
        out.push_str(before);
        let end = if from_tag.starts_with("<!--") {
            from_tag.find("-->").map(|end| end + 3)
        } else {
            tag_end(from_tag)
        };
        let (tag, after) = from_tag.split_at_checked(end.unwrap_or(from_tag.len())).unwrap_or((from_tag, ""));
        out.push_str(&if tag.starts_with("<!--") { tag.to_owned() } else { with_addresses_below(tag, root) });
        // What is inside of a script or a style is no markup.
        let raw = ["script", "style"].into_iter().find(|name| is_tag(tag, name));
        let content = raw.map_or(0, |name| closing_tag(after, name).unwrap_or(after.len()));
        let (content, after) = after.split_at_checked(content).unwrap_or((after, ""));
        out.push_str(content);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Where `</name` begins. Every page of others' making comes through here, for
/// anybody who asks: what is read once is not read again.
fn closing_tag(text: &str, name: &str) -> Option<usize> {
    let is_named =
        |at: usize| text.get(at + 2..at + 2 + name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name));
    text.match_indices("</").map(|(at, _)| at).find(|at| is_named(*at))
}

fn is_tag(tag: &str, name: &str) -> bool {
    let given = tag.get(1..=name.len()).unwrap_or_default();
    given.eq_ignore_ascii_case(name)
        && !tag.get(name.len() + 1..).is_some_and(|t| t.starts_with(|c: char| c.is_alphanumeric()))
}

/// Where a tag ends: at a `>` outside of quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at + 1),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

fn with_addresses_below(tag: &str, root: &str) -> String {
    let (mut out, mut copied) = (String::with_capacity(tag.len() + root.len()), 0);
    for (space, _) in tag.match_indices(|c: char| c.is_ascii_whitespace()) {
        if let Some(slash) = address_from_root(tag, space + 1) {
            out.push_str(tag.get(copied..slash).unwrap_or_default());
            out.push_str(root);
            copied = slash;
        }
    }
    out.push_str(tag.get(copied..).unwrap_or_default());
    out
}

/// Where the address begins that the attribute at `start` has, if that is one
/// from the root.
fn address_from_root(tag: &str, start: usize) -> Option<usize> {
    let attribute = tag.get(start..)?;
    let value = ADDRESSES.iter().find_map(|name| attribute.strip_prefix(name)?.strip_prefix('='))?;
    let address = value.strip_prefix(['"', '\'']).unwrap_or(value);
    let is_from_root = address.starts_with('/') && !address.starts_with("//");
    is_from_root.then_some(tag.len() - address.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sandboxed_page_has_its_storage_right_after_its_doctype() {
        assert_eq!(with_script("\n<!DOCTYPE html>\n<p>", STORAGE), format!("<!DOCTYPE html>{STORAGE}\n<p>"));
        for before in [
            "\u{feff}",
            "<!-- made for Ann -->\n",
            "<?xml version=\"1.0\"?>",
            "\u{feff}<!-- a --> <!-- b -->",
        ] {
            let page = with_script(&format!("{before}<!DOCTYPE html><p>"), STORAGE);
            assert_eq!(page, format!("<!DOCTYPE html>{STORAGE}<p>"), "{before}");
        }
        for page in ["<p>", "", "<!doctype", "é", "<!-- a", "<!-- a --><p>"] {
            assert_eq!(with_script(page, STORAGE), format!("{STORAGE}{page}"));
        }
    }

    #[test]
    fn addresses_from_the_root_are_below_the_apps_own() {
        for (page, sandboxed) in [
            (
                "<script type=\"module\" src=\"/a.js\"></script>",
                "<script type=\"module\" src=\"/p/x/a.js\"></script>",
            ),
            ("<a href='/'><a href=/b>", "<a href='/p/x/'><a href=/p/x/b>"),
            ("<img alt=\"1 > 0\" src=\"/c.svg\">", "<img alt=\"1 > 0\" src=\"/p/x/c.svg\">"),
        ] {
            assert_eq!(below(page, "/p/x"), sandboxed);
        }
    }

    #[test]
    fn other_addresses_and_what_is_no_tag_stay() {
        for page in [
            "<a href=\"//host/a\"><a href=\"https://host/a\"><a href=\"a/b\"><a href=\"#a\">",
            "<script>document.write('<a href=\"/a\">')</script>",
            "<!-- <a href=\"/a\"> --> href=\"/a\"",
            "<p data-src=\"/a\">",
            "<p <",
            "<style>a{} <a href=\"/a\">",
            "<SCRIPT></p><a href=\"/a\"></Script>",
        ] {
            assert_eq!(below(page, "/p/x"), page);
        }
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(page in "([<>/=\"' a-z!-]|<script|</script|<!--| src=\"/|é){0,40}") {
            prop_assert!(below(&page, "/p/x").replace("/p/x", "") == page.replace("/p/x", ""));
        }
    }
}
