//! What an import means: a file of the project, by the rules of Vite and of
//! TypeScript's bundler mode, or a package.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{json, package, path, plan, project::Project};

/// Tried in this order after a path without one.
const EXTENSIONS: &[&str] = &["tsx", "ts", "jsx", "js", "mts", "mjs", "json"];
/// TypeScript's way: the import names the file that the compiler would write.
const WRITTEN_AS: &[(&str, &[&str])] = &[("js", &["ts", "tsx", "jsx"]), ("jsx", &["tsx"]), ("mjs", &["mts"])];

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

/// tsconfig.json or jsconfig.json, <https://www.typescriptlang.org/tsconfig>.
#[derive(Deserialize, Default)]
pub(crate) struct TsConfig {
    #[serde(rename = "compilerOptions", default)]
    pub(crate) options: TsOptions,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TsOptions {
    pub(crate) base_url: Option<String>,
    paths: Option<serde_json::Map<String, serde_json::Value>>,
    pub(crate) jsx_import_source: Option<String>,
    pub(crate) experimental_decorators: bool,
}

/// The options of every configuration file together; the first that says something counts.
pub(crate) fn ts_options(read: impl Fn(&str) -> Option<String>) -> TsOptions {
    let mut all = TsOptions::default();
    for name in ["tsconfig.json", "tsconfig.app.json", "jsconfig.json"] {
        let Some(TsConfig { options }) = read(name).and_then(|text| json::lenient(&text)) else { continue };
        all.base_url = all.base_url.or(options.base_url);
        all.paths = all.paths.or(options.paths);
        all.jsx_import_source = all.jsx_import_source.or(options.jsx_import_source);
        all.experimental_decorators |= options.experimental_decorators;
    }
    all
}

impl Aliases {
    /// Those of the configuration of a folder (with its slash).
    pub(crate) fn new(folder: &str, options: &TsOptions) -> Self {
        let base = options.base_url.as_deref().and_then(|base| path::join(folder, base));
        let mut paths = Vec::new();
        for (pattern, targets) in options.paths.iter().flatten() {
            for target in targets.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str) {
                let target = path::join(base.as_deref().unwrap_or(folder), target);
                paths.extend(target.map(|target| (pattern.clone(), target)));
            }
        }
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

fn substituted(pattern: &str, target: &str, specifier: &str) -> Option<String> {
    let Some((before, after)) = pattern.split_once('*') else {
        return (pattern == specifier).then(|| target.to_owned());
    };
    let star = specifier.strip_prefix(before)?.strip_suffix(after)?;
    Some(target.replacen('*', star, 1))
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
    if let Some(found) = candidates.iter().find_map(|path| locate(&project.files, path)) {
        return Ok(file(found.to_owned()));
    }
    let is_path =
        is_relative || wanted.starts_with('/') || wanted.starts_with("@/") || wanted.starts_with("~/");
    if is_path {
        return Err(missing(&project.files, specifier, candidates.first().map(String::as_str)));
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
pub(crate) fn locate<'f>(files: &'f BTreeMap<String, String>, path: &str) -> Option<&'f str> {
    let written = WRITTEN_AS.iter().filter_map(|(extension, sources)| {
        Some((path.strip_suffix(extension)?.strip_suffix('.')?, *sources))
    });
    let sources =
        written.flat_map(|(stem, sources)| sources.iter().map(move |source| format!("{stem}.{source}")));
    let folder = if path.is_empty() { "index".to_owned() } else { format!("{path}/index") };
    let stems = [path.to_owned(), folder];
    let extended =
        stems.iter().flat_map(|stem| EXTENSIONS.iter().map(move |extension| format!("{stem}.{extension}")));
    let mut candidates = std::iter::once(path.to_owned()).chain(sources).chain(extended);
    candidates.find_map(|path| files.get_key_value(&path)).map(|(path, _)| path.as_str())
}

/// That there is no file at `path`, which `specifier` stands for (none: it leads out), and which one may be meant.
pub(crate) fn missing(files: &BTreeMap<String, String>, specifier: &str, path: Option<&str>) -> String {
    let Some(path) = path else { return format!("\"{specifier}\" leads out of the project") };
    let stem = |path: &str| path.rsplit_once('.').map_or(path, |(stem, _)| stem).to_lowercase();
    let wanted = if path::extension(path).is_empty() { path.to_lowercase() } else { stem(path) };
    let alike = files.keys().find(|other| stem(other) == wanted);
    let hint = alike.map(|other| format!("; did you mean {other}? File names are case-sensitive"));
    format!("cannot find \"{specifier}\": there is no {path}{}", hint.unwrap_or_default())
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
