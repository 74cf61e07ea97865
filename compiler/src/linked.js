// Checks that the packages at the CDN export the names that a site's modules
// import: in the browser a missing name breaks the whole page.

import { parse } from "es-module-lexer/js";
import { at, ofFile } from "./diagnostic.js";
import { importMap } from "./packages.js";
import { parsed } from "./source.js";

/** How many of a package's exports a message lists. */
const MOST_SHOWN = 8;

/**
 * @param {import("./bundle.js").Bundle} bundle
 * @param {{path: string, text: string}[]} outputs
 * @param {[string, {path: string, external?: boolean}[]][]} modules the project's, each with its imports
 * @returns {Promise<import("./diagnostic.js").Diagnostic[]>}
 */
export async function unlinked(bundle, outputs, modules) {
  const taken = takenOf(outputs.filter(({ path }) => path.endsWith(".js")), bundle.packages);
  const addresses = importMap(bundle.cdn, bundle.project.manifest, bundle.packages);
  const wrong = [...taken].map(async ([specifier, names]) => {
    const exported = await exportedBy(bundle, addresses, addresses.get(specifier), new Set());
    return exported.isOpen ? [] : [...names].filter((name) => !exported.names.has(name)).map((name) => missingExport(bundle.project, modules, specifier, name, exported.names));
  });
  return (await Promise.all(wrong)).flat();
}

/** The names that the compiled modules import from each package. @returns {Map<string, Set<string>>} */
function takenOf(outputs, packages) {
  const taken = new Map();
  for (const { text } of outputs) {
    for (const { n: specifier, d: dynamic, ss: start, se: end } of parse(text)[0]) {
      if (dynamic !== -1 || !packages.has(specifier)) continue;
      const names = namesIn(text.slice(start, end));
      if (names.length > 0) taken.set(specifier, new Set([...(taken.get(specifier) ?? []), ...names]));
    }
  }
  return taken;
}

/** The names in `import a,{b as c}from"x"` or `export{b as c}from"x"`, as the other module has them. */
function namesIn(statement) {
  const [, listed = ""] = statement.match(/\{([^}]*)\}/) ?? [];
  const named = listed.split(",").map((one) => one.trim().split(/\s+as\s+/)[0]).filter((one) => /^[\w$\u0080-\uffff]+$/.test(one));
  return /^import\s*[\w$]/.test(statement) ? ["default", ...named] : named;
}

/** The exports of a CDN module; open if they cannot be determined. */
async function exportedBy(bundle, addresses, url, seen) {
  const known = { names: new Set(), isOpen: false };
  if (seen.has(url)) return known;
  seen.add(url);
  const { status, type, text, url: base } = await bundle.ask(url);
  if (status !== 200 || !/javascript|ecmascript/.test(type)) return { ...known, isOpen: true };
  try {
    const [imports, exports] = parse(text);
    for (const { n: name } of exports) known.names.add(name);
    const stars = imports.filter(({ n, ss, d }) => d === -1 && n && /^export\s*\*\s*from/.test(text.slice(ss, ss + 40)));
    for (const { n: specifier } of stars) {
      const next = addresses.get(specifier) ?? (/^([./]|https?:)/.test(specifier) ? new URL(specifier, base).href : undefined);
      const { names, isOpen } = next ? await exportedBy(bundle, addresses, next, seen) : { names: [], isOpen: true };
      known.isOpen ||= isOpen;
      for (const name of names) if (name !== "default") known.names.add(name);
    }
    return known;
  } catch {
    return { ...known, isOpen: true };
  }
}

function missingExport({ files }, modules, specifier, name, names) {
  const path = modules.map(([path]) => path).find((path) => place(files, path, specifier, name) !== undefined);
  const importer = path ?? modules.find(([, imports]) => imports.some((one) => one.external && one.specifier === specifier))?.[0];
  const all = [...names], meant = nearest(name, all);
  const there = all.length > MOST_SHOWN ? `${all.length} other names` : all.join(", ") || "nothing";
  const what = name === "default" ? `"${specifier}" has no default export` : `"${specifier}" does not export "${name}"`;
  const message = `${what}: it exports ${there}${meant ? `; did you mean "${meant}"?` : ""}`;
  if (path === undefined) return ofFile(importer ?? "package.json", message);
  return at(path, files.get(path), place(files, path, specifier, name), message);
}

/** Where a module imports a name from a package. */
function place(files, path, specifier, name) {
  const text = files.get(path);
  if (!text?.includes(specifier)) return undefined;
  for (const node of parsed(path, text)?.program.body ?? []) {
    if (node.source?.value !== specifier) continue;
    const taken = (node.specifiers ?? []).find((one) => (one.type === "ImportDefaultSpecifier" ? "default" : (node.type === "ImportDeclaration" ? one.imported : one.local)?.name) === name);
    if (taken) return taken.start;
  }
  return undefined;
}

/** The most similar of `names`, if one is close enough. */
export function nearest(name, names) {
  const plain = name.toLowerCase();
  const [best] = names.filter((one) => Math.abs(one.length - name.length) <= 3).map((one) => [distance(plain, one.toLowerCase()), one]).sort(([a], [b]) => a - b);
  return best && best[0] <= Math.max(1, Math.floor(name.length / 3)) ? best[1] : undefined;
}

/** The edit distance of two names. https://en.wikipedia.org/wiki/Levenshtein_distance */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}
