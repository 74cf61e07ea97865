// Bundles the compiler into compiler/build/: the Worker, esbuild's wasm, and a
// chunk for each library that is loaded only if a project needs it.

import { copyFile, mkdir, readFile, rm } from "node:fs/promises";
import { createHash } from "node:crypto";
import { globSync } from "node:fs";
import { build } from "esbuild";

/** Replacements for Node's modules, with the functions that libraries call even without a disk. */
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
      // Node's modules, which these libraries use only if there is a disk.
      onResolve({ filter: /^(node:)?(fs|path|os|crypto|url|util|module|process|worker_threads|child_process|tty|assert)$/ }, ({ path }) => ({ path: path.replace("node:", ""), namespace: "nothing" }));
      onLoad({ filter: /sass\.dart\.js$/ }, async ({ path }) => ({ contents: forWorkers(await readFile(path, "utf8")), loader: "js" }));
      onLoad({ filter: /.*/, namespace: "nothing" }, ({ path }) => ({ contents: `module.exports = ${NOTHING[path] ?? "{}"}`, loader: "js" }));
    },
  }],
});

/** The compiler's version. A new version invalidates cached sites. */
async function version() {
  const made = createHash("sha256");
  for (const path of ["package-lock.json", "compiler/build.js", ...globSync("compiler/src/*.js").sort()]) made.update(await readFile(path));
  return made.digest("hex");
}

/** Adapts Sass: it mistakes anything with a `require` for Node, and makes functions from strings, which Workers forbid. */
function forWorkers(sass) {
  const made = /new self\.Function\("(\w*)", ("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\)/g;
  const unquoted = (text) => text.slice(1, -1).replace(/\\(.)/g, (_, character) => (character === "n" ? "\n" : character));
  return `var require;\n${sass.replace(made, (_, parameter, body) => `(function (${parameter}) {${unquoted(body)}})`)}`;
}
