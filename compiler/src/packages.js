// Packages: which may be imported, and where a CDN has them.
//
// The CDN speaks esm.sh's URLs (https://esm.sh/#docs): `/name@version/subpath`
// with `?external=` for the packages that the import map gives instead.

import { dependency, isPreact } from "./manifest.js";

/** Node's own modules (https://nodejs.org/api/modules.html#built-in-modules), which are refused to a browser. */
const OF_NODE = new Set([
  "assert", "async_hooks", "buffer", "child_process", "cluster", "crypto", "dgram", "dns", "events", "fs", "http", "http2", "https", "module", "net",
  "os", "path", "perf_hooks", "process", "querystring", "readline", "stream", "string_decoder", "timers", "tls", "tty", "url", "util", "v8", "vm",
  "worker_threads", "zlib",
]);
/** What compiled JSX imports need not be listed. */
const IMPLIED = new Set(["react", "react-dom"]);
/** What asks for a server, and where that is. */
const OF_A_SERVER = new Map([["next", "Next.js"], ["nuxt", "Nuxt"], ["@sveltejs/kit", "SvelteKit"], ["@remix-run/node", "Remix"], ["express", "Express"]]);

/** The package of a bare specifier: `@scope/name` of `@scope/name/path`. */
export const packageName = (specifier) => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");

/** A bare specifier's package and the path in it; undefined where it is none. */
export function parts(specifier) {
  const name = packageName(specifier);
  return /^(@[\w.~-]+\/)?[a-zA-Z0-9~-][\w.~-]*$/.test(name) ? { name, path: specifier.slice(name.length + 1) } : undefined;
}

/** Whether `fs/promises`, without its `node:`, is of Node. */
export const isOfNode = (specifier) => OF_NODE.has(specifier.split("/")[0]);

/** Why a package cannot be had in a browser, if it cannot. */
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

/** What is said of a package that no package.json names. */
export const unlisted = (specifier) =>
  `"${specifier}" is not in package.json: add "${packageName(specifier)}" to its dependencies, or remove the import`;

/** A package's address at the CDN. */
function base(cdn, manifest, name) {
  const { name: registered, version } = dependency(manifest, name);
  return version === undefined ? `${cdn}/${registered}` : `${cdn}/${registered}@${encodeURI(version)}`;
}

/** A file of a package that is no module, such as a style sheet. */
export function packageFile(cdn, manifest, specifier) {
  const { name, path } = parts(specifier);
  return `${base(cdn, manifest, name)}/${path}`;
}

/**
 * The `imports` of an import map for these bare specifiers. Each package is
 * there once, for the project's modules and for each other: what package.json
 * lists counts, as packages import each other, too.
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
    // The one form in which esm.sh takes a query before a path.
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
