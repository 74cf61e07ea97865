//! What of a Next.js application runs in the browser, and says so: a component of the App Router is the server's until its
//! file, or one that leads to it, begins with `'use client'`. Next.js fails the build over each of these, and it is what
//! models forget most: <https://nextjs.org/docs/app/building-your-application/rendering/client-components>.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    MAX_OF_A_FILE, Problem,
    imports::{Import, imports},
    may_hold_jsx,
    resolve::Resolver,
    tokens::{Token, Tokens},
};

/// What modules have for the browser alone; the list is that of Next.js' compiler, and its hooks of the router.
const OF_THE_BROWSER: &[(&str, &[&str])] = &[
    (
        "react",
        &[
            "Component",
            "PureComponent",
            "createContext",
            "useActionState",
            "useContext",
            "useDeferredValue",
            "useEffect",
            "useImperativeHandle",
            "useInsertionEffect",
            "useLayoutEffect",
            "useOptimistic",
            "useReducer",
            "useRef",
            "useState",
            "useSyncExternalStore",
            "useTransition",
        ],
    ),
    ("react-dom", &["flushSync", "unstable_batchedUpdates", "useFormState", "useFormStatus"]),
    (
        "next/navigation",
        &[
            "useParams",
            "usePathname",
            "useRouter",
            "useSearchParams",
            "useSelectedLayoutSegment",
            "useSelectedLayoutSegments",
        ],
    ),
];
/// Files of the App Router where the server begins.
const OF_THE_SERVER: [&str; 6] = ["page", "layout", "template", "loading", "not-found", "default"];
/// Those that React can only show in the browser.
const BOUNDARIES: [&str; 2] = ["error", "global-error"];

/// A module, as far as this goes.
struct Module<'a> {
    is_client: bool,
    imports: Vec<Import<'a>>,
    /// Names of the browser's, with their lines.
    uses: Vec<(&'a str, u32)>,
    /// The lines on which the server is told what only it reads.
    metadata: Vec<u32>,
}

/// What is wrong with the files of App Routers.
pub(super) fn problems(files: &BTreeMap<String, String>, resolver: &Resolver<'_>) -> Vec<Problem> {
    let routes: Vec<(&str, &str)> = files
        .keys()
        .filter_map(|path| Some((path.as_str(), route_file(path)?)))
        .filter(|(path, _)| resolver.depends_on(path, "next"))
        .collect();
    let of = |names: &'static [&str]| {
        routes.iter().filter(|(_, name)| names.contains(name)).map(|(path, _)| *path)
    };
    let mut problems: Vec<Problem> = of(&BOUNDARIES)
        .filter(|path| module(files, path).is_some_and(|module| !module.is_client))
        .map(|path| Problem::new(path, Some(1), "is shown by the browser: begin the file with 'use client'"))
        .collect();
    let mut waiting: Vec<&str> = of(&OF_THE_SERVER).collect();
    let mut seen: BTreeSet<&str> = waiting.iter().copied().collect();
    while let Some(path) = waiting.pop() {
        let Some(module) = module(files, path) else { continue };
        if module.is_client {
            problems.extend(module.metadata.iter().map(|line| misplaced_metadata(path, *line)));
            continue;
        }
        problems.extend(
            module.uses.iter().take(MAX_OF_A_FILE).map(|(name, line)| of_the_browser(path, name, *line)),
        );
        let values = module.imports.iter().filter(|import| !import.is_type);
        let targets = values.filter_map(|import| resolver.target(path, import.specifier));
        waiting.extend(targets.filter(|target| seen.insert(target)));
    }
    problems
}

/// The name, without ending, of a file to which the App Router gives a meaning.
fn route_file(path: &str) -> Option<&str> {
    let (directory, file) = path.rsplit_once('/')?;
    let is_route = directory.split('/').any(|part| part == "app");
    let (name, ending) = file.rsplit_once('.')?;
    (is_route && matches!(ending, "tsx" | "jsx" | "js" | "ts")).then_some(name)
}

fn module<'a>(files: &'a BTreeMap<String, String>, path: &str) -> Option<Module<'a>> {
    let (text, jsx) = (files.get(path)?, may_hold_jsx(path)?);
    let tokens = Tokens::of(text, jsx).unwrap_or_default().list;
    let mut directives = tokens
        .iter()
        .map(|(token, _)| token)
        .take_while(|token| matches!(token, Token::Text(_) | Token::Mark(';')));
    let is_client = directives.any(|token| *token == Token::Text("use client"));
    let imports = imports(text, jsx);
    let members = tokens.windows(3).filter_map(member);
    let uses = imports.iter().filter_map(taken).chain(members).collect();
    Some(Module { is_client, imports, uses, metadata: tokens.windows(4).filter_map(metadata).collect() })
}

fn of_the_browser_in(module: &str) -> &'static [&'static str] {
    OF_THE_BROWSER.iter().find(|(name, _)| *name == module).map_or(&[], |(_, names)| *names)
}

/// A name of the browser's that an import takes.
fn taken<'a>(import: &Import<'a>) -> Option<(&'a str, u32)> {
    let names = of_the_browser_in(import.specifier);
    let name = import.names.iter().find(|name| !import.is_type && names.contains(*name))?;
    Some((name, import.line))
}

/// One as `React.useState`.
fn member<'a>(tokens: &[(Token<'a>, u32)]) -> Option<(&'a str, u32)> {
    let [(Token::Word("React"), _), (Token::Mark('.'), _), (Token::Word(name), line)] = tokens else {
        return None;
    };
    of_the_browser_in("react").contains(name).then_some((*name, *line))
}

/// The line of `export const metadata` or `export async function generateMetadata`.
fn metadata(tokens: &[(Token<'_>, u32)]) -> Option<u32> {
    let [(Token::Word("export"), line), rest @ ..] = tokens else { return None };
    let mut words = rest.iter().map_while(|(token, _)| match token {
        Token::Word(word) => Some(*word),
        _ => None,
    });
    words
        .find(|word| !matches!(*word, "async" | "const" | "function" | "let"))
        .filter(|name| matches!(*name, "metadata" | "generateMetadata"))
        .map(|_| *line)
}

fn misplaced_metadata(path: &str, line: u32) -> Problem {
    let message = "exports metadata, which only the server reads, from a file that begins with 'use client': keep this \
        file the server's, and move what runs in the browser into a component of its own";
    Problem::new(path, Some(line), message)
}

fn of_the_browser(path: &str, name: &str, line: u32) -> Problem {
    let message = format!(
        "uses `{name}`, which runs in the browser, in a component of the server's: begin the file with 'use client', or \
        move that part into a file that does"
    );
    Problem::new(path, Some(line), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOOK: &str =
        "import { useState } from 'react'\nexport default function A() { return <p>{useState(0)}</p> }";

    fn told(files: &[(&str, &str)]) -> Vec<String> {
        let package = r#"{"dependencies":{"next":"14.2.0"}}"#;
        let paths = r#"{"compilerOptions":{"paths":{"@/*":["./*"]}}}"#;
        let files: BTreeMap<String, String> = [("package.json", package), ("tsconfig.json", paths)]
            .iter()
            .chain(files)
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        problems(&files, &Resolver::new(&files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_hook_on_the_server_is_told_where_it_is_imported() {
        for files in [
            vec![("app/page.tsx", HOOK)],
            vec![("src/app/(shop)/[id]/page.tsx", HOOK)],
            vec![(
                "app/page.tsx",
                "import * as React from 'react'; export default () => <p>{React.useRef(0)}</p>",
            )],
            vec![("app/layout.jsx", "import { usePathname as where } from 'next/navigation'")],
            vec![("app/page.tsx", "import A from '../components/a'"), ("components/a.tsx", HOOK)],
            vec![
                ("app/page.tsx", "import { A } from '@/components'"),
                ("components/index.ts", "export { A } from './a'"),
                ("components/a.tsx", HOOK),
            ],
        ] {
            let told = told(&files);
            assert_eq!(told.len(), 1, "{files:?}: {told:?}");
            assert!(told[0].contains(":1: uses `use") && told[0].contains("'use client'"), "{told:?}");
        }
    }

    #[test]
    fn what_says_that_it_is_the_browser_s_is_left_alone() {
        for files in [
            vec![("app/page.tsx", "/* a */ 'use client'\nimport { useState } from 'react'")],
            vec![("app/page.tsx", "\"use strict\"; \"use client\";import { useState } from 'react'")],
            vec![
                ("app/page.tsx", "import A from '@/components/a'"),
                ("components/a.tsx", "'use client'\nimport B from './b'"),
                ("components/b.tsx", HOOK),
            ],
            vec![("components/nobody-imports-it.tsx", HOOK)],
            vec![("app/page.tsx", "import type { A } from '../components/a'"), ("components/a.tsx", HOOK)],
            vec![(
                "app/page.tsx",
                "import { cache, type Component } from 'react'; import { redirect } from 'next/navigation'",
            )],
            vec![("pages/index.tsx", HOOK)],
        ] {
            assert_eq!(told(&files), Vec::<String>::new(), "{files:?}");
        }
    }

    #[test]
    fn an_application_without_next_has_no_server() {
        let files = BTreeMap::from([
            ("package.json".to_owned(), r#"{"dependencies":{"react":"18.3.1"}}"#.to_owned()),
            ("app/page.tsx".to_owned(), HOOK.to_owned()),
        ]);
        assert_eq!(problems(&files, &Resolver::new(&files)), []);
    }

    #[test]
    fn a_boundary_of_errors_is_the_browser_s() {
        let told =
            told(&[("app/error.tsx", "export default function E() {}"), ("app/a/error.tsx", "'use client'")]);
        assert_eq!(told, ["app/error.tsx:1: is shown by the browser: begin the file with 'use client'"]);
    }

    #[test]
    fn metadata_is_the_server_s() {
        for text in ["export const metadata = {}", "export async function generateMetadata() {}"] {
            assert_eq!(told(&[("app/page.tsx", text)]), Vec::<String>::new());
            let told = told(&[("app/page.tsx", &format!("'use client'\n{text}"))]);
            assert!(told.len() == 1 && told[0].starts_with("app/page.tsx:2: exports metadata"), "{told:?}");
        }
        assert_eq!(
            told(&[("app/page.tsx", "'use client'\nexport const meta = 1; const metadata = 2")]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn modules_that_import_each_other_are_looked_at_once() {
        let told = told(&[
            ("app/page.tsx", "import '../a'"),
            ("a.tsx", "import './b'; import './app/page'"),
            ("b.tsx", &format!("import './a'\n{HOOK}")),
        ]);
        assert_eq!(told.len(), 1, "{told:?}");
    }
}
