// Parses a module's source with Babel, because esbuild does not expose its
// syntax tree.

import { parse } from "@babel/parser";
import { extension } from "./path.js";

const TYPESCRIPT = new Set(["ts", "mts", "cts", "tsx"]);

export const isTypeScript = (path) => TYPESCRIPT.has(extension(path));

/**
 * The syntax tree of a module; undefined if it cannot be parsed.
 * @returns {import("@babel/types").File | undefined}
 */
export function parsed(path, text) {
  const language = isTypeScript(path) ? ["typescript"] : [];
  const jsx = extension(path) === "ts" || extension(path) === "mts" || extension(path) === "cts" ? [] : ["jsx"];
  const plugins = [...language, ...jsx, ["decorators", { allowCallParenthesized: true }], "decoratorAutoAccessors", "explicitResourceManagement"];
  const sourceType = extension(path) === "cjs" || extension(path) === "cts" ? "script" : "module";
  const lenient = { errorRecovery: true, allowReturnOutsideFunction: true, allowAwaitOutsideFunction: true, allowUndeclaredExports: true, allowNewTargetOutsideFunction: true };
  try {
    return parse(text, { sourceType, plugins, ...lenient });
  } catch {
    // Invalid syntax, or out of stack.
    return undefined;
  }
}

/** Calls `visit` with each node below `node` and its ancestors, the nearest last. */
export function walk(node, visit, ancestors = []) {
  visit(node, ancestors);
  const below = [...ancestors, node];
  for (const key in node) {
    if (key === "loc" || key === "errors" || key.endsWith("Comments") || key === "extra") continue;
    const value = node[key];
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child?.type === "string") walk(child, visit, below);
    }
  }
}

/** The value of a string, or of a template without variables. */
export function stringValue(node) {
  if (node?.type === "StringLiteral") return node.value;
  return node?.type === "TemplateLiteral" && node.expressions.length === 0 ? node.quasis[0].value.cooked : undefined;
}

/** `import.meta`, or undefined. */
export const isImportMeta = (node) => node?.type === "MetaProperty" && node.meta.name === "import";

/** Whether `node` is `import.meta.<name>`. */
export const isImportMetaMember = (node, name) =>
  node?.type === "MemberExpression" && !node.computed && isImportMeta(node.object) && node.property.name === name;

/** The argument of `import(…)`, in either of the parser's representations. */
export const dynamicImport = (node) =>
  node.type === "ImportExpression" ? node.source : node.type === "CallExpression" && node.callee.type === "Import" ? node.arguments[0] : undefined;

/** Applies edits to a text. @param {{start: number, end: number, text: string}[]} edits an edit within another is skipped */
export function edited(text, edits) {
  let result = "", from = 0;
  for (const edit of [...edits].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (edit.start < from) continue;
    result += text.slice(from, edit.start) + edit.text;
    from = edit.end;
  }
  return result + text.slice(from);
}

/**
 * Every import of a module, in the order of the file.
 * @typedef {object} Import
 * @property {string} specifier
 * @property {number} at its offset
 * @property {boolean} isType removed by the compiler
 * @property {string[]} names the imported names, as the other module exports them
 * @property {string} [type] the file type in `with { type: "json" }`
 */
/** @returns {Import[]} */
export function importsOf(path, tree) {
  const imports = [], add = (source, isType, names = [], type = undefined) => {
    const specifier = stringValue(source);
    if (specifier !== undefined) imports.push({ specifier, at: source.start, isType, names, type });
  };
  const used = isTypeScript(path) ? usedAsValues(tree) : undefined;
  walk(tree.program, (node) => {
    switch (node.type) {
      case "ImportDeclaration": return add(node.source, isGone(node, used), takenNames(node), typeOf(node.attributes));
      case "ExportAllDeclaration":
      case "ExportNamedDeclaration": return add(node.source, node.exportKind === "type", [], typeOf(node.attributes));
      case "TSImportType": return add(node.argument?.literal ?? node.argument ?? node.source, true);
      case "TSExternalModuleReference": return add(node.expression, false);
      case "CallExpression":
        if (node.callee.type === "Identifier" && node.callee.name === "require") add(node.arguments[0], false);
    }
    const source = dynamicImport(node);
    if (source) add(source, false, [], typeOf(propertyOf(node.options ?? node.arguments?.[1], "with")?.properties));
  });
  return imports.sort((a, b) => a.at - b.at);
}

/** The type in an import's attributes, from a declaration or an object. */
const typeOf = (attributes) => stringValue(attributes?.find(({ key }) => (key?.name ?? key?.value) === "type")?.value);

const propertyOf = (object, name) => object?.properties?.find(({ key }) => (key?.name ?? key?.value) === name)?.value;

function takenNames(declaration) {
  if (declaration.importKind === "type") return [];
  const named = declaration.specifiers.filter((one) => one.type === "ImportSpecifier" && one.importKind !== "type");
  return named.map(({ imported }) => imported.name ?? imported.value);
}

/** Whether TypeScript removes an import because it is only used as a type. */
function isGone(declaration, used) {
  if (declaration.importKind === "type") return true;
  const isType = (one) => one.importKind === "type" || (used && !used.has(one.local.name));
  return declaration.specifiers.length > 0 && declaration.specifiers.every(isType);
}

function usedAsValues(tree) {
  const names = new Set();
  walk(tree.program, (node, ancestors) => {
    const parent = ancestors.at(-1);
    if (node.type === "JSXIdentifier" && !["JSXAttribute"].includes(parent.type)) names.add(node.name);
    if (node.type !== "Identifier") return;
    if (parent.type.startsWith("Import") || (parent.type.startsWith("TS") && !VALUES_IN_TYPES.has(parent.type))) return;
    if (parent.type === "MemberExpression" && parent.property === node && !parent.computed) return;
    names.add(node.name);
  });
  return names;
}

/** TypeScript nodes that contain an expression. */
const VALUES_IN_TYPES = new Set([
  "TSAsExpression", "TSSatisfiesExpression", "TSNonNullExpression", "TSTypeAssertion", "TSExportAssignment", "TSInstantiationExpression", "TSEnumMember", "TSImportEqualsDeclaration",
]);
