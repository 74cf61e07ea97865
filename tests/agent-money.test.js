// Which budgets pay for an agent's answers: that of the API key that began the
// turn, that of its user's day, and that of the whole Worker. A reservation for
// an answer that never ends is released.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { PAGE, agents, call, finish, kinds, scripted, texts, readEvents } from "./support/agents.js";
import { claudeVars } from "./support/conversation.js";
import { until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startOpenAI } from "./fakes/openai.js";
import { startWorker } from "./support/harness.js";
import { as, people } from "./support/people.js";

const [claude, gpt] = await Promise.all([startAnthropic(), startOpenAI()]);
after(() => Promise.all([claude.close(), gpt.close()]));
const BUDGET = 60_000;
const hatch = await startWorker({
  ...claudeVars(claude), OPENAI_API_KEY: gpt.key, OPENAI_BASE_URL: `${gpt.url}/v1`, DAILY_MESSAGE_LIMIT: "1000",
  DAILY_BUDGET_MICRO_USD: String(BUDGET), GATEWAY_DAILY_BUDGET_MICRO_USD: "1000000000",
});
const { api, sql, env, worker } = hatch;
const { signIn, newKey } = people(hatch);
const usage = { input_tokens: 1_000, output_tokens: 500, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
const COST = 7_000;
const SCOPES = ["projects:read", "projects:write", "chat", "deploy", "gateway", "account"];
const write = () => ({ content: [call("write_file", { path: "index.html", content: PAGE })], usage });
const done = () => ({ content: [finish()], usage });

beforeEach(() => {
  claude.reset();
  gpt.reset();
  claude.setAnswer(scripted(write(), done()));
});

/** A user with an API key that has these limits, and what their budgets have spent. */
async function userWith(gateway) {
  const session = await signIn();
  const { key, id } = await newKey(session.token, { scopes: SCOPES, gateway });
  const [{ used: before } = { used: 0 }] = await ofWorker();
  const used = async () => {
    const [day] = await sql("SELECT used FROM daily_counters WHERE user_id = ? AND name = 'budget-day'", session.userId);
    const [ofKey] = await sql("SELECT used FROM model_budgets WHERE subject = ?", `key:${id}`);
    const [all] = await ofWorker();
    return { day: day?.used ?? 0, key: ofKey?.used ?? 0, all: (all?.used ?? 0) - before };
  };
  return { ...agents(hatch, as(key)), headers: as(key), keyId: id, session, used };
}
const ofWorker = () => sql("SELECT used FROM model_budgets WHERE subject = 'all'");
const reservations = async () => (await sql("SELECT count(*) AS n FROM model_reservations"))[0].n;

/** Sends a message whose answer hangs, and returns when the model has been asked. */
async function hanging({ send }, words) {
  claude.setFault({ hang: true });
  const request = claude.nextRequest();
  const response = await send(words);
  assert.equal(response.status, 200);
  await request;
  const [turn] = await sql("SELECT id, app_id AS appId, job_id AS jobId FROM app_turns WHERE message = ?", words);
  return { response, ...turn };
}

test("a turn is paid from the budgets of its API key, of its user's day and of the Worker", async () => {
  const ada = await userWith({ budget: { microUsd: 100_000, per: "month" } });
  const { events } = await ada.sendToEnd("A timer");
  assert.ok(kinds(events).includes("ReviewResult"), texts(events).join("\n"));
  assert.deepEqual(await ada.used(), { day: 2 * COST, key: 2 * COST, all: 2 * COST });
  assert.equal(await reservations(), 0);
});

test("a key that has spent its budget builds nothing more, but its user's other keys do", async () => {
  const ada = await userWith({ budget: { microUsd: 5_000, per: "day" } });
  const refused = await ada.sendToEnd("A timer");
  assert.match(texts(refused.events).at(-1), /This API key has spent its budget/);
  assert.equal(claude.requests.length, 0);
  assert.deepEqual(await ada.used(), { day: 0, key: 0, all: 0 });
  const other = await newKey(ada.session.token, { scopes: SCOPES });
  const { events } = await agents(hatch, as(other.key)).sendToEnd("A timer by another key");
  assert.ok(kinds(events).includes("ReviewResult"), texts(events).join("\n"));
  assert.deepEqual(await ada.used(), { day: 2 * COST, key: 0, all: 2 * COST });
});

test("a key that must not use Claude builds with a model that it may use", async () => {
  const ada = await userWith({ models: ["openai/*"] });
  const args = (value) => JSON.stringify(value);
  gpt.setAnswer(({ input }) => [
    { content: "", toolCalls: [{ id: "call_1", name: "write_file", args: args({ path: "index.html", content: PAGE }) }] },
    { content: "", toolCalls: [{ id: "call_2", name: "finish", args: args({ name: "Timer", commit_message: "feat: a timer", summary: "It counts." }) }] },
  ][input.filter(({ type }) => type === "function_call_output").length]);
  const { events } = await ada.sendToEnd("A timer without Claude");
  assert.ok(kinds(events).includes("ReviewResult"), texts(events).join("\n"));
  assert.equal(claude.requests.length, 0);
});

test("the reservation of a consumer that died is released by the next one, which can spend the money", async () => {
  const ada = await userWith({ budget: { microUsd: BUDGET, per: "day" } });
  claude.setAnswer(scripted(write(), write(), done()));
  const { response, jobId } = await hanging(ada, "A timer whose consumer dies");
  const held = await ada.used();
  assert.ok(held.day > BUDGET / 2, `no second answer fits beside it: ${JSON.stringify(held)}`);
  await sql("UPDATE jobs SET lease_owner = NULL, lease_until = 0 WHERE id = ?", jobId);
  await env.JOBS.send(JSON.stringify({ v: 1, jobId }));
  const events = await readEvents(response);
  assert.ok(kinds(events).includes("ReviewResult"), texts(events).join("\n"));
  assert.deepEqual(await ada.used(), { day: 2 * COST, key: 2 * COST, all: 2 * COST });
  assert.equal(await reservations(), 0);
});

test("the sweep releases the reservation of a turn that was stopped or whose app was deleted", async () => {
  const ada = await userWith({ budget: { microUsd: BUDGET, per: "month" } });
  const stopped = await hanging(ada, "A timer to stop");
  assert.equal((await api("POST", `/apps/${stopped.appId}/stop`, undefined, ada.headers)).status, 200);
  await worker.scheduled({ cron: "* * * * *" });
  await until(async () => (await reservations()) === 0);
  assert.deepEqual(await ada.used(), { day: 0, key: 0, all: 0 });
  claude.reset();
  const deleted = await hanging(ada, "A timer to delete");
  assert.equal((await api("DELETE", `/apps/${deleted.appId}`, undefined, ada.headers)).status, 200);
  await worker.scheduled({ cron: "* * * * *" });
  await until(async () => (await reservations()) === 0);
  assert.deepEqual(await ada.used(), { day: 0, key: 0, all: 0 });
});

test("a turn that is stopped in the middle of an answer pays for what has arrived", async () => {
  const ada = await userWith({ budget: { microUsd: BUDGET, per: "month" } });
  claude.setFault({ stallAfterBytes: 1_000 });
  const words = "A timer to stop midway";
  assert.equal((await ada.send(words)).status, 200);
  const turn = async () => (await sql("SELECT app_id AS appId, cost_micro_usd AS cost FROM app_turns WHERE message = ?", words))[0];
  await until(async () => (await turn()).cost > 0);
  assert.equal((await api("POST", `/apps/${(await turn()).appId}/stop`, undefined, ada.headers)).status, 200);
  await worker.scheduled({ cron: "* * * * *" });
  await until(async () => (await reservations()) === 0);
  const { cost } = await turn();
  assert.deepEqual(await ada.used(), { day: cost, key: cost, all: cost });
});

test("the sweep keeps the reservation of an answer that is running", async () => {
  const ada = await userWith({ budget: { microUsd: BUDGET, per: "day" } });
  const { response } = await hanging(ada, "A timer that takes its time");
  const held = await ada.used();
  await worker.scheduled({ cron: "* * * * *" });
  assert.deepEqual(await ada.used(), held);
  claude.release();
  await readEvents(response);
  assert.deepEqual(await ada.used(), { day: 2 * COST, key: 2 * COST, all: 2 * COST });
});

test("deleting an account releases its reservations from the Worker's budget", async () => {
  const ada = await userWith();
  await hanging(ada, "A timer of a user who leaves");
  assert.ok((await ada.used()).all > 0);
  assert.ok((await api("DELETE", `/auth/me?confirm=${ada.session.userId}`, undefined, as(ada.session.token))).ok);
  assert.equal((await ada.used()).all, 0);
  assert.equal(await reservations(), 0);
});
