// Clients that hang up before their answer has come: the call goes on, is paid
// for what it has used, and is stored as if the client were still there.

import assert from "node:assert/strict";
import { request } from "node:http";
import test, { after, beforeEach } from "node:test";
import { until } from "./support/deployments.js";
import { startOpenAI } from "./fakes/openai.js";
import { startBrave } from "./fakes/search.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { startWorker } from "./support/harness.js";
import { as, people, production } from "./support/people.js";

const [stack, gpt, brave] = await Promise.all([startStackAuth(), startOpenAI(), startBrave()]);
after(() => Promise.all([stack, gpt, brave].map((fake) => fake.close())));
const worker = await startWorker({
  ...production(stack), BRAVE_BASE_URL: brave.url, BRAVE_API_KEY: brave.key,
  PROVIDERS: JSON.stringify([{ name: "gpt", base_url: `${gpt.url}/v1`, key: gpt.key, dialect: "openai",
    models: [{ id: "m", context: 200000, max_output: 100, input: 1, output: 10, capabilities: ["tools", "moderation"] }] }]),
});
const { api, sql, url } = worker;
const { signIn, newKey } = people(worker, stack);
const ada = await signIn();
const BUDGET = { budget: { microUsd: 1_000_000, per: "day" } };
const newBudget = () => newKey(ada.token, { scopes: ["gateway", "account"], gateway: BUDGET });

const messages = [{ role: "user", content: "Hi" }];
const HELLO = { content: "Hello.", usage: { prompt_tokens: 20, completion_tokens: 30, total_tokens: 50 } };
/** 20 tokens of 1 micro-dollar, and 30 of 10. */
const PRICE = 320;

beforeEach(() => gpt.reset());

/** Sends a request, and hangs up when the model has read it. Returns when the Worker must know that. */
async function leave(key, path, body, headers = {}) {
  gpt.setFault({ hang: true });
  const asked = gpt.nextRequest();
  const leaving = request(url + path, { method: "POST", headers: { ...as(key), "content-type": "application/json", ...headers } });
  leaving.end(JSON.stringify({ model: "gpt/m", ...body }));
  const ended = new Promise((resolve) => leaving.once("error", ({ code }) => resolve(code)).once("response", ({ statusCode }) => resolve(statusCode)));
  assert.equal(typeof await Promise.race([asked, ended]), "object");
  // workerd notices a reset at once, but the end of a connection only when it writes.
  leaving.socket.resetAndDestroy();
  assert.equal(await ended, "ECONNRESET");
  // Requests that come later are answered first.
  for (let n = 0; n < 5; n++) assert.equal((await fetch(`${url}/health`)).status, 200);
  return asked;
}

/** The calls of a key, when there are so many, what its budget has paid, and how many reservations are left. */
async function paid({ id }, count = 1) {
  const calls = () => sql("SELECT status, model, cost_micro_usd AS cost, is_estimated FROM model_calls WHERE key_id = ? ORDER BY created_at, id", id);
  await until(async () => (await calls()).length >= count, `${count} calls`);
  const [{ used }] = await sql("SELECT used FROM model_budgets WHERE subject = ?", `key:${id}`);
  const [{ reserved }] = await sql("SELECT count(*) AS reserved FROM model_reservations");
  return { calls: (await calls()).map(({ status, model, cost, is_estimated }) => [status, model, cost, is_estimated]), used, reserved };
}

const ROUTES = [
  ["/v1/chat/completions", { messages }, PRICE],
  ["/v1/responses", { input: "Hi" }, PRICE],
  ["/v1/completions", { prompt: "Hi" }, PRICE],
  ["/v1/messages", { messages, max_tokens: 100 }, PRICE, { "anthropic-version": "2023-06-01" }],
  ["/v1/chat/completions", { messages, stream: true }, PRICE],
  ["/v1/embeddings", { input: ["a", "b"] }, 2],
];

for (const [path, body, price, headers] of ROUTES) {
  test(`a client that hangs up on ${path}${body.stream ? " before its stream begins" : ""} pays for what the model has used`, async () => {
    const key = await newBudget();
    gpt.setAnswer(HELLO);
    const asked = await leave(key.key, path, body, headers);
    gpt.release();
    const { calls, used, reserved } = await paid(key);
    assert.deepEqual([calls, used, reserved], [[[200, "gpt/m", price, 0]], price, 0]);
    assert.equal(await asked.ended, "complete");
  });
}

test("a client that hangs up on several prompts pays for all", async () => {
  const key = await newBudget();
  gpt.setAnswer(HELLO);
  await leave(key.key, "/v1/completions", { prompt: ["a", "b", "c", "d", "e", "f"] });
  gpt.release();
  const { calls, used, reserved } = await paid(key, 6);
  assert.deepEqual([calls, used, reserved], [Array(6).fill([200, "gpt/m", PRICE, 0]), 6 * PRICE, 0]);
});

test("a client that hangs up on a moderation pays for it", async () => {
  const key = await newBudget();
  await leave(key.key, "/v1/moderations", { input: "Hello" });
  gpt.release();
  const { calls, used, reserved } = await paid(key);
  // OpenAI reports no usage of moderations.
  assert.deepEqual([calls, used, reserved], [[[200, "gpt/m", calls[0][2], 1]], calls[0][2], 0]);
  assert.ok(used > 0);
});

test("a client that hangs up pays nothing if no answer came", async () => {
  const key = await newBudget();
  gpt.setAnswer(HELLO);
  const asked = await leave(key.key, "/v1/chat/completions", { messages: [...messages, ...Array(20).fill({ role: "user", content: "A longer prompt" })] });
  const [{ used: held }] = await sql("SELECT used FROM model_budgets WHERE subject = ?", `key:${key.id}`);
  assert.ok(held > 1000, String(held));
  asked.fault.cutAfterBytes = 0;
  gpt.setFault({ status: 400, times: 9 });
  gpt.release();
  const { calls, used, reserved } = await paid(key);
  assert.deepEqual([calls.length, calls[0][2], used, reserved], [1, 0, 0, 0]);
  assert.ok(calls[0][0] >= 400);
});

test("the answer for a client that has hung up is stored and cached", async () => {
  const key = await newBudget();
  gpt.setAnswer({ ...HELLO, content: "For later." });
  const body = { messages, store: true, metadata: { of: "leaving" } };
  await leave(key.key, "/v1/chat/completions", body);
  gpt.release();
  await paid(key);
  const { data } = await (await api("GET", "/v1/chat/completions?metadata[of]=leaving", undefined, as(key.key))).json();
  assert.deepEqual(data.map(({ choices }) => choices[0].message.content), ["For later."]);

  await leave(key.key, "/v1/responses", { input: "Keep it" });
  gpt.release();
  await paid(key, 2);
  const kept = await sql("SELECT body FROM model_responses WHERE body LIKE '%For later.%'");
  assert.equal(kept.length, 1);

  const cached = [{ ...body, store: undefined, metadata: undefined, temperature: 0 }, { "x-gateway-cache": "60" }];
  await leave(key.key, "/v1/chat/completions", ...cached);
  gpt.release();
  await paid(key, 3);
  const before = gpt.requests.length;
  const again = await api("POST", "/v1/chat/completions", { model: "gpt/m", ...cached[0] }, { ...as(key.key), ...cached[1] });
  assert.deepEqual([again.status, again.headers.get("x-gateway-cache"), gpt.requests.length], [200, "hit", before]);
});

test("the steps and tools of a chat go on for a client that has hung up, and the whole of it is stored", async () => {
  const key = await newBudget();
  brave.setResults([{ title: "Acme", url: "https://acme.example/", snippet: "Books rooms" }]);
  gpt.setAnswer(({ messages }) => (messages.some(({ role }) => role === "tool")
    ? { ...HELLO, content: "It books rooms." }
    : { ...HELLO, content: null, toolCalls: [{ id: "call_1", name: "web_search", args: '{"query":"Acme"}' }] }));
  await leave(key.key, "/v1/chat/completions", { messages, enabled_tools: ["web_search"], store: true, metadata: { of: "steps" } });
  gpt.release();
  const { calls, used, reserved } = await paid(key, 2);
  assert.deepEqual([calls, used, reserved], [Array(2).fill([200, "gpt/m", PRICE, 0]), 2 * PRICE, 0]);
  const stored = async () => (await (await api("GET", "/v1/chat/completions?metadata[of]=steps", undefined, as(key.key))).json()).data;
  await until(async () => (await stored()).length === 1);
  assert.equal((await stored())[0].choices[0].message.content, "It books rooms.");
});

test("a call that counts as lost, and ends all the same, is paid exactly", async () => {
  const key = await newBudget();
  gpt.setAnswer(HELLO);
  await leave(key.key, "/v1/chat/completions", { messages: [{ role: "user", content: "A prompt. ".repeat(100) }] });
  await sql("UPDATE model_reservations SET until = 1");
  await worker.worker.scheduled({ cron: "* * * * *" });
  const lost = await paid(key);
  const [[, , cost]] = lost.calls;
  assert.ok(cost > 200, String(cost));
  assert.deepEqual(lost, { calls: [[499, "gpt/m", cost, 1]], used: cost, reserved: 0 });
  gpt.release();
  await until(async () => (await paid(key)).calls[0][0] === 200);
  assert.deepEqual(await paid(key), { calls: [[200, "gpt/m", PRICE, 0]], used: PRICE, reserved: 0 });
});

test("a call that no budget limits counts as lost if the platform has ended it, and is paid exactly if it ends all the same", async () => {
  const key = await newKey(ada.token, { scopes: ["gateway"] });
  const calls = () => sql("SELECT status, cost_micro_usd AS cost, is_estimated FROM model_calls WHERE key_id = ? AND model = 'gpt/m' ORDER BY created_at", key.id);
  const noted = async () => (await sql("SELECT count(*) AS n FROM model_reservations"))[0].n;
  gpt.setAnswer(HELLO);
  await leave(key.key, "/v1/chat/completions", { messages: [{ role: "user", content: "A prompt. ".repeat(100) }] });
  await leave(key.key, "/v1/embeddings", { input: ["a", "b"] });
  await leave(key.key, "/v1/responses", { input: "Hi" });
  assert.deepEqual([await calls(), await noted()], [[], 0]);
  // Where it runs, the platform ends them some seconds later.
  await until(async () => (await noted()) === 3, "their notes");
  await sql("UPDATE model_reservations SET until = 1 WHERE subject_id IN (SELECT subject_id FROM model_reservations ORDER BY call ->> 'at' LIMIT 2)");
  await worker.worker.scheduled({ cron: "* * * * *" });
  const lost = await calls();
  const [{ cost }] = lost;
  assert.ok(cost > 200 && cost < 400, String(cost));
  assert.deepEqual(lost, [{ status: 499, cost, is_estimated: 1 }, { status: 499, cost: lost[1].cost, is_estimated: 1 }]);
  gpt.release();
  await until(async () => (await calls()).length === 3 && (await calls()).every(({ status }) => status === 200));
  assert.deepEqual((await calls()).map(({ cost, is_estimated }) => [cost, is_estimated]), [[PRICE, 0], [2, 0], [PRICE, 0]]);
  assert.equal(await noted(), 0);
});
