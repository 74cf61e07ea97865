// `wrangler dev` as a process that a test can kill with all that it has
// started, and start again on the same state.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after } from "node:test";
import { promisify } from "node:util";
import { conforming } from "./contract.js";
import { until } from "./deployments.js";

async function freePort() {
  const server = createServer().listen(0);
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Opens the one database of a folder. */
async function atRest(folder, work) {
  const names = (await readdir(folder)).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  assert.equal(names.length, 1);
  // A process that was killed holds its locks until the kernel has buried it.
  const db = new DatabaseSync(join(folder, names[0]), { timeout: 10_000 });
  try {
    return work(db);
  } finally {
    db.close();
  }
}

/**
 * A local database with its tables, and a Worker with these variables, not
 * started yet.
 *
 * @param {Record<string, string>} vars
 * @returns `start()`; `kill()`, as kill -9, which waits for its death;
 *   `api(method, path, body?, headers?)`, an answer's JSON; `database(work)`,
 *   the local D1 as a file, for while nobody runs.
 */
export async function killable(vars = {}) {
  const state = await mkdtemp(join(tmpdir(), "hatch-kill-"));
  const port = await freePort();
  let group;
  after(async () => {
    if (group) killNow();
    await rm(state, { recursive: true, force: true });
  });
  await promisify(execFile)("wrangler", ["d1", "migrations", "apply", "DB", "--local", "--persist-to", state], {
    env: { ...process.env, CI: "1" },
  });

  const isUp = () => fetch(`http://localhost:${port}/health`).then((response) => response.ok, () => false);

  /** Kills the whole process group: wrangler and workerd. */
  function killNow() {
    try {
      process.kill(-group, "SIGKILL");
    } catch (error) {
      if (error.code !== "ESRCH") throw error;
    }
    group = undefined;
  }

  return {
    database(work) {
      return atRest(join(state, "v3/d1/miniflare-D1DatabaseObject"), work);
    },
    /** Starts it as the leader of a process group of its own. */
    async start() {
      const named = Object.entries({ ENVIRONMENT: "development", ...vars }).flatMap(([name, value]) => ["--var", `${name}:${value}`]);
      const args = ["dev", "--port", port, "--inspector-port", await freePort(), "--persist-to", state, ...named];
      group = spawn("wrangler", args.map(String), { detached: true, stdio: "ignore" }).pid;
      await until(isUp, "wrangler dev");
    },
    async kill() {
      killNow();
      await until(async () => !(await isUp()), "its death");
    },
    async api(method, path, body, headers = {}) {
      const sent = body ? { "content-type": "application/json", ...headers } : headers;
      const response = await fetch(`http://localhost:${port}${path}`, { method, headers: sent, body: body && JSON.stringify(body) });
      return (await conforming(method, path, response)).json();
    },
  };
}
