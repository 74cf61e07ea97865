// What of a Next.js application runs in the browser, and says so: a component
// of the App Router is the server's until its file, or one that leads to it,
// begins with `'use client'`. Next.js fails the build over each of these, and
// it is what models forget most:
// https://nextjs.org/docs/app/building-your-application/rendering/client-components.

import { at } from "./diagnostic.js";
import { folder, name } from "./path.js";

/** The most of one file that is told. */
const MOST_OF_A_FILE = 10;

/** What modules have for the browser alone; the list is that of Next.js' compiler, and its hooks of the router. */
const OF_THE_BROWSER = new Map([
  ["react", new Set([
    "Component", "PureComponent", "createContext", "useActionState", "useContext", "useDeferredValue", "useEffect", "useImperativeHandle",
    "useInsertionEffect", "useLayoutEffect", "useOptimistic", "useReducer", "useRef", "useState", "useSyncExternalStore", "useTransition",
  ])],
  ["react-dom", new Set(["flushSync", "unstable_batchedUpdates", "useFormState", "useFormStatus"])],
  ["next/navigation", new Set(["useParams", "usePathname", "useRouter", "useSearchParams", "useSelectedLayoutSegment", "useSelectedLayoutSegments"])],
]);
/** Files of the App Router where the server begins. */
const OF_THE_SERVER = ["page", "layout", "template", "loading", "not-found", "default"];
/** Those that React can only show in the browser. */
const BOUNDARIES = ["error", "global-error"];
/** Those that may have metadata, which only the server reads; elsewhere it is a name as any other. */
const OF_METADATA = ["page", "layout"];
const METADATA = ["metadata", "generateMetadata"];

/**
 * What is wrong with the `modules` of App Routers, which are among those at `paths`.
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

/** The name, without ending, of a file to which the App Router gives a meaning. */
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
