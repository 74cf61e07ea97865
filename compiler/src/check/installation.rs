//! Whether an import leads anywhere once npm has installed what package.json
//! names: to a file, to a dependency of a package.json above it, or to Node.
//!
//! What the code is built with is its own affair, so this knows workspaces
//! and what a bundler or a framework has itself; `crate::resolve` is for what
//! is compiled here, and knows one project and no Node.

use std::collections::BTreeMap;

use super::reading::Import;
use crate::{
    package::{self, Manifest},
    path,
    resolve::{self, Aliases, Endings, TsOptions},
};

/// Of what TypeScript and Node find.
const ENDINGS: Endings = Endings {
    extensions: &["ts", "tsx", "d.ts", "js", "jsx", "mjs", "cjs", "mts", "cts", "json"],
    written_as: &[
        ("js", &["ts", "tsx", "jsx", "d.ts"]),
        ("jsx", &["tsx"]),
        ("mjs", &["mts", "d.mts"]),
        ("cjs", &["cts", "d.cts"]),
    ],
};
/// Modules of Node's beside those that [`package::is_of_node`] knows.
const OF_NODE: [&str; 10] = [
    "console",
    "constants",
    "diagnostics_channel",
    "domain",
    "inspector",
    "punycode",
    "repl",
    "sys",
    "trace_events",
    "wasi",
];
/// Those that have no name without `node:`.
const OF_NODE_ALONE: [&str; 3] = ["sea", "sqlite", "test"];
/// The most package.json and tsconfig.json that are looked into, of each, those nearest to the root first.
const MOST_FOLDERS: usize = 30;
/// Schemes of modules that a runtime or a build tool has itself.
const SCHEMES: [&str; 6] = ["data", "virtual", "bun", "cloudflare", "astro", "fumadocs-mdx"];
/// What Next.js answers for without a package of that name.
const OF_NEXT: [&str; 3] = ["server-only", "client-only", "styled-jsx"];

/// What imports are resolved against.
#[derive(Debug)]
pub(super) struct Installation<'f> {
    files: &'f BTreeMap<String, String>,
    /// Each with its folder. None for one that cannot be read: it may name anything.
    packages: Vec<(&'f str, Option<Manifest>)>,
    aliases: Vec<(&'f str, Aliases)>,
}

impl<'f> Installation<'f> {
    pub(super) fn new(files: &'f BTreeMap<String, String>) -> Self {
        let named = |wanted: fn(&str) -> bool| {
            let folders = files.iter().map(|(path, text)| (path::folder(path), path, text));
            let mut wanted: Vec<_> =
                folders.filter(|(folder, path, _)| path.strip_prefix(folder).is_some_and(wanted)).collect();
            wanted.sort_by_key(|(folder, ..)| folder.len());
            wanted.into_iter().take(MOST_FOLDERS)
        };
        let manifests = named(|name| name == "package.json");
        let configs = named(is_ts_config);
        Self {
            files,
            packages: manifests.map(|(folder, ..)| (folder, Manifest::read(files, folder).ok())).collect(),
            aliases: configs
                .map(|(folder, _, text)| (folder, Aliases::new(folder, &TsOptions::read(text))))
                .collect(),
        }
    }

    /// The file that an import of the module at `importer` leads to; none when it leads out of the application.
    ///
    /// # Errors
    /// Why it leads nowhere, in words.
    pub(super) fn resolve(&self, importer: &str, import: &Import) -> Result<Option<&'f str>, String> {
        let specifier = import.specifier.split('?').next().unwrap_or_default();
        let folder = path::folder(importer);
        if specifier.is_empty() {
            return Err("an import names nothing: name a file or a package".to_owned());
        }
        if is_made_by_a_build(specifier) {
            return Ok(None);
        }
        if resolve::is_relative(specifier) {
            return self.one_of(specifier, &path::join(folder, specifier).into_iter().collect::<Vec<_>>());
        }
        if let Some(rooted) = specifier.strip_prefix('/') {
            return self.one_of(specifier, &[rooted.to_owned(), format!("public/{rooted}")]);
        }
        let mapped = self.mapped(folder, specifier);
        if let Some(file) = self.first(&mapped) {
            return Ok(Some(file));
        }
        match specifier.split_once(':') {
            Some(("node", name)) if is_of_node(name) || OF_NODE_ALONE.contains(&name) => Ok(None),
            Some(("node", _)) => Err(format!("\"{specifier}\" is no module of Node.js")),
            Some((scheme, _)) if SCHEMES.contains(&scheme) => Ok(None),
            Some(_) => Err(format!(
                "\"{specifier}\" is not of this application: name it in package.json, and import it by its name"
            )),
            None if is_of_node(specifier) || self.gives(folder, specifier, import.is_type) => Ok(None),
            None => match self.first(&self.below_base(folder, specifier)) {
                Some(file) => Ok(Some(file)),
                None if mapped.is_empty() => Err(absent(specifier)),
                None => self.one_of(specifier, &mapped),
            },
        }
    }

    /// Whether a package.json above the file `path` names the package.
    pub(super) fn depends_on(&self, path: &str, package: &str) -> bool {
        self.above(path).any(|manifest| manifest.is_some_and(|manifest| manifest.lists(package)))
    }

    fn above(&self, path: &str) -> impl Iterator<Item = Option<&Manifest>> {
        self.packages
            .iter()
            .filter(move |(folder, _)| path.starts_with(folder))
            .map(|(_, manifest)| manifest.as_ref())
    }

    /// The first of `paths` that is a file.
    fn first(&self, paths: &[String]) -> Option<&'f str> {
        paths.iter().find_map(|path| resolve::locate(self.files, path, &ENDINGS))
    }

    /// The same; that there is none is an error.
    fn one_of(&self, specifier: &str, paths: &[String]) -> Result<Option<&'f str>, String> {
        let path = paths.first().map(String::as_str);
        let missing = || resolve::missing(self.files, specifier, path, &ENDINGS);
        self.first(paths).map(Some).ok_or_else(missing)
    }

    /// What the `paths` of the configurations above make of a specifier.
    fn mapped(&self, folder: &str, specifier: &str) -> Vec<String> {
        let above = self.aliases.iter().filter(|(of, _)| folder.starts_with(of));
        above.flat_map(|(_, aliases)| aliases.mapped(specifier)).collect()
    }

    fn below_base(&self, folder: &str, specifier: &str) -> Vec<String> {
        let above = self.aliases.iter().filter(|(of, _)| folder.starts_with(of));
        above.flat_map(|(_, aliases)| aliases.below_base(specifier)).collect()
    }

    /// Whether a package has what a bare specifier names.
    fn gives(&self, folder: &str, specifier: &str, is_type: bool) -> bool {
        let name = package::name(specifier);
        let types = format!("@types/{}", name.trim_start_matches('@').replace('/', "__"));
        let is_of = |manifest: &Manifest| {
            manifest.lists(name)
                || manifest.maps(specifier)
                || (is_type && manifest.lists(&types))
                || (OF_NEXT.contains(&name) && manifest.lists("next"))
                || (specifier.starts_with('$') && manifest.lists("@sveltejs/kit"))
        };
        let is_workspace = |manifest: &Manifest| manifest.name.as_deref() == Some(name);
        self.above(folder).any(|manifest| manifest.is_none_or(is_of))
            || self.packages.iter().any(|(_, manifest)| manifest.as_ref().is_some_and(is_workspace))
    }
}

/// What is said of a bare specifier that nothing has.
fn absent(specifier: &str) -> String {
    let prefix = specifier.split('/').next().unwrap_or_default();
    if matches!(prefix, "@" | "~") || prefix.starts_with('#') {
        return format!(
            "no alias says what \"{prefix}/\" of \"{specifier}\" is: add \"{prefix}/*\" to compilerOptions.paths of tsconfig.json"
        );
    }
    package::unlisted(specifier)
}

/// Whether a name without `node:` is Node's.
fn is_of_node(name: &str) -> bool {
    package::is_of_node(name) || OF_NODE.contains(&name.split('/').next().unwrap_or_default())
}

fn is_ts_config(name: &str) -> bool {
    (name.starts_with("tsconfig") || name.starts_with("jsconfig")) && name.ends_with(".json")
}

/// Types of routes and clients of databases, which tools write before a build.
fn is_made_by_a_build(specifier: &str) -> bool {
    specifier.contains("/generated/") || specifier.contains("/+types/") || specifier.ends_with("/$types")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check::tests::files;

    fn resolve_type<'f>(
        files: &'f BTreeMap<String, String>,
        path: &str,
        specifier: &str,
        is_type: bool,
    ) -> Result<Option<&'f str>, String> {
        let import = Import { specifier: specifier.to_owned(), at: 0, is_type, names: Vec::new() };
        Installation::new(files).resolve(path, &import)
    }

    fn resolve<'f>(
        files: &'f BTreeMap<String, String>,
        path: &str,
        specifier: &str,
    ) -> Result<Option<&'f str>, String> {
        resolve_type(files, path, specifier, false)
    }

    const TSCONFIG: &str = r#"{
        // Aliases, as Next.js writes them.
        "compilerOptions": { "baseUrl": ".", "paths": { "@/*": ["./src/*"], "config": ["./src/config.ts"], "@acme/*": ["./packages/*"], "*": ["./vendor/*"], }, },
    }"#;

    fn application() -> BTreeMap<String, String> {
        let package = r##"{"name":"app","dependencies":{"next":"1","react":"1","@a/b":"1","@acme/kit":"1"},"optionalDependencies":{"optional":"1"},"imports":{"#x/*":"./x/*"}}"##;
        files(&[
            ("package.json", package),
            ("tsconfig.json", TSCONFIG),
            ("src/app/page.tsx", ""),
            ("src/app/page.module.css", ""),
            ("src/ui/index.ts", ""),
            ("src/ui/Button.tsx", ""),
            ("src/config.ts", ""),
            ("src/data.json", ""),
            ("src/types.d.ts", ""),
            ("src/models/index.d.ts", ""),
            ("public/logo.svg", ""),
            ("vendor/shim.ts", ""),
        ])
    }

    #[test]
    fn imports_lead_to_files() {
        let files = application();
        for (specifier, file) in [
            ("./page.module.css", "src/app/page.module.css"),
            ("../ui", "src/ui/index.ts"),
            ("../ui/", "src/ui/index.ts"),
            ("../ui/index", "src/ui/index.ts"),
            ("../ui/Button", "src/ui/Button.tsx"),
            ("../ui/Button.js", "src/ui/Button.tsx"),
            ("../data.json", "src/data.json"),
            ("../data", "src/data.json"),
            ("../types", "src/types.d.ts"),
            ("../types.js", "src/types.d.ts"),
            ("@/models", "src/models/index.d.ts"),
            ("@/../package.json", "package.json"),
            ("@/ui/", "src/ui/index.ts"),
            ("./page", "src/app/page.tsx"),
            ("../../public/logo.svg?url", "public/logo.svg"),
            ("/logo.svg", "public/logo.svg"),
            ("/src/config", "src/config.ts"),
            ("@/ui", "src/ui/index.ts"),
            ("@/ui/Button", "src/ui/Button.tsx"),
            ("config", "src/config.ts"),
            ("shim", "vendor/shim.ts"),
            ("src/ui", "src/ui/index.ts"),
        ] {
            assert_eq!(resolve(&files, "src/app/page.tsx", specifier), Ok(Some(file)), "{specifier}");
        }
        assert_eq!(resolve(&files, "src/ui/Button.tsx", "."), Ok(Some("src/ui/index.ts")));
    }

    #[test]
    fn imports_lead_to_packages_and_node() {
        let files = application();
        for specifier in [
            "react",
            "react/jsx-runtime",
            "next/navigation",
            "@a/b",
            "@a/b/c",
            "fs",
            "node:fs/promises",
            "path/posix",
            "server-only",
            "node:test",
            "punycode",
            "@acme/kit",
            "optional",
            "#x/y",
            "cloudflare:workers",
            "./generated/client",
            "./+types/page",
        ] {
            assert_eq!(resolve(&files, "src/app/page.tsx", specifier), Ok(None), "{specifier}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_told_with_what_to_do() {
        let files = application();
        for (specifier, part) in [
            ("./missing", "there is no src/app/missing"),
            ("../ui/button", "did you mean src/ui/Button.tsx?"),
            ("@/ui/Card", "there is no src/ui/Card"),
            ("../../../etc/passwd", "leads out of the project"),
            ("/etc/passwd", "there is no etc/passwd"),
            ("lodash", "add \"lodash\" to its dependencies"),
            ("lodash/fp", "add \"lodash\" to its dependencies"),
            ("@a/c/d", "add \"@a/c\" to its dependencies"),
            ("./page.css", "there is no src/app/page.css; write it"),
            ("@/models/Index", "did you mean src/models/index.d.ts?"),
            ("sqlite", "add \"sqlite\""),
            ("~/ui", "no alias says what \"~/\""),
            ("#y/z", "no alias says what \"#y/\""),
            ("node:nothing", "no module of Node.js"),
            ("https://esm.sh/react", "name it in package.json"),
            ("", "names nothing"),
        ] {
            let wrong = resolve(&files, "src/app/page.tsx", specifier).unwrap_err();
            assert!(wrong.contains(part), "{specifier}: {wrong}");
        }
    }

    #[test]
    fn a_file_of_a_workspace_sees_the_packages_above_it_and_its_own_aliases() {
        let files = files(&[
            ("package.json", r#"{"name":"root","devDependencies":{"typescript":"5"}}"#),
            ("apps/web/package.json", r#"{"name":"web","dependencies":{"next":"14","ui":"*"}}"#),
            ("apps/web/tsconfig.json", r#"{"compilerOptions":{"paths":{"@/*":["./*"]}}}"#),
            ("apps/web/lib/a.ts", ""),
            ("packages/ui/package.json", r#"{"name":"ui"}"#),
            ("packages/ui/b.ts", ""),
        ]);
        for specifier in ["typescript", "next", "ui"] {
            assert_eq!(resolve(&files, "apps/web/page.tsx", specifier), Ok(None), "{specifier}");
        }
        assert_eq!(resolve(&files, "apps/web/page.tsx", "@/lib/a"), Ok(Some("apps/web/lib/a.ts")));
        assert!(resolve(&files, "packages/ui/b.ts", "next").is_err());
        assert!(resolve(&files, "packages/ui/b.ts", "@/lib/a").is_err());
    }

    #[test]
    fn of_very_many_packages_the_root_is_known() {
        let many: Vec<String> = (0..99).map(|n| format!("apps/a{n}/package.json")).collect();
        let mut of: Vec<(&str, &str)> = many.iter().map(|path| (path.as_str(), "{}")).collect();
        of.push(("package.json", r#"{"dependencies":{"react":"18"}}"#));
        assert_eq!(resolve(&files(&of), "apps/a98/a.ts", "react"), Ok(None));
    }

    #[test]
    fn a_type_may_come_from_its_types_alone() {
        let files =
            files(&[("package.json", r#"{"devDependencies":{"@types/geojson":"1","@types/a__b":"1"}}"#)]);
        for specifier in ["geojson", "@a/b"] {
            assert_eq!(resolve_type(&files, "a.ts", specifier, true), Ok(None));
            assert!(resolve_type(&files, "a.ts", specifier, false).is_err());
        }
    }

    #[test]
    fn a_package_json_that_cannot_be_read_may_name_anything() {
        assert_eq!(resolve(&files(&[("package.json", "{")]), "a.ts", "react"), Ok(None));
        assert_eq!(resolve(&files(&[("web/package.json", "{")]), "web/a.ts", "react"), Ok(None));
        assert!(resolve(&files(&[]), "a.ts", "react").is_err());
    }

    proptest! {
        #[test]
        fn what_is_found_is_a_file(specifier in "(\\PC|[./@#~:*?`-]|src|ui|data){0,20}", path in "([a-z]{1,3}/){0,3}[a-z].ts") {
            let files = application();
            if let Ok(Some(file)) = resolve(&files, &path, &specifier) {
                prop_assert!(files.contains_key(file));
            }
        }

        #[test]
        fn an_import_of_a_file_from_beside_it_is_found(directory in "([a-z]{1,3}/){0,3}", name in "[a-z]{1,5}", extension in prop::sample::select(vec!["ts", "tsx", "d.ts", "js", "jsx", "mjs", "cjs", "mts", "json"])) {
            let path = format!("{directory}{name}.{extension}");
            let index = format!("{directory}{name}x/index.{extension}");
            let files = files(&[(&path, ""), (&index, "")]);
            prop_assert_eq!(resolve(&files, &format!("{directory}other.ts"), &format!("./{name}x")), Ok(Some(index.as_str())));
            prop_assert_eq!(resolve(&files, &format!("{directory}other.ts"), &format!("./{name}")), Ok(Some(path.as_str())));
            prop_assert_eq!(resolve(&files, "src/deep/er/x.ts", &format!("../../../{path}")), Ok(Some(path.as_str())));
        }
    }
}
