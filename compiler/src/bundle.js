// Bundles a project's modules, styles and assets with esbuild. Plugins load packages from a CDN and support Vite's
// special imports.

import { at, atLine } from "./diagnostic.js";
import { VITE } from "./env.js";
import { plainSheet, solidModule, svelteModule, vueModule, vueStyle } from "./languages.js";
import { isPreact, isSolid } from "./manifest.js";
import { mayNeed, rewritten } from "./meta.js";
import { missing, unexported } from "./messages.js";
import { importMap, packageFile, packageName, refusal } from "./packages.js";
import { CdnFiles, nameAt } from "./cdn.js";
import { extension, folder, join, name } from "./path.js";
import { isProvided } from "./plan.js";
import { isModule, isStyle } from "./project.js";
import { tailwindSheet } from "./tailwind.js";

/** The folder of the code in esbuild's file system. */
export const MOUNT = "/app/";
/** The folder where compiled files are served. There is only one, so the app's root is always `../`. */
export const ASSETS = "assets/";
const RUNTIME = "hatch:runtime";
/** Extensions tried for a path without one, in Vite's order. */
const EXTENSIONS = [".mjs", ".js", ".mts", ".ts", ".jsx", ".tsx", ".json", ".vue", ".svelte"];
const JSON_TYPES = new Set(["json"]);

/** @typedef {{path: string, text: string}} Output */

/** Import queries with a meaning; others are ignored. */
const MEANINGFUL = /[?&](raw|url|worker|sharedworker|inline|vue-style)(?=[&=]|$)/;

export class Bundle {
  /**
   * @param {typeof import("esbuild-wasm")} esbuild
   * @param {import("./project.js").Project} project
   * @param {{cdn: string, fetch: typeof fetch, bundle?: boolean}} options `bundle`: packages come into the bundles
   */
  constructor(esbuild, project, options) {
    Object.assign(this, { esbuild, project, ...options });
    /** Bare specifiers of packages that the pages' import map provides. */
    this.packages = new Set();
    /** Names of packages that came into the bundles. */
    this.bundled = new Set();
    /** Files served besides the bundles, by path. */
    this.assets = new Map();
    /** Generated entries, which are not files, by name. @type {Map<string, {text: string, folder: string, loader: string}>} */
    this.made = new Map();
    this.notes = [];
    /** Files of the project that modules refer to by address. */
    this.named = new Set();
    this.resolved = new Map();
    this.cdnFiles = new CdnFiles(options);
  }

  /**
   * @param {string[]} entries paths, or names of generated entries
   * @returns {Promise<{outputs: Output[], metafile?: object, wrong: import("./diagnostic.js").Diagnostic[]}>}
   */
  async build(entries) {
    return this.run(entries.map((entry) => (this.made.has(entry) ? `made:${entry}` : MOUNT + entry)), {});
  }

  async run(entryPoints, { isWorker = false, write = ASSETS, splitting = true }) {
    const { project } = this;
    try {
      const result = await this.esbuild.build({
        entryPoints, bundle: true, write: false, metafile: true, format: "esm", splitting, minify: true, charset: "utf8", legalComments: "none",
        absWorkingDir: MOUNT + project.root.replace(/\/$/, ""), outdir: `/out/${write}`, logLevel: "silent", target: "es2022", platform: "browser", conditions: ["module", "style"],
        entryNames: "[name]-[hash]", chunkNames: "[name]-[hash]", assetNames: "[name]-[hash]", resolveExtensions: EXTENSIONS, logLimit: 50,
        jsx: "automatic", jsxImportSource: isPreact(project.manifest) ? "preact" : "react", loader: { ".js": "jsx", ".mjs": "jsx" }, keepNames: false,
        inject: [RUNTIME], define: this.defines(), plugins: [this.plugin(isWorker)],
      });
      const outputs = result.outputFiles.map(({ path, text }) => ({ path: path.slice("/out/".length), text }));
      return { outputs, metafile: result.metafile, wrong: [], warnings: result.warnings };
    } catch (error) {
      if (!error.errors) throw error;
      return { outputs: [], wrong: error.errors.map((message) => this.diagnostic(message)) };
    }
  }

  defines() {
    const { env } = this.project;
    const vite = Object.entries({ ...VITE, ...env }).map(([key, value]) => [`import.meta.env.${key}`, JSON.stringify(value)]);
    const cra = Object.entries(env).filter(([key]) => key.startsWith("REACT_APP_")).map(([key, value]) => [`process.env.${key}`, JSON.stringify(value)]);
    return {
      ...Object.fromEntries([...vite, ...cra]), "import.meta.env.BASE_URL": "__hatch_base", "import.meta.env": "__hatch_env", "import.meta.hot": "undefined",
      "process.env.NODE_ENV": '"production"', "process.env.PUBLIC_URL": '""', __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false", "process.env": "__hatch_process_env",
    };
  }

  runtime() {
    const env = JSON.stringify({ ...VITE, ...this.project.env });
    const cra = JSON.stringify({ NODE_ENV: "production", PUBLIC_URL: "", ...Object.fromEntries(Object.entries(this.project.env).filter(([key]) => key.startsWith("REACT_APP_"))) });
    return `export const __hatch_base = /* @__PURE__ */ (() => new URL("../", import.meta.url).pathname)();
export const __hatch_env = /* @__PURE__ */ (() => ({ ...${env}, BASE_URL: new URL("../", import.meta.url).pathname }))();
export const __hatch_process_env = ${cra};`;
  }

  plugin(isWorker) {
    const { project } = this, others = this.otherExtensions();
    return {
      name: "hatch",
      setup: (build) => {
        const own = Symbol("own");
        const inner = (specifier, args) => this.byEsbuild(build, own, specifier, args);
        const resolve = (args) => (args.pluginData === own || args.kind === "entry-point" ? undefined : this.resolve({ ...args, inner }, isWorker));
        build.onResolve({ filter: /^hatch:runtime$/ }, () => ({ path: RUNTIME, namespace: "runtime", sideEffects: false }));
        build.onLoad({ filter: /.*/, namespace: "runtime" }, () => ({ contents: this.runtime(), loader: "js" }));
        build.onResolve({ filter: /^made:/ }, ({ path }) => ({ path: path.slice("made:".length), namespace: "made" }));
        build.onLoad({ filter: /.*/, namespace: "made" }, ({ path }) => this.loadMade(path));
        // Bare and rooted specifiers, specifiers with a query, and files that are not code.
        build.onResolve({ filter: /^[^.]|\?|^\.\.?\/?$/ }, resolve);
        if (others.length > 0) build.onResolve({ filter: new RegExp(`\\.(${others.join("|")})([?#].*)?$`, "i") }, resolve);
        build.onLoad({ filter: /.*/, namespace: "query" }, ({ path }) => this.loadQuery(path));
        build.onLoad({ filter: /.*/, namespace: "required" }, ({ path }) => ({ contents: `export * from "${path}"; export { default } from "${path}";`, loader: "js", resolveDir: MOUNT }));
        build.onLoad({ filter: /.*/, namespace: "package-style" }, ({ path }) => this.loadPackageStyle(path));
        build.onResolve({ filter: /^\./, namespace: "package" }, resolve);
        build.onResolve({ filter: /^\./, namespace: "package-style" }, resolve);
        build.onLoad({ filter: /.*/, namespace: "package" }, ({ path }) => this.loadPackage(path));
        build.onLoad({ filter: /.*/, namespace: "package-file" }, ({ path }) => this.loadPackageFile(path));
        build.onLoad({ filter: /\.vue$/ }, ({ path }) => this.loadLanguage(path.slice(MOUNT.length), vueModule));
        build.onLoad({ filter: /\.svelte(\.[jt]s)?$/ }, ({ path }) => this.loadLanguage(path.slice(MOUNT.length), svelteModule));
        build.onLoad({ filter: /\.(scss|sass|less)$/ }, ({ path }) => this.loadLanguage(path.slice(MOUNT.length), (own, text) => plainSheet(own, text, project.files)));
        build.onLoad({ filter: /\.css$/ }, ({ path }) => this.loadStyle(path.slice(MOUNT.length)));
        build.onLoad({ filter: /\.[cm]?[jt]sx?$/ }, ({ path }) => this.loadModule(path.slice(MOUNT.length)));
        build.onLoad({ filter: /\.json$/ }, ({ path }) => this.loadJson(path.slice(MOUNT.length)));
      },
    };
  }

  /** Extensions of the project's files that esbuild has no loader for. */
  otherExtensions() {
    const all = new Set([...this.project.files.keys(), "x.svg", "x.png", "x.jpg", "x.jpeg", "x.gif", "x.webp", "x.avif", "x.ico", "x.woff", "x.woff2", "x.ttf", "x.mp3", "x.mp4", "x.wasm", "x.pdf", "x.glsl", "x.gltf"].map(extension));
    return [...all].filter((ending) => /^\w+$/.test(ending) && !isModule(`x.${ending}`) && !isStyle(`x.${ending}`) && !JSON_TYPES.has(ending));
  }

  /** Resolves an import. */
  async resolve(args, isWorker) {
    const { path: specifier, kind, namespace } = args;
    const isOfStyle = kind === "import-rule" || kind === "url-token";
    if (/^(https?:|data:|blob:|\/\/)/.test(specifier) || (isOfStyle && specifier.startsWith("#"))) return { path: specifier, external: true };
    if (namespace === "package") return this.ofPackage(args, isWorker);
    if (namespace === "package-style" && kind === "url-token" && this.bundle) return { path: new URL(specifier, args.importer).href, namespace: "package-file" };
    if (namespace === "package-style") return { path: new URL(specifier, args.importer).href, ...(kind === "import-rule" ? { namespace } : { external: true }) };
    const [, wanted, query] = specifier.match(isOfStyle ? /^([^?#]*)([?#].*)?$/s : /^([^?]*)(\?.*)?$/s);
    const found = await this.locate(wanted, args);
    if (found) return this.target(found, query ?? "", kind);
    const isPath = /^(\.|\/|[@~]\/)/.test(wanted);
    const own = !isPath && isOfStyle ? await this.locate(`./${wanted}`, args) : undefined;
    if (own) return this.target(own, query ?? "", kind);
    if (isPath) {
      if (kind === "url-token") return { path: specifier.startsWith("/") ? `..${specifier}` : specifier, external: true };
      return { errors: [{ text: missing(this.project, specifier, wanted, args.resolveDir.slice(MOUNT.length)) }] };
    }
    return this.package(wanted, specifier, kind, isWorker, isOfStyle);
  }

  /** The file that a specifier refers to; undefined if there is none. */
  async locate(wanted, args) {
    const { project } = this, from = `${args.resolveDir}/`.slice(MOUNT.length);
    if (wanted.startsWith("/")) {
      const rooted = [join(project.root, wanted), join(`${project.root}public`, wanted)];
      return rooted.find((path) => project.files.has(path)) ?? args.inner(`./${wanted.slice(1)}`, { ...args, resolveDir: MOUNT + project.root });
    }
    if (/^\.\.?(\/|$)/.test(wanted)) {
      const path = join(from, wanted);
      return project.files.has(path) ? path : args.inner(wanted, args);
    }
    const found = await args.inner(wanted, args) ?? await this.ofWorkspace(wanted, args);
    if (found) return found;
    const alias = project.aliases.find(([from]) => wanted === from || wanted.startsWith(from.endsWith("/") ? from : `${from}/`));
    const aliased = alias && join(alias[1], wanted.slice(alias[0].length));
    // The usual meaning of `@/`, for projects without a tsconfig.json.
    const usual = /^[@~]\//.test(wanted) ? [join(project.sourceFolder, wanted.slice(2)), join(project.root, wanted.slice(2))] : [];
    for (const path of [aliased, ...usual].filter((path) => path !== undefined)) {
      const file = project.files.has(path) ? path : await args.inner(`./${path}`, { ...args, resolveDir: MOUNT });
      if (file) return file;
    }
    return undefined;
  }

  /** A file of another package in the workspace, by its `exports` or its folder. */
  async ofWorkspace(wanted, args) {
    const own = this.project.workspaces.get(packageName(wanted));
    if (own === undefined) return undefined;
    const resolveDir = MOUNT + own, path = wanted.slice(packageName(wanted).length);
    const found = await args.inner(wanted, { ...args, resolveDir });
    return found ?? await args.inner(`.${path || "/"}`, { ...args, resolveDir }) ?? args.inner(`./src${path}`, { ...args, resolveDir });
  }

  /** Resolves with esbuild's own rules: tsconfig.json, package.json, extensions, folders. */
  async byEsbuild(build, own, specifier, { resolveDir, kind }) {
    const key = `${kind} ${resolveDir} ${specifier}`;
    if (!this.resolved.has(key)) {
      const real = kind === "entry-point" ? "import-statement" : kind;
      this.resolved.set(key, build.resolve(specifier, { resolveDir: resolveDir || MOUNT, kind: real, pluginData: own }));
    }
    const { path, errors, namespace } = await this.resolved.get(key);
    return errors.length === 0 && namespace === "file" && path.startsWith(MOUNT) ? path.slice(MOUNT.length) : undefined;
  }

  /** A file of the project, in the form for this kind of import. */
  async target(file, query, kind) {
    if (kind === "url-token") return { path: (await this.addressOf(file)) + query, external: true };
    const isPlain = !MEANINGFUL.test(query);
    if (isPlain && (isModule(file) || isStyle(file) || extension(file) === "json")) return { path: MOUNT + file };
    return { path: file + query, namespace: "query", sideEffects: query.startsWith("?vue-style") };
  }

  async package(wanted, specifier, kind, isWorker, isOfStyle) {
    const { project, cdn } = this;
    if (isProvided(project.provided, specifier)) return { path: specifier, external: true };
    const wrong = refusal(project.manifest, wanted);
    if (wrong) return kind === "url-token" ? { path: specifier, external: true } : { errors: [{ text: wrong }] };
    const isScript = ["import-statement", "dynamic-import", "require-call"].includes(kind);
    if (isOfStyle || (isScript && await this.isStyle(wanted))) return { path: packageFile(cdn, project.manifest, wanted), namespace: "package-style" };
    if (this.bundle) this.bundled.add(packageName(wanted));
    if (this.bundle) return this.fromCdn(importMap(cdn, project.manifest, new Set([wanted])).get(wanted), wanted);
    // A package required by CommonJS code is imported by a generated module.
    if (kind === "require-call") return { path: wanted, namespace: "required" };
    if (isWorker) return { path: importMap(cdn, project.manifest, new Set([wanted])).get(wanted), external: true };
    this.packages.add(wanted);
    return { path: wanted, external: true };
  }

  /** Whether a package's path is a style sheet. If the name does not say, the CDN is asked once. */
  async isStyle(specifier) {
    if (/\.css$/.test(specifier)) return true;
    if (/\.\w+$/.test(specifier) || !/\/(css|styles?|themes?)(\/|$)/.test(specifier)) return false;
    const { type } = await this.ask(packageFile(this.cdn, this.project.manifest, specifier));
    return type.startsWith("text/css");
  }

  ask(url) {
    return this.cdnFiles.ask(url);
  }

  /** A module from the CDN, which becomes part of the bundle. */
  async fromCdn(address, specifier) {
    const { status, url, type } = await this.ask(address);
    if (status === 200 && type.startsWith("text/css")) return { path: url, namespace: "package-style" };
    if (status === 200) return { path: url, namespace: "package" };
    return { errors: [{ text: `"${specifier}" cannot be bundled: ${status ? `the CDN answers ${status} for ${address}` : `${address} cannot be reached`}` }] };
  }

  /** Resolves an import of a package's module. */
  ofPackage({ path: specifier, importer, kind }, isWorker) {
    const isPath = /^([./]|https?:)/.test(specifier), url = isPath ? new URL(specifier, importer).href : undefined;
    const own = nameAt(this.cdn, importer);
    if (url?.startsWith(`${this.cdn}/`)) return this.fromCdn(url, nameAt(this.cdn, url) ?? own);
    if (isPath || /^(data|blob):/.test(specifier)) return { path: url ?? specifier, external: true };
    if (specifier.startsWith("node:")) return { errors: [{ text: `the package "${own}" needs "${specifier}", a module of Node.js, which a browser does not have` }] };
    return this.package(specifier, specifier, kind, isWorker, false);
  }

  async loadPackage(url) {
    const { bytes, type } = await this.ask(url), own = nameAt(this.cdn, url);
    const tooMuch = this.cdnFiles.excess();
    if (tooMuch) return { errors: [{ text: `${tooMuch}; the last one was of "${own}". Without \`bundle\` they stay at the CDN` }] };
    return { contents: bytes, loader: /json/.test(type) ? "json" : "js" };
  }

  /** Files that a package's style sheet refers to are embedded in the sheet. */
  async loadPackageFile(url) {
    const { status, bytes } = await this.ask(url);
    return status === 200 ? { contents: bytes, loader: "dataurl" } : { errors: [{ text: `a style sheet of "${nameAt(this.cdn, url)}" asks for ${url}, and the CDN answers ${status ?? "nothing"}` }] };
  }

  /** The CDN's URL of a package's style sheet. */
  styleUrl(specifier) {
    return packageFile(this.cdn, this.project.manifest, specifier);
  }

  async loadPackageStyle(url) {
    const { type, text, status } = await this.ask(url);
    if (type.startsWith("text/css")) return { contents: text, loader: "css" };
    if (status || this.bundle) return { errors: [{ text: `the CDN has no style sheet at ${url}: it answers ${status ?? "nothing"}` }] };
    // The CDN is not reachable now, so the browser loads the sheet itself.
    return { contents: `@import url(${JSON.stringify(url)});`, loader: "css" };
  }

  async loadMade(entry) {
    const { text, folder, loader } = this.made.get(entry);
    const sheet = loader === "css" ? await tailwindSheet(this, `${folder}${entry}`, text) : undefined;
    if (sheet) return { contents: sheet.css, loader, errors: sheet.errors };
    return { contents: text, loader, resolveDir: MOUNT + folder };
  }

  async loadModule(path) {
    const text = this.project.files.get(path);
    if (text === undefined) return undefined;
    if (isSolid(this.project.manifest) && /x$/.test(extension(path))) return this.loadLanguage(path, solidModule);
    if (!mayNeed(text)) return undefined;
    const { text: contents, wrong } = await rewritten(path, text, this.project, (file) => this.addressOf(file));
    if (wrong.length > 0) return { errors: wrong.map(({ at, message }) => ({ text: message, detail: { path, at } })) };
    const ending = extension(path);
    return { contents, loader: { js: "jsx", mjs: "jsx", cjs: "jsx", mts: "ts", cts: "ts" }[ending] ?? ending };
  }

  /** The address of a file, relative to compiled modules and sheets. */
  async addressOf(file) {
    const { root } = this.project;
    if (file.startsWith(`${root}public/`)) return `../${encoded(file.slice(root.length + "public/".length))}`;
    if (isModule(file)) return this.worker(file);
    this.named.add(file);
    return `./${encoded(await this.asset(name(file), this.project.files.get(file)))}`;
  }

  /** Serves a text under a name with the hash of its content. */
  async asset(file, text) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
    const hash = [...digest.slice(0, 5)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const dot = file.lastIndexOf(".") < 0 ? file.length : file.lastIndexOf(".");
    const served = `${file.slice(0, dot)}-${hash}${file.slice(dot)}`;
    this.assets.set(ASSETS + served, text);
    return served;
  }

  /** Builds a web worker's module, which cannot use the page's import map. */
  async worker(file) {
    this.workers ??= new Map();
    if (!this.workers.has(file)) this.workers.set(file, this.run([MOUNT + file], { isWorker: true, splitting: false }));
    const { outputs, wrong } = await this.workers.get(file);
    if (wrong.length > 0) throw Object.assign(new Error(wrong[0].message), { diagnostics: wrong });
    const script = outputs.find(({ path }) => path.endsWith(".js"));
    for (const { path, text } of outputs) this.assets.set(path, text);
    return `./${encoded(name(script.path))}`;
  }

  /** Loads a file in the form that the import's query asks for. */
  async loadQuery(path) {
    const split = path.indexOf("?") < 0 ? path.length : path.indexOf("?");
    const file = path.slice(0, split), query = new URLSearchParams(path.slice(split)), text = this.project.files.get(file);
    const js = (contents) => ({ contents, loader: "js", resolveDir: MOUNT + folder(file) });
    const url = async () => `new URL(${JSON.stringify(await this.addressOf(file))}, import.meta.url)`;
    if (query.has("vue-style")) {
      const made = await vueStyle(file, text, Number(query.get("vue-style")), this.project.files);
      if (made.wrong !== undefined) return { errors: [{ text: made.wrong, detail: { path: file, at: 0 } }] };
      return { contents: made.contents, loader: made.loader, resolveDir: MOUNT + folder(file) };
    }
    if (query.has("raw")) return { contents: text, loader: "text" };
    if (query.has("worker") || query.has("sharedworker")) {
      const kind = query.has("worker") ? "Worker" : "SharedWorker";
      if (query.has("url")) return js(`export default ${await url()}.href;`);
      return js(`export default function (options) { return new ${kind}(${await url()}, { type: "module", ...options }); }`);
    }
    if (query.has("inline") && isStyle(file)) {
      const { outputs, wrong } = await this.run([MOUNT + file], { splitting: false });
      if (wrong.length > 0) throw Object.assign(new Error(wrong[0].message), { diagnostics: wrong });
      return { contents: outputs.find(({ path }) => path.endsWith(".css")).text, loader: "text" };
    }
    if (extension(file) === "svg" && (query.has("react") || query.has("component"))) return { ...component(text), resolveDir: MOUNT + folder(file) };
    if (query.has("url") && isStyle(file)) {
      const { outputs } = await this.run([MOUNT + file], { splitting: false });
      const sheet = outputs.find(({ path }) => path.endsWith(".css"));
      this.assets.set(sheet.path, sheet.text);
      return js(`export default new URL("./${encoded(name(sheet.path))}", import.meta.url).href;`);
    }
    if (query.has("init") && extension(file) === "wasm") return js(`export default async (imports) => (await WebAssembly.instantiateStreaming(fetch(${await url()}), imports)).instance;`);
    if (extension(file) === "svg" && this.project.manifest.listed.has("react-scripts")) {
      const made = component(text);
      return { ...made, contents: `${made.contents.replace("export default", "export const ReactComponent =")}\nexport default ${await url()}.href;`, resolveDir: MOUNT + folder(file) };
    }
    return js(`export default ${await url()}.href;`);
  }

  /** Loads a file through the compiler of its language. */
  async loadLanguage(path, compile) {
    const text = this.project.files.get(path);
    const made = await compile(path, text);
    if (made.wrong !== undefined) {
      const file = this.project.files.has(made.in) ? made.in : path;
      return { errors: [{ text: made.wrong, detail: { path: file, at: offsetOf(this.project.files.get(file), made.at) } }] };
    }
    const sheet = isStyle(path) ? await tailwindSheet(this, path, made.contents) : undefined;
    if (sheet) return { contents: sheet.css, loader: made.loader, resolveDir: MOUNT + folder(path), errors: sheet.errors };
    const source = isStyle(path) ? { text: made.contents, wrong: [] } : await rewritten(`${path}.ts`, made.contents, this.project, (file) => this.addressOf(file));
    return { contents: mayNeed(made.contents) && !isStyle(path) ? source.text : made.contents, loader: made.loader, resolveDir: MOUNT + folder(path) };
  }

  async loadStyle(path) {
    const text = this.project.files.get(path);
    if (text === undefined) return undefined;
    const made = await tailwindSheet(this, path, text);
    return made && { contents: made.css, loader: path.endsWith(".module.css") ? "local-css" : "css", resolveDir: MOUNT + folder(path), errors: made.errors };
  }

  loadJson(path) {
    const text = this.project.files.get(path);
    return text?.startsWith("\uFEFF") ? { contents: text.slice(1), loader: "json" } : undefined;
  }

  /** Converts esbuild's message to a diagnostic. */
  diagnostic({ text, location, notes, detail }) {
    if (detail?.diagnostics) return detail.diagnostics[0];
    if (detail?.path) return at(detail.path, this.project.files.get(detail.path), detail.at, text);
    if (!location) return { path: "", line: 0, column: 0, message: text, frame: "" };
    const { path, source, lineOffset = 0 } = this.sourceOf(location);
    const bytes = new TextEncoder().encode(source.split("\n")[location.line - 1] ?? "");
    const column = [...new TextDecoder().decode(bytes.subarray(0, location.column))].length + 1;
    const written = new TextDecoder().decode(bytes.subarray(location.column, location.column + location.length));
    const message = unexported(this, text, notes) ?? unresolved(this, text, path, written) ?? text;
    return atLine(path, source, location.line + lineOffset, column, message);
  }

  sourceOf({ file, namespace }) {
    if (namespace === "made") return { path: this.made.get(file.replace(/^made:/, ""))?.from ?? file, source: this.made.get(file.replace(/^made:/, ""))?.text ?? "" };
    const path = join(this.project.root, file.replace(/^[a-z-]+:/, "").replace(/\?.*$/, "")) ?? file;
    return { path, source: this.project.files.get(path) ?? "" };
  }
}

/** Our message for a path that does not exist or differs from its file in case. */
function unresolved({ project }, text, importer, written) {
  if (!/^(Could not resolve|Cannot read file|Could not read from file)/.test(text)) return undefined;
  const specifier = written.match(/^["'`](.+)["'`]$/)?.[1] ?? text.match(/"(.+)"/)?.[1];
  return specifier && missing(project, specifier, specifier.replace(/\?.*$/, ""), folder(importer));
}

/** The offset of a line and a column, both from 1. */
function offsetOf(text, place) {
  if (!place) return 0;
  const before = text.split("\n").slice(0, place.line - 1).reduce((sum, line) => sum + line.length + 1, 0);
  return before + place.column - 1;
}

/** A path encoded for a URL. */
export const encoded = (path) => path.split("/").map((part) => encodeURIComponent(part).replace(/%40/g, "@")).join("/");

/** An SVG as a React component. */
function component(text) {
  const svg = text.replace(/^\uFEFF?\s*(<\?xml[^>]*\?>)?\s*(<!DOCTYPE[^>]*>)?/i, "").replace(/<!--[\s\S]*?-->/g, "").trim();
  const [, attributes = "", inside = ""] = svg.match(/^<svg\b([^>]*?)(?:\/>|>([\s\S]*)<\/svg>)/i) ?? [];
  const props = Object.fromEntries([...attributes.matchAll(/([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)].map(([, key, a, b]) => [camel(key), a ?? b]));
  return { contents: `import { createElement } from "react";\nexport default (props) => createElement("svg", { ...${JSON.stringify(props)}, ...props, dangerouslySetInnerHTML: { __html: ${JSON.stringify(inside)} } });`, loader: "js" };
}

const camel = (key) => (key === "class" ? "className" : key.startsWith("data-") || key.startsWith("aria-") ? key : key.replace(/[-:](\w)/g, (_, letter) => letter.toUpperCase()));
