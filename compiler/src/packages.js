// Decides which packages may be imported, and finds them at the CDN.
//
// The CDN uses esm.sh's URLs (https://esm.sh/#docs): `/name@version/subpath`,
// with `?external=` for packages that the import map provides.

import { dependency, isPreact } from "./manifest.js";

/** Node's own modules (https://nodejs.org/api/modules.html#built-in-modules), which browsers do not have. */
const OF_NODE = new Set([
  "assert", "async_hooks", "buffer", "child_process", "cluster", "crypto", "dgram", "dns", "events", "fs", "http", "http2", "https", "module", "net",
  "os", "path", "perf_hooks", "process", "querystring", "readline", "stream", "string_decoder", "timers", "tls", "tty", "url", "util", "v8", "vm",
  "worker_threads", "zlib",
]);
/** Packages that compiled JSX imports, so package.json need not list them. */
const IMPLIED = new Set(["react", "react-dom"]);
/** Packages that need a server, and their frameworks. */
const OF_A_SERVER = new Map([["next", "Next.js"], ["nuxt", "Nuxt"], ["@sveltejs/kit", "SvelteKit"], ["@remix-run/node", "Remix"], ["express", "Express"]]);

/** The package of a bare specifier: `@scope/name` of `@scope/name/path`. */
export const packageName = (specifier) => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");

/** The package and the path of a bare specifier; undefined for other specifiers. */
export function parts(specifier) {
  const name = packageName(specifier);
  return /^(@[\w.~-]+\/)?[a-zA-Z0-9~-][\w.~-]*$/.test(name) ? { name, path: specifier.slice(name.length + 1) } : undefined;
}

/** Whether a specifier without `node:`, such as `fs/promises`, is one of Node's modules. */
export const isOfNode = (specifier) => OF_NODE.has(specifier.split("/")[0]);

/** Why a package cannot run in a browser; undefined if it can. */
export function refusal(manifest, specifier) {
  const found = parts(specifier.replace(/^node:/, ""));
  if (!found) return `cannot find "${specifier}": it is neither a file of this project nor a package's name`;
  const { name } = found;
  if (specifier.startsWith("node:") || (isOfNode(name) && !manifest.listed.has(name))) {
    return `"${specifier}" is a module of Node.js, which a browser does not have`;
  }
  if (OF_A_SERVER.has(name)) {
    return `"${specifier}" belongs to ${OF_A_SERVER.get(name)}, which needs a server: deploy to \`vercel\`, or ask for a Vite app`;
  }
  const range = manifest.listed.get(name) ?? "";
  if (/^(file|link|git|github|https?|portal)\b.*[:/]/.test(range)) {
    return `"${name}" comes from ${range}, which no CDN has: name a version that npm has, or put its files into the project`;
  }
  return manifest.exists && !IMPLIED.has(name) && !manifest.listed.has(name) ? unlisted(specifier) : undefined;
}

/** The message for a package that package.json does not list. */
export const unlisted = (specifier) =>
  `"${specifier}" is not in package.json: add "${packageName(specifier)}" to its dependencies, or remove the import`;

/** A package's address at the CDN. */
function base(cdn, manifest, name) {
  const { name: registered, version } = dependency(manifest, name);
  return version === undefined ? `${cdn}/${registered}` : `${cdn}/${registered}@${encodeURI(version)}`;
}

/** The URL of a package's file that is not a module, such as a style sheet. */
export function packageFile(cdn, manifest, specifier) {
  const { name, path } = parts(specifier);
  return `${base(cdn, manifest, name)}/${path}`;
}

/**
 * The `imports` of an import map for these bare specifiers. Each package occurs
 * once and is shared by the project and by other packages. Packages that
 * package.json lists are included, because packages also import each other.
 * @returns {Map<string, string>}
 */
export function importMap(cdn, manifest, specifiers) {
  const imported = [...specifiers].map((specifier) => parts(specifier)?.name).filter(Boolean);
  const runtime = imported.length > 0 ? manifest.runtime.filter((name) => refusal(manifest, name) === undefined) : [];
  const names = new Set([...imported, ...runtime]);
  const preact = isPreact(manifest);
  if ([...names].some((name) => name.startsWith("react")) || (preact && names.size > 1)) names.add("react").add("react-dom");
  const sorted = [...names].sort();
  const imports = new Map();
  for (const name of sorted) {
    const standsIn = preact && (name === "react" || name === "react-dom");
    const at = standsIn ? `${base(cdn, manifest, "preact")}/compat` : base(cdn, manifest, name);
    const external = externals(name, sorted, preact).join(",");
    const query = external && `?external=${external}`, infix = external && `&external=${external}`;
    imports.set(name, at + query);
    // esm.sh accepts a query before a path only in this form.
    imports.set(`${name}/`, `${at}${infix}/`);
    for (const specifier of specifiers) {
      if (specifier.startsWith(`${name}/`)) imports.set(specifier, `${at}/${specifier.slice(name.length + 1)}${query}`);
    }
  }
  return imports;
}

function externals(name, names, preact) {
  if (preact && (name === "react" || name === "react-dom")) return ["preact"];
  if (name === "react" || name === "preact") return [];
  if (name === "react-dom") return ["react"];
  return names.filter((other) => other !== name);
}
