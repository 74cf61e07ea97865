//! Checks a site before it goes live: requests its pages, and each module, style and asset that
//! they reach, once, as browsers would, and resolves them as the hosting does ([`SiteRequest`]).
//! The compiler has parsed them already and lists their references. Pure.

use std::collections::{BTreeSet, HashSet};

use url::Url;

use super::site_request::{Purpose, SiteRequest, SiteResponse};
use crate::{
    http::route,
    upstream::compiler::{BuildFailed, Destination, Diagnostic, Reached, Site},
};

/// The most errors that are reported, and the most assets that are named.
const MOST: usize = 10;
/// A placeholder: a site is at the root of its own origin.
const ORIGIN: &str = "http://app.invalid/";

/// Requests everything that a site reaches. Returns a note on missing images, without which a page
/// still works.
///
/// # Errors
/// A needed file is missing, or has a media type that browsers refuse.
pub(super) fn check(site: &Site) -> Result<Option<String>, BuildFailed> {
    let files: HashSet<&str> = site.files.iter().map(|(path, _)| path.as_str()).collect();
    let pages = files.iter().filter(|path| path.ends_with(".html")).map(|path| Reached::page(path));
    let pages: Vec<Reached> = pages.collect();
    let (mut requested, mut diagnostics, mut missing) = (HashSet::new(), Vec::new(), BTreeSet::new());
    for reached in pages.iter().chain(&site.reached) {
        let Some(url) =
            address(reached).filter(|url| requested.insert((url.path().to_owned(), reached.dest)))
        else {
            continue;
        };
        match request(&url, reached.dest, &files) {
            Ok(()) => {}
            Err(_) if reached.dest == Destination::Image => drop(missing.insert(reached.address.as_str())),
            Err(problem) => diagnostics.push(diagnostic(site, reached, &url, problem)),
        }
    }
    match diagnostics.is_empty() {
        true => Ok(note(&missing)),
        false => {
            diagnostics.truncate(MOST);
            Err(BuildFailed { diagnostics })
        }
    }
}

/// The address that a browser requests; `None` on another origin.
fn address(reached: &Reached) -> Option<Url> {
    let mut base = Url::parse(ORIGIN).ok()?;
    base.path_segments_mut().ok()?.clear().extend(reached.from.split('/'));
    base.join(&reached.address).ok().filter(|url| url.as_str().starts_with(ORIGIN))
}

/// Why a browser cannot use the response.
#[derive(Debug, Clone, Copy)]
enum Problem {
    Malformed,
    Missing,
    /// The file has another media type.
    Is(&'static str),
}

fn request(url: &Url, kind: Destination, files: &HashSet<&str>) -> Result<(), Problem> {
    let path = route::decode(url.path());
    let request = SiteRequest::of(url.path(), &path, purpose(kind)).ok_or(Problem::Malformed)?;
    let file = request.files().into_iter().flatten().find(|file| files.contains(file));
    match request.respond_with(file.ok_or(Problem::Missing)?) {
        SiteResponse::File(media_type) if takes(kind, media_type) => Ok(()),
        SiteResponse::File(media_type) => Err(Problem::Is(media_type)),
        SiteResponse::WithSlash => Err(Problem::Is("a folder's page")),
    }
}

/// The headers that a browser sends for this destination.
fn purpose(kind: Destination) -> Purpose<'static> {
    let (mode, dest, accept) = match kind {
        Destination::Document => ("navigate", "document", "text/html,*/*;q=0.8"),
        Destination::Style => ("no-cors", "style", "text/css,*/*;q=0.1"),
        Destination::Image => ("no-cors", "image", "image/*,*/*;q=0.8"),
        Destination::Script | Destination::Json | Destination::Other => ("cors", "script", "*/*"),
    };
    Purpose { mode: Some(mode), dest: Some(dest), accept: Some(accept) }
}

/// Whether a browser accepts this media type for the destination; it does not guess (`nosniff`).
fn takes(kind: Destination, media_type: &str) -> bool {
    match kind {
        Destination::Document => media_type.starts_with("text/html"),
        Destination::Script => media_type.starts_with("text/javascript"),
        Destination::Style => media_type.starts_with("text/css"),
        Destination::Json => media_type.starts_with("application/json"),
        Destination::Image | Destination::Other => true,
    }
}

fn diagnostic(site: &Site, reached: &Reached, url: &Url, problem: Problem) -> Diagnostic {
    let Reached { from, address, dest, at } = reached;
    let file = route::decode(url.path());
    let message = match problem {
        Problem::Malformed => format!("asks for \"{address}\", which is not well encoded"),
        Problem::Missing if site.left_out.iter().any(|path| *path == file.trim_start_matches('/')) => {
            format!(
                "asks for \"{address}\", which is not served, as it is named like a server's, a tool's or a hidden file: give it another name"
            )
        }
        Problem::Missing => format!("asks for \"{address}\", which is not there: write it, or leave it out"),
        Problem::Is(media_type) => {
            let expected = match dest {
                Destination::Document => "a page",
                Destination::Style => "a style sheet",
                Destination::Json => "JSON",
                _ => "a script",
            };
            format!(
                "asks for \"{address}\" as {expected}, and it is {media_type}: a browser does not take it"
            )
        }
    };
    let content = site.files.iter().find(|(path, _)| path == from).map(|(_, content)| content.as_str());
    let (line, column) = content.zip(*at).map_or((0, 0), |(content, at)| place(content, at));
    Diagnostic { path: format!("{}{from}", site.root), line, column, message, frame: String::new() }
}

/// The line and column, both from 1, of an offset in UTF-16 units.
fn place(content: &str, at: usize) -> (u32, u32) {
    let (mut line, mut column, mut units) = (1, 1, 0);
    for c in content.chars() {
        if units >= at {
            break;
        }
        units += c.len_utf16();
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    (line, column)
}

fn note(missing: &BTreeSet<&str>) -> Option<String> {
    let named: Vec<&str> = missing.iter().take(MOST).copied().collect();
    let more = missing.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!missing.is_empty()).then(|| format!("Pages show what is not there: {}{more}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(from: &str, address: &str, dest: Destination, at: Option<usize>) -> Reached {
        Reached { from: from.to_owned(), address: address.to_owned(), dest, at }
    }

    /// The result of checking a site with these files whose page refers to this address.
    fn checked(address: &str, dest: Destination) -> Result<Option<String>, String> {
        let paths = [
            "index.html",
            "50%off.html",
            "docs/index.html",
            "a.js",
            "a b/ü.js",
            "a.css",
            "d.json",
            "notes.txt",
        ];
        let site = Site {
            files: paths.iter().map(|path| ((*path).to_owned(), "é\n<p>".to_owned())).collect(),
            notes: Vec::new(),
            reached: vec![reached("docs/index.html", address, dest, Some(3))],
            root: "public/".to_owned(),
            left_out: vec!["server.js".to_owned()],
        };
        check(&site).map_err(|failed| failed.reason())
    }

    #[test]
    fn a_file_with_the_expected_type_is_reached() {
        for (address, dest) in [
            ("/a.js", Destination::Script),
            ("../a.js?v=1#x", Destination::Script),
            ("../../a.js", Destination::Script),
            ("/a%20b/%C3%BC.js", Destination::Script),
            ("../a b/ü.js", Destination::Script),
            ("../a.css", Destination::Style),
            ("/d.json", Destination::Json),
            ("/notes.txt", Destination::Other),
            ("https://other.example/gone.js", Destination::Script),
        ] {
            assert_eq!(checked(address, dest), Ok(None), "{address}");
        }
    }

    #[test]
    fn a_missing_or_wrong_file_is_reported_with_its_position() {
        for (address, dest, message) in [
            ("gone.js", Destination::Script, "asks for \"gone.js\", which is not there"),
            ("/A.js", Destination::Script, "which is not there"),
            ("/a.js/", Destination::Script, "which is not there"),
            ("/%zz.js", Destination::Script, "which is not well encoded"),
            ("/server.js", Destination::Script, "which is not served"),
            ("/notes.txt", Destination::Script, "as a script, and it is text/plain"),
            ("/a.js", Destination::Style, "as a style sheet, and it is text/javascript"),
            ("/a.css", Destination::Json, "as JSON, and it is text/css"),
            ("/docs", Destination::Script, "and it is a folder's page"),
            ("/", Destination::Script, "and it is text/html"),
            ("/users/7", Destination::Script, "which is not there"),
        ] {
            let reason = checked(address, dest).unwrap_err();
            assert!(
                reason.starts_with("public/docs/index.html:2:2: asks for") && reason.contains(message),
                "{address}: {reason}"
            );
        }
    }

    #[test]
    fn a_missing_image_is_a_note() {
        assert_eq!(
            checked("/logo.png", Destination::Image),
            Ok(Some("Pages show what is not there: /logo.png".to_owned()))
        );
    }
}
