// Checks code that npm will install and build: its modules parse, their imports
// resolve and export the imported names, and client components of Next.js are
// marked as such.

import { isCrash, withBundler } from "./bundler.js";
import { MOUNT } from "./bundle.js";
import { clientWrong } from "./client.js";
import { at, atLine, ofProject, sorted } from "./diagnostic.js";
import { readManifest } from "./manifest.js";
import { missing, unexported } from "./messages.js";
import { isOfNode, packageName, unlisted } from "./packages.js";
import { extension, folder, join, name } from "./path.js";
import { importsOf, parsed, walk } from "./source.js";
import { mappedPath, mountedConfigs } from "./tsconfig.js";

/** The most diagnostics of one file, so that one broken file does not hide the others. */
const MOST_OF_A_FILE = 10;
/** The most diagnostics in all; the caller shows fewer. */
const MOST = 200;
/** The most imports of one file that are followed. Real files have fewer than 100. */
const MOST_IMPORTS = 500;
/** The most package.json files that are read, nearest to the root first. */
const MOST_MANIFESTS = 30;

const MODULES = new Set(["ts", "tsx", "jsx", "mts", "cts", "js", "mjs", "cjs"]);
const isModule = (path) => MODULES.has(extension(path)) && !/\.d\.[cm]?ts$/.test(path);

/** Node's modules that packages.js does not list, and those that exist only with the prefix `node:`. */
const OF_NODE_TOO = new Set(["console", "constants", "diagnostics_channel", "domain", "inspector", "punycode", "repl", "sys", "trace_events", "wasi"]);
const OF_NODE_ALONE = new Set(["sea", "sqlite", "test"]);
/** Schemes of modules that a runtime or a build tool provides. */
const SCHEMES = new Set(["data", "virtual", "bun", "cloudflare", "astro", "fumadocs-mdx"]);
/** Modules that Next.js provides without a package of that name. */
const OF_NEXT = new Set(["server-only", "client-only", "styled-jsx"]);
/** Files that tools generate before a build: types of routes, database clients. */
const isGenerated = (specifier) => /\/generated\/|\/\+types\/|\/\$types$/.test(specifier);

/** The diagnostics for all modules among `files`, sorted by path. */
export async function check(files) {
  const mounted = new Map([...files, ...mountedConfigs({ files })].map(([path, text]) => [MOUNT + path, text]));
  try {
    return await withBundler(mounted, async (esbuild) => {
      const wrong = await new Check(esbuild, files).run();
      return sorted(wrong).slice(0, MOST);
    });
  } catch (error) {
    if (isCrash(error)) return [ofProject("The code is nested too deeply, or is too large, to be compiled: split its largest module")];
    throw error;
  }
}

class Check {
  constructor(esbuild, files) {
    Object.assign(this, { esbuild, files, wrong: [], resolved: new Map(), leadsTo: new Map() });
    const manifests = [...files.keys()].filter((path) => name(path) === "package.json").sort((a, b) => a.length - b.length).slice(0, MOST_MANIFESTS);
    /** Manifests by folder; undefined for an unreadable one, which may list any package. */
    this.manifests = manifests.map((path) => ({ folder: folder(path), manifest: readManifest(files, folder(path)).manifest }));
    this.modules = new Map([...files].filter(([path]) => isModule(path)).map(([path, source]) => [path, readModule(path, source)]));
  }

  async run() {
    await this.bundle();
    const routes = [...this.modules.keys()].filter((path) => this.above(path).some((manifest) => manifest?.listed.has("next")));
    return [...this.wrong, ...clientWrong(routes, this.modules, this.leadsTo)];
  }

  async bundle() {
    const plugin = {
      name: "check",
      setup: (build) => {
        const own = Symbol("own");
        const inner = (specifier, resolveDir, kind = "import-statement") => build.resolve(specifier, { resolveDir: MOUNT + resolveDir, kind, pluginData: own });
        build.onStart(() => this.follow(inner));
        build.onResolve({ filter: /.*/ }, async ({ path, resolveDir, kind, pluginData }) => {
          if (pluginData === own || kind === "entry-point") return undefined;
          const { file } = await this.lookUp(inner, path.split("?")[0], resolveDir.slice(MOUNT.length).replace(/^$|([^/])$/, (all) => (all ? `${all}/` : "")));
          return file ? { path: MOUNT + file } : { path, external: true };
        });
        build.onLoad({ filter: /.*/ }, ({ path }) => (isModule(path) || extension(path) === "json" ? undefined : { contents: "", loader: "empty" }));
      },
    };
    const options = { bundle: true, write: false, outdir: "/out", format: "esm", logLevel: "silent", logLimit: 0, jsx: "automatic", platform: "node", loader: { ".js": "jsx", ".mjs": "jsx", ".cjs": "jsx" }, resolveExtensions: ENDINGS, absWorkingDir: MOUNT, target: "esnext" };
    const entryPoints = [...this.modules.keys()].map((path) => MOUNT + path);
    const { errors } = await this.esbuild.build({ ...options, entryPoints, plugins: [plugin] }).catch((error) => (error.errors ? error : Promise.reject(error)));
    const counts = new Map();
    for (const { text, location, notes } of errors ?? []) {
      if (!location || /^Could not|^No loader|^Top-level await/.test(text)) continue;
      const source = this.files.get(location.file), count = counts.get(location.file) ?? 0;
      counts.set(location.file, count + 1);
      if (source === undefined || count >= MOST_OF_A_FILE) continue;
      const bytes = new TextEncoder().encode(source.split("\n")[location.line - 1] ?? "");
      const column = [...new TextDecoder().decode(bytes.subarray(0, location.column))].length + 1;
      const message = unexported({ project: { root: "", files: this.files } }, text, notes) ?? text;
      this.wrong.push(atLine(location.file, source, location.line, column, message));
    }
  }

  /** Follows the imports of every module, including imports of types. */
  async follow(inner) {
    for (const [path, module] of this.modules) {
      const found = [], lost = [];
      for (const one of module.imports.slice(0, MOST_IMPORTS)) {
        if (lost.length === MOST_OF_A_FILE) break;
        const { file, wrong } = await this.resolve(inner, path, one);
        if (wrong) lost.push(at(path, module.source, one.at, wrong));
        else if (file && !one.isType) found.push(file);
      }
      this.leadsTo.set(path, found);
      this.wrong.push(...lost);
    }
  }

  /** @returns {Promise<{file?: string, wrong?: string}>} neither if it leads out of the application */
  async resolve(inner, path, { specifier: written, isType }) {
    const specifier = written.split("?")[0], from = folder(path);
    if (specifier === "") return { wrong: "an import names nothing: name a file or a package" };
    if (isGenerated(specifier)) return {};
    const { file } = await this.lookUp(inner, specifier, from);
    if (file) return { file };
    if (/^(\.\.?(\/|$)|\/)/.test(specifier)) return { wrong: this.missing(specifier, specifier, from) };
    const scheme = specifier.match(/^([^:]+):(.*)$/);
    if (scheme?.[1] === "node") return isNodes(scheme[2]) || OF_NODE_ALONE.has(scheme[2]) ? {} : { wrong: `"${specifier}" is no module of Node.js` };
    if (scheme) return SCHEMES.has(scheme[1]) ? {} : { wrong: `"${specifier}" is not of this application: name it in package.json, and import it by its name` };
    if (isNodes(specifier) || this.isAvailable(path, specifier, isType)) return {};
    const mapped = mappedPath(this.files, from, specifier);
    return { wrong: mapped === undefined ? absent(specifier) : this.missing(specifier, `/${mapped}`, from) };
  }

  missing(specifier, wanted, from) {
    return missing({ files: this.files, root: "", sourceFolder: "" }, specifier, wanted, from);
  }

  lookUp(inner, specifier, from) {
    const key = `${from} ${specifier}`;
    if (!this.resolved.has(key)) this.resolved.set(key, this.find(inner, specifier, from));
    return this.resolved.get(key);
  }

  async find(inner, specifier, from) {
    if (specifier.startsWith("/")) {
      const file = [join("", specifier), join("public", specifier)].find((path) => this.files.has(path));
      return file ? { file } : this.find(inner, `.${specifier}`, "");
    }
    const exact = /^\.\.?\//.test(specifier) ? join(from, specifier) : undefined;
    if (exact !== undefined && this.files.has(exact)) return { file: exact };
    if (/^\.\.?(\/|$)/.test(specifier) && exact === undefined && join(from, specifier) === undefined) return {};
    const { path, errors, namespace } = await inner(specifier, from.replace(/\/$/, ""));
    const file = errors.length === 0 && namespace === "file" && path.startsWith(MOUNT) ? path.slice(MOUNT.length) : undefined;
    // Most file systems are case-sensitive, so the exact path must exist.
    if (file && this.files.has(file)) return { file };
    const declared = specifier.match(/^(.*)\.([cm]?)js$/);
    if (declared) return this.find(inner, `${declared[1]}.d.${declared[2]}ts`, from);
    return {};
  }

  /** The manifests above a file; undefined for one that cannot be read. */
  above(path) {
    return this.manifests.filter((one) => path.startsWith(one.folder)).map(({ manifest }) => manifest);
  }

  /** Whether a listed package provides a bare specifier. */
  isAvailable(path, specifier, isType) {
    const name = packageName(specifier), types = `@types/${name.replace(/^@/, "").replace("/", "__")}`;
    const has = (manifest) => manifest === undefined || manifest.listed.has(name) || (specifier.startsWith("#") && manifest.imports.some((prefix) => specifier.startsWith(prefix)))
      || (isType && manifest.listed.has(types)) || (OF_NEXT.has(name) && manifest.listed.has("next")) || (specifier.startsWith("$") && manifest.listed.has("@sveltejs/kit"));
    return this.above(path).some(has) || this.manifests.some(({ manifest }) => manifest?.name === name);
  }
}

/** Extensions that TypeScript and Node resolve. */
const ENDINGS = [".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", ".json"];

const isNodes = (specifier) => isOfNode(specifier) || OF_NODE_TOO.has(specifier.split("/")[0]);

/** The message for a bare specifier that no package provides. */
function absent(specifier) {
  const prefix = specifier.split("/")[0];
  if (!["@", "~"].includes(prefix) && !prefix.startsWith("#")) return unlisted(specifier);
  return `no alias says what "${prefix}/" of "${specifier}" is: add "${prefix}/*" to compilerOptions.paths of tsconfig.json`;
}

/** @typedef {{source: string, isClient: boolean, imports: import("./source.js").Import[], membersOfReact: {name: string, at: number}[], exports: {name: string, at: number}[]}} Module */
/** @returns {Module} */
function readModule(path, source) {
  try {
    const tree = parsed(path, source);
    if (tree) return { source, imports: importsOf(path, tree), ...clientSide(tree) };
  } catch { /* Out of stack: esbuild reports it. */ }
  return { source, isClient: false, imports: [], membersOfReact: [], exports: [] };
}

function clientSide({ program }) {
  const membersOfReact = [], exports = [];
  walk(program, ({ type, object, property, computed }) => {
    if (type === "MemberExpression" && !computed && object.name === "React") membersOfReact.push({ name: property.name, at: property.start });
  });
  for (const node of program.body) {
    if (node.type !== "ExportNamedDeclaration") continue;
    const declared = node.declaration?.declarations?.map(({ id }) => id) ?? (node.declaration?.id ? [node.declaration.id] : []);
    const names = [...declared, ...node.specifiers.map(({ exported }) => exported)].filter((id) => id.name);
    exports.push(...names.map(({ name, start }) => ({ name, at: start })));
  }
  const isClient = program.directives.some(({ value }) => value.value === "use client");
  return { isClient, membersOfReact, exports };
}
