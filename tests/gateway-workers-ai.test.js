// Workers AI through its binding: workerd's own class `Ai` before a strict fake of
// the service. Its REST API is tested in gateway-tools.test.js.

import assert from "node:assert/strict";
import test, { after } from "node:test";
import OpenAI from "openai";
import { startOpenAI } from "./fakes/openai.js";
import { startWorkersAI } from "./fakes/workers-ai.js";
import { startWorker } from "./support/harness.js";

const [ai, rest] = [await startWorkersAI(), await startOpenAI()];
after(() => Promise.all([ai.close(), rest.close()]));
const worker = await startWorker(
  { WORKERS_AI_TOKEN: rest.key, WORKERS_AI_ACCOUNT_ID: "ab".repeat(16), WORKERS_AI_BASE_URL: `${rest.url}/v1`, GATEWAY_FIRST_TOKEN_MS: "1000" },
  [], { ai: ai.url },
);
const { api } = worker;
const sdk = new OpenAI({ apiKey: "none", defaultHeaders: { Authorization: null }, baseURL: `${worker.url}/v1`, maxRetries: 0 });
const [OLDER, NEWER] = ["workers-ai/@cf/meta/llama-3.3-70b-instruct-fp8-fast", "workers-ai/@cf/openai/gpt-oss-120b"];
const HI = [{ role: "user", content: "Hi" }];
const TOOL = { type: "function", function: { name: "clock", parameters: { type: "object", properties: { zone: { type: "string" } } } } };

test("models of both forms answer through the binding, whole and streamed, and the REST API gets no request", async () => {
  ai.setAnswer("From the edge, in pieces.");
  for (const model of [OLDER, NEWER]) {
    const whole = await sdk.chat.completions.create({ model, messages: HI });
    assert.deepEqual([whole.choices[0].message.content, whole.choices[0].finish_reason, whole.usage.total_tokens], ["From the edge, in pieces.", "stop", 19]);
    assert.deepEqual(ai.calls.at(-1), { model: model.slice("workers-ai/".length), inputs: { messages: HI } });
    const streamed = await sdk.chat.completions.stream({ model, messages: HI, stream_options: { include_usage: true } }).finalChatCompletion();
    assert.deepEqual([streamed.choices[0].message.content, streamed.choices[0].finish_reason, streamed.usage.total_tokens], ["From the edge, in pieces.", "stop", 19]);
    assert.equal(ai.calls.at(-1).inputs.stream, true);
  }
  assert.equal(rest.requests.length, 0);
});

test("calls of tools come in OpenAI's form, and in Anthropic's to its clients", async () => {
  ai.setAnswer({ toolCalls: [{ name: "clock", args: { zone: "UTC" } }] });
  for (const model of [OLDER, NEWER]) {
    const whole = await sdk.chat.completions.create({ model, messages: HI, tools: [TOOL] });
    const streamed = await sdk.chat.completions.stream({ model, messages: HI, tools: [TOOL] }).finalChatCompletion();
    for (const { choices: [{ message, finish_reason }] } of [whole, streamed]) {
      assert.equal(finish_reason, "tool_calls");
      assert.deepEqual(message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]), [["clock", { zone: "UTC" }]]);
      assert.ok(message.tool_calls[0].id);
    }
    const tools = [{ name: "clock", input_schema: TOOL.function.parameters }];
    const response = await api("POST", "/v1/messages", { model, max_tokens: 50, messages: HI, tools }, { "anthropic-version": "2023-06-01" });
    const { content, stop_reason } = await response.json();
    assert.deepEqual([stop_reason, content.map(({ type, name, input }) => [type, name, input])], ["tool_use", [["tool_use", "clock", { zone: "UTC" }]]]);
  }
});

test("embeddings and moderations work through the binding", async () => {
  const { data } = await sdk.embeddings.create({ model: "workers-ai/@cf/baai/bge-m3", input: ["a", "b"], encoding_format: "float" });
  assert.deepEqual(data.map(({ index, embedding }) => [index, embedding]), [[0, [0, 0.5, -1]], [1, [1, 0.5, -1]]]);
  ai.setAnswer(({ messages }) => (messages[0].content.includes("bomb") ? "\n\nunsafe\nS9" : "\n\nsafe"));
  const { results } = await sdk.moderations.create({ model: "workers-ai/@cf/meta/llama-guard-3-8b", input: ["Hello", "A bomb"] });
  assert.deepEqual(results.map(({ flagged }) => flagged), [false, true]);
});

test("errors of the binding have their status, and a caller's key is refused", async () => {
  await assert.rejects(sdk.chat.completions.create({ model: "workers-ai/@cf/of/nobody", messages: HI }), (error) => error instanceof OpenAI.BadRequestError && /No such model/.test(error.message));
  ai.setFault({ status: 429, times: 9 });
  await assert.rejects(sdk.chat.completions.create({ model: NEWER, messages: HI }), OpenAI.RateLimitError);
  ai.setFault();
  const before = ai.calls.length;
  const refused = await api("POST", "/v1/chat/completions", { model: NEWER, messages: HI }, { "x-provider-key": "sk-own" });
  assert.equal(refused.status, 400);
  assert.match((await refused.json()).error.message, /takes no key/);
  assert.equal(ai.calls.length, before);
});

test("a stream that breaks off is an error, never a whole answer", async () => {
  ai.setAnswer("word ".repeat(20));
  ai.setFault({ cutAfterBytes: 300 });
  const text = await (await api("POST", "/v1/chat/completions", { model: OLDER, messages: HI, stream: true })).text();
  assert.ok(text.includes("word") && text.includes('"error"') && !text.includes("[DONE]"), text);
});
