// Reads a project from its files. Paths are relative to the code's root, even if the project is in a subfolder.

import { browserEnv } from "./env.js";
import { readManifest } from "./manifest.js";
import { extension, folder, join, name } from "./path.js";
import { parsed, stringValue, walk } from "./source.js";

/** Extensions of modules that are compiled. */
const MODULES = new Set(["ts", "tsx", "jsx", "mts", "cts", "js", "mjs", "cjs", "vue", "svelte"]);
/** Those of them that browsers cannot run. */
const SOURCES = new Set(["ts", "tsx", "jsx", "mts", "cts", "vue", "svelte"]);
const STYLES = new Set(["css", "scss", "sass", "less"]);

export const isModule = (path) => MODULES.has(extension(path)) && !/\.d\.[cm]?ts$/.test(path);
export const isSource = (path) => SOURCES.has(extension(path));
export const isStyle = (path) => STYLES.has(extension(path));

/**
 * @typedef {object} Project
 * @property {Map<string, string>} files
 * @property {string} root the project's folder, with its slash; empty for the code's root
 * @property {import("./manifest.js").Manifest} manifest
 * @property {Record<string, string>} env variables for the browser from its .env files
 * @property {string} sourceFolder the default meaning of `@/`
 * @property {[string, string][]} aliases aliases from vite.config: a specifier's prefix, and the path that replaces it
 * @property {Map<string, string>} workspaces the folders of other packages by name
 * @property {Set<string>} provided the names that the pages' own import maps provide
 */

/** @returns {{project?: Project, wrong?: import("./diagnostic.js").Diagnostic}} */
export function readProject(files, root) {
  const { manifest, wrong } = readManifest(files, root);
  if (wrong) return { wrong };
  const own = new Map([...files].filter(([path]) => path.startsWith(root)).map(([path, text]) => [path.slice(root.length), text]));
  const hasSource = [...own.keys()].some((path) => path.startsWith("src/"));
  const project = {
    files, root, manifest, env: browserEnv(own), sourceFolder: hasSource ? `${root}src` : root.slice(0, -1), provided: new Set(), workspaces: new Map(),
    aliases: ["ts", "js", "mts", "mjs"].flatMap((ending) => aliasesOf(`${root}vite.config.${ending}`, files)),
  };
  for (const path of files.keys()) addWorkspace(project, path);
  return { project };
}

/** Adds a workspace package and its dependencies to the project. */
function addWorkspace(project, path) {
  if (name(path) !== "package.json" || path === `${project.root}package.json`) return;
  const { manifest } = readManifest(project.files, folder(path));
  if (manifest?.name) project.workspaces.set(manifest.name, folder(path));
  for (const [name, range] of manifest?.listed ?? []) {
    if (!project.manifest.listed.has(name)) project.manifest.listed.set(name, range);
  }
}

/** `resolve.alias` of a Vite configuration, if its paths are written in a usual way. */
function aliasesOf(path, files) {
  const text = files.get(path), tree = text === undefined ? undefined : parsed(path, text);
  const aliases = [];
  if (!tree) return aliases;
  walk(tree.program, (node) => {
    if (node.type !== "ObjectProperty" || (node.key.name ?? node.key.value) !== "alias") return;
    const entries = node.value.type === "ArrayExpression" ? node.value.elements.map(entryOfList) : (node.value.properties ?? []).map(({ key, value }) => [key?.name ?? key?.value, value]);
    for (const [from, value] of entries) {
      const to = value && pathOf(value, folder(path));
      if (from && to !== undefined) aliases.push([from, to]);
    }
  });
  return aliases.sort(([a], [b]) => b.length - a.length);
}

function entryOfList(node) {
  const of = (name) => node?.properties?.find(({ key }) => (key?.name ?? key?.value) === name)?.value;
  return [stringValue(of("find")), of("replacement")];
}

/** The path that an expression in a configuration gives; undefined if unknown. */
function pathOf(node, from) {
  const text = stringValue(node);
  if (text !== undefined) return text.startsWith("/") ? join(from, text) : join(from, text);
  if (node.type === "Identifier" && node.name === "__dirname") return from.replace(/\/$/, "");
  if (isNewUrl(node)) return join(from, stringValue(node.arguments[0]) ?? "");
  if (node.type === "MemberExpression" && isNewUrl(node.object)) return pathOf(node.object, from);
  if (node.type === "TemplateLiteral" && node.expressions[0]?.name === "__dirname" && node.expressions.length === 1) return join(from, node.quasis[1].value.cooked);
  if (node.type !== "CallExpression") return undefined;
  const name = node.callee.name ?? node.callee.property?.name;
  if (name === "cwd") return from.replace(/\/$/, "");
  if (name === "fileURLToPath") return pathOf(node.arguments[0], from);
  if (name !== "resolve" && name !== "join") return undefined;
  const parts = node.arguments.map((part) => (part.name === "__dirname" || part.callee?.property?.name === "cwd" ? "" : stringValue(part)));
  return parts.every((part) => part !== undefined) ? join(from, parts.join("/")) : undefined;
}

const isNewUrl = (node) => node.type === "NewExpression" && node.callee.name === "URL";
