// Builds a page: its scripts, styles and images refer to the compiled files,
// and its head gets what they need.

import { ofFile, at } from "./diagnostic.js";
import { VITE } from "./env.js";
import { elements, headEnd, headStart, isModuleScript, quoted } from "./html.js";
import { isPreact, dependency } from "./manifest.js";
import { importMap } from "./packages.js";
import { extension, folder, name } from "./path.js";
import { fileOfAddress, isProvided, isLocal, providedBy } from "./plan.js";
import { isModule, isSource, isStyle } from "./project.js";
import { edited } from "./source.js";
import { encoded } from "./bundle.js";
import { exportsOf } from "./exports.js";

/** Attributes that refer to a file which a page shows. */
const SHOWN = [["img", "src"], ["source", "src"], ["video", "src"], ["video", "poster"], ["audio", "src"], ["image", "href"], ["use", "href"], ["link", "href"], ["object", "data"]];

/** A page while it is built: collects its entries and writes the result. */
export class Draft {
  /**
   * @param {import("./bundle.js").Bundle} bundle
   * @param {string} path that it is served at
   * @param {import("./plan.js").Page} page
   */
  constructor(bundle, path, page) {
    Object.assign(this, { bundle, path, page, edits: [], wrong: [] });
    /** Its entries in order: paths, or names of generated entries. */
    this.entries = [];
    this.html = constants(page.html.replace(/^\uFEFF/, ""), bundle.project);
    this.elements = elements(this.html);
    for (const element of this.elements) for (const given of providedBy(element, this.html)) bundle.project.provided.add(given);
    this.elements.filter(({ name }) => name === "script").forEach((script, number) => this.script(script, number + 1));
    this.elements.filter(({ name }) => name === "link").forEach((link) => this.link(link));
    if (page.entry) this.entries.push(this.begin(page.entry));
  }

  script(script, number) {
    const { bundle, path, html } = this, { project } = bundle;
    const src = script.attributes.get("src");
    if (src === undefined) {
      if (!isModuleScript(script)) return;
      const made = `${path.replace(/\.html$/, "")}-${number}.html.js`;
      bundle.made.set(made, { text: html.slice(script.content.start, script.content.end), folder: project.root + folder(path), loader: "jsx", from: project.root + path });
      this.entries.push(made);
      this.edits.push({ start: script.tag.start, end: script.end, text: "" });
      return;
    }
    if (!isLocal(src)) return;
    const found = fileOfAddress(project, path, src);
    const isOurs = isModuleScript(script) || isSource((found ?? src).split("?")[0]);
    if (!isOurs || script.attributes.get("type") === "text/babel") return;
    if (found === undefined) {
      if (isSource(src.split("?")[0]) || src.startsWith("/src/")) this.wrong.push(at(project.root + path, html, script.place("src").start + "src=".length, `there is no file ${src}`));
      return;
    }
    if (found.startsWith(`${project.root}public/`) && !isSource(found)) return;
    this.entries.push(found);
    this.edits.push({ start: script.tag.start, end: script.end, text: "" });
  }

  link(link) {
    const { bundle, path } = this, { project } = bundle;
    const href = link.attributes.get("href");
    if (link.attributes.get("rel") !== "stylesheet" || !href || !isLocal(href)) return;
    const found = fileOfAddress(project, path, href);
    if (!found || !isStyle(found) || found.startsWith(`${project.root}public/`)) return;
    this.entries.push(found);
    this.edits.push({ start: link.tag.start, end: link.tag.end, text: "" });
  }

  /** Adds the app's entry module to a page that does not refer to it. */
  begin({ path, isApp }) {
    if (!isApp) return path;
    const { bundle } = this, { project } = bundle;
    const { names, isOpen } = exportsOf(path, project.files.get(path));
    if (!isOpen && !names.includes("default") && !names.includes("App")) {
      this.wrong.push(ofFile(path, "exports no component to show: `export default` it, or add a src/main.tsx that renders it"));
    }
    const made = `${folder(path).slice(project.root.length)}main.jsx`;
    bundle.made.set(made, { text: mount(project, path), folder: folder(path), loader: "jsx", from: path });
    return made;
  }

  /**
   * The page as it is served.
   * @param {{scripts: string[], styles: string[], preloads: string[]}} reached the compiled entries
   */
  async write(reached) {
    const { bundle } = this;
    await this.images();
    let head = this.importMap();
    for (const preload of reached.preloads) head += `<link rel="modulepreload" crossorigin href=${address(preload)}>\n`;
    for (const style of reached.styles) head += `<link rel="stylesheet" href=${address(style)}>\n`;
    let end = "";
    for (const script of reached.scripts) end += `<script type="module" src=${address(script)}></script>\n`;
    const start = headStart(this.html);
    const ownMap = this.elements.find(({ attributes }) => attributes.get("type") === "importmap");
    const isFirst = head.includes('"importmap"') || !ownMap;
    this.edits.push({ start: isFirst ? start : headEnd(this.html), end: isFirst ? start : headEnd(this.html), text: head && `\n${head}` });
    const last = headEnd(this.html);
    this.edits.push({ start: last, end: last, text: end });
    void bundle;
    return edited(this.html, this.edits);
  }

  /** Files of the project that the page shows are served under names with a hash of their content. */
  async images() {
    const { bundle, path } = this, { project } = bundle;
    for (const element of this.elements) {
      for (const [tag, attribute] of SHOWN) {
        const value = element.name === tag && element.attributes.get(attribute);
        const isLink = tag === "link" && !/icon|manifest|preload/.test(element.attributes.get("rel") ?? "");
        const file = value && !isLink && isLocal(value) ? fileOfAddress(project, path, value) : undefined;
        const place = file && element.place(attribute);
        if (!place || isModule(file) || isStyle(file)) continue;
        const isPublic = file.startsWith(`${project.root}public/`);
        const served = isPublic ? file.slice(`${project.root}public/`.length) : (await bundle.addressOf(file)).replace(/^\.\//, "assets/");
        const [, fragment = ""] = value.split("#");
        this.edits.push({ ...place, text: `${attribute}=${quoted(`/${isPublic ? encoded(served) : served}${fragment && `#${fragment}`}`)}` });
      }
    }
  }

  /** The page's import map: its own entries, plus the packages that they lack. */
  importMap() {
    const { bundle } = this, { project } = bundle;
    const imports = importMap(bundle.cdn, project.manifest, bundle.packages);
    if (imports.size === 0) return "";
    const own = this.elements.find(({ attributes }) => attributes.get("type") === "importmap");
    let map = {};
    try {
      map = own ? JSON.parse(this.html.slice(own.content.start, own.content.end)) : {};
    } catch { /* A browser would not read it either. */ }
    const given = new Set(Object.keys(map.imports ?? {}));
    const added = [...imports].filter(([name]) => !isProvided(given, name));
    map.imports = { ...map.imports, ...Object.fromEntries(added) };
    if (own) this.edits.push({ start: own.tag.start, end: own.end, text: "" });
    return `<script type="importmap">\n${JSON.stringify(map, null, 2).replace(/</g, "\\u003c")}\n</script>\n`;
  }
}

/** The absolute address of `path`: an app's routes may be at any depth. */
const address = (path) => quoted(`/${encoded(path)}`);

/** `%VITE_X%` in a page, https://vite.dev/guide/env-and-mode#html-constant-replacement */
function constants(html, { env }) {
  const known = { ...VITE, ...env, BASE_URL: "/", PUBLIC_URL: "" };
  return html.replace(/%(\w+)%/g, (written, name) => (name in known ? String(known[name]) : written));
}

/**
 * A module that renders the component of `app`, with the style sheets that such
 * projects usually have next to it.
 */
function mount({ files, manifest, root }, app) {
  const own = folder(app), named = ["index.css", "App.css", "globals.css", "styles.css", "style.css"];
  const forgotten = [...new Set(named.flatMap((sheet) => [own + sheet, root + sheet]))].filter((path) => files.has(path));
  const styles = forgotten.map((path) => `import ${JSON.stringify(`/${path.slice(root.length)}`)};\n`).join("");
  const isOld = /^1[67]\b/.test(dependency(manifest, "react").version ?? "");
  const [library, show] = isPreact(manifest)
    ? ['import { render } from "preact";', "render(<App />, root);"]
    : isOld
      ? ['import { render } from "react-dom";', "render(<App />, root);"]
      : ['import { createRoot } from "react-dom/client";', "createRoot(root).render(<App />);"];
  return `${library}\nimport * as app from "./${name(app)}";\n${styles}const App = app["default"] ?? app["App"];\nconst root = document.getElementById("root");\n${show}\n`;
}

export const isPageOf = (path) => extension(path) === "html";
