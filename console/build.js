// Bundles the console into public/: a page, and files that are named after
// their content. What a page or the editor needs alone is loaded when it opens.

import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { build } from "esbuild";

const OUT = "public/console";

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });
const { metafile } = await build({
  entryPoints: { console: "console/src/main.tsx", icon: "console/icon.svg" },
  outdir: OUT,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  metafile: true,
  logLevel: "warning",
  // One request fewer than fonts at addresses of their own folder would be.
  loader: { ".woff2": "file", ".svg": "copy" },
  define: { "process.env.NODE_ENV": '"production"' },
});

const outputs = Object.entries(metafile.outputs);
const named = (isWanted) => basename(outputs.find(isWanted)[0]);
const entry = outputs.find(([, { entryPoint }]) => entryPoint === "console/src/main.tsx");
const files = {
  script: basename(entry[0]),
  style: basename(entry[1].cssBundle),
  icon: named(([path]) => /icon-\w+\.svg$/.test(path)),
  font: named(([path]) => /hanken-grotesk-latin-wght-normal-\w+\.woff2$/.test(path)),
};
const page = (await readFile("console/index.html", "utf8")).replace(/@(\w+)@/g, (_, name) => files[name]);
// Last, and all at once: whoever finds the page finds what it names.
await writeFile("public/console.html.new", page);
await rename("public/console.html.new", "public/console.html");
