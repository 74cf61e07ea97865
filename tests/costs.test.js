// Counts the statements of a page view, a turn of a chat and a call of the
// gateway. docs/costs.md uses these figures.

import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate } from "node:timers/promises";
import { chat, claudeVars, newProject } from "./support/conversation.js";
import { deployments, until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startWorker } from "./support/harness.js";

const claude = await startAnthropic();
const hatch = await startWorker(claudeVars(claude), [], { before: "tests/support/counted.js" });
const isD1 = process.env.DATABASE !== "turso";
test.after(() => claude.close());

const counts = async () => (await fetch(`${hatch.url}/counts`)).json();

/** The statements of `work`, also those after its response. */
async function asked(work) {
  await counts();
  await work();
  const all = await counts();
  for (let underWay = all.underWay; underWay > 0; ) {
    await setImmediate();
    const more = await counts();
    underWay = more.underWay;
    for (const name of Object.keys(all.d1)) all.d1[name] += more.d1[name];
  }
  return all.d1;
}

/** Checks that a number is at most the limit. */
function within(d1, most) {
  for (const [name, count] of Object.entries(most)) assert.ok(d1[name] <= count, `${name}: ${JSON.stringify(d1)}`);
}

/** The headers of a program with a key of its own. */
async function withKey() {
  const { key } = await (await hatch.api("POST", "/auth/keys", { name: "Costs", scopes: ["gateway", "chat"] })).json();
  return { authorization: `Bearer ${key}` };
}

test("A page view of a hosted app is one statement, and another one that counts it", { skip: !isD1 }, async () => {
  const app = deployments(hatch);
  const live = await app.live((await app.project()).id);
  const { host } = new URL(live.url);
  const view = () => hatch.worker.fetch(`http://${host}/`);
  const d1 = await asked(async () => assert.equal((await view()).status, 200));
  within(d1, { calls: 2, statements: 2, rowsRead: 5, rowsWritten: 2 });
});

test("A turn of a chat is two batches, one before Claude is asked and one after the answer, and its key is one", { skip: !isD1 }, async () => {
  const [first, second] = [await newProject(hatch), await newProject(hatch, { "index.html": "<p>Old</p>" })];
  const headers = await withKey();
  // The first one also reads the catalogue, which an isolate knows for a minute.
  await chat(hatch, first, "A clock", { headers });
  const d1 = await asked(() => chat(hatch, second, "A clock", { headers }));
  within(d1, { calls: 3, statements: 7, rowsRead: 16, rowsWritten: 11 });
  // Whose credential needs no database: their own keys of providers are read on the way.
  const third = await newProject(hatch);
  within(await asked(() => chat(hatch, third, "A clock")), { calls: 2, statements: 5, rowsRead: 14, rowsWritten: 11 });
});

test("A call of the gateway is two round trips: its key and the rules before, its entry after", { skip: !isD1 }, async () => {
  const call = (headers) => hatch.api("POST", "/v1/chat/completions", { model: "claude-sonnet-5-5", messages: [{ role: "user", content: "Hello" }] }, headers);
  for (const [headers, most] of [[await withKey(), { statements: 4, rowsRead: 3 }], [{}, { statements: 3, rowsRead: 1 }]]) {
    await call(headers);
    const d1 = await asked(async () => assert.equal((await call(headers)).status, 200));
    within(d1, { calls: 2, rowsWritten: 5, ...most });
  }
});

test("Calls that begin and end at once share their round trips, and write less for each", { skip: !isD1 }, async () => {
  const call = () => hatch.api("POST", "/v1/chat/completions", { model: "claude-sonnet-5-5", messages: [{ role: "user", content: "Hello" }] }, key);
  const key = await withKey();
  await call();
  claude.setFault({ hang: true, times: 20 });
  const asked20 = claude.requests.length + 20;
  const d1 = await asked(async () => {
    const answers = Array.from({ length: 20 }, call);
    await until(() => claude.requests.length === asked20, "all calls at the model");
    claude.release();
    for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
  });
  // Chance decides how many groups their records are written in, usually two or three. Each call writes four rows, and each group one more.
  const groups = d1.rowsWritten - 4 * 20;
  assert.ok(groups >= 1 && groups <= 6, JSON.stringify(d1));
  assert.equal(d1.statements, 2 * 20 + 2 * groups, JSON.stringify(d1));
  // A group reads about 250 rows, which are mostly those of its list of records and not of tables. The keys are looked up in groups too.
  within(d1, { calls: groups + 10, rowsRead: 5 * 20 + 255 * groups });
});

test("A call that is kept is two batches too: it is kept with its entry", { skip: !isD1 }, async () => {
  const call = () => hatch.api("POST", "/v1/chat/completions", { model: "claude-sonnet-5-5", messages: [{ role: "user", content: "Hello" }], store: true }, key);
  const key = await withKey();
  await call();
  const d1 = await asked(async () => assert.equal((await call()).status, 200));
  // Three of the rows read for each answer that its user keeps, which are two now.
  within(d1, { calls: 2, statements: 6, rowsRead: 5 + 3 * 2, rowsWritten: 11 });
});

test("Listing, creating and showing a project is one round trip each, and a create without code one statement", { skip: !isD1 }, async () => {
  const create = (body) => hatch.api("POST", "/api/projects", { name: "A project", ...body });
  const { id } = await (await create()).json();
  assert.deepEqual(Object.values(await asked(create)).slice(0, 2), [1, 1]);
  assert.deepEqual(Object.values(await asked(() => create({ code: { "index.html": "<p>New</p>" } }))).slice(0, 2), [1, 2]);
  assert.deepEqual(Object.values(await asked(() => hatch.api("GET", "/api/projects"))).slice(0, 2), [1, 1]);
  assert.deepEqual(Object.values(await asked(() => hatch.api("GET", `/api/projects/${id}`))).slice(0, 2), [1, 1]);
});
