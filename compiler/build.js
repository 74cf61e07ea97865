// Bundles the compiler into compiler/build/: the Worker, esbuild's wasm, and a
// chunk for each thing that is loaded only where a project needs it.

import { copyFile, mkdir, readFile, rm } from "node:fs/promises";
import { createHash } from "node:crypto";
import { globSync } from "node:fs";
import { build } from "esbuild";

/** What libraries do with Node's modules even where there is no disk. */
const NOTHING = {
  assert: "() => {}",
  path: "{ resolve: (...parts) => parts.at(-1), relative: (_, path) => path, basename: (path) => path.slice(path.lastIndexOf('/') + 1), extname: (path) => path.match(/[.][^./]*$/)?.[0] ?? '', dirname: (path) => path.slice(0, Math.max(path.lastIndexOf('/'), 0)) }",
};

const out = "compiler/build";
await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await copyFile("node_modules/esbuild-wasm/esbuild.wasm", `${out}/esbuild.wasm`);
await build({
  entryPoints: ["compiler/src/worker.js"],
  outdir: out,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  minify: true,
  logLevel: "warning",
  conditions: ["worker", "browser", "module"],
  loader: { ".css": "text" },
  define: { "process.env.NODE_ENV": '"production"', "process.env.FEATURES_ENV": '"stable"', "process.env": "{}", COMPILER_VERSION: JSON.stringify(await version()) },
  plugins: [{
    name: "workers",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /\.wasm$/ }, ({ path }) => ({ path, external: true }));
      // What Node has, and these libraries ask for only where there is a disk.
      onResolve({ filter: /^(node:)?(fs|path|os|crypto|url|util|module|process|worker_threads|child_process|tty|assert)$/ }, ({ path }) => ({ path: path.replace("node:", ""), namespace: "nothing" }));
      onLoad({ filter: /sass\.dart\.js$/ }, async ({ path }) => ({ contents: forWorkers(await readFile(path, "utf8")), loader: "js" }));
      onLoad({ filter: /.*/, namespace: "nothing" }, ({ path }) => ({ contents: `module.exports = ${NOTHING[path] ?? "{}"}`, loader: "js" }));
    },
  }],
});

/** What a project is compiled by: another one compiles it again. */
async function version() {
  const made = createHash("sha256");
  for (const path of ["package-lock.json", "compiler/build.js", ...globSync("compiler/src/*.js").sort()]) made.update(await readFile(path));
  return made.digest("hex");
}

/** Sass, which takes what has a `require` for Node, and makes functions of strings, which no Worker may. */
function forWorkers(sass) {
  const made = /new self\.Function\("(\w*)", ("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\)/g;
  const unquoted = (text) => text.slice(1, -1).replace(/\\(.)/g, (_, character) => (character === "n" ? "\n" : character));
  return `var require;\n${sass.replace(made, (_, parameter, body) => `(function (${parameter}) {${unquoted(body)}})`)}`;
}
