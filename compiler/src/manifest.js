// Reads package.json: a project's dependencies and their versions.

import { parse, printParseErrorCode } from "jsonc-parser";
import { at } from "./diagnostic.js";

/** React's version for projects that do not state one. */
const REACT_VERSION = "19";
const KINDS = ["peerDependencies", "optionalDependencies", "devDependencies", "dependencies"];

/** @typedef {{exists: boolean, name?: string, listed: Map<string, string>, runtime: string[], locked: Map<string, string>, imports: string[]}} Manifest */

/**
 * Reads the manifest of a folder (with its slash); empty if there is none.
 * @returns {{manifest?: Manifest, wrong?: import("./diagnostic.js").Diagnostic}}
 */
export function readManifest(files, folder = "") {
  const path = `${folder}package.json`, text = files.get(path)?.replace(/^\uFEFF/, "");
  if (text === undefined) return { manifest: empty() };
  const errors = [];
  const json = parse(text, errors);
  const [error] = errors;
  if (error) return { wrong: at(path, text, error.offset, `not a valid package.json: ${printParseErrorCode(error.error)}`) };
  const misplaced = misplacedField(json);
  if (misplaced) {
    const offset = Math.max(text.indexOf(`"${misplaced}"`), 0);
    return { wrong: at(path, text, offset, `not a valid package.json: ${misplaced || "it"} is not what npm expects there`) };
  }
  const listed = new Map(KINDS.flatMap((kind) => Object.entries(json[kind] ?? {})));
  const runtime = [...new Set(["dependencies", "peerDependencies", "optionalDependencies"].flatMap((kind) => Object.keys(json[kind] ?? {})))];
  const imports = Object.keys(json.imports ?? {}).map((key) => key.split("*")[0]);
  return { manifest: { exists: true, name: json.name, listed, runtime, locked: lockedVersions(files, folder), imports } };
}

const empty = () => ({ exists: false, listed: new Map(), runtime: [], locked: new Map(), imports: [] });

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** The name of a field with the wrong type; empty if the whole manifest has the wrong type. */
function misplacedField(json) {
  if (!isObject(json)) return "";
  if (json.name !== undefined && typeof json.name !== "string") return "name";
  if (json.imports !== undefined && !isObject(json.imports)) return "imports";
  const fits = (value) => value === undefined || (isObject(value) && Object.values(value).every((range) => typeof range === "string"));
  return KINDS.find((kind) => !fits(json[kind]));
}

/** Exact versions by name, from package-lock.json. */
function lockedVersions(files, folder) {
  const lock = parse((files.get(`${folder}package-lock.json`) ?? "{}").replace(/^\uFEFF/, ""));
  const entries = Object.entries(isObject(lock?.packages) ? lock.packages : {});
  const direct = entries.filter(([path, { version }]) => path.startsWith("node_modules/") && typeof version === "string");
  return new Map(direct.map(([path, { version }]) => [path.slice("node_modules/".length), version]));
}

/**
 * A dependency's name in the registry and its version: `npm:` may map it to
 * another name. Without a version, the newest is used.
 * @returns {{name: string, version?: string}}
 */
export function dependency(manifest, name) {
  const range = manifest.listed.get(name);
  const alias = range?.match(/^npm:((?:@[^/@]+\/)?[^@]+)(?:@(.*))?$/);
  const registered = range?.startsWith("jsr:") ? `jsr/${name}` : alias?.[1] ?? name;
  const wanted = alias ? alias[2] : range?.replace(/^jsr:(@?[^@]+@)?/, "");
  const version = manifest.locked.get(name) ?? (wanted === undefined ? undefined : pinned(wanted));
  return { name: registered, version: version ?? usual(manifest, name) };
}

function usual(manifest, name) {
  if (name === "react-dom") return dependency(manifest, "react").version;
  return name === "react" ? REACT_VERSION : undefined;
}

/**
 * Pins a range to the version it names: `18.3.1` for `^18.3.1`, so that later
 * builds use the same version. A range with only an upper bound stays a range,
 * which the CDN resolves.
 */
export function pinned(range) {
  const [first = "", ...others] = range.split("||").pop().replace(/([<>=~^]+)\s+/g, "$1").trim().split(/\s+/);
  if (first.startsWith("<")) return /^<=?\d[\w.+-]*$/.test(first) && others.length === 0 ? first : undefined;
  const version = first.replace(/^[\^~=>vV]+/, "").replace(/(\.[x*])+$/, "");
  return /^[\w.+-]+$/.test(version) && !["x", "latest"].includes(version) && !/^(workspace|file|link|git|github|http)/.test(first) ? version : undefined;
}

/** Whether the project's JSX is Solid's. */
export const isSolid = (manifest) => manifest.listed.has("solid-js") && !manifest.listed.has("react");

/** Whether Preact replaces React. */
export const isPreact = (manifest) => manifest.listed.has("preact") && !manifest.listed.has("react");
