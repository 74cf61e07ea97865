//! Whether code that is to be installed and built by npm can be: its modules
//! parse, their imports lead somewhere, and what of a Next.js application
//! runs in the browser says so.

mod client;
mod installation;
mod reading;

use std::collections::BTreeMap;

use crate::{diagnostic::Diagnostic, path};

use installation::Installation;
use reading::{Module, read};

/// The most diagnostics of one file, so that one broken file does not hide the others.
const MOST_OF_A_FILE: usize = 10;
/// The most that are told of all; whoever asked tells fewer.
const MOST: usize = 200;
/// The most imports of one file that are followed. People stay below 100.
const MOST_IMPORTS: usize = 500;
/// Extensions of what npm's tools take for a module.
const MODULES: &[&str] = &["ts", "tsx", "jsx", "mts", "cts", "js", "mjs", "cjs"];

/// What is wrong with the modules among `files`, in the order of their paths.
pub(crate) fn check(files: &BTreeMap<String, String>) -> Vec<Diagnostic> {
    let (mut modules, mut wrong) = (BTreeMap::new(), Vec::new());
    for (path, source) in files.iter().filter(|(path, _)| is_module(path)) {
        let (module, syntax) = read(path, source);
        modules.extend(module.map(|module| (path.as_str(), module)));
        wrong.extend(syntax);
    }
    let installation = Installation::new(files);
    let mut leads_to = BTreeMap::new();
    for (path, module) in &modules {
        let (found, lost) = follow(&installation, path, module);
        leads_to.insert(*path, found);
        wrong.extend(lost);
    }
    let routes = modules.keys().copied().filter(|path| installation.depends_on(path, "next")).collect();
    wrong.extend(client::wrong(routes, &modules, &leads_to));
    let mut wrong = Diagnostic::sorted(wrong);
    wrong.truncate(MOST);
    wrong
}

/// The files that a module's imports of values lead to, and what is wrong with those that lead nowhere.
fn follow<'f>(
    installation: &Installation<'f>,
    path: &str,
    module: &Module<'_>,
) -> (Vec<&'f str>, Vec<Diagnostic>) {
    let (mut found, mut lost) = (Vec::new(), Vec::new());
    for import in module.imports.iter().take(MOST_IMPORTS) {
        match installation.resolve(path, import) {
            Ok(Some(file)) if !import.is_type => found.push(file),
            Ok(_) => {}
            Err(message) => lost.push(Diagnostic::at(path, module.source, import.at, message)),
        }
        if lost.len() == MOST_OF_A_FILE {
            break;
        }
    }
    (found, lost)
}

fn is_module(path: &str) -> bool {
    let is_declaration = [".d.ts", ".d.mts", ".d.cts"].iter().any(|ending| path.ends_with(ending));
    MODULES.contains(&path::extension(path)) && !is_declaration
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn files(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn each_problem_is_told_at_its_place() {
        let wrong = check(&files(&[
            ("package.json", r#"{"dependencies":{"react":"18.3.1"}}"#),
            ("a.tsx", "\nimport a from './nowhere'"),
            ("b.ts", "import 'react'; import 'lodash'"),
            ("c.ts", "const a = ;"),
            ("d.cjs", "const { x } = require('x'); module.exports = x; return"),
            ("e.d.ts", "import 'nothing'"),
            ("f.css", "import 'nothing'"),
        ]));
        let told: Vec<String> =
            wrong.iter().map(|d| format!("{}:{}:{} {}", d.path, d.line, d.column, d.message)).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert_eq!(
            told[0],
            "a.tsx:2:15 cannot find \"./nowhere\": there is no nowhere; write it, or import what there is"
        );
        assert!(told[1].starts_with("b.ts:1:24 \"lodash\" is not in package.json"), "{told:?}");
        assert!(told[2].starts_with("c.ts:1:11 ") && !wrong[2].frame.is_empty(), "{told:?}");
        assert!(told[3].starts_with("d.cjs:1:23 \"x\" is not"), "{told:?}");
    }

    #[test]
    fn very_many_are_told_in_part() {
        let import = "import 'x';".repeat(100);
        let many: Vec<String> = (0..100).map(|n| format!("{n}.ts")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|path| (path.as_str(), import.as_str())).collect();
        let wrong = check(&files(&many));
        assert_eq!(wrong.len(), MOST);
        assert_eq!(wrong.iter().filter(|d| d.path == "0.ts").count(), MOST_OF_A_FILE);
    }

    proptest! {
        #[test]
        fn any_files_are_answered_within_bounds(of in proptest::collection::btree_map("(app/|)[a-z]{1,3}([.]tsx|[.]js|[.]json|)|package.json|tsconfig.json", "(\\PC|\\pC|import |'|\"|from|[./]|[{}:]|paths|next){0,60}", 0..6)) {
            for wrong in check(&of) {
                prop_assert!(wrong.message.chars().count() <= 401 && !wrong.message.contains('\n'), "{:?}", wrong);
            }
        }
    }
}
