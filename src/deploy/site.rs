//! What a hosted app is made of and called.

use hatch_code::CodeMap;
use serde::Serialize;
use worker::Env;

use super::reach;
use crate::{
    compile::{self, Packages},
    error::Error,
    http::conditional,
};

/// A file as it is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) content: String,
    /// Of the content, quotes included.
    etag: String,
}

/// A project's files as they are served, and what its owner should know.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) files: Vec<File>,
    pub(super) notes: Vec<String>,
}

/// Makes a site of a project's code: a static one as it is, one of TypeScript
/// or JSX compiled.
///
/// # Errors
/// [`Error::Internal`] when the compiler cannot be reached. What is wrong with
/// the code is the inner error, for its owner: a first line, and for the log
/// further ones.
pub(super) async fn build(code: &str, packages: Packages, env: &Env) -> Result<Result<Built, String>, Error> {
    let code = match CodeMap::stored(code) {
        Ok(code) => code,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let built = compile::compile(&code, packages, env).await?;
    let checked = built.and_then(|site| reach::check(&site).map(|note| (site, note)));
    Ok(checked.map_err(|failed| failed.reason()).map(|(site, note)| Built {
        files: site.files.iter().map(|(path, content)| file(path, content)).collect(),
        notes: site.notes.into_iter().chain(note).collect(),
    }))
}

/// The files of a project as they are, for a cloud that builds them itself by
/// a manifest among them; of a project without one, [`build`].
///
/// # Errors
/// As [`build`].
pub(super) async fn sources_or_build(
    code: &str,
    packages: Packages,
    is_manifest: fn(&str) -> bool,
    env: &Env,
) -> Result<Result<Built, String>, Error> {
    match CodeMap::stored(code) {
        Ok(sources) if sources.iter().any(|(path, _)| is_manifest(path)) => {
            let files = sources.iter().map(|(path, content)| file(path, content)).collect();
            Ok(Ok(Built { files, notes: Vec::new() }))
        }
        _ => build(code, packages, env).await,
    }
}

fn file(path: &str, content: &str) -> File {
    let etag = conditional::etag_of(content.as_bytes());
    File { path: path.to_owned(), content: content.to_owned(), etag }
}

fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// A request for something of a site.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    path: &'a str,
    /// The page that the path has if it is a folder's.
    index: String,
    /// Whether the app is shown for a path that no file has.
    is_page: bool,
}

/// What a request is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// The file, as this media type.
    File(&'static str),
    /// The same path with a slash behind it: relative links of a page in a
    /// folder need it.
    WithSlash,
}

impl<'a> Asked<'a> {
    /// Of a path as it is `written` in the address, and as it is decoded; none
    /// where it is not well encoded.
    pub(super) fn of(written: &str, path: &'a str, purpose: Purpose<'_>) -> Option<Self> {
        if !is_well_formed(written) {
            return None;
        }
        let path = path.trim_start_matches('/');
        let folder = path.trim_end_matches('/');
        let index = if folder.is_empty() { INDEX.to_owned() } else { format!("{folder}/{INDEX}") };
        Some(Self { path, index, is_page: missing(path, purpose) == Missing::Page })
    }

    /// The files that answer it, the best one first: itself, the index of the
    /// folder, or, when it is a page of the app's own routing, the app.
    pub(super) fn files(&self) -> [Option<&str>; 3] {
        [Some(self.path), Some(&self.index), self.is_page.then_some(INDEX)]
    }

    /// How the file at this path, the first of them that is there, answers it.
    pub(super) fn answered_by(&self, file: &str) -> Answered {
        let is_bare_folder = !self.path.is_empty() && !self.path.ends_with('/') && file == self.index;
        match is_bare_folder {
            true => Answered::WithSlash,
            false => Answered::File(hatch_code::media_type(file)),
        }
    }
}

const INDEX: &str = "index.html";

/// What a path that no file has asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// A page of the app's own routing, which the app shows.
    Page,
    /// A file, which is not there.
    File,
}

/// How a request says what it is for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Purpose<'a> {
    /// `Sec-Fetch-Mode`
    pub(super) mode: Option<&'a str>,
    /// `Sec-Fetch-Dest`
    pub(super) dest: Option<&'a str>,
    /// `Accept`
    pub(super) accept: Option<&'a str>,
}

/// What a page asks for to be made of it; it gets no other page instead.
const PARTS_OF_PAGES: &[&str] = &[
    "script",
    "style",
    "image",
    "font",
    "audio",
    "video",
    "track",
    "worker",
    "sharedworker",
    "serviceworker",
    "manifest",
];

/// Whether somebody goes to a page there, or a page asks for a part of itself:
/// only the first may be answered with the app, whatever dots its path has.
fn missing(path: &str, purpose: Purpose<'_>) -> Missing {
    let asks_for_part = purpose.dest.is_some_and(|dest| PARTS_OF_PAGES.contains(&dest));
    let goes_there = purpose.mode == Some("navigate")
        || extension(path).is_empty()
        || purpose.accept.is_some_and(|accept| accept.contains("text/html"));
    match goes_there && !asks_for_part && !is_part_of_a_page(path) {
        true => Missing::Page,
        false => Missing::File,
    }
}

/// What pages are made of is never a page, even for somebody who goes there.
fn is_part_of_a_page(path: &str) -> bool {
    const PARTS: &[&str] = &[
        "js",
        "mjs",
        "cjs",
        "css",
        "map",
        "json",
        "html",
        "htm",
        "svg",
        "png",
        "jpg",
        "jpeg",
        "gif",
        "webp",
        "avif",
        "ico",
        "woff",
        "woff2",
        "ttf",
        "otf",
        "wasm",
        "mp3",
        "mp4",
        "webm",
        "pdf",
        "txt",
        "xml",
        "webmanifest",
        "ts",
        "tsx",
        "jsx",
        "vue",
        "svelte",
    ];
    PARTS.contains(&extension(path).to_ascii_lowercase().as_str())
}

/// Whether a percent-encoded path is UTF-8 in it, without a NUL.
fn is_well_formed(path: &str) -> bool {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => match (rest.next().and_then(hex_digit), rest.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => high * 16 + low,
                _ => return false,
            },
            byte => byte,
        };
        bytes.push(byte);
    }
    !bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
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
    fn only_who_goes_to_a_page_gets_the_app_for_a_path_without_a_file() {
        let navigation = Purpose { mode: Some("navigate"), dest: Some("document"), accept: None };
        let by_accept = Purpose { accept: Some("text/html,*/*;q=0.8"), ..Purpose::default() };
        let script = Purpose { mode: Some("no-cors"), dest: Some("script"), accept: Some("*/*") };
        for path in ["users/jane.doe@example.com", "search/192.168.1.0", "v1.2/notes", "@a.b", "about"] {
            assert_eq!(missing(path, navigation), Missing::Page, "{path}");
            assert_eq!(missing(path, by_accept), Missing::Page, "{path}");
            assert_eq!(missing(path, script), Missing::File, "{path}");
        }
        assert_eq!(missing("about", Purpose::default()), Missing::Page);
        assert_eq!(missing("jane.doe", Purpose::default()), Missing::File);
        assert_eq!(missing("gone.js", navigation), Missing::File);
        assert_eq!(missing("a/gone.PNG", by_accept), Missing::File);
    }

    #[test]
    fn a_malformed_escape_is_no_path() {
        for path in ["/%", "/%f", "/%ff", "/%00", "/%zz", "/a%c3"] {
            assert!(!is_well_formed(path), "{path}");
        }
        for path in ["/", "/a%20b", "/%C3%BC", "/100%25.txt", "/ü"] {
            assert!(is_well_formed(path), "{path}");
        }
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
