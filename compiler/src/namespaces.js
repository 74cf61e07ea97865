// Rewrites TypeScript namespaces in several blocks. One block may assign a
// variable that another exports, which esbuild takes for a global
// (evanw/esbuild#4450): the assignment is rewritten to the namespace's
// property.

import { walk } from "./source.js";

/** Whether a source may contain such namespaces. */
export function mayMerge(text) {
  const names = Array.from(text.matchAll(/\bnamespace\s+([\w$]+)/g), ([, name]) => name);
  return new Set(names).size < names.length;
}

/** @returns {{start: number, end: number, text: string}[]} edits of the module */
export function namespaceWrites(tree) {
  const blocks = new Map(), edits = [];
  walk(tree.program, (node) => {
    if (node.type === "TSModuleDeclaration" && node.id.type === "Identifier" && node.body) blocks.set(node.id.name, [...(blocks.get(node.id.name) ?? []), node.body]);
  });
  for (const [name, bodies] of blocks) {
    for (const body of bodies.length > 1 ? bodies : []) {
      const others = new Set(bodies.filter((one) => one !== body).flatMap(exportedBy));
      walk(body, (node, ancestors) => {
        const written = node.type === "AssignmentExpression" ? node.left : node.type === "UpdateExpression" ? node.argument : undefined;
        for (const target of targets(written)) if (others.has(target.name) && !ancestors.some((one) => declaredBy(one).includes(target.name))) edits.push({ start: target.start, end: target.end, text: `${target.isShorthand ? `${target.name}: ` : ""}${name}.${target.name}` });
      });
    }
  }
  return edits;
}

/** The variables that a block exports. */
const exportedBy = ({ body }) => body.flatMap(({ declaration }) => (declaration?.type === "VariableDeclaration" ? declaration.declarations : [])).map(({ id }) => id.name);

/** The names that a function or a block declares. */
function declaredBy(node) {
  const statements = [node.body, node.init].flat().filter(Boolean).map((one) => one.declaration ?? one);
  const variables = statements.flatMap(({ declarations = [] }) => declarations.flatMap(({ id }) => targets(id)));
  const named = statements.filter(({ type, id }) => /^(Function|Class|TSEnum)/.test(type) && id).map(({ id }) => id);
  return [...(node.params ?? []).flatMap(targets), ...variables, ...named].map(({ name }) => name);
}

/** The names that an assignment to a pattern writes, with their positions. */
function targets(node) {
  switch (node?.type) {
    case "Identifier": return [{ name: node.name, start: node.start, end: node.end }];
    case "ArrayPattern": return node.elements.flatMap(targets);
    case "ObjectPattern": return node.properties.flatMap((property) => targets(property.value ?? property.argument).map((one) => ({ ...one, isShorthand: property.shorthand })));
    case "AssignmentPattern": return targets(node.left);
    case "RestElement": return targets(node.argument);
    default: return [];
  }
}
