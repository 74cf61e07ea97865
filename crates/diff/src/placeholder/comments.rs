//! Finds the comments of a file. The file's name determines the syntax.

/// A comment, or a bare line that may be a placeholder.
#[derive(Debug)]
pub(super) struct Comment {
    /// Its text without comment marks, lines joined by a space.
    pub(super) text: String,
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A comment alone on its lines.
    Whole,
    /// A comment that is the only content between two braces in a line.
    OnlyInBraces,
    /// A line that begins with an ellipsis or a bracket, in a language where code does not.
    Bare,
    /// The same in a language where lines of text may begin so.
    BareText,
}

/// How a language writes comments and strings.
#[derive(Clone, Copy)]
struct Syntax {
    line: &'static [&'static str],
    block: &'static [(&'static str, &'static str)],
    /// The delimiters of multi-line strings.
    strings: &'static [&'static str],
    bare: Option<Place>,
}

const C_BLOCK: (&str, &str) = ("/*", "*/");
const HTML_BLOCK: (&str, &str) = ("<!--", "-->");

const SCRIPT: Syntax = Syntax { line: &["//"], block: &[C_BLOCK], strings: &["`"], bare: Some(Place::Bare) };
const JSX: Syntax = Syntax { bare: Some(Place::BareText), block: &[C_BLOCK, HTML_BLOCK], ..SCRIPT };
const C: Syntax = Syntax { strings: &["\"\"\""], ..SCRIPT };
const CSS: Syntax = Syntax { strings: &[], ..SCRIPT };
const PAGE: Syntax =
    Syntax { line: &["//"], block: &[HTML_BLOCK, C_BLOCK], strings: &[], bare: Some(Place::BareText) };
const HASH: Syntax = Syntax { line: &["#"], block: &[], strings: &[], bare: Some(Place::Bare) };
const PYTHON: Syntax = Syntax { strings: &["\"\"\"", "'''"], bare: Some(Place::BareText), ..HASH };
const YAML: Syntax = Syntax { bare: Some(Place::BareText), ..HASH };
const DASHES: Syntax =
    Syntax { line: &["--"], block: &[C_BLOCK, ("{-", "-}")], strings: &[], bare: Some(Place::Bare) };
const LISP: Syntax = Syntax { line: &[";"], ..HASH };
const TEX: Syntax = Syntax { line: &["%"], bare: Some(Place::BareText), ..HASH };
const PHP: Syntax = Syntax { line: &["//", "#"], block: &[C_BLOCK, HTML_BLOCK], strings: &[], ..PAGE };
const PROSE: Syntax = Syntax { line: &[], block: &[HTML_BLOCK], strings: &["```", "~~~"], bare: None };
const TEXT: Syntax = Syntax { line: &[], block: &[], strings: &[], bare: None };
const ANY: Syntax = Syntax {
    line: &["//", "#", "--", ";", "%"],
    block: &[C_BLOCK, HTML_BLOCK],
    strings: &[],
    bare: Some(Place::BareText),
};

fn syntax_of(path: &str) -> Syntax {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    match extension.as_str() {
        "js" | "mjs" | "cjs" | "ts" | "mts" | "cts" => SCRIPT,
        "jsx" | "tsx" => JSX,
        "json" | "jsonc" | "json5" | "css" | "scss" | "sass" | "less" | "styl" => CSS,
        "c" | "h" | "cc" | "cpp" | "hpp" | "cs" | "java" | "kt" | "kts" | "swift" | "scala" | "dart"
        | "sol" | "rs" | "zig" | "proto" | "glsl" | "wgsl" | "groovy" | "gradle" | "prisma" | "m" | "v" => C,
        "go" => SCRIPT,
        "html" | "htm" | "vue" | "svelte" | "astro" | "xml" | "svg" | "ejs" | "hbs" => PAGE,
        "php" => PHP,
        "py" | "pyi" => PYTHON,
        "yml" | "yaml" => YAML,
        "rb" | "sh" | "bash" | "zsh" | "fish" | "toml" | "r" | "pl" | "ex" | "exs" | "conf" | "env"
        | "properties" | "ini" | "tf" | "nix" | "jl" | "ps1" | "cmake" | "mk" | "graphql" | "gql" => HASH,
        "sql" | "lua" | "hs" | "elm" | "ada" => DASHES,
        "clj" | "cljs" | "lisp" | "el" | "scm" => LISP,
        "tex" | "erl" => TEX,
        "md" | "markdown" | "mdx" | "rst" | "adoc" => PROSE,
        "txt" | "csv" | "tsv" | "log" => TEXT,
        _ => ANY,
    }
}

/// The comments of a file, with one pass over it.
pub(super) fn comments(path: &str, content: &str) -> Vec<Comment> {
    let syntax = syntax_of(path);
    let mut reader =
        Reader { syntax, rest: content, line: 0, is_line_start: true, before: ' ', missing: Vec::new() };
    let mut comments = Vec::new();
    while !reader.rest.is_empty() {
        comments.extend(reader.step());
    }
    comments
}

struct Reader<'a> {
    syntax: Syntax,
    rest: &'a str,
    line: usize,
    /// The line has only blanks so far.
    is_line_start: bool,
    /// The last non-blank character of code on this line.
    before: char,
    /// Closing marks that do not occur any more. Without this, each of a thousand `/*` would search to the end.
    missing: Vec<&'static str>,
}

impl Reader<'_> {
    /// Reads one token; returns it if it is a comment.
    fn step(&mut self) -> Option<Comment> {
        if self.pass_words() {
            return None;
        }
        if self.is_line_start
            && let Some(comment) = self.line_comment().or_else(|| self.bare_line())
        {
            return Some(comment);
        }
        for (open, close) in self.syntax.block {
            if let Some((text, after)) = self.enclosed(open, close) {
                return self.block_comment(&text, after);
            }
        }
        for mark in self.syntax.strings {
            if let Some((_, after)) = self.enclosed(mark, mark) {
                self.is_line_start = false;
                self.before = '"';
                self.advance(after);
                return None;
            }
        }
        let c = self.rest.chars().next()?;
        if matches!(c, '"' | '\'') && self.has_strings() {
            self.skip_string(c);
        } else if !self.is_line_start
            && self.syntax.line.iter().any(|mark| *mark != "#" && *mark != "%" && self.rest.starts_with(mark))
        {
            // The rest of the line is a comment next to code, or text; neither counts.
            self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else {
            self.pass(c);
        }
        None
    }

    fn has_strings(&self) -> bool {
        !matches!(self.syntax.bare, None | Some(Place::BareText)) || !self.syntax.strings.is_empty()
    }

    /// Passes letters, digits and spaces, with which no mark begins.
    fn pass_words(&mut self) -> bool {
        let begins_none = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b' ';
        let length = self.rest.bytes().take_while(begins_none).count();
        let Some((words, rest)) = self.rest.split_at_checked(length) else { return false };
        if let Some(last) = words.trim_end_matches(' ').chars().next_back() {
            (self.before, self.is_line_start) = (last, false);
        }
        self.rest = rest;
        length > 0
    }

    fn pass(&mut self, c: char) {
        if c == '\n' {
            self.is_line_start = true;
            self.before = ' ';
        } else if !c.is_whitespace() {
            self.is_line_start = self.is_line_start && c == '{';
            self.before = c;
        }
        self.advance(c.len_utf8());
    }

    /// Moves on, counting lines.
    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }

    /// Skips a string, which ends at the end of its line at the latest.
    fn skip_string(&mut self, quote: char) {
        self.is_line_start = false;
        self.before = quote;
        let mut is_escaped = true;
        let end = self.rest.find(|c| {
            let ends = c == '\n' || (c == quote && !is_escaped);
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let end = end.unwrap_or(self.rest.len());
        let closes = self.rest.get(end..).is_some_and(|rest| rest.starts_with(quote));
        self.advance(end + usize::from(closes));
    }

    fn line_end(&self) -> usize {
        self.rest.find('\n').unwrap_or(self.rest.len())
    }

    fn line_comment(&mut self) -> Option<Comment> {
        // Searches for the end of the line only if a comment begins here, because a line may begin with a thousand
        // braces.
        let rest = self.syntax.line.iter().find_map(|mark| self.rest.strip_prefix(mark))?;
        let text = rest.split('\n').next().unwrap_or(rest).to_owned();
        let comment = Comment { text, first: self.line, last: self.line, place: Place::Whole };
        self.advance(self.line_end());
        Some(comment)
    }

    /// A line that begins with an ellipsis, alone or in brackets. The reader does not advance, so the line is also read
    /// as code.
    fn bare_line(&mut self) -> Option<Comment> {
        let place = self.syntax.bare?;
        let is_candidate = self.rest.starts_with("...") || self.rest.starts_with(['…', '[', '(']);
        if !is_candidate || self.before != ' ' {
            return None;
        }
        let line = self.rest.get(..self.line_end())?.trim_end();
        let text = line.to_owned();
        self.is_line_start = false;
        Some(Comment { text, first: self.line, last: self.line, place })
    }

    /// The text between these marks, if they begin here, and its length in bytes including the marks.
    fn enclosed(&mut self, open: &'static str, close: &'static str) -> Option<(String, usize)> {
        let inner = self.rest.strip_prefix(open)?;
        if self.missing.contains(&close) {
            return None;
        }
        let end = match open {
            "`" => unescaped(inner, '`'),
            _ => inner.find(close),
        };
        let Some(end) = end else {
            self.missing.push(close);
            return None;
        };
        Some((inner.get(..end)?.to_owned(), open.len() + end + close.len()))
    }

    fn block_comment(&mut self, text: &str, bytes: usize) -> Option<Comment> {
        let (first, starts_line, before) = (self.line, self.is_line_start, self.before);
        self.advance(bytes);
        let after = self.rest.trim_start_matches([' ', '\t', '\r']);
        let ends_line = |text: &str| text.is_empty() || text.starts_with('\n');
        let behind_brace = after.strip_prefix('}').map(|text| text.trim_start_matches([' ', '\t', '\r']));
        let place = match behind_brace {
            None if starts_line && ends_line(after) => Place::Whole,
            Some(behind) if starts_line && ends_line(behind) => Place::Whole,
            Some(_) if before == '{' => Place::OnlyInBraces,
            _ => return None,
        };
        // A documentation comment with several lines of text is not a placeholder.
        let lines: Vec<&str> = text.lines().map(|line| line.trim().trim_start_matches('*').trim()).collect();
        let content: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        match *content.as_slice() {
            [line] => Some(Comment { text: line.to_owned(), first, last: self.line, place }),
            _ => None,
        }
    }
}

fn unescaped(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    text.find(|c| {
        let ends = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    })
}
