/**
 * `node bench/mixed.js [--requests n] [--seconds n]` (`npm run load:mixed`): mixed traffic through one local Worker.
 *
 * First 100,000 requests, as fast as 16 connections get their answers: their rate is the Worker's capacity, and its
 * memory is printed after each fifth of them. Then twice that many a second, sent at their times whether or not
 * earlier ones are answered, while `/health` is asked twenty times a second. Under that load some requests must be refused.
 * It fails if one gets another answer than its own, or 429 or 503 with `Retry-After`; if `/health` takes more than 100 ms
 * (99th percentile); or if the Worker is not itself again afterwards. Traffic goes to 127.0.0.1 alone.
 */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Client, httpRequest, load } from "./load.js";
import { LIST, beats, creation, idsOf } from "./routes.js";
import { percentile } from "./table.js";
import { boot, residentMegabytes } from "./workerd.js";
import { prepareHatch } from "./workers.js";

const { values: given } = parseArgs({
  options: { requests: { type: "string", default: "100000" }, seconds: { type: "string", default: "10" } },
});
const requests = Number(given.requests);
const seconds = Number(given.seconds);

const HEALTH = httpRequest("GET", "/health");
const HEALTH_MS = 100;
const HEALTH_EVERY_MS = 50;
/** More requests than these are never under way: a client of its own is a connection for each. */
const MOST_CONNECTIONS = 4000;

const upstream = fork(join(import.meta.dirname, "upstream.js"));
const [{ port: upstreamPort }] = await once(upstream, "message");
const { options, sql } = prepareHatch();
const bindings = {
  ENVIRONMENT: "development",
  LOG: "notable",
  CLAUDE_API_KEY: "sk-ant-bench",
  CLAUDE_BASE_URL: `http://127.0.0.1:${upstreamPort}/fast`,
};
const worker = await boot({ ...options, bindings }, sql);
try {
  const requestOf = await mixture();
  const capacity = await measureMemory(requestOf);
  await overload(requestOf, 2 * capacity);
  await load({ port: worker.port, requestOf, statuses: [200, 201], count: 200 });
  console.log("afterwards 200 requests are all answered");
} finally {
  await worker.stop();
  upstream.disconnect();
}

/** Of 20 requests: 8 lists, 6 beats, 3 shows, 2 creations and a chat. */
async function mixture() {
  const { port } = worker;
  const projects = idsOf(await load({ port, ...creation(100) }));
  const creations = creation(1);
  const beat = beats({}, 0);
  return (i) => {
    const project = projects[i % projects.length];
    const kind = i % 20;
    if (kind < 8) return LIST;
    // Counted on their own: their timestamps must stay before now.
    if (kind < 14) return beat.requestOf(6 * Math.floor(i / 20) + kind - 8);
    if (kind < 17) return httpRequest("GET", `/api/projects/${project}`);
    if (kind < 19) return creations.requestOf(i);
    return httpRequest("POST", "/api/chat?format=text", { projectId: project, message: `Make me list ${i}.` });
  };
}

/** Sends `requests` of the mixture and prints the memory on the way. Returns how many were answered a second. */
async function measureMemory(requestOf) {
  const { port, pid } = worker;
  const fifth = Math.ceil(requests / 5);
  let spent = 0;
  for (let part = 0; part < 5; part++) {
    const first = part * fifth;
    const { seconds: took } = await load({ port, requestOf: (i) => requestOf(first + i), statuses: [200, 201], count: fifth, seconds: 3600 });
    spent += took;
    console.log(`${first + fifth} requests: ${Math.round(fifth / took)} a second, ${Math.round(residentMegabytes(pid))} MB`);
  }
  return requests / spent;
}

/** Sends `rate` requests a second for `seconds`, and prints what became of them. */
async function overload(requestOf, rate) {
  const idle = [];
  const answers = new Map();
  const health = [];
  const sends = [];
  const failed = [];
  let connections = 0;
  let notSent = 0;

  async function send(bytes) {
    const client = idle.pop() ?? (connections++, await Client.open(worker.port));
    const { status, head } = await client.send(bytes, false);
    idle.push(client);
    if (status === 429 || status === 503) assert.match(head, /\r\nretry-after: \d+/i, "a refusal says when to come back");
    else assert.ok(status === 200 || status === 201, `unexpected status ${status}`);
    answers.set(status, (answers.get(status) ?? 0) + 1);
  }
  async function askHealth(client) {
    const sentAt = performance.now();
    const { status } = await client.send(HEALTH, false);
    assert.equal(status, 200);
    health.push(performance.now() - sentAt);
  }

  const beganAt = performance.now();
  const probes = (async () => {
    const client = await Client.open(worker.port);
    while (performance.now() - beganAt < seconds * 1000) {
      await askHealth(client);
      await sleep(HEALTH_EVERY_MS);
    }
    client.close();
  })();
  for (let sent = 0; performance.now() - beganAt < seconds * 1000; await sleep(5)) {
    const due = Math.floor(((performance.now() - beganAt) / 1000) * rate);
    for (; sent < due; sent++) {
      if (idle.length === 0 && connections >= MOST_CONNECTIONS) notSent++;
      else sends.push(send(requestOf(sent)).catch((error) => failed.push(error)));
    }
  }
  await probes;
  await Promise.all(sends);
  for (const client of idle) client.close();
  if (failed.length > 0) throw failed[0];

  const spread = [...answers].sort(([a], [b]) => a - b).map(([status, count]) => `${count} × ${status}`);
  console.log(`at ${Math.round(rate)} a second for ${seconds} s: ${spread.join(", ")}; ${notSent} not sent for want of connections`);
  console.log(`/health: median ${percentile(health, 50).toFixed(1)} ms, 99th percentile ${percentile(health, 99).toFixed(1)} ms`);
  assert.ok(percentile(health, 99) < HEALTH_MS, `/health stays below ${HEALTH_MS} ms`);
}
