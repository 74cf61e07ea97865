// From a project's files to those of a site.

import { Bundle, MOUNT, encoded } from "./bundle.js";
import { isCrash, withBundler } from "./bundler.js";
import { bounded, ofProject } from "./diagnostic.js";
import { parts } from "./packages.js";
import { dependency } from "./manifest.js";
import { lostReexports } from "./exports.js";
import { unlinked } from "./linked.js";
import { Draft } from "./page.js";
import { extension, join, name } from "./path.js";
import { hasSources, nothing, plan, roots } from "./plan.js";
import { isSource, readProject } from "./project.js";
import { tailwindOf } from "./tailwind.js";
import { mountedConfigs } from "./tsconfig.js";
import { verify } from "./verify.js";

/** The most diagnostics that are told. */
const MOST = 10;
/** Kinds of files that may be meant for visitors. */
const STATIC = new Set(["svg", "json", "txt", "xml", "webmanifest", "csv", "ics", "vtt", "geojson", "gltf", "glsl", "pdf", "wasm", "yaml", "lottie"]);
/** And what of these kinds is not. */
const PRIVATE = /^(package(-lock)?|components|vercel|biome|tsconfig.*|jsconfig.*|deno|bun|turbo|nx|firebase|netlify|angular|vite|\w+rc)\.json$|^(README|LICENSE|CHANGELOG|CONTRIBUTING|AGENTS|CLAUDE)(\.|$)|^pnpm-|\.ya?ml$/i;

/**
 * Makes a site of `files`.
 * @param {Map<string, string>} files
 * @param {{cdn: string, fetch: typeof fetch, bundle?: boolean}} options
 */
export async function makeSite(files, options) {
  let reason;
  for (const root of roots(files)) {
    const { project, wrong } = readProject(files, root);
    // A broken package.json is nothing to a plain site.
    if (wrong && files.has("index.html") && ![...files.keys()].some(isSource)) return plainSite(files);
    if (wrong) return { outcome: "wrong", diagnostics: [wrong] };
    const planned = plan(project);
    if (planned === "plain" && root === "") return plainSite(files);
    if (planned instanceof Map) return build(project, planned, options);
    reason ??= nothing(project);
  }
  return hasSources(files) ? { outcome: "wrong", diagnostics: [ofProject(reason)] } : plainSite(files);
}

/** Folders that tools put finished sites into, as src/upstream/compiler.rs has them. */
const FINISHED = ["", "public/", "dist/", "build/", "out/", "site/"];

/** A site that is served as it is, if a browser can read it. */
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

/** The project's modules that were bundled, with what their imports lead to. */
function modulesOf({ files, root }, metafile) {
  const own = (path) => join(root, path);
  const modules = Object.entries(metafile?.inputs ?? {}).map(([path, { imports }]) => [own(path), imports.map((one) => ({ ...one, path: own(one.path), specifier: one.path }))]);
  return modules.filter(([path]) => files.has(path));
}

/** Where esbuild's output is served. */
const served = (path) => path.slice(path.indexOf("out/") + "out/".length);

/** Kinds of esbuild's imports that a browser asks for; a sheet's pictures are in it, or were written beside it. */
const FOLLOWED = new Set(["import-statement", "dynamic-import", "import-rule"]);

/** What the compiled modules import of each other, with what a browser takes it for. */
function reachedByOutputs({ outputs }) {
  return Object.entries(outputs).flatMap(([from, { imports }]) => imports.filter(({ external, kind }) => !external && FOLLOWED.has(kind))
    .map(({ path }) => ({ from: served(from), address: `/${encoded(served(path))}`, dest: path.endsWith(".css") ? "style" : "script" })));
}

/** What the entries of a page became, in their order: scripts, styles, and what the scripts load at once. */
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
  const told = [`Compiled ${modules} modules, with ${names.length} packages from ${cdn}${bundled.size > 0 ? ", bundled" : ""}`];
  const unpinned = names.filter((name) => dependency(project.manifest, name).version === undefined);
  if (unpinned.length > 0) told.push(`No version is given of ${unpinned.join(", ")}: the newest is taken. A package.json pins it`);
  const lost = unnamed(bundle, metafile.inputs);
  if (lost.length > 0) told.push(`Not served, as nothing names it and it is not in public/: ${lost.slice(0, 10).join(", ")}${lost.length > 10 ? ` and ${lost.length - 10} more` : ""}`);
  for (const { text, location } of warnings.slice(0, 5)) if (location && !location.file.startsWith("made:")) told.push(`${location.file}:${location.line}: ${text}`);
  return [...new Set([...told, ...bundle.notes])];
}

/** What visitors get as it is, as under `vite build`: the files of public/, and those of .well-known. */
function statics({ files, root }) {
  const shown = new Map();
  for (const [path, text] of files) {
    if (!path.startsWith(root)) continue;
    const own = path.slice(root.length), isPublic = own.startsWith("public/");
    const served = isPublic ? own.slice("public/".length) : own;
    if ((isPublic || served.startsWith(".well-known/")) && !isHidden(served)) shown.set(served, text);
  }
  // A map of sources is for whoever a script sends to it.
  const sentTo = new Set([...shown.values()].flatMap((text) => Array.from(text.matchAll(/sourceMappingURL=([^\s*]+)/g), ([, address]) => name(address))));
  for (const path of shown.keys()) if (extension(path) === "map" && !sentTo.has(name(path))) shown.delete(path);
  return shown;
}

const isHidden = (path) => path.split("/").some((part, n) => (part.startsWith(".") && !(n === 0 && part === ".well-known")) || part === "node_modules");

/** Files that look as if they were for visitors, and that nothing names: a site of Vite's would not have them. */
function unnamed({ project, named }, inputs) {
  const { files, root } = project, bundled = new Set(Object.keys(inputs).map((path) => join(root, path.replace(/^[a-z-]+:/, "").replace(/\?.*$/, ""))));
  return [...files.keys()].filter((path) => {
    const own = path.slice(root.length);
    const isForVisitors = path.startsWith(root) && STATIC.has(extension(own)) && !PRIVATE.test(name(own)) && !isHidden(own) && !/^(public|docs?|tests?)\//.test(own);
    return isForVisitors && !named.has(path) && !bundled.has(path);
  });
}
