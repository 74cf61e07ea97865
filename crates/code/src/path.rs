//! Which paths a project's files may have.
//!
//! A path comes from a model or from a client and ends up in a ZIP, in an upload to a host and in a URL, so the rule is the
//! strictest of the three: a relative POSIX path that names the same file on every file system.

use icu_normalizer::ComposingNormalizerBorrowed;
use std::borrow::Cow;
use std::fmt;

/// The longest path, in bytes of UTF-8. It can be unpacked on every system, below a user's own directory.
pub(crate) const MAX_PATH_BYTES: usize = 240;

/// Why a path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// Empty after normalisation.
    Empty,
    /// More than [`MAX_PATH_BYTES`].
    TooLong,
    /// Starts at a root: `/`, `~/` or a drive letter.
    Absolute,
    /// Has a `..` component, even one that would stay inside.
    Climbs,
    /// Has a backslash, a separator on one system and a letter on another.
    Backslash,
    /// Has a control character, or an invisible one that makes two names look the same.
    Control,
    /// Ends in `/`.
    Directory,
    /// Has a component ending in a dot or a space, which Windows drops.
    TrailingDotOrSpace,
    /// Has a `.git` component: files there are run by git.
    Git,
    /// Has a character that no file of Windows may have in its name.
    Character,
    /// Has a component that is a device on Windows, whatever its extension.
    Device,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "path is empty",
            Self::TooLong => "path is longer than 240 bytes",
            Self::Absolute => "path is absolute",
            Self::Climbs => "path has a '..' component",
            Self::Backslash => "path has a backslash",
            Self::Control => "path has a control or invisible character",
            Self::Directory => "path ends in '/'",
            Self::TrailingDotOrSpace => "path has a component that ends in a dot or a space",
            Self::Git => "path has a '.git' component",
            Self::Character => "path has one of < > : \" | ? *, which Windows does not allow in names",
            Self::Device => "path has a name that is a device on Windows, as aux, con, nul and com1 are",
        })
    }
}

impl std::error::Error for PathError {}

/// A path in Unicode's composed form (NFC): macOS writes `ü` as two characters, other systems as one.
pub fn composed(path: &str) -> Cow<'_, str> {
    if path.is_ascii() { Cow::Borrowed(path) } else { ComposingNormalizerBorrowed::new_nfc().normalize(path) }
}

/// Normalises a path: composes its characters, and removes `./` and doubled slashes.
///
/// # Errors
/// The first rule that the path breaks.
pub fn safe_path(path: &str) -> Result<String, PathError> {
    let path = &*composed(path);
    if path.contains(|c: char| c.is_control() || is_invisible(c)) {
        return Err(PathError::Control);
    }
    if path.contains('\\') {
        return Err(PathError::Backslash);
    }
    if path.starts_with('/') || path.starts_with("~/") || has_drive_letter(path) {
        return Err(PathError::Absolute);
    }
    if path.ends_with('/') {
        return Err(PathError::Directory);
    }
    let components: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    for component in &components {
        check_component(component)?;
    }
    let normal = components.join("/");
    // Again: `./C:x` hides its drive letter, and `./~/x` its home directory, until it is in normal form.
    if has_drive_letter(&normal) || normal.starts_with("~/") {
        return Err(PathError::Absolute);
    }
    components.into_iter().try_for_each(check_on_windows)?;
    match normal.len() {
        0 => Err(PathError::Empty),
        1..=MAX_PATH_BYTES => Ok(normal),
        _ => Err(PathError::TooLong),
    }
}

/// The form in which two paths are compared. Windows and macOS treat `App.tsx` and `app.tsx` as the same file, so a
/// project never has both.
pub(super) fn folded(path: &str) -> String {
    path.to_lowercase()
}

/// Characters without width on the screen: zero-width characters, direction marks, byte order mark, soft hyphen.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn check_component(component: &str) -> Result<(), PathError> {
    if component == ".." {
        return Err(PathError::Climbs);
    }
    if component.ends_with(['.', ' ']) {
        return Err(PathError::TrailingDotOrSpace);
    }
    if component.eq_ignore_ascii_case(".git") {
        return Err(PathError::Git);
    }
    Ok(())
}

fn check_on_windows(component: &str) -> Result<(), PathError> {
    if component.contains(['<', '>', ':', '"', '|', '?', '*']) {
        return Err(PathError::Character);
    }
    if is_device(component) { Err(PathError::Device) } else { Ok(()) }
}

/// Whether the name is a device on Windows ("Naming Files, Paths, and Namespaces"): `nul.tar.gz` is one.
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let port = stem.strip_prefix("COM").or(stem.strip_prefix("LPT"));
    let is_port = port.is_some_and(|number| {
        let mut number = number.chars();
        number.next().is_some_and(|c| matches!(c, '0'..='9' | '¹' | '²' | '³')) && number.next().is_none()
    });
    is_port || matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
}

fn has_drive_letter(path: &str) -> bool {
    let mut bytes = path.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic()) && bytes.next() == Some(b':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_paths_stay_as_they_are() {
        for path in [
            "index.html",
            "src/App.tsx",
            ".env.example",
            ".github/workflows/ci.yml",
            ".gitignore",
            "app/(auth)/[...slug]/page.tsx",
            "routes/$id.tsx",
            "My File.md",
            "日本.txt",
            "..foo",
        ] {
            assert_eq!(safe_path(path).as_deref(), Ok(path));
        }
    }

    #[test]
    fn names_that_windows_forbids_are_refused() {
        for path in [
            "src/aux.tsx",
            "con.js",
            "nul",
            "lib/COM1.ts",
            "prn/x.js",
            "LPT9.txt",
            "CONIN$",
            "com¹.txt",
            "nul.tar.gz",
            "aux .js",
        ] {
            assert_eq!(safe_path(path), Err(PathError::Device), "{path}");
        }
        for path in ["what?.md", "pipe|x", "a<b", "a>b", "a\"b", "a*b", "ab:c"] {
            assert_eq!(safe_path(path), Err(PathError::Character), "{path}");
        }
        for path in
            ["auxiliary.ts", "console.js", "com10.txt", "null.js", "com.ts", "lib/contact.tsx", "日本.txt"]
        {
            assert!(safe_path(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_path_is_normalised() {
        assert_eq!(safe_path("./src//a/./b.ts").as_deref(), Ok("src/a/b.ts"));
        assert_eq!(safe_path("././a").as_deref(), Ok("a"));
    }

    #[test]
    fn a_name_is_the_same_however_its_letters_are_composed() {
        for (written, composed) in [
            ("fu\u{308}r.txt", "f\u{fc}r.txt"),
            ("\u{1112}\u{1161}\u{11ab}.md", "\u{d55c}.md"),
            ("\u{212b}.md", "\u{c5}.md"),
            ("e\u{323}\u{302}", "\u{1ec7}"),
        ] {
            assert_eq!(safe_path(written).as_deref(), Ok(composed));
            assert_eq!(safe_path(composed).as_deref(), Ok(composed));
        }
        // The Greek question mark is a semicolon, and K the sign of the Kelvin.
        assert_eq!(safe_path("a\u{37e}\u{212a}").as_deref(), Ok("a;K"));
        // 240 bytes once they are composed.
        assert!(safe_path(&"u\u{308}".repeat(120)).is_ok());
    }

    #[test]
    fn dangerous_paths_are_refused_each_for_its_reason() {
        for (path, reason) in [
            ("", PathError::Empty),
            (".", PathError::Empty),
            ("./", PathError::Directory),
            ("src/", PathError::Directory),
            ("/etc/passwd", PathError::Absolute),
            ("//host/share", PathError::Absolute),
            ("~/.ssh/config", PathError::Absolute),
            ("./~/.ssh/config", PathError::Absolute),
            ("C:/a", PathError::Absolute),
            ("c:a", PathError::Absolute),
            ("./C:/a", PathError::Absolute),
            ("../a", PathError::Climbs),
            ("a/../b", PathError::Climbs),
            ("a/..", PathError::Climbs),
            ("a\\b", PathError::Backslash),
            ("C:\\a", PathError::Backslash),
            ("a\0b", PathError::Control),
            ("a\nb", PathError::Control),
            ("a\u{7f}", PathError::Control),
            ("a\u{85}", PathError::Control),
            ("a\u{200b}.ts", PathError::Control),
            ("a\u{202e}st.exe", PathError::Control),
            (".git/config", PathError::Git),
            ("a/.GIT/hooks/x", PathError::Git),
            (".git", PathError::Git),
            (".git./config", PathError::TrailingDotOrSpace),
            ("a /b", PathError::TrailingDotOrSpace),
            ("...", PathError::TrailingDotOrSpace),
        ] {
            assert_eq!(safe_path(path), Err(reason), "{path:?}");
        }
    }

    #[test]
    fn a_path_of_240_bytes_is_the_longest() {
        assert!(safe_path(&"a".repeat(240)).is_ok());
        assert_eq!(safe_path(&"a".repeat(241)), Err(PathError::TooLong));
        assert_eq!(safe_path(&"é".repeat(121)), Err(PathError::TooLong));
    }

    proptest! {
        #[test]
        fn an_accepted_path_is_normal_and_accepted_again(path in "([a-zA-Z:./~\\\\ \u{0}-\u{20}é]|[aeu\u{212a}]\u{300}?\u{323}?|\\PC){0,30}") {
            if let Ok(normal) = safe_path(&path) {
                prop_assert_eq!(safe_path(&normal), Ok(normal.clone()));
                prop_assert!(!normal.starts_with('/') && !normal.split('/').any(|part| part.is_empty() || part == ".." || part == "."));
            }
        }
    }
}
