//! Which pages a project has, and which modules they begin with.

use std::collections::BTreeMap;

use crate::{
    diagnostic::Diagnostic,
    html, module, path,
    project::{self, Project},
    resolve,
};

/// Where tools put sites that are finished.
const FINISHED: &[&str] = &["dist/", "build/", "out/", "site/"];
/// Where a module is looked for that shows the app by itself, and in these forms.
const MAINS: &[&str] = &["src/main", "src/index", "main", "index", "src/client", "client"];
const APPS: &[&str] =
    &["src/App", "App", "src/app", "app", "src/app/App", "src/components/App", "components/App"];
const FORMS: &[&str] = &["tsx", "jsx", "ts", "js"];

/// How a project becomes a site.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// As it is.
    Plain,
    /// Its pages, by the path they are served at, with what they begin with.
    Build(BTreeMap<String, Page>),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) html: String,
    /// A module that the page does not name, but is to begin with.
    pub(crate) entry: Option<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Shows the app by itself.
    Main(String),
    /// Exports the component that is to be shown.
    App(String),
}

/// None when there is nothing at this root to make a site of.
pub(crate) fn plan(project: &Project) -> Option<Plan> {
    let pages: Vec<&String> = project.files.keys().filter(|path| is_page(path)).collect();
    let page = |path: &str, html: &str, entry| (path.to_owned(), Page { html: html.to_owned(), entry });
    if project.files.contains_key("index.html") {
        let index = project.text("index.html");
        let missing = entry(project).filter(|_| waits_for_entry(index));
        if missing.is_none() && !pages.iter().any(|path| needs_building(project, path)) {
            return Some(Plan::Plain);
        }
        let entry_of = |path: &str| missing.clone().filter(|_| path == "index.html");
        return Some(Plan::Build(
            pages.iter().map(|path| page(path, project.text(path), entry_of(path))).collect(),
        ));
    }
    if FINISHED.iter().any(|folder| project.files.contains_key(&format!("{folder}index.html"))) {
        return Some(Plan::Plain);
    }
    match (project.files.get("public/index.html"), entry(project)) {
        (Some(html), Some(entry)) if waits_for_entry(html) => {
            let html = html.replace("%PUBLIC_URL%", "");
            Some(Plan::Build([page("index.html", &html, Some(entry))].into()))
        }
        (Some(_), _) => Some(Plan::Plain),
        (None, Some(entry)) => {
            let html = made_page(project, &entry);
            Some(Plan::Build([page("index.html", &html, Some(entry))].into()))
        }
        (None, None) => None,
    }
}

fn is_page(path: &str) -> bool {
    let elsewhere =
        ["public/", "node_modules/"].iter().chain(FINISHED).any(|folder| path.starts_with(folder));
    path::extension(path) == "html" && !elsewhere
}

/// A page with an empty place for an app, and nothing that fills it.
fn waits_for_entry(html: &str) -> bool {
    let elements = html::elements(html);
    let has_place = elements.iter().any(|element| matches!(element.get("id"), Some("root" | "app")));
    has_place
        && !elements.iter().any(|element| element.name == "script" && element.get("src").is_none_or(is_local))
}

fn is_local(src: &str) -> bool {
    !src.starts_with("//") && !src.contains(':')
}

/// Whether a browser cannot run the page's modules as they are.
fn needs_building(project: &Project, page: &str) -> bool {
    let html = project.text(page);
    let elements = html::elements(html);
    let maps = elements.iter().filter(|element| element.get("type") == Some("importmap"));
    let provided =
        maps.flat_map(|map| provided(html.get(map.content.clone()).unwrap_or_default())).collect::<Vec<_>>();
    elements.iter().filter(|element| element.name == "script").any(|script| match script.get("src") {
        Some(src) if !is_local(src) => false,
        Some(src) => match script_path(project, page, src) {
            Some(path) if project::is_source(&path) => script.get("type") != Some("text/babel"),
            Some(path) => script.is_module_script() && !runs_as_it_is(project, &path, &provided),
            // Named and not there: that is to be told.
            None => project::is_source(src) && script.get("type") != Some("text/babel"),
        },
        None => {
            let source = html.get(script.content.clone()).unwrap_or_default();
            script.is_module_script() && !imports_run(project, page, source, &provided, &mut Vec::new())
        }
    })
}

/// The file that a page's script names.
pub(crate) fn script_path(project: &Project, page: &str, src: &str) -> Option<String> {
    let specifier = match src.starts_with(['/', '.']) {
        true => src.to_owned(),
        false => format!("./{src}"),
    };
    match resolve::resolve(project, page, &specifier) {
        Ok(resolve::Target::File { path, .. }) => Some(path),
        _ => None,
    }
}

/// The names that an import map gives, prefixes with their slash.
pub(crate) fn provided(map: &str) -> Vec<String> {
    let map: serde_json::Value = serde_json::from_str(map).unwrap_or_default();
    let imports = map.get("imports").and_then(serde_json::Value::as_object);
    imports.into_iter().flat_map(|imports| imports.keys().cloned()).collect()
}

pub(crate) fn gives(provided: &[String], specifier: &str) -> bool {
    provided
        .iter()
        .any(|name| name == specifier || (name.ends_with('/') && specifier.starts_with(name.as_str())))
}

fn runs_as_it_is(project: &Project, path: &str, provided: &[String]) -> bool {
    let mut seen = vec![path.to_owned()];
    let mut next = 0;
    while let Some(path) = seen.get(next).cloned() {
        if !imports_run(project, &path, project.text(&path), provided, &mut seen) {
            return false;
        }
        next += 1;
    }
    true
}

/// Whether a browser can follow each import of a module; `seen` gets what they lead to.
fn imports_run(
    project: &Project,
    path: &str,
    source: &str,
    provided: &[String],
    seen: &mut Vec<String>,
) -> bool {
    let Some(imports) = module::imports(source) else {
        // JSX is to be compiled; what is no JavaScript either way is the owner's to see as it is.
        return !module::is_jsx(source);
    };
    imports.iter().all(|specifier| {
        let is_path = specifier.starts_with(['/', '.']);
        match resolve::resolve(project, path, specifier) {
            Ok(resolve::Target::File { path: found, .. }) if is_path => {
                let name = last(specifier.split(['?', '#']).next().unwrap_or_default());
                let is_named = !name.is_empty() && found.ends_with(name);
                let extension = path::extension(&found);
                let is_asked_for = matches!(extension, "json" | "css") && source.contains("type:");
                let runs = is_named && (matches!(extension, "js" | "mjs") || is_asked_for);
                if runs && !seen.contains(&found) {
                    seen.push(found);
                }
                runs
            }
            Ok(resolve::Target::Url) => true,
            _ => is_path || gives(provided, specifier),
        }
    })
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The module that shows the app, by its usual names.
fn entry(project: &Project) -> Option<Entry> {
    let named = |stems: &[&str]| {
        let paths = stems.iter().flat_map(|stem| FORMS.iter().map(move |form| format!("{stem}.{form}")));
        paths.filter(|path| project.files.contains_key(path)).collect::<Vec<_>>()
    };
    // A server's index.js touches no document.
    let shows = |path: &String| {
        let source = project.text(path);
        ["createRoot", "hydrateRoot", "render(", "document."].iter().any(|sign| source.contains(sign))
    };
    if let Some(main) = named(MAINS).into_iter().find(shows) {
        return Some(Entry::Main(main));
    }
    let has_jsx = |path: &&String| matches!(path::extension(path), "tsx" | "jsx") && !path.contains(".test.");
    let has_root_below =
        || project.files.keys().any(|path| path.ends_with("/package.json") || path.ends_with("/index.html"));
    let app = named(APPS).into_iter().next().or_else(|| {
        let mut components = project.files.keys().filter(has_jsx);
        components.next().cloned().filter(|_| components.next().is_none() && !has_root_below())
    });
    app.filter(|path| !project.manifest.lists("next") || path.starts_with("src/App")).map(Entry::App)
}

fn made_page(project: &Project, entry: &Entry) -> String {
    let title = project.manifest.name.as_deref().unwrap_or("App");
    let id = match entry {
        Entry::App(_) => "root",
        Entry::Main(path) => place_of(project.text(path)),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n</head>\n\
         <body>\n<div id={}></div>\n</body>\n</html>\n",
        html::escaped(title),
        html::quoted(id)
    )
}

/// The id of the element that a module shows its app in.
fn place_of(source: &str) -> &str {
    let given = ["getElementById(", "querySelector("]
        .iter()
        .find_map(|call| source.split_once(call))
        .map(|(_, rest)| rest);
    let id = given.and_then(|rest| rest.split(['"', '\'', '`']).nth(1)).map(|id| id.trim_start_matches('#'));
    id.filter(|id| {
        !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    })
    .unwrap_or("root")
}

/// Why there is nothing to make a site of.
pub(crate) fn nothing(project: &Project) -> Diagnostic {
    Diagnostic::of_project(if project.manifest.lists("next") {
        "This is a Next.js app, which needs a server: deploy it to `vercel`, or ask for a Vite app"
    } else if project.files.keys().any(|path| matches!(path::extension(path), "vue" | "svelte" | "astro")) {
        "Only React and plain TypeScript are compiled here: ask for a React app, or for plain JavaScript"
    } else {
        "There is no page to show: add an index.html, or a src/App.tsx that exports the app's component as default"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(files: &[(&str, &str)]) -> Option<Plan> {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        plan(&Project::read(files).unwrap())
    }

    fn index_entry(files: &[(&str, &str)]) -> Option<Entry> {
        match planned(files) {
            Some(Plan::Build(pages)) => pages.get("index.html").unwrap().entry.clone(),
            other => panic!("{other:?}"),
        }
    }

    const VITE: &str = "<div id=root></div><script type=module src=/src/main.tsx></script>";

    #[test]
    fn a_plain_site_stays_as_it_is() {
        for files in [
            &[("index.html", "<script src=a.js></script>"), ("a.js", "1"), ("package.json", "{}")][..],
            &[
                ("index.html", "<script type=module src=a.js></script>"),
                ("a.js", "import './b.js'"),
                ("b.js", ""),
            ],
            &[
                (
                    "index.html",
                    "<script type=importmap>{\"imports\":{\"x/\":\"https://x/\"}}</script><script type=module src=a.js></script>",
                ),
                ("a.js", "import 'x/y'; import j from './j.json' with { type: 'json' }"),
                ("j.json", "{}"),
            ],
            &[
                ("index.html", "<div id=root></div><script type=text/babel src=App.jsx></script>"),
                ("App.jsx", "<p/>"),
            ],
            &[("index.html", "<script type=module>import './a.js'</script>"), ("a.js", "")],
            &[("index.html", "<script type=module src=a.js></script>"), ("a.js", "this is no JavaScript (")],
            &[("dist/index.html", ""), ("src/App.tsx", "export default 1")],
        ] {
            assert_eq!(planned(files), Some(Plan::Plain), "{files:?}");
        }
    }

    #[test]
    fn a_page_is_built_when_a_browser_could_not_run_its_modules() {
        for files in [
            &[("index.html", VITE), ("src/main.tsx", "")][..],
            &[("index.html", VITE)],
            &[("index.html", "<script type=module src=a.js></script>"), ("a.js", "import 'react'")],
            &[
                ("index.html", "<script type=module src=a.js></script>"),
                ("a.js", "import './b'"),
                ("b.js", ""),
            ],
            &[
                ("index.html", "<script type=module src=a.js></script>"),
                ("a.js", "import './b.css'"),
                ("b.css", ""),
            ],
            &[("index.html", "<script type=module src=a.js></script>"), ("a.js", "x(<p/>)")],
            &[
                ("index.html", "<script type=module src=a.js></script>"),
                ("a.js", "import './b.js'"),
                ("b.ts", ""),
            ],
            &[("index.html", "<script type=module>import './a.ts'</script>"), ("a.ts", "")],
            &[("index.html", "<script src=a.ts></script>"), ("a.ts", "")],
        ] {
            assert!(matches!(planned(files), Some(Plan::Build(_))), "{files:?}");
        }
    }

    #[test]
    fn what_shows_the_app_is_found_by_its_usual_names() {
        let main = "createRoot(document.getElementById('app'))";
        for (files, entry) in [
            (&[("src/main.tsx", main), ("src/App.tsx", "")][..], Entry::Main("src/main.tsx".to_owned())),
            (&[("src/App.tsx", ""), ("src/a.tsx", "")], Entry::App("src/App.tsx".to_owned())),
            (&[("App.jsx", "")], Entry::App("App.jsx".to_owned())),
            (&[("Counter.tsx", "")], Entry::App("Counter.tsx".to_owned())),
            (
                &[("public/index.html", "<div id=root></div>"), ("src/index.js", main)],
                Entry::Main("src/index.js".to_owned()),
            ),
            (
                &[("index.html", "<div id=root></div>"), ("src/main.jsx", main)],
                Entry::Main("src/main.jsx".to_owned()),
            ),
        ] {
            assert_eq!(index_entry(files), Some(entry), "{files:?}");
        }
    }

    #[test]
    fn a_page_is_made_with_the_place_that_the_entry_looks_for() {
        let Some(Plan::Build(pages)) =
            planned(&[("main.tsx", "createRoot(document.querySelector('#my-app')!)")])
        else {
            panic!("nothing is built")
        };
        assert!(pages["index.html"].html.contains("<div id=\"my-app\">"));
    }

    #[test]
    fn a_server_is_no_site() {
        assert_eq!(planned(&[("index.js", "require('express')().listen()"), ("package.json", "{}")]), None);
        let next =
            [("package.json", r#"{"dependencies":{"next":"14"}}"#), ("app/page.tsx", "export default 1")];
        assert_eq!(planned(&next), None);
    }
}
