//! What an import means: a file of the project, by the rules of Vite and of
//! TypeScript's bundler mode, or a package.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{json, package, path, plan, project::Project};

/// What a path in an import may stand for beside itself.
#[derive(Debug)]
pub(crate) struct Endings {
    /// Tried in this order after a path without one.
    pub(crate) extensions: &'static [&'static str],
    /// TypeScript's way: the import names the file that the compiler would write.
    pub(crate) written_as: &'static [(&'static str, &'static [&'static str])],
}

/// Of what is compiled here.
const COMPILED: Endings = Endings {
    extensions: &["tsx", "ts", "jsx", "js", "mts", "mjs", "json"],
    written_as: &[("js", &["ts", "tsx", "jsx"]), ("jsx", &["tsx"]), ("mjs", &["mts"])],
};

/// The most targets of a configuration's patterns: each import looks for all of them.
const MOST_TARGETS: usize = 20;

/// What an import leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A file, and the query of its specifier (`raw`, `url`), or nothing.
    File { path: String, query: String },
    /// A bare specifier.
    Package(String),
    /// Left as it is.
    Url,
}

/// `paths` and `baseUrl` of tsconfig.json or jsconfig.json.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    /// Pattern and target, in the order of the file.
    paths: Vec<(String, String)>,
    base: Option<String>,
}

/// `compilerOptions` of tsconfig.json or jsconfig.json (<https://www.typescriptlang.org/tsconfig>) as far as they matter.
#[derive(Debug, Default)]
pub(crate) struct TsOptions {
    base_url: Option<String>,
    paths: Option<Map<String, Value>>,
    pub(crate) jsx_import_source: Option<String>,
    pub(crate) experimental_decorators: bool,
}

impl TsOptions {
    /// Those of one file. What has another type than it should is left out, as nothing else depends on it.
    pub(crate) fn read(text: &str) -> Self {
        let config: Value = json::lenient(text).unwrap_or_default();
        let option = |name: &str| config.get("compilerOptions").and_then(|options| options.get(name));
        let text = |name: &str| option(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            base_url: text("baseUrl"),
            paths: option("paths").and_then(Value::as_object).cloned(),
            jsx_import_source: text("jsxImportSource"),
            experimental_decorators: option("experimentalDecorators")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
        }
    }

    /// Those of every configuration file together; the first that says something counts.
    pub(crate) fn of(files: &BTreeMap<String, String>) -> Self {
        let configs = ["tsconfig.json", "tsconfig.app.json", "jsconfig.json"];
        configs.iter().filter_map(|name| files.get(*name)).fold(Self::default(), |all, text| {
            let options = Self::read(text);
            Self {
                base_url: all.base_url.or(options.base_url),
                paths: all.paths.or(options.paths),
                jsx_import_source: all.jsx_import_source.or(options.jsx_import_source),
                experimental_decorators: all.experimental_decorators || options.experimental_decorators,
            }
        })
    }
}

impl Aliases {
    /// Those of the configuration of a folder (with its slash).
    pub(crate) fn new(folder: &str, options: &TsOptions) -> Self {
        let base = options.base_url.as_deref().and_then(|base| path::join(folder, base));
        let below = |target: &str| path::join(base.as_deref().unwrap_or(folder), target);
        let paths = options.paths.iter().flatten().flat_map(|(pattern, targets)| {
            let targets = targets.as_array().into_iter().flatten().filter_map(Value::as_str);
            targets.filter_map(|target| Some((pattern.clone(), below(target)?)))
        });
        let paths = paths.take(MOST_TARGETS).collect();
        Self { paths, base }
    }

    /// What a specifier stands for, by the patterns that are made for it.
    pub(crate) fn mapped(&self, specifier: &str) -> Vec<String> {
        let own = self.paths.iter().filter(|(pattern, _)| pattern != EVERYTHING);
        own.filter_map(|(pattern, target)| substituted(pattern, target, specifier)).collect()
    }

    /// What it may stand for if it is not a package: below `baseUrl`, or by the pattern for everything.
    pub(crate) fn below_base(&self, specifier: &str) -> Vec<String> {
        let all = self.paths.iter().filter(|(pattern, _)| pattern == EVERYTHING);
        let all = all.filter_map(|(pattern, target)| substituted(pattern, target, specifier));
        all.chain(self.base.as_deref().and_then(|base| path::join(base, specifier))).collect()
    }

    /// The paths that a specifier may stand for, the likeliest first.
    fn candidates(&self, specifier: &str) -> Vec<String> {
        let mut candidates = self.mapped(specifier);
        // What everybody means by it, whose tsconfig.json was left out.
        if let Some(rest) = specifier.strip_prefix("@/").or_else(|| specifier.strip_prefix("~/")) {
            candidates.extend([format!("src/{rest}"), rest.to_owned()]);
        }
        candidates.extend(self.below_base(specifier));
        candidates
    }
}

/// The pattern that every specifier fits.
const EVERYTHING: &str = "*";

/// The path that `target` makes of a specifier, if `pattern` fits that.
fn substituted(pattern: &str, target: &str, specifier: &str) -> Option<String> {
    let Some((before, after)) = pattern.split_once('*') else {
        return (pattern == specifier).then(|| target.to_owned());
    };
    let star = specifier.strip_prefix(before)?.strip_suffix(after)?;
    path::join("", &target.replacen('*', star, 1))
}

/// What `specifier` means in the module at `importer`.
///
/// # Errors
/// Why there is no such thing, in words.
pub(crate) fn resolve(project: &Project, importer: &str, specifier: &str) -> Result<Target, String> {
    if specifier.starts_with("//") || has_scheme(specifier) {
        return Ok(Target::Url);
    }
    let (wanted, query) = specifier.split_once('?').unwrap_or((specifier, ""));
    let file = |path| Target::File { path, query: query.to_owned() };
    let is_relative = is_relative(wanted);
    let candidates = if is_relative {
        path::join(path::folder(importer), wanted).into_iter().collect()
    } else if let Some(rooted) = wanted.strip_prefix('/') {
        vec![rooted.to_owned(), format!("public/{rooted}")]
    } else {
        project.aliases.candidates(wanted)
    };
    if let Some(found) = candidates.iter().find_map(|path| locate(&project.files, path, &COMPILED)) {
        return Ok(file(found.to_owned()));
    }
    let is_path =
        is_relative || wanted.starts_with('/') || wanted.starts_with("@/") || wanted.starts_with("~/");
    if is_path {
        return Err(missing(&project.files, specifier, candidates.first().map(String::as_str), &COMPILED));
    }
    if plan::gives(&project.provided, specifier) {
        return Ok(Target::Url);
    }
    match package::refusal(&project.manifest, wanted) {
        Some(refusal) => Err(refusal),
        None => Ok(Target::Package(wanted.to_owned())),
    }
}

fn has_scheme(specifier: &str) -> bool {
    ["http:", "https:", "data:", "blob:"].iter().any(|scheme| specifier.starts_with(scheme))
}

pub(crate) fn is_relative(specifier: &str) -> bool {
    matches!(specifier, "." | "..") || specifier.starts_with("./") || specifier.starts_with("../")
}

/// The file that a path without extension, or of a folder, stands for.
pub(crate) fn locate<'f>(
    files: &'f BTreeMap<String, String>,
    path: &str,
    endings: &Endings,
) -> Option<&'f str> {
    candidates(path, endings).find_map(|path| files.get_key_value(&path)).map(|(path, _)| path.as_str())
}

/// Every path that `path` may stand for, itself first.
fn candidates(path: &str, endings: &Endings) -> impl Iterator<Item = String> {
    let written = endings.written_as.iter().filter_map(|(extension, sources)| {
        Some((path.strip_suffix(extension)?.strip_suffix('.')?, *sources))
    });
    let sources =
        written.flat_map(|(stem, sources)| sources.iter().map(move |source| format!("{stem}.{source}")));
    let index = if path.is_empty() { "index".to_owned() } else { format!("{path}/index") };
    let extended = [path.to_owned(), index]
        .into_iter()
        .flat_map(|stem| endings.extensions.iter().map(move |extension| format!("{stem}.{extension}")));
    std::iter::once(path.to_owned()).chain(sources).chain(extended)
}

/// That there is no file for `path`, which `specifier` stands for (none: it leads out), and which one may be meant.
pub(crate) fn missing(
    files: &BTreeMap<String, String>,
    specifier: &str,
    path: Option<&str>,
    endings: &Endings,
) -> String {
    let Some(path) = path else { return format!("\"{specifier}\" leads out of the project") };
    let wanted: BTreeSet<String> =
        candidates(path, endings).map(|candidate| candidate.to_lowercase()).collect();
    match files.keys().find(|file| wanted.contains(&file.to_lowercase())) {
        Some(file) => format!(
            "cannot find \"{specifier}\": there is no {path}; did you mean {file}? File names are case-sensitive"
        ),
        None => format!("cannot find \"{specifier}\": there is no {path}; write it, or import what there is"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn project(files: &[(&str, &str)]) -> Project {
        Project::read(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
            .unwrap()
    }

    fn file(path: &str) -> Target {
        Target::File { path: path.to_owned(), query: String::new() }
    }

    #[test]
    fn files_are_found_without_extension_in_folders_and_at_the_root() {
        let project = project(&[
            ("src/App.tsx", ""),
            ("src/ui/index.ts", ""),
            ("src/ui/Button.jsx", ""),
            ("src/data.json", ""),
            ("public/logo.svg", ""),
        ]);
        for (importer, specifier, path) in [
            ("src/main.tsx", "./App", "src/App.tsx"),
            ("src/main.tsx", "./App.tsx", "src/App.tsx"),
            ("src/main.tsx", "./App.js", "src/App.tsx"),
            ("src/main.tsx", "./ui", "src/ui/index.ts"),
            ("src/main.tsx", "./ui/", "src/ui/index.ts"),
            ("src/ui/Button.jsx", ".", "src/ui/index.ts"),
            ("src/ui/index.ts", "./Button", "src/ui/Button.jsx"),
            ("src/ui/index.ts", "../data.json", "src/data.json"),
            ("src/main.tsx", "/src/App", "src/App.tsx"),
            ("src/main.tsx", "/logo.svg", "public/logo.svg"),
            ("src/main.tsx", "@/ui/Button", "src/ui/Button.jsx"),
            ("src/main.tsx", "~/App", "src/App.tsx"),
        ] {
            assert_eq!(resolve(&project, importer, specifier), Ok(file(path)), "{specifier} in {importer}");
        }
    }

    #[test]
    fn aliases_are_those_of_tsconfig() {
        let tsconfig = r#"{ "compilerOptions": { "baseUrl": ".", // the root
            "paths": { "@ui/*": ["lib/ui/*"], "config": ["lib/config.ts"], "@/*": ["app/*"], } } }"#;
        let project = project(&[
            ("tsconfig.json", tsconfig),
            ("lib/ui/A.tsx", ""),
            ("lib/config.ts", ""),
            ("app/B.ts", ""),
        ]);
        for (specifier, path) in [
            ("@/../app/B", "app/B.ts"),
            ("@/./B", "app/B.ts"),
            ("@ui/A", "lib/ui/A.tsx"),
            ("config", "lib/config.ts"),
            ("@/B", "app/B.ts"),
            ("lib/config", "lib/config.ts"),
        ] {
            assert_eq!(resolve(&project, "app/B.ts", specifier), Ok(file(path)), "{specifier}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_with_what_may_be_meant() {
        let project = project(&[("src/components/Header.tsx", "")]);
        let error = resolve(&project, "src/App.tsx", "./components/header").unwrap_err();
        assert!(
            error.contains("src/components/header")
                && error.contains("did you mean src/components/Header.tsx?")
        );
        assert!(resolve(&project, "src/App.tsx", "../../x").unwrap_err().contains("out of the project"));
        assert!(resolve(&project, "src/App.tsx", "@/x").unwrap_err().contains("there is no src/x"));
    }

    #[test]
    fn a_bare_name_is_a_package_and_a_url_stays_one() {
        let project = project(&[]);
        assert_eq!(
            resolve(&project, "a.ts", "react-dom/client"),
            Ok(Target::Package("react-dom/client".to_owned()))
        );
        assert_eq!(resolve(&project, "a.ts", "https://esm.sh/react"), Ok(Target::Url));
        let svg = Target::File { path: "a.svg".to_owned(), query: "raw".to_owned() };
        assert_eq!(resolve(&self::project(&[("a.svg", "")]), "a.ts", "./a.svg?raw"), Ok(svg));
    }

    proptest! {
        #[test]
        fn what_is_found_is_a_file_of_the_project(importer in "([ab]/){0,3}[ab]", specifier in "[./@~?ab]{0,12}") {
            let project = project(&[("a.tsx", ""), ("b/index.ts", ""), ("a/b.json", ""), ("src/a.ts", "")]);
            if let Ok(Target::File { path, .. }) = resolve(&project, &importer, &specifier) {
                prop_assert!(project.files.contains_key(&path));
            }
        }
    }
}
