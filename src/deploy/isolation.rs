//! Adapts a hosted page to `/p/:slug/`, beside the API and in an opaque origin: it needs a
//! replacement for storage, and its addresses below its root. Pure.

use super::addresses;

/// Replaces the storage that a sandboxed page may not use: a script that only reads a setting from
/// it would stop otherwise. Its content lasts as long as the page.
pub(super) const STORAGE: &str = "<script>for(const name of['localStorage','sessionStorage'])try{self[name]}catch{\
    const kept=new Map;Object.defineProperty(self,name,{value:{\
    getItem:key=>kept.get(String(key))??null,setItem(key,value){kept.set(String(key),String(value))},\
    removeItem(key){kept.delete(String(key))},clear(){kept.clear()},\
    key:index=>[...kept.keys()][index]??null,get length(){return kept.size}}})}</script>";

/// The page as served below `root`, which is `/p/slug`.
pub(super) fn page(page: &str, root: &str) -> String {
    with_script(&addresses::below(page, root), STORAGE)
}

/// Inserts a script before everything except the doctype: anything before the doctype switches
/// browsers to quirks mode.
pub(super) fn with_script(page: &str, script: &str) -> String {
    let start = before_doctype(page.trim_start_matches(is_blank));
    let has_doctype = start.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype"));
    let after = if has_doctype { start.split_once('>') } else { None };
    match after {
        Some((doctype, rest)) => format!("{doctype}>{script}{rest}"),
        None => format!("{script}{page}"),
    }
}

/// A byte order mark counts as white space here, because it is invisible.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// The page without the comments before its doctype; `<?xml …?>` is parsed as one (WHATWG HTML,
/// 13.2.6.4.1).
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_storage_script_comes_right_after_the_doctype() {
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
}
