//! The check before `live`: the pages of a site, and each module, style and
//! asset that they reach, are asked for once, as browsers would and as the
//! hosting answers ([`Asked`]). That they parse the compiler has seen, which
//! has read them and says what they ask for. Pure.

use std::collections::{BTreeSet, HashSet};

use url::Url;

use super::asked::{Answered, Asked, Purpose};
use crate::{
    http::route,
    upstream::compiler::{BuildFailed, Diagnostic, Kind, Reached, Site},
};

/// The most errors that are told, and the most assets that are named.
const MOST: usize = 10;
/// Any address will do: a site is at the root of its own origin.
const ORIGIN: &str = "http://app.invalid/";

/// Asks a site for all that it reaches. Answers with a note on the assets that
/// are not there: without its image a page is a page.
///
/// # Errors
/// What a page cannot do without is not there, or is not what the browser takes.
pub(super) fn check(site: &Site) -> Result<Option<String>, BuildFailed> {
    let files: HashSet<&str> = site.files.iter().map(|(path, _)| path.as_str()).collect();
    let pages = files.iter().filter(|path| path.ends_with(".html")).map(|path| Reached::page(path));
    let pages: Vec<Reached> = pages.collect();
    let (mut asked, mut diagnostics, mut lost) = (HashSet::new(), Vec::new(), BTreeSet::new());
    for reached in pages.iter().chain(&site.reached) {
        let Some(url) = address(reached).filter(|url| asked.insert((url.path().to_owned(), reached.dest)))
        else {
            continue;
        };
        match ask(&url, reached.dest, &files) {
            Ok(()) => {}
            Err(_) if reached.dest == Kind::Image => drop(lost.insert(reached.address.as_str())),
            Err(problem) => diagnostics.push(diagnostic(site, reached, &url, problem)),
        }
    }
    match diagnostics.is_empty() {
        true => Ok(note(&lost)),
        false => {
            diagnostics.truncate(MOST);
            Err(BuildFailed { diagnostics })
        }
    }
}

/// Where a browser asks for it; none where that is another's.
fn address(reached: &Reached) -> Option<Url> {
    let mut base = Url::parse(ORIGIN).ok()?;
    base.path_segments_mut().ok()?.clear().extend(reached.from.split('/'));
    base.join(&reached.address).ok().filter(|url| url.as_str().starts_with(ORIGIN))
}

/// Why a browser gets nothing that it takes.
#[derive(Debug, Clone, Copy)]
enum Problem {
    Malformed,
    Missing,
    /// It is served as something else.
    Is(&'static str),
}

fn ask(url: &Url, kind: Kind, files: &HashSet<&str>) -> Result<(), Problem> {
    let path = route::decode(url.path());
    let asked = Asked::of(url.path(), &path, purpose(kind)).ok_or(Problem::Malformed)?;
    let file = asked.files().into_iter().flatten().find(|file| files.contains(file));
    match asked.answered_by(file.ok_or(Problem::Missing)?) {
        Answered::File(media_type) if takes(kind, media_type) => Ok(()),
        Answered::File(media_type) => Err(Problem::Is(media_type)),
        Answered::WithSlash => Err(Problem::Is("a folder's page")),
    }
}

/// How a browser says what it wants it for.
fn purpose(kind: Kind) -> Purpose<'static> {
    let (mode, dest, accept) = match kind {
        Kind::Document => ("navigate", "document", "text/html,*/*;q=0.8"),
        Kind::Style => ("no-cors", "style", "text/css,*/*;q=0.1"),
        Kind::Image => ("no-cors", "image", "image/*,*/*;q=0.8"),
        Kind::Script | Kind::Json | Kind::Other => ("cors", "script", "*/*"),
    };
    Purpose { mode: Some(mode), dest: Some(dest), accept: Some(accept) }
}

/// Whether a browser takes this for that: it guesses nothing (`nosniff`).
fn takes(kind: Kind, media_type: &str) -> bool {
    match kind {
        Kind::Document => media_type.starts_with("text/html"),
        Kind::Script => media_type.starts_with("text/javascript"),
        Kind::Style => media_type.starts_with("text/css"),
        Kind::Json => media_type.starts_with("application/json"),
        Kind::Image | Kind::Other => true,
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
            let wanted = match dest {
                Kind::Document => "a page",
                Kind::Style => "a style sheet",
                Kind::Json => "JSON",
                _ => "a script",
            };
            format!("asks for \"{address}\" as {wanted}, and it is {media_type}: a browser does not take it")
        }
    };
    let content = site.files.iter().find(|(path, _)| path == from).map(|(_, content)| content.as_str());
    let (line, column) = content.zip(*at).map_or((0, 0), |(content, at)| place(content, at));
    Diagnostic { path: format!("{}{from}", site.root), line, column, message, frame: String::new() }
}

/// The line and the column, both from 1, of an offset in UTF-16 units.
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

fn note(lost: &BTreeSet<&str>) -> Option<String> {
    let named: Vec<&str> = lost.iter().take(MOST).copied().collect();
    let more = lost.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!lost.is_empty()).then(|| format!("Pages show what is not there: {}{more}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(from: &str, address: &str, dest: Kind, at: Option<usize>) -> Reached {
        Reached { from: from.to_owned(), address: address.to_owned(), dest, at }
    }

    /// What is told of a site that has these files and reaches this from its page.
    fn told(address: &str, dest: Kind) -> Result<Option<String>, String> {
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
    fn what_is_there_in_the_right_type_is_reached() {
        for (address, dest) in [
            ("/a.js", Kind::Script),
            ("../a.js?v=1#x", Kind::Script),
            ("../../a.js", Kind::Script),
            ("/a%20b/%C3%BC.js", Kind::Script),
            ("../a b/ü.js", Kind::Script),
            ("../a.css", Kind::Style),
            ("/d.json", Kind::Json),
            ("/notes.txt", Kind::Other),
            ("https://other.example/gone.js", Kind::Script),
        ] {
            assert_eq!(told(address, dest), Ok(None), "{address}");
        }
    }

    #[test]
    fn what_is_not_is_told_at_its_place() {
        for (address, dest, message) in [
            ("gone.js", Kind::Script, "asks for \"gone.js\", which is not there"),
            ("/A.js", Kind::Script, "which is not there"),
            ("/a.js/", Kind::Script, "which is not there"),
            ("/%zz.js", Kind::Script, "which is not well encoded"),
            ("/server.js", Kind::Script, "which is not served"),
            ("/notes.txt", Kind::Script, "as a script, and it is text/plain"),
            ("/a.js", Kind::Style, "as a style sheet, and it is text/javascript"),
            ("/a.css", Kind::Json, "as JSON, and it is text/css"),
            ("/docs", Kind::Script, "and it is a folder's page"),
            ("/", Kind::Script, "and it is text/html"),
            ("/users/7", Kind::Script, "which is not there"),
        ] {
            let reason = told(address, dest).unwrap_err();
            assert!(
                reason.starts_with("public/docs/index.html:2:2: asks for") && reason.contains(message),
                "{address}: {reason}"
            );
        }
    }

    #[test]
    fn an_image_that_is_not_there_is_a_note() {
        assert_eq!(
            told("/logo.png", Kind::Image),
            Ok(Some("Pages show what is not there: /logo.png".to_owned()))
        );
    }
}
