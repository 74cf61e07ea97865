//! Whether an import leads anywhere: to a file, to a dependency of a package.json above it, or to Node itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::imports::Import;

/// Tried in this order after a path without ending, as bundlers do.
const ENDINGS: [&str; 9] = [".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".json"];
/// Node's own modules: <https://nodejs.org/api/modules.html#built-in-modules>.
const NODE: &str = " assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns domain \
    events fs http http2 https inspector module net os path perf_hooks process punycode querystring readline repl stream \
    string_decoder sys test timers tls trace_events tty url util v8 vm wasi worker_threads zlib ";
/// Schemes of modules that a runtime or a build tool has itself.
const SCHEMES: [&str; 6] = ["data", "virtual", "bun", "cloudflare", "astro", "fumadocs-mdx"];
/// What Next.js answers for without a package of that name.
const OF_NEXT: [&str; 3] = ["server-only", "client-only", "styled-jsx"];

/// What imports are resolved against.
#[derive(Debug)]
pub(super) struct Resolver<'a> {
    files: &'a BTreeMap<String, String>,
    /// Lower case to the path as it is.
    folded: BTreeMap<String, &'a str>,
    packages: Vec<Package>,
    aliases: Vec<Alias>,
}

/// A package.json as far as imports go.
#[derive(Debug)]
struct Package {
    /// Where it is, with a `/` at the end; empty for the root.
    directory: String,
    name: String,
    dependencies: BTreeSet<String>,
    /// Keys of its `imports`, up to their `*`.
    imports: Vec<String>,
}

/// An entry of `compilerOptions.paths`, or of `baseUrl`: below `directory`, what begins with `prefix` is looked for below each
/// of the `targets`.
#[derive(Debug)]
struct Alias {
    directory: String,
    prefix: String,
    /// Whether it ends in `*`; else it is for one name.
    is_prefix: bool,
    /// Whether a name that is not found below it may be a package.
    is_base: bool,
    targets: Vec<String>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(files: &'a BTreeMap<String, String>) -> Self {
        let named = |wanted: fn(&str) -> bool| {
            files.iter().filter_map(move |(path, text)| {
                let (directory, name) = split(path);
                wanted(name).then_some((directory, text))
            })
        };
        let packages = named(|name| name == "package.json").filter_map(|(at, text)| Package::read(at, text));
        let is_config = |name: &str| {
            (name.starts_with("tsconfig") || name.starts_with("jsconfig")) && name.ends_with(".json")
        };
        Self {
            files,
            folded: files.keys().map(|path| (path.to_lowercase(), path.as_str())).collect(),
            packages: packages.collect(),
            aliases: named(is_config).flat_map(|(at, text)| aliases(at, text)).collect(),
        }
    }

    /// What is wrong with an import of the file `path`, if anything is.
    pub(super) fn problem(&self, path: &str, import: &Import<'_>) -> Option<String> {
        let specifier = import.specifier.split('?').next().unwrap_or_default();
        let told = shown(specifier);
        let (directory, _) = split(path);
        if specifier.is_empty() {
            return Some("an import names nothing: name a file or a package".to_owned());
        }
        if is_made_by_a_build(specifier) {
            return None;
        }
        if is_relative(specifier) {
            let Some(target) = joined(directory, specifier) else {
                return Some(format!(
                    "imports `{told}`, which is outside the application: import a file of it"
                ));
            };
            return self.missing(&target, &told);
        }
        if let Some(below) = specifier.strip_prefix('/') {
            let found = self.file(below).is_some() || self.file(&format!("public/{below}")).is_some();
            return (!found)
                .then(|| format!("imports `{told}`, and there is no such file: use a relative path"));
        }
        if let Some(problem) = self.alias(directory, specifier, &told) {
            return problem;
        }
        if let Some((scheme, name)) = specifier.split_once(':') {
            return match scheme {
                "node" if is_node(name) => None,
                "node" => Some(format!("imports `{told}`, which Node does not have")),
                _ if SCHEMES.contains(&scheme) => None,
                _ => Some(format!(
                    "imports `{told}` from the network: name it in package.json and import it by its name"
                )),
            };
        }
        if is_node(specifier) {
            return None;
        }
        self.package(directory, specifier, import.is_type, &told)
    }

    /// The file that an import of the file `path` leads to, if it is one of the application's.
    pub(super) fn target(&self, path: &str, specifier: &str) -> Option<&'a str> {
        let (directory, _) = split(path);
        if is_relative(specifier) {
            return self.file(&joined(directory, specifier)?);
        }
        let targets = self
            .fitting(directory, specifier)
            .flat_map(|(alias, rest)| alias.targets.iter().map(move |target| format!("{target}{rest}")));
        targets.filter_map(|target| joined("", &target)).find_map(|target| self.file(&target))
    }

    /// The aliases for an import, each with what follows its prefix.
    fn fitting<'b>(
        &'b self,
        directory: &'b str,
        specifier: &'b str,
    ) -> impl Iterator<Item = (&'b Alias, &'b str)> {
        self.aliases.iter().filter_map(move |alias| {
            let rest = specifier.strip_prefix(&alias.prefix)?;
            let fits = directory.starts_with(&alias.directory) && (alias.is_prefix || rest.is_empty());
            fits.then_some((alias, rest))
        })
    }

    /// Whether a package.json above the file `path` names the package.
    pub(super) fn depends_on(&self, path: &str, package: &str) -> bool {
        let above = self.packages.iter().filter(|above| path.starts_with(&above.directory));
        above.into_iter().any(|above| above.dependencies.contains(package))
    }

    /// An import by an alias: `None` when there is none for it, else what is wrong with it.
    fn alias(&self, directory: &str, specifier: &str, told: &str) -> Option<Option<String>> {
        let mut missing = None;
        for (alias, rest) in self.fitting(directory, specifier) {
            for target in &alias.targets {
                let problem = match joined("", &format!("{target}{rest}")) {
                    Some(target) => self.missing(&target, told),
                    // Such as `./node_modules/x`, or a file of a package beside this one.
                    None => None,
                };
                if problem.is_none() {
                    return Some(None);
                }
                if !alias.is_base {
                    missing = missing.or(problem);
                }
            }
        }
        missing.map(Some)
    }

    fn package(&self, directory: &str, specifier: &str, is_type: bool, told: &str) -> Option<String> {
        let name = package_name(specifier);
        let above: Vec<&Package> =
            self.packages.iter().filter(|package| directory.starts_with(&package.directory)).collect();
        let has = |name: &str| above.iter().any(|package| package.dependencies.contains(name));
        let by_imports = above.iter().any(|package| {
            specifier.starts_with('#') && package.imports.iter().any(|key| specifier.starts_with(key))
        });
        let types = format!("@types/{}", name.trim_start_matches('@').replace('/', "__"));
        let found = has(name)
            || by_imports
            || self.packages.iter().any(|package| package.name == name)
            || (is_type && has(&types))
            || (OF_NEXT.contains(&name) && has("next"))
            || (specifier.starts_with('$') && has("@sveltejs/kit"));
        if found {
            return None;
        }
        if specifier.starts_with("@/") || specifier.starts_with("~/") || specifier.starts_with('#') {
            let prefix: String = specifier.chars().take_while(|c| *c != '/').collect();
            let prefix = shown(&prefix);
            return Some(format!(
                "imports `{told}`, and no alias says what `{prefix}/` is: add \"{prefix}/*\" to compilerOptions.paths of tsconfig.json"
            ));
        }
        Some(format!(
            "imports `{told}`, and package.json has no `{}`: add it to the dependencies",
            shown(name)
        ))
    }

    /// What to say when there is no file for a path from the root.
    fn missing(&self, target: &str, told: &str) -> Option<String> {
        if self.file(target).is_some() {
            return None;
        }
        let folded = candidates(&target.to_lowercase()).find_map(|path| self.folded.get(&path).copied());
        Some(match folded {
            Some(path) => {
                format!("imports `{told}`, and the file is called `{path}`: write upper and lower case alike")
            }
            None => format!("imports `{told}`, and there is no such file: write it, or import what there is"),
        })
    }

    fn file(&self, target: &str) -> Option<&'a str> {
        candidates(target).find_map(|path| self.files.get_key_value(&path)).map(|(path, _)| path.as_str())
    }
}

impl Package {
    fn read(directory: &str, text: &str) -> Option<Self> {
        let package: Value = serde_json::from_str(text).ok()?;
        let keys = |name: &str| {
            let object = package.get(name).and_then(Value::as_object);
            object.map(|object| object.keys().cloned().collect::<Vec<String>>()).unwrap_or_default()
        };
        let kinds = ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"];
        let until_star = |key: String| key.split('*').next().unwrap_or_default().to_owned();
        Some(Self {
            directory: directory.to_owned(),
            name: package.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            dependencies: kinds.into_iter().flat_map(keys).collect(),
            imports: keys("imports").into_iter().map(until_star).collect(),
        })
    }
}

fn aliases(directory: &str, text: &str) -> Vec<Alias> {
    let config = super::jsonc::parse(text).unwrap_or_default();
    let Some(options) = config.get("compilerOptions") else { return Vec::new() };
    let base = options.get("baseUrl").and_then(Value::as_str);
    let root = base.and_then(|base| joined(directory, base)).unwrap_or_else(|| directory.to_owned());
    let below = |target: &str| joined(&as_directory(&root), target);
    let paths = options.get("paths").and_then(Value::as_object);
    let named = paths.into_iter().flatten().map(|(key, targets)| {
        let targets = targets.as_array().into_iter().flatten().filter_map(Value::as_str);
        let is_prefix = key.ends_with('*');
        Alias {
            directory: directory.to_owned(),
            prefix: key.trim_end_matches('*').to_owned(),
            is_prefix,
            is_base: key == "*",
            targets: targets
                .filter_map(|target| {
                    Some(match target.strip_suffix('*') {
                        Some(target) => as_directory(&below(target)?),
                        None => below(target)?,
                    })
                })
                .collect(),
        }
    });
    let by_base = base.map(|_| Alias {
        directory: directory.to_owned(),
        prefix: String::new(),
        is_prefix: true,
        is_base: true,
        targets: vec![as_directory(&root)],
    });
    named.chain(by_base).collect()
}

/// The paths that may be meant by one without ending, by a directory, or by `.js` of what is written in TypeScript.
fn candidates(target: &str) -> impl Iterator<Item = String> {
    let stem = target.rsplit_once('.').filter(|(_, ending)| matches!(*ending, "js" | "jsx" | "mjs" | "cjs"));
    let compiled = stem.map(|(stem, _)| stem.to_owned());
    let of_typescript = compiled
        .into_iter()
        .flat_map(|stem| [".ts", ".tsx", ".mts", ".cts", ".d.ts"].map(|ending| format!("{stem}{ending}")));
    let index = if target.is_empty() { "index".to_owned() } else { format!("{target}/index") };
    let target = target.to_owned();
    let with_ending = ENDINGS.map(|ending| format!("{target}{ending}"));
    let in_directory = ENDINGS.map(|ending| format!("{index}{ending}"));
    std::iter::once(target).chain(with_ending).chain(of_typescript).chain(in_directory)
}

/// A path from the root; `None` if it leads out of it.
fn joined(directory: &str, specifier: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(specifier.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// With a `/` at the end, unless it is the root.
fn as_directory(path: &str) -> String {
    match path.is_empty() || path.ends_with('/') {
        true => path.to_owned(),
        false => format!("{path}/"),
    }
}

/// The directory of a path, with its `/`, and the name.
fn split(path: &str) -> (&str, &str) {
    path.split_at_checked(path.rfind('/').map_or(0, |at| at + 1)).unwrap_or(("", path))
}

/// `@scope/name/sub` is of the package `@scope/name`, `name/sub` of `name`.
fn package_name(specifier: &str) -> &str {
    let parts = if specifier.starts_with('@') { 2 } else { 1 };
    let end = specifier.match_indices('/').nth(parts - 1).map_or(specifier.len(), |(at, _)| at);
    specifier.get(..end).unwrap_or(specifier)
}

fn is_relative(specifier: &str) -> bool {
    matches!(specifier, "." | "..") || specifier.starts_with("./") || specifier.starts_with("../")
}

fn is_node(name: &str) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    !first.contains(' ') && NODE.contains(&format!(" {first} "))
}

/// Types of routes and clients of databases, which tools write before a build.
fn is_made_by_a_build(specifier: &str) -> bool {
    specifier.contains("/generated/") || specifier.contains("/+types/") || specifier.ends_with("/$types")
}

/// A specifier as it is told: short, on one line, and no end of its own quotes.
fn shown(specifier: &str) -> String {
    crate::generate::line::one_line(specifier, 120).replace('`', "'")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn project(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    fn told(files: &BTreeMap<String, String>, path: &str, specifier: &str) -> Option<String> {
        Resolver::new(files).problem(path, &Import { specifier, line: 1, is_type: false, names: Vec::new() })
    }

    const TSCONFIG: &str = r#"{
        // Aliases, as Next.js writes them.
        "compilerOptions": { "baseUrl": ".", "paths": { "@/*": ["./src/*"], "config": ["./src/config.ts"], }, },
    }"#;

    fn application() -> BTreeMap<String, String> {
        project(&[
            (
                "package.json",
                r##"{"name":"app","dependencies":{"next":"1","react":"1","@a/b":"1"},"imports":{"#x/*":"./x/*"}}"##,
            ),
            ("tsconfig.json", TSCONFIG),
            ("src/app/page.tsx", ""),
            ("src/app/page.module.css", ""),
            ("src/ui/index.ts", ""),
            ("src/ui/Button.tsx", ""),
            ("src/config.ts", ""),
            ("src/data.json", ""),
            ("public/logo.svg", ""),
        ])
    }

    #[test]
    fn imports_lead_to_files_packages_and_node() {
        let files = application();
        for specifier in [
            "./page.module.css",
            "../ui",
            "../ui/",
            "../ui/index",
            "../ui/Button",
            "../ui/Button.js",
            "../data.json",
            "../data",
            ".",
            "./page",
            "../../public/logo.svg?url",
            "/logo.svg",
            "/src/config",
            "@/ui",
            "@/ui/Button",
            "config",
            "src/ui",
            "react",
            "react/jsx-runtime",
            "next/navigation",
            "@a/b",
            "@a/b/c",
            "fs",
            "node:fs/promises",
            "path/posix",
            "server-only",
            "#x/y",
            "app/sub",
            "cloudflare:workers",
            "./generated/client",
            "./+types/page",
        ] {
            let problem = match specifier {
                "." => told(&files, "src/ui/Button.tsx", specifier),
                _ => told(&files, "src/app/page.tsx", specifier),
            };
            assert_eq!(problem, None, "{specifier}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_told_with_what_to_do() {
        let files = application();
        for (specifier, part) in [
            ("./missing", "there is no such file"),
            ("../ui/button", "the file is called `src/ui/Button.tsx`"),
            ("@/ui/Card", "there is no such file"),
            ("../../../etc/passwd", "outside the application"),
            ("/etc/passwd", "there is no such file"),
            ("lodash", "no `lodash`"),
            ("lodash/fp", "no `lodash`"),
            ("@a/c/d", "no `@a/c`"),
            ("~/ui", "no alias says what `~/` is"),
            ("#y/z", "no alias says what `#y/` is"),
            ("node:nothing", "Node does not have"),
            ("https://esm.sh/react", "from the network"),
            ("", "names nothing"),
        ] {
            let problem = told(&files, "src/app/page.tsx", specifier).unwrap_or_default();
            assert!(problem.contains(part), "{specifier}: {problem:?}");
        }
    }

    #[test]
    fn a_file_of_a_workspace_sees_the_packages_above_it_and_its_own_aliases() {
        let files = project(&[
            ("package.json", r#"{"name":"root","devDependencies":{"typescript":"5"}}"#),
            ("apps/web/package.json", r#"{"name":"web","dependencies":{"next":"14","ui":"*"}}"#),
            ("apps/web/tsconfig.json", r#"{"compilerOptions":{"paths":{"@/*":["./*"]}}}"#),
            ("apps/web/lib/a.ts", ""),
            ("packages/ui/package.json", r#"{"name":"ui"}"#),
            ("packages/ui/b.ts", ""),
        ]);
        for specifier in ["typescript", "next", "ui", "@/lib/a"] {
            assert_eq!(told(&files, "apps/web/page.tsx", specifier), None, "{specifier}");
        }
        assert!(told(&files, "packages/ui/b.ts", "next").is_some());
        assert!(told(&files, "packages/ui/b.ts", "@/lib/a").is_some());
    }

    #[test]
    fn a_type_may_come_from_its_types_alone() {
        let files =
            project(&[("package.json", r#"{"devDependencies":{"@types/geojson":"1","@types/a__b":"1"}}"#)]);
        let resolver = Resolver::new(&files);
        for specifier in ["geojson", "@a/b"] {
            let import = |is_type| Import { specifier, line: 1, is_type, names: Vec::new() };
            assert_eq!(resolver.problem("a.ts", &import(true)), None);
            assert!(resolver.problem("a.ts", &import(false)).is_some());
        }
    }

    proptest! {
        #[test]
        fn any_specifier_is_answered_on_one_short_line(specifier in "(\\PC|\\pC|[./@#~:*?`-]){0,200}", path in "([a-z]{1,3}/){0,3}[a-z].ts") {
            if let Some(problem) = told(&application(), &path, &specifier) {
                prop_assert!(problem.chars().count() < 500 && !problem.contains('\n'));
            }
        }

        #[test]
        fn an_import_of_a_file_from_beside_it_is_found(directory in "([a-z]{1,3}/){0,3}", name in "[a-z]{1,5}", ending in 0..ENDINGS.len()) {
            let path = format!("{directory}{name}{}", ENDINGS[ending]);
            let files = project(&[(&path, "")]);
            let importer = format!("{directory}other.ts");
            prop_assert_eq!(told(&files, &importer, &format!("./{name}")), None);
            prop_assert_eq!(told(&files, "src/deep/er/x.ts", &format!("../../../{path}")), None);
        }
    }
}
