//! The modules that a page's entries lead to, each compiled once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    css,
    diagnostic::Diagnostic,
    module::{self, Asked, Import, Options},
    package, path,
    project::{self, Project},
    resolve::{self, Target},
};

/// Everything that has been compiled, and what was met on the way.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    project: &'a Project,
    /// Files for the browser, by the path they are served at.
    pub(crate) files: BTreeMap<String, String>,
    /// Bare specifiers of packages.
    pub(crate) packages: BTreeSet<String>,
    pub(crate) wrong: Vec<Diagnostic>,
    /// Of each module's source, what it imports, in order.
    links: BTreeMap<String, Vec<Link>>,
    exports: BTreeMap<String, Vec<String>>,
    queue: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Link {
    /// The source of a module; whether it is needed at once.
    Module(String, bool),
    Style(Style),
}

/// A style sheet that a module imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Style {
    /// At this path of the project.
    File(String),
    /// The bare specifier of a package's.
    Package(String),
}

/// What a page needs, in the order in which it is run.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// Where the modules that are needed at once are served.
    pub(crate) modules: Vec<String>,
    pub(crate) styles: Vec<Style>,
}

/// Where the module of a source is served.
pub(crate) fn served_at(path: &str) -> String {
    if project::is_source(path) { format!("{path}.js") } else { served(path).to_owned() }
}

/// Files of `public/` are served at the root.
pub(crate) fn served(path: &str) -> &str {
    path.strip_prefix("public/").unwrap_or(path)
}

impl<'a> Graph<'a> {
    pub(crate) fn new(project: &'a Project) -> Self {
        Self {
            project,
            files: BTreeMap::new(),
            packages: BTreeSet::new(),
            wrong: Vec::new(),
            links: BTreeMap::new(),
            exports: BTreeMap::new(),
            queue: Vec::new(),
        }
    }

    /// Compiles the module at `entry` and all that it leads to.
    pub(crate) fn add(&mut self, entry: &str) {
        self.queue.push(entry.to_owned());
        while let Some(path) = self.queue.pop() {
            if !self.links.contains_key(&path) {
                self.compile(&path, self.project.text(&path));
            }
        }
    }

    /// The same, of a module that is no file of the project.
    pub(crate) fn add_made(&mut self, path: &str, source: &str) {
        self.compile(path, source);
        self.add(path);
    }

    /// Whether the module at `path` exports `name`, as far as one can tell.
    pub(crate) fn exports(&self, path: &str, name: &str) -> bool {
        // One that could not be compiled has been told of.
        self.exports
            .get(path)
            .is_none_or(|exports| exports.iter().any(|export| export == name || export == "*"))
    }

    /// What the modules at `entries` lead to.
    pub(crate) fn reached(&self, entries: &[String]) -> Reached {
        let (mut reached, mut seen) = (Reached::default(), BTreeSet::new());
        // Each source, whether it is needed at once, and how many of its links have been followed.
        let mut stack: Vec<(&str, bool, usize)> = Vec::new();
        for entry in entries {
            stack.push((entry, true, 0));
            while let Some((path, at_once, next)) = stack.pop() {
                match self.links.get(path).and_then(|links| links.get(next)) {
                    Some(link) => {
                        stack.push((path, at_once, next + 1));
                        match link {
                            Link::Module(to, now) if seen.insert(to.as_str()) => {
                                stack.push((to, at_once && *now, 0))
                            }
                            Link::Style(style) if !reached.styles.contains(style) => {
                                reached.styles.push(style.clone())
                            }
                            _ => {}
                        }
                    }
                    None if at_once => reached.modules.push(served_at(path)),
                    None => {}
                }
            }
        }
        reached
    }

    fn compile(&mut self, path: &str, source: &str) {
        let mut links = Vec::new();
        let options = Options { jsx: &self.project.jsx, decorators: self.project.decorators };
        let compiled =
            module::compile(path, source, &options, &mut |asked| self.import(path, asked, &mut links));
        self.links.insert(path.to_owned(), links);
        match compiled {
            Ok(compiled) => {
                let out = served_at(path);
                let env = if compiled.reads_env { self.env(&out) } else { String::new() };
                self.exports.insert(path.to_owned(), compiled.exports);
                self.files.insert(out, env + &compiled.code);
            }
            Err(wrong) => self.wrong.extend(wrong),
        }
    }

    /// Each module has an `import.meta` of its own, which can be added to.
    fn env(&self, out: &str) -> String {
        let env = serde_json::to_string(&self.project.env()).unwrap_or_default();
        let root = format!("./{}", "../".repeat(out.matches('/').count()));
        format!(
            "import.meta.env = {{ ...{env}, BASE_URL: new URL(\"{root}\", import.meta.url).pathname }};\n"
        )
    }

    /// How the module at `importer` is to write one of its imports.
    fn import(&mut self, importer: &str, asked: Asked<'_>, links: &mut Vec<Link>) -> Result<Import, String> {
        match resolve::resolve(self.project, importer, asked.specifier)? {
            Target::Url => Ok(Import::From(asked.specifier.to_owned())),
            Target::Package(specifier) => Ok(self.package(specifier, asked, links)),
            Target::File { path, query } => {
                let Some(out) = self.file(&path, &query, asked, links)? else { return Ok(Import::Dropped) };
                Ok(Import::From(path::relative(&served_at(importer), &out)))
            }
        }
    }

    fn package(&mut self, specifier: String, asked: Asked<'_>, links: &mut Vec<Link>) -> Import {
        let style = match package::parts(&specifier) {
            Some((name, "")) if name.starts_with("@fontsource") => Some(format!("{specifier}/index.css")),
            _ => specifier.ends_with(".css").then(|| specifier.clone()),
        };
        match style {
            Some(style) if asked.for_effect => {
                links.push(Link::Style(Style::Package(style)));
                Import::Dropped
            }
            _ => {
                self.packages.insert(specifier.clone());
                Import::From(specifier)
            }
        }
    }

    /// Where the module is served that stands for a file; none when the page takes care of it.
    fn file(
        &mut self,
        path: &str,
        query: &str,
        asked: Asked<'_>,
        links: &mut Vec<Link>,
    ) -> Result<Option<String>, String> {
        let text = self.project.text(path);
        let (made, content) = match (query.split('&').next().unwrap_or_default(), path::extension(path)) {
            ("raw" | "inline", _) => ("raw.js", exported(text)),
            ("url", _) => ("url.js", self.address(path, "url.js")),
            ("react", "svg") => {
                ("component.js", self.component(path) + "export { ReactComponent as default };\n")
            }
            (_, "json") => ("js", json_module(path, text)?),
            (_, "css") if css::is_module(path) => {
                links.push(Link::Style(Style::File(path.to_owned())));
                ("js", class_names(path, text))
            }
            (_, "css") => {
                links.push(Link::Style(Style::File(path.to_owned())));
                if asked.for_effect {
                    return Ok(None);
                }
                ("js", exported(text))
            }
            (_, extension @ ("scss" | "sass" | "less" | "styl")) => {
                return Err(format!(
                    "{path} is written in {extension}, which is not compiled here: write it as CSS"
                ));
            }
            (_, extension @ ("vue" | "svelte" | "astro")) => {
                return Err(format!(
                    "{path} is a .{extension} component, which is not compiled here: ask for React"
                ));
            }
            _ if path.ends_with(".d.ts") => {
                return Err(format!("{path} has types only, nothing to import at run time"));
            }
            _ if project::is_module(path) => {
                links.push(Link::Module(path.to_owned(), !asked.is_dynamic));
                self.queue.push(path.to_owned());
                return Ok(Some(served_at(path)));
            }
            // Create React App's way: the address and the component together.
            (_, "svg") if self.project.manifest.lists("react-scripts") => {
                ("js", self.component(path) + "export default url;\n")
            }
            _ => ("js", self.address(path, "js")),
        };
        let out = format!("{}.{made}", served(path));
        self.files.insert(out.clone(), content);
        Ok(Some(out))
    }

    /// A module that gives a file's address.
    fn address(&self, path: &str, made: &str) -> String {
        let to = path::relative(&format!("{}.{made}", served(path)), served(path));
        format!("export default new URL({}, import.meta.url).href;\n", quoted(&to))
    }

    /// `url`, an SVG's address, and `ReactComponent`, an image of it.
    fn component(&mut self, path: &str) -> String {
        let jsx = format!("{}/jsx-runtime", self.project.jsx);
        self.packages.insert(jsx.clone());
        let to = quoted(&path::relative(&format!("{}.js", served(path)), served(path)));
        let jsx = quoted(&jsx);
        format!(
            "import {{ jsx }} from {jsx};\nconst url = new URL({to}, import.meta.url).href;\n\
             export const ReactComponent = (props) => jsx(\"img\", {{ src: url, ...props }});\n"
        )
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn exported(text: &str) -> String {
    format!("export default {};\n", quoted(text))
}

/// Its whole as `default`, and each member that has the name of a variable.
fn json_module(path: &str, text: &str) -> Result<String, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("{path} is not valid JSON: {error}"))?;
    let mut code = format!("const json = {value};\nexport default json;\n");
    for name in value.as_object().into_iter().flat_map(|members| members.keys()) {
        export_member(&mut code, "json", name);
    }
    Ok(code)
}

fn class_names(path: &str, text: &str) -> String {
    let (_, names) = css::scoped(text, path);
    let object: serde_json::Map<String, Value> =
        names.iter().map(|(name, own)| (name.clone(), own.as_str().into())).collect();
    let mut code = format!("const names = {};\nexport default names;\n", Value::Object(object));
    for (name, _) in &names {
        export_member(&mut code, "names", name);
    }
    code
}

/// Under a name that no reserved word can be: exported names may be strings' content only by `as`.
fn export_member(code: &mut String, object: &str, name: &str) {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_name && name != "default" {
        code.push_str(&format!("const _{name} = {object}.{name};\nexport {{ _{name} as {name} }};\n"));
    }
}
