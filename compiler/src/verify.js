// Checks a finished site like a browser: whether its scripts and modules parse
// and their imported names exist. It also lists the requested addresses; the
// hosting code checks that they exist (src/deploy/reach.rs).

import { parse } from "@babel/parser";
import { exportsOf } from "./exports.js";
import { at, atLine } from "./diagnostic.js";
import { elements, isModuleScript } from "./html.js";
import { extension, folder, join } from "./path.js";
import { isProvided, isLocal, providedBy } from "./plan.js";
import { importsOf } from "./source.js";

const SCRIPT_TYPES = new Set([undefined, "", "module", "text/javascript", "application/javascript"]);
/** The most pages, and the most modules, that are checked. */
const MOST = 500;
/** The most addresses that are returned for the hosting to check. */
const MOST_REACHED = 5_000;
/** Attributes that load files other than scripts and style sheets. */
const ASSETS = [["img", "src"], ["source", "src"], ["video", "src"], ["video", "poster"], ["audio", "src"], ["track", "src"], ["embed", "src"], ["object", "data"], ["image", "href"], ["use", "href"]];

/**
 * @param {Map<string, string>} files the served files, by path
 * @param {{root?: string, isCompiled?: boolean}} options `root`: the files' folder in the project; compiled files are known to parse
 * @typedef {{from: string, address: string, dest: string, at?: number}} Reached a file's request, its destination type,
 *   and its position; no position in compiled files
 * @returns {{wrong: import("./diagnostic.js").Diagnostic[], reached: Reached[]}}
 */
export function verify(files, { root = "", isCompiled = false } = {}) {
  const visit = new Visit(files, root, isCompiled);
  const pages = [...files.keys()].filter((path) => extension(path) === "html").slice(0, MOST);
  for (const page of pages) visit.page(page, files.get(page));
  return visit;
}

class Visit {
  constructor(files, root, isCompiled) {
    Object.assign(this, { files, root, isCompiled, wrong: [], reached: [], seen: new Set() });
  }

  page(path, html) {
    const all = elements(html), provided = new Set(all.flatMap((element) => providedBy(element, html)));
    // Addresses on a page with `<base>` cannot be resolved here.
    if (all.some(({ name }) => name === "base")) return;
    for (const element of all) {
      if (element.name === "script") this.script(path, html, element, provided);
      if (element.name === "link" && element.attributes.get("rel") === "stylesheet") this.reach(path, element.place("href")?.start ?? element.tag.start, element.attributes.get("href"), "style");
      for (const [, attribute] of ASSETS.filter(([tag, attribute]) => tag === element.name && element.attributes.has(attribute))) {
        this.reach(path, element.place(attribute)?.start ?? element.tag.start, element.attributes.get(attribute), "image");
      }
    }
  }

  script(path, html, script, provided) {
    if (!SCRIPT_TYPES.has(script.attributes.get("type")?.toLowerCase())) return;
    const isModule = isModuleScript(script), src = script.attributes.get("src");
    if (src === undefined) {
      const tree = this.parsed(path, html, isModule, script.content);
      if (tree && isModule) this.follow(path, html, tree, provided, script.content.start);
      return;
    }
    const file = isLocal(src) && src !== "" ? this.fileAt(path, src) : undefined;
    if (file === undefined) return;
    this.reach(path, script.place("src")?.start ?? script.tag.start, src, "script");
    if (!this.files.has(file)) return;
    if (isModule) this.module(file, provided);
    else this.parsed(file, this.files.get(file), false);
  }

  module(file, provided) {
    if (this.seen.has(file) || this.seen.size > MOST || this.isCompiled) return;
    this.seen.add(file);
    const text = this.files.get(file), tree = this.parsed(file, text, true);
    if (tree) this.follow(file, text, tree, provided, 0);
  }

  /** Follows the imports that a browser loads before anything runs. */
  follow(path, text, tree, provided, offset) {
    const links = tree.program.body.filter(({ source }) => source);
    for (const { specifier, at: place, names, type, isDynamic } of importsOf("x.js", tree).map((one) => ({ ...one, isDynamic: !links.some(({ source }) => source.start === one.at) }))) {
      if (!/^[./]/.test(specifier)) {
        const isThere = /^[a-z]+:/i.test(specifier) || isProvided(provided, specifier);
        if (!isThere && !isDynamic) this.report(path, text, offset + place, `no import map says where "${specifier}" is: name it there, or write its address`);
        continue;
      }
      const file = this.fileAt(path, specifier);
      if (file === undefined) continue;
      if (!isDynamic) this.reach(path, offset + place, specifier, type === "css" ? "style" : type ?? "script");
      if (!this.files.has(file) || !["js", "mjs"].includes(extension(file))) continue;
      this.module(file, provided);
      this.link(path, text, offset + place, names, file);
    }
  }

  /** Reports imported names that the module does not export, because they break the whole page. */
  link(path, text, place, names, file) {
    const exported = exportsOf(file, this.files.get(file));
    const lost = exported.isOpen ? undefined : names.find((name) => !exported.names.includes(name));
    if (lost !== undefined) this.report(path, text, place, `${this.root}${file} does not export "${lost}": it exports ${exported.names.join(", ") || "nothing"}`);
  }

  parsed(path, text, isModule, { start, end } = { start: 0, end: text.length }) {
    if (this.isCompiled) return undefined;
    const source = text.slice(start, end);
    try {
      return parse(source, { sourceType: isModule ? "module" : "script", plugins: ["explicitResourceManagement"], allowReturnOutsideFunction: false });
    } catch (error) {
      // Out of stack here; a browser may still parse it.
      if (error.pos === undefined) return undefined;
      const place = at(this.root + path, text, start + error.pos, error.message.replace(/ \(\d+:\d+\)$/, ""));
      this.wrong.push(atLine(place.path, text, place.line, place.column, `the browser cannot read it: ${place.message}`));
      return undefined;
    }
  }

  /** The path of an address in the file at `path`. */
  fileAt(path, address) {
    const [written] = address.split(/[?#]/);
    let decoded = written;
    try { decoded = decodeURIComponent(written); } catch { /* The hosting answers 400. */ }
    return written.startsWith("/") ? join("", decoded) : join(folder(path), decoded);
  }

  reach(path, offset, address, dest) {
    if (!address || !isLocal(address) || address.startsWith("#") || this.reached.length === MOST_REACHED) return;
    this.reached.push({ from: path, address, dest, at: this.isCompiled ? undefined : offset });
  }

  report(path, text, offset, message) {
    this.wrong.push(at(this.root + path, text, offset, message));
  }
}
