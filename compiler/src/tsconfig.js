// Adapts tsconfig.json where esbuild and Vite interpret it differently.

import { parse } from "jsonc-parser";
import { folder, join, name } from "./path.js";

/**
 * The project's configurations in the form for esbuild: configurations in
 * `references` are merged in, as an editor does, and JSX is always compiled.
 * @param {import("./project.js").Project} project
 * @returns {[string, string][]}
 */
export function mountedConfigs({ files }) {
  return [...files.keys()].filter((path) => /^(ts|js)config.*\.json$/.test(name(path))).map((path) => [path, JSON.stringify(forEsbuild(files, path))]);
}

function forEsbuild(files, path) {
  const config = read(files, path), options = { ...config.compilerOptions };
  if (options.jsx !== undefined && !options.jsxFactory) options.jsx = "react-jsx";
  const references = (Array.isArray(config.references) ? config.references : []).map((one) => one?.path).filter((one) => typeof one === "string");
  const others = references.filter((reference) => isOfApp(files, join(folder(path), reference), reference));
  const base = [config.extends ?? []].flat();
  const extended = [...base, ...others.map((reference) => (reference.endsWith(".json") ? reference : `${reference}/tsconfig.json`))].map((one) => (one.startsWith("./") || one.startsWith("../") || !files.has(join(folder(path), one) ?? "") ? one : `./${one}`));
  const { references: _, ...rest } = config;
  return { ...rest, ...(extended.length > 0 ? { extends: extended.length === 1 ? extended[0] : extended } : {}), compilerOptions: options };
}

/** Whether a referenced configuration is for the app, and not for build files such as vite.config.ts. */
function isOfApp(files, path, reference) {
  if (/node/i.test(name(reference))) return false;
  return path !== undefined && files.has(path.endsWith(".json") ? path : `${path}/tsconfig.json`);
}

function read(files, path) {
  const config = parse((files.get(path) ?? "{}").replace(/^\uFEFF/, ""), [], { allowTrailingComma: true });
  return typeof config === "object" && config !== null && !Array.isArray(config) ? config : {};
}

/**
 * Maps a specifier by the `paths` above a folder. Used only for messages;
 * esbuild resolves the import itself.
 * @returns {string | undefined} the path that the first fitting pattern gives
 */
export function mappedPath(files, from, specifier) {
  for (const path of [...files.keys()].filter((path) => /^(ts|js)config.*\.json$/.test(name(path)) && from.startsWith(folder(path)))) {
    const { compilerOptions } = read(files, path);
    const base = join(folder(path), compilerOptions?.baseUrl ?? "") ?? "";
    for (const [pattern, targets] of Object.entries(compilerOptions?.paths ?? {})) {
      const [before, after] = pattern.split("*");
      const fits = after === undefined ? specifier === pattern : pattern !== "*" && specifier.startsWith(before) && specifier.endsWith(after);
      const target = fits && Array.isArray(targets) && targets.find((one) => typeof one === "string");
      if (target) return join(base, target.replace("${configDir}", ".").replace("*", () => specifier.slice(before.length, specifier.length - (after ?? "").length)));
    }
  }
  return undefined;
}
