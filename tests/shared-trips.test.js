// Requests that ask D1 at the same time share a round trip (src/store/shared.rs). Each gets what is its own, and
// what happens to one of them happens to no other.

import assert from "node:assert/strict";
import { request } from "node:http";
import test, { after, afterEach, beforeEach } from "node:test";
import { until } from "./support/deployments.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { startWorker } from "./support/harness.js";
import { as, people, production } from "./support/people.js";

const skip = process.env.DATABASE === "turso" && "Turso has no shared trips";
const stack = await startStackAuth();
after(() => stack.close());
const worker = await startWorker({ ...production(stack), HEARTBEAT_AUTH: "open" }, [], { before: "tests/support/unsteady.js" });
const { api, sql, url } = worker;
const { ok, signIn } = people(worker, stack);

const database = async (parameters = {}) => (await fetch(`${url}/database?${new URLSearchParams(parameters)}`)).json();
const PEOPLE = 12;
const users = [];
for (let n = 0; n < PEOPLE; n++) {
  const { token } = await signIn();
  await ok("POST", "/api/projects", { name: `project of ${n}` }, token);
  users.push({ n, token });
}

beforeEach(() => database({ held: "" }));
afterEach(() => database({ held: "" }));

const list = ({ token }) => api("GET", "/api/projects", undefined, as(token));
const isOwn = async (answer, n) => {
  assert.equal(answer.status, 200);
  assert.deepEqual((await answer.json()).map(({ name }) => name), [`project of ${n}`]);
};

/** A beat of a machine. Its wallet tells which. */
const wallet = (n) => `0x${n.toString(16).padStart(40, "0")}`;
const beat = (n, timestamp) => api("POST", "/heartbeat", { walletAddress: wallet(n), timestamp, containers: [{ containerName: `app-${n}`, status: "running" }] });

/** A list whose client can hang up. */
function leaving({ token }) {
  const sent = request(`${url}/api/projects`, { headers: as(token), agent: false });
  const left = new Promise((resolve) => sent.once("error", resolve).once("response", resolve));
  sent.end();
  return { left, leave: () => sent.socket.resetAndDestroy() };
}

/**
 * Makes the calls while one like them is on its way, and also those of clients that then hang up. When all have sent a
 * statement with the text `about`, lets them go on. Returns the answers, and how many of those statements each trip had.
 */
async function behind(about, first, calls, { fault, leavers = [] } = {}) {
  const settings = { about, ...fault };
  await database({ held: about, about });
  const before = first();
  await until(async () => (await database({ about })).waiting === 1, "the first trip");
  await database(settings);
  const clients = leavers.map((make) => make());
  const answers = calls.map((make) => make());
  const trips = [];
  await until(async () => {
    trips.push(...(await database(settings)).trips);
    return trips.reduce((sum, size) => sum + size, 0) >= answers.length + clients.length;
  }, "all trips");
  clients.forEach(({ leave }) => leave());
  await Promise.all(clients.map(({ left }) => left));
  await database({ held: "", ...settings });
  const settled = await Promise.all(answers);
  await before;
  return { answers: settled, trips };
}

const lists = users.map((user) => () => list(user));
const listsBehind = (options) => behind("FROM projects", lists[0], lists, options);

test("each of twelve people gets their own list, by few trips", { skip }, async () => {
  const { answers, trips } = await listsBehind();
  for (const [n, answer] of answers.entries()) await isOwn(answer, n);
  assert.ok(trips.length < PEOPLE && Math.max(...trips) >= 3, JSON.stringify(trips));
});

test("who asks while nobody else does asks at once and alone", { skip }, async () => {
  for (const { n, token } of users.slice(0, 3)) await isOwn(await list({ token }), n);
  assert.deepEqual((await database()).trips, Array(6).fill(1));
});

test("one whose statement is refused takes no other with it", { skip }, async () => {
  const [{ user_id: poison }] = await sql("SELECT user_id FROM projects WHERE name = 'project of 5'");
  await database({ poison });
  const { answers, trips } = await listsBehind();
  assert.ok(trips.some((size) => size > 1), JSON.stringify(trips));
  for (const [n, answer] of answers.entries()) {
    if (n === 5) assert.equal(answer.status, 500);
    else await isOwn(answer, n);
  }
  await database({ poison: "" });
});

for (const fault of ["unheard", "late"]) {
  test(`an answer for several that is ${fault} keeps nobody waiting`, { skip }, async () => {
    const { answers } = await listsBehind({ fault: { fault, of: "reads" } });
    for (const [n, answer] of answers.entries()) {
      // A connection that is lost is lost for all who shared it.
      if (fault === "unheard" && answer.status === 503) continue;
      await isOwn(answer, n);
    }
    await isOwn(await lists[3](), 3);
  });
}

test("clients that hang up leave the others their answers", { skip }, async () => {
  for (let round = 0; round < 4; round++) {
    const { answers } = await listsBehind({ leavers: Array.from({ length: 40 }, (_, n) => () => leaving(users[n % PEOPLE])) });
    for (const [n, answer] of answers.entries()) await isOwn(answer, n);
  }
});

test("who asks with one statement and who with two are told apart", { skip }, async () => {
  for (const { n, token } of users) await ok("PUT", "/v1/guardrails", { input: { terms: [{ name: `of ${n}`, terms: [`word${n}`], action: "block" }] } }, token);
  const guardrails = ({ token }) => api("GET", "/v1/guardrails", undefined, as(token));
  const calls = users.map((user) => (user.n % 2 ? () => guardrails(user) : () => list(user)));
  const { answers, trips } = await behind("FROM sessions s", lists[0], calls);
  assert.ok(Math.max(...trips) >= 3, JSON.stringify(trips));
  for (const [n, answer] of answers.entries()) {
    if (n % 2) assert.equal((await answer.json()).input.terms[0].name, `of ${n}`);
    else await isOwn(answer, n);
  }
});

for (const fault of [undefined, "unheard", "late"]) {
  test(`beats of many machines go together, and each is taken once${fault ? `, also if the answer is ${fault}` : ""}`, { skip }, async () => {
    const machines = Array.from({ length: PEOPLE }, (_, n) => n + 1);
    const timestamp = new Date().toISOString();
    await sql("DELETE FROM worker_windows");
    const calls = machines.map((n) => () => beat(n, timestamp));
    const { answers, trips } = await behind("INSERT INTO worker_windows", () => beat(0, timestamp), calls, { fault: fault && { fault, of: "writes" } });
    for (const answer of answers) {
      // Of a batch whose answer was lost nobody knows; the machine beats again.
      if (fault === "unheard" && answer.status === 503) continue;
      assert.equal(answer.status, 200);
      const { stale, window } = await answer.json();
      assert.deepEqual([stale, window.startTime], [undefined, timestamp]);
    }
    assert.ok(Math.max(...trips) >= 3, JSON.stringify(trips));
    const windows = await sql("SELECT wallet, start_at AS start, end_at AS end, json_extract(containers, '$[0].containerName') AS app FROM worker_windows ORDER BY wallet");
    const at = Date.parse(timestamp);
    assert.deepEqual(windows.map((row) => ({ ...row })), [0, ...machines].map((n) => ({ wallet: wallet(n), start: at, end: at, app: `app-${n}` })));
  });
}
