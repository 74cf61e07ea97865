//! What of a Next.js application runs in the browser, and says so: a
//! component of the App Router is the server's until its file, or one that
//! leads to it, begins with `'use client'`. Next.js fails the build over each
//! of these, and it is what models forget most:
//! <https://nextjs.org/docs/app/building-your-application/rendering/client-components>.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    MOST_OF_A_FILE,
    reading::{Import, Module},
};
use crate::diagnostic::Diagnostic;

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
/// Those that may have metadata; elsewhere it is a name as any other.
const OF_METADATA: [&str; 2] = ["page", "layout"];
/// What only the server reads of these.
const METADATA: [&str; 2] = ["metadata", "generateMetadata"];

/// What is wrong with the `modules` of App Routers, which are among those at `paths`. `leads_to` has the files that each
/// module imports.
pub(super) fn wrong(
    paths: Vec<&str>,
    modules: &BTreeMap<&str, Module<'_>>,
    leads_to: &BTreeMap<&str, Vec<&str>>,
) -> Vec<Diagnostic> {
    let routes: Vec<(&str, &str)> =
        paths.into_iter().filter_map(|path| Some((path, route_file(path)?))).collect();
    let of = |names: &'static [&str]| {
        routes.iter().filter(|(_, name)| names.contains(name)).map(|(path, _)| *path)
    };
    let clients = |path: &str| modules.get(path).filter(|module| module.is_client);
    let servers = |path: &str| modules.get(path).filter(|module| !module.is_client);

    let mut wrong: Vec<Diagnostic> = of(&BOUNDARIES)
        .filter_map(|path| Some(Diagnostic::at(path, servers(path)?.source, 0, BOUNDARY)))
        .collect();
    for path in of(&OF_METADATA) {
        wrong.extend(clients(path).into_iter().flat_map(|module| misplaced_metadata(path, module)));
    }
    let mut waiting: Vec<&str> = of(&OF_THE_SERVER).collect();
    let mut seen: BTreeSet<&str> = waiting.iter().copied().collect();
    while let Some(path) = waiting.pop() {
        let Some(module) = servers(path) else { continue };
        wrong.extend(of_the_browser(path, module).take(MOST_OF_A_FILE));
        waiting.extend(leads_to.get(path).into_iter().flatten().filter(|file| seen.insert(file)));
    }
    wrong
}

const BOUNDARY: &str = "is shown by the browser: begin the file with 'use client'";

/// The name, without ending, of a file to which the App Router gives a meaning.
fn route_file(path: &str) -> Option<&str> {
    let (directory, file) = path.rsplit_once('/')?;
    let is_route = directory.split('/').any(|part| part == "app");
    let (name, ending) = file.rsplit_once('.')?;
    (is_route && matches!(ending, "tsx" | "jsx" | "js" | "ts")).then_some(name)
}

fn of_the_browser(path: &str, module: &Module<'_>) -> impl Iterator<Item = Diagnostic> {
    let members = module.members_of_react.iter().filter(|(name, _)| has("react", name));
    let uses = module.imports.iter().filter_map(taken).chain(members.map(|(name, at)| (name.as_str(), *at)));
    uses.map(move |(name, at)| {
        let message = format!(
            "uses `{name}`, which runs in the browser, in a component of the server's: begin the file with 'use client', \
             or move that part into a file that does"
        );
        Diagnostic::at(path, module.source, at, message)
    })
}

/// A name of the browser's that an import takes.
fn taken(import: &Import) -> Option<(&str, usize)> {
    let name = import.names.iter().find(|name| has(&import.specifier, name))?;
    Some((name, import.at))
}

fn has(module: &str, name: &str) -> bool {
    OF_THE_BROWSER.iter().any(|(known, names)| *known == module && names.contains(&name))
}

fn misplaced_metadata(path: &str, module: &Module<'_>) -> impl Iterator<Item = Diagnostic> {
    let message = "exports metadata, which only the server reads, from a file that begins with 'use client': keep this \
        file the server's, and move what runs in the browser into a component of its own";
    let metadata = module.exports.iter().filter(|(name, _)| METADATA.contains(&name.as_str()));
    metadata.map(move |(_, at)| Diagnostic::at(path, module.source, *at, message))
}

#[cfg(test)]
mod tests {
    use super::super::{check, tests::files};

    const HOOK: &str =
        "import { useState } from 'react'\nexport default function A() { return <p>{useState(0)}</p> }";

    fn told(of: &[(&str, &str)]) -> Vec<String> {
        let package = r#"{"dependencies":{"next":"14.2.0","react":"18.3.1"}}"#;
        let paths = r#"{"compilerOptions":{"paths":{"@/*":["./*"]}}}"#;
        let project = [&[("package.json", package), ("tsconfig.json", paths)], of].concat();
        let told = |d: &crate::diagnostic::Diagnostic| format!("{}:{}: {}", d.path, d.line, d.message);
        check(&files(&project)).iter().map(told).collect()
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
            vec![("app/page.tsx", "import A from '../components/a'; A()"), ("components/a.tsx", HOOK)],
            vec![
                ("app/page.tsx", "import { A } from '@/components'; export default () => <A/>"),
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
                ("app/page.tsx", "import A from '@/components/a'; A()"),
                ("components/a.tsx", "'use client'\nimport B from './b'; B()"),
                ("components/b.tsx", HOOK),
            ],
            vec![("components/nobody-imports-it.tsx", HOOK)],
            vec![("app/page.tsx", "import type { A } from '../components/a'"), ("components/a.tsx", HOOK)],
            vec![
                ("app/page.tsx", "import { Todo } from '../use-todos'; export const todos: Todo[] = []"),
                ("use-todos.tsx", HOOK),
            ],
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
        let package = r#"{"dependencies":{"react":"18.3.1"}}"#;
        assert_eq!(check(&files(&[("package.json", package), ("app/page.tsx", HOOK)])), []);
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
        let text = "'use client'\nexport const meta = 1; const metadata = 2";
        assert_eq!(told(&[("app/page.tsx", text)]), Vec::<String>::new());
        let text = "'use client'\nexport const metadata = 1";
        let page = "import '../a'";
        assert_eq!(told(&[("app/page.tsx", page), ("a.tsx", text)]), Vec::<String>::new());
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
