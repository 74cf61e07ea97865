// Requests that ask D1 at the same time share a round trip (src/store/shared.rs). Each gets what is its own, and
// what happens to one of them happens to no other.

import assert from "node:assert/strict";
import { request } from "node:http";
import test, { after, afterEach, beforeEach } from "node:test";
import { until } from "./deployments.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { startWorker } from "./harness.js";
import { as, people, production } from "./people.js";

const skip = process.env.DATABASE === "turso" && "Turso has no shared trips";
const stack = await startStackAuth();
after(() => stack.close());
const worker = await startWorker({ ...production(stack), HEARTBEAT_AUTH: "open" }, [], { before: "tests/unsteady.js" });
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
 * Lets these people list while the first one's list is on its way, and so many others whose clients then hang up. When
 * all lists are on their way, lets them go on. Returns the answers, and how many statements each trip had.
 */
async function behind(people, { fault = {}, leavers = 0 } = {}) {
  await database({ held: "FROM projects" });
  const first = list(users[0]);
  await until(async () => (await database()).waiting === 1, "the first list");
  await database(fault);
  const clients = Array.from({ length: leavers }, (_, n) => leaving(users[n % PEOPLE]));
  const answers = people.map(list);
  const trips = [];
  const onTheirWay = () => trips.reduce((sum, size) => sum + size, 0);
  await until(async () => {
    trips.push(...(await database(fault)).trips);
    // Each also makes a trip of one statement for its session.
    return onTheirWay() >= 2 * (people.length + leavers);
  }, "all lists");
  clients.forEach(({ leave }) => leave());
  await Promise.all(clients.map(({ left }) => left));
  await database({ held: "", ...fault });
  const settled = await Promise.all(answers);
  await first;
  return { answers: settled, trips };
}

test("each of twelve people gets their own list, by few trips", { skip }, async () => {
  const { answers, trips } = await behind(users);
  for (const [n, answer] of answers.entries()) await isOwn(answer, n);
  // For their sessions they made twelve, and for their lists fewer.
  assert.ok(trips.length < 2 * PEOPLE && Math.max(...trips) >= 3, JSON.stringify(trips));
});

test("who asks while nobody else does asks at once and alone", { skip }, async () => {
  for (const { n, token } of users.slice(0, 3)) await isOwn(await list({ token }), n);
  assert.deepEqual((await database()).trips, Array(6).fill(1));
});

test("one whose statement is refused takes no other with it", { skip }, async () => {
  const [{ user_id: poison }] = await sql("SELECT user_id FROM projects WHERE name = 'project of 5'");
  await database({ poison });
  const { answers, trips } = await behind(users);
  assert.ok(trips.some((size) => size > 1), JSON.stringify(trips));
  for (const [n, answer] of answers.entries()) {
    if (n === 5) assert.equal(answer.status, 500);
    else await isOwn(answer, n);
  }
  await database({ poison: "" });
});

for (const fault of ["unheard", "late"]) {
  test(`who hears nothing of what was asked for several asks alone: ${fault}`, { skip }, async () => {
    const { answers } = await behind(users, { fault: { fault, of: "reads" } });
    for (const [n, answer] of answers.entries()) await isOwn(answer, n);
  });
}

test("clients that hang up leave the others their answers", { skip }, async () => {
  for (let round = 0; round < 4; round++) {
    const { answers } = await behind(users, { leavers: 40 });
    for (const [n, answer] of answers.entries()) await isOwn(answer, n);
  }
});

for (const fault of [undefined, "unheard", "late"]) {
  test(`beats of many machines go together, and each is taken once${fault ? `, also if the answer is ${fault}` : ""}`, { skip }, async () => {
    const machines = Array.from({ length: PEOPLE }, (_, n) => n + 1);
    const timestamp = new Date().toISOString();
    await sql("DELETE FROM worker_windows");
    await database({ held: "worker_windows" });
    const first = beat(0, timestamp);
    await until(async () => (await database()).waiting === 1, "the first beat");
    await database({ ...(fault && { fault }), of: "writes" });
    const answers = machines.map((n) => beat(n, timestamp));
    const trips = [];
    await until(async () => {
      trips.push(...(await database({ ...(fault && { fault }), of: "writes" })).trips);
      return trips.reduce((sum, size) => sum + size, 0) >= machines.length;
    }, "all beats");
    await database({ held: "", ...(fault && { fault }), of: "writes" });
    for (const { status } of await Promise.all([first, ...answers])) assert.equal(status, 200);
    assert.ok(Math.max(...trips) >= 3, JSON.stringify(trips));
    const windows = await sql("SELECT wallet, start_at AS start, end_at AS end, json_extract(containers, '$[0].containerName') AS app FROM worker_windows ORDER BY wallet");
    const at = Date.parse(timestamp);
    assert.deepEqual(windows.map((row) => ({ ...row })), [0, ...machines].map((n) => ({ wallet: wallet(n), start: at, end: at, app: `app-${n}` })));
  });
}
