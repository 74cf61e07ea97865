//! Finds a block's path: in the fence's info string, in the first line of the block, or in the line before it.

use super::fence::{is_blank, list_marker};
use super::language::{extension, is_known_extension};
use super::path::is_invisible;

/// A line longer than this, in bytes, is taken for prose.
const LONGEST_LABEL: usize = 500;

/// Names that look like files but are frameworks.
const FRAMEWORKS: [&str; 16] = [
    "Node.js",
    "Next.js",
    "Vue.js",
    "React.js",
    "Express.js",
    "Three.js",
    "Nuxt.js",
    "D3.js",
    "Chart.js",
    "Alpine.js",
    "Ember.js",
    "Nest.js",
    "Discord.js",
    "Angular.js",
    "Backbone.js",
    "Moment.js",
];

/// Files without an extension, in lower case.
const BARE_NAMES: [&str; 14] = [
    "dockerfile",
    "makefile",
    "procfile",
    "gemfile",
    "rakefile",
    "caddyfile",
    "jenkinsfile",
    "vagrantfile",
    "license",
    "readme",
    "cname",
    "_redirects",
    "_headers",
    "codeowners",
];

/// How certain it is that a path belongs to the block, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// A sentence ends in it, or a heading mentions it: "Here is `index.html`:".
    Mentioned,
    /// A line holds nothing else: `**src/App.tsx**`, `### 1. src/App.tsx (new)`.
    Titled,
    /// Explicitly given as the path: `File: src/App.tsx`, `title="…"`, `tsx:src/App.tsx`.
    Stated,
}

/// A path as written, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub path: String,
    pub strength: Strength,
}

impl Label {
    /// Whether it refers to the file at this path: `// index.js` in `server/index.js` does.
    pub(super) fn names(&self, path: &str) -> bool {
        path.strip_suffix(self.path.as_str()).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
    }
}

/// A parsed info string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Info {
    /// As written, without decoration; empty if there is none.
    pub language: String,
    /// The path as written, not yet checked.
    pub path: Option<String>,
    /// `12:45:src/App.tsx` quotes lines of a file and is not a file.
    pub is_excerpt: bool,
}

impl Info {
    /// Reads `tsx:src/App.tsx`, `tsx src/App.tsx`, `tsx title="src/App.tsx"`, `src/App.tsx`, `tsx [src/App.tsx]` and
    /// `tsx // src/App.tsx`.
    pub(super) fn parse(info: &str) -> Self {
        let info: String = info.chars().filter(|c| !is_invisible(*c)).collect();
        let info = info.trim();
        let (head, rest) = info.split_once(char::is_whitespace).unwrap_or((info, ""));
        let (language, glued) = head.split_once(':').unwrap_or((head, ""));
        let stated = attribute(info, is_path_key).filter(|path| !path.is_empty()).or_else(|| {
            attribute(info, |key| matches!(key, "title" | "name")).filter(|title| may_be_path(title))
        });
        let is_excerpt =
            !glued.is_empty() && !language.is_empty() && language.bytes().all(|b| b.is_ascii_digit());
        if let Some(path) = stated {
            return Self { language: bare_language(language), path: Some(path.to_owned()), is_excerpt };
        }
        if !glued.is_empty() {
            let path = glued_path(glued, info.split_once(':').map_or(glued, |(_, path)| path));
            return Self { language: bare_language(language), path: Some(path.to_owned()), is_excerpt };
        }
        if looks_like_file(head) || head.starts_with(['/', '.']) {
            return Self { path: Some(head.to_owned()), ..Self::default() };
        }
        Self { language: bare_language(language), path: spaced_path(rest), is_excerpt }
    }
}

/// The value of the first attribute of a tag or an info string whose key, in lower case and without `_` and `-`, is wanted.
pub(super) fn attribute(text: &str, is_wanted: impl Fn(&str) -> bool) -> Option<&str> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        let key = before
            .rsplit(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.')))
            .next()
            .unwrap_or_default();
        let (value, next) = attribute_value(after);
        if is_wanted(&key.to_ascii_lowercase().replace(['_', '-'], "")) {
            return Some(value);
        }
        rest = next;
    }
    None
}

/// Whether an attribute with this key, as [`attribute`] gives it, is always a path.
pub(super) fn is_path_key(key: &str) -> bool {
    matches!(key, "path" | "file" | "filename" | "filepath")
}

/// Reads the line before a block, or the heading above it.
pub(super) fn before_block(line: &str) -> Option<Label> {
    let line = line.trim_matches(is_blank);
    if line.len() > LONGEST_LABEL || line.starts_with('|') {
        return None;
    }
    find(line, is_heading(line))
}

/// Reads the first line of a block, if it is a comment that holds nothing but the path. In Markdown `# x` is a heading.
pub(super) fn in_comment(line: &str, is_markdown: bool) -> Option<Label> {
    let line = line.trim_matches(is_blank);
    if line.len() > LONGEST_LABEL {
        return None;
    }
    let spaced = |mark: &str| line.strip_prefix(mark).filter(|text| text.starts_with(char::is_whitespace));
    let enclosed = |start: &str, end: &str| line.strip_prefix(start).and_then(|text| text.strip_suffix(end));
    let text = enclosed("<!--", "-->")
        .or_else(|| enclosed("{/*", "*/}"))
        .or_else(|| enclosed("/*", "*/"))
        .or_else(|| line.strip_prefix("//"))
        .or_else(|| spaced("#").filter(|_| !is_markdown))
        .or_else(|| spaced("--"))
        .or_else(|| spaced(";"))
        .or_else(|| spaced("%"))?;
    find(text.trim(), false).filter(|label| label.strength > Strength::Mentioned)
}

/// Whether a line is a heading of Markdown.
pub(super) fn is_heading(line: &str) -> bool {
    let line = line.trim_start_matches(is_blank);
    let after = line.trim_start_matches('#');
    (1..=6).contains(&(line.len() - after.len())) && after.starts_with([' ', '\t'])
}

/// Whether a word looks like a file's name or path.
pub(super) fn looks_like_file(word: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || "<>\"'`|?*=,;!{}".contains(c);
    if word.contains(forbidden) || word.contains("://") || word.ends_with("()") || FRAMEWORKS.contains(&word)
    {
        return false;
    }
    let Some(name) = word.rsplit(['/', '\\']).next() else { return false };
    let is_dot_file =
        name.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    let has_folder = name.len() < word.len();
    is_dot_file
        || BARE_NAMES.contains(&name.to_ascii_lowercase().as_str())
        || extension(name).is_some_and(|extension| has_folder || is_known_extension(&extension))
}

/// Whether a title is a path, possibly a refused one, and not a phrase.
pub(super) fn may_be_path(title: &str) -> bool {
    looks_like_file(title) || (title.contains(['/', '\\']) && !title.contains(char::is_whitespace))
}

/// Finds the path in a line and how certain it is that it belongs to the block.
fn find(line: &str, is_heading: bool) -> Option<Label> {
    let line = list_marker(line).map_or(line, |(_, item)| item);
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut is_labelled = false;
    let mut is_path_label = false;
    let mut words_before = 0;
    for (at, written) in words.iter().enumerate() {
        let word = undecorated(written);
        let (label, value) = word.split_once(':').unwrap_or(("", word));
        is_path_label |= [label, word].iter().any(|word| word.eq_ignore_ascii_case("path"));
        let is_label = is_file_label(label) && !value.starts_with("//");
        if is_labelled || (is_label && !value.is_empty()) {
            let value = if is_label { undecorated(value) } else { word };
            let rest = words.iter().skip(at + 1).copied();
            // "Path: /api/users" is a route, where "File: /etc/passwd" is a file that we refuse.
            let is_route = is_path_label && !looks_like_file(value);
            return stated(value, rest)
                .filter(|_| !is_route)
                .map(|path| Label { path, strength: Strength::Stated });
        }
        if looks_like_file(word) {
            let after: Vec<&str> = words.iter().skip(at + 1).copied().collect();
            let strength = strength_at(written, words_before, &after, is_heading)?;
            return Some(Label { path: word.to_owned(), strength });
        }
        is_labelled = is_file_label(word) && written.trim_end_matches(['*', '_', '`']).ends_with(':');
        words_before += usize::from(is_word(word) && !is_labelled);
    }
    None
}

/// The path after `File:`: the first word if it is a file, the rest of the line if that is one (its name has spaces), the
/// only word whatever it is.
fn stated<'a>(first: &'a str, rest: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    if looks_like_file(first) || rest.clone().all(|word| !is_word(word)) {
        return (!first.is_empty()).then(|| first.to_owned());
    }
    let whole = std::iter::once(first).chain(rest).collect::<Vec<_>>().join(" ");
    let whole = undecorated(&whole);
    if extension(whole).is_some_and(|extension| is_known_extension(&extension)) {
        return Some(whole.to_owned());
    }
    first.contains(['/', '\\']).then(|| first.to_owned())
}

/// How certain it is that a path with this context belongs to the block; `None` if the line is about something else.
fn strength_at(written: &str, words_before: usize, after: &[&str], is_heading: bool) -> Option<Strength> {
    if after.iter().any(|word| looks_like_file(undecorated(word))) && words_before > 0 {
        return None;
    }
    let ends_in_colon = |word: &str| word.trim_end_matches(['*', '_', '`']).ends_with(':');
    let is_annotated =
        ends_in_colon(written) || after.first().is_none_or(|word| !word.starts_with(char::is_alphanumeric));
    if words_before == 0 && is_annotated {
        return Some(Strength::Titled);
    }
    let ends_the_line = after.iter().all(|word| !is_word(word) || undecorated(word) == "file");
    let is_marked = written.contains(['`', '*', '"']);
    let leads_on = ends_in_colon(after.last().unwrap_or(&written));
    (is_heading || (ends_the_line && (is_marked || leads_on))).then_some(Strength::Mentioned)
}

/// A word without the marks of Markdown and of punctuation around it.
fn undecorated(word: &str) -> &str {
    let word = word.trim_matches(|c| is_blank(c) || matches!(c, '*' | '`' | '"' | '\'' | '“' | '”' | ','));
    let word = word.trim_end_matches([':', ',', ';', '.', '!', '*', '`', '"', '\'']);
    let inner = word.strip_prefix('(').and_then(|word| word.strip_suffix(')'));
    inner.map_or(word, |inner| inner.trim_matches('`'))
}

/// Whether a word is a real word, not a number, a mark or a label's name.
fn is_word(word: &str) -> bool {
    let word = undecorated(word).trim_end_matches(['.', ')']);
    word.contains(char::is_alphabetic)
        && !is_file_label(word)
        && !matches!(word.to_ascii_lowercase().as_str(), "step" | "new" | "create" | "update" | "updated")
}

fn is_file_label(word: &str) -> bool {
    matches!(
        word.to_ascii_lowercase().as_str(),
        "file" | "filename" | "filepath" | "path" | "file-name" | "file_name" | "file_path"
    )
}

/// The path of `tsx:path` and what follows it: its first word, or all of it if only that is a file.
fn glued_path<'a>(first: &'a str, whole: &'a str) -> &'a str {
    let whole = whole.trim();
    if extension(first).is_none() && extension(whole).is_some() { whole } else { first }
}

/// The path among the words after the language: one that looks like a file, or a lone one with a separator.
fn spaced_path(rest: &str) -> Option<String> {
    let mut words = rest
        .split_whitespace()
        .filter(|word| !matches!(*word, "//" | "#") && !word.contains('='))
        .map(|word| {
            let word = word
                .strip_prefix('[')
                .and_then(|inner| inner.strip_suffix(']'))
                .filter(|inner| looks_like_file(inner))
                .unwrap_or(word);
            let word = undecorated(word);
            word.split_once(':').filter(|(label, _)| is_file_label(label)).map_or(word, |(_, path)| path)
        });
    let first = words.next()?;
    let is_lone_path =
        first.contains(['/', '\\']) && !first.ends_with('/') && rest.split_whitespace().count() == 1;
    let path = if is_lone_path || looks_like_file(first) {
        Some(first)
    } else {
        words.find(|word| looks_like_file(word))
    };
    path.map(str::to_owned)
}

/// A language without what some renderers add: `{.python`, `language-tsx`, `tsx{1,3}`, `rust,no_run`.
fn bare_language(word: &str) -> String {
    let word = word.trim_start_matches(['{', '.']);
    let word = word.strip_prefix("language-").unwrap_or(word);
    let end = word.find(['{', '}', ',', '=', '(', '[']).unwrap_or(word.len());
    word.get(..end).unwrap_or_default().to_owned()
}

/// An attribute's value, quoted or not, and what follows it.
fn attribute_value(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '}' | '>' | ',')).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Strength::{Mentioned, Stated, Titled};

    fn info(text: &str) -> (String, Option<String>) {
        let info = Info::parse(text);
        (info.language, info.path)
    }

    #[test]
    fn an_info_string_names_a_language_and_a_path_in_every_usual_form() {
        for (text, language, path) in [
            ("tsx:src/App.tsx", "tsx", Some("src/App.tsx")),
            ("tsx src/App.tsx", "tsx", Some("src/App.tsx")),
            ("tsx title=\"src/App.tsx\"", "tsx", Some("src/App.tsx")),
            ("tsx {1,3} file='src/My App.tsx' x", "tsx", Some("src/My App.tsx")),
            ("tsx filename=src/App.tsx", "tsx", Some("src/App.tsx")),
            ("js path=\"a.js\"", "js", Some("a.js")),
            ("c++:src/main.cpp", "c++", Some("src/main.cpp")),
            ("c# Program.cs", "c#", Some("Program.cs")),
            ("objective-c", "objective-c", None),
            ("tsx:src/My File.tsx", "tsx", Some("src/My File.tsx")),
            ("tsx:src/App.tsx {1,2}", "tsx", Some("src/App.tsx")),
            ("text:LICENSE", "text", Some("LICENSE")),
            ("tsx // src/App.tsx", "tsx", Some("src/App.tsx")),
            ("ts [src/app.ts]", "ts", Some("src/app.ts")),
            ("tsx file:src/App.tsx", "tsx", Some("src/App.tsx")),
            ("file:src/App.tsx", "file", Some("src/App.tsx")),
            ("src/App.tsx", "", Some("src/App.tsx")),
            ("index.html", "", Some("index.html")),
            ("js /etc/passwd", "js", Some("/etc/passwd")),
            ("js C:\\x.js", "js", Some("C:\\x.js")),
            ("tsx title=\"My counter\"", "tsx", None),
            ("tsx showLineNumbers {1,3}", "tsx", None),
            ("js /useState/", "js", None),
            ("{.python file=\"a.py\"}", "python", Some("a.py")),
            ("tsx:\u{200b}src/App.tsx", "tsx", Some("src/App.tsx")),
            ("tsx:", "tsx", None),
            ("", "", None),
        ] {
            assert_eq!(info(text), (language.to_owned(), path.map(str::to_owned)), "{text}");
        }
        assert!(Info::parse("12:45:src/App.tsx").is_excerpt);
    }

    #[test]
    fn the_line_before_names_a_path_in_every_usual_form() {
        for (line, path, strength) in [
            ("### src/App.tsx", "src/App.tsx", Titled),
            ("### 1. `src/App.tsx`", "src/App.tsx", Titled),
            ("**src/App.tsx**", "src/App.tsx", Titled),
            ("**src/App.tsx:**", "src/App.tsx", Titled),
            ("**`src/App.tsx`** (new)", "src/App.tsx", Titled),
            ("`src/App.tsx` — the main component", "src/App.tsx", Titled),
            ("2. **index.html**:", "index.html", Titled),
            ("- `index.html`: the page", "index.html", Titled),
            ("📄 src/App.tsx", "src/App.tsx", Titled),
            ("src/App.tsx", "src/App.tsx", Titled),
            ("__init__.py", "__init__.py", Titled),
            ("**.env.example**", ".env.example", Titled),
            ("**File: src/App.tsx**", "src/App.tsx", Stated),
            ("**File:** `src/App.tsx`", "src/App.tsx", Stated),
            ("FILE: src/App.tsx", "src/App.tsx", Stated),
            ("FILE:src/App.tsx", "src/App.tsx", Stated),
            ("File path: src/App.tsx", "src/App.tsx", Stated),
            ("path: Makefile", "Makefile", Stated),
            ("File: src/My App.tsx", "src/My App.tsx", Stated),
            ("#### File: /etc/passwd", "/etc/passwd", Stated),
            ("--- FILE: a.js ---", "a.js", Stated),
            ("Here is `index.html`:", "index.html", Mentioned),
            ("And the `index.html` file:", "index.html", Mentioned),
            ("Create src/App.tsx:", "src/App.tsx", Titled),
            ("Here is src/App.tsx:", "src/App.tsx", Mentioned),
            ("## The src/App.tsx component", "src/App.tsx", Mentioned),
        ] {
            assert_eq!(before_block(line), Some(Label { path: path.to_owned(), strength }), "{line}");
        }
    }

    #[test]
    fn prose_about_files_is_not_a_label() {
        for line in [
            "In `src/App.tsx`, change this line:",
            "`src/App.tsx` imports the store, so:",
            "It uses `a.ts` and `b.ts`:",
            "## Node.js",
            "Built with Next.js",
            "Use `console.log`:",
            "See https://example.com/a.js",
            "| `a.ts` | the store |",
            "Here is the code:",
            "",
        ] {
            assert_eq!(before_block(line), None, "{line}");
        }
    }

    #[test]
    fn a_comment_names_the_path_if_it_contains_nothing_else() {
        for (line, path) in [
            ("// File: src/App.tsx", "src/App.tsx"),
            ("//src/App.tsx", "src/App.tsx"),
            ("// filename: x.ts", "x.ts"),
            ("# File: app.py", "app.py"),
            ("# .env.local", ".env.local"),
            ("/* styles.css */", "styles.css"),
            ("<!-- File: index.html -->", "index.html"),
            ("{/* File: src/App.tsx */}", "src/App.tsx"),
            ("-- schema.sql", "schema.sql"),
            ("// src/App.tsx (updated)", "src/App.tsx"),
        ] {
            assert_eq!(in_comment(line, false).map(|label| label.path).as_deref(), Some(path), "{line}");
        }
        for line in [
            "// see src/App.tsx",
            "#!/usr/bin/env node",
            "#include \"a.h\"",
            "// @ts-check",
            "import a from './a.ts'",
            "// Node.js",
        ] {
            assert_eq!(in_comment(line, false), None, "{line}");
        }
        assert_eq!(in_comment("# README.md", true), None);
    }
}
