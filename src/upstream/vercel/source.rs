//! The source of a deployment on Vercel: the framework that builds it, and which files are sent
//! inline or uploaded first. Pure.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};

/// A larger file is uploaded first and referred to by its digest, in bytes.
const LARGEST_INLINE: usize = 100_000;
/// The most bytes that are sent inline; further files are uploaded first.
const MOST_INLINE: usize = 2_000_000;

/// A package that implies a framework, and Vercel's name for it. The first match counts, because
/// many frameworks depend on vite too.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("next", "nextjs"),
    ("astro", "astro"),
    ("nuxt", "nuxtjs"),
    ("gatsby", "gatsby"),
    ("react-scripts", "create-react-app"),
    ("vite", "vite"),
];

/// A file to upload before the deployment is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload<'a> {
    pub(super) sha1: String,
    pub(super) content: &'a str,
}

/// The request's list of `files`, and those that must be uploaded before it.
pub(super) fn divide<'a>(files: &[(&str, &'a str)]) -> (Vec<Value>, Vec<Upload<'a>>) {
    let (mut named, mut uploads, mut inline) = (Vec::new(), Vec::new(), 0);
    for (path, content) in files {
        if content.len() <= LARGEST_INLINE && inline + content.len() <= MOST_INLINE {
            inline += content.len();
            named.push(json!({ "file": path, "data": content, "encoding": "utf-8" }));
        } else {
            let sha1 = sha1_hex(content);
            named.push(json!({ "file": path, "sha": sha1, "size": content.len() }));
            uploads.push(Upload { sha1, content });
        }
    }
    (named, uploads)
}

fn sha1_hex(content: &str) -> String {
    base16ct::lower::encode_string(&Sha1::digest(content.as_bytes()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(default)]
    dependencies: Map<String, Value>,
    #[serde(default)]
    dev_dependencies: Map<String, Value>,
}

/// The framework of a project with this package.json; `None` for a site that is served as it is, or
/// built by its own `build` script.
pub(crate) fn framework(package_json: &str) -> Option<&'static str> {
    let package: Package = hatch_json::from_str(package_json).ok()?;
    let depends =
        |name: &str| package.dependencies.contains_key(name) || package.dev_dependencies.contains_key(name);
    FRAMEWORKS.iter().find(|(name, _)| depends(name)).map(|(_, framework)| *framework)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_digest_is_the_sha1_in_hex() {
        assert_eq!(sha1_hex("hello"), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
    }

    #[test]
    fn the_framework_is_the_first_match_in_the_dependencies() {
        for (package, expected) in [
            (r#"{"dependencies":{"next":"14","react":"18"}}"#, Some("nextjs")),
            (r#"{"dependencies":{"react":"18"},"devDependencies":{"vite":"5"}}"#, Some("vite")),
            (r#"{"dependencies":{"astro":"4"},"devDependencies":{"vite":"5"}}"#, Some("astro")),
            (r#"{"dependencies":{"express":"4"}}"#, None),
            ("{}", None),
            ("not json", None),
            (r#"{"dependencies":[]}"#, None),
        ] {
            assert_eq!(framework(package), expected, "{package}");
        }
    }

    proptest! {
        #[test]
        fn every_file_is_listed_once_and_sent_once(sizes in prop::collection::vec(0_usize..300_000, 0..30)) {
            let contents: Vec<String> = sizes.iter().map(|n| "x".repeat(*n)).collect();
            let paths: Vec<String> = (0..sizes.len()).map(|n| format!("{n}.txt")).collect();
            let files: Vec<_> = paths.iter().map(String::as_str).zip(contents.iter().map(String::as_str)).collect();
            let (named, uploads) = divide(&files);
            prop_assert_eq!(named.len(), files.len());
            let inline: usize = named.iter().filter_map(|f| f["data"].as_str()).map(str::len).sum();
            prop_assert!(inline <= MOST_INLINE);
            prop_assert_eq!(named.iter().filter(|f| f["sha"].is_string()).count(), uploads.len());
            prop_assert!(sizes.iter().filter(|n| **n > LARGEST_INLINE).count() <= uploads.len());
        }
    }
}
