// A CDN of ES modules with esm.sh's URLs, from node_modules, and Tailwind's
// build for the browser. It refuses what esm.sh would, and versions that are
// not the ones in node_modules: whatever is asked for was pinned.
// https://esm.sh/#docs, "Specifying External Dependencies", "Import Maps"

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { build } from "esbuild";

const require = createRequire(import.meta.url);

/** `/name@version/path?external=a,b`, or `/name@version&external=a,b/path`. */
const ADDRESS = /^\/((?:@[^/@]+\/)?[^/@]+)@([^/&]+)(?:&external=([^/]+))?(?:\/(.+))?$/;

/**
 * Starts it. `url`, `tailwind` (the script's address), `asked` (paths so far), `stop()`.
 * @param {Record<string, string>} packages what it has beside node_modules, by `name@version/path`; a style sheet begins with `/* css *\/`
 */
export async function startEsmCdn(packages = {}) {
  const asked = [], made = new Map();
  const server = createServer(async (request, response) => {
    const cors = { "access-control-allow-origin": "*" };
    asked.push(request.url);
    try {
      const [type, content] = await (made.get(request.url) ?? made.set(request.url, answer(request.url, packages)).get(request.url));
      response.writeHead(200, { ...cors, "content-type": type, "cache-control": "no-store" }).end(content);
    } catch (error) {
      response.writeHead(404, { ...cors, "content-type": "text/plain" }).end(String(error));
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  return { url, tailwind: `${url}/tailwind.js`, asked, stop: () => server.close() };
}

async function answer(url, packages) {
  if (url === "/tailwind.js") return ["text/javascript", await readFile(require.resolve("@tailwindcss/browser"))];
  const { pathname, searchParams } = new URL(url, "http://cdn");
  const [, name, version, infix, path] = decodeURIComponent(pathname).match(ADDRESS) ?? [];
  if (!name) throw new Error(`no package in ${url}`);
  const given = packages[`${name}@${version}${path ? `/${path}` : ""}`];
  if (given) return [given.startsWith("/* css */") ? "text/css" : "text/javascript", given];
  const { version: installed } = await manifestOf(name);
  if (version !== installed) throw new Error(`${name}@${version} is not there, ${installed} is`);
  if (path?.endsWith(".css")) return ["text/css", await readFile(`node_modules/${name}/${path}`)];
  const external = (infix ?? searchParams.get("external") ?? "").split(",").filter(Boolean);
  const specifier = path ? `${name}/${path}` : name;
  if (path?.startsWith("-/")) return ["text/javascript", await moduleOf(resolve(`node_modules/${name}/${path.slice(2)}`), external)];
  if (await isModule(name)) return ["text/javascript", await entryOf(specifier, external)];
  return ["text/javascript", await bundled(specifier, external)];
}

const manifestOf = async (name) => JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8"));

/** Whether it is written as modules: these are served one by one, and so are there once, whichever of them is asked for. */
async function isModule(name) {
  const { type, module, exports } = await manifestOf(name);
  return type === "module" || module !== undefined || exports?.["."]?.import !== undefined;
}

const isAmong = (external, path) => external.some((name) => path === name || path.startsWith(`${name}/`));

/** What a package's name or path stands for. */
async function entryOf(specifier, external) {
  let file;
  await build({
    stdin: { contents: `import "${specifier}"`, resolveDir: process.cwd() }, bundle: true, write: false, logLevel: "silent",
    plugins: [{ name: "entry", setup(build) {
      build.onResolve({ filter: /.*/ }, async ({ path, kind, pluginData }) => {
        if (pluginData === "own") return undefined;
        const found = await build.resolve(path, { resolveDir: process.cwd(), kind, pluginData: "own" });
        file = found.path;
        return { path, external: true };
      });
    } }],
  });
  if (!file) throw new Error(`there is no ${specifier}`);
  const address = await addressOf(file, external), text = await readFile(file, "utf8");
  return `export * from "${address}";${/\bexport default\b|\bas default\b/.test(text) ? `export { default } from "${address}";` : ""}`;
}

/** The address of a file in node_modules, which is imported by this specifier. */
async function addressOf(file, external, specifier = "") {
  const [, name, path] = file.match(/.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\/(.+)$/);
  const { version } = await manifestOf(name), query = external.length > 0 ? `?external=${external}` : "";
  const subpath = specifier.startsWith(`${name}/`) ? specifier.slice(name.length) : "";
  return await isModule(name) ? `/${name}@${version}/-/${path}${query}` : `/${name}@${version}${subpath}${query}`;
}

/** One module as it is, but for the addresses of others. */
async function moduleOf(file, external) {
  const { outputFiles } = await build({
    entryPoints: [file], bundle: true, write: false, format: "esm", define: { "process.env.NODE_ENV": '"production"', __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false" },
    plugins: [{ name: "modules", setup(build) {
      build.onResolve({ filter: /.*/ }, async ({ path, kind, resolveDir, pluginData }) => {
        if (pluginData === "own" || kind === "entry-point") return undefined;
        if (isAmong(external, path)) return { path, external: true };
        const found = await build.resolve(path, { resolveDir, kind, pluginData: "own" });
        return found.errors.length > 0 ? found : { path: await addressOf(found.path, external, path), external: true };
      });
    } }],
  });
  return outputFiles[0].text;
}

/** A module of CommonJS and all that it needs but the external packages, whose imports stay. */
async function bundled(specifier, external) {
  // CommonJS has no named exports for esbuild to see; esm.sh finds them, too.
  const names = Object.keys(require(specifier)).filter((name) => name !== "default").join(", ");
  const contents = `export { ${names} } from "${specifier}"; export { default } from "${specifier}";`;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: process.cwd() },
    bundle: true,
    write: false,
    format: "esm",
    define: { "process.env.NODE_ENV": '"production"' },
    plugins: [{
      name: "external",
      setup({ onResolve, onLoad }) {
        onResolve({ filter: /^[^./]/ }, ({ path, kind, namespace }) => {
          if (!isAmong(external, path) || path === specifier) return undefined;
          // What CommonJS requires is imported by a module of its own.
          return kind === "require-call" && namespace !== "required" ? { path, namespace: "required" } : { path, external: true };
        });
        onLoad({ filter: /.*/, namespace: "required" }, ({ path }) => ({
          contents: `export * from "${path}"; export { default } from "${path}";`,
        }));
      },
    }],
  });
  return outputFiles[0].text;
}
