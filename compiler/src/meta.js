// Rewrites code that Vite supports and esbuild does not: import.meta.glob, `new
// URL(…, import.meta.url)`, import.meta as a value, imports with variables in
// the path, and namespaces in several blocks.

import picomatch from "picomatch";
import { mayMerge, namespaceWrites } from "./namespaces.js";
import { extension, folder, join, relative } from "./path.js";
import { dynamicImport, edited, isImportMeta, isImportMetaMember, parsed, stringValue, walk } from "./source.js";

/** Whether a source may contain such code. */
export const mayNeed = (text) => mayMerge(text) || text.includes("import.meta") || /\bimport\s*\(\s*(\/\*|`|[^"'`)\s])|\bimport\s*\([^)]*\+/.test(text);

const LOOKUP = "((all) => (path) => (all[path] ?? (() => Promise.reject(new Error(`There is no module ${path}`))))())";

/**
 * @param {string} path of the module
 * @param {object} project
 * @param {(target: string) => Promise<string>} addressOf the address of a file, relative to a compiled module
 * @returns {Promise<{text: string, wrong: {at: number, message: string}[]}>}
 */
export async function rewritten(path, text, project, addressOf) {
  const tree = parsed(path, text);
  const edits = [], wrong = [], imports = [], waiting = [];
  const served = async (file) => JSON.stringify(await addressOf(file));
  const replace = (node, text) => edits.push({ start: node.start, end: node.end, text });
  if (tree) {
    edits.push(...namespaceWrites(tree));
    walk(tree.program, (node, ancestors) => {
      const parent = ancestors.at(-1);
      if (node.type === "CallExpression" && isImportMetaMember(node.callee, "glob")) {
        const made = glob(node, path, project, imports);
        return made.text === undefined ? wrong.push({ at: node.start, message: made.wrong }) : replace(node, made.text);
      }
      if (isImportMeta(node) && isValue(parent, node)) return replace(node, "({ url: import.meta.url, env: import.meta.env })");
      if (node.type === "NewExpression" && node.callee.name === "URL" && isImportMetaMember(node.arguments[1], "url")) {
        return waiting.push(address(node.arguments[0]));
      }
      const source = dynamicImport(node);
      const pattern = source && !isIgnored(source) && patternOf(source, path, project);
      if (pattern) replace(node, `${LOOKUP}({ ${entriesOf(pattern, path, project).join(", ")} })(${text.slice(source.start, source.end)})`);
    });
  }
  async function address(node) {
    const specifier = stringValue(node);
    if (specifier !== undefined) {
      const file = fileAt(path, specifier, project);
      if (file) replace(node, await served(file));
      else if (/^\.\.?\//.test(specifier) && extension(specifier)) wrong.push({ at: node.start, message: `cannot find "${specifier}": there is no ${join(folder(path), specifier) ?? specifier}` });
      return;
    }
    const pattern = patternOf(node, path, project);
    if (!pattern) return;
    const pairs = await Promise.all(matching(pattern.test, path, project).map(async (file) => `${JSON.stringify(pattern.written(file))}: ${await served(file)}`));
    replace(node, `({ ${pairs.join(", ")} })[${text.slice(node.start, node.end)}]`);
  }
  await Promise.all(waiting);
  // Added to the first line, so that line numbers stay the same.
  return { text: imports.join("") + edited(text, edits), wrong };
}

/** Whether `import.meta` itself is used and not one of its members. */
function isValue(parent, node) {
  const isWrapped = ["TSAsExpression", "TSNonNullExpression", "TSSatisfiesExpression", "TSTypeAssertion", "ParenthesizedExpression"].includes(parent?.type);
  return !isWrapped && !(/MemberExpression$/.test(parent?.type) && parent.object === node);
}

const isIgnored = (source) => (source.leadingComments ?? []).some(({ value }) => /@vite-ignore|webpackIgnore/.test(value));

function fileAt(path, specifier, { files, root }) {
  const [wanted] = specifier.split(/[?#]/);
  const candidates = wanted.startsWith("/") ? [root + wanted.slice(1), `${root}public${wanted}`] : [join(folder(path), wanted), join(root, wanted)];
  return candidates.find((candidate) => files.has(candidate));
}

/** A pattern for the files that a path with variables may refer to: a template or concatenated strings. */
function patternOf(node, path, project) {
  const texts = pieces(node);
  if (!texts || texts.length < 2) return undefined;
  const [start, ...rest] = texts;
  const alias = start.match(/^[@~]\//) ? project.sourceFolder : undefined;
  const from = alias ?? (start.startsWith("/") ? project.root : folder(path));
  const literal = alias === undefined ? start.replace(/^\//, "") : start.slice(2);
  if (alias === undefined && !/^(\.\.?\/|\/)/.test(start)) return undefined;
  const directory = join(from, folder(literal));
  if (directory === undefined) return undefined;
  const prefix = (directory && `${directory}/`) + literal.slice(folder(literal).length);
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const hasExtension = extension(rest.at(-1)) !== "" || /\.$/.test(texts.at(-2) ?? "");
  const ending = hasExtension ? "" : "(\\.(?:[cm]?[jt]sx?|json|vue|svelte))?";
  const test = new RegExp(`^${escaped(prefix)}(${rest.map((text) => `(?:[^/]+?)${escaped(text)}`).join("")})${ending}$`);
  return { test, written: (file) => start.slice(0, start.length - literal.slice(folder(literal).length).length) + literal.slice(folder(literal).length) + file.match(test)[1] };
}

/** The texts around the variables of an expression; undefined for other expressions. */
function pieces(node) {
  if (node.type === "TemplateLiteral") return node.quasis.map(({ value }) => value.cooked ?? "");
  if (node.type === "StringLiteral") return [node.value];
  if (node.type !== "BinaryExpression" || node.operator !== "+") return isVariable(node) ? ["", ""] : undefined;
  const left = pieces(node.left), right = pieces(node.right);
  return left && right && [...left.slice(0, -1), left.at(-1) + right[0], ...right.slice(1)];
}

const isVariable = (node) => ["Identifier", "MemberExpression", "CallExpression", "ConditionalExpression", "TSAsExpression"].includes(node.type);

const matching = (test, path, { files }) => [...files.keys()].filter((file) => test.test(file) && file !== path && !file.endsWith(".d.ts"));

const entriesOf = (pattern, path, project) =>
  matching(pattern.test, path, project).map((file) => `${JSON.stringify(pattern.written(file))}: () => import(${JSON.stringify(relative(path, file))})`);

/** `import.meta.glob(patterns, options)`, https://vite.dev/guide/features#glob-import */
function glob(node, path, project, imports) {
  const patterns = stringList(node.arguments[0]);
  const options = literalOptions(node.arguments[1]);
  if (!patterns || !options) return { wrong: "import.meta.glob takes texts and an object as they are: they are read while the app is compiled" };
  const from = options.base ? join(folder(path), options.base) + "/" : folder(path);
  const rooted = (pattern) => (pattern.startsWith("/") ? project.root + pattern.slice(1) : /^[@~]\//.test(pattern) ? join(project.sourceFolder, pattern.slice(2)) : join(from, pattern));
  const wanted = patterns.filter((pattern) => !pattern.startsWith("!")).map(rooted);
  const ignore = patterns.filter((pattern) => pattern.startsWith("!")).map((pattern) => rooted(pattern.slice(1)));
  const isMatch = picomatch(wanted, { ignore, dot: Boolean(options.exhaustive) });
  const isRooted = patterns[0].startsWith("/");
  const query = options.query ?? (options.as ? `?${options.as}` : "");
  const name = options.import ?? (options.as ? "default" : undefined);
  const entries = [...project.files.keys()].filter((file) => file !== path && isMatch(file)).sort().map((file) => {
    const key = JSON.stringify(isRooted ? `/${file.slice(project.root.length)}` : relative(options.base ? `${from}x` : path, file));
    const specifier = JSON.stringify(relative(path, file) + query);
    if (!options.eager) {
      const member = name && name !== "*" ? `.then((module) => module[${JSON.stringify(name)}])` : "";
      return `${key}: () => import(${specifier})${member}`;
    }
    const local = `__glob_${imports.length}`;
    imports.push(`import ${name && name !== "*" ? `{ ${JSON.stringify(name)} as ${local} }` : `* as ${local}`} from ${specifier};`);
    return `${key}: ${local}`;
  });
  return { text: `({ ${entries.join(", ")} })` };
}

function stringList(node) {
  const list = node?.type === "ArrayExpression" ? node.elements.map(stringValue) : [stringValue(node)];
  return list.every((text) => text !== undefined) ? list : undefined;
}

function literalOptions(node) {
  if (!node) return {};
  if (node.type !== "ObjectExpression") return undefined;
  const pairs = node.properties.map(({ key, value }) => [key?.name ?? key?.value, stringValue(value) ?? (value?.type === "BooleanLiteral" ? value.value : queryOf(value))]);
  return Object.fromEntries(pairs);
}

/** Converts `{ raw: true }` to `"?raw"`. */
const queryOf = (node) => (node?.type === "ObjectExpression" ? `?${node.properties.map(({ key }) => key.name ?? key.value).join("&")}` : undefined);
