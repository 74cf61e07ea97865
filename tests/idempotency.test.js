// Idempotency-Key: a POST that is sent again gets its response again, and is done
// once, however the first one ended.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { beforeEach, test } from "node:test";
import { claudeVars, eventsOf, messages, newProject, settled, textOf, until } from "./support/conversation.js";
import { deployments } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { problem, rowCounts, startWorker } from "./support/harness.js";

const PAGE = { "index.html": "<h1>Hello</h1>" };

const claude = await startAnthropic();
const hatch = await startWorker({ ...claudeVars(claude), UPSTREAM_IDLE_TIMEOUT_MS: "2000" });
test.after(() => claude.close());
beforeEach(() => claude.reset());

const post = (path, body, key) => hatch.api("POST", path, body, { "idempotency-key": key });
const replayed = (response) => response.headers.get("idempotency-replayed");
const row = async (key) => (await hatch.sql("SELECT * FROM idempotency WHERE key = ?", key))[0];

/** Changes the row as if the Worker had died after its work and before its response, long enough ago. */
const forgetAnswer = (key) => hatch.sql("UPDATE idempotency SET status = NULL, headers = NULL, body = NULL, lease_until = 0 WHERE key = ?", key);

/** The rows of the tables with users' resources. */
async function made() {
  const { idempotency, nonces, ...others } = await rowCounts(hatch);
  return others;
}

test("a second request gets the first response, and creates nothing", async () => {
  const key = randomUUID();
  const first = await post("/api/projects", { name: "Once" }, key);
  const before = await made();
  const second = await post("/api/projects", { name: "Once" }, key);
  assert.deepEqual([first.status, replayed(first)], [201, null]);
  assert.deepEqual([second.status, replayed(second)], [201, "true"]);
  for (const name of ["content-type", "location", "etag"]) assert.equal(second.headers.get(name), first.headers.get(name));
  assert.equal(await second.text(), await first.text());
  assert.deepEqual(await made(), before);
});

test("20 parallel requests with one key create one resource and get one response", async () => {
  const key = randomUUID();
  const before = await made();
  const answers = await Promise.all(Array.from({ length: 20 }, () => post("/api/projects", { name: "Rush" }, key)));
  const bodies = new Set(await Promise.all(answers.map((answer) => answer.text())));
  assert.deepEqual(answers.map((answer) => answer.status), Array(20).fill(201));
  assert.equal(bodies.size, 1);
  assert.equal(answers.filter((answer) => !replayed(answer)).length, 1);
  assert.deepEqual(await made(), { ...before, projects: before.projects + 1 });
});

test("a key that was used for another request is 422", async () => {
  const key = randomUUID();
  const { id } = await (await post("/api/projects", { name: "First" }, key)).json();
  const before = await made();
  for (const [path, body] of [["/api/projects", { name: "Second" }], ["/api/projects?x", { name: "First" }], [`/api/projects/${id}/rollback`, { version: 1 }]]) {
    await problem(await post(path, body, key), 422, "idempotency_key_reused");
  }
  const { detail } = await problem(await post("/api/projects", '{ "name": "First" }', key), 422, "idempotency_key_reused");
  assert.match(detail, /compared byte by byte/);
  assert.deepEqual(await made(), before);
});

test("after a refused request its key can be used again", async () => {
  const key = randomUUID();
  await problem(await post("/api/projects", { name: "" }, key), 400, "validation_failed");
  assert.equal(await row(key), undefined);
  assert.equal((await post("/api/projects", { name: "Better" }, key)).status, 201);
});

test("a key must be 1 to 255 visible characters", async () => {
  for (const key of ["", "x".repeat(256), "caf\u00e9"]) {
    const { errors } = await problem(await post("/api/projects", { name: "x" }, key), 400, "validation_failed");
    assert.equal(errors[0].pointer, "Idempotency-Key");
  }
  assert.equal((await post("/api/projects", { name: "x" }, "x".repeat(255))).status, 201);
});

test("the quoted and the bare form of a key are one key", async () => {
  const key = randomUUID();
  const first = await post("/api/projects", { name: "Quoted" }, `"${key}"`);
  const second = await post("/api/projects", { name: "Quoted" }, key);
  assert.deepEqual([first.status, replayed(first), second.status, replayed(second)], [201, null, 201, "true"]);
  assert.equal(await second.text(), await first.text());
});

test("idempotent methods ignore the key", async () => {
  const key = randomUUID();
  const id = await newProject(hatch);
  for (const method of ["GET", "DELETE"]) await hatch.api(method, `/api/projects/${id}`, undefined, { "idempotency-key": key });
  assert.equal(await row(key), undefined);
});

test("a project whose Worker died before its response is found, not created twice", async () => {
  const key = randomUUID();
  const first = await (await post("/api/projects", { name: "Found" }, key)).json();
  await forgetAnswer(key);
  const before = await made();
  const second = await post("/api/projects", { name: "Found" }, key);
  assert.deepEqual([second.status, replayed(second)], [201, "true"]);
  assert.deepEqual(await second.json(), first);
  assert.deepEqual(await made(), before);
  assert.equal((await row(key)).status, 201);
});

test("a retry is a replay only if the first try created something", async () => {
  const projectId = await newProject(hatch, PAGE);
  for (const [path, body, table] of [["/api/projects", { name: "Busy" }, "projects"], ["/api/deploy", { projectId }, "deployments"]]) {
    const key = randomUUID();
    // The database fails after the key was stored, and before anything is created.
    await hatch.sql(`CREATE TRIGGER fault BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'injected fault'); END`);
    const failed = await post(path, body, key);
    await hatch.sql("DROP TRIGGER fault");
    assert.ok(failed.status >= 500, `${path} ${failed.status}`);
    const before = (await made())[table];
    const first = await post(path, body, key);
    assert.ok(first.ok, `${path} ${first.status}`);
    assert.equal(replayed(first), null, path);
    assert.equal(replayed(await post(path, body, key)), "true", path);
    await forgetAnswer(key);
    assert.equal(replayed(await post(path, body, key)), "true", path);
    assert.equal((await made())[table], before + 1);
  }
});

test("a request that died before it created anything is taken over after its lease", async () => {
  const key = randomUUID();
  const { id } = await (await post("/api/projects", { name: "Lost" }, key)).json();
  await hatch.api("DELETE", `/api/projects/${id}`);
  await forgetAnswer(key);
  await hatch.sql("UPDATE idempotency SET lease_until = ? WHERE key = ?", Date.now() + 60_000, key);
  const busy = await post("/api/projects", { name: "Lost" }, key);
  assert.equal(busy.headers.get("retry-after"), "1");
  await problem(busy, 409, "idempotency_key_in_use");
  await forgetAnswer(key);
  const taken = await Promise.all(Array.from({ length: 5 }, () => post("/api/projects", { name: "Lost" }, key)));
  const ids = new Set(await Promise.all(taken.map(async (response) => (await response.json()).id)));
  assert.deepEqual([...ids], [id]);
});

test("a response too long to store is rendered again, for the same project", async () => {
  const code = { "index.html": "<p>x".repeat(100_000) };
  const remixed = await deployments(hatch).live((await deployments(hatch).project(code)).id);
  const key = randomUUID();
  const path = `/api/discovery/${remixed.projectId}/remix`;
  const first = await (await post(path, undefined, key)).text();
  assert.ok(first.length > 300_000);
  assert.equal((await row(key)).body, null);
  const second = await post(path, undefined, key);
  assert.deepEqual([second.status, replayed(second)], [201, "true"]);
  assert.equal(await second.text(), first);
});

test("a deployment is begun once", async () => {
  const { id } = await deployments(hatch).project();
  const key = randomUUID();
  const first = await post("/api/deploy", { projectId: id }, key);
  const again = await post("/api/deploy", { projectId: id }, key);
  const body = await first.text();
  assert.deepEqual([first.status, again.status, await again.text()], [202, 202, body]);
  await forgetAnswer(key);
  const found = await post("/api/deploy", { projectId: id }, key);
  assert.deepEqual([found.status, await found.text(), found.headers.get("location")], [202, body, first.headers.get("location")]);
  const [{ n }] = await hatch.sql("SELECT count(*) AS n FROM deployments WHERE project_id = ?", id);
  assert.equal(n, 1);
});

test("a repeated rollback makes one version", async () => {
  const id = await newProject(hatch, PAGE);
  await hatch.api("PATCH", `/api/projects/${id}`, { code: { "index.html": "<h1>Changed</h1>" } });
  const key = randomUUID();
  const first = await (await post(`/api/projects/${id}/rollback`, { version: 1 }, key)).json();
  assert.equal(first.version, 3);
  await forgetAnswer(key);
  const again = await post(`/api/projects/${id}/rollback`, { version: 1 }, key);
  assert.deepEqual([again.status, await again.json()], [200, first]);
  // Another key is another rollback.
  assert.equal((await (await post(`/api/projects/${id}/rollback`, { version: 1 }, randomUUID())).json()).version, 4);
});

test("an API key is created once, and shown once", async () => {
  const key = randomUUID();
  const first = await (await post("/auth/keys", { name: "CI" }, key)).json();
  assert.match(first.key, /^hk_live_/);
  const again = await post("/auth/keys", { name: "CI" }, key);
  assert.deepEqual([again.status, replayed(again)], [201, "true"]);
  assert.deepEqual(await again.json(), { ...first, key: null });
  assert.ok(!JSON.stringify(await row(key)).includes(first.key));
});

// --- chat ---------------------------------------------------------------------

const ANSWER = "Here it is.\n\n```html:index.html\n<h1>Hello</h1>\n```\n";
const chat = (projectId, key, query = "?format=events") => post(`/api/chat${query}`, { projectId, message: "Build it" }, key);

for (const [format, last] of [["events", "done"], ["text", undefined]]) {
  test(`a chat that is sent again gets its answer at once, as ${format}`, async () => {
    claude.setAnswer(ANSWER);
    const [id, key] = [await newProject(hatch), randomUUID()];
    const first = eventsOf(Buffer.from(await (await chat(id, key, `?format=${format}`)).arrayBuffer()));
    const response = await chat(id, key, `?format=${format}`);
    const again = eventsOf(Buffer.from(await response.arrayBuffer()));
    assert.deepEqual([response.status, replayed(response), response.headers.get("content-type")], [200, "true", "text/event-stream; charset=utf-8"]);
    assert.equal(textOf(again), ANSWER);
    assert.equal(textOf(again), textOf(first));
    const own = (events) => events.filter(({ event }) => ["files", "saved", "done"].includes(event));
    assert.deepEqual(own(again), own(first));
    assert.equal(again.at(-1).event, last);
    assert.equal(claude.count("/v1/messages"), 1);
    assert.equal((await messages(hatch, id)).length, 2);
  });
}

test("a chat that is still streaming is followed, and afterwards repeated", async () => {
  claude.setAnswer(ANSWER);
  claude.setFault({ stallAfterBytes: 700 });
  const [id, key] = [await newProject(hatch), randomUUID()];
  const first = await chat(id, key);
  const following = await chat(id, key);
  assert.equal(replayed(following), "true");
  const followed = eventsOf(Buffer.from(await following.arrayBuffer()));
  assert.equal(textOf(followed), textOf(eventsOf(Buffer.from(await first.arrayBuffer()))));
  assert.equal(followed.at(-1).event, "error");
  const again = eventsOf(Buffer.from(await (await chat(id, key)).arrayBuffer()));
  assert.equal(again.at(-1).event, "error", "what was interrupted is told as interrupted");
  assert.equal(textOf(again), (await settled(hatch, id)).content);
  assert.equal(claude.count("/v1/messages"), 1);
});

test("a chat that failed before its first byte can be asked again", async () => {
  claude.setFault({ status: 400, message: "no" });
  const [id, key] = [await newProject(hatch), randomUUID()];
  assert.ok((await chat(id, key)).status >= 400);
  claude.setAnswer(ANSWER);
  const again = await chat(id, key);
  assert.equal(again.status, 200);
  assert.equal(textOf(eventsOf(Buffer.from(await again.arrayBuffer()))), ANSWER);
  assert.equal((await messages(hatch, id)).length, 2);
});

test("a chat whose Worker was killed is shown as interrupted once it counts as lost", async () => {
  claude.setAnswer(ANSWER);
  const [id, key] = [await newProject(hatch), randomUUID()];
  await (await chat(id, key)).text();
  await hatch.sql("UPDATE chat_messages SET status = 'streaming', content = 'Here it', created_at = 0, alive_at = 0 WHERE project_id = ? AND role = 'assistant'", id);
  await forgetAnswer(key);
  const again = eventsOf(Buffer.from(await (await chat(id, key)).arrayBuffer()));
  assert.deepEqual([textOf(again), again.at(-1).event], ["Here it", "error"]);
  assert.equal(claude.count("/v1/messages"), 1);
});

// --- and after a day ------------------------------------------------------------

test("keys are deleted after a day, and no sooner", async () => {
  const [old, young] = [randomUUID(), randomUUID()];
  for (const key of [old, young]) await post("/api/projects", { name: "Kept" }, key);
  const day = 24 * 60 * 60 * 1000;
  await hatch.sql("UPDATE idempotency SET created_at = ? WHERE key = ?", Date.now() - day - 1000, old);
  await hatch.sql("UPDATE idempotency SET created_at = ? WHERE key = ?", Date.now() - day + 60_000, young);
  await hatch.worker.scheduled();
  await until(async () => !(await row(old)));
  assert.ok(await row(young));
});
