//! A page that is built: its scripts lead to compiled modules, and its head
//! has what these need.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{
    css,
    diagnostic::Diagnostic,
    graph::{Graph, Style, served, served_at},
    html::{self, Edits, Element},
    package::Cdn,
    path,
    plan::{Entry, Page, gives, provided, script_path},
    project::{self, Project},
    tailwind::{self, Tailwind, Urls},
};

/// A page whose modules have been compiled, not yet written.
#[derive(Debug)]
pub(crate) struct Draft {
    html: String,
    edits: Edits,
    /// The sources that it begins with.
    entries: Vec<String>,
    /// Entries that the page does not name.
    unnamed: Vec<String>,
}

/// What all pages of a project share.
#[derive(Debug)]
pub(crate) struct Shared<'a> {
    pub(crate) project: &'a Project,
    pub(crate) graph: &'a Graph<'a>,
    pub(crate) imports: BTreeMap<String, String>,
    pub(crate) cdn: Cdn<'a>,
    pub(crate) tailwind: Option<(Tailwind, &'a Urls)>,
    /// The module that sets Tailwind up.
    pub(crate) tailwind_setup: Option<String>,
}

/// Compiles what the page at `path` begins with.
pub(crate) fn draft(project: &Project, path: &str, page: Page, graph: &mut Graph<'_>) -> Draft {
    let Page { html, entry } = page;
    let mut draft = Draft { edits: Edits::default(), entries: Vec::new(), unnamed: Vec::new(), html };
    for (number, script) in
        (1..).zip(html::elements(&draft.html).iter().filter(|element| element.name == "script"))
    {
        match script.get("src") {
            Some(src) => draft.named(project, path, script, src, graph),
            None if script.is_module_script() => {
                // In a file of its own, as its imports are seen from there on every page of the app.
                let made = format!("{path}.{number}.js");
                graph.add_made(&made, draft.html.get(script.content.clone()).unwrap_or_default());
                draft.edits.replace(
                    script.tag.start..script.end,
                    format!("<script type=\"module\" src={}></script>", address(&made)),
                );
                draft.entries.push(made);
            }
            None => {}
        }
    }
    if let Some(entry) = entry {
        let entry = begin(project, entry, graph);
        draft.unnamed.push(entry.clone());
        draft.entries.push(entry);
    }
    draft
}

impl Draft {
    /// A script that the page names.
    fn named(&mut self, project: &Project, path: &str, script: &Element, src: &str, graph: &mut Graph<'_>) {
        let Some(found) = script_path(project, path, src) else {
            if project::is_source(src) {
                let at = script.place("src").map_or(script.tag.start, |place| place.start);
                graph.wrong.push(Diagnostic::at(path, &self.html, at, format!("there is no file {src}")));
            }
            return;
        };
        let is_source = project::is_source(&found);
        if !(script.is_module_script() || is_source && script.get("type") != Some("text/babel")) {
            // A classic script, which stays as it is.
            graph.files.insert(served(&found).to_owned(), project.text(&found).to_owned());
            return;
        }
        graph.add(&found);
        if let Some(place) = script.place("src") {
            self.edits.replace(place, address(&served_at(&found)));
        }
        if !script.is_module_script() {
            match script.place("type") {
                Some(place) => self.edits.replace(place, "\"module\""),
                None => self.edits.insert(script.tag.start + "<script".len(), " type=\"module\""),
            }
        }
        self.entries.push(found);
    }

    /// The page as it is served.
    pub(crate) fn write(mut self, path: &str, shared: &Shared<'_>, notes: &mut Vec<String>) -> String {
        let reached = shared.graph.reached(&self.entries);
        let elements = html::elements(&self.html);
        let (mut sheets, mut links) = (Vec::new(), String::new());
        let for_tailwind =
            |css: &str| shared.tailwind.is_some() && css::is_tailwind(shared.project.text(css));
        for style in &reached.styles {
            match style {
                Style::File(css) if for_tailwind(css) => {
                    sheets.push(css::for_tailwind(shared.project, css, notes))
                }
                Style::File(css) => links.push_str(&link(&address(served(css)))),
                Style::Package(specifier) => {
                    links.push_str(&link(&html::quoted(&shared.cdn.file(specifier))))
                }
            }
        }
        for element in elements.iter().filter(|e| e.name == "link" && e.get("rel") == Some("stylesheet")) {
            let sheet = element.get("href").and_then(|href| script_path(shared.project, path, href));
            if let Some(css) = sheet.filter(|css| for_tailwind(css)) {
                sheets.push(css::for_tailwind(shared.project, &css, notes));
                self.edits.replace(element.tag.clone(), "");
            }
        }

        let mut head = self.import_map(&elements, shared);
        if reached
            .modules
            .iter()
            .any(|module| shared.graph.files.get(module).is_some_and(|code| code.contains("process.env")))
        {
            let env = shared.project.env();
            let env: BTreeMap<_, _> = env.iter().filter(|(name, _)| name.starts_with("REACT_APP_")).collect();
            let env = json!({ "env": env }).to_string().replace('<', "\\u003c");
            head.push_str(&format!(
                "<script>globalThis.process ??= {env}; process.env.NODE_ENV = \"production\";</script>\n"
            ));
        }
        let brings_tailwind = |e: &Element| e.get("src").is_some_and(|src| src.contains("tailwindcss"));
        if let Some((version, urls)) = shared.tailwind.filter(|_| !elements.iter().any(brings_tailwind)) {
            head.push_str(&tailwind::script(version, urls));
            if let Some(setup) = &shared.tailwind_setup {
                head.push_str(&format!(
                    "<script type=\"module\" src={}></script>\n",
                    address(&served_at(setup))
                ));
            }
        }
        for sheet in &sheets {
            head.push_str(&format!("<style type=\"text/tailwindcss\">\n{sheet}</style>\n"));
        }
        for module in &reached.modules {
            head.push_str(&format!("<link rel=\"modulepreload\" href={}>\n", address(module)));
        }
        self.edits.insert(head_start(&elements, &self.html), format!("\n{head}"));

        let mut end = links;
        for entry in &self.unnamed {
            end.push_str(&format!("<script type=\"module\" src={}></script>\n", address(&served_at(entry))));
        }
        self.edits.insert(head_end(&elements, &self.html), end);
        self.edits.apply(&self.html)
    }

    /// The page's import map: its own, with the packages that it does not give.
    fn import_map(&mut self, elements: &[Element], shared: &Shared<'_>) -> String {
        if shared.imports.is_empty() {
            return String::new();
        }
        let own = elements.iter().find(|element| element.get("type") == Some("importmap"));
        let text = own.and_then(|own| self.html.get(own.content.clone())).unwrap_or("{}");
        let mut map: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
        let given = provided(text);
        let mut imports: Map<String, Value> =
            map.get("imports").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, url) in shared.imports.iter().filter(|(name, _)| !gives(&given, name)) {
            imports.insert(name.clone(), url.as_str().into());
        }
        map.insert("imports".to_owned(), Value::Object(imports));
        if let Some(own) = own {
            self.edits.replace(own.tag.start..own.end, "");
        }
        let map = serde_json::to_string_pretty(&map).unwrap_or_default().replace('<', "\\u003c");
        format!("<script type=\"importmap\">\n{map}\n</script>\n")
    }
}

/// The file at `path`, from the root: pages of an app's own routing are at any depth.
fn address(path: &str) -> String {
    html::quoted(&format!("/{}", path.replace('%', "%25").replace('?', "%3F").replace('#', "%23")))
}

fn link(href: &str) -> String {
    format!("<link rel=\"stylesheet\" href={href}>\n")
}

/// Right after `<head>`, or where a browser would think it begins.
fn head_start(elements: &[Element], html: &str) -> usize {
    let after =
        |name: &str| elements.iter().find(|element| element.name == name).map(|element| element.tag.end);
    let doctype = || html.trim_start().get(..9).filter(|start| start.eq_ignore_ascii_case("<!doctype"));
    after("head")
        .or_else(|| after("html"))
        .or_else(|| doctype().and_then(|_| html.find('>')).map(|at| at + 1))
        .unwrap_or(0)
}

/// Before `</head>`, or before the body.
fn head_end(elements: &[Element], html: &str) -> usize {
    let start = head_start(elements, html);
    let close = html.to_ascii_lowercase().find("</head");
    let body = || elements.iter().find(|element| element.name == "body").map(|element| element.tag.start);
    close.or_else(body).filter(|end| *end >= start).unwrap_or(start)
}

/// Compiles the module that a page is to begin with, and answers with its path.
fn begin(project: &Project, entry: Entry, graph: &mut Graph<'_>) -> String {
    let app = match entry {
        Entry::Main(main) => {
            graph.add(&main);
            return main;
        }
        Entry::App(app) => app,
    };
    graph.add(&app);
    if !graph.exports(&app, "default") && !graph.exports(&app, "App") {
        let told = "exports no component to show: `export default` it, or add a src/main.tsx that renders it";
        graph.wrong.push(Diagnostic::of_file(&app, told));
    }
    let made = format!("{}main.made.jsx", path::folder(&app));
    graph.add_made(&made, &mount(project, &app));
    made
}

/// A module that shows the component of `app`, with the style sheets that
/// such projects have beside it.
fn mount(project: &Project, app: &str) -> String {
    let folder = path::folder(app);
    let named: BTreeSet<String> = ["index.css", "App.css", "globals.css", "styles.css", "style.css"]
        .iter()
        .flat_map(|name| [format!("{folder}{name}"), (*name).to_owned()])
        .collect();
    let forgotten = named.iter().filter(|css| project.files.contains_key(*css));
    let styles: String = forgotten.map(|css| format!("import \"/{css}\";\n")).collect();
    let name = app.rsplit('/').next().unwrap_or_default();
    let is_old = project
        .manifest
        .version("react")
        .is_some_and(|version| version.starts_with("16") || version.starts_with("17"));
    let (library, show) = match (project.jsx.as_str(), is_old) {
        ("preact", _) => ("import { render } from \"preact\";", "render(<App />, root);"),
        (_, true) => ("import { render } from \"react-dom\";", "render(<App />, root);"),
        _ => ("import { createRoot } from \"react-dom/client\";", "createRoot(root).render(<App />);"),
    };
    format!(
        "{library}\nimport * as app from \"./{name}\";\n{styles}\
         const App = app[\"default\"] ?? app[\"App\"];\nconst root = document.getElementById(\"root\");\n{show}\n"
    )
}
