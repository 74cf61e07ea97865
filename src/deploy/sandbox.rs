//! What a hosted page needs at `/p/:slug/`, beside the API and in an origin
//! that is nobody's: storage, and a root of its own. Pure.

/// Stands in for the storage that a sandboxed page may not touch: a script
/// that only reads a setting from it would stop there. Lasts as long as the page.
const STORAGE: &str = "<script>for(const name of['localStorage','sessionStorage'])try{self[name]}catch{\
    const kept=new Map;Object.defineProperty(self,name,{value:{\
    getItem:key=>kept.get(String(key))??null,setItem(key,value){kept.set(String(key),String(value))},\
    removeItem(key){kept.delete(String(key))},clear(){kept.clear()},\
    key:index=>[...kept.keys()][index]??null,get length(){return kept.size}}})}</script>";

/// The page as it is served below `root`, which is `/p/slug`.
pub(super) fn page(page: &str, root: &str) -> String {
    with_storage(&below(page, root))
}

/// Nothing may stand before a page's doctype, or browsers lay it out as they
/// did in the nineties.
fn with_storage(page: &str) -> String {
    let start = page.trim_start();
    let has_doctype = start.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype"));
    let after = if has_doctype { start.split_once('>') } else { None };
    match after {
        Some((doctype, rest)) => format!("{doctype}>{STORAGE}{rest}"),
        None => format!("{STORAGE}{page}"),
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
        let content = raw.and_then(|name| after.to_ascii_lowercase().find(&format!("</{name}"))).unwrap_or(0);
        let (content, after) = after.split_at_checked(content).unwrap_or((after, ""));
        out.push_str(content);
        rest = after;
    }
    out.push_str(rest);
    out
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
    let mut tag = tag.to_owned();
    for (attribute, quote) in ADDRESSES.iter().flat_map(|name| ["\"", "'", ""].map(|quote| (name, quote))) {
        let start = format!("{attribute}={quote}/");
        // From the last to the first, so that places stay true.
        let places: Vec<usize> = tag.match_indices(&start).map(|(at, _)| at).collect();
        for at in places.into_iter().rev() {
            let slash = at + start.len() - 1;
            let stands_alone =
                tag.get(..at).is_some_and(|before| before.ends_with(|c: char| c.is_ascii_whitespace()));
            let is_host = tag.get(slash + 1..).is_some_and(|after| after.starts_with('/'));
            if stands_alone && !is_host {
                tag.insert_str(slash, root);
            }
        }
    }
    tag
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sandboxed_page_has_its_storage_right_after_its_doctype() {
        assert_eq!(with_storage("\n<!DOCTYPE html>\n<p>"), format!("<!DOCTYPE html>{STORAGE}\n<p>"));
        for page in ["<p>", "", "<!doctype", "é"] {
            assert_eq!(with_storage(page), format!("{STORAGE}{page}"));
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
