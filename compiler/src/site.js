// Compiles a project's files to the files of a site.

import { Bundle, MOUNT, encoded } from "./bundle.js";
import { isCrash, withBundler } from "./bundler.js";
import { bounded, ofProject } from "./diagnostic.js";
import { parts } from "./packages.js";
import { dependency } from "./manifest.js";
import { lostReexports } from "./exports.js";
import { unlinked } from "./linked.js";
import { Draft } from "./page.js";
import { extension, join, name } from "./path.js";
import { hasSources, noPageReason, plan, roots } from "./plan.js";
import { isSource, readProject } from "./project.js";
import { tailwindOf } from "./tailwind.js";
import { mountedConfigs } from "./tsconfig.js";
import { verify } from "./verify.js";

/** The most diagnostics that are returned. */
const MOST = 10;
/** Extensions of files that may be meant for visitors. */
const STATIC = new Set(["svg", "json", "txt", "xml", "webmanifest", "csv", "ics", "vtt", "geojson", "gltf", "glsl", "pdf", "wasm", "yaml", "lottie"]);
/** Files with these extensions that are not meant for visitors. */
const PRIVATE = /^(package(-lock)?|components|vercel|biome|tsconfig.*|jsconfig.*|deno|bun|turbo|nx|firebase|netlify|angular|vite|\w+rc)\.json$|^(README|LICENSE|CHANGELOG|CONTRIBUTING|AGENTS|CLAUDE)(\.|$)|^pnpm-|\.ya?ml$/i;

/**
 * Compiles `files` to a site.
 * @param {Map<string, string>} files
 * @param {{cdn: string, fetch: typeof fetch, bundle?: boolean}} options
 */
export async function makeSite(files, options) {
  let reason;
  for (const root of roots(files)) {
    const { project, wrong } = readProject(files, root);
    // A plain site does not need its package.json, so a broken one does not matter.
    if (wrong && files.has("index.html") && ![...files.keys()].some(isSource)) return plainSite(files);
    if (wrong) return { outcome: "wrong", diagnostics: [wrong] };
    const planned = plan(project);
    if (planned === "plain" && root === "") return plainSite(files);
    if (planned instanceof Map) return build(project, planned, options);
    reason ??= noPageReason(project);
  }
  return hasSources(files) ? { outcome: "wrong", diagnostics: [ofProject(reason)] } : plainSite(files);
}

/** Folders where tools put finished sites; the same as in src/upstream/compiler.rs. */
const FINISHED = ["", "public/", "dist/", "build/", "out/", "site/"];

/** A site that is served unchanged, if a browser can run it. */
function plainSite(files) {
  const root = FINISHED.find((folder) => files.has(`${folder}index.html`));
  if (root === undefined) return { outcome: "plain", reached: [] };
  const served = new Map([...files].filter(([path]) => path.startsWith(root)).map(([path, text]) => [path.slice(root.length), text]));
  const { wrong, reached } = verify(served, { root });
  return wrong.length > 0 ? { outcome: "wrong", diagnostics: bounded(wrong, MOST) } : { outcome: "plain", reached };
}

async function build(project, pages, options) {
  const mounted = new Map([...project.files, ...mountedConfigs(project)].map(([path, text]) => [MOUNT + path, text]));
  try {
    return await withBundler(mounted, (esbuild) => built(new Bundle(esbuild, project, options), pages));
  } catch (error) {
    if (isCrash(error)) return { outcome: "broken" };
    if (error.diagnostics) return { outcome: "wrong", diagnostics: bounded(error.diagnostics, MOST) };
    throw error;
  }
}

async function built(bundle, pages) {
  const { project } = bundle;
  const drafts = [...pages].map(([path, page]) => new Draft(bundle, path, page));
  const tailwind = tailwindOf(project);
  const hasSheet = [...project.files].some(([path, text]) => extension(path) === "css" && /@import\s+(url\()?["']tailwindcss|@tailwind\s/.test(text));
  if (tailwind && !hasSheet) {
    bundle.made.set("tailwind.css", { text: '@import "tailwindcss";', folder: project.root, loader: "css" });
    for (const draft of drafts) draft.entries.unshift("tailwind.css");
  }
  const entries = [...new Set(drafts.flatMap((draft) => draft.entries))];
  const wrong = drafts.flatMap((draft) => draft.wrong);
  const result = await bundle.build(entries);
  const modules = modulesOf(project, result.metafile);
  wrong.push(...result.wrong, ...lostReexports(project.files, modules));
  if (wrong.length === 0) wrong.push(...await unlinked(bundle, result.outputs, modules));
  if (wrong.length > 0) return { outcome: "wrong", diagnostics: bounded(wrong, MOST) };

  const files = statics(project);
  for (const draft of drafts) files.set(draft.path, await draft.write(reached(result.metafile, draft.entries)));
  for (const { path, text } of result.outputs) files.set(path, text);
  for (const [path, text] of bundle.assets) files.set(path, text);
  const verified = verify(files, { isCompiled: true });
  if (verified.wrong.length > 0) return { outcome: "wrong", diagnostics: bounded(verified.wrong, MOST) };
  return { outcome: "site", files: [...files].sort(([a], [b]) => (a < b ? -1 : 1)), notes: notes(bundle, result), reached: [...verified.reached, ...reachedByOutputs(result.metafile)] };
}

/** The project's bundled modules, with their resolved imports. */
function modulesOf({ files, root }, metafile) {
  const own = (path) => join(root, path);
  const modules = Object.entries(metafile?.inputs ?? {}).map(([path, { imports }]) => [own(path), imports.map((one) => ({ ...one, path: own(one.path), specifier: one.path }))]);
  return modules.filter(([path]) => files.has(path));
}

/** The served path of an esbuild output. */
const served = (path) => path.slice(path.indexOf("out/") + "out/".length);

/** Kinds of imports that a browser requests. Images in sheets are embedded, or served as assets. */
const FOLLOWED = new Set(["import-statement", "dynamic-import", "import-rule"]);

/** The imports between compiled modules, with the type that the browser expects. */
function reachedByOutputs({ outputs }) {
  return Object.entries(outputs).flatMap(([from, { imports }]) => imports.filter(({ external, kind }) => !external && FOLLOWED.has(kind))
    .map(({ path }) => ({ from: served(from), address: `/${encoded(served(path))}`, dest: path.endsWith(".css") ? "style" : "script" })));
}

/** The outputs for a page's entries, in order: scripts, styles, and modules to preload. */
function reached({ outputs }, entries) {
  const byEntry = new Map(Object.entries(outputs).filter(([, { entryPoint }]) => entryPoint).map(([path, output]) => [entryName(output.entryPoint), { path, ...output }]));
  const scripts = [], styles = new Set(), preloads = new Set(), seen = new Set();
  const visit = (path, isNow) => {
    if (seen.has(path) || !outputs[path]) return;
    seen.add(path);
    if (outputs[path].cssBundle) styles.add(served(outputs[path].cssBundle));
    for (const { path: next, kind, external } of outputs[path].imports) {
      if (external) continue;
      if (isNow && kind === "import-statement") preloads.add(served(next));
      visit(next, isNow && kind === "import-statement");
    }
  };
  for (const entry of entries) {
    const output = byEntry.get(entry);
    if (!output) continue;
    if (output.path.endsWith(".css")) styles.add(served(output.path));
    else {
      scripts.push(served(output.path));
      visit(output.path, true);
    }
  }
  return { scripts, styles: [...styles], preloads: [...preloads].filter((path) => !scripts.includes(path)) };

  function entryName(entryPoint) {
    return entryPoint.replace(/^made:/, "");
  }
}

function notes(bundle, { metafile, warnings }) {
  const { project, packages, bundled, cdn } = bundle;
  const names = [...new Set([...packages].map((specifier) => parts(specifier).name).concat(...bundled))].sort();
  const modules = Object.keys(metafile.inputs).filter((path) => !/^(runtime|required|query|package(-\w+)?):/.test(path)).length;
  const lines = [`Compiled ${modules} modules, with ${names.length} packages from ${cdn}${bundled.size > 0 ? ", bundled" : ""}`];
  const unpinned = names.filter((name) => dependency(project.manifest, name).version === undefined);
  if (unpinned.length > 0) lines.push(`No version is given for ${unpinned.join(", ")}: the newest is used. Pin the versions in package.json`);
  const lost = unnamed(bundle, metafile.inputs);
  if (lost.length > 0) lines.push(`Not served, because nothing refers to it and it is not in public/: ${lost.slice(0, 10).join(", ")}${lost.length > 10 ? ` and ${lost.length - 10} more` : ""}`);
  for (const { text, location } of warnings.slice(0, 5)) if (location && !location.file.startsWith("made:")) lines.push(`${location.file}:${location.line}: ${text}`);
  return [...new Set([...lines, ...bundle.notes])];
}

/** Files that visitors get unchanged, as with `vite build`: those in public/ and .well-known. */
function statics({ files, root }) {
  const shown = new Map();
  for (const [path, text] of files) {
    if (!path.startsWith(root)) continue;
    const own = path.slice(root.length), isPublic = own.startsWith("public/");
    const served = isPublic ? own.slice("public/".length) : own;
    if ((isPublic || served.startsWith(".well-known/")) && !isHidden(served)) shown.set(served, text);
  }
  // A source map is served only if a script refers to it.
  const sentTo = new Set([...shown.values()].flatMap((text) => Array.from(text.matchAll(/sourceMappingURL=([^\s*]+)/g), ([, address]) => name(address))));
  for (const path of shown.keys()) if (extension(path) === "map" && !sentTo.has(name(path))) shown.delete(path);
  return shown;
}

const isHidden = (path) => path.split("/").some((part, n) => (part.startsWith(".") && !(n === 0 && part === ".well-known")) || part === "node_modules");

/** Files that look meant for visitors but are not referred to; Vite would not serve them either. */
function unnamed({ project, named }, inputs) {
  const { files, root } = project, bundled = new Set(Object.keys(inputs).map((path) => join(root, path.replace(/^[a-z-]+:/, "").replace(/\?.*$/, ""))));
  return [...files.keys()].filter((path) => {
    const own = path.slice(root.length);
    const isForVisitors = path.startsWith(root) && STATIC.has(extension(own)) && !PRIVATE.test(name(own)) && !isHidden(own) && !/^(public|docs?|tests?)\//.test(own);
    return isForVisitors && !named.has(path) && !bundled.has(path);
  });
}
