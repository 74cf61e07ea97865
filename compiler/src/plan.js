// Finds a project's pages and their entry modules.

import { elements, escaped, isModuleScript, quoted } from "./html.js";
import { extension, folder, join, name } from "./path.js";
import { isModule, isSource, isStyle } from "./project.js";
import { importsOf, parsed, walk } from "./source.js";

/** Folders where tools put finished sites. */
const FINISHED = ["dist/", "build/", "out/", "site/"];
/** Usual paths of the module that renders the app, of the app's component, and their extensions. */
const MAINS = ["src/main", "src/index", "main", "index", "src/client", "client"];
const APPS = ["src/App", "App", "src/app", "app", "src/app/App", "src/components/App", "components/App"];
const FORMS = ["tsx", "jsx", "ts", "js"];

/**
 * @typedef {object} Page
 * @property {string} html
 * @property {{path: string, isApp: boolean}} [entry] the entry module, if the page does not refer to it: one that
 *   renders the app, or one that exports the component to render
 */

/**
 * How a project becomes a site: "plain" to serve it unchanged, pages to build
 * (by the path they are served at), or undefined if it is not a site.
 * @param {import("./project.js").Project} project
 * @returns {"plain" | Map<string, Page> | undefined}
 */
export function plan(project) {
  const { files, root } = project;
  const has = (path) => files.has(root + path), text = (path) => files.get(root + path) ?? "";
  const pages = [...files.keys()].filter((path) => path.startsWith(root)).map((path) => path.slice(root.length)).filter(isPage);
  if (has("index.html")) {
    const missing = waitsForEntry(text("index.html")) ? entry(project) : undefined;
    if (!missing && !pages.some((path) => needsBuilding(project, path))) return "plain";
    return new Map(pages.map((path) => [path, { html: text(path), entry: path === "index.html" ? missing : undefined }]));
  }
  if (FINISHED.some((folder) => has(`${folder}index.html`))) return "plain";
  const found = entry(project);
  if (has("public/index.html")) {
    const html = text("public/index.html");
    return found && waitsForEntry(html) ? new Map([["index.html", { html, entry: found }]]) : "plain";
  }
  return found && new Map([["index.html", { html: madePage(project, found), entry: found }]]);
}

const isPage = (path) => extension(path) === "html" && !["public/", "node_modules/", ...FINISHED].some((folder) => path.startsWith(folder)) && !path.split("/").some((part) => part.startsWith("."));

/** Whether a page has an empty element for an app, and no script that fills it. */
function waitsForEntry(html) {
  const all = elements(html);
  return all.some(({ attributes }) => ["root", "app"].includes(attributes.get("id"))) && !all.some((element) => element.name === "script" && isLocal(element.attributes.get("src") ?? "x"));
}

export const isLocal = (address) => !address.startsWith("//") && !address.includes(":");

/** The file that an address in a page refers to. */
export function fileOfAddress({ files, root }, page, address) {
  const [path] = address.split(/[?#]/);
  let decoded = path;
  try { decoded = decodeURIComponent(path); } catch { /* It is a name with a percent sign. */ }
  const below = (base, wanted) => [wanted, path].map((one) => join(base, one));
  const candidates = path.startsWith("/") ? [...below(root, decoded.slice(1)), ...below(`${root}public`, decoded)] : [...below(root + folder(page), decoded), ...below(`${root}public/${folder(page)}`, decoded)];
  const endings = ["", ".tsx", ".ts", ".jsx", ".js", ".mts", ".mjs"];
  const written = (candidate) => candidate.replace(/\.js(x?)$/, ".ts$1");
  const all = candidates.filter((one) => one !== undefined).flatMap((one) => [...endings.map((ending) => one + ending), written(one), one.replace(/\.js$/, ".tsx")]);
  return path === "" ? undefined : all.find((one) => files.has(one));
}

/** Whether a browser cannot run the page's modules unchanged. */
function needsBuilding(project, page) {
  const html = project.files.get(project.root + page);
  const all = elements(html);
  const provided = new Set(all.flatMap((element) => providedBy(element, html)));
  return all.some((script) => {
    if (script.name !== "script") return script.name === "link" && script.attributes.get("rel") === "stylesheet" && /\.(scss|sass|less)$/.test(script.attributes.get("href") ?? "");
    const src = script.attributes.get("src"), type = script.attributes.get("type");
    if (src === undefined) {
      return isModuleScript(script) && !importsRun(project, root(project, page), html.slice(script.content.start, script.content.end), provided, []);
    }
    if (!isLocal(src) || type === "text/babel") return false;
    const path = fileOfAddress(project, page, src);
    // The file does not exist; building reports that.
    if (path === undefined) return isSource(src.split("?")[0]);
    return isSource(path) || (isModuleScript(script) && !runsAsItIs(project, path, provided));
  });
}

const root = (project, page) => project.root + page;

/** The names in an import map; prefixes end with a slash. */
export function providedBy({ name, attributes, content }, html) {
  if (name !== "script" || attributes.get("type") !== "importmap") return [];
  try {
    return Object.keys(JSON.parse(html.slice(content.start, content.end)).imports ?? {});
  } catch {
    return [];
  }
}

export const isProvided = (provided, specifier) => [...provided].some((name) => name === specifier || (name.endsWith("/") && specifier.startsWith(name)));

function runsAsItIs(project, path, provided) {
  const seen = [path];
  for (let next = 0; next < seen.length; next += 1) {
    if (!importsRun(project, seen[next], project.files.get(seen[next]), provided, seen)) return false;
  }
  return true;
}

/** Whether a browser can resolve each import of a module; the imported files are added to `seen`. */
function importsRun({ files, root }, path, source, provided, seen) {
  const tree = parsed("x.js", source);
  // Broken JavaScript is served unchanged.
  if (!tree) return true;
  if (usesJsx(tree) || /\bimport\.meta\.(env|glob)\b/.test(source)) return false;
  return importsOf(path, tree).every(({ specifier, type }) => {
    if (/^(https?:|data:|blob:|\/\/)/.test(specifier)) return true;
    if (!/^[./]/.test(specifier)) return isProvided(provided, specifier);
    const [wanted] = specifier.split(/[?#]/);
    const file = wanted.startsWith("/") ? root + wanted.slice(1) : join(folder(path), wanted);
    if (!files.has(file)) return !["ts", "tsx", "jsx", ...FORMS].some((form) => files.has(`${file}.${form}`) || files.has(file?.replace(/\.js$/, `.${form}`)));
    const runs = ["js", "mjs"].includes(extension(file)) || (["json", "css"].includes(extension(file)) && type === extension(file));
    if (runs && !seen.includes(file)) seen.push(file);
    return runs;
  });
}

function usesJsx(tree) {
  let found = false;
  walk(tree.program, ({ type }) => { found ||= type.startsWith("JSX"); });
  return found;
}

/** The module that renders the app, found by its usual names. */
function entry({ files, root, manifest }) {
  const named = (stems) => stems.flatMap((stem) => FORMS.map((form) => `${root}${stem}.${form}`)).filter((path) => files.has(path));
  // Unlike a server's index.js, it uses the document.
  const shows = (path) => ["createRoot", "hydrateRoot", "render(", "document.", "createApp(", "mount("].some((sign) => files.get(path).includes(sign));
  const main = named(MAINS).find(shows);
  if (main) return { path: main, isApp: false };
  const own = [...files.keys()].filter((path) => path.startsWith(root));
  const components = own.filter((path) => ["tsx", "jsx"].includes(extension(path)) && !path.includes(".test."));
  const hasRootBelow = own.some((path) => /\/(package\.json|index\.html)$/.test(path.slice(root.length)));
  const app = named(APPS)[0] ?? (components.length === 1 && !hasRootBelow ? components[0] : undefined);
  const isApp = app !== undefined && (!manifest.listed.has("next") || app.startsWith(`${root}src/App`));
  return isApp ? { path: app, isApp } : undefined;
}

function madePage({ files, manifest }, { path, isApp }) {
  const id = isApp ? "root" : placeOf(files.get(path));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(manifest.name ?? "App")}</title>
</head>
<body>
<div id=${quoted(id)}></div>
</body>
</html>
`;
}

/** The id of the element into which a module renders its app. */
const placeOf = (source) => source.match(/(?:getElementById|querySelector|mount)\(\s*["'`]#?([\w-]+)["'`]/)?.[1] ?? "root";

/** Frameworks that need a server or another compiler, recognised by a package. */
const ELSEWHERE = [
  ["next", "This is a Next.js app, which needs a server: deploy it to `vercel`, or ask for a Vite app"],
  ["nuxt", "This is a Nuxt app, which needs a server: deploy it to `vercel`, or ask for a Vite app"],
  ["@sveltejs/kit", "This is a SvelteKit app, which needs a server: deploy it to `vercel`, or ask for a Vite app"],
  ["@angular/core", "Angular is not compiled here: deploy it to `vercel`, which runs its own build, or ask for a Vite app"],
  ["astro", "Astro is not compiled here: deploy it to `vercel`, which runs its own build, or ask for a Vite app"],
  ["express", "This is a server: deploy it to `koyeb`, which runs it, or ask for an app that runs in the browser"],
];

/** The message that explains why there is no page to build. */
export function noPageReason({ files, manifest }) {
  const known = ELSEWHERE.find(([name]) => manifest.listed.has(name));
  if (known) return known[1];
  if ([...files.keys()].some((path) => extension(path) === "astro")) return ELSEWHERE.find(([name]) => name === "astro")[1];
  return "There is no page to show: add an index.html, or a src/App.tsx that exports the app's component as default";
}

/** Possible roots of a project: the root, and folders with a manifest or a page. */
export function roots(files) {
  const found = new Set([""]);
  for (const path of [...files.keys()].sort()) {
    const depth = path.split("/").length;
    if (["package.json", "index.html"].includes(name(path)) && depth > 1 && depth <= 3 && !path.startsWith("public/")) found.add(folder(path));
  }
  return [...found];
}

export const hasSources = (files) => [...files.keys()].some((path) => isSource(path) || extension(path) === "astro" || (isStyle(path) && extension(path) !== "css") || (isModule(path) && extension(path) === "vue"));
