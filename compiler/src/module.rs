//! One module: parsed, checked, its types and JSX compiled away, its imports
//! rewritten, printed. The work is oxc's.

use std::path::Path;

use oxc::{
    allocator::Allocator,
    ast::ast::{
        ExportAllDeclaration, ExportFromDeclaration, Expression, ImportDeclaration, ImportExpression,
        Program, Statement, StringLiteral,
    },
    ast_visit::{VisitJsMut, walk_js_mut},
    codegen::Codegen,
    diagnostics::OxcDiagnostic,
    parser::{Parser, ParserReturn},
    semantic::{Scoping, SemanticBuilder},
    span::{SourceType, Span},
    str::Str,
    transformer::{JsxRuntime, TransformOptions, Transformer},
};

use crate::{diagnostic::Diagnostic, nesting, path};

/// The most diagnostics of one module.
const MOST: usize = 10;

/// How a project wants its modules compiled.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    /// Where JSX's functions come from.
    pub(crate) jsx: &'a str,
    /// TypeScript's own, older decorators.
    pub(crate) decorators: bool,
}

/// How an import is written in the module that comes out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Import {
    /// From here.
    From(String),
    /// Not at all: it was there for its effect, which the page now has.
    Dropped,
}

/// An import as a module has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) specifier: &'a str,
    /// `import "x"`, of which nothing has a name.
    pub(crate) for_effect: bool,
    pub(crate) is_dynamic: bool,
}

/// A module that a browser runs.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) code: String,
    /// It reads `import.meta.env`, which the caller must give it.
    pub(crate) reads_env: bool,
    /// The names that it exports, `default` among them; `*` stands for another module's.
    pub(crate) exports: Vec<String>,
}

/// Compiles the module at `path`. `import` says how each of its imports is to
/// be written, or why it cannot be.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn compile(
    path: &str,
    source: &str,
    options: &Options<'_>,
    import: &mut dyn FnMut(Asked<'_>) -> Result<Import, String>,
) -> Result<Compiled, Vec<Diagnostic>> {
    let allocator = Allocator::default();
    let (parsed, scoping) = match parse(&allocator, path, source) {
        (Some(parsed), wrong) if wrong.is_empty() => (parsed.returned, parsed.scoping),
        (_, wrong) => return Err(wrong),
    };
    let metas: Vec<&str> =
        parsed.module_record.import_metas.iter().map(|span| after(source, *span)).collect();
    if metas.iter().any(|after| after.starts_with(".glob")) {
        let at = source.find("import.meta.glob").unwrap_or_default();
        let told = "import.meta.glob is not supported: import each module by its name";
        return Err(vec![Diagnostic::at(path, source, at, told)]);
    }
    let reads_env = metas.iter().any(|after| after.starts_with(".env") || after.starts_with("?.env"));
    let exports = exports(&parsed);

    let mut program = parsed.program;
    let transformed = Transformer::new(&allocator, Path::new(path), &transform_options(options))
        .build_with_scoping(scoping, &mut program);
    let wrong = told(path, source, transformed.diagnostics.errors());
    if !wrong.is_empty() {
        return Err(wrong);
    }

    let mut rewriter = Rewriter { allocator: &allocator, path, source, import, wrong: Vec::new() };
    rewriter.rewrite(&mut program);
    if !rewriter.wrong.is_empty() {
        return Err(rewriter.wrong);
    }
    Ok(Compiled { code: Codegen::new().build(&program).code, reads_env, exports })
}

/// What a module of plain JavaScript imports; none when it is not plain JavaScript.
pub(crate) fn imports(source: &str) -> Option<Vec<String>> {
    let allocator = Allocator::default();
    if nesting::too_deep(source).is_some() {
        return Some(Vec::new());
    }
    let parsed = Parser::new(&allocator, source, SourceType::mjs()).parse();
    let requested = parsed.module_record.requested_modules.keys().map(|name| name.as_str().to_owned());
    (!parsed.diagnostics.has_errors()).then(|| requested.collect())
}

/// Whether it is JavaScript with JSX in it.
pub(crate) fn is_jsx(source: &str) -> bool {
    let allocator = Allocator::default();
    !Parser::new(&allocator, source, SourceType::mjs().with_jsx(true)).parse().diagnostics.has_errors()
}

/// A module's syntax tree, and what its names stand for.
pub(crate) struct Parsed<'a> {
    pub(crate) returned: ParserReturn<'a>,
    pub(crate) scoping: Scoping,
}

/// Parses a module and checks what its grammar does not: names that are declared twice, and the like. Answers with all
/// that is wrong with its syntax, and with a tree where the parser found its way in spite of that.
pub(crate) fn parse<'a>(
    allocator: &'a Allocator,
    path: &str,
    source: &'a str,
) -> (Option<Parsed<'a>>, Vec<Diagnostic>) {
    if let Some(at) = nesting::too_deep(source) {
        return (None, vec![Diagnostic::at(path, source, at, "nested too deeply to be compiled")]);
    }
    let returned = Parser::new(allocator, source, source_type(path)).parse();
    let mut wrong = told(path, source, returned.diagnostics.errors());
    if returned.panicked {
        if wrong.is_empty() {
            wrong.push(Diagnostic::of_file(path, "cannot be read as a module"));
        }
        return (None, wrong);
    }
    let checked = SemanticBuilder::new_compiler().with_enum_eval(true).build(&returned.program);
    if wrong.is_empty() {
        wrong = told(path, source, checked.diagnostics.errors());
    }
    let scoping = checked.semantic.into_scoping();
    (Some(Parsed { returned, scoping }), wrong)
}

/// JSX is read in `.js` as well: many templates have it there.
fn source_type(path: &str) -> SourceType {
    match path::extension(path) {
        "ts" | "mts" | "cts" => SourceType::ts(),
        "tsx" => SourceType::tsx(),
        "cjs" => SourceType::cjs(),
        _ => SourceType::mjs().with_jsx(true),
    }
}

fn transform_options(options: &Options<'_>) -> TransformOptions {
    let mut transform = TransformOptions::default();
    transform.jsx.runtime = JsxRuntime::Automatic;
    transform.jsx.import_source = Some(options.jsx.to_owned());
    // Marks for bundlers, and there is none.
    transform.jsx.pure = false;
    transform.decorator.legacy = options.decorators;
    transform
}

/// The source that follows `import.meta`.
fn after(source: &str, span: Span) -> &str {
    usize::try_from(span.end).ok().and_then(|end| source.get(end..)).unwrap_or_default().trim_start()
}

fn exports(parsed: &ParserReturn<'_>) -> Vec<String> {
    let record = &parsed.module_record;
    let mut exports: Vec<String> =
        record.exported_bindings.keys().map(|name| name.as_str().to_owned()).collect();
    let entries = record.local_export_entries.iter().chain(record.indirect_export_entries.iter());
    exports.extend(entries.filter(|entry| entry.export_name.is_default()).map(|_| "default".to_owned()));
    if !record.star_export_entries.is_empty() {
        exports.push("*".to_owned());
    }
    exports
}

/// In the form that people read.
fn told<'e>(path: &str, source: &str, errors: impl Iterator<Item = &'e OxcDiagnostic>) -> Vec<Diagnostic> {
    errors.take(MOST).map(|error| of_oxc(path, source, error)).collect()
}

fn of_oxc(path: &str, source: &str, error: &OxcDiagnostic) -> Diagnostic {
    let mut message = error.message.to_string();
    if let Some(help) = &error.help {
        message.push_str(&format!(" ({help})"));
    }
    match error.labels.first() {
        Some(label) => Diagnostic::at(path, source, label.offset() as usize, message),
        None => Diagnostic::of_file(path, message),
    }
}

/// Writes the imports anew.
struct Rewriter<'a, 'r> {
    allocator: &'a Allocator,
    path: &'r str,
    source: &'r str,
    import: &'r mut dyn FnMut(Asked<'_>) -> Result<Import, String>,
    wrong: Vec<Diagnostic>,
}

impl<'a> Rewriter<'a, '_> {
    fn rewrite(&mut self, program: &mut Program<'a>) {
        program.body.retain_mut(|statement| match statement {
            Statement::ImportDeclaration(import) => self.keeps(import),
            _ => true,
        });
        self.visit_program(program);
    }

    /// Rewrites an import statement; false when it is to go.
    fn keeps(&mut self, import: &mut ImportDeclaration<'a>) -> bool {
        let asked = Asked {
            specifier: import.source.value.as_str(),
            for_effect: import.specifiers.is_none(),
            is_dynamic: false,
        };
        let span = import.source.span;
        match self.answer(asked, span) {
            Some(Import::From(specifier)) => {
                self.set(&mut import.source, &specifier);
                import.with_clause = None;
                true
            }
            Some(Import::Dropped) => false,
            None => true,
        }
    }

    /// How an import is to be written; none when it cannot be, or when enough is wrong already.
    fn answer(&mut self, asked: Asked<'_>, span: Span) -> Option<Import> {
        if self.wrong.len() == MOST {
            return None;
        }
        let told = |told| Diagnostic::at(self.path, self.source, span.start as usize, told);
        (self.import)(asked).map_err(|message| self.wrong.push(told(message))).ok()
    }

    fn from(&mut self, literal: &mut StringLiteral<'a>, is_dynamic: bool) {
        let asked = Asked { specifier: literal.value.as_str(), for_effect: false, is_dynamic };
        if let Some(Import::From(specifier)) = self.answer(asked, literal.span) {
            self.set(literal, &specifier);
        }
    }

    fn set(&self, literal: &mut StringLiteral<'a>, specifier: &str) {
        literal.value = Str::from_str_in(specifier, &self.allocator);
        literal.raw = None;
    }
}

impl<'a> VisitJsMut<'a> for Rewriter<'a, '_> {
    fn visit_export_from_declaration(&mut self, it: &mut ExportFromDeclaration<'a>) {
        self.from(&mut it.source, false);
        it.with_clause = None;
    }

    fn visit_export_all_declaration(&mut self, it: &mut ExportAllDeclaration<'a>) {
        self.from(&mut it.source, false);
        it.with_clause = None;
    }

    fn visit_import_expression(&mut self, it: &mut ImportExpression<'a>) {
        walk_js_mut::walk_import_expression(self, it);
        if let Expression::StringLiteral(literal) = &mut it.source {
            self.from(literal, true);
            it.options = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPTIONS: Options<'_> = Options { jsx: "react", decorators: false };

    fn wrong(path: &str, source: &str) -> Vec<Diagnostic> {
        parse(&Allocator::default(), path, source).1
    }

    fn compiled(path: &str, source: &str) -> Compiled {
        let mut import = |asked: Asked<'_>| Ok(Import::From(format!("{}!", asked.specifier)));
        compile(path, source, &OPTIONS, &mut import).unwrap()
    }

    #[test]
    fn types_and_jsx_are_compiled_away() {
        let source = "import type { A } from './a';\nimport { B, C } from './b';\n\
            enum Color { Red = 1 }\nexport default function App(props: A & C) { return <B x={Color.Red!}/>; }";
        let code = compiled("App.tsx", source).code;
        assert!(code.contains("from \"react/jsx-runtime!\""), "{code}");
        assert!(code.contains("import { B } from \"./b!\""), "{code}");
        assert!(!code.contains("./a") && !code.contains(": A"), "{code}");
    }

    #[test]
    fn every_kind_of_import_is_rewritten() {
        let source = "import './x.css'; export * from './y'; export { z } from './z';\n\
            const later = () => import('./later'); import d from './d.json' with { type: 'json' }; d; later";
        let code = compiled("a.js", source).code;
        for specifier in ["./x.css!", "./y!", "./z!", "./later!", "./d.json!"] {
            assert!(code.contains(&format!("\"{specifier}\"")), "{specifier}: {code}");
        }
        assert!(!code.contains("with"), "{code}");
    }

    #[test]
    fn an_import_for_its_effect_can_be_dropped() {
        let mut import = |asked: Asked<'_>| match asked.for_effect {
            true => Ok(Import::Dropped),
            false => Ok(Import::From(asked.specifier.to_owned())),
        };
        let code = compile("a.js", "import './x.css'; import y from './y'; y()", &OPTIONS, &mut import)
            .unwrap()
            .code;
        assert!(!code.contains("x.css") && code.contains("./y"));
    }

    #[test]
    fn a_syntax_error_has_its_place() {
        let wrong = wrong("src/App.tsx", "const a = 1;\nreturn <div>\n");
        let first = &wrong[0];
        assert_eq!((first.path.as_str(), first.line > 0), ("src/App.tsx", true));
        assert!(first.frame.contains('^') && !first.message.is_empty());
        assert!(self::wrong("a.ts", "let x = 1; let x = 2;")[0].message.contains('x'), "redeclared");
    }

    #[test]
    fn an_import_that_leads_nowhere_has_its_place() {
        let mut import = |_: Asked<'_>| Err("nowhere".to_owned());
        let wrong = compile("a.ts", "\nimport a from './a'; a", &OPTIONS, &mut import).unwrap_err();
        assert_eq!((wrong[0].line, wrong[0].column, wrong[0].message.as_str()), (2, 15, "nowhere"));
    }

    #[test]
    fn what_a_module_exports_is_known() {
        for (source, name) in [
            ("export default function App() {}", "default"),
            ("const A = 1; export { A as default }", "default"),
            ("export { default } from './b'", "default"),
            ("export function App() {}", "App"),
            ("export * from './b'", "*"),
        ] {
            assert!(compiled("a.tsx", source).exports.iter().any(|export| export == name), "{source}");
        }
    }

    #[test]
    fn a_hundred_thousand_parentheses_are_refused() {
        let wrong = wrong("a.ts", &"(".repeat(100_000));
        assert!(wrong[0].message.contains("nested too deeply") && wrong[0].frame.len() < 500);
    }

    proptest! {
        #[test]
        fn no_source_makes_it_panic(source in "([a-z<>/{}()=;:'\"`$. \n]|import |export |=> |const |class |<div>|</div>|: string|\\PC){0,60}") {
            for path in ["a.ts", "a.tsx", "a.js"] {
                let mut import = |asked: Asked<'_>| Ok(Import::From(asked.specifier.to_owned()));
                let _ = compile(path, &source, &OPTIONS, &mut import);
            }
        }
    }
}
