//! The layers of this crate, and the tests that enforce them: imports only go down, modules do not
//! import each other, and files do not import each other in a circle. Below are the crates of
//! crates/, which do not depend on the Worker.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// From the top down. A module may import from its own layer, except for [`MODULES`], and from the
/// layers below.
const LAYERS: &[&[&str]] = &[
    // The entry points.
    &["lib"],
    // The routing table.
    &["routes"],
    MODULES,
    &["http"],
    &["audit", "clouds", "identity", "jobs", "models"],
    &["store", "upstream"],
    &["platform"],
    &["error", "redact", "settings"],
];

/// Code that two of these need belongs on a layer below.
const MODULES: &[&str] = &[
    "accounts",
    "admin",
    "apps",
    "chat",
    "deploy",
    "discovery",
    "docs",
    "fleet",
    "gateway",
    "generate",
    "metrics",
    "projects",
    "root",
    "skills",
];

/// One file, by its path in the crate (`chat::store`; `lib` is the root).
#[derive(Debug, Default)]
struct SourceFile {
    /// Its imports, as absolute paths.
    imports: BTreeSet<Vec<String>>,
    /// Its re-exports: the name, and the absolute path.
    reexports: BTreeMap<String, Vec<String>>,
    /// Its modules that only exist in tests.
    test_modules: BTreeSet<String>,
}

type Sources = BTreeMap<Vec<String>, SourceFile>;

fn sources() -> Sources {
    let mut files = BTreeMap::new();
    read_folder(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &[], &mut files);
    let modules: BTreeSet<Vec<String>> = files.keys().cloned().collect();
    let mut sources: Sources = BTreeMap::new();
    for (module, tokens) in files {
        let mut reader = Reader { module: &module, modules: &modules, source: SourceFile::default() };
        reader.read(tokens);
        let source = reader.source;
        sources.insert(module, source);
    }
    let is_of_tests = |module: &[String]| {
        (0..module.len()).any(|at| {
            let (parent, rest) = module.split_at(at);
            let parent = sources.get(parent);
            parent.zip(rest.first()).is_some_and(|(parent, name)| parent.test_modules.contains(name))
        })
    };
    let tests: Vec<_> = sources.keys().filter(|module| is_of_tests(module)).cloned().collect();
    sources.retain(|module, _| !tests.contains(module));
    sources
}

fn read_folder(folder: &Path, module: &[String], files: &mut BTreeMap<Vec<String>, TokenStream>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let child = match name.as_str() {
            "lib" | "mod" => module.to_vec(),
            _ => [module, &[name]].concat(),
        };
        if path.is_dir() {
            read_folder(&path, &child, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(child, fs::read_to_string(&path).unwrap().parse().unwrap());
        }
    }
}

struct Reader<'a> {
    module: &'a [String],
    modules: &'a BTreeSet<Vec<String>>,
    source: SourceFile,
}

impl Reader<'_> {
    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut rest, mut is_public) = (tokens.as_slice(), false);
        let (mut is_in_path, mut was_joint) = (false, false);
        while let [first, tail @ ..] = rest {
            rest = tail;
            match first {
                TokenTree::Punct(mark) if mark.as_char() == '#' => rest = self.attribute(tail),
                // The `crate` of `pub(crate)` is not an import.
                TokenTree::Group(group) if !is_public => self.read(group.stream()),
                TokenTree::Ident(word) if word == "pub" => {
                    is_public = true;
                    continue;
                }
                TokenTree::Ident(word) if word == "use" => {
                    // `use<'a>` in a type has no semicolon.
                    if let Some(end) = tail.iter().position(is(';')) {
                        let (tree, after) = tail.split_at(end);
                        self.import(tree, is_public);
                        rest = after;
                    }
                }
                // Inside a path it is not the beginning.
                TokenTree::Ident(word) if !is_in_path => {
                    let path = path(rest.iter(), word.to_string());
                    if path.len() > 1 {
                        self.source.imports.extend(self.absolute(&path));
                    }
                }
                _ => {}
            }
            is_public = is_public && matches!(first, TokenTree::Group(_));
            // Both colons of `::`, because a single one precedes a type.
            is_in_path = is(':')(first) && was_joint;
            was_joint = matches!(first, TokenTree::Punct(mark) if mark.as_char() == ':' && mark.spacing() == Spacing::Joint);
        }
    }

    /// The tokens after an attribute, without its item if that is for tests.
    fn attribute<'t>(&mut self, tokens: &'t [TokenTree]) -> &'t [TokenTree] {
        let [TokenTree::Group(group), rest @ ..] = tokens else { return tokens };
        let attribute = group.stream().to_string().replace(' ', "");
        if attribute != "cfg(test)" {
            return rest;
        }
        let is_end = |token: &TokenTree| is(';')(token) || is_braces(token);
        // A field has no semicolon; fields for tests are the last ones.
        let end = rest.iter().position(is_end).map_or(rest.len(), |at| at + 1);
        let (item, after) = rest.split_at(end);
        let words: Vec<_> = item.iter().map(ToString::to_string).collect();
        if let Some(at) = words.iter().position(|word| word == "mod") {
            self.source.test_modules.extend(words.get(at + 1).cloned());
        }
        after
    }

    /// Records the paths of a `use`.
    fn import(&mut self, tree: &[TokenTree], is_public: bool) {
        for path in leaves(tree) {
            let Some(path) = self.absolute(&path) else { continue };
            match path.last() {
                Some(name) if is_public => drop(self.source.reexports.insert(name.clone(), path)),
                _ => drop(self.source.imports.insert(path)),
            }
        }
    }

    /// `None` for a path into another crate or the file itself.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base = self.module.to_vec();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => base.clear(),
            "super" | "self" => {
                while let Some(first @ ("super" | "self")) = rest.first().map(String::as_str) {
                    if first == "super" {
                        base.pop();
                    }
                    rest = rest.get(1..)?;
                }
                return Some([base.as_slice(), rest].concat());
            }
            first => {
                base.push(first.to_owned());
                return self.modules.contains(&base).then(|| [self.module, rest].concat());
            }
        }
        Some(rest.get(1..)?.to_vec())
    }
}

fn is(mark: char) -> impl Fn(&TokenTree) -> bool {
    move |token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

fn is_braces(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

/// `first`, and the `::name`s that follow.
fn path<'t>(mut tokens: impl Iterator<Item = &'t TokenTree>, first: String) -> Vec<String> {
    let mut path = vec![first];
    while let (Some(a), Some(b), Some(TokenTree::Ident(name))) = (tokens.next(), tokens.next(), tokens.next())
    {
        if !is(':')(a) || !is(':')(b) {
            break;
        }
        path.push(name.to_string());
    }
    path
}

/// The paths of a use tree, without `as` and the names after it.
fn leaves(tree: &[TokenTree]) -> Vec<Vec<String>> {
    let mut prefix: Vec<String> = Vec::new();
    for token in tree {
        match token {
            TokenTree::Ident(word) if word == "as" => break,
            TokenTree::Ident(word) => prefix.push(word.to_string()),
            TokenTree::Group(group) => {
                let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
                let inner = tokens.split(is(',')).filter(|tree| !tree.is_empty()).flat_map(leaves);
                let whole = |leaf: Vec<String>| match leaf.as_slice() {
                    [only] if only == "self" => prefix.clone(),
                    _ => [prefix.as_slice(), &leaf].concat(),
                };
                return inner.map(whole).collect();
            }
            _ => {}
        }
    }
    vec![prefix]
}

/// The file to which a path leads, through re-exports.
fn file_of<'a>(path: &[String], sources: &'a Sources) -> Option<&'a Vec<String>> {
    let known = |length: &usize| path.get(..*length).is_some_and(|module| sources.contains_key(module));
    let length = (0..=path.len()).rev().find(known)?;
    let (module, rest) = path.split_at(length);
    let (file, source) = sources.get_key_value(module)?;
    match rest.split_first().and_then(|(name, rest)| Some((source.reexports.get(name)?, rest))) {
        Some((target, rest)) if target != path => file_of(&[target.as_slice(), rest].concat(), sources),
        _ => Some(file),
    }
}

fn name(module: &[String]) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("::") }
}

/// The top-level module that contains a file.
fn top(module: &[String]) -> &str {
    module.first().map_or("lib", String::as_str)
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Every import between two top-level modules: the file, and what it imports.
fn crossings(sources: &Sources) -> impl Iterator<Item = (&Vec<String>, &Vec<String>)> {
    let all = sources.iter().flat_map(|(file, source)| {
        let paths = source.imports.iter().chain(source.reexports.values());
        paths.map(move |path| (file, path))
    });
    all.filter(|(file, path)| !path.is_empty() && top(file) != top(path))
}

#[test]
fn every_module_has_a_layer() {
    let tops: BTreeSet<_> = sources().keys().map(|module| top(module).to_owned()).collect();
    let named: BTreeSet<_> = LAYERS.concat().into_iter().map(str::to_owned).collect();
    assert_eq!(tops, named);
}

#[test]
fn imports_go_down() {
    let sources = sources();
    let climbs = |(file, path): &(&Vec<String>, &Vec<String>)| match (layer(top(file)), layer(top(path))) {
        (Some(from), Some(to)) => to < from || (to == from && MODULES.contains(&top(file))),
        // A path without a module is a name in lib.rs, the top layer.
        _ => true,
    };
    let wrong: Vec<_> = crossings(&sources)
        .filter(climbs)
        .map(|(file, path)| format!("{} imports {}", name(file), name(path)))
        .collect();
    assert!(wrong.is_empty(), "{} imports go up, or to another module:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources = sources();
    let mut edges: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> = BTreeMap::new();
    for (file, source) in &sources {
        let targets =
            source.imports.iter().filter_map(|path| file_of(path, &sources)).filter(|target| *target != file);
        edges.insert(file, targets.collect());
    }
    let reached = |from| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            open.extend(edges.get(file).into_iter().flatten().filter(|target| reached.insert(**target)));
        }
        reached
    };
    let reach: BTreeMap<_, _> = sources.keys().map(|file| (file, reached(file))).collect();
    let circles: BTreeSet<Vec<String>> = reach
        .iter()
        .filter(|(file, reached)| reached.contains(**file))
        .map(|(file, reached)| {
            reached.iter().filter(|other| reach[**other].contains(*file)).map(|f| name(f)).collect()
        })
        .collect();
    assert!(circles.is_empty(), "files import each other:\n{circles:#?}");
}

#[test]
fn the_imports_are_read() {
    let sources = sources();
    let crossings: Vec<_> =
        crossings(&sources).map(|(file, path)| format!("{} {}", name(file), name(path))).collect();
    for import in ["lib routes::ROUTER", "chat http::RequestContext", "http::route identity::Scope"] {
        assert!(crossings.iter().any(|crossing| crossing == import), "{import} is not seen");
    }
}
