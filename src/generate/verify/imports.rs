//! What a JavaScript or TypeScript file imports: a scanner that knows comments, strings, templates, regular expressions and
//! JSX well enough never to take text for code. That a file parses at all is checked elsewhere.

use super::tokens::{Token, Tokens};

/// One import, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import<'a> {
    pub(super) specifier: &'a str,
    /// Counted from 1.
    pub(super) line: u32,
    /// Gone when the program runs: `import type`, `export type`.
    pub(super) is_type: bool,
    /// What it takes by name, as its module calls it: `{ a, b as c }` has `a` and `b`. No types.
    pub(super) names: Vec<&'a str>,
}

/// Every import of the file: `import`, `export … from`, `import(…)`, `require(…)`. `jsx` for a file that may hold it.
///
/// JSX that never ends is none: a `<T>` of a type's was taken for it, and the file is read again without.
pub(super) fn imports(source: &str, jsx: bool) -> Vec<Import<'_>> {
    let tokens = Tokens::of(source, jsx).or_else(|| Tokens::of(source, false)).unwrap_or_default();
    let found =
        (0..tokens.list.len()).filter_map(|at| import(tokens.list.get(at.saturating_sub(1)..)?, at > 0));
    found.collect()
}

/// The import that begins at the second of `tokens` (the first, where there is none before it).
fn import<'a>(tokens: &[(Token<'a>, u32)], has_before: bool) -> Option<Import<'a>> {
    let (before, rest) = match (has_before, tokens) {
        (true, [(before, _), rest @ ..]) => (Some(*before), rest),
        _ => (None, tokens),
    };
    // A property or a method of that name.
    if before == Some(Token::Mark('.')) || before == Some(Token::Word("function")) {
        return None;
    }
    let found = |specifier, line| Some(Import { specifier, line, is_type: false, names: Vec::new() });
    match rest {
        [
            (Token::Word("import" | "require"), _),
            (Token::Mark('('), _),
            (Token::Text(specifier), line),
            (Token::Mark(')' | ','), _),
            ..,
        ] => found(specifier, *line),
        [(Token::Word("import"), _), (Token::Text(specifier), line), ..] => found(specifier, *line),
        [(Token::Word(word @ ("import" | "export")), _), after @ ..] => {
            let is_type = matches!(after, [(Token::Word("type"), _), (next, _), ..] if !matches!(next, Token::Word("from") | Token::Mark(',')));
            let clause = if is_type { after.get(1..)? } else { after };
            let exports = matches!(clause, [(Token::Mark('{' | '*'), _), ..]);
            if *word == "export" && !exports {
                return None;
            }
            let (specifier, line) = from(clause)?;
            Some(Import { specifier, line, is_type, names: names(clause) })
        }
        _ => None,
    }
}

/// What follows `from`, after the names of an import or an export.
fn from<'a>(clause: &[(Token<'a>, u32)]) -> Option<(&'a str, u32)> {
    let mut tokens = clause.iter().map(|(token, line)| (*token, *line)).peekable();
    let mut closed = false;
    while let Some((token, _)) = tokens.next() {
        match (token, tokens.peek()) {
            (Token::Word("from"), Some((Token::Text(specifier), line))) => return Some((specifier, *line)),
            // An export of its own names, and what comes after it.
            (Token::Word(_), _) if closed => return None,
            (Token::Word("import" | "export"), _) => return None,
            (Token::Mark('}'), _) => closed = true,
            (Token::Word(_) | Token::Text(_) | Token::Mark('{' | ',' | '*'), _) => {}
            _ => return None,
        }
    }
    None
}

/// What a clause takes by name.
fn names<'a>(clause: &[(Token<'a>, u32)]) -> Vec<&'a str> {
    let inside =
        clause.iter().map(|(token, _)| *token).skip_while(|token| *token != Token::Mark('{')).skip(1);
    let inside: Vec<Token<'_>> = inside.take_while(|token| *token != Token::Mark('}')).collect();
    let name = |item: &[Token<'a>]| match item {
        [Token::Word(name)] | [Token::Word(name), Token::Word("as"), _] => Some(*name),
        _ => None,
    };
    inside.split(|token| *token == Token::Mark(',')).filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(source: &str) -> Vec<&str> {
        imports(source, true).into_iter().map(|import| import.specifier).collect()
    }

    #[test]
    fn every_form_of_import_is_found() {
        for (source, specifiers) in [
            ("import a from 'a'", vec!["a"]),
            ("import * as a from \"a\";import 'b'", vec!["a", "b"]),
            (
                "import a, { b as c, default as d } from 'x'\nimport {\n  e,\n  type F,\n} from './y'",
                vec!["x", "./y"],
            ),
            (
                "import type { A } from 'a'; import type B from 'b'; import type, { c } from 'c'; import type from 'd'",
                vec!["a", "b", "c", "d"],
            ),
            (
                "import { from } from 'a'; import from from 'b'; import { 'a-b' as c } from 'c'",
                vec!["a", "b", "c"],
            ),
            (
                "export * from 'a'; export * as b from 'b'; export { c } from 'c'; export type { D } from 'd'",
                vec!["a", "b", "c", "d"],
            ),
            ("export { a }\nimport b from 'b'", vec!["b"]),
            ("export { a };\nconst from = 'x'", vec![]),
            ("const a = await import('a'); import(`b`); lazy(() => import('./c'))", vec!["a", "b", "./c"]),
            ("import(/* webpackChunkName: 'x' */ 'a')", vec!["a"]),
            ("import a from 'a' with { type: 'json' }", vec!["a"]),
            (
                "const a = require('a'); import b = require(\"b\"); type C = import('c').C",
                vec!["a", "b", "c"],
            ),
            ("import(`./${name}`); import(name); import.meta.url; x.import('a'); x.require('b')", vec![]),
            ("const x = { import: 'a', from: 'b' }; function require(x) {}", vec![]),
            ("export const a = 'a'; export default function from() { return 'b' }", vec![]),
        ] {
            assert_eq!(read(source), specifiers, "{source}");
        }
    }

    #[test]
    fn what_only_looks_like_an_import_is_none() {
        for source in [
            "// import a from 'a'\n/* import b from 'b'\n require('c') */",
            "const a = \"import b from 'b'\"; const c = 'require(\"c\")'",
            "const a = `import b from 'b'; ${x + `require('c')`} import('d')`",
            "const a = /import 'a'; [/'\"] require('b')/g; const b = 1 / 2",
            "const a = () => <p>It's so: import a from 'a'; {b} don't require('c')</p>",
            "const a = (\n  <pre>\n    import a from 'a'\n  </pre>\n)",
            "const a = <A b='import(\"c\")' c=\"it's\" d={<B>require('x')</B>}>import('e')</A>",
            "const a = <><br/>import 'a' {/* it's */}</>",
        ] {
            assert_eq!(read(source), Vec::<&str>::new(), "{source}");
        }
    }

    #[test]
    fn jsx_and_types_do_not_hide_what_follows_them() {
        for source in [
            "const a = <p>It's {n} o'clock `</p>; import('end')",
            "const a = <T,>(x: T) => x; import('end')",
            "const a = <T extends object>(x: T) => x; import('end')",
            "type F = <T>(x: T) => T; import('end')",
            "const a = x < y && z > w; import('end')",
            "const a = f<string>(x); import('end')",
            "const a = <A.B c={{ d: '}' }} {...e} f-g='>'>{h ? <i/> : null}</A.B>; import('end')",
            "const a = x / 2; const b = 'it'; const c = d[0] / e; import('end')",
            "if (a) { b } /* ' */ import('end')",
            "return /['\"`]/.test(a) && import('end')",
            "const a = '\\'\\n'; const b = \"\\\"\"; import('end')",
            "const a = `a${{ b: `c` }}d`; import('end')",
            "const it = 'unfinished\nimport('end')",
            "#!/usr/bin/env node's\nimport('end')",
        ] {
            assert_eq!(read(source), ["end"], "{source}");
        }
    }

    #[test]
    fn an_import_knows_its_line_and_whether_it_is_of_a_type() {
        let found =
            imports("'use client';\n\nimport {\n a,\n} from 'a'; /*\n*/ import type { B } from 'b'", true);
        assert_eq!(
            found.iter().map(|import| (import.line, import.is_type)).collect::<Vec<_>>(),
            [(5, false), (6, true)]
        );
    }

    #[test]
    fn an_import_knows_what_it_takes_by_name() {
        for (source, names) in [
            ("import a, { b, c as d, type E, default as f } from 'a'", vec!["b", "c", "default"]),
            ("import type { B } from 'a'", vec!["B"]),
            ("export { a } from 'a'", vec!["a"]),
            ("import a from 'a'", vec![]),
            ("import * as a from 'a'", vec![]),
            ("import 'a'", vec![]),
        ] {
            assert_eq!(imports(source, true)[0].names, names, "{source}");
        }
    }

    /// A piece of code, and what it imports.
    fn piece() -> impl Strategy<Value = (String, Option<String>)> {
        let name = "[a-z./@-]{1,8}";
        prop_oneof![
            name.prop_map(|n| (format!("import {{ a, type B }} from '{n}'"), Some(n))),
            name.prop_map(|n| (format!("import \"{n}\""), Some(n))),
            name.prop_map(|n| (format!("export * from '{n}'"), Some(n))),
            name.prop_map(|n| (format!("const x = await import(`{n}`)"), Some(n))),
            "[a-z '\"`<>{}/]{0,12}".prop_map(|t| (format!("// {t} import 'no'"), None)),
            "[a-z '\"`<>{}]{0,12}".prop_map(|t| (format!("/* {t} import 'no' */"), None)),
            "[a-z \"`<>{}/]{0,12}".prop_map(|t| (format!("const s = '{t} import \\'no\\''"), None)),
            "[a-z '\"<>{}/]{0,12}"
                .prop_map(|t| (format!("const t = `{t} import 'no' ${{f('}}')}} ' `"), None)),
            "[a-z '\"`]{0,12}".prop_map(|t| (format!("const r = /{t}[/'] import 'no'/g"), None)),
            "[a-z '\"`;/.]{0,12}"
                .prop_map(|t| (format!("const j = <p a='b'>{t} import 'no' {{f('<')}} {t}</p>"), None)),
            Just(("const q = a / b / c".to_owned(), None)),
            Just(("function f(a: Array<string>) { return <br/> }".to_owned(), None)),
        ]
    }

    proptest! {
        #[test]
        fn only_the_imports_of_a_program_are_found(pieces in proptest::collection::vec(piece(), 0..12)) {
            let (source, wanted): (Vec<String>, Vec<Option<String>>) = pieces.into_iter().unzip();
            let source = source.join(";\n");
            let wanted: Vec<String> = wanted.into_iter().flatten().collect();
            prop_assert_eq!(read(&source), wanted);
        }

        #[test]
        fn any_text_can_be_scanned(source in "(\\PC|[\\\\'\"`<>{}()/\n$a]|import|from|<a>|</a>){0,120}", jsx: bool) {
            let lines = source.lines().count().max(1);
            for import in imports(&source, jsx) {
                prop_assert!(source.contains(import.specifier) && import.line as usize <= lines);
            }
        }
    }
}
