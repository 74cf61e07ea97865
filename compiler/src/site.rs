//! From a project's files to those of a site.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    css,
    diagnostic::Diagnostic,
    graph::{Graph, served},
    package::{self, Cdn},
    page::{self, Shared},
    path,
    plan::{self, Page, Plan},
    project::{self, Project},
    tailwind::{self, Urls},
};

/// What a project is made into.
#[derive(Debug)]
pub(crate) enum Made {
    /// It needs no compiling: it is served as it is.
    Plain,
    Site {
        files: BTreeMap<String, String>,
        notes: Vec<String>,
    },
    Wrong(Vec<Diagnostic>),
}

/// The most diagnostics that are told.
const MOST: usize = 10;
/// What is served of a built project beside its modules.
const STATIC: &[&str] =
    &["html", "css", "svg", "json", "txt", "xml", "webmanifest", "csv", "ics", "vtt", "geojson"];
/// And what of this kind is not for visitors.
const PRIVATE: &[&str] =
    &["package.json", "package-lock.json", "components.json", "vercel.json", "biome.json"];

/// Makes a site of `files`. Packages come from `cdn`.
pub(crate) fn make(files: &BTreeMap<String, String>, cdn: &str, tailwind: &Urls) -> Made {
    let mut nothing = None;
    for root in roots(files) {
        let within = files
            .iter()
            .filter_map(|(path, text)| Some((path.strip_prefix(&root)?.to_owned(), text.clone())));
        let made = match Project::read(within.collect()) {
            Ok(project) => match plan::plan(&project) {
                Some(Plan::Plain) if root.is_empty() => return Made::Plain,
                Some(Plan::Build(pages)) => build(project, pages, cdn, tailwind),
                Some(Plan::Plain) | None => {
                    nothing.get_or_insert_with(|| plan::nothing(&project));
                    continue;
                }
            },
            Err(_)
                if files.contains_key("index.html") && !files.keys().any(|path| project::is_source(path)) =>
            {
                // A broken package.json is nothing to a plain site.
                return Made::Plain;
            }
            Err(wrong) => Made::Wrong(vec![wrong]),
        };
        return match made {
            Made::Wrong(wrong) => Made::Wrong(Diagnostic::bounded(below(wrong, &root), MOST)),
            made => made,
        };
    }
    let has_source = files
        .keys()
        .any(|path| project::is_source(path) || matches!(path::extension(path), "vue" | "svelte"));
    match nothing.filter(|_| has_source) {
        Some(nothing) => Made::Wrong(vec![nothing]),
        None => Made::Plain,
    }
}

/// With paths as the project's owner knows them.
fn below(mut wrong: Vec<Diagnostic>, root: &str) -> Vec<Diagnostic> {
    for diagnostic in wrong.iter_mut().filter(|diagnostic| !diagnostic.path.is_empty()) {
        diagnostic.path.insert_str(0, root);
    }
    wrong
}

/// Where a project may begin: at the root, or in a folder with a manifest or a page.
fn roots(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut roots = vec![String::new()];
    for path in files.keys() {
        let Some((folder, "package.json" | "index.html")) = path.split_once('/') else { continue };
        let folder = format!("{folder}/");
        if !roots.contains(&folder) {
            roots.push(folder);
        }
    }
    roots
}

fn build(mut project: Project, pages: BTreeMap<String, Page>, cdn: &str, urls: &Urls) -> Made {
    for page in pages.values() {
        let maps =
            crate::html::elements(&page.html).into_iter().filter(|e| e.get("type") == Some("importmap"));
        let texts = maps.filter_map(|map| page.html.get(map.content));
        project.provided.extend(texts.flat_map(plan::provided));
    }
    let project = &project;
    let mut graph = Graph::new(project);
    let drafts: Vec<_> = pages
        .into_iter()
        .map(|(path, page)| (path.clone(), page::draft(project, &path, page, &mut graph)))
        .collect();
    let version = tailwind::used(project);
    let tailwind_setup = match version {
        Some(tailwind::Tailwind::V3) => tailwind::set_up(project, &mut graph),
        _ => None,
    };
    if !graph.wrong.is_empty() {
        return Made::Wrong(graph.wrong);
    }

    let cdn = Cdn { url: cdn, manifest: &project.manifest };
    let mut notes = Vec::new();
    let unpinned: Vec<&str> =
        packages(&graph).into_iter().filter(|name| project.manifest.version(name).is_none()).collect();
    if !unpinned.is_empty() {
        notes.push(format!(
            "No version is given of {}: the newest is taken. A package.json pins it",
            unpinned.join(", ")
        ));
    }
    let tailwind = version.map(|version| (version, urls));
    let shared = Shared {
        project,
        graph: &graph,
        imports: cdn.imports(&graph.packages),
        cdn,
        tailwind,
        tailwind_setup,
    };
    let mut files = statics(project);
    for (path, draft) in drafts {
        files.insert(path.clone(), draft.write(&path, &shared, &mut notes));
    }
    let modules = graph.files.len();
    notes.insert(
        0,
        format!(
            "Compiled {modules} modules, with {} packages from {}",
            packages(&graph).len(),
            shared.cdn.url
        ),
    );
    notes.dedup();
    files.extend(std::mem::take(&mut graph.files));
    Made::Site { files, notes }
}

/// The names of the packages that are imported.
fn packages<'g>(graph: &'g Graph<'_>) -> BTreeSet<&'g str> {
    graph.packages.iter().filter_map(|specifier| package::parts(specifier)).map(|(name, _)| name).collect()
}

/// The files of a project that visitors get as they are.
fn statics(project: &Project) -> BTreeMap<String, String> {
    let is_public = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let hidden = path.split('/').any(|name| name.starts_with('.') || name == "node_modules");
        let private =
            hidden || PRIVATE.contains(&name) || name.starts_with("tsconfig") || name.starts_with("jsconfig");
        path.starts_with("public/") || (STATIC.contains(&path::extension(path)) && !private)
    };
    let shown = project.files.iter().filter(|(path, _)| is_public(path));
    shown
        .map(|(path, text)| {
            let text = if css::is_module(path) { css::scoped(text, path).0 } else { text.clone() };
            (served(path).to_owned(), text)
        })
        .collect()
}
