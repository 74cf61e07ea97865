/**
 * `node bench/fleet.js [--machines n]` (`npm run load:fleet`): pushes 20,000 machines through one local Worker, several
 * beats each, and then the sweep, when all of them have fallen silent. It prints the number of calls to KV and D1, counted
 * before the bindings, and fails unless each machine's records match its beats exactly. Traffic goes to 127.0.0.1
 * only, and no file stays.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { httpRequest, load } from "./load.js";
import { boot, cpuSeconds } from "./workerd.js";
import { prepareHatch } from "./workers.js";

const { values: given } = parseArgs({ options: { machines: { type: "string", default: "20000" } } });
const machines = Number(given.machines);

const MINUTE_MS = 60_000;
const START = Date.now() - 10 * 60 * MINUTE_MS;
const walletOf = (n) => `0x${(n * 7919).toString(16).padStart(40, "0")}`;

/** The beats of machine `n`, in minutes: all open a window and extend it twice, and each fifth closes it by another one. */
const minutesOf = (n) => [0, 5, 10, ...(n % 5 === 0 ? [120, 125] : [])].map((minute) => minute + (n % 60) / 60);
const at = (minutes) => Math.round(START + minutes * MINUTE_MS);
const CONTAINERS = [{ containerName: "web", port: "8080" }, { containerName: "db", port: "5432" }];

const worker = await start();
try {
  const tokens = await measure("register", machines, 201, (n) => httpRequest("POST", "/workers", { walletAddress: walletOf(n) }), true);
  // The cron also seals the audit entries of the registrations, which are not a cost of beats.
  await measure("a cron", 1, 200, () => httpRequest("GET", "/sweep"));
  const authorization = tokens.map((body) => `authorization: Bearer ${JSON.parse(body).token}\r\n`);
  for (let turn = 0; turn < 5; turn++) {
    const sending = Array.from({ length: machines }, (_, n) => n).filter((n) => minutesOf(n).length > turn);
    const name = ["a first beat", "one more", "one more", "after two hours", "one more"][turn];
    await measure(name, sending.length, 200, (i) => {
      const n = sending[i];
      const body = { walletAddress: walletOf(n), timestamp: new Date(at(minutesOf(n)[turn])).toISOString(), containers: CONTAINERS };
      return httpRequest("POST", "/heartbeat", body, authorization[n]);
    });
  }
  // 50 pieces of 1,000 machines are one run; a fleet of 20,000 takes one.
  for (const name of ["the sweep", "the sweep again"]) {
    await measure(name, Math.ceil(machines / 50_000), 200, () => httpRequest("GET", "/sweep"));
  }
  console.log(await check());
} finally {
  await worker.stop();
}

async function start() {
  const { options, sql } = prepareHatch();
  const path = join(options.modulesRoot, "counted.js");
  const counted = { type: "ESModule", path, contents: readFileSync(join(import.meta.dirname, "../tests/support/counted.js")) };
  const bindings = { ENVIRONMENT: "development", HEARTBEAT_AUTH: "required" };
  return boot({ ...options, bindings, modules: [counted, ...options.modules] }, sql);
}

/** Sends the requests and prints a line with their duration. */
async function measure(name, count, status, requestOf, keep = false) {
  await counts();
  const cpuBefore = cpuSeconds(worker.pid);
  const { seconds, done, bodies } = await load({ port: worker.port, requestOf, status, count, seconds: 600, keep });
  const { kv, d1 } = await counts();
  const cpuMs = ((cpuSeconds(worker.pid) - cpuBefore) * 1000) / done;
  const { get, getWithMetadata, put, list } = kv;
  print([name, done, Math.round(done / seconds), cpuMs.toFixed(2), get + getWithMetadata, put, list, kv.delete, d1.calls, d1.statements, d1.rowsRead, d1.rowsWritten]);
  return bodies;
}

/** The counts since the last call, after all running calls have ended. */
async function counts() {
  const ask = async () => {
    const { bodies } = await load({ port: worker.port, count: 1, keep: true, requestOf: () => httpRequest("GET", "/counts") });
    return JSON.parse(bodies[0]);
  };
  const all = await ask();
  for (let { underWay } = all; underWay > 0; ) {
    const more = await ask();
    underWay = more.underWay;
    for (const kind of ["kv", "d1"]) for (const name of Object.keys(all[kind])) all[kind][name] += more[kind][name];
  }
  return all;
}

function print(cells) {
  print.header ??= ["", "requests", "/s", "CPU ms", "KV get", "put", "list", "delete", "D1 calls", "statements", "rows read", "rows written"];
  const line = (texts) => texts.map((text, i) => (i ? String(text).padStart(print.header[i].length + 2) : String(text).padEnd(16))).join("");
  if (!print.begun) console.log(line(print.header));
  print.begun = true;
  console.log(line(cells));
}

/** Compares every record with the windows that the rule computes from the machine's beats. */
async function check() {
  const { results } = await worker.database
    .prepare("SELECT wallet, json_group_array(json_array(time_from, time_to)) AS records FROM (SELECT * FROM worker_uptime_records ORDER BY wallet, time_from) GROUP BY wallet")
    .all();
  const recorded = new Map(results.map(({ wallet, records }) => [wallet, JSON.parse(records)]));
  assert.equal(recorded.size, machines);
  let count = 0;
  for (let n = 0; n < machines; n++) {
    const [first, , third, fourth, fifth] = minutesOf(n).map(at);
    const expected = [[first, third], ...(fourth ? [[fourth, fifth]] : [])];
    assert.deepEqual(recorded.get(walletOf(n)), expected, walletOf(n));
    count += expected.length;
  }
  return `${count} records of ${machines} machines, each exactly what its beats said`;
}
