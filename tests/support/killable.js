// `wrangler dev` as a process that can be killed, with a state that survives it.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, open, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after } from "node:test";
import { promisify } from "node:util";
import { conforming } from "./contract.js";
import { until } from "./deployments.js";
import { freePort } from "./free-port.js";

/**
 * A development Worker with these variables and a database with the tables of
 * migrations/; it does not run yet. It is removed after the file's tests.
 *
 * @param {Record<string, string>} vars
 * @returns `url`; `api(method, path, body?, headers?)`; `start()`; `kill()`, which is SIGKILL to wrangler and
 *   workerd; `database(work)`, which hands a node:sqlite database to `work`
 *   while the Worker does not run.
 */
export async function killable(vars = {}) {
  const state = await mkdtemp(join(tmpdir(), "hatch-kill-"));
  const port = await freePort();
  const url = `http://localhost:${port}`;
  let group;
  const health = () => fetch(`${url}/health`);
  after(async () => {
    signal();
    await rm(state, { recursive: true, force: true });
  });
  await promisify(execFile)("wrangler", ["d1", "migrations", "apply", "DB", "--local", "--persist-to", state], {
    env: { ...process.env, CI: "1" },
  });

  /** The leader of a process group of its own. */
  async function start() {
    // One that did not come in an earlier test would keep this file's process from its end.
    signal();
    const variables = Object.entries({ ENVIRONMENT: "development", ...vars }).flatMap(([name, value]) => ["--var", `${name}:${value}`]);
    const args = ["dev", "--config", "wrangler.toml", "--config", "compiler/wrangler.toml", "--port", port, "--inspector-port", await freePort(), "--persist-to", state, ...variables];
    const path = join(state, "wrangler.log");
    const log = await open(path, "w");
    group = spawn("wrangler", args.map(String), { detached: true, stdio: ["ignore", log.fd, log.fd] }).pid;
    await log.close();
    await until(() => health().then((response) => response.ok, () => false), "wrangler dev").catch(async (error) => {
      throw new Error(`${error.message}\n${await readFile(path, "utf8")}`);
    });
  }

  async function kill() {
    signal();
    await until(() => health().then(() => false, () => true), "its death");
  }

  /** To the whole group: wrangler and workerd. */
  function signal() {
    const killed = group;
    group = undefined;
    try {
      if (killed) process.kill(-killed, "SIGKILL");
    } catch (error) {
      if (error.code !== "ESRCH") throw error;
    }
  }

  async function database(work) {
    const folder = join(state, "v3/d1/miniflare-D1DatabaseObject");
    const names = (await readdir(folder)).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
    assert.equal(names.length, 1);
    // A killed process holds its locks until the kernel has removed it.
    const db = new DatabaseSync(join(folder, names[0]), { timeout: 10_000 });
    try {
      return work(db);
    } finally {
      db.close();
    }
  }

  /** Calls the Worker and returns the response's JSON. */
  async function api(method, path, body, headers = {}) {
    const response = await fetch(url + path, {
      method, headers: body ? { "content-type": "application/json", ...headers } : headers, body: body && JSON.stringify(body),
    });
    return (await conforming(method, path, response)).json();
  }

  return { url, api, start, kill, database };
}
