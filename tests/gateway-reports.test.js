// Faults that users of other gateways have reported, tested against ours over the
// wire. Rules about bytes are tested natively in crates/dialects; budgets,
// guardrails and costs are in gateway-keys.test.js.

import assert from "node:assert/strict";
import test, { after } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startOpenAI } from "./fakes/openai.js";
import { startWorker } from "./support/harness.js";

const [claude, gpt] = [await startAnthropic(), await startOpenAI()];
after(() => Promise.all([claude.close(), gpt.close()]));
const model = { id: "m", context: 200000, max_output: 8000, input: 1, output: 10, cache_read: 0.1, capabilities: ["tools", "forced_tools"] };
const worker = await startWorker({
  CLAUDE_API_KEY: claude.key, CLAUDE_BASE_URL: claude.url,
  PROVIDERS: JSON.stringify([{ name: "gpt", base_url: `${gpt.url}/v1`, key: gpt.key, dialect: "openai", models: [model] }]),
});
const [CLAUDE, GPT] = ["claude-sonnet-5-5", "gpt/m"];
function noKey(url, init) {
  const headers = new Headers(init.headers);
  headers.delete("authorization");
  headers.delete("x-api-key");
  return fetch(url, { ...init, headers });
}
const openai = new OpenAI({ apiKey: "local", baseURL: `${worker.url}/v1`, maxRetries: 0, fetch: noKey });
const anthropic = new Anthropic({ apiKey: "local", baseURL: worker.url, maxRetries: 0, fetch: noKey });
const HI = [{ role: "user", content: "Hi" }];
const post = (path, body, headers = {}) => worker.api("POST", path, body, headers);
const lastCall = async (count) => {
  await until(async () => (await worker.sql("SELECT count(*) AS n FROM model_calls"))[0].n === count);
  return (await worker.sql("SELECT * FROM model_calls ORDER BY created_at DESC, rowid DESC LIMIT 1"))[0];
};
const calls = async () => (await worker.sql("SELECT count(*) AS n FROM model_calls"))[0].n;

test("B1: characters cut anywhere arrive whole, in every direction and out of the cache", async () => {
  const text = "那个🚀 für 👩‍👩‍👧 é";
  claude.setAnswer(text);
  gpt.setAnswer(text);
  for (const [name, fake] of [[CLAUDE, claude], [GPT, gpt]]) {
    const cut = () => fake.setFault({ chunkBytes: 1 });
    cut();
    const chat = await openai.chat.completions.stream({ model: name, messages: HI }).finalChatCompletion();
    assert.equal(chat.choices[0].message.content, text);
    cut();
    const message = await anthropic.messages.stream({ model: name, max_tokens: 100, messages: HI }).finalMessage();
    assert.equal(message.content.map((block) => block.text).join(""), text);
    cut();
    assert.equal((await openai.responses.stream({ model: name, input: "Hi" }).finalResponse()).output_text, text);
    const headers = { "x-gateway-cache": "60" };
    const before = await calls();
    cut();
    await (await post("/v1/chat/completions", { model: name, messages: HI, stream: true, seed: 1 }, headers)).text();
    await lastCall(before + 1);
    const again = await post("/v1/chat/completions", { model: name, messages: HI, stream: true, seed: 1 }, headers);
    assert.equal(again.headers.get("x-gateway-cache"), "hit");
    const told = (await again.text()).split("\n\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)).choices[0]?.delta.content ?? "").join("");
    assert.equal(told, text);
  }
});

test("B2, B4: parallel calls of Claude are counted from 0, and one without arguments has `{}`", async () => {
  claude.setAnswer([{ type: "text", text: "Both." }, { type: "tool_use", id: "toolu_01a", name: "a", input: {} }, { type: "tool_use", id: "toolu_01b", name: "b", input: { x: [1] } }]);
  const tools = ["a", "b"].map((name) => ({ type: "function", function: { name, parameters: { type: "object" } } }));
  const stream = await openai.chat.completions.create({ model: CLAUDE, messages: HI, tools, stream: true });
  const seen = [];
  for await (const chunk of stream) seen.push(...(chunk.choices[0]?.delta.tool_calls ?? []));
  const of = (index) => seen.filter((call) => call.index === index);
  assert.deepEqual([...new Set(seen.map(({ index }) => index))].sort(), [0, 1]);
  for (const [index, id, name, args] of [[0, "toolu_01a", "a", "{}"], [1, "toolu_01b", "b", '{"x":[1]}']]) {
    assert.deepEqual(of(index).map((call) => call.id).filter(Boolean), [id]);
    assert.deepEqual(of(index).map((call) => call.function?.name).filter(Boolean), [name]);
    assert.deepEqual(JSON.parse(of(index).map((call) => call.function?.arguments ?? "").join("")), JSON.parse(args));
  }
  const whole = await openai.chat.completions.create({ model: CLAUDE, messages: HI, tools });
  assert.deepEqual(whole.choices[0].message.tool_calls.map((call) => JSON.parse(call.function.arguments)), [{}, { x: [1] }]);
  gpt.setAnswer({ content: null, toolCalls: [{ id: "call_1", name: "a", args: "" }] });
  const message = await anthropic.messages.stream({ model: GPT, max_tokens: 10, messages: HI, tools: [{ name: "a", input_schema: { type: "object" } }] }).finalMessage();
  assert.deepEqual(message.content.map(({ input }) => input), [{}]);
});

test("B8: cached tokens are counted in by one family and apart by the other, and paid once", async () => {
  claude.setAnswer({ content: "x", usage: { input_tokens: 3, cache_creation_input_tokens: 1000, cache_creation: { ephemeral_5m_input_tokens: 1000, ephemeral_1h_input_tokens: 0 }, cache_read_input_tokens: 20000, output_tokens: 7 } });
  gpt.setAnswer({ content: "x", usage: { prompt_tokens: 21003, completion_tokens: 7, total_tokens: 21010, prompt_tokens_details: { cached_tokens: 20000 } } });
  for (const stream of [false, true]) {
    let before = await calls();
    const chat = stream
      ? await openai.chat.completions.stream({ model: CLAUDE, messages: HI, stream_options: { include_usage: true } }).finalChatCompletion()
      : await openai.chat.completions.create({ model: CLAUDE, messages: HI });
    const { usage } = chat;
    assert.deepEqual([usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens, usage.total_tokens], [21003, 20000, 7, 21010]);
    // 3 tokens at 2, 1,000 written to the cache at 2.5, 20,000 read at 0.1, 7 at 10 micro-dollars.
    assert.equal((await lastCall(before + 1)).cost_micro_usd, 6 + 2500 + 2000 + 70);
    before = await calls();
    const message = stream
      ? await anthropic.messages.stream({ model: GPT, max_tokens: 10, messages: HI }).finalMessage()
      : await anthropic.messages.create({ model: GPT, max_tokens: 10, messages: HI });
    assert.deepEqual([message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens], [1003, 20000, 7]);
    assert.equal((await lastCall(before + 1)).cost_micro_usd, 1003 + 2000 + 70);
  }
});

test("B9: an explicit zero is zero, and not a missing usage", async () => {
  gpt.setAnswer({ content: "", usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } });
  const before = await calls();
  await openai.chat.completions.create({ model: GPT, messages: HI });
  const call = await lastCall(before + 1);
  assert.deepEqual([call.input_tokens, call.output_tokens, call.cost_micro_usd, call.is_estimated], [0, 0, 0, 0]);
});

test("B17: comments, empty data and pings of an upstream are no chunks", async () => {
  claude.setAnswer("Well.");
  claude.setFault({ pings: 3 });
  const chat = await (await post("/v1/chat/completions", { model: CLAUDE, messages: HI, stream: true })).text();
  for (const event of chat.split("\n\n").filter(Boolean)) assert.match(event, /^data: (\{.*\}|\[DONE\])$/s);
  assert.ok(!/^id:/m.test(chat) && !chat.includes("ping"));
  claude.setFault({ pings: 3 });
  const own = await (await post("/v1/messages", { model: CLAUDE, max_tokens: 10, messages: HI, stream: true }, { "anthropic-version": "2023-06-01" })).text();
  const pings = own.split("\n\n").filter((event) => event.startsWith("event: ping"));
  assert.ok(pings.length >= 3 && pings.every((event) => event.endsWith('data: {"type": "ping"}') || event.endsWith('data: {"type":"ping"}')), pings.join());
  assert.ok(!/^id:/m.test(own));
});

test("B23: a model that is overloaded before the first word is replaced, and if all are, the status says so", async () => {
  gpt.setAnswer("From the other.");
  claude.setAnswer("From Claude.");
  const overloaded = () => claude.setFault({ errorEventAfter: 1, times: 9 });
  overloaded();
  const response = await post("/v1/messages", { model: CLAUDE, models: [GPT], max_tokens: 10, messages: HI, stream: true }, { "anthropic-version": "2023-06-01" });
  const text = await response.text();
  assert.deepEqual([response.status, response.headers.get("x-gateway-model")], [200, "gpt/m"], text);
  assert.equal(text.match(/event: message_start/g).length, 1);
  overloaded();
  for (const [path, headers, status] of [["/v1/messages", { "anthropic-version": "2023-06-01" }, 529], ["/v1/chat/completions", {}, 503]]) {
    const refused = await post(path, { model: CLAUDE, max_tokens: 10, messages: HI, stream: true }, headers);
    assert.equal(refused.status, status, await refused.text());
  }
  claude.setFault();
});
