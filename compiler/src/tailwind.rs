//! Tailwind: whether a project uses it, which one, and what its pages need
//! so that it works in the browser, without a build.

use crate::{css, graph::Graph, html, path, project::Project};

/// The addresses of Tailwind's builds for the browser.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Urls {
    /// https://tailwindcss.com/docs/installation/play-cdn
    pub(crate) v4: String,
    /// https://v3.tailwindcss.com/docs/installation/play-cdn
    pub(crate) v3: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tailwind {
    V3,
    V4,
}

/// Which Tailwind the project uses, if any.
pub(crate) fn used(project: &Project) -> Option<Tailwind> {
    let sheets =
        || project.files.iter().filter(|(path, _)| path::extension(path) == "css").map(|(_, css)| css);
    let config = config(project);
    if let Some(version) = project.manifest.version("tailwindcss") {
        return Some(if version.starts_with('3') { Tailwind::V3 } else { Tailwind::V4 });
    }
    if sheets().any(|css| css::is_tailwind_3(css)) {
        return Some(Tailwind::V3);
    }
    let listed = ["tailwindcss", "@tailwindcss/vite", "@tailwindcss/postcss"]
        .iter()
        .any(|name| project.manifest.lists(name));
    if listed || sheets().any(|css| css::is_tailwind(css)) {
        return Some(Tailwind::V4);
    }
    if config.is_some() {
        return Some(Tailwind::V3);
    }
    // Components alone, as models write them: their classes must tell.
    let is_bare = !project.manifest.exists && sheets().next().is_none();
    (is_bare && project.files.values().any(|text| has_utilities(text))).then_some(Tailwind::V4)
}

/// Whether a source has classes that only Tailwind has: `bg-slate-900`.
fn has_utilities(source: &str) -> bool {
    let shades = ["50", "100", "200", "300", "400", "500", "600", "700", "800", "900", "950"];
    source.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`')).any(|word| {
        let mut parts = word.rsplit(':').next().unwrap_or_default().split('-');
        let kind = parts
            .next()
            .is_some_and(|kind| matches!(kind, "bg" | "text" | "border" | "from" | "to" | "ring"));
        kind && parts.next_back().is_some_and(|shade| shades.contains(&shade)) && parts.count() == 1
    })
}

fn config(project: &Project) -> Option<String> {
    let names = ["ts", "js", "mjs", "cjs"].map(|extension| format!("tailwind.config.{extension}"));
    names.into_iter().find(|path| project.files.contains_key(path))
}

/// The script that a page needs.
pub(crate) fn script(version: Tailwind, urls: &Urls) -> String {
    let url = match version {
        Tailwind::V3 => &urls.v3,
        Tailwind::V4 => &urls.v4,
    };
    format!("<script src={}></script>\n", html::quoted(url))
}

/// The module that hands Tailwind 3 the project's configuration.
const SETUP: &str = "tailwind.setup.js";

/// Compiles the configuration of Tailwind 3, if there is one, and answers
/// with the path of the module that hands it over.
pub(crate) fn set_up(project: &Project, graph: &mut Graph<'_>) -> Option<String> {
    let config = config(project)?;
    let source = project.text(&config);
    if source.contains("module.exports") {
        graph.add_made(SETUP, &format!("{}\ntailwind.config = module.exports;\n", as_module(source)));
    } else {
        graph.add_made(SETUP, &format!("import config from \"./{config}\";\ntailwind.config = config;\n"));
    }
    Some(SETUP.to_owned())
}

/// CommonJS of the simple kind that configurations are: what is required by
/// name is imported.
fn as_module(source: &str) -> String {
    let (mut head, mut names) = (String::new(), Vec::new());
    for call in source.split("require(").skip(1) {
        let Some(name) = call.split(['"', '\'']).nth(1).filter(|_| call.starts_with(['"', '\''])) else {
            continue;
        };
        if !names.contains(&name) {
            head.push_str(&format!(
                "import required{} from {};\n",
                names.len(),
                serde_json::Value::from(name)
            ));
            names.push(name);
        }
    }
    let table: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(n, name)| format!("{}: required{n}", serde_json::Value::from(*name)))
        .collect();
    format!(
        "{head}const module = {{ exports: {{}} }}, require = (name) => ({{ {} }})[name];\n{source}",
        table.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> Project {
        Project::read(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
            .unwrap()
    }

    #[test]
    fn the_version_is_that_of_the_project() {
        for (files, version) in [
            (&[("package.json", r#"{"devDependencies":{"tailwindcss":"^3.4.1"}}"#)][..], Some(Tailwind::V3)),
            (&[("package.json", r#"{"devDependencies":{"tailwindcss":"^4.1.0"}}"#)], Some(Tailwind::V4)),
            (&[("a.css", "@tailwind base;")], Some(Tailwind::V3)),
            (&[("a.css", "@import \"tailwindcss\";")], Some(Tailwind::V4)),
            (&[("tailwind.config.js", "")], Some(Tailwind::V3)),
            (&[("App.tsx", "<p className=\"p-4 hover:bg-slate-900\"/>")], Some(Tailwind::V4)),
            (&[("App.tsx", "<p className=\"bg-dark my-100\"/>")], None),
            (&[("package.json", "{}"), ("App.tsx", "<p className=\"bg-slate-900\"/>")], None),
        ] {
            assert_eq!(used(&project(files)), version, "{files:?}");
        }
    }

    #[test]
    fn a_configuration_in_commonjs_becomes_a_module() {
        let config = "module.exports = { plugins: [require('a'), require(\"b\"), require('a')] }";
        let project = project(&[("tailwind.config.js", config)]);
        let mut graph = Graph::new(&project);
        assert_eq!(set_up(&project, &mut graph).as_deref(), Some(SETUP));
        assert!(graph.wrong.is_empty(), "{:?}", graph.wrong);
        assert_eq!(graph.packages.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "b"]);
        let code = &graph.files[SETUP];
        assert!(
            code.contains("tailwind.config = module.exports") && code.contains("\"b\": required1"),
            "{code}"
        );
    }
}
