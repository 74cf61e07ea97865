// Requests that ask D1 at the same time share a round trip (src/store/batching.rs).
// Each gets what is its own, and what happens to one of them happens to no other.

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
const worker = await startWorker({ ...production(stack), DAILY_CHAT_LIMIT: "1000" }, [], { before: "tests/unsteady.js" });
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
const names = async () => (await sql("SELECT name FROM projects")).map(({ name }) => name).sort();

beforeEach(() => database({ fault: "none", hold: "0" }));
afterEach(async () => {
  await database({ hold: "0" });
  await sql("DELETE FROM projects WHERE name NOT LIKE 'project of %'");
  await sql("DROP TRIGGER IF EXISTS refuse");
});

/**
 * Makes these calls while somebody's trip is on its way, so that they gather behind it; `when` they have left, the
 * database goes on. Returns what each got, and the trips.
 */
async function behind(calls, when = () => {}) {
  await database({ hold: "1" });
  const first = api("GET", "/api/projects", undefined, as(users[0].token));
  let trips = [];
  await until(async () => (trips = trips.concat((await database()).trips)).length > 0, "the first trip");
  const before = trips.length;
  const answers = calls.map((make) => make());
  await until(async () => (trips = trips.concat((await database()).trips)).length > before, "a trip behind it");
  await when();
  await database({ hold: "0" });
  const [, ...settled] = await Promise.all([first, ...answers]);
  return { answers: settled, trips: trips.concat((await database()).trips) };
}

const list = ({ token }) => () => api("GET", "/api/projects", undefined, as(token));
const create = ({ token }, name) => () => api("POST", "/api/projects", { name }, as(token));

test("each of twelve people gets their own list, by few trips", { skip }, async () => {
  const { answers, trips } = await behind(users.map(list));
  for (const [n, answer] of answers.entries()) {
    assert.equal(answer.status, 200);
    assert.deepEqual((await answer.json()).map(({ name }) => name), [`project of ${n}`]);
  }
  // Alone each makes two: for the session, and for the list.
  assert.ok(trips.length <= PEOPLE && Math.max(...trips) >= 4, JSON.stringify(trips));
});

test("who asks while nobody else does asks at once and alone", { skip }, async () => {
  await database();
  for (const user of users.slice(0, 3)) assert.equal((await list(user)()).status, 200);
  assert.deepEqual((await database()).trips, Array(6).fill(1));
});

test("what one reads was written before, and what several write is there once", { skip }, async () => {
  const { answers } = await behind(users.flatMap((user) => [create(user, `new of ${user.n}`), list(user)]));
  assert.deepEqual(answers.map(({ status }) => status), users.flatMap(() => [201, 200]));
  assert.deepEqual(await names(), users.flatMap(({ n }) => [`new of ${n}`, `project of ${n}`]).sort());
});

test("one whose statement is refused takes no other with it", { skip }, async () => {
  await sql("CREATE TRIGGER refuse BEFORE INSERT ON projects WHEN NEW.name = 'poison' BEGIN SELECT RAISE(ABORT, 'injected fault'); END");
  const { answers, trips } = await behind(users.map((user) => create(user, user.n === 5 ? "poison" : `new of ${user.n}`)));
  assert.deepEqual(answers.map(({ status }) => status), users.map(({ n }) => (n === 5 ? 500 : 201)));
  assert.deepEqual(await names(), users.flatMap(({ n }) => [...(n === 5 ? [] : [`new of ${n}`]), `project of ${n}`]).sort());
  assert.ok(trips.some((size) => size > 1), JSON.stringify(trips));
});

test("who hears nothing of a batch asks again", { skip }, async () => {
  for (const fault of ["gone", "late"]) {
    await database({ fault, of: "FROM projects" });
    const { answers } = await behind(users.map(list));
    for (const [n, answer] of answers.entries()) {
      assert.deepEqual((await answer.json()).map(({ name }) => name), [`project of ${n}`], fault);
    }
  }
});

test("an answer that was lost is lost for those who shared it, and for no other", { skip }, async () => {
  await database({ fault: "unheard", of: "FROM projects" });
  const { answers, trips } = await behind(users.map(list));
  const lost = answers.filter(({ status }) => status === 503).length;
  assert.ok(lost >= 1 && answers.every(({ status }) => [200, 503].includes(status)), JSON.stringify([trips, answers.map(({ status }) => status)]));
  assert.equal((await list(users[0])()).status, 200);
});

test("what is large goes alone once that is known", { skip }, async () => {
  const large = { "index.html": `<!doctype html>${"x".repeat(100_000)}` };
  const { id } = await ok("POST", "/api/projects", { name: "large", code: large }, users[0].token);
  const show = () => api("GET", `/api/projects/${id}`, undefined, as(users[0].token));
  assert.equal((await show()).status, 200);
  const { answers, trips } = await behind(Array(8).fill(show));
  assert.deepEqual(answers.map(({ status }) => status), Array(8).fill(200));
  assert.ok(trips.filter((size) => size === 1).length >= 8, JSON.stringify(trips));
});

/** A call whose client can hang up. */
function leaving(method, path, { token }) {
  const sent = request(`${url}${path}`, { method, headers: as(token) });
  const answer = new Promise((resolve) => sent.once("error", ({ code }) => resolve(code)).once("response", ({ statusCode }) => resolve(statusCode)));
  sent.end();
  return { answer, leave: () => sent.socket.resetAndDestroy() };
}

test("clients that hang up leave the others their answers, and no place taken behind them", { skip }, async () => {
  // More than may wait at once (MOST_WAITING of src/store/mod.rs).
  for (let round = 0; round < 8; round++) {
    const clients = Array.from({ length: 40 }, (_, n) => leaving("GET", "/api/projects", users[n % PEOPLE]));
    const { answers } = await behind(users.map(list), () => clients.forEach(({ leave }) => leave()));
    for (const [n, answer] of answers.entries()) {
      assert.deepEqual((await answer.json()).map(({ name }) => name), [`project of ${n}`]);
    }
    await Promise.all(clients.map(({ answer }) => answer));
  }
  for (const user of users) assert.equal((await list(user)()).status, 200);
  for (const { message } of worker.harness.getLogs()) if (message.includes("DBG")) console.log(message.slice(0, 200));
});
