// Workers in workerd, as wrangler.toml configures them, with every binding
// simulated: by Miniflare alone, because `wrangler dev` puts two proxies in
// JavaScript and a second workerd before each request.

import { existsSync, globSync, readFileSync, statfsSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";
import { migrations, workers } from "./configuration.js";

// Miniflare keeps a Worker's databases in the folder for temporary files. In memory no test waits for the machine's
// disk; containers often have only 64 MB there, which is too little.
const MEMORY = "/dev/shm";
if (existsSync(MEMORY) && freeBytes(MEMORY) > 2 ** 30) process.env.TMPDIR = MEMORY;

function freeBytes(folder) {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** The statements for D1 of every Worker behind recorded.js. */
export const statements = new Set();
const STATEMENT = "statement ";

/**
 * Starts Workers that can call each other; requests go to the first one.
 *
 * @param {object[]} list of `configured`, or as Miniflare takes them
 * @returns `url()`, which changes when it is restarted; `fetch(url, init)`, for a host of any name; `scheduled(event)`;
 *   `env(name)`, a Worker's bindings; `logs`; `restart()`, which keeps what is stored; `stop()`
 */
export async function run(list) {
  const logs = [];
  const [first, ...others] = list;
  const options = convertV4MiniflareOptions({
    cf: false,
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: (line) => (line.message.startsWith(STATEMENT) ? statements.add(line.message.slice(STATEMENT.length)) : logs.push(line)),
    workers: [{ ...first, unsafeDirectSockets: [{ host: "127.0.0.1" }] }, ...others],
  });
  const miniflare = new Miniflare(options);
  await miniflare.ready;
  return {
    url: async () => (await miniflare.unsafeGetDirectURL(first.name)).origin,
    fetch: (url, init) => miniflare.dispatchFetch(url, init),
    scheduled: async (event) => (await miniflare.getWorker(first.name)).scheduled(event),
    env: (name = first.name) => miniflare.getBindings(name),
    logs,
    restart: () => miniflare.setOptions(options),
    stop: () => miniflare.dispose(),
  };
}

/**
 * The built Worker of a wrangler.toml, with these variables added to the file's
 * own. It ignores .dev.vars, so that a test's Worker has none of your keys.
 */
export function configured(path, vars = {}) {
  const { name, main, vars: own, options } = workers[path];
  return { ...options, ...modulesOf(main), name, bindings: { ...own, ...vars } };
}

/** A built Worker's modules: its entry, and the files beside it or in build/. */
export function modulesOf(main) {
  const modulesRoot = dirname(main);
  const paths = globSync(["*.{js,wasm}", "build/**/*.{js,wasm}"], { cwd: modulesRoot }).map((path) => join(modulesRoot, path));
  const modules = [main, ...paths.filter((path) => path !== main)].map(moduleAt);
  return { modules, modulesRoot };
}

/** A built Worker behind a file of tests/support/ that imports it as `./index.js`. */
export function behind(path, worker) {
  const [{ path: entry }] = worker.modules;
  const contents = readFileSync(path, "utf8").replace("./index.js", `./${relative(worker.modulesRoot, entry)}`);
  const module = { type: "ESModule", path: join(worker.modulesRoot, basename(path)), contents };
  return { ...worker, modules: [module, ...worker.modules] };
}

const moduleAt = (path) => ({ type: path.endsWith(".wasm") ? "CompiledWasm" : "ESModule", path, contents: readFileSync(path) });

/** Applies migrations/ to a D1 database, and records that as wrangler does. */
export async function migrateD1(database) {
  const notes = "CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)";
  const statements = migrations.flatMap(({ name, statements }) => [
    ...statements.map((sql) => database.prepare(sql)),
    database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name),
  ]);
  await database.batch([database.prepare(notes), ...statements]);
}
