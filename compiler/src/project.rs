//! A project as its files tell it.

use std::collections::BTreeMap;

use crate::{
    diagnostic::Diagnostic,
    package::Manifest,
    resolve::{Aliases, TsOptions},
};

/// Extensions of modules that are compiled.
const MODULES: &[&str] = &["ts", "tsx", "jsx", "mts", "js", "mjs"];
/// Of these, what no browser runs as it is.
const SOURCES: &[&str] = &["ts", "tsx", "jsx", "mts"];

/// A project's files, its paths seen from its root, and its configuration.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) manifest: Manifest,
    pub(crate) aliases: Aliases,
    /// Where JSX's functions come from: `react`, `preact`.
    pub(crate) jsx: String,
    pub(crate) decorators: bool,
    /// What the pages' own import maps give.
    pub(crate) provided: Vec<String>,
}

impl Project {
    /// # Errors
    /// A package.json that cannot be read.
    pub(crate) fn read(files: BTreeMap<String, String>) -> Result<Self, Diagnostic> {
        let manifest = Manifest::read(&files, "")?;
        let options = TsOptions::of(&files);
        let aliases = Aliases::new("", &options);
        let usual = if manifest.is_preact() { "preact" } else { "react" };
        let jsx = options.jsx_import_source.unwrap_or_else(|| usual.to_owned());
        let decorators = options.experimental_decorators;
        Ok(Self { files, manifest, aliases, jsx, decorators, provided: Vec::new() })
    }

    pub(crate) fn text(&self, path: &str) -> &str {
        self.files.get(path).map(String::as_str).unwrap_or_default()
    }

    /// What `import.meta.env` holds: Vite's own, and what `.env` files give to
    /// the browser. Other variables of theirs stay where they are.
    pub(crate) fn env(&self) -> BTreeMap<String, serde_json::Value> {
        let mut env = BTreeMap::from([
            ("MODE".to_owned(), "production".into()),
            ("PROD".to_owned(), true.into()),
            ("DEV".to_owned(), false.into()),
            ("SSR".to_owned(), false.into()),
        ]);
        for path in [".env", ".env.production"] {
            for line in self.text(path).lines() {
                let line = line.trim().trim_start_matches("export ");
                let Some((name, value)) = line.split_once('=') else { continue };
                let name = name.trim();
                if name.starts_with("VITE_") || name.starts_with("REACT_APP_") {
                    let value = value.trim().trim_matches(['"', '\'']);
                    env.insert(name.to_owned(), value.into());
                }
            }
        }
        env
    }
}

pub(crate) fn is_module(path: &str) -> bool {
    MODULES.contains(&crate::path::extension(path)) && !path.ends_with(".d.ts") && !path.ends_with(".d.mts")
}

/// Whether a module must be compiled before a browser runs it.
pub(crate) fn is_source(path: &str) -> bool {
    SOURCES.contains(&crate::path::extension(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_for_the_browser_get_there() {
        let env = "SECRET=1\nVITE_API = \"https://x\"\n# VITE_NO=1\nexport REACT_APP_NAME='n'";
        let project = Project::read([(".env".to_owned(), env.to_owned())].into()).unwrap();
        let env = project.env();
        assert_eq!(env["VITE_API"], "https://x");
        assert_eq!(env["REACT_APP_NAME"], "n");
        assert!(!env.contains_key("SECRET") && !env.contains_key("VITE_NO"));
    }
}
