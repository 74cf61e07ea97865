//! What a module says of itself, as far as a build fails over it.

use std::collections::BTreeMap;

use oxc::{
    allocator::Allocator,
    ast::ast::{
        CallExpression, Expression, ImportExpression, StaticMemberExpression, TSExternalModuleReference,
        TSImportType,
    },
    ast_visit::{Visit, walk},
    semantic::{Reference, Scoping},
    span::Span,
    syntax::module_record::{ImportEntry, ImportImportName, ModuleRecord},
};

use crate::{
    diagnostic::Diagnostic,
    module::{Parsed, parse},
};

/// A module, as far as it could be parsed.
#[derive(Debug)]
pub(super) struct Module<'s> {
    pub(super) source: &'s str,
    /// It begins with `'use client'`.
    pub(super) is_client: bool,
    /// Every import, in the order of the file.
    pub(super) imports: Vec<Import>,
    /// `useRef` of each `React.useRef`, and the byte where it stands.
    pub(super) members_of_react: Vec<(String, usize)>,
    /// The names that it exports, and where.
    pub(super) exports: Vec<(String, usize)>,
}

/// An import: `import`, `export … from`, `import(…)` or `require(…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) specifier: String,
    /// The byte where the specifier stands.
    pub(super) at: usize,
    /// Gone when the program runs: `import type`, `export type`, and in TypeScript what is only used as types.
    pub(super) is_type: bool,
    /// What it takes by name, as its module calls it: `{ a, b as c }` has `a` and `b`. No types.
    pub(super) names: Vec<String>,
}

/// Reads the module at `path`: what it says, and what is wrong with its syntax. None if it is beyond reading.
pub(super) fn read<'s>(path: &str, source: &'s str) -> (Option<Module<'s>>, Vec<Diagnostic>) {
    let allocator = Allocator::default();
    let (parsed, wrong) = parse(&allocator, path, source);
    (parsed.map(|parsed| module(&parsed, source)), wrong)
}

fn module<'s>(Parsed { returned, scoping }: &Parsed<'_>, source: &'s str) -> Module<'s> {
    let (program, record) = (&returned.program, &returned.module_record);
    let mut visitor = Visitor::default();
    visitor.visit_program(program);
    let mut imports = visitor.imports;
    imports.extend(requested(record, |entry| {
        entry.is_type || (program.source_type.is_typescript() && !is_used(scoping, entry))
    }));
    imports.sort_by_key(|import| import.at);
    let mut directives = program.directives.iter();
    Module {
        source,
        is_client: directives.any(|directive| directive.directive == "use client"),
        imports,
        members_of_react: visitor.members_of_react,
        exports: record
            .exported_bindings
            .iter()
            .map(|(name, span)| (name.as_str().to_owned(), offset(*span)))
            .collect(),
    }
}

/// Whether the value of what is imported is used: TypeScript leaves out what is not.
fn is_used(scoping: &Scoping, entry: &ImportEntry<'_>) -> bool {
    let Some(symbol) = scoping.get_root_binding(entry.local_name.name.into()) else { return true };
    scoping.get_resolved_references(symbol).any(Reference::is_value)
}

/// What `import` and `export … from` ask for.
fn requested(record: &ModuleRecord<'_>, is_type: impl Fn(&ImportEntry<'_>) -> bool) -> Vec<Import> {
    let mut entries: BTreeMap<usize, Vec<&ImportEntry<'_>>> = BTreeMap::new();
    for entry in &record.import_entries {
        entries.entry(offset(entry.module_request.span)).or_default().push(entry);
    }
    let requests = record.requested_modules.iter().flat_map(|(specifier, requests)| {
        requests.iter().map(move |request| (specifier.as_str().to_owned(), request))
    });
    requests
        .map(|(specifier, request)| {
            let at = offset(request.span);
            let entries = entries.get(&at).map_or(&[][..], Vec::as_slice);
            let is_gone = !entries.is_empty() && entries.iter().all(|entry| is_type(entry));
            // Next.js looks at these before anything is left out.
            let names = entries.iter().filter(|entry| !entry.is_type).filter_map(|entry| named(entry));
            Import { specifier, at, is_type: request.is_type || is_gone, names: names.collect() }
        })
        .collect()
}

fn named(entry: &ImportEntry<'_>) -> Option<String> {
    match &entry.import_name {
        ImportImportName::Name(name) => Some(name.name.as_str().to_owned()),
        ImportImportName::Default(_) | ImportImportName::NamespaceObject => None,
    }
}

/// Collects what the module record does not have.
#[derive(Default)]
struct Visitor {
    imports: Vec<Import>,
    members_of_react: Vec<(String, usize)>,
}

impl Visitor {
    fn push(&mut self, specifier: &str, span: Span, is_type: bool) {
        let specifier = specifier.to_owned();
        self.imports.push(Import { specifier, at: offset(span), is_type, names: Vec::new() });
    }
}

impl<'a> Visit<'a> for Visitor {
    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        match &it.source {
            Expression::StringLiteral(text) => self.push(text.value.as_str(), text.span, false),
            Expression::TemplateLiteral(template) => {
                if let Some(text) = template.single_quasi() {
                    self.push(text.as_str(), template.span, false);
                }
            }
            _ => {}
        }
        walk::walk_import_expression(self, it);
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        if let Some(text) = it.common_js_require() {
            self.push(text.value.as_str(), text.span, false);
        }
        walk::walk_call_expression(self, it);
    }

    fn visit_ts_external_module_reference(&mut self, it: &TSExternalModuleReference<'a>) {
        self.push(it.expression.value.as_str(), it.expression.span, false);
    }

    fn visit_ts_import_type(&mut self, it: &TSImportType<'a>) {
        self.push(it.source.value.as_str(), it.source.span, true);
        walk::walk_ts_import_type(self, it);
    }

    fn visit_static_member_expression(&mut self, it: &StaticMemberExpression<'a>) {
        if it.object.is_specific_id("React") {
            let name = &it.property;
            self.members_of_react.push((name.name.as_str().to_owned(), offset(name.span)));
        }
        walk::walk_static_member_expression(self, it);
    }
}

fn offset(span: Span) -> usize {
    usize::try_from(span.start).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn good(source: &str) -> Module<'_> {
        let (module, wrong) = read("a.tsx", source);
        assert_eq!(wrong, [], "{source}");
        module.unwrap()
    }

    fn specifiers(source: &str) -> Vec<String> {
        good(source).imports.into_iter().map(|import| import.specifier).collect()
    }

    #[test]
    fn every_form_of_import_is_found() {
        for (source, expected) in [
            ("import a from 'a'", vec!["a"]),
            ("import * as a from \"a\";import 'b'", vec!["a", "b"]),
            ("import a, { b as c } from 'x'\nimport {\n  e,\n  type F,\n} from './y'", vec!["x", "./y"]),
            ("import type { A } from 'a'; import type from 'b'", vec!["a", "b"]),
            ("export * from 'a'; export * as b from 'b'; export { c } from 'c'", vec!["a", "b", "c"]),
            ("export type { D } from 'd'", vec!["d"]),
            (
                "const a = await import('a'); import(`b`); const c = () => import('./c')",
                vec!["a", "b", "./c"],
            ),
            ("import a from 'a' with { type: 'json' }", vec!["a"]),
            ("const a = require('a'); import b = require('b'); type C = import('c').C", vec!["a", "b", "c"]),
            ("import a from 'a'; import { b } from 'a'", vec!["a", "a"]),
            ("import(`./${name}`); import(name); x.import('a'); x.require('b')", vec![]),
            ("// import 'a'\nconst b = \"import 'b'\"; const c = <p>import 'c'</p>", vec![]),
        ] {
            assert_eq!(specifiers(source), expected, "{source}");
        }
    }

    #[test]
    fn an_import_knows_what_it_takes_and_whether_it_is_gone() {
        for (source, names, is_type) in [
            ("import a, { b, c as d, type E } from 'a'; a; b; d", vec!["b", "c"], false),
            ("import type { B } from 'a'", vec![], true),
            ("import { type B } from 'a'", vec![], true),
            ("import { B } from 'a'; export type C = B", vec!["B"], true),
            ("import { B } from 'a'; export { B }", vec!["B"], false),
            ("import { B } from 'a'; export default () => <B/>", vec!["B"], false),
            ("import * as a from 'a'; a.b()", vec![], false),
            ("import 'a'", vec![], false),
            ("export * from 'a'", vec![], false),
        ] {
            let Import { names: found, is_type: gone, .. } = good(source).imports.remove(0);
            assert_eq!((found, gone), (names.into_iter().map(str::to_owned).collect(), is_type), "{source}");
        }
        // JavaScript keeps what nobody uses.
        assert!(!read("a.js", "import { B } from 'a'").0.unwrap().imports[0].is_type);
    }

    #[test]
    fn what_is_wrong_hides_nothing_else() {
        let (module, wrong) = read("a.ts", "import './x'; const a = 1; const a = 2; import './y'");
        assert_eq!((module.unwrap().imports.len(), wrong.len()), (2, 1));
        let brackets = "(".repeat(100_000);
        let (module, wrong) = read("a.ts", &brackets);
        assert!(module.is_none() && wrong.len() == 1);
    }

    #[test]
    fn a_module_knows_where_it_runs_and_what_it_exports() {
        let module =
            good("/* a */ \"use strict\"; 'use client'\nexport const metadata = {}; React.useRef(0)");
        assert!(module.is_client);
        assert_eq!(module.exports.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["metadata"]);
        assert_eq!(
            module.members_of_react.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["useRef"]
        );
        assert!(!good("const a = 1; 'use client'").is_client);
    }

    proptest! {
        #[test]
        fn what_is_found_stands_in_the_source(source in "(import|export|from|require|'a'|\"b\"|[{}()*;=<>/ \n]|as|type|x|,){0,30}") {
            if let Some(module) = read("a.tsx", &source).0 {
                for import in module.imports {
                    prop_assert!(source.get(import.at..).is_some_and(|rest| rest.contains(&import.specifier)));
                }
            }
        }
    }
}
