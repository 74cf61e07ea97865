// The original fleet's clients: the requests of the dashboard, the worker page
// and the heartbeat script in their order and with their headers. Responses are
// read as the pages read them: they check no status, only JSON, and a missing
// value breaks the page.

import assert from "node:assert/strict";
import test from "node:test";
import { startWorker } from "./support/harness.js";
import { newStellarWallet } from "./support/people.js";

const worker = await startWorker();
const { sql } = worker;

const ORIGIN = "http://localhost:3000";
const SECOND_MS = 1000;
const HOUR_MS = 3600 * SECOND_MS;
const wait = { ping: 30 * SECOND_MS, beats: 10 };
/** The form of `date -u +%Y-%m-%dT%H:%M:%SZ`. */
const stamp = (ms) => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

/** fetch() of a page at ORIGIN: with the browser's preflights, and its check whether the page may read the response. */
async function fetchAsPage(method, path, body) {
  const headers = { origin: ORIGIN, ...(body !== undefined && { "content-type": "application/json" }) };
  if (body !== undefined || !["GET", "POST"].includes(method)) {
    const asked = { origin: ORIGIN, "access-control-request-method": method, ...(body !== undefined && { "access-control-request-headers": "content-type" }) };
    const preflight = await worker.api("OPTIONS", path, undefined, asked);
    assert.equal(preflight.headers.get("access-control-allow-origin"), ORIGIN, `${method} ${path}: the preflight`);
    assert.ok(preflight.headers.get("access-control-allow-methods").split(", ").includes(method), path);
    if (body !== undefined) assert.match(preflight.headers.get("access-control-allow-headers"), /\bcontent-type\b/i);
  }
  const response = await worker.api(method, path, body, headers);
  assert.equal(response.headers.get("access-control-allow-origin"), ORIGIN, `${method} ${path} ${response.status}`);
  return response;
}

// --- The dashboard ----------------------------------------------------------

/** The rows that the dashboard shows for a wallet: only those with a URL. */
async function cards(creator) {
  const response = await fetchAsPage("GET", `/api/v1/deployments?creator=${creator}`);
  if (!response.ok) return [];
  const rows = await response.json();
  return rows.filter((row) => row.url).map((row) => ({
    title: row.appName.toUpperCase(),
    repository: row.githubRepo.split("/"),
    host: new URL(row.url).host,
    port: row.port.toFixed(0),
    status: row.status.toUpperCase(),
    replicas: row.replicas.toFixed(0),
    created: new Date(row.createdAt).getTime(),
  }));
}

test("The dashboard makes an app from a repository, shows its card, changes and deletes it", async () => {
  const { address } = newStellarWallet();
  assert.deepEqual(await cards(address), []);
  const sent = { appName: "my-app", githubRepo: "acme/web-shop", creator: address, branch: "main", port: 3000, envVars: { API_KEY: "abc" } };
  const created = await fetchAsPage("POST", "/api/v1/deployments", sent);
  assert.equal((await created.json()).error, undefined);
  const [card, ...others] = await cards(address);
  assert.deepEqual(others, []);
  assert.ok(Math.abs(card.created - Date.now()) < 60 * SECOND_MS);
  const shown = { title: "MY-APP", repository: ["acme", "web-shop"], host: "my-app.localhost", port: "3000", status: "PENDING", replicas: "1" };
  assert.deepEqual({ ...shown, created: card.created }, card);

  assert.equal((await (await fetchAsPage("PATCH", "/api/v1/deployments/my-app/env", { envVars: { API_KEY: "def", B: "" } })).json()).error, undefined);
  await fetchAsPage("PATCH", "/api/v1/deployments/my-app/replicas", { replicas: 3 });
  assert.equal((await cards(address))[0].replicas, "3");

  // The dialog shows `error`: of a name that is taken, and of one that the dialog lets pass.
  for (const [more, told] of [[{}, /exists/], [{ appName: "ends-in-" }, /hyphen/], [{ appName: "other", creator: address.toLowerCase() }, /upper case/]]) {
    const { error } = await (await fetchAsPage("POST", "/api/v1/deployments", { ...sent, ...more })).json();
    assert.match(error, told);
  }
  assert.equal((await cards(address)).length, 1);
  assert.deepEqual(await cards(newStellarWallet().address), []);

  await fetchAsPage("DELETE", "/api/v1/deployments/my-app");
  assert.deepEqual(await cards(address), []);
});

// --- The script and the worker page -----------------------------------------

/** The content of the worker page. Its intervals request these four, in this order. */
async function page(wallet) {
  const json = async (path) => (await fetchAsPage("GET", `/api/v1/workers/${wallet}${path}`)).json();
  const [machine, containers] = [await json(""), await json("/containers")];
  const [{ status }, metrics] = [await json("/status"), await json("/metrics?hours=1")];
  const chart = metrics.map((metric) => ({
    at: new Date(metric.timestamp).getTime(),
    cpu: metric.cpuUsagePercent.toFixed(1),
    ram: `${metric.ramUsedGb.toFixed(1)} of ${metric.ramTotalGb.toFixed(1)}`,
    credits: metric.creditsEarned.toLocaleString("en-US"),
    containers: metric.containerCount.toFixed(0),
  }));
  const rows = containers.map((each) => `${each.name || each.containerName} ${each.cpuPercent.toFixed(1)}% ${each.memUsageMb.toFixed(0)} MB`);
  if (!machine.exists) return { isSetUp: false, status, chart, rows };
  return {
    isSetUp: true,
    isActive: machine.isActive,
    credits: machine.credits.toLocaleString("en-US"),
    hardware: [machine.tailscaleIp, machine.cpuCores, machine.ramTotalGb, machine.storageTotalGb].map((value) => value ?? "---"),
    status,
    chart,
    rows,
  };
}

/** The requests of the script, which ignores the responses. */
const post = (path, body) => worker.api("POST", `/api/v1/heartbeat${path}`, body, { "content-type": "application/json" });

const ping = (walletAddress, ms) => post("/ping", { walletAddress, timestamp: stamp(ms) });

/** The `n`th full beat: other containers and figures than the one before. */
const beat = (walletAddress, ms, n) => post("", {
  walletAddress,
  timestamp: stamp(ms),
  tailscaleIp: "100.101.102.103",
  hostname: "rack-1",
  containers: [{ name: `web-${n}`, cpuPercent: 1.25 * n, memUsageMb: 100 + n }, { name: "db", cpuPercent: 0, memUsageMb: 512.5 }],
  system: { cpuCores: 8, cpuUsagePercent: 5 + n, ramTotalGb: 31.2, ramUsedGb: 9.5 + n / 10, storageTotalGb: 468, storageUsedGb: 120 },
});

test("An hour of the original's script: the page has the machine's containers, hardware and figures, and its window is the hour", async () => {
  const { address } = newStellarWallet();
  assert.deepEqual(await page(address), { isSetUp: false, status: "UNKNOWN", chart: [], rows: [] });

  const pings = HOUR_MS / wait.ping;
  const start = Math.floor(Date.now() / SECOND_MS) * SECOND_MS - (pings - 1) * wait.ping;
  const beats = [];
  for (let n = 0; n < pings; n++) {
    const at = start + n * wait.ping;
    assert.equal((await ping(address, at)).status, 200);
    if (n === 0) {
      // Registered, without figures yet.
      const { chart, rows, hardware, credits } = await page(address);
      assert.deepEqual({ chart, rows, hardware, credits }, { chart: [], rows: [], hardware: ["---", "---", "---", "---"], credits: "0" });
    }
    if ((n + 1) % wait.beats !== 0) continue;
    // At 100 % CPU the script's jq fails, and it posts nothing at all.
    if (n + 1 === 5 * wait.beats) {
      assert.equal((await post("", "")).status, 400);
      continue;
    }
    beats.push(at);
    const told = await (await beat(address, at, beats.length)).json();
    assert.deepEqual(told, { success: true, window: { startTime: new Date(start).toISOString(), endTime: new Date(at).toISOString() }, nextBeatSeconds: 300 });
  }

  const last = beats.length;
  const shown = await page(address);
  assert.deepEqual(shown.rows, [`web-${last} ${(1.25 * last).toFixed(1)}% ${100 + last} MB`, "db 0.0% 513 MB"]);
  assert.deepEqual(shown.hardware, ["100.101.102.103", 8, 31.2, 468]);
  assert.deepEqual([shown.isActive, shown.status, shown.credits], [true, "HEALTHY", "0"]);
  // The last figures of each hour.
  const expected = beats
    .map((at, n) => ({ at, cpu: (6 + n).toFixed(1), ram: `${(9.5 + (n + 1) / 10).toFixed(1)} of 31.2`, credits: "0", containers: "2" }))
    .filter(({ at }, n) => n === last - 1 || Math.floor(at / HOUR_MS) !== Math.floor(beats[n + 1] / HOUR_MS));
  assert.deepEqual(shown.chart, expected);

  // One window of the whole hour. It is open until the sweep records that the machine fell silent.
  const uptime = async () => (await worker.api("GET", `/api/v1/workers/${address}/uptime`)).json();
  const end = start + (pings - 1) * wait.ping;
  const hour = { timeFrom: new Date(start).toISOString(), timeTo: new Date(end).toISOString(), durationSeconds: (end - start) / SECOND_MS };
  assert.deepEqual(await uptime(), [{ ...hour, open: true }]);
  const gone = 40 * 60 * SECOND_MS;
  await sql("UPDATE worker_windows SET start_at = start_at - ?, end_at = end_at - ?, seen_at = seen_at - ? WHERE wallet = ?", gone, gone, gone, address);
  await sql("DELETE FROM worker_uptime_records WHERE wallet = ?", address);
  await worker.worker.scheduled({ cron: "* * * * *" });
  const moved = { ...hour, timeFrom: new Date(start - gone).toISOString(), timeTo: new Date(end - gone).toISOString() };
  assert.deepEqual(await uptime(), [{ ...moved, open: false }]);
  assert.deepEqual([(await page(address)).status, (await page(address)).isActive], ["DEAD", false]);

  // At most one row for each hour was stored, and no other machine's page has any of it.
  const [{ n }] = await sql("SELECT count(*) AS n FROM worker_metrics WHERE wallet = ?", address);
  assert.equal(n, expected.length - 1);
  assert.equal((await page(newStellarWallet().address)).isSetUp, false);
});

test("The set-up command needs only a wallet", async () => {
  const { address } = newStellarWallet();
  const script = await worker.api("GET", `/api/setup?wallet=${address}`);
  assert.equal(script.status, 200);
  assert.match(await script.text(), new RegExp(`^#!/bin/sh\n[^]*\nWALLET='${address}'\nTOKEN='wk_`));
  assert.equal((await page(address)).status, "UNKNOWN");
  assert.equal((await page(address)).isSetUp, true);
});
