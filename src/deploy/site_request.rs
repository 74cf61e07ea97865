//! Maps a request for a path of a site to a file. The hosting uses it to respond, and the check
//! before a site goes live uses it too. Pure.

/// A request for a path of a site.
#[derive(Debug)]
pub(super) struct SiteRequest<'a> {
    path: &'a str,
    /// The index file if the path is a folder.
    index: String,
    /// Whether the app's page is shown when no file matches.
    is_page: bool,
}

/// The response to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SiteResponse {
    /// The file, with this media type.
    File(&'static str),
    /// A redirect to the same path with a slash: relative links of a page in a folder need it.
    WithSlash,
}

impl<'a> SiteRequest<'a> {
    /// A request for a path, `written` as in the address and also decoded; `None` when it is badly
    /// encoded.
    pub(super) fn of(written: &str, path: &'a str, purpose: Purpose<'_>) -> Option<Self> {
        if !is_well_formed(written) {
            return None;
        }
        let path = path.trim_start_matches('/');
        let folder = path.trim_end_matches('/');
        let index = if folder.is_empty() { INDEX.to_owned() } else { format!("{folder}/{INDEX}") };
        Some(Self { path, index, is_page: missing(path, purpose) == Missing::Page })
    }

    /// The files that may answer the request, best first: the file itself, the folder's index, or
    /// the app's page for a route of its own router.
    pub(super) fn files(&self) -> [Option<&str>; 3] {
        [Some(self.path), Some(&self.index), self.is_page.then_some(INDEX)]
    }

    /// How the file at this path, the first existing one of [`Self::files`], answers the request.
    pub(super) fn respond_with(&self, file: &str) -> SiteResponse {
        let is_bare_folder = !self.path.is_empty() && !self.path.ends_with('/') && file == self.index;
        match is_bare_folder {
            true => SiteResponse::WithSlash,
            false => SiteResponse::File(hatch_code::media_type(file)),
        }
    }
}

const INDEX: &str = "index.html";

/// What a path without a file refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// A route of the app's own router, which shows the app's page.
    Page,
    /// A missing file.
    File,
}

/// The headers that express what a request is for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Purpose<'a> {
    /// `Sec-Fetch-Mode`
    pub(super) mode: Option<&'a str>,
    /// `Sec-Fetch-Dest`
    pub(super) dest: Option<&'a str>,
    /// `Accept`
    pub(super) accept: Option<&'a str>,
}

/// Destinations of requests for parts of a page; these never get the app's page.
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

/// Whether the user navigates to the path, or a page requests a part of itself. Only navigation may
/// get the app's page, even if the path contains dots.
fn missing(path: &str, purpose: Purpose<'_>) -> Missing {
    let asks_for_part = purpose.dest.is_some_and(|dest| PARTS_OF_PAGES.contains(&dest));
    let is_navigation = purpose.mode == Some("navigate")
        || extension(path).is_empty()
        || purpose.accept.is_some_and(|accept| accept.contains("text/html"));
    match is_navigation && !asks_for_part && !is_part_of_a_page(path) {
        true => Missing::Page,
        false => Missing::File,
    }
}

/// Files of these types are parts of pages and never a page, even when navigated to.
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

fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Whether a percent-encoded path decodes to UTF-8 without a NUL.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_navigation_gets_the_app_for_a_path_without_a_file() {
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
    fn a_malformed_escape_is_not_a_path() {
        for path in ["/%", "/%f", "/%ff", "/%00", "/%zz", "/a%c3"] {
            assert!(!is_well_formed(path), "{path}");
        }
        for path in ["/", "/a%20b", "/%C3%BC", "/100%25.txt", "/ü"] {
            assert!(is_well_formed(path), "{path}");
        }
    }
}
