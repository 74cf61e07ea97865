use std::path::Path;
use oxc::{allocator::Allocator, codegen::Codegen, parser::Parser, semantic::SemanticBuilder, span::SourceType, transformer::{TransformOptions, Transformer}};
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
pub fn compile(source: &str) -> String {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::tsx()).parse();
    let mut program = parsed.program;
    let semantic = SemanticBuilder::new().with_check_syntax_error(true).with_excess_capacity(2.0).build(&program);
    let scoping = semantic.semantic.into_scoping();
    let options = TransformOptions::default();
    let _ = Transformer::new(&allocator, Path::new("a.tsx"), &options).build_with_scoping(scoping, &mut program);
    Codegen::new().build(&program).code
}
