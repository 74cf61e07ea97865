//! Style sheets: CSS modules, and those that are written for Tailwind.

use std::collections::BTreeSet;

use crate::{path, project::Project, resolve};

/// A piece of a style sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    /// Comment, string or `url(…)`.
    Opaque(&'a str),
    /// `.name`, the name without its dot.
    Class(&'a str),
    Other(&'a str),
}

/// The pieces of a style sheet, which together are the style sheet.
fn pieces(css: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = css;
    while !rest.is_empty() {
        let (piece, length) = first_piece(rest);
        pieces.push(piece);
        rest = rest.get(length..).unwrap_or_default();
    }
    pieces
}

fn first_piece(rest: &str) -> (Piece<'_>, usize) {
    let upto = |end: usize| rest.get(..end).unwrap_or(rest);
    if let Some(comment) = rest.strip_prefix("/*") {
        let end = comment.find("*/").map_or(rest.len(), |end| end + 4);
        return (Piece::Opaque(upto(end)), end);
    }
    if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let mut escaped = false;
        let close = rest.char_indices().skip(1).find(|(_, c)| {
            let closes = (*c == quote && !escaped) || *c == '\n';
            escaped = *c == '\\' && !escaped;
            closes
        });
        let end = close.map_or(rest.len(), |(at, _)| at + 1);
        return (Piece::Opaque(upto(end)), end);
    }
    if rest.starts_with("url(") {
        let end = rest.find(')').map_or(rest.len(), |end| end + 1);
        return (Piece::Opaque(upto(end)), end);
    }
    if let Some(name) = rest.strip_prefix('.').map(class_name).filter(|name| !name.is_empty()) {
        return (Piece::Class(name), name.len() + 1);
    }
    let end = rest
        .char_indices()
        .skip(1)
        .find(|(at, c)| {
            matches!(c, '/' | '"' | '\'' | '.') || rest.get(*at..).is_some_and(|r| r.starts_with("url("))
        })
        .map_or(rest.len(), |(at, _)| at);
    (Piece::Other(upto(end)), end)
}

/// The class name that `text` begins with; a digit begins a number instead.
fn class_name(text: &str) -> &str {
    let is_name = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let name = text.get(..end).unwrap_or_default();
    if name.starts_with(|c: char| c.is_ascii_digit()) { "" } else { name }
}

/// A CSS module: its style sheet with class names of its own, and what each
/// name became.
pub(crate) fn scoped(css: &str, path: &str) -> (String, Vec<(String, String)>) {
    let mark = mark(path);
    let (mut out, mut names) = (String::with_capacity(css.len()), BTreeSet::new());
    // `:global(.name)` is the name as it is.
    let mut global = false;
    for piece in pieces(css) {
        match piece {
            Piece::Class(name) if !global => {
                names.insert(name.to_owned());
                out.push_str(&format!(".{name}_{mark}"));
            }
            Piece::Class(name) => out.push_str(&format!(".{name}")),
            Piece::Opaque(text) => out.push_str(text),
            Piece::Other(text) => {
                let text = if global { text.replacen(')', "", 1) } else { text.to_owned() };
                global = text.ends_with(":global(");
                out.push_str(text.trim_end_matches(":global("));
            }
        }
    }
    (
        out,
        names
            .into_iter()
            .map(|name| (format!("{name}_{mark}"), name))
            .map(|(new, name)| (name, new))
            .collect(),
    )
}

/// Tells the classes of one file from another's (FNV-1a of its path).
fn mark(path: &str) -> String {
    let hash =
        path.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

/// Whether Tailwind must read it before a browser does.
pub(crate) fn is_tailwind(css: &str) -> bool {
    ["@tailwind ", "@apply ", "@import \"tailwindcss", "@import 'tailwindcss", "@theme", "@custom-variant"]
        .iter()
        .any(|directive| css.contains(directive))
}

/// Whether it is written for Tailwind 3.
pub(crate) fn is_tailwind_3(css: &str) -> bool {
    css.contains("@tailwind base") || css.contains("@tailwind components")
}

/// A style sheet for Tailwind as its browser build takes it: other files of
/// the project put in where they are imported, and what only works in a
/// build left out, which `notes` then say.
pub(crate) fn for_tailwind(project: &Project, path: &str, notes: &mut Vec<String>) -> String {
    inlined(project, path, &mut BTreeSet::new(), notes).replace("</", "<\\/")
}

fn inlined(project: &Project, path: &str, seen: &mut BTreeSet<String>, notes: &mut Vec<String>) -> String {
    if !seen.insert(path.to_owned()) {
        return String::new();
    }
    let mut css = String::new();
    for line in project.text(path).split_inclusive('\n') {
        let statement = line.trim();
        let rule = statement.split_whitespace().next().unwrap_or_default();
        let given = statement.split(['"', '\'']).nth(1).unwrap_or_default();
        let imported = match rule {
            "@import" if given.starts_with('.') || given.starts_with('/') => Some(given),
            _ => None,
        };
        let file = imported.and_then(|given| match resolve::resolve(project, path, given) {
            Ok(resolve::Target::File { path, .. }) => Some(path),
            _ => None,
        });
        let is_tailwind = given == "tailwindcss" || given.starts_with("tailwindcss/");
        match (rule, file) {
            (_, Some(file)) => css.push_str(&inlined(project, &file, seen, notes)),
            ("@import", None) if !is_tailwind && !given.contains("://") && !statement.contains("url(") => {
                notes.push(format!("{path}: left out {statement}, which Tailwind cannot load in a browser"));
            }
            ("@plugin" | "@config" | "@source", _) => {
                notes.push(format!("{path}: left out {statement}, which Tailwind cannot load in a browser"));
            }
            _ => css.push_str(line),
        }
    }
    css
}

/// Whether `path` is a CSS module.
pub(crate) fn is_module(path: &str) -> bool {
    path::extension(path) == "css" && path.ends_with(".module.css")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn class_names_of_a_module_are_its_own() {
        let css = ".card:hover > .title-big { margin: .5em; background: url(a.png) } /* .no */ :global(.dark) .card { content: '.x' }";
        let (scoped, names) = scoped(css, "a.module.css");
        let mark = mark("a.module.css");
        assert_eq!(
            scoped,
            format!(
                ".card_{mark}:hover > .title-big_{mark} {{ margin: .5em; background: url(a.png) }} /* .no */ .dark .card_{mark} {{ content: '.x' }}"
            )
        );
        assert_eq!(names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["card", "title-big"]);
        assert_ne!(self::mark("a"), self::mark("b"));
    }

    #[test]
    fn tailwind_gets_one_style_sheet_without_what_it_cannot_load() {
        let files = [
            (
                "src/index.css",
                "@import \"tailwindcss\";\n@import './base.css';\n@plugin \"x\";\n@import \"tw-animate-css\";\np{}\n",
            ),
            ("src/base.css", "@import './index.css';\nb{}</style>\n"),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let mut notes = Vec::new();
        let css = for_tailwind(&Project::read(files.into()).unwrap(), "src/index.css", &mut notes);
        assert_eq!(css, "@import \"tailwindcss\";\nb{}<\\/style>\np{}\n");
        assert_eq!(notes.len(), 2);
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_style_sheet(css in "([.a-z{}\"'\n/*()é]|url\\(|/\\*){0,60}") {
            let whole: String = pieces(&css).iter().map(|piece| match piece {
                Piece::Class(name) => format!(".{name}"),
                Piece::Opaque(text) | Piece::Other(text) => (*text).to_owned(),
            }).collect();
            prop_assert_eq!(whole, css);
        }
    }
}
