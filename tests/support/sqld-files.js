// Chooses the test files that run again on sqld: enough of them that every
// statement for D1 is also sent to sqld, by the Worker in a test.
//
// With a folder in the variable STATEMENTS, each test file writes its statements
// for D1 and its duration there. `node tests/support/sqld-files.js <folder>` then prints
// the chosen files.

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { statements } from "./runtime.js";

/**
 * The files that cover every statement of `records`: always the one with the most
 * new statements for each second, until none is new.
 *
 * @param {{file: string, seconds: number, statements: string[]}[]} records
 */
export function covering(records) {
  const missing = new Set(records.flatMap((record) => record.statements));
  const chosen = [];
  const worth = ({ seconds, statements }) => statements.filter((sql) => missing.has(sql)).length / seconds;
  while (missing.size) {
    const best = records.reduce((best, record) => (worth(record) > worth(best) ? record : best));
    chosen.push(best.file);
    for (const sql of best.statements) missing.delete(sql);
  }
  return chosen;
}

/** Writes this process's statements for D1 to `folder`. */
function leave(folder) {
  if (!statements.size) return;
  const file = process.argv[1];
  const { user, system } = process.cpuUsage();
  const record = { file, seconds: (user + system) / 1e6, statements: [...statements] };
  writeFileSync(join(folder, `${basename(file)}.json`), JSON.stringify(record));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [folder] = process.argv.slice(2);
  const records = readdirSync(folder).sort().map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")));
  console.log(covering(records).join("\n"));
} else if (process.env.STATEMENTS) {
  process.on("exit", () => leave(process.env.STATEMENTS));
}
