// Wrangler's output for each wrangler.toml and for migrations/. Loading wrangler
// takes a second of processor time in each test process, so its output is cached
// in node_modules/.cache, under a hash of all that it has read.

import { createHash } from "node:crypto";
import { globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const CONFIGURATIONS = ["wrangler.toml", "compiler/wrangler.toml"];
const MIGRATIONS = globSync("migrations/*.sql").sort();
const FOLDER = "node_modules/.cache/hatch";

/**
 * `workers`: by the path of its wrangler.toml a Worker's `name`, `main`, `vars` and Miniflare's `options`.
 * `migrations`: of each file its name and its statements.
 */
export const { workers, migrations } = await kept(read);

async function kept(read) {
  const hash = createHash("sha256").update(process.cwd());
  for (const path of ["package-lock.json", "tests/support/configuration.js", ...CONFIGURATIONS, ...MIGRATIONS]) hash.update(path).update(readFileSync(path));
  const file = join(FOLDER, `${hash.digest("hex")}.json`);
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    const value = await read();
    mkdirSync(FOLDER, { recursive: true });
    // Written under another name first, so that no process reads half of it.
    writeFileSync(`${file}.${process.pid}`, JSON.stringify(value));
    renameSync(`${file}.${process.pid}`, file);
    return value;
  }
}

async function read() {
  const { unstable_getMiniflareWorkerOptions: optionsOf, unstable_readConfig: configOf, unstable_splitSqlQuery: statementsOf } = await import("wrangler");
  const worker = (path) => {
    const { workerOptions, main } = optionsOf(path);
    // Without rules for modules, because the modules are given, and without bindings, which contain your .dev.vars.
    const { modulesRules, bindings, ...options } = workerOptions;
    const { name, vars } = configOf({ config: path });
    return [path, { name, main, vars, options }];
  };
  return {
    workers: Object.fromEntries(CONFIGURATIONS.map(worker)),
    migrations: MIGRATIONS.map((path) => ({ name: path.slice("migrations/".length), statements: statementsOf(readFileSync(path, "utf8")) })),
  };
}
