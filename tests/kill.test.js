// kill -9 of `wrangler dev` and its workerd in the middle of deployments; it
// starts again on the same state, and each deployment ends live, once. The
// queue dies with the process, so only what is in the database is left.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { conforming } from "./contract.js";
import { until } from "./deployments.js";
import { startCloudflare } from "./fakes/cloudflare.js";

const state = await mkdtemp(join(tmpdir(), "hatch-kill-"));
const groups = new Set();
after(async () => {
  for (const group of groups) kill(group);
  await rm(state, { recursive: true, force: true });
});

async function freePort() {
  const server = createServer().listen(0);
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts `wrangler dev` as the leader of a process group of its own. */
async function start(port, vars = {}) {
  const variables = Object.entries({ ENVIRONMENT: "development", ...vars }).flatMap(([name, value]) => ["--var", `${name}:${value}`]);
  const args = ["dev", "--port", port, "--inspector-port", await freePort(), "--persist-to", state, ...variables];
  const child = spawn("wrangler", args.map(String), { detached: true, stdio: "ignore" });
  groups.add(child.pid);
  await until(() => fetch(`http://localhost:${port}/health`).then((r) => r.ok, () => false), "wrangler dev");
  return child.pid;
}

/** Kills the whole group: wrangler and workerd. */
function kill(group) {
  groups.delete(group);
  try {
    process.kill(-group, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/** The local D1 as a file, for while nobody runs. */
async function database(work) {
  const folder = join(state, "v3/d1/miniflare-D1DatabaseObject");
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

await promisify(execFile)("wrangler", ["d1", "migrations", "apply", "DB", "--local", "--persist-to", state], {
  env: { ...process.env, CI: "1" },
});

/** Calls the Worker at this port; the answer's JSON. */
const apiOf = (port) => async (method, path, body, headers = {}) => (await conforming(method, path, await fetch(`http://localhost:${port}${path}`, {
  method, headers: body ? { "content-type": "application/json", ...headers } : headers, body: body && JSON.stringify(body),
}))).json();

test("killed in the middle of deployments and started again, each ends live, once", async () => {
  // What holds two of the deployments at the moments that are wanted, until
  // the kill: one is never taken from the queue, one never leaves its step.
  const is = (name) => `(SELECT code FROM deployments WHERE id = NEW.subject_id) LIKE '%${name}%'`;
  await database((db) => db.exec(`
    CREATE TRIGGER never_taken BEFORE UPDATE ON jobs WHEN ${is("never taken")}
      BEGIN SELECT RAISE(ABORT, 'not yet'); END;
    CREATE TRIGGER in_its_step BEFORE UPDATE ON jobs WHEN ${is("in its step")} AND NEW.lease_owner IS NULL
      BEGIN SELECT RAISE(ABORT, 'not yet'); END;`));

  const port = await freePort();
  const api = apiOf(port);
  const deploy = async (text) => {
    const { id } = await api("POST", "/api/projects", { name: text });
    const { deploymentId } = await api("POST", "/api/deploy", { projectId: id, code: { "index.html": `<p>${text}` } });
    return { text, id: deploymentId };
  };
  const status = async ({ id }) => (await api("GET", `/api/deploy/${id}`)).status;

  let group = await start(port);
  const deployments = [await deploy("in its step"), await deploy("never taken")];
  await until(async () => (await status(deployments[0])) === "building");
  // And one wherever it happens to be just after its 202.
  deployments.push(await deploy("just accepted"));
  kill(group);
  await until(() => fetch(`http://localhost:${port}/health`).then(() => false, () => true), "its death");

  await database((db) => {
    const job = (n) => db.prepare("SELECT state, attempts, lease_owner IS NOT NULL AS held FROM jobs WHERE subject_id = ?").get(deployments[n].id);
    assert.deepEqual({ ...job(0) }, { state: "queued", attempts: 1, held: 1 });
    assert.deepEqual({ ...job(1) }, { state: "queued", attempts: 0, held: 0 });
    db.exec("DROP TRIGGER never_taken; DROP TRIGGER in_its_step;");
  });

  group = await start(port);
  for (const deployment of deployments) {
    await until(async () => (await status(deployment)) === "live", `${deployment.text}: live`);
    const { logs, url } = await api("GET", `/api/deploy/${deployment.id}`);
    assert.deepEqual(logs.split("\n").map((line) => line.slice(25)), [`Built 1 file, ${deployment.text.length + 3} bytes`, `Live at ${url}`]);
  }
  kill(group);
  await until(() => fetch(`http://localhost:${port}/health`).then(() => false, () => true), "its end");
  await database((db) => {
    const { sites, files, owed, letters } = db.prepare(
      `SELECT (SELECT count(*) FROM sites) AS sites, (SELECT count(*) FROM site_files) AS files,
              (SELECT count(*) FROM outbox) AS owed, (SELECT count(*) FROM dead_letters) AS letters`,
    ).get();
    assert.deepEqual({ sites, files, owed, letters }, { sites: 3, files: 3, owed: 0, letters: 0 });
    const revisions = db.prepare("SELECT revision FROM projects").all().map(({ revision }) => revision);
    assert.deepEqual(revisions, [3, 3, 3], "created, given its code, made live: once each");
  });
});

test("killed after any of its calls to a cloud, whose answer never came, a deployment ends live there, once", async () => {
  const cloudflare = await startCloudflare();
  after(() => cloudflare.close());
  // What each deployment hangs in when the kill comes: done there, unknown here.
  const calls = {
    "a look at whose the name is": "services/NAME", "a look at the address": "subdomain", "a session": "scripts/NAME/assets-upload-session",
    "an upload": "assets/upload", "a script": "scripts/NAME", "an address": "scripts/NAME/subdomain",
  };
  const [port, vars] = [await freePort(), { CLOUDFLARE_BASE_URL: cloudflare.apiUrl, CLOUDFLARE_APP_URL: cloudflare.appUrlTemplate }];
  const api = apiOf(port);
  let group = await start(port, vars);

  const deployments = [];
  for (const text of Object.keys(calls)) {
    const { id } = await api("POST", "/api/projects", { name: text });
    deployments.push({ text, projectId: id, name: `${text.replaceAll(" ", "-")}-${id.slice(0, 8)}`, account: cloudflare.account() });
  }
  const places = deployments.map(({ text, name, account }) => `/client/v4/accounts/${account.id}/workers/${calls[text].replace("NAME", name)}`);
  cloudflare.setFault(...places.map((path) => ({ path, hang: true })));
  for (const deployment of deployments) {
    const { projectId, text, account } = deployment;
    const headers = { "x-cloudflare-api-token": account.token, "x-cloudflare-account-id": account.id };
    const code = { "index.html": `<p>${text}`, "style.css": text, "app.js": text };
    ({ deploymentId: deployment.id } = await api("POST", "/api/deploy", { projectId, target: "cloudflare", code }, headers));
  }
  const hanging = () => cloudflare.requests.filter(({ fault }) => fault?.hang).length;
  await until(() => hanging() === deployments.length, "all calls");
  kill(group);
  await until(() => cloudflare.openRequests === 0, "its death");

  // What the dead consumers held is free again when their leases have run out.
  await database((db) => db.exec("UPDATE jobs SET lease_until = 0; UPDATE outbox SET send_at = 0"));
  group = await start(port, vars);
  for (const { text, id, name, account } of deployments) {
    const deployment = await until(async () => {
      const found = await api("GET", `/api/deploy/${id}`);
      return ["live", "failed"].includes(found.status) && found;
    }, text);
    assert.equal(deployment.status, "live", `${text}: ${deployment.logs}`);
    assert.deepEqual([...account.scripts.keys()], [name], text);
    const script = cloudflare.script(account, name);
    assert.deepEqual([...script.files].map(([path, { content }]) => [path, String(content)]), [["/app.js", text], ["/index.html", `<p>${text}`], ["/style.css", text]]);
    assert.equal(script.enabled, true);
    assert.equal(deployment.logs.split("\n").filter((line) => line.includes("Live at")).length, 1, text);
  }
  kill(group);
});
