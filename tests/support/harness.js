// The built Worker in workerd, with real D1, KV, queues and R2, and the fakes that
// a test gives it. One for each test file. With DATABASE=turso in the environment
// its database is a real sqld instead of D1.

import assert from "node:assert/strict";
import { after } from "node:test";
import { conforming } from "./contract.js";
import { behind, configured, migrateD1, run } from "./runtime.js";
import "./sqld-files.js";
import { migrate } from "../../scripts/migrate.js";
import { startSqld } from "./sqld.js";

/**
 * Starts the Worker of build/ with these variables added to wrangler.toml's, and
 * the compiler beside it, and stops them after the file's tests.
 *
 * @param {Record<string, string>} vars
 * @param {object[]} others Workers that run beside it, as Miniflare takes them
 * @param {{before?: string, ai?: string}} options the file of tests/support/ that goes before it, such as counted.js; the address behind its binding of Workers AI
 * @returns the running Worker: `url`, `api(method, path, body?, headers?)`,
 *   which checks the response against public/openapi.json,
 *   `sql(text, ...args)` (runs one statement on its database, whichever that
 *   is; the rows as objects), `env` (the bindings), `worker` (`fetch`, `scheduled`, `getEnv(name?)`), and
 *   `harness` (`getLogs`, `clearLogs`, `restart`).
 */
export async function startWorker(vars = {}, others = [], { before, ai } = {}) {
  const sqld = process.env.DATABASE === "turso" ? await startMigratedSqld() : undefined;
  const database = sqld && { DATABASE_URL: sqld.url, DATABASE_AUTH_TOKEN: sqld.token };
  const binding = ai && { ai: { binding: "AI", remoteProxyConnectionString: new URL(ai) } };
  const hatch = { ...configured("wrangler.toml", { ENVIRONMENT: "development", ...database, ...vars }), ...binding };
  const second = before ? behind(before, hatch) : hatch;
  const recorded = sqld ? second : behind("tests/support/recorded.js", second);
  const workers = await run([recorded, configured("compiler/wrangler.toml"), ...others]);
  after(() => workers.stop());
  const env = await workers.env();
  // Beside sqld D1 stays empty, so that a call to it by mistake fails.
  if (!sqld) await migrateD1(env.DB);
  return {
    url: await workers.url(),
    worker: { fetch: workers.fetch, scheduled: workers.scheduled, getEnv: workers.env },
    harness: { getLogs: () => [...workers.logs], clearLogs: () => workers.logs.splice(0), restart: workers.restart },
    env,
    // Fetched each time, because bindings do not survive a restart.
    sql: sqld?.sql ?? (async (text, ...args) => (await (await workers.env()).DB.prepare(text).bind(...args).all()).results),
    api: async (method, path, body, headers) => api(await workers.url(), method, path, body, headers),
  };
}

/** A server with the tables of migrations/. */
export async function startMigratedSqld() {
  const sqld = await startSqld();
  await migrate(sqld);
  return sqld;
}

async function api(origin, method, path, body, headers = {}) {
  const response = await fetch(new URL(path, origin), {
    method,
    redirect: "manual",
    headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
    body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
  });
  return conforming(method, path, response);
}

/**
 * Checks that a response is an error in the form of its routes (contract.js has
 * checked which form that is) and shows no internals. Returns the problem's body.
 */
export async function problem(response, status, code) {
  const text = await response.text();
  const told = `${response.status} ${text.slice(0, 300)}`;
  const vendors = response.headers.get("content-type") === "application/json" && JSON.parse(text).error?.message !== undefined;
  if (vendors) return vendorsError(response.status, JSON.parse(text).error, status, code, told);
  if (response.headers.get("content-type") === "application/json") return exception(response.status, JSON.parse(text), status, told);
  assert.equal(response.status, status, told);
  assert.equal(response.headers.get("content-type"), "application/problem+json", told);
  const problem = JSON.parse(text);
  for (const name of ["type", "title", "detail", "code", "request_id"]) assert.equal(typeof problem[name], "string", told);
  // The original agent's clients recognise a missing app by this word.
  if (problem.type.endsWith("not_found") && problem.status === "error") assert.equal(status, 404);
  else assert.equal(problem.status, status);
  assert.equal(problem.error, problem.detail);
  assert.equal(problem.request_id, response.headers.get("x-request-id"));
  if (code) assert.equal(problem.code, code, told);
  assert.doesNotMatch(text, INSIDE);
  return problem;
}

/** An error in OpenAI's or Anthropic's form, as a problem: for a wrong body they have no code. */
function vendorsError(status, error, expected, code, told) {
  assert.doesNotMatch(told, INSIDE);
  assert.equal(status, expected, told);
  const said = error.code ?? error.details?.error_code ?? null;
  const vendors = code === "unauthorized" ? ["invalid_api_key"] : [code, "model_not_found"];
  if (code && said !== null && expected !== 400) assert.ok(vendors.includes(said), told);
  const at = error.param ?? error.message.match(/^([a-z_]+)[.:]/)?.[1] ?? "";
  return { code: code ?? "validation_failed", detail: error.message, errors: [{ pointer: `/${at.replace(/[.[].*$/, "")}`, detail: error.message }] };
}

/** An error in FastAPI's form, which has no code, as a problem. */
function exception(status, body, expected, told) {
  // Errors with a status that the original does not have carry a message too.
  const isOriginals = [400, 404, 422].includes(status);
  assert.deepEqual(body, isOriginals ? { detail: body.detail } : { detail: body.detail, message: body.detail }, told);
  assert.doesNotMatch(told, INSIDE);
  const list = Array.isArray(body.detail);
  assert.equal(status, list && expected === 400 ? 422 : expected, told);
  if (!list) return body;
  const pointer = ([place, ...steps]) => (place === "body" ? steps.map((step) => `/${step}`).join("") : steps.join("/"));
  const errors = body.detail.map(({ loc, msg }) => ({ pointer: pointer(loc), detail: msg }));
  return { code: body.detail[0].type === "json_invalid" ? "malformed_json" : "validation_failed", detail: errors[0].detail, errors };
}

/** Words that no error may contain. */
const INSIDE = /panic|\.rs\b|wasm|sqlite|D1_|\bD1:|\bSELECT\b|\bINSERT\b|\bUPDATE\b|\bstack\b/;

/** How many rows each table has. */
export async function rowCounts({ sql }) {
  const tables = await sql("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '*_cf_*' AND name NOT GLOB 'sqlite_*'");
  const counts = tables.map(async ({ name }) => [name, (await sql(`SELECT count(*) AS n FROM "${name}"`))[0].n]);
  return Object.fromEntries(await Promise.all(counts));
}

/** Every page of a list, following the Link headers from `path` on. */
export async function* pages({ api }, path) {
  for (let next = path; next; ) {
    const response = await api("GET", next);
    const text = await response.text();
    assert.equal(response.status, 200, `${next}: ${text.slice(0, 300)}`);
    yield JSON.parse(text);
    next = response.headers.get("link")?.match(/^<(.+)>; rel="next"$/)[1];
  }
}
