// Which model builds an app: Claude by default, or any model of the catalogue
// that can use tools.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { PAGE, agents, builds, kinds, texts } from "./support/agents.js";
import { claudeVars } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startOpenAI } from "./fakes/openai.js";
import { problem, rowCounts, startWorker } from "./support/harness.js";

const [claude, gpt, local] = await Promise.all([startAnthropic(), startOpenAI({ functionsByResponses: true }), startOpenAI({ key: "local-key" })]);
after(() => Promise.all([claude.close(), gpt.close(), local.close()]));
const model = (id, more = {}) => ({ id, context: 40_000, max_output: 3_000, input: 1, output: 2, capabilities: ["tools"], ...more });
const openai = { OPENAI_API_KEY: gpt.key, OPENAI_BASE_URL: `${gpt.url}/v1` };
const PROVIDERS = JSON.stringify([{
  name: "local", base_url: `${local.url}/v1`, key: "local-key", dialect: "openai",
  models: [model("small"), model("toolless", { capabilities: [] }), model("unpriced", { input: undefined, output: undefined })],
}]);
const hatch = await startWorker({ ...claudeVars(claude), ...openai, PROVIDERS, DAILY_MESSAGE_LIMIT: "1000" });
const { api, sql } = hatch;
const { sendToEnd, show, code } = agents(hatch);

const called = (id, name, args) => ({ content: "I do.", toolCalls: [{ id, name, args: JSON.stringify(args) }] });
/** An OpenAI that writes a page, checks it and finishes: its thinking models are asked by Responses, as they call tools there alone. */
const author = ({ messages, input }) => [
  called("call_1", "write_file", { path: "index.html", content: PAGE }), called("call_2", "check", {}),
  called("call_3", "finish", { name: "Pomodoro Timer", commit_message: "feat: a timer", summary: "It counts." }),
][(messages ?? input).filter(({ role, type }) => role === "tool" || type === "function_call_output").length];

beforeEach(() => {
  for (const fake of [claude, gpt, local]) fake.reset();
  claude.setAnswer(builds());
  for (const fake of [gpt, local]) fake.setAnswer(author);
});

test("a message's model answers it and the app's next ones, and costs what it costs", async () => {
  const { appId, events } = await sendToEnd("A timer", { model: "openai/gpt-6.1-terra" });
  assert.equal(kinds(events).filter((kind) => kind === "ReviewResult").length, 1);
  assert.deepEqual(await code(appId), { "index.html": PAGE });
  assert.deepEqual([claude.requests.length, gpt.requests.length], [0, 3]);
  assert.ok(gpt.requests.every(({ body }) => body.model === "gpt-6.1-terra" && body.tools.length === 11));
  const [turn] = await sql("SELECT model, tokens, cost_micro_usd AS cost FROM app_turns WHERE app_id = ?", appId);
  assert.deepEqual(turn, { model: "openai/gpt-6.1-terra", tokens: 3 * 19, cost: 3 * Math.ceil(12 + 7 * 5) });
  assert.equal((await show(appId)).model, "openai/gpt-6.1-terra");
  await sendToEnd("Another colour", { applicationId: appId });
  assert.deepEqual([claude.requests.length, gpt.requests.length], [0, 6]);
  await sendToEnd("A third colour", { applicationId: appId, model: "claude-sonnet-5-5" });
  assert.deepEqual([claude.requests.length, gpt.requests.length], [3, 6]);
});

test("a model with a small context and short answers is asked for no more than it can give", async () => {
  await sendToEnd("A timer", { model: "local/small" });
  assert.equal(local.requests.length, 3);
  assert.ok(local.requests.every(({ body }) => (body.max_tokens ?? body.max_completion_tokens) <= 3_000));
});

test("a model that does not exist, cannot use tools or has no price is refused, and nothing changes", async () => {
  const before = await rowCounts(hatch);
  for (const [name, why] of [["nobody/x", /does not exist/], ["local/toolless", /cannot use tools/], ["local/unpriced", /no price/], ["", /./], ["x".repeat(201), /./]]) {
    const body = await problem(await api("POST", "/message", { message: "A timer", model: name }), 400, "validation_failed");
    assert.match(JSON.stringify(body), why, name);
  }
  assert.deepEqual(await rowCounts(hatch), before);
});

test("without Claude any model with tools answers, and the operator's model without a price only without a budget", async () => {
  const others = await startWorker({ ...openai, DAILY_MESSAGE_LIMIT: "1000" });
  const { appId } = await agents(others).sendToEnd("A timer");
  assert.equal(gpt.requests.length, 3);
  assert.match((await others.sql("SELECT model FROM app_turns WHERE app_id = ?", appId))[0].model, /^openai\/gpt-/);
  const unpriced = { PROVIDERS, AGENT_MODEL: "local/unpriced", AGENT_MAX_TOKENS: "30" };
  const { events } = await agents(await startWorker(unpriced)).sendToEnd("A timer");
  assert.match(texts(events).at(-1), /used up its 30 tokens/);
  const budgeted = await agents(await startWorker({ ...unpriced, DAILY_BUDGET_MICRO_USD: "1000000" })).sendToEnd("A timer");
  assert.match(texts(budgeted.events).at(-1), /The price of local\/unpriced is not known here, so no budget can pay for it; ask another model/);
  assert.equal(local.requests.length, 2);
});

test("the cost of an interrupted answer is booked, and the model is asked again", async () => {
  local.setFault({ omitFinish: true });
  const { appId, events } = await sendToEnd("A timer", { model: "local/small" });
  assert.ok(kinds(events).includes("ReviewResult"));
  assert.equal(local.requests.length, 4);
  const [{ tokens, steps }] = await sql("SELECT tokens, steps FROM app_turns WHERE app_id = ?", appId);
  assert.equal(steps, 3);
  assert.ok(tokens > 3 * 19 + 100, `with the broken one's prompt: ${tokens}`);
});

test("all users together spend no more than the Worker's daily budget", async () => {
  const poor = await startWorker({ ...openai, GATEWAY_DAILY_BUDGET_MICRO_USD: "1" });
  const { events } = await agents(poor).sendToEnd("A timer", { model: "gpt-6-astra" });
  assert.match(texts(events).at(-1), /budget of this service is spent/);
  assert.equal(gpt.requests.length, 0);
});
