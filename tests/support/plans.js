// Checks SQLite's plans for the statements that D1 got: `node tests/support/plans.js
// <folder>` fails for each that scans a whole table or sorts its result. The
// folder has the records of a run with STATEMENTS (sqld-files.js).

import { globSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";

/** Tables that do not grow with users, machines or calls: catalogues, and the place of a sweep. */
const CATALOGUES = new Set(["skills", "skill_fetches", "models", "fleet_sweep", "d1_migrations"]);

/** Statements that scan or sort on purpose, by a part of their text, each with the reason. */
const ON_PURPOSE = [
  [/^SELECT '(\{| ' \|\|)/, "what /metrics counts, it counts over everything"],
  [/FROM chat_messages .* ORDER BY seq DESC LIMIT 200/, "200 messages, put the other way round"],
  [/FROM site_files WHERE slug = \?1 AND path IN/, "three files at most"],
  [/FROM previews v JOIN preview_files f .* f\.path IN/, "three files at most"],
  [/FROM model_metrics/, "a row for each model and outcome, all of which /metrics shows"],
  [/^SELECT json_quote\(w\.value ->> 's'\)/, "the few budgets that one call is of"],
  [/FROM cloud_credentials WHERE user_id/, "the few clouds and providers of one user"],
  [/FROM outbox o CROSS JOIN jobs/, "what is owed and not done yet"],
  [/FROM audit_chain ORDER BY seq DESC LIMIT 1$/, "one step along the key, from its end"],
  [/ (FROM|JOIN) skills /, "the catalogue of skills, which has a few thousand"],
  [/FROM \(SELECT max\(time_from/, "the windows of one machine in a period"],
  [/FROM worker_metrics/, "24 hours of one machine"],
  [/FROM model_responses WHERE user_id = \?2 AND expires_at > \?3 ORDER BY expires_at DESC LIMIT 50/, "the items of one user's 50 newest answers"],
  [/FROM model_calls .*GROUP BY/, "the days of one user that are asked for"],
  [/^DELETE FROM (nonces WHERE wallet_addr|proof_challenges WHERE user_id)/, "what was begun in the last minutes, when an account ends"],
  [/FROM app_events WHERE .* ORDER BY seq DESC LIMIT \?3\) ORDER BY seq/, "so many events, put the other way round"],
  [/FROM cloud_apps WHERE project_id = \?1/, "the few apps of one project"],
  [/model_reservations (AS )?r(, json_each\(r\.limits\) l)? WHERE \(?r\.(until|job_id) /, "the answers that run now"],
  [/FROM project_versions WHERE project_id IN \(SELECT id FROM projects WHERE user_id/, "one user's versions, when they take them along"],
];

/** A database with the tables and indexes of migrations/. */
function migrated() {
  const database = new DatabaseSync(":memory:");
  for (const path of globSync("migrations/*.sql").sort()) database.exec(readFileSync(path, "utf8"));
  database.exec("CREATE TABLE d1_migrations (name TEXT)");
  return database;
}

/** The lines of a statement's plan that scan or sort. */
export function costs(plan) {
  const made = new Set(plan.flatMap((line) => line.match(/^(?:CO-ROUTINE|MATERIALIZE) (\S+)$/)?.slice(1) ?? []));
  return plan.filter((line) => {
    if (/^USE TEMP B-TREE FOR (?!RIGHT PART|LAST)/.test(line)) return true;
    const [, table] = line.match(/^SCAN (\w+)$/) ?? [];
    return table !== undefined && table !== "CONSTANT" && !made.has(table) && !CATALOGUES.has(table);
  });
}

/** The statements that scan or sort without a listed reason, each with its plan. */
export function faults(statements, database = migrated()) {
  const isMeant = (sql) => ON_PURPOSE.some(([text]) => text.test(sql.replace(/\s+/g, " ")));
  const planOf = (sql) => {
    const count = Math.max(0, ...[...sql.matchAll(/\?(\d+)/g)].map(([, n]) => Number(n)));
    return database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...Array(count).fill(null)).map(({ detail }) => detail);
  };
  return statements.filter((sql) => !isMeant(sql)).map((sql) => ({ sql, costs: costs(planOf(sql)) })).filter(({ costs }) => costs.length);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [folder] = process.argv.slice(2);
  const asked = readdirSync(folder).flatMap((name) => JSON.parse(readFileSync(join(folder, name), "utf8")).statements);
  const found = faults([...new Set(asked)]);
  for (const { sql, costs } of found) console.error(`${costs.join("; ")}\n  ${sql.replace(/\s+/g, " ")}`);
  process.exitCode = found.length ? 1 : 0;
}
