// Messages about imports, for the code's owner or for a model that repairs the code.

import { nameAt } from "./cdn.js";
import { exportsOf } from "./exports.js";
import { join } from "./path.js";
import { isModule } from "./project.js";

const ENDINGS = ["", ".tsx", ".ts", ".jsx", ".js", ".mts", ".mjs", ".cjs", ".d.ts", ".json", ".css", ".vue", ".svelte"];

/**
 * Says that there is no file for `wanted`, which `specifier` resolves to, and suggests a similar one.
 * @param {string} from the importer's folder
 */
export function missing({ files, root, sourceFolder }, specifier, wanted, from) {
  const path = wanted.startsWith("/") ? join(root, wanted) : /^[@~]\//.test(wanted) ? join(sourceFolder, wanted.slice(2)) : join(from, wanted);
  if (path === undefined) return `"${specifier}" leads out of the project`;
  const stems = [path, path.replace(/\.[cm]?jsx?$/, ""), `${path}/index`];
  const candidates = new Set(stems.flatMap((stem) => ENDINGS.map((ending) => (stem + ending).toLowerCase())));
  const meant = [...files.keys()].find((file) => candidates.has(file.toLowerCase()));
  if (meant) return `cannot find "${specifier}": there is no ${path}; did you mean ${meant}? File names are case-sensitive`;
  return `cannot find "${specifier}": there is no ${path}; write it, or import what there is`;
}

/** Replaces esbuild's message about a missing export with one that lists the existing exports. */
export function unexported({ project, cdn }, text, notes) {
  const [, file, name] = text.match(/^No matching export in "(.+)" for import "(.+)"$/) ?? [];
  if (name === undefined) return undefined;
  const own = file.startsWith("package:") ? `"${nameAt(cdn, file.slice("package:".length))}"` : undefined;
  const path = own ?? join(project.root, file.replace(/^[a-z-]+:/, "").replace(/\?.*$/, ""));
  const source = project.files.get(path);
  const isRead = source !== undefined && isModule(path);
  const { names, isOpen } = isRead ? exportsOf(path, source) : { names: [], isOpen: true };
  const [, meant] = notes?.map(({ text }) => text.match(/^Did you mean to import "(.+)" instead\?$/)).find(Boolean) ?? [];
  const shown = names.slice(0, 8).join(", ") + (names.length > 8 ? ", …" : "");
  const there = names.length > 0 ? `: it exports ${shown}` : isOpen ? "" : ": it exports nothing";
  const what = name === "default" ? `${path} has no default export` : `${path} does not export "${name}"`;
  return `${what}${there}${meant ? `; did you mean "${meant}"?` : ""}`;
}
