//! Recognises the wording of placeholders.

/// Whether a comment is a placeholder. A comment that continues the one on the line above may begin with an ellipsis
/// without being a placeholder.
pub(super) fn is_placeholder(text: &str, continues: bool) -> bool {
    let text = undecorated(text);
    let core = core(text);
    let (leads, trails) = (leading_ellipsis(text), text.ends_with("...") || text.ends_with('…'));
    if core.is_empty() {
        return leads.is_some() && !continues;
    }
    let Some(after) = leads else { return is_kept_phrase(&core) };
    let is_sentence = core.contains(' ') || !core.is_ascii();
    if !after.starts_with([' ', '(', '[']) {
        return is_sentence && says_kept(&core);
    }
    let is_short = core.split(' ').count() <= 12;
    is_short && (says_kept(&core) || trails || !(continues || begins_clause(&core)))
}

/// Whether a line that is not a comment is a placeholder, in a language where code does not begin like this.
pub(super) fn is_bare_placeholder(line: &str) -> bool {
    matches!(line.trim(), "..." | "…") || is_kept_text(line)
}

/// The same in a language where text may begin like this, so that the words must say that code is unchanged.
pub(super) fn is_kept_text(line: &str) -> bool {
    let text = undecorated(line);
    let core = core(text);
    let is_code = text.contains([';', '=', '(', ')', '{', '}', '<', '>', ',', '"', '\'']);
    let is_marked = leading_ellipsis(text).is_some() || line.trim().starts_with(['(', '[']);
    let has_words = core.contains(' ') || !core.is_ascii();
    is_marked
        && has_words
        && !is_code
        && (is_kept_phrase(&core) || (leading_ellipsis(text).is_some() && says_kept(&core)))
}

/// Strips rules, stars and a pair of brackets.
fn undecorated(text: &str) -> &str {
    let text = text.trim().trim_matches(['*', '-', '=', '/', '#', '!', '~', ';', '%', ' ']);
    let pairs = [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>')];
    let inner = pairs.iter().find_map(|(open, close)| text.strip_prefix(*open)?.strip_suffix(*close));
    inner.unwrap_or(text).trim()
}

/// The text after a leading ellipsis.
fn leading_ellipsis(text: &str) -> Option<&str> {
    let after = text.strip_prefix("...").or_else(|| text.strip_prefix('…'))?;
    Some(after.trim_start_matches(['.', '…']))
}

/// Only the words, in lower case, separated by single spaces.
fn core(text: &str) -> String {
    let lower = text.to_lowercase().replace(['\'', '’'], "");
    let words = lower.split(|c: char| !c.is_alphanumeric() && !is_joined(c));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Vowel marks in scripts that write them as separate characters.
fn is_joined(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{97f}' | '\u{e31}'..='\u{e4e}')
}

/// Whether the text begins like the continuation of a sentence, so that it does not describe a gap.
fn begins_clause(core: &str) -> bool {
    const CLAUSE: [&str; 24] = [
        "and",
        "or",
        "but",
        "then",
        "so",
        "because",
        "unless",
        "otherwise",
        "which",
        "that",
        "if",
        "when",
        "until",
        "though",
        "except",
        "for",
        "with",
        "to",
        "in",
        "as",
        "while",
        "where",
        "is",
        "are",
    ];
    core.split(' ').next().is_some_and(|first| CLAUSE.contains(&first))
}

/// Whether words after an ellipsis say that something is unchanged.
fn says_kept(core: &str) -> bool {
    const KEPT: [&str; 24] = [
        "existing",
        "rest of",
        "the rest",
        "remaining",
        "unchanged",
        "same as",
        "the same",
        "as before",
        "previous",
        "keep",
        "omitted",
        "no change",
        "as is",
        "your code",
        "original",
        "other",
        "unverändert",
        "sin cambios",
        "inchangé",
        "sem alterações",
        "invariato",
        "без изменений",
        "не изменил",
        "bez zmian",
    ];
    KEPT.iter().any(|kept| has_words(core, kept)) || is_kept_elsewhere(core)
}

/// Whether the words say only that code is unchanged.
fn is_kept_phrase(core: &str) -> bool {
    is_kept_elsewhere(core) || is_kept_in_english(core)
}

/// Phrases in languages other than English, in short comments.
fn is_kept_elsewhere(core: &str) -> bool {
    const PHRASES: [&str; 46] = [
        "resto del código",
        "código existente",
        "código sin cambios",
        "resto do código",
        "código sem alterações",
        "reste du code",
        "code existant",
        "code inchangé",
        "rest des codes",
        "restlicher code",
        "übriger code",
        "bestehender code",
        "bisheriger code",
        "code bleibt",
        "resto del codice",
        "codice esistente",
        "остальной код",
        "остальная часть кода",
        "существующий код",
        "код без изменений",
        "решта коду",
        "існуючий код",
        "reszta kodu",
        "istniejący kod",
        "rest van de code",
        "bestaande code",
        "kodun geri kalanı",
        "mevcut kod",
        "phần còn lại của",
        "mã hiện có",
        "giữ nguyên code",
        "sisa kode",
        "kode yang ada",
        "बाकी कोड",
        "शेष कोड",
        "मौजूदा कोड",
        "باقي الكود",
        "بقية الكود",
        "الكود الحالي",
        "rest af koden",
        "resten av koden",
        "loput koodista",
        "zbytek kódu",
        "restul codului",
        "többi kód",
        "υπόλοιπος κώδικας",
    ];
    const EAST_ASIAN: [&str; 16] = [
        "其余代码",
        "其他代码",
        "现有代码",
        "原有代码",
        "剩余代码",
        "代码不变",
        "代码保持不变",
        "省略代码",
        "代码省略",
        "其餘程式碼",
        "現有程式碼",
        "残りのコード",
        "既存のコード",
        "コードは変更なし",
        "나머지 코드",
        "기존 코드",
    ];
    core.split(' ').count() <= 8
        && (PHRASES.iter().any(|phrase| has_words(core, phrase))
            || (core.chars().count() <= 24 && EAST_ASIAN.iter().any(|phrase| core.contains(phrase))))
}

fn has_words(core: &str, words: &str) -> bool {
    format!(" {core} ").contains(&format!(" {words} "))
}

/// Nouns with which placeholders refer to code.
const NOUNS: [&str; 50] = [
    "code",
    "file",
    "page",
    "component",
    "components",
    "content",
    "contents",
    "document",
    "html",
    "css",
    "style",
    "styles",
    "stylesheet",
    "function",
    "functions",
    "method",
    "methods",
    "implementation",
    "implementations",
    "class",
    "classes",
    "imports",
    "import",
    "markup",
    "script",
    "scripts",
    "body",
    "template",
    "app",
    "logic",
    "jsx",
    "config",
    "configuration",
    "module",
    "handlers",
    "handler",
    "routes",
    "props",
    "fields",
    "types",
    "tests",
    "test",
    "rules",
    "sections",
    "section",
    "schema",
    "program",
    "layout",
    "definitions",
    "dependencies",
];

/// Parses English with a small grammar: a subject, and a predicate that says it is unchanged.
fn is_kept_in_english(core: &str) -> bool {
    let words: Vec<&str> = core.split(' ').collect();
    if words.len() > 12 {
        return false;
    }
    let is_command = matches!(words.first(), Some(&("keep" | "leave")));
    let mut rest = Words(words.get(usize::from(is_command)..).unwrap_or_default());
    rest.skip_any(&["the", "all", "your", "my", "this", "all the", "our"]);
    let subject = rest.subject();
    rest.skip_any(&["here", "goes", "go", "code"]);
    let (predicate, is_over) = (rest.predicate(), rest.0.is_empty());
    is_over
        && match subject {
            Subject::Rest => true,
            Subject::Quantified => predicate || is_command,
            Subject::Noun => predicate && words.len() > 1,
            Subject::None => predicate && !is_command && is_alone(core),
        }
}

/// Phrases without a subject that say that code is unchanged.
fn is_alone(core: &str) -> bool {
    matches!(
        core,
        "unchanged"
            | "no changes"
            | "no change"
            | "no changes here"
            | "no changes needed"
            | "same as before"
            | "as before"
            | "same as above"
            | "stays the same"
            | "remains the same"
            | "remains unchanged"
            | "omitted"
            | "omitted for brevity"
            | "snip"
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// The rest of the code, or the existing code: enough without a predicate.
    Rest,
    /// Other, previous or remaining parts of the code.
    Quantified,
    /// A part of the code.
    Noun,
    None,
}

struct Words<'a>(&'a [&'a str]);

impl Words<'_> {
    fn take(&mut self, wanted: &[&str]) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if wanted.contains(first) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_any(&mut self, words: &[&str]) {
        while self.take(words) {}
    }

    fn nouns(&mut self) -> bool {
        let before = self.0.len();
        while self.take(&NOUNS) || (before > self.0.len() && self.take(&["and"])) {}
        before > self.0.len()
    }

    fn subject(&mut self) -> Subject {
        if self.take(&["rest"]) {
            if !self.take(&["of"]) {
                return if self.0.is_empty() { Subject::None } else { Subject::Rest };
            }
            self.skip_any(&["the", "your", "my", "this", "existing", "original"]);
            return if self.nouns() { Subject::Rest } else { Subject::None };
        }
        if self.take(&["everything"]) {
            self.skip_any(&["else"]);
            return Subject::Quantified;
        }
        if self.take(&["existing", "original", "previous", "remaining", "other"]) {
            let is_code = matches!(self.0.first(), Some(&("code" | "implementation" | "content" | "logic")));
            return match self.nouns() {
                true if is_code => Subject::Rest,
                true => Subject::Quantified,
                false => Subject::None,
            };
        }
        if self.nouns() { Subject::Noun } else { Subject::None }
    }

    /// A predicate that says it is unchanged. The words may occur in any number and order: "remains the same as
    /// before".
    fn predicate(&mut self) -> bool {
        let before = self.0.len();
        self.skip_any(&[
            "is",
            "are",
            "remain",
            "remains",
            "stay",
            "stays",
            "kept",
            "left",
            "exactly",
            "completely",
        ]);
        let start = self.0.len();
        self.skip_any(&[
            "unchanged",
            "the",
            "same",
            "as",
            "is",
            "was",
            "were",
            "before",
            "above",
            "it",
            "they",
            "intact",
            "identical",
            "omitted",
            "for",
            "brevity",
            "no",
            "change",
            "changes",
            "needed",
            "here",
            "snip",
        ]);
        before > self.0.len() && start > self.0.len()
    }
}
