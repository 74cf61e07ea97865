// A CDN of ES modules with esm.sh's URLs, from node_modules, and Tailwind's
// build for the browser. It refuses what esm.sh would, and versions that are
// not the ones in node_modules: whatever is asked for was pinned.
// https://esm.sh/#docs, "Specifying External Dependencies", "Import Maps"

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { build } from "esbuild";

const require = createRequire(import.meta.url);

/** `/name@version/path?external=a,b`, or `/name@version&external=a,b/path`. */
const ADDRESS = /^\/((?:@[^/@]+\/)?[^/@]+)@([^/&]+)(?:&external=([^/]+))?(?:\/(.+))?$/;

/** Starts it. `url`, `tailwind` (the script's address), `asked` (paths so far), `stop()`. */
export async function startEsmCdn() {
  const asked = [], made = new Map();
  const server = createServer(async (request, response) => {
    const cors = { "access-control-allow-origin": "*" };
    asked.push(request.url);
    try {
      const [type, content] = await (made.get(request.url) ?? made.set(request.url, answer(request.url)).get(request.url));
      response.writeHead(200, { ...cors, "content-type": type, "cache-control": "no-store" }).end(content);
    } catch (error) {
      response.writeHead(404, { ...cors, "content-type": "text/plain" }).end(String(error));
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  return { url, tailwind: `${url}/tailwind.js`, asked, stop: () => server.close() };
}

async function answer(url) {
  if (url === "/tailwind.js") return ["text/javascript", await readFile(require.resolve("@tailwindcss/browser"))];
  const { pathname, searchParams } = new URL(url, "http://cdn");
  const [, name, version, infix, path] = decodeURIComponent(pathname).match(ADDRESS) ?? [];
  if (!name) throw new Error(`no package in ${url}`);
  const installed = JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8")).version;
  if (version !== installed) throw new Error(`${name}@${version} is not there, ${installed} is`);
  if (path?.endsWith(".css")) return ["text/css", await readFile(`node_modules/${name}/${path}`)];
  const external = (infix ?? searchParams.get("external") ?? "").split(",").filter(Boolean);
  return ["text/javascript", await bundled(path ? `${name}/${path}` : name, external)];
}

/** A module and all that it needs but the external packages, whose imports stay. */
async function bundled(specifier, external) {
  const isExternal = (path) => external.some((name) => path === name || path.startsWith(`${name}/`));
  // CommonJS has no named exports for esbuild to see; esm.sh finds them, too.
  const isModule = ["zustand", "vue", "svelte"].includes(specifier.split("/")[0]);
  const names = isModule ? "" : Object.keys(require(specifier)).filter((name) => name !== "default").join(", ");
  const contents = isModule ? `export * from "${specifier}";` : `export { ${names} } from "${specifier}"; export { default } from "${specifier}";`;
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
          if (!isExternal(path) || path === specifier) return undefined;
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
