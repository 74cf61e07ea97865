// A Worker that is asked for more than it can do at once.

import assert from "node:assert/strict";
import { request } from "node:http";
import test from "node:test";
import { messages } from "./support/conversation.js";
import { until } from "./support/deployments.js";
import { startWorker } from "./support/harness.js";

// Whatever ends a stream here, it is not a model's silence.
const hatch = await startWorker({ UPSTREAM_IDLE_TIMEOUT_MS: "600000", GATEWAY_IDLE_MS: "600000" }, [], { before: "tests/support/unsteady.js" });
const { api, url, sql } = hatch;

const LISTS = 600;

test("A health check does not wait for the requests before it, and what is too much is refused", async () => {
  for (let n = 0; n < 20; n++) assert.equal((await api("POST", "/api/projects", { name: `Project ${n}` })).status, 201);

  const answers = [];
  const list = async () => {
    const response = await api("GET", "/api/projects");
    answers.push({ status: response.status, retryAfter: response.headers.get("retry-after"), body: await response.json() });
  };
  const lists = Array.from({ length: LISTS }, list);
  await Promise.race(lists);
  assert.equal((await fetch(`${url}/health`)).status, 200);
  const before = answers.filter(({ status }) => status === 200).length;
  await Promise.all(lists);

  const listed = answers.filter(({ status }) => status === 200);
  const refused = answers.filter(({ status }) => status !== 200);
  for (const { body } of listed) assert.equal(body.length, 20);
  for (const { status, retryAfter, body } of refused) {
    assert.deepEqual([status, retryAfter, body.code], [503, "1", "unavailable"]);
  }
  assert.ok(refused.length > 0, "the queue was full");
  assert.ok(before < listed.length / 2, `${before} of ${listed.length} lists were answered before the health check`);
  assert.equal((await api("GET", "/api/projects")).status, 200);
});

/** A request whose client can hang up. */
function leaving(path, { method = "GET", body, headers } = {}) {
  const sent = request(`${url}${path}`, { agent: false, method, headers: { "content-type": "application/json", ...headers } });
  const left = new Promise((resolve) => sent.once("error", resolve));
  sent.end(body && JSON.stringify(body));
  return { left, leave: () => sent.socket.resetAndDestroy() };
}

const database = async (parameters = "") => (await fetch(`${url}/database?${parameters}`)).json();

test("clients that hang up while the database is slow leave no place taken behind them", { skip: process.env.DATABASE === "turso" && "this slows D1 down" }, async () => {
  // In three rounds more than may wait for the database at once (MOST_WAITING of src/store/mod.rs).
  const { id } = await (await api("POST", "/api/projects", { name: "Slow" })).json();
  for (let round = 0; round < 3; round++) {
    await database("held=projects");
    const clients = Array.from({ length: 100 }, () => leaving(`/api/projects/${id}`));
    await until(async () => (await database()).waiting >= 100, "all requests at the database");
    clients.forEach(({ leave }) => leave());
    await Promise.all(clients.map(({ left }) => left));
    await database("held=");
    await until(async () => (await database()).waiting === 0, "the end of all queries");
    assert.equal((await api("GET", `/api/projects/${id}`)).status, 200, `after ${round + 1} rounds`);
  }
});

test("a stream whose client has hung up before it began ends by itself, and what it carried is saved", { skip: process.env.DATABASE === "turso" && "this slows D1 down" }, async () => {
  const post = async (path, body, headers) => {
    const response = await api("POST", path, body, headers);
    assert.ok(response.ok, await response.clone().text());
    return response.json();
  };
  const { id } = await post("/api/projects", { name: "Left", code: { "index.html": "<h1>Hi</h1>" } });
  const { deploymentId } = await post("/api/deploy", { projectId: id, platform: "preview" });
  const { job_id: job } = await post("/api/generate", { prompt: "A booking app for barbers" });
  const question = (headers) => ({ method: "POST", body: { projectId: id, message: "Build it" }, headers });
  const streams = [
    ["/auth/export"],
    [`/api/deploy/${deploymentId}/stream`],
    [`/api/status/${job}/events`],
    ["/api/chat?format=events", question({ "idempotency-key": "left" })],
    // The same turn, followed.
    ["/api/chat?format=events", question({ "idempotency-key": "left" })],
    ["/v1/chat/completions", { method: "POST", body: { model: "sandbox", stream: true, messages: [{ role: "user", content: "Hi" }] } }],
  ];
  await until(async () => (await database()).work === 0, "the end of all work before");
  for (const [path, options] of streams) {
    await database("held=SELECT");
    const { left, leave } = leaving(path, options);
    await until(async () => (await database()).waiting > 0, `${path} at the database`);
    leave();
    await left;
    await database("held=");
    await until(async () => (await database()).work === 0, `the end of ${path}`);
  }
  const [, answer] = await messages(hatch, id);
  assert.deepEqual([answer.role, answer.status], ["assistant", "complete"]);
  assert.deepEqual((await sql("SELECT status FROM model_calls")).map(({ status }) => status), [200]);
});
