// `npm run db:migrate [-- wrangler flags]`: brings the database up to date
// with migrations/. With DATABASE_URL, in the environment or else in
// .dev.vars, the database is the libSQL server there; else it is D1, the local one
// unless `--remote` is given.

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseEnv } from "node:util";
import { execute, pipeline } from "./libsql.js";

const FOLDER = join(import.meta.dirname, "..", "migrations");

// Wrangler's own table, so that a D1 database that moves to Turso keeps its list of
// applied migrations.
const TABLE = `CREATE TABLE IF NOT EXISTS d1_migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

/**
 * Applies what is missing of `folder` to a libSQL server, each file in one
 * transaction together with the note that it was applied.
 *
 * @param {{url: string, token?: string}} database
 * @returns {Promise<string[]>} the names of the files that were applied now
 * @throws {Error} naming the file that failed, which has changed nothing
 */
export async function migrate(database, folder = FOLDER) {
  await pipeline(database, [{ type: "sequence", sql: TABLE }]);
  const rows = await execute(database, "SELECT name FROM d1_migrations");
  const applied = new Set(rows.map((row) => row.name));
  const files = readdirSync(folder).filter((name) => name.endsWith(".sql")).sort();
  const missing = files.filter((name) => !applied.has(name));
  for (const name of missing) {
    const statements = readFileSync(join(folder, name), "utf8");
    const note = `INSERT INTO d1_migrations (name) VALUES ('${name.replaceAll("'", "''")}')`;
    // A sequence ends at the first statement that fails. Closing the stream with an
    // open transaction rolls that back.
    const sql = `BEGIN IMMEDIATE;\n${statements}\n;${note};\nCOMMIT`;
    await pipeline(database, [{ type: "sequence", sql }]).catch((error) => {
      throw new Error(`${name} changed nothing: ${error.message}`);
    });
  }
  return missing;
}

/** The server that the environment names, or else .dev.vars; a URL never meets the other's token. */
function configured() {
  for (const vars of [process.env, devVars()]) {
    if (vars.DATABASE_URL) return { url: vars.DATABASE_URL, token: vars.DATABASE_AUTH_TOKEN };
  }
  return undefined;
}

function devVars() {
  try {
    return parseEnv(readFileSync(".dev.vars", "utf8"));
  } catch {
    return {};
  }
}

async function migrateTurso(database, flags) {
  if (flags.includes("--remote")) {
    throw new Error("--remote means D1, but DATABASE_URL is set and the database is the one there");
  }
  const applied = await migrate(database);
  const { host } = new URL(database.url);
  console.log(applied.length ? `${host}: applied ${applied.join(", ")}` : `${host}: nothing to migrate`);
}

function migrateD1(flags) {
  const place = flags.includes("--remote") || flags.includes("--local") ? [] : ["--local"];
  const command = ["d1", "migrations", "apply", "DB", ...place, ...flags];
  // Without CI wrangler would ask for a confirmation.
  const { status } = spawnSync("wrangler", command, { stdio: "inherit", env: { ...process.env, CI: "1" } });
  process.exitCode = status ?? 1;
}

async function main(flags) {
  const database = configured();
  if (!database) return migrateD1(flags);
  await migrateTurso(database, flags).catch((error) => {
    console.error(`db:migrate: ${error.message}`);
    process.exitCode = 1;
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(process.argv.slice(2));
