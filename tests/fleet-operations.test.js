// The cost of the fleet: counts its calls to KV and to the database (counted.js).

import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate } from "node:timers/promises";
import { fleet, newAddress } from "./support/fleet.js";
import { startWorker } from "./support/harness.js";

const isD1 = process.env.DATABASE !== "turso";
/** A Worker whose mirror in KV may lag by so many seconds; by default by five minutes. */
const mirroring = (seconds) => startWorker({ HEARTBEAT_AUTH: "required", ...(seconds && { HEARTBEAT_MIRROR_SECONDS: seconds }) }, [], { before: "tests/support/counted.js" });
const [worker, prompt, sparing, silent] = [await mirroring(), await mirroring("0"), await mirroring("900"), await mirroring("off")];

const MINUTE_MS = 60_000;
const iso = (ms) => new Date(ms).toISOString();
const nothing = { get: 0, getWithMetadata: 0, put: 0, list: 0, delete: 0 };
const counts = async ({ url }) => (await fetch(`${url}/counts`)).json();

/** A machine. `beat(ms, containers)` returns the numbers of its calls to KV and to the database. */
async function newMachine(at) {
  const { ok } = fleet(at);
  const { walletAddress, token } = await ok(201, "POST", "/workers", { walletAddress: newAddress() });
  const beat = async (ms, containers, status = 200) => {
    await counts(at);
    const body = { walletAddress, timestamp: iso(ms), ...(containers && { containers }) };
    await ok(status, "POST", containers ? "/heartbeat" : "/heartbeat/ping", body, token);
    return settled(at);
  };
  return { wallet: walletAddress, beat };
}

/** The counts, after all running calls have ended. */
async function settled(at) {
  const all = await counts(at);
  for (let underWay = all.underWay; underWay > 0; ) {
    await setImmediate();
    const more = await counts(at);
    underWay = more.underWay;
    for (const name of Object.keys(all.kv)) all.kv[name] += more.kv[name];
    for (const name of Object.keys(all.d1)) all.d1[name] += more.d1[name];
  }
  return all;
}

const web = [{ containerName: "web", port: "80" }];
const database = [{ containerName: "db" }];

test("With HEARTBEAT_MIRROR_SECONDS=0 a beat writes its changes to KV, twice at most, and reads nothing", async () => {
  const { beat } = await newMachine(prompt);
  const start = Date.now() - 10 * 60 * MINUTE_MS;
  const puts = async (...args) => {
    const { kv, d1 } = await beat(...args);
    assert.deepEqual(kv, { ...nothing, put: kv.put });
    // One statement for the machine's identity, one for the beat.
    if (isD1) assert.ok(d1.calls <= 2 && d1.statements <= 2, JSON.stringify(d1));
    return kv.put;
  };
  assert.equal(await puts(start, web), 2);
  assert.equal(await puts(start + 5 * MINUTE_MS, web), 1, "the containers are the same");
  assert.equal(await puts(start + 10 * MINUTE_MS, database), 2);
  assert.equal(await puts(start + 15 * MINUTE_MS), 1, "a ping says nothing of them");
  assert.equal(await puts(start + 90 * MINUTE_MS, database), 1, "a new window");
  assert.equal(await puts(Date.now() - 25 * 60 * MINUTE_MS, web, 422), 0, "none that is refused");
});

test("A stale beat does not use KV", async () => {
  const { beat } = await newMachine(worker);
  await beat(Date.now() - MINUTE_MS, web);
  const { kv } = await beat(Date.now() - 2 * MINUTE_MS, database);
  assert.deepEqual(kv, nothing);
});

// Machines beat every five minutes, and their timers are slightly late.
for (const [title, at, lag] of [
  ["By default the window in KV lags by five minutes at most, and a new one is there at once", worker, 300_000],
  ["With HEARTBEAT_MIRROR_SECONDS the window goes to KV that rarely, and a new one at once", sparing, 900_000],
]) {
  test(title, async () => {
    const { wallet, beat } = await newMachine(at);
    const puts = async (...args) => (await beat(...args)).kv.put;
    const start = Date.now() - 10 * 60 * MINUTE_MS;
    assert.equal(await puts(start, web), 2);
    assert.equal(await puts(start + 5 * MINUTE_MS, web), 0);
    assert.equal(await puts(start + 10 * MINUTE_MS, database), 1, "other containers");
    assert.equal(await puts(start + 15 * MINUTE_MS), 0);
    const ago = (ms) => at.sql("UPDATE worker_windows SET time_mirrored_at = time_mirrored_at - ?, containers_mirrored_at = containers_mirrored_at - ? WHERE wallet = ?", ms, ms, wallet);
    await ago(lag + 2_000);
    assert.equal(await puts(start + 20 * MINUTE_MS, database), 0);
    await ago(lag);
    assert.equal(await puts(start + 25 * MINUTE_MS, database), 1);
    const { value, metadata } = await (await at.worker.getEnv()).WORKER_HEARTBEATS.getWithMetadata(`${wallet}:time`, "json");
    assert.deepEqual([value, metadata], [{ startTime: iso(start), endTime: iso(start + 25 * MINUTE_MS) }, { s: start, e: start + 25 * MINUTE_MS }]);
    assert.equal(await puts(start + 90 * MINUTE_MS, database), 1, "a new window");
    // Unchanged values are written again within the hour, in case a write was lost.
    await ago(3_600_000);
    assert.equal(await puts(start + 95 * MINUTE_MS, database), 2);
  });
}

test("With HEARTBEAT_MIRROR_SECONDS=off KV is not used", async () => {
  const { wallet, beat } = await newMachine(silent);
  const start = Date.now() - 2 * 60 * MINUTE_MS;
  for (const minutes of [0, 5, 60]) assert.deepEqual((await beat(start + minutes * MINUTE_MS, web)).kv, nothing);
  assert.equal((await silent.sql("SELECT * FROM worker_uptime_records WHERE wallet = ?", wallet)).length, 1);
});

test("Two parallel sweeps of 5,000 machines do not use KV and record each of 1,000 silent ones once", async () => {
  const now = Date.now();
  await worker.sql("DELETE FROM worker_windows");
  await worker.sql("DELETE FROM worker_uptime_records");
  await worker.sql(
    `INSERT INTO worker_windows (wallet, start_at, end_at, seen_at, containers)
     WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 4999)
     SELECT '0x' || printf('%040d', n * 7919 % 10007), CAST(?1 AS INTEGER), CAST(?2 AS INTEGER) - iif(n < 1000, 3600000, 0), CAST(?2 AS INTEGER), '[]' FROM n`,
    now - 2 * 60 * MINUTE_MS, now,
  );
  await counts(worker);
  await Promise.all([fetch(`${worker.url}/sweep`), fetch(`${worker.url}/sweep`)]);
  const { kv, d1 } = await settled(worker);
  assert.deepEqual(kv, nothing);
  // Two parallel sweeps may leave machines to each other; one more sweep leaves none out.
  await fetch(`${worker.url}/sweep`);
  const records = await worker.sql("SELECT r.wallet, time_from, time_to, start_at, end_at FROM worker_uptime_records r JOIN worker_windows w ON w.wallet = r.wallet");
  assert.equal(records.length, 1_000);
  for (const { wallet, time_from, time_to, start_at, end_at } of records) {
    assert.deepEqual([time_from, time_to, end_at], [start_at, end_at, now - 3_600_000], wallet);
  }
  // A piece of 1,000 machines is one round trip of four statements; the rest of the cron has some of its own.
  if (isD1) assert.ok(d1.calls <= 40, JSON.stringify(d1));
});
