// `npm run size-table`: writes docs/size.md, the twenty largest contributors to
// the development build's Wasm. The name section says which crate a function belongs
// to. A release build has no name section.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const SHOWN = 20;
const CUSTOM = 0;
const IMPORTS = 2;
const CODE = 10;
const DATA = 11;
const FUNCTION_NAMES = 1;
const FUNCTION = 0;
/** What follows the kind of an import that is no function: its type, as so many LEB128 numbers. */
const WALKED = { 2: "limits", 1: "table", 3: "global", 4: "tag" };

/** Reads what a Wasm binary is made of, from `at` on. */
class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  byte() {
    return this.bytes[this.at++];
  }

  /** An unsigned LEB128 number. */
  number() {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  take(length) {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  text() {
    return Buffer.from(this.take(this.number())).toString();
  }

  limits() {
    const flags = this.byte();
    this.number();
    if (flags & 1) this.number();
  }

  /** Goes past the type of an import that is no function. */
  type(kind) {
    const what = WALKED[kind];
    if (what === "table") this.byte();
    if (what === "table" || what === "limits") this.limits();
    else this.take(2);
  }
}

/** The sections of a Wasm binary: their kinds and bytes. */
export function sections(wasm) {
  const reader = new Reader(wasm, 8);
  const found = [];
  while (reader.at < wasm.length) {
    const kind = reader.byte();
    const bytes = reader.take(reader.number());
    found.push({ kind, bytes });
  }
  return found;
}

function importedFunctions(bytes) {
  const reader = new Reader(bytes);
  let functions = 0;
  for (let left = reader.number(); left > 0; left--) {
    reader.text();
    reader.text();
    const kind = reader.byte();
    if (kind === FUNCTION) functions += 1;
    if (kind === FUNCTION) reader.number();
    else reader.type(kind);
  }
  return functions;
}

/** The names of functions by their index; none when the binary has no such section. */
function functionNames(custom) {
  const reader = new Reader(custom);
  if (reader.text() !== "name") return undefined;
  const names = new Map();
  while (reader.at < custom.length) {
    const kind = reader.byte();
    const part = new Reader(reader.take(reader.number()));
    if (kind !== FUNCTION_NAMES) continue;
    for (let left = part.number(); left > 0; left--) names.set(part.number(), part.text());
  }
  return names;
}

/** Whose a function is: of this crate its module, of another one the crate. */
export function owner(name) {
  const path = name.replace(/^(?:<|&|\*|mut |dyn |\[|\()+/, "").match(/^[\w$]+(?:::[\w$]+)*/)?.[0] ?? "";
  const [crate, module] = path.split("::");
  if (!path.includes("::")) return "names without a crate";
  return crate === "hatch" ? `hatch::${module}` : crate;
}

/** Bytes by owner, data and the other sections among them. */
export function contributors(wasm) {
  const all = sections(wasm);
  const names = all.filter(({ kind }) => kind === CUSTOM).map(({ bytes }) => functionNames(bytes)).find(Boolean);
  if (!names) throw new Error("this build has no names: run `bash scripts/build.sh --dev` first");
  const sizes = new Map();
  const add = (whose, bytes) => sizes.set(whose, (sizes.get(whose) ?? 0) + bytes);
  let index = 0;
  for (const { kind, bytes } of all) {
    if (kind === IMPORTS) index = importedFunctions(bytes);
    if (kind === DATA) add("data: text, tables, templates", bytes.length);
    if (kind !== CODE) continue;
    const code = new Reader(bytes);
    for (let left = code.number(); left > 0; left--) {
      const length = code.number();
      code.take(length);
      add(owner(names.get(index) ?? ""), length);
      index += 1;
    }
  }
  return [...sizes].sort(([, a], [, b]) => b - a);
}

function document(wasm) {
  const all = contributors(wasm);
  const total = all.reduce((sum, [, bytes]) => sum + bytes, 0);
  const kilobytes = (bytes) => Math.round(bytes / 1024).toLocaleString("en");
  const row = ([whose, bytes]) => `| ${whose} | ${kilobytes(bytes)} | ${((100 * bytes) / total).toFixed(1)} % |`;
  return `# What the Wasm is made of

Written by \`npm run size-table\`. The twenty largest contributors to the code and data of a development build, before gzip: a module of this crate, or another crate. Generic code counts for the type that it was made for, where its name begins with one. Of ${kilobytes(total)} KB of code and data, the whole file with its names is ${kilobytes(gzipSync(wasm).length)} KB after gzip; the budget is in \`scripts/size-budget.json\`.

| whose | KB | share |
|---|---:|---:|
${all.slice(0, SHOWN).map(row).join("\n")}
`;
}

function main() {
  const text = document(readFileSync("build/index_bg.wasm"));
  writeFileSync("docs/size.md", text);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main();
