// Legacy completions of several prompts: asked some at once, answered in their order, and paid for one by one, also if
// one of them fails.

import assert from "node:assert/strict";
import test, { after, beforeEach } from "node:test";
import { until } from "./support/deployments.js";
import { startOpenAI } from "./fakes/openai.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { startWorker } from "./support/harness.js";
import { as, people, production } from "./support/people.js";

const [stack, gpt] = [await startStackAuth(), await startOpenAI()];
after(() => Promise.all([stack.close(), gpt.close()]));
const worker = await startWorker({
  ...production(stack),
  PROVIDERS: JSON.stringify([{ name: "gpt", base_url: `${gpt.url}/v1`, key: gpt.key, dialect: "openai", models: [{ id: "m", context: 200000, max_output: 100, input: 1, output: 10 }] }]),
});
const { api, sql } = worker;
const { signIn, newKey } = people(worker, stack);
const ada = await signIn();
const newBudget = (more) => newKey(ada.token, { scopes: ["gateway"], gateway: { budget: { microUsd: 1_000_000, per: "day" }, ...more } });

const HELLO = { content: "Hello.", usage: { prompt_tokens: 20, completion_tokens: 30, total_tokens: 50 } };
/** 20 tokens of 1 micro-dollar, and 30 of 10. */
const PRICE = 320;
const promptOf = ({ body }) => body.messages[0].content;
const complete = ({ key }, prompt, headers = {}) => api("POST", "/v1/completions", { model: "gpt/m", prompt }, { ...as(key), ...headers });
const textsOf = async (response) => (await response.json()).choices.map(({ text }) => text);

/** The calls of a key, when there are so many, what its budget has paid, and how many reservations are left. */
async function paid({ id }, count) {
  const calls = () => sql("SELECT status, cost_micro_usd AS cost FROM model_calls WHERE key_id = ? AND cache = 'miss' ORDER BY created_at, id", id);
  await until(async () => (await calls()).length >= count, `${count} calls`);
  const [{ used }] = await sql("SELECT used FROM model_budgets WHERE subject = ?", `key:${id}`);
  const [{ reserved }] = await sql("SELECT count(*) AS reserved FROM model_reservations");
  return { calls: (await calls()).map(({ status, cost }) => [status, cost]), used, reserved };
}

beforeEach(() => {
  gpt.reset();
  gpt.setAnswer(({ messages }) => ({ ...HELLO, content: `Of ${messages[0].content}.` }));
});

test("four prompts are asked at once, and all are answered in their order", async () => {
  const key = await newBudget();
  gpt.setFault({ hang: true, times: 4 });
  const answer = complete(key, ["one", "two", "three", "four", "five", "six"]);
  await until(() => gpt.openRequests === 4);
  for (let n = 0; n < 5; n++) await api("GET", "/health");
  assert.deepEqual(gpt.requests.map(promptOf).sort(), ["four", "one", "three", "two"]);
  gpt.release();
  assert.deepEqual(await textsOf(await answer), ["Of one.", "Of two.", "Of three.", "Of four.", "Of five.", "Of six."]);
  assert.deepEqual(await paid(key, 6), { calls: Array(6).fill([200, PRICE]), used: 6 * PRICE, reserved: 0 });
});

test("if a prompt is refused, no more are asked, and those under way are recorded and paid", async () => {
  const terms = [{ name: "names", terms: ["forbidden"], action: "block" }];
  const key = await newBudget({ guardrails: { input: { terms } } });
  gpt.setFault({ hang: true, times: 9 });
  const answer = complete(key, ["one", "two", "three", "forbidden", "five"]);
  await until(() => gpt.openRequests === 3);
  gpt.release();
  const refused = await answer;
  assert.deepEqual([refused.status, (await refused.json()).error.code], [400, "content_policy_violation"]);
  assert.deepEqual(await paid(key, 3), { calls: Array(3).fill([200, PRICE]), used: 3 * PRICE, reserved: 0 });
  assert.deepEqual(gpt.requests.map(promptOf).sort(), ["one", "three", "two"]);
});

test("what was answered before a prompt failed is paid once, and cached for the next time", async () => {
  const key = await newBudget();
  gpt.setAnswer(() => {
    gpt.setFault({ status: 400 });
    return HELLO;
  });
  const [prompts, cached] = [["one", "two", "three", "one"], { "x-gateway-cache": "60" }];
  assert.equal((await complete(key, prompts, cached)).status, 400);
  assert.deepEqual(await paid(key, 2), { calls: [[200, PRICE], [400, 0]], used: PRICE, reserved: 0 });
  gpt.setAnswer({ ...HELLO, content: "Again." });
  assert.deepEqual(await textsOf(await complete(key, prompts, cached)), ["Hello.", "Again.", "Again.", "Hello."]);
  assert.deepEqual(await paid(key, 4), { calls: [[200, PRICE], [400, 0], [200, PRICE], [200, PRICE]], used: 3 * PRICE, reserved: 0 });
});

test("a request that is beyond its key's minute asks no model", async () => {
  const key = await newBudget({ rpm: 1 });
  assert.equal((await complete(key, ["one", "two"])).status, 200);
  assert.equal((await complete(key, ["three", "four"])).status, 429);
  assert.equal(gpt.requests.length, 2);
});
