// Observability: health and readiness, metrics, log lines and traces.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { deployments } from "./support/deployments.js";
import { problem, startWorker } from "./support/harness.js";

const ADMIN_TOKEN = "operators-own-token-4711";
const hatch = await startWorker({ ADMIN_TOKEN, ENVIRONMENT: "development" });
const operator = { authorization: `Bearer ${ADMIN_TOKEN}` };

/** The log's lines with this trace, once there are `n` of them. */
async function traced(trace, n) {
  const lines = () => hatch.harness.getLogs().map(({ message }) => message).filter((message) => message.includes(trace));
  while (lines().length < n) await setImmediate();
  return lines().map((line) => JSON.parse(line));
}

test("/ready lists the dependencies that are ready", async () => {
  const response = await hatch.api("GET", "/ready");
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), {
    status: "ready", checks: { database: "ok", kv: "ok", queue: "ok", configuration: "ok" },
  });
});

test("a database without the newest migration is not ready, and nothing else is reported", async () => {
  const lost = await startWorker();
  const newest = readdirSync("migrations").sort().at(-1);
  assert.deepEqual(await lost.sql("DELETE FROM d1_migrations WHERE name = ? RETURNING name", newest), [{ name: newest }]);
  const notReady = async () => {
    const response = await lost.api("GET", "/ready");
    assert.equal(response.status, 503);
    assert.deepEqual(await response.json(), {
      status: "not_ready", checks: { database: "failed", kv: "ok", queue: "ok", configuration: "ok" },
    });
  };
  await notReady();
  await lost.sql("DROP TABLE d1_migrations");
  await notReady();
  assert.equal((await lost.api("GET", "/health")).status, 200);
});

test("an invalid variable stops only the routes that need it, and /ready names it", async () => {
  const wrong = await startWorker({ DAILY_CHAT_LIMIT: "many", CONCORDIUM_NETWORK: "moon" });
  const named = async (method, path, body) => (await problem(await wrong.api(method, path, body), 503, "not_configured")).detail;
  assert.match(await named("GET", "/ready"), /DAILY_CHAT_LIMIT/);
  const created = await wrong.api("POST", "/api/projects", { name: "A project" });
  assert.equal(created.status, 201);
  const { id } = await created.json();
  assert.match(await named("POST", "/api/chat", { projectId: id, message: "A clock" }), /DAILY_CHAT_LIMIT/);
  for (const path of ["/", "/health", "/api/projects", "/workers"]) {
    assert.equal((await wrong.api("GET", path)).status, 200, path);
  }
});

test("a variable that every route needs is named by every route", async () => {
  const wrong = await startWorker({ RATE_LIMITS: "perhaps" });
  for (const path of ["/", "/ready", "/api/projects"]) {
    assert.match((await problem(await wrong.api("GET", path), 503, "not_configured")).detail, /RATE_LIMITS/);
  }
});

test("the operator reads the metrics", async () => {
  await deployments(hatch).live((await deployments(hatch).project()).id);
  await hatch.api("POST", "/auth/keys", { name: "A key" });
  const response = await hatch.api("GET", "/metrics", undefined, operator);
  assert.deepEqual([response.status, response.headers.get("content-type")], [200, "text/plain; version=0.0.4; charset=utf-8"]);
  const text = await response.text();
  const lines = text.trimEnd().split("\n");
  for (const line of lines) assert.match(line, /^(# HELP hatch_\w+ \S.*|# TYPE hatch_\w+ (gauge|counter|histogram)|hatch_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? \d+(\.\d+)?)$/);
  assert.ok(lines.includes('hatch_deployments{status="live"} 1'), text);
  assert.ok(lines.includes('hatch_jobs{kind="deploy",state="done"} 1'), text);
  assert.ok(lines.includes("hatch_sites 1") && lines.includes("hatch_audit_entries 1"), text);
});

test("invented model names do not create metrics", async () => {
  const { id } = await deployments(hatch).project();
  await hatch.sql(
    "INSERT INTO chat_messages (id, project_id, user_id, seq, role, content, status, model, created_at) VALUES ('m', ?, 'u', 99, 'assistant', '', 'complete', ?, 0)",
    id, 'x"} 1\nhatch_users 1000000\\',
  );
  const text = await (await hatch.api("GET", "/metrics", undefined, operator)).text();
  assert.ok(text.includes('{model="x\\"} 1\\nhatch_users 1000000\\\\"} 0\n'), text);
  assert.ok(!text.includes("\nhatch_users 1000000"));
});

test("every response has its duration", async () => {
  // A part of less than a millisecond is left out.
  const timing = /^([a-z]+;dur=\d+, )*total;dur=\d+$/;
  assert.match((await hatch.api("GET", "/health")).headers.get("server-timing"), timing);
  assert.match((await hatch.api("GET", "/nothing")).headers.get("server-timing"), timing);
});

test("a trace goes from the caller through the request to its job", async () => {
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const { id } = await deployments(hatch).project();
  const traceparent = `00-${trace}-00f067aa0ba902b7-01`;
  await hatch.api("POST", "/api/deploy", { projectId: id }, { traceparent });
  const lines = await traced(trace, 3);
  const request = lines.find(({ route }) => route);
  const steps = lines.filter(({ event }) => event);
  assert.deepEqual([request.route, request.status, request.caller], ["/api/deploy", 202, "local-developer"]);
  assert.deepEqual(steps.map(({ event, step, outcome }) => [event, step, outcome]), [["jobs.step", "build", "next"], ["jobs.step", "publish", "done"]]);
});

test("a log line has the caller and the key", async () => {
  const key = await (await hatch.api("POST", "/auth/keys", { name: "Logged" })).json();
  const trace = "5bf92f3577b34da6a3ce929d0e0e4736";
  await hatch.api("GET", "/api/projects", undefined, { authorization: `Bearer ${key.key}`, traceparent: `00-${trace}-00f067aa0ba902b7-01` });
  const [line] = await traced(trace, 1);
  assert.deepEqual([line.caller, line.credential], ["local-developer", key.id]);
});

test("with LOG=notable only failed, audited, refused and sampled requests write a line", async () => {
  const sparing = await startWorker({ ADMIN_TOKEN, LOG: "notable", DAILY_CHAT_LIMIT: "many" });
  let n = 0;
  /** Sends a request with its own trace, which is not in the logged hundredth. Returns its lines in the log. */
  const traced = (flags = "00") => {
    n += 1;
    const trace = (n * 100 + 1).toString(16).padStart(32, "0");
    return { trace, traceparent: `00-${trace}-00f067aa0ba902b7-${flags}` };
  };
  const silent = [["GET", "/"], ["GET", "/api/projects"], ["GET", "/api/projects/unknown"], ["POST", "/api/projects", { name: "A project" }], ["GET", "/nothing"]];
  const { key } = await (await sparing.api("POST", "/auth/keys", { name: "Reads", scopes: ["projects:read"] })).json();
  const told = [
    [200, "GET", "/api/projects", undefined, {}, "01"],
    [503, "GET", "/ready", undefined],
    [201, "POST", "/auth/keys", { name: "A key" }],
    [200, "GET", "/metrics", undefined, operator],
    [403, "POST", "/api/projects", { name: "Not mine to make" }, { authorization: `Bearer ${key}` }],
  ];
  const silentTraces = [];
  for (const [method, path, body] of silent) {
    const { trace, traceparent } = traced();
    await sparing.api(method, path, body, { traceparent });
    silentTraces.push(trace);
  }
  const wanted = [];
  for (const [status, method, path, body, headers, flags] of told) {
    const { trace, traceparent } = traced(flags);
    assert.equal((await sparing.api(method, path, body, { ...headers, traceparent })).status, status, path);
    wanted.push([trace, path, status]);
  }
  // The console's lines arrive in order, so the last one means that all are there.
  const lines = () => sparing.harness.getLogs().map(({ message }) => message).filter((message) => message.startsWith("{"));
  while (!lines().some((line) => line.includes(wanted.at(-1)[0]))) await setImmediate();
  const requests = lines().map((line) => JSON.parse(line)).filter(({ duration_ms }) => duration_ms !== undefined);
  for (const trace of silentTraces) assert.ok(!requests.some(({ trace_id }) => trace_id === trace), trace);
  for (const [trace, path, status] of wanted) {
    assert.deepEqual(requests.filter(({ trace_id }) => trace_id === trace).map((line) => [line.path, line.status]), [[path, status]]);
  }
});
