//! Selects the files that a model is shown: all of them, or the relevant ones if the project exceeds the budget.

use super::map::CodeMap;
use super::tokens::tokens_at_most;
use super::{fenced, language::extension};
use std::collections::BTreeSet;

/// The list of files that are not shown may take this fraction of the budget: one in four.
const LIST_SHARE: u64 = 4;
/// How many exported names are listed for one file.
const MOST_NAMES: usize = 12;
/// Entry points of an app: relevant to every question.
const ENTRIES: [&str; 9] = [
    "package.json",
    "index.html",
    "src/main.tsx",
    "src/main.jsx",
    "src/main.ts",
    "src/App.tsx",
    "src/App.jsx",
    "app.js",
    "styles.css",
];

/// The files of a project, as context for a model that gets `message`. If all files fit into `budget` tokens, all are
/// shown in full. Otherwise files are shown in this order until the budget is used up: those that the message names,
/// those in `recent` (last changed first), entry points, and small files. The others are listed with the names that
/// they export.
pub fn context(code: &CodeMap, message: &str, recent: &[String], budget: u64) -> String {
    let all = fenced(code);
    if tokens_at_most(&all) <= budget {
        return all;
    }
    let mut files: Vec<File> =
        code.iter().map(|(path, content)| File::of(path, content, message, recent)).collect();
    files.sort_by_key(|file| (file.rank, file.tokens));
    let mut left = budget - budget / LIST_SHARE;
    let mut shown = BTreeSet::new();
    for file in &files {
        if file.tokens <= left {
            left -= file.tokens;
            shown.insert(file.path);
        }
    }
    let selection = code.iter().filter(|(path, _)| shown.contains(path));
    let others = code.iter().filter(|(path, _)| !shown.contains(path));
    format!(
        "{}\nThe project is too large to be shown whole. Its other files, with what they export; ask for one by its path before \
         you change it:\n\n{}",
        fenced::files(selection),
        list(others, budget / LIST_SHARE)
    )
}

/// A file and its rank.
struct File<'a> {
    path: &'a str,
    rank: usize,
    tokens: u64,
}

impl<'a> File<'a> {
    fn of(path: &'a str, content: &str, message: &str, recent: &[String]) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let stem = name.split('.').next().unwrap_or(name);
        let changed = recent.iter().position(|changed| changed == path);
        let rank = if names(message, path) {
            0
        } else if names(message, name) {
            1
        } else if let Some(turns_ago) = changed {
            2 + turns_ago
        } else if stem.len() > 2 && names(message, stem) {
            2 + recent.len()
        } else if ENTRIES.contains(&path) {
            3 + recent.len()
        } else {
            4 + recent.len()
        };
        // The fence and the path take a few tokens more.
        Self { path, rank, tokens: tokens_at_most(content) + tokens_at_most(path) + 8 }
    }
}

/// Whether a text contains this name as a whole word, ignoring case.
fn names(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    text.match_indices(&name).any(|(start, _)| {
        let before = text.get(..start).and_then(|text| text.chars().next_back());
        let after = text.get(start + name.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

fn list<'a>(files: impl Iterator<Item = (&'a str, &'a str)>, budget: u64) -> String {
    let (mut list, mut left, mut unlisted) = (String::new(), budget, 0_usize);
    for (path, content) in files {
        let exported = exports(path, content);
        let line = if exported.is_empty() {
            format!("- {path}\n")
        } else {
            format!("- {path}: {}\n", exported.join(", "))
        };
        match left.checked_sub(tokens_at_most(&line)) {
            Some(rest) => {
                left = rest;
                list.push_str(&line);
            }
            None => unlisted += 1,
        }
    }
    if unlisted > 0 {
        list.push_str(&format!("- and {unlisted} more\n"));
    }
    list
}

/// The names that a module exports, at most [`MOST_NAMES`].
fn exports<'a>(path: &str, content: &'a str) -> Vec<&'a str> {
    let extension = extension(path).unwrap_or_default();
    let is_module = matches!(
        extension.as_str(),
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" | "vue" | "svelte"
    );
    if !is_module {
        return Vec::new();
    }
    let exports = content.lines().filter_map(|line| line.strip_prefix("export "));
    exports.flat_map(exported).take(MOST_NAMES).collect()
}

/// The names that are declared after `export`.
fn exported(declaration: &str) -> Vec<&str> {
    if let Some(list) = declaration.trim_start_matches("type ").strip_prefix('{') {
        let list = list.split('}').next().unwrap_or_default();
        let names = list.split(',').filter_map(|item| item.split_whitespace().next_back());
        return names.collect();
    }
    const WORDS: [&str; 14] = [
        "default",
        "declare",
        "abstract",
        "async",
        "function",
        "function*",
        "class",
        "const",
        "let",
        "var",
        "interface",
        "type",
        "enum",
        "namespace",
    ];
    let name = declaration.split_whitespace().find(|word| !WORDS.contains(word)).unwrap_or_default();
    let end = name.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$'))).unwrap_or(name.len());
    let name = name.get(..end).unwrap_or_default();
    match (name, declaration.starts_with("default")) {
        ("", true) => vec!["default"],
        ("", false) => Vec::new(),
        (name, _) => vec![name],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn project() -> CodeMap {
        let filler = "let x = 1;\n".repeat(300);
        let module = |name: &str| {
            format!("export function {name}() {{}}\nexport {{ a, b as c }} from './x';\n{filler}")
        };
        let mut files = serde_json::Map::new();
        for n in 0..40 {
            files.insert(format!("src/part{n}.ts"), module(&format!("part{n}")).into());
        }
        files.insert("src/components/Header.tsx".to_owned(), module("Header").into());
        files.insert("index.html".to_owned(), json!("<div id=root></div>"));
        CodeMap::parse(&json!(files).to_string()).unwrap()
    }

    fn shows(context: &str, path: &str) -> bool {
        context.contains(&format!("```:{path}\n"))
    }

    #[test]
    fn a_project_within_the_budget_is_shown_in_full() {
        let code = project();
        assert_eq!(context(&code, "Hi", &[], u64::MAX), fenced(&code));
        assert_eq!(context(&CodeMap::default(), "Hi", &[], 10), "");
    }

    #[test]
    fn a_larger_project_shows_named_and_recent_files_and_lists_the_rest() {
        let code = project();
        let recent = ["src/part7.ts".to_owned(), "src/gone.ts".to_owned()];
        for message in
            ["Make the Header red", "Change src/components/header.tsx", "In `Header.tsx`, add a link"]
        {
            let context = context(&code, message, &recent, 6_000);
            assert!(tokens_at_most(&context) <= 6_200, "{}", tokens_at_most(&context));
            for path in ["src/components/Header.tsx", "src/part7.ts", "index.html"] {
                assert!(shows(&context, path), "{message}: {path}");
            }
            assert!(!shows(&context, "src/part39.ts"));
            assert!(context.contains("\n- src/part39.ts: part39, a, c\n"), "{context}");
        }
    }

    #[test]
    fn a_tiny_budget_gives_a_short_context() {
        let code = project();
        let context = context(&code, "src/part1.ts", &[], 100);
        assert!(tokens_at_most(&context) < 200 && context.contains("more"), "{context}");
    }

    #[test]
    fn exports_are_read_from_every_usual_form() {
        for (line, names) in [
            ("export default function App() {", vec!["App"]),
            ("export default () => 1", vec!["default"]),
            ("export const useStore = create()", vec!["useStore"]),
            ("export async function* load<T>() {}", vec!["load"]),
            ("export type Item = {}", vec!["Item"]),
            ("export type { Item } from './types'", vec!["Item"]),
            ("export * from './x'", vec![]),
            ("  export const inner = 1", vec![]),
        ] {
            assert_eq!(exports("a.ts", line), names, "{line}");
        }
        assert!(exports("a.css", "export const a = 1").is_empty());
    }
}
