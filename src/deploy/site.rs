//! What a hosted app is made of and called. Pure.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::code::CodeMap;

/// A file as it is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) content: String,
    /// Of the content, quotes included.
    etag: String,
}

/// Folders that tools put finished sites into, and that are left out of URLs.
const ROOTS: &[&str] = &["", "public/", "dist/", "build/", "out/", "site/"];
/// What a browser cannot run as it is.
const SOURCES: &[&str] = &["tsx", "jsx", "ts", "vue", "svelte"];

/// The files of a static site, from a project's code. Its `index.html` is at
/// the root, or in one of the usual folders, which is then the root.
///
/// # Errors
/// What is wrong with the code, for its owner.
pub(super) fn build(code: &str) -> Result<Vec<File>, String> {
    let code = CodeMap::parse(code).map_err(|error| error.to_string())?;
    let has_index = |root: &&&str| code.get(&format!("{root}index.html")).is_some();
    let Some(root) = ROOTS.iter().find(has_index) else { return Err(missing_index(&code)) };
    let files = code.iter().filter_map(|(path, content)| Some((path.strip_prefix(root)?, content)));
    Ok(files.map(|(path, content)| file(path, content)).collect())
}

/// The files of a project as they are, for a cloud that builds them itself by
/// a manifest among them; of a project without one, [`build`].
///
/// # Errors
/// What is wrong with the code, for its owner.
pub(super) fn sources_or_build(code: &str, is_manifest: fn(&str) -> bool) -> Result<Vec<File>, String> {
    let sources = CodeMap::parse(code).map_err(|error| error.to_string())?;
    if sources.iter().any(|(path, _)| is_manifest(path)) {
        return Ok(sources.iter().map(|(path, content)| file(path, content)).collect());
    }
    build(code)
}

fn missing_index(code: &CodeMap) -> String {
    let is_source = |path: &str| SOURCES.contains(&extension(path));
    if code.iter().any(|(path, _)| is_source(path)) {
        return "This code must be compiled before a browser can run it, which this Worker does not do yet. \
                Ask for a static app: index.html with plain JavaScript"
            .to_owned();
    }
    "There is no index.html to show; ask for one, or add it to the project's code".to_owned()
}

fn file(path: &str, content: &str) -> File {
    let digest = Sha256::digest(content.as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    File { path: path.to_owned(), content: content.to_owned(), etag: format!("\"{hex}\"") }
}

fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// A path that names a file rather than a page of the app's own routing.
pub(super) fn names_a_file(path: &str) -> bool {
    !extension(path).is_empty()
}

/// The media type of a path, by its extension (IANA, and WHATWG MIME Sniffing
/// for JavaScript).
pub(super) fn media_type(path: &str) -> &'static str {
    match extension(path).to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json; charset=utf-8",
        "webmanifest" => "application/manifest+json; charset=utf-8",
        "svg" => "image/svg+xml; charset=utf-8",
        "xml" => "application/xml; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "vtt" => "text/vtt; charset=utf-8",
        "ics" => "text/calendar; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    }
}

/// Stands in for the storage that a sandboxed page may not touch: a script
/// that only reads a setting from it would stop there. Lasts as long as the page.
const STORAGE: &str = "<script>for(const name of['localStorage','sessionStorage'])try{self[name]}catch{\
    const kept=new Map;Object.defineProperty(self,name,{value:{\
    getItem:key=>kept.get(String(key))??null,setItem(key,value){kept.set(String(key),String(value))},\
    removeItem(key){kept.delete(String(key))},clear(){kept.clear()},\
    key:index=>[...kept.keys()][index]??null,get length(){return kept.size}}})}</script>";

/// A page as it is served sandboxed. Nothing may stand before its doctype, or
/// browsers lay it out as they did in the nineties.
pub(super) fn with_storage(page: &str) -> String {
    let start = page.trim_start();
    let has_doctype = start.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype"));
    let after = if has_doctype { start.split_once('>') } else { None };
    match after {
        Some((doctype, rest)) => format!("{doctype}>{STORAGE}{rest}"),
        None => format!("{STORAGE}{page}"),
    }
}

/// A DNS label for a project: its name, and enough of its id to be its own.
pub(super) fn slug(name: &str, project_id: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            words.push(c.to_ascii_lowercase());
        } else if !words.is_empty() && !words.ends_with('-') {
            words.push('-');
        }
        if words.len() >= 40 {
            break;
        }
    }
    let id: String = project_id.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    match words.trim_end_matches('-') {
        "" => format!("app-{id}"),
        words => format!("{words}-{id}"),
    }
}

/// Where the app of `slug` answers, for one who called us at `origin`.
///
/// With a hosting domain every app has an origin of its own. `localhost` is
/// one only for who is on this machine.
pub(super) fn url(domain: Option<&str>, origin: &str, slug: &str) -> String {
    let (scheme, host) = origin.split_once("://").unwrap_or(("https", origin));
    let (name, port) = split_port(host);
    match domain {
        Some("localhost") if is_this_machine(name) => format!("{scheme}://{slug}.localhost{port}/"),
        None | Some("localhost") => format!("{origin}/p/{slug}/"),
        Some(domain) => format!("https://{slug}.{domain}/"),
    }
}

/// The slug that a host names under the hosting domain.
pub(super) fn slug_of_host<'a>(host: &'a str, domain: &str) -> Option<&'a str> {
    let (name, _) = split_port(host);
    let slug = name.strip_suffix(domain)?.strip_suffix('.')?;
    let is_label = !slug.is_empty() && slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_label.then_some(slug)
}

/// `host:port` into `host` and `:port`.
fn split_port(host: &str) -> (&str, &str) {
    let port =
        host.rfind(':').filter(|colon| !host.ends_with(']') && host.rfind(']').is_none_or(|b| b < *colon));
    port.and_then(|colon| host.split_at_checked(colon)).unwrap_or((host, ""))
}

fn is_this_machine(name: &str) -> bool {
    matches!(name, "localhost" | "127.0.0.1" | "[::1]") || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_folder_with_the_index_is_the_root() {
        let files = build(r#"{"dist/index.html":"<p>","dist/a.js":"1","README.md":"x"}"#).unwrap();
        let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a.js", "index.html"]);
    }

    #[test]
    fn code_that_cannot_be_served_says_why() {
        assert!(build(r#"{"src/App.tsx":"…"}"#).unwrap_err().contains("compiled"));
        assert!(build(r#"{"notes.txt":"…"}"#).unwrap_err().contains("index.html"));
        assert!(build("[]").unwrap_err().contains("JSON object"));
    }

    #[test]
    fn an_app_has_its_own_origin_where_it_can() {
        assert_eq!(url(Some("localhost"), "http://localhost:8787", "x"), "http://x.localhost:8787/");
        assert_eq!(url(Some("localhost"), "http://[::1]:8787", "x"), "http://x.localhost:8787/");
        assert_eq!(url(Some("localhost"), "http://10.0.0.7:8787", "x"), "http://10.0.0.7:8787/p/x/");
        assert_eq!(url(Some("hatch.app"), "https://api.hatch.sh", "x"), "https://x.hatch.app/");
        assert_eq!(url(None, "https://api.hatch.sh", "x"), "https://api.hatch.sh/p/x/");
    }

    #[test]
    fn only_one_label_under_the_domain_is_a_slug() {
        assert_eq!(slug_of_host("x.localhost:8787", "localhost"), Some("x"));
        for host in ["localhost:8787", "a.b.localhost", "xlocalhost", ".localhost", "x.localhost.evil.com"] {
            assert_eq!(slug_of_host(host, "localhost"), None, "{host}");
        }
    }

    #[test]
    fn a_sandboxed_page_has_its_storage_right_after_its_doctype() {
        assert_eq!(with_storage("\n<!DOCTYPE html>\n<p>"), format!("<!DOCTYPE html>{STORAGE}\n<p>"));
        for page in ["<p>", "", "<!doctype", "é"] {
            assert_eq!(with_storage(page), format!("{STORAGE}{page}"));
        }
    }

    #[test]
    fn media_types_are_those_that_browsers_want() {
        assert!(media_type("a/b.JS").starts_with("text/javascript"));
        assert!(media_type("index.html").starts_with("text/html"));
        assert!(media_type("LICENSE").starts_with("text/plain"));
    }

    proptest! {
        #[test]
        fn a_slug_is_a_dns_label(name in ".{0,200}", id in "[0-9a-f]{8}-[0-9a-f]{4}") {
            let slug = slug(&name, &id);
            prop_assert!(slug.len() <= 63 && !slug.starts_with('-') && !slug.ends_with('-'));
            let host = format!("{slug}.localhost");
            prop_assert_eq!(slug_of_host(&host, "localhost"), Some(slug.as_str()));
        }
    }
}
