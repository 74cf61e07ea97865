//! Packages: what package.json says of them, and where a CDN has them.
//!
//! The CDN speaks esm.sh's URLs (https://esm.sh/#docs): `/name@version/subpath`
//! with `?external=` for the packages that the import map gives instead.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, de::IgnoredAny};

use crate::{diagnostic::Diagnostic, json};

/// Where there is no version to be found, that of the day this was written.
const REACT_VERSION: &str = "19";
/// Node's own modules (https://nodejs.org/api/modules.html#built-in-modules), which are refused to a
/// browser. The rest (`punycode`) may come from a CDN; `check::installation` knows it.
const NODE_MODULES: &[&str] = &[
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "crypto",
    "dgram",
    "dns",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "querystring",
    "readline",
    "stream",
    "string_decoder",
    "timers",
    "tls",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "worker_threads",
    "zlib",
];

/// package.json, and package-lock.json where there is one.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    pub(crate) exists: bool,
    pub(crate) name: Option<String>,
    /// Version range by name, of every kind of dependency.
    listed: BTreeMap<String, String>,
    /// Exact version by name.
    locked: BTreeMap<String, String>,
    /// What its own `#` imports begin with: the keys of `imports`, up to their `*`.
    mapped: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PackageJson {
    name: Option<String>,
    dependencies: BTreeMap<String, String>,
    dev_dependencies: BTreeMap<String, String>,
    peer_dependencies: BTreeMap<String, String>,
    optional_dependencies: BTreeMap<String, String>,
    imports: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct Lock {
    packages: BTreeMap<String, Locked>,
}

#[derive(Deserialize)]
struct Locked {
    version: Option<String>,
}

impl Manifest {
    /// That of a folder (with its slash), empty where there is none.
    ///
    /// # Errors
    /// Why it cannot be read, and where.
    pub(crate) fn read(files: &BTreeMap<String, String>, folder: &str) -> Result<Self, Diagnostic> {
        let path = format!("{folder}package.json");
        let Some(text) = files.get(&path) else { return Ok(Self::default()) };
        let package: PackageJson = serde_json::from_str(text).map_err(|error| {
            let line_start =
                text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
            let offset = line_start + error.column().saturating_sub(1);
            Diagnostic::at(&path, text, offset, format!("not a valid package.json: {error}"))
        })?;
        let mut listed = package.peer_dependencies;
        listed.extend(package.optional_dependencies);
        listed.extend(package.dev_dependencies);
        listed.extend(package.dependencies);
        let lock: Option<Lock> =
            files.get(&format!("{folder}package-lock.json")).and_then(|text| json::lenient(text));
        let locked = lock.into_iter().flat_map(|lock| lock.packages).filter_map(|(path, locked)| {
            Some((path.strip_prefix("node_modules/")?.to_owned(), locked.version?))
        });
        let until_star = |key: &String| key.split('*').next().unwrap_or_default().to_owned();
        let mapped = package.imports.keys().map(until_star).collect();
        Ok(Self { exists: true, name: package.name, listed, locked: locked.collect(), mapped })
    }

    /// Whether its `imports` say what a specifier with `#` is (https://nodejs.org/api/packages.html#subpath-imports).
    pub(crate) fn maps(&self, specifier: &str) -> bool {
        specifier.starts_with('#') && self.mapped.iter().any(|prefix| specifier.starts_with(prefix))
    }

    pub(crate) fn lists(&self, name: &str) -> bool {
        self.listed.contains_key(name)
    }

    /// The version that is taken, or none for whichever is the newest.
    pub(crate) fn version(&self, name: &str) -> Option<String> {
        let given = self.locked.get(name).cloned().or_else(|| pinned(self.listed.get(name)?));
        given.or_else(|| match name {
            "react-dom" => self.version("react"),
            "react" => Some(REACT_VERSION.to_owned()),
            _ => None,
        })
    }

    /// Whether Preact stands in for React.
    pub(crate) fn is_preact(&self) -> bool {
        self.lists("preact") && !self.lists("react")
    }
}

/// The version that a range was written for: `18.3.1` for `^18.3.1`, so that
/// what is deployed today is what runs tomorrow.
fn pinned(range: &str) -> Option<String> {
    let range = range.rsplit("||").next().unwrap_or_default().trim();
    let first = range.split_whitespace().next().unwrap_or_default();
    let version = first.trim_start_matches(['^', '~', '=', '>', 'v']);
    let version = version.trim_end_matches(".x").trim_end_matches(".*");
    let is_version = version.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'));
    (is_version && !matches!(version, "" | "x" | "latest")).then(|| version.to_owned())
}

/// The package of a bare specifier: `@scope/name` of `@scope/name/path`.
pub(crate) fn name(specifier: &str) -> &str {
    let slashes = if specifier.starts_with('@') { 2 } else { 1 };
    let end = specifier.match_indices('/').nth(slashes - 1).map_or(specifier.len(), |(at, _)| at);
    specifier.get(..end).unwrap_or(specifier)
}

/// A bare specifier: the package's name and the path in it.
pub(crate) fn parts(specifier: &str) -> Option<(&str, &str)> {
    let (name, path) = specifier.split_at_checked(name(specifier).len())?;
    let local = name.strip_prefix('@').map_or(Some(name), |scoped| {
        scoped.split_once('/').filter(|(scope, _)| !scope.is_empty()).map(|(_, local)| local)
    })?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'@' | b'/');
    let is_name = !local.is_empty() && !local.starts_with(['.', '_']) && name.bytes().all(fits);
    is_name.then(|| (name, path.trim_start_matches('/')))
}

/// Why a package cannot be had in a browser, if it cannot.
pub(crate) fn refusal(manifest: &Manifest, specifier: &str) -> Option<String> {
    let node = specifier.strip_prefix("node:");
    let Some((name, _)) = parts(node.unwrap_or(specifier)) else {
        return Some(format!(
            "cannot find \"{specifier}\": it is neither a file of this project nor a package's name"
        ));
    };
    if node.is_some() || (is_of_node(name) && !manifest.lists(name)) {
        return Some(format!("\"{specifier}\" is a module of Node.js, which a browser does not have"));
    }
    if name == "next" {
        return Some(format!(
            "\"{specifier}\" belongs to Next.js, which needs a server: deploy to `vercel`, or ask for a Vite app"
        ));
    }
    // What compiled JSX and decorators import need not be listed.
    let implied = matches!(name, "react" | "react-dom" | "@oxc-project/runtime");
    (manifest.exists && !implied && !manifest.lists(name)).then(|| unlisted(specifier))
}

/// What is said of a package that no package.json names.
pub(crate) fn unlisted(specifier: &str) -> String {
    let name = name(specifier);
    format!(
        "\"{specifier}\" is not in package.json: add \"{name}\" to its dependencies, or remove the import"
    )
}

/// Whether `fs/promises`, without its `node:`, is of one of these.
pub(crate) fn is_of_node(specifier: &str) -> bool {
    specifier.split('/').next().is_some_and(|name| NODE_MODULES.contains(&name))
}

/// Where a CDN has packages.
#[derive(Debug)]
pub(crate) struct Cdn<'a> {
    pub(crate) url: &'a str,
    pub(crate) manifest: &'a Manifest,
}

impl Cdn<'_> {
    /// A file of a package that is no module, such as a style sheet.
    pub(crate) fn file(&self, specifier: &str) -> String {
        let (name, path) = parts(specifier).unwrap_or((specifier, ""));
        format!("{}/{path}", self.base(name))
    }

    fn base(&self, name: &str) -> String {
        match self.manifest.version(name) {
            Some(version) => format!("{}/{name}@{version}", self.url),
            None => format!("{}/{name}", self.url),
        }
    }

    /// The `imports` of an import map for these bare specifiers. Each package
    /// is there once, for the project's modules and for each other.
    pub(crate) fn imports(&self, specifiers: &BTreeSet<String>) -> BTreeMap<String, String> {
        let mut names: BTreeSet<&str> =
            specifiers.iter().filter_map(|s| parts(s)).map(|(name, _)| name).collect();
        let preact = self.manifest.is_preact();
        if names.iter().any(|name| name.starts_with("react")) || (preact && names.len() > 1) {
            names.extend(["react", "react-dom"]);
        }
        let mut imports = BTreeMap::new();
        for name in &names {
            let (base, mut external) = match *name {
                "react" | "react-dom" if preact => {
                    (format!("{}/compat", self.base("preact")), vec!["preact"])
                }
                name => (self.base(name), names.iter().copied().filter(|other| *other != name).collect()),
            };
            match *name {
                "react" if !preact => external.clear(),
                "react-dom" if !preact => external.retain(|other| *other == "react"),
                _ => {}
            }
            let external = external.join(",");
            let (query, infix) = match external.as_str() {
                "" => (String::new(), String::new()),
                list => (format!("?external={list}"), format!("&external={list}")),
            };
            imports.insert((*name).to_owned(), format!("{base}{query}"));
            // The one form in which esm.sh takes a query before a path.
            imports.insert(format!("{name}/"), format!("{base}{infix}/"));
            for specifier in specifiers {
                if let Some(path) = specifier.strip_prefix(&format!("{name}/")) {
                    imports.insert(specifier.clone(), format!("{base}/{path}{query}"));
                }
            }
        }
        imports
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manifest(json: &str) -> Manifest {
        Manifest::read(&[("package.json".to_owned(), json.to_owned())].into(), "").unwrap()
    }

    fn imports(manifest: &Manifest, specifiers: &[&str]) -> BTreeMap<String, String> {
        let specifiers = specifiers.iter().map(|s| (*s).to_owned()).collect();
        Cdn { url: "https://esm.sh", manifest }.imports(&specifiers)
    }

    #[test]
    fn versions_are_pinned() {
        for (range, version) in [
            ("^18.3.1", Some("18.3.1")),
            ("~1.2.3-beta.1", Some("1.2.3-beta.1")),
            ("5", Some("5")),
            ("18.x", Some("18")),
            (">=16 <20", Some("16")),
            ("^17.0.0 || ^18.2.0", Some("18.2.0")),
            ("next", Some("next")),
            ("latest", None),
            ("*", None),
            ("", None),
            ("workspace:*", None),
            ("git+https://example.com/x.git", None),
            ("\"><script>", None),
        ] {
            assert_eq!(pinned(range).as_deref(), version, "{range}");
        }
    }

    #[test]
    fn the_lock_knows_better_than_the_range() {
        let lock = r#"{"packages":{"":{},"node_modules/react":{"version":"18.2.0"}}}"#;
        let files =
            [("package.json", r#"{"dependencies":{"react":"^18.0.0"}}"#), ("package-lock.json", lock)];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        assert_eq!(Manifest::read(&files.into(), "").unwrap().version("react").as_deref(), Some("18.2.0"));
    }

    #[test]
    fn react_is_there_once_for_all() {
        let manifest =
            manifest(r#"{"dependencies":{"react":"^18.3.1","react-dom":"^18.3.1","zustand":"4.5.0"}}"#);
        let imports = imports(&manifest, &["react", "react/jsx-runtime", "react-dom/client", "zustand"]);
        for (name, url) in [
            ("react", "https://esm.sh/react@18.3.1"),
            ("react/", "https://esm.sh/react@18.3.1/"),
            ("react/jsx-runtime", "https://esm.sh/react@18.3.1/jsx-runtime"),
            ("react-dom/", "https://esm.sh/react-dom@18.3.1&external=react/"),
            ("react-dom/client", "https://esm.sh/react-dom@18.3.1/client?external=react"),
            ("zustand", "https://esm.sh/zustand@4.5.0?external=react,react-dom"),
        ] {
            assert_eq!(imports.get(name).map(String::as_str), Some(url), "{name}");
        }
    }

    #[test]
    fn preact_stands_in_for_react_where_it_is_listed_alone() {
        let manifest = manifest(r#"{"dependencies":{"preact":"10.25.0","wouter-preact":"3"}}"#);
        let imports = imports(&manifest, &["preact/jsx-runtime", "wouter-preact"]);
        assert_eq!(imports["react"], "https://esm.sh/preact@10.25.0/compat?external=preact");
    }

    #[test]
    fn what_no_browser_has_is_refused_with_words() {
        let listed = manifest(r#"{"dependencies":{"events":"3","lodash":"4"}}"#);
        for (specifier, told) in [
            ("fs", "Node.js"),
            ("node:path", "Node.js"),
            ("next/link", "Next.js"),
            ("left-pad", "add \"left-pad\" to its dependencies"),
            ("not a name", "neither"),
            ("@/nothing", "neither"),
        ] {
            assert!(refusal(&listed, specifier).unwrap().contains(told), "{specifier}");
        }
        for specifier in ["events", "lodash/debounce", "react", "react-dom/client"] {
            assert_eq!(refusal(&listed, specifier), None, "{specifier}");
        }
        assert_eq!(refusal(&Manifest::default(), "anything"), None);
    }

    #[test]
    fn a_broken_manifest_says_where() {
        let files = [("package.json".to_owned(), "{\n  \"name\": 7\n}".to_owned())].into();
        let error = Manifest::read(&files, "").unwrap_err();
        assert_eq!((error.path.as_str(), error.line), ("package.json", 2));
    }

    proptest! {
        #[test]
        fn no_specifier_makes_it_panic(specifier in ".{0,40}") {
            if let Some((name, path)) = parts(&specifier) {
                prop_assert!(specifier.starts_with(name) && specifier.ends_with(path));
            }
            refusal(&Manifest::default(), &specifier);
        }
    }
}
