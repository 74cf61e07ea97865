// `npm run size-table`: writes docs/size.md, the twenty largest contributors to
// the development build's Wasm. The name section says which crate a function belongs
// to. A release build has no name section.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { CUSTOM, DATA, IMPORTS, functionNames, functions, importedFunctions, sections } from "./wasm.js";

const SHOWN = 20;

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
  for (const { bytes } of all.filter(({ kind }) => kind === DATA)) add("data: text, tables, templates", bytes.length);
  const imported = importedFunctions(all.find(({ kind }) => kind === IMPORTS).bytes);
  for (const [index, { length }] of functions(wasm).entries()) add(owner(names.get(imported + index) ?? ""), length);
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
