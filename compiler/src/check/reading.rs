//! What a module says of itself, as far as a build fails over it.

use oxc::{
    allocator::Allocator,
    ast::ast::{
        CallExpression, Expression, ImportExpression, StaticMemberExpression, TSExternalModuleReference,
        TSImportType,
    },
    ast_visit::{Visit, walk},
    span::Span,
    syntax::module_record::{ImportImportName, ModuleRecord},
};

use crate::{diagnostic::Diagnostic, module::parse};

/// A module that parses.
#[derive(Debug)]
pub(crate) struct Module<'s> {
    pub(crate) source: &'s str,
    /// It begins with `'use client'`.
    pub(crate) is_client: bool,
    /// Every import, in the order of the file.
    pub(crate) imports: Vec<Import>,
    /// `useRef` of each `React.useRef`, and the byte where it stands.
    pub(crate) members_of_react: Vec<(String, usize)>,
    /// The names that it exports, and where.
    pub(crate) exports: Vec<(String, usize)>,
}

/// An import: `import`, `export … from`, `import(…)` or `require(…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) specifier: String,
    /// The byte where the specifier stands.
    pub(crate) at: usize,
    /// Gone when the program runs: `import type`, `export type`.
    pub(crate) is_type: bool,
    /// What it takes by name, as its module calls it: `{ a, b as c }` has `a` and `b`. No types.
    pub(crate) names: Vec<String>,
}

/// Reads the module at `path`.
///
/// # Errors
/// What is wrong with its syntax.
pub(crate) fn read<'s>(path: &str, source: &'s str) -> Result<Module<'s>, Vec<Diagnostic>> {
    let allocator = Allocator::default();
    let (parsed, _) = parse(&allocator, path, source)?;
    let mut visitor = Visitor::default();
    visitor.visit_program(&parsed.program);
    let mut imports = visitor.imports;
    imports.extend(requested(&parsed.module_record));
    imports.sort_by_key(|import| import.at);
    let directives = parsed.program.directives.iter();
    let exports = parsed.module_record.exported_bindings.iter();
    Ok(Module {
        source,
        is_client: directives.map(|directive| directive.directive.as_str()).any(|text| text == "use client"),
        imports,
        members_of_react: visitor.members_of_react,
        exports: exports.map(|(name, span)| (name.as_str().to_owned(), offset(*span))).collect(),
    })
}

/// What `import` and `export … from` ask for.
fn requested(record: &ModuleRecord<'_>) -> Vec<Import> {
    let names = |at: Span| {
        let entries = record.import_entries.iter().filter(move |entry| entry.module_request.span == at);
        let names = entries.filter(|entry| !entry.is_type).filter_map(|entry| match &entry.import_name {
            ImportImportName::Name(name) => Some(name.name.as_str().to_owned()),
            ImportImportName::Default(_) | ImportImportName::NamespaceObject => None,
        });
        names.collect()
    };
    let requests = record.requested_modules.iter().flat_map(|(specifier, requests)| {
        requests.iter().map(move |request| (specifier.as_str().to_owned(), request))
    });
    requests
        .map(|(specifier, request)| Import {
            specifier,
            at: offset(request.span),
            is_type: request.is_type,
            names: names(request.span),
        })
        .collect()
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

    fn specifiers(source: &str) -> Vec<String> {
        let module = read("a.tsx", source).unwrap_or_else(|wrong| panic!("{source}: {wrong:?}"));
        module.imports.into_iter().map(|import| import.specifier).collect()
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
            ("import a, { b, c as d, type E } from 'a'", vec!["b", "c"], false),
            ("import type { B } from 'a'", vec![], true),
            ("import * as a from 'a'", vec![], false),
        ] {
            let module = read("a.ts", source).unwrap();
            assert_eq!(
                (&module.imports[0].names, module.imports[0].is_type),
                (&names.iter().map(|n| (*n).to_owned()).collect(), is_type),
                "{source}"
            );
        }
    }

    #[test]
    fn a_module_knows_where_it_runs_and_what_it_exports() {
        let module = read(
            "a.tsx",
            "/* a */ \"use strict\"; 'use client'\nexport const metadata = {}; React.useRef(0)",
        )
        .unwrap();
        assert!(module.is_client);
        assert_eq!(module.exports.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["metadata"]);
        assert_eq!(
            module.members_of_react.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["useRef"]
        );
        assert!(!read("a.tsx", "const a = 1; 'use client'").unwrap().is_client);
    }

    proptest! {
        #[test]
        fn what_is_found_stands_in_the_source(source in "(import|export|from|require|'a'|\"b\"|[{}()*;=<>/ \n]|as|type|x|,){0,30}") {
            if let Ok(module) = read("a.tsx", &source) {
                for import in module.imports {
                    prop_assert!(source.get(import.at..).is_some_and(|rest| rest.contains(&import.specifier)));
                }
            }
        }
    }
}
