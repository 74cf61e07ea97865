/** The workers: how each is made, and how a complete chat stream of each ends. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { unstable_getMiniflareWorkerOptions as readWranglerConfig } from "wrangler";

const bench = import.meta.dirname;
const root = dirname(bench);

const ONE_FORMAT = { "/api/chat": ["events", "text"] };

/**
 * By name: `prepare()` makes the worker once and gives `{ options, sql }` for `boot`; `chats` are the paths of its chat
 * stream and the formats of Hatch's that each is compared with; `ending` is what the last bytes of a complete stream
 * hold; `keeps` says whether the turn is in the database when that has come. `vars` are variables of its own, and `of`
 * are the steps that it is measured in, where these are not all.
 */
export const WORKERS = {
  hatch: {
    prepare: () => prepareHatch(),
    chats: { "/api/chat?format=events": ["events"], "/api/chat?format=text": ["text"] },
    ending: '"done":true',
    keeps: true,
    // One caller does the work of many: no limit of a user may end it.
    vars: { LOG: "notable", DAILY_MESSAGE_LIMIT: "1000000", DAILY_APPS_LIMIT: "1000000", RUNNING_JOBS_LIMIT: "1000" },
    hasMore: true,
  },
  logging: { prepare: () => prepareHatch(), chats: {}, vars: { LOG: "all" }, of: ["get"] },
  peer: { prepare: () => prepareScript("peer/index.ts"), chats: ONE_FORMAT, ending: '{"done":true}', keeps: true },
  keeping: { prepare: () => prepareScript("keeping.js"), chats: ONE_FORMAT, ending: '{"type":"message_stop"}', keeps: false, of: ["chat", "first bytes"] },
  limit: { prepare: () => prepareScript("limit.js"), chats: ONE_FORMAT, ending: '{"type":"message_stop"}', keeps: false },
};

/** Hatch of another commit, built in its checkout: the same worker, to be measured beside this one as `before`. */
export const before = (checkout) => ({ ...WORKERS.hatch, prepare: () => prepareHatch(checkout) });

/** A file that the bench needs and does not make. */
export class MissingFile extends Error {
  constructor(path, remedy) {
    super(`${path} is missing: ${remedy}`);
  }
}

/**
 * What `wrangler.toml` says: the built entry module, and the bindings, which all workers get. Each binding is a service
 * inside workerd that takes time to start and memory to keep, so workers with fewer of them would look lighter.
 */
function readConfig() {
  const { workerOptions, main } = readWranglerConfig(existing(join(root, "wrangler.toml"), "every worker gets its bindings from there"));
  // Left out: the module rules, because the modules are given, and the console's asset router, which would stand before
  // the Worker's own socket and is not part of the Worker on Cloudflare. Also the compiler, another Worker, which nothing
  // measured here calls.
  const { modulesRules, assets, serviceBindings, ...options } = workerOptions;
  // Called as in production, but it never refuses, because the load is one caller.
  const ratelimits = mapValues(options.ratelimits, (limiter) => ({ ...limiter, simple: { ...limiter.simple, limit: 1e9 } }));
  return { options: { ...options, ratelimits, name: "worker" }, main };
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

/** Hatch as it is built in a checkout, this one or one of another commit, for `boot`. */
export function prepareHatch(checkout = root) {
  const { options, ...config } = readConfig();
  const main = resolve(checkout, relative(root, config.main));
  const modulesRoot = dirname(existing(main, "run `npm run build` there, or measure the others with --only peer,limit"));
  const paths = globSync("**/*.{js,wasm}", { cwd: modulesRoot }).map((path) => join(modulesRoot, path));
  const modules = [main, ...paths.filter((path) => path !== main)].map((path) => ({
    type: path.endsWith(".wasm") ? "CompiledWasm" : "ESModule",
    path,
    contents: readFileSync(path),
  }));
  const migrations = globSync(join(checkout, "migrations/*.sql")).sort().map((path) => readFileSync(path, "utf8"));
  return { options: { ...options, modules, modulesRoot }, sql: migrations.join("\n") };
}

function existing(path, remedy) {
  if (!existsSync(path)) throw new MissingFile(path, remedy);
  return path;
}

/** Kilobytes of a prepared worker's modules after gzip, as Cloudflare counts them. */
export function gzipKilobytes({ options }) {
  return options.modules.reduce((sum, { contents }) => sum + gzipSync(contents).length, 0) / 1024;
}

/** A worker of this directory in JavaScript, for `boot`. */
export async function prepareScript(entry) {
  const { outputFiles } = await build({
    entryPoints: [join(bench, entry)],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "esnext",
    conditions: ["workerd", "worker", "browser"],
  });
  return {
    options: { ...readConfig().options, modules: [{ type: "ESModule", path: "index.js", contents: outputFiles[0].contents }] },
    sql: readFileSync(join(bench, "peer/schema.sql"), "utf8"),
  };
}
