// Finds the exports of modules.

import { at } from "./diagnostic.js";
import { isTypeScript, parsed } from "./source.js";

/**
 * @param {{types?: boolean}} options whether types count
 * @returns {{names: string[], isOpen: boolean}} open if there may be more, as with `export *`
 */
export function exportsOf(path, text, { types = false } = {}) {
  const tree = parsed(path, text), names = [];
  if (!tree) return { names, isOpen: true };
  let isOpen = false;
  for (const node of tree.program.body) {
    if (node.type === "ExportDefaultDeclaration") names.push("default");
    if (node.type === "ExportAllDeclaration" || node.type === "TSExportAssignment") isOpen = true;
    if (node.type !== "ExportNamedDeclaration" || (node.exportKind === "type" && !types)) continue;
    names.push(...node.specifiers.map(({ exported }) => exported.name ?? exported.value), ...(node.declaration?.declarations ?? []).flatMap(({ id }) => bound(id)));
    const isType = /^TS(Interface|TypeAlias)/.test(node.declaration?.type);
    if (node.declaration?.id?.name && (types || !isType)) names.push(node.declaration.id.name);
  }
  return { names, isOpen };
}

/** The names that a pattern binds. */
function bound(pattern) {
  switch (pattern?.type) {
    case "Identifier": return [pattern.name];
    case "ObjectPattern": return pattern.properties.flatMap((property) => bound(property.value ?? property.argument));
    case "ArrayPattern": return pattern.elements.flatMap(bound);
    case "AssignmentPattern": return bound(pattern.left);
    case "RestElement": return bound(pattern.argument);
    default: return [];
  }
}

/**
 * Diagnostics for names that a TypeScript module re-exports but no module declares. esbuild takes them for types and
 * removes them, so code that uses them would fail in the browser.
 *
 * @param {Map<string, string>} files
 * @param {[string, {path: string, original?: string}[]][]} modules each with its resolved imports
 */
export function lostReexports(files, modules) {
  return modules.filter(([path]) => isTypeScript(path) && /\bexport\s*\{/.test(files.get(path) ?? "")).flatMap(([path, imports]) => lostOf(files, path, imports));
}

function lostOf(files, path, imports) {
  const text = files.get(path), tree = parsed(path, text), wrong = [];
  const target = (source) => imports.find(({ original }) => original === source.value)?.path;
  const imported = new Map();
  const checkExported = (node, name, source) => {
    const file = target(source), there = files.get(file);
    if (there === undefined || !/\.[cm]?[jt]sx?$/.test(file)) return;
    const { names, isOpen } = exportsOf(file, there, { types: true });
    if (isOpen || names.includes(name)) return;
    wrong.push(at(path, text, node.start, `${file} does not export "${name}": it exports ${names.join(", ") || "nothing"}`));
  };
  for (const node of tree?.program.body ?? []) {
    if (node.type === "ImportDeclaration") {
      for (const one of node.specifiers) if (one.type === "ImportSpecifier") imported.set(one.local.name, [one.imported.name ?? one.imported.value, node.source]);
    }
    if (node.type !== "ExportNamedDeclaration" || node.exportKind === "type") continue;
    for (const one of node.specifiers.filter(({ exportKind }) => exportKind !== "type")) {
      const [name, source] = node.source ? [one.local?.name ?? one.local?.value, node.source] : imported.get(one.local?.name) ?? [];
      if (source && name !== undefined) checkExported(one, name, source);
    }
  }
  return wrong;
}
