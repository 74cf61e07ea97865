// Checks that client components of a Next.js application are marked: a component of the App Router runs on the server
// unless its file, or a file that imports it, begins with `'use client'`. Each violation fails Next.js' build, and
// models often forget the directive: https://nextjs.org/docs/app/building-your-application/rendering/client-components.

import { at } from "./diagnostic.js";
import { folder, name } from "./path.js";

/** The most diagnostics of one file. */
const MOST_OF_A_FILE = 10;

/** Exports that only work in the browser; from Next.js' compiler, plus its router hooks. */
const OF_THE_BROWSER = new Map([
  ["react", new Set([
    "Component", "PureComponent", "createContext", "useActionState", "useContext", "useDeferredValue", "useEffect", "useImperativeHandle",
    "useInsertionEffect", "useLayoutEffect", "useOptimistic", "useReducer", "useRef", "useState", "useSyncExternalStore", "useTransition",
  ])],
  ["react-dom", new Set(["flushSync", "unstable_batchedUpdates", "useFormState", "useFormStatus"])],
  ["next/navigation", new Set(["useParams", "usePathname", "useRouter", "useSearchParams", "useSelectedLayoutSegment", "useSelectedLayoutSegments"])],
]);
/** Files of the App Router that run on the server. */
const OF_THE_SERVER = ["page", "layout", "template", "loading", "not-found", "default"];
/** Files that React can only run in the browser. */
const BOUNDARIES = ["error", "global-error"];
/** Files whose metadata the server reads; elsewhere the name has no meaning. */
const OF_METADATA = ["page", "layout"];
const METADATA = ["metadata", "generateMetadata"];

/**
 * Diagnostics for the `modules` of App Routers at `paths`.
 * @param {string[]} paths
 * @param {Map<string, import("./check.js").Module>} modules
 * @param {Map<string, string[]>} leadsTo the files that each module imports
 */
export function clientWrong(paths, modules, leadsTo) {
  const of = (names) => paths.filter((path) => names.includes(routeFile(path)));
  const isServers = (path) => modules.has(path) && !modules.get(path).isClient;
  const isClients = (path) => modules.get(path)?.isClient;
  const boundaries = of(BOUNDARIES).filter(isServers).map((path) => at(path, modules.get(path).source, 0, "is shown by the browser: begin the file with 'use client'"));
  const metadata = of(OF_METADATA).filter(isClients).flatMap((path) => misplacedMetadata(path, modules.get(path)));
  const waiting = of(OF_THE_SERVER), seen = new Set(waiting), wrong = [];
  while (waiting.length > 0) {
    const path = waiting.pop();
    if (!isServers(path)) continue;
    wrong.push(...ofTheBrowser(path, modules.get(path)).slice(0, MOST_OF_A_FILE));
    const next = (leadsTo.get(path) ?? []).filter((file) => !seen.has(file));
    for (const file of next) seen.add(file);
    waiting.push(...next);
  }
  return [...boundaries, ...metadata, ...wrong];
}

/** The name, without extension, of a file that has a role in the App Router. */
function routeFile(path) {
  const [, stem] = name(path).match(/^(.+)\.(tsx|jsx|js|ts)$/) ?? [];
  return folder(path).split("/").includes("app") ? stem : undefined;
}

function ofTheBrowser(path, { source, imports, membersOfReact }) {
  const taken = imports.flatMap(({ specifier, names, at }) => names.filter((name) => OF_THE_BROWSER.get(specifier)?.has(name)).slice(0, 1).map((name) => ({ name, at })));
  const members = membersOfReact.filter(({ name }) => OF_THE_BROWSER.get("react").has(name));
  return [...taken, ...members].map(({ name, at: place }) =>
    at(path, source, place, `uses \`${name}\`, which runs in the browser, in a component of the server's: begin the file with 'use client', or move that part into a file that does`));
}

function misplacedMetadata(path, { source, exports }) {
  const message = "exports metadata, which only the server reads, from a file that begins with 'use client': keep this file the server's, and move what runs in the browser into a component of its own";
  return exports.filter(({ name }) => METADATA.includes(name)).map(({ at: place }) => at(path, source, place, message));
}
