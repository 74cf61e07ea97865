// The gateway, used by the vendors' own SDKs: with the sandbox model, and with an
// OpenAI-shaped and an Anthropic-shaped upstream behind it.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { startAnthropic } from "./fakes/anthropic.js";
import { startOpenAI } from "./fakes/openai.js";
import { startWorker } from "./support/harness.js";

const [claude, gpt, backup] = [await startAnthropic(), await startOpenAI(), await startOpenAI({ key: "backup-key" })];
after(() => Promise.all([claude.close(), gpt.close(), backup.close()]));
const model = (id, more = {}) => ({ id, context: 200000, max_output: 8000, input: 1, output: 2, capabilities: ["tools", "forced_tools", "structured_output", "images"], ...more });
const hatch = await startWorker({
  CLAUDE_API_KEY: claude.key, CLAUDE_BASE_URL: claude.url,
  OPENAI_API_KEY: gpt.key, OPENAI_BASE_URL: `${gpt.url}/v1`,
  GATEWAY_FIRST_TOKEN_MS: "2000", GATEWAY_IDLE_MS: "2000",
  PROVIDERS: JSON.stringify([{ name: "backup", base_url: `${backup.url}/v1`, key: "backup-key", dialect: "openai", models: [model("m"), model("small", { context: 50 }), model("unpriced", { input: undefined }), model("frail")] }]),
});
const sandbox = await startWorker();
const { api } = hatch;

const openai = (worker, more = {}) => new OpenAI({ apiKey: "local", baseURL: `${worker.url}/v1`, maxRetries: 0, fetch: noKey, ...more });
const anthropic = (worker, more = {}) => new Anthropic({ apiKey: "local", baseURL: worker.url, maxRetries: 0, fetch: noKey, ...more });
/** The local developer has no key, but the SDKs need one. */
function noKey(url, init) {
  const headers = new Headers(init.headers);
  headers.delete("authorization");
  headers.delete("x-api-key");
  return fetch(url, { ...init, headers });
}

const HI = [{ role: "user", content: "Hi" }];
const WEATHER = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

/** Checks the rules of OpenAI's helpers for chunks on the raw text of a stream. */
function lawful(text, { asked = false } = {}) {
  const data = text.split("\n\n").filter((event) => event.startsWith("data: ")).map((event) => event.slice(6));
  assert.equal(data.filter((line) => line === "[DONE]").length, 1, text);
  assert.equal(data.at(-1), "[DONE]");
  const chunks = data.slice(0, -1).map((line) => JSON.parse(line));
  const roles = chunks.filter((chunk) => chunk.choices[0]?.delta.role);
  assert.equal(roles.length, 1, text);
  assert.equal(chunks.filter((chunk) => chunk.choices[0]?.finish_reason).length, 1, text);
  assert.equal(new Set(chunks.map(({ id, model: name, created }) => `${id} ${name} ${created}`)).size, 1);
  const usages = chunks.filter((chunk) => chunk.usage);
  assert.equal(usages.length, asked ? 1 : 0, text);
  if (asked) assert.deepEqual([chunks.at(-1).choices, Boolean(chunks.at(-1).usage)], [[], true]);
  return chunks;
}

const raw = async (worker, body, headers = {}) => {
  const response = await fetch(`${worker.url}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
  return { status: response.status, headers: response.headers, text: await response.text() };
};

test("the first curl line works without any key: chat, messages, responses, models, embeddings, moderations", async () => {
  const client = openai(sandbox);
  const chat = await client.chat.completions.create({ model: "sandbox", messages: HI });
  assert.match(chat.choices[0].message.content, /You said: Hi$/);
  const message = await anthropic(sandbox).messages.create({ model: "sandbox", max_tokens: 100, messages: HI });
  assert.match(message.content[0].text, /You said: Hi$/);
  const response = await client.responses.create({ model: "sandbox", input: "Hi" });
  assert.match(response.output_text, /You said: Hi$/);
  const completion = await client.completions.create({ model: "sandbox", prompt: "Hi" });
  assert.match(completion.choices[0].text, /Hi$/);
  const list = await client.models.list();
  assert.deepEqual(list.data.map(({ id }) => id), ["sandbox/sandbox", "auto"]);
  assert.equal((await client.models.retrieve("sandbox/sandbox")).object, "model");
  assert.equal((await anthropic(sandbox).models.retrieve("sandbox/sandbox")).type, "model");
  const embeddings = await client.embeddings.create({ model: "sandbox", input: ["a", "b"], dimensions: 8 });
  assert.deepEqual(embeddings.data.map(({ embedding, index }) => [embedding.length, index]), [[8, 0], [8, 1]]);
  assert.equal((await client.moderations.create({ input: "Hi" })).results[0].flagged, false);
  assert.ok((await anthropic(sandbox).messages.countTokens({ model: "sandbox", messages: HI })).input_tokens > 0);
});

test("the sandbox model ends at a stop sequence", async () => {
  const messages = [{ role: "user", content: "one END two" }];
  const chat = await openai(sandbox).chat.completions.create({ model: "sandbox", messages, stop: "END" });
  assert.deepEqual([chat.choices[0].message.content, chat.choices[0].finish_reason], ["This is the sandbox model. You said: one ", "stop"]);
  const message = await anthropic(sandbox).messages.create({ model: "sandbox", max_tokens: 100, messages, stop_sequences: ["END"] });
  assert.deepEqual([message.stop_reason, message.stop_sequence], ["stop_sequence", "END"]);
});

test("the sandbox model that `auto` has chosen names itself, whole, in a stream and in a stored chat", async () => {
  const client = openai(sandbox);
  const names = [(await client.chat.completions.create({ model: "auto", messages: HI, store: true })).model];
  for await (const chunk of await client.chat.completions.create({ model: "auto", messages: HI, stream: true })) names.push(chunk.model);
  names.push((await anthropic(sandbox).messages.create({ model: "auto", max_tokens: 100, messages: HI })).model);
  names.push((await client.responses.create({ model: "auto", input: "Hi" })).model);
  names.push((await client.completions.create({ model: "auto", prompt: "Hi" })).model);
  names.push(...(await client.chat.completions.list()).data.map(({ model }) => model));
  assert.deepEqual([...new Set(names)], ["sandbox/sandbox"]);
  assert.equal((await client.chat.completions.create({ model: "sandbox", messages: HI })).model, "sandbox");
});

test("the sandbox model plays a tool loop in each dialect", async () => {
  let called = 0;
  const runner = openai(sandbox).chat.completions.runTools({
    model: "sandbox", messages: [{ role: "user", content: "Ask get_weather" }],
    tools: [{ type: "function", function: { name: "get_weather", parameters: WEATHER, parse: JSON.parse, function: ({ city }) => { called += 1; return `sunny in ${city}`; } } }],
  });
  assert.match(await runner.finalContent(), /sunny in sandbox/);
  assert.equal(called, 1);
  const asked = await anthropic(sandbox).messages.create({
    model: "sandbox", max_tokens: 100, messages: [{ role: "user", content: "Ask get_weather" }],
    tools: [{ name: "get_weather", input_schema: WEATHER }],
  });
  assert.deepEqual([asked.stop_reason, asked.content[0].input], ["tool_use", { city: "sandbox" }]);
});

for (const [who, name] of [["Anthropic", "claude-sonnet-5-5"], ["OpenAI", "gpt-6.1-terra"], ["a compatible one", "backup/m"]]) {
  test(`OpenAI's client streams, calls and counts with ${who} behind`, async () => {
    for (const fake of [claude, gpt, backup]) fake.setAnswer("Grüße 👋 from the model.");
    const client = openai(hatch);
    const stream = client.chat.completions.stream({ model: name, messages: HI, stream_options: { include_usage: true } });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].message.content, "Grüße 👋 from the model.");
    assert.ok(final.usage.total_tokens > 0);
    const whole = await client.chat.completions.create({ model: name, messages: HI });
    assert.equal(whole.choices[0].message.content, "Grüße 👋 from the model.");
    const { text } = await raw(hatch, { model: name, messages: HI, stream: true });
    lawful(text);
    lawful((await raw(hatch, { model: name, messages: HI, stream: true, stream_options: { include_usage: true } })).text, { asked: true });
    const response = await client.responses.stream({ model: name, input: "Hi" }).finalResponse();
    assert.equal(response.output_text, "Grüße 👋 from the model.");
  });

  test(`Anthropic's client streams with ${who} behind`, async () => {
    for (const fake of [claude, gpt, backup]) fake.setAnswer("Grüße 👋 from the model.");
    const stream = anthropic(hatch).messages.stream({ model: name, max_tokens: 100, messages: HI });
    const message = await stream.finalMessage();
    assert.equal(message.content.at(-1).text, "Grüße 👋 from the model.");
    assert.equal(message.stop_reason, "end_turn");
    assert.ok(message.usage.output_tokens > 0);
  });
}

test("tool calls of an OpenAI-shaped upstream reach Anthropic's client, and its results go back", async () => {
  gpt.setAnswer((body) => body.input.some(({ type }) => type === "function_call_output")
    ? "It is sunny."
    : { content: null, toolCalls: [{ id: "call_1", name: "get_weather", args: '{"city":"Köln"}' }, { id: "call_2", name: "get_weather", args: "{}" }] });
  const client = anthropic(hatch);
  const tools = [{ name: "get_weather", input_schema: WEATHER }];
  const first = await client.messages.stream({ model: "gpt-6.1-terra", max_tokens: 100, messages: HI, tools }).finalMessage();
  assert.deepEqual(first.content.map(({ id, input }) => [id, input]), [["call_1", { city: "Köln" }], ["call_2", {}]]);
  const results = first.content.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "sunny" }));
  const last = await client.messages.create({
    model: "gpt-6.1-terra", max_tokens: 100, tools,
    messages: [...HI, { role: "assistant", content: first.content }, { role: "user", content: results }],
  });
  assert.equal(last.content[0].text, "It is sunny.");
});

test("a request can refer to a stored answer by its id, and to its items by theirs", async () => {
  gpt.setAnswer("One.");
  const client = openai(hatch);
  const first = await client.responses.create({ model: "backup/m", input: "First" });
  backup.setAnswer("Two.");
  const second = await client.responses.create({ model: "backup/m", input: "Second", previous_response_id: first.id });
  assert.equal(second.output_text, "Two.");
  const sent = backup.requests.at(-1).body.messages.map(({ role, content }) => [role, typeof content === "string" ? content : content.map(({ text }) => text).join("")]);
  assert.deepEqual(sent.map(([role]) => role), ["user", "assistant", "user"]);
  assert.equal(sent[2][1], "Second");
  const byReference = await client.responses.create({ model: "backup/m", input: [{ type: "item_reference", id: first.output[0].id }, { role: "user", content: "Third" }] });
  assert.equal(byReference.output_text, "Two.");
  assert.equal((await client.responses.retrieve(second.id)).id, second.id);
  await client.responses.delete(second.id);
  await assert.rejects(client.responses.retrieve(second.id), OpenAI.NotFoundError);
  await assert.rejects(client.responses.create({ model: "backup/m", input: "x", previous_response_id: "resp_nobody" }), { status: 400, code: "previous_response_not_found", param: "previous_response_id" });
});

test("errors have the class that each SDK raises for them", async () => {
  const [client, other] = [openai(hatch), anthropic(hatch)];
  await assert.rejects(client.chat.completions.create({ model: "no-such-model", messages: HI }), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create({ model: "backup/m", messages: [] }), OpenAI.BadRequestError);
  await assert.rejects(other.messages.create({ model: "no-such-model", max_tokens: 1, messages: HI }), Anthropic.NotFoundError);
  await assert.rejects(client.get("/nothing/here"), OpenAI.NotFoundError);
  // Paths that clients of both vendors ask.
  await assert.rejects(client.models.retrieve("no/such-model"), ({ error }) => error.code === "model_not_found");
  await assert.rejects(other.models.retrieve("no/such-model"), ({ error }) => error.type === "error" && error.error.type === "not_found_error");
  await assert.rejects(other.get("/v1/nothing"), ({ error }) => error.error.type === "not_found_error");
  await assert.rejects(new OpenAI({ apiKey: "hk_live_wrong", baseURL: `${hatch.url}/v1`, maxRetries: 0 }).models.list(), OpenAI.AuthenticationError);
  gpt.setFault({ status: 400, code: "content_policy_violation", message: "Your request was rejected by the safety system." });
  await assert.rejects(client.chat.completions.create({ model: "gpt-6.1-terra", models: ["backup/m"], messages: HI }), OpenAI.BadRequestError);
  gpt.setFault({ status: 429, headers: { "retry-after": "30" } });
  const limited = await client.chat.completions.create({ model: "gpt-6.1-terra", messages: HI }).catch((error) => error);
  assert.ok(limited instanceof OpenAI.RateLimitError);
  assert.equal(limited.headers.get("retry-after"), "30");
  claude.setFault({ status: 529, times: 3 });
  await assert.rejects(other.messages.create({ model: "claude-opus-5-5", max_tokens: 1, messages: HI }), (error) => error.status === 529);
  const response = await api("POST", "/v1/messages", { model: "backup/m", max_tokens: 1, messages: HI }, {});
  assert.equal(response.status, 400);
  assert.match((await response.json()).error.message, /anthropic-version/);
});

test("if a provider refuses our own key, the client does not see its words", async () => {
  gpt.setFault({ status: 401, message: `Incorrect API key provided: ${gpt.key}`, times: 3 });
  const { status, text } = await raw(hatch, { model: "gpt-6.1-terra", messages: HI });
  assert.equal(status, 502);
  assert.ok(!text.includes(gpt.key.slice(0, 12)), text);
});

test("a model that does not answer is replaced by the next one, and the response says so", async () => {
  backup.setAnswer("From the backup.");
  const model = { model: "gpt-6.1-sol", models: ["backup/m"], messages: HI };
  for (const fault of [{ status: 503 }, { refuse: true }, { status: 429 }, { hang: true }, { garbage: true }]) {
    gpt.setFault({ ...fault, times: 2 });
    for (const stream of [false, true]) {
      if (fault.hang && !stream) continue;
      const { status, headers, text } = await raw(hatch, { ...model, stream });
      assert.equal(status, 200, `${JSON.stringify(fault)} ${text}`);
      assert.equal(headers.get("x-gateway-model"), "backup/m", JSON.stringify(fault));
      if (stream) lawful(text);
    }
    gpt.release();
    gpt.setFault();
  }
});

test("an error before the first word fails over or has a real status, a later one is in the stream, and B never continues A's answer", async () => {
  gpt.setAnswer("This is what A says to it.");
  backup.setAnswer("B answers.");
  const body = { model: "gpt-6-luna", models: ["backup/m"], messages: HI, stream: true };
  gpt.setFault({ errorAfter: 0, times: 2 });
  const early = await raw(hatch, body);
  assert.equal(early.headers.get("x-gateway-model"), "backup/m");
  assert.equal(lawful(early.text).map(({ choices }) => choices[0].delta.content ?? "").join(""), "B answers.");
  for (const fault of [{ errorAfter: 3 }, { omitFinish: true }, { cutAfterBytes: 900 }]) {
    gpt.setFault(fault);
    const late = await raw(hatch, body);
    assert.equal(late.status, 200);
    assert.ok(!late.text.includes("[DONE]") && !late.text.includes('"finish_reason":"stop"') && late.text.includes('"error"'), `${JSON.stringify(fault)} ${late.text}`);
    assert.ok(!late.text.includes("B answers"));
    gpt.setFault(fault);
    const message = anthropic(hatch).messages.stream({ model: "gpt-6-luna", max_tokens: 10, messages: HI }).finalMessage();
    await assert.rejects(message);
  }
  gpt.setFault({ omitDone: true });
  lawful((await raw(hatch, body)).text);
  // An answer without a word is whole too, though its last event lacks its blank line.
  const chunk = (delta, finish_reason) => `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason }] })}`;
  for (const headers of [{}, { "x-gateway-stream-mode": "buffered" }]) {
    gpt.setFault({ raw: [`${chunk({ role: "assistant" }, null)}\n\n`, chunk({}, "stop")] });
    const wordless = await raw(hatch, { ...body, models: undefined }, headers);
    assert.equal(wordless.status, 200, wordless.text);
    lawful(wordless.text);
    gpt.setFault({ raw: [`${chunk({ role: "assistant" }, null)}\n\n`], times: 9 });
    assert.equal((await raw(hatch, { ...body, models: undefined }, headers)).status, 502);
    gpt.setFault();
  }
  for (const fault of [{ repeatRole: true }, { usageOnLast: true }]) {
    gpt.setFault(fault);
    lawful((await raw(hatch, { ...body, stream_options: { include_usage: true } })).text, { asked: true });
  }
});

test("a buffered stream that breaks off is replaced by another model's answer", async () => {
  gpt.setAnswer("This is what A says to it.");
  backup.setAnswer("B answers.");
  gpt.setFault({ cutAfterBytes: 900, times: 3 });
  const { text, headers } = await raw(hatch, { model: "gpt-6-astra", models: ["backup/m"], messages: HI, stream: true }, { "x-gateway-stream-mode": "buffered" });
  assert.equal(headers.get("x-gateway-model"), "backup/m");
  assert.equal(lawful(text).map(({ choices }) => choices[0].delta.content ?? "").join(""), "B answers.");
});

test("an answer that is held back and ends early is one that breaks off: it is asked for again, and costs nothing", async () => {
  backup.setAnswer("word ".repeat(40));
  const begun = `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { role: "assistant", content: "word " }, finish_reason: null }] })}\n\n`;
  const seen = [];
  for (const fault of [{ cutAfterBytes: 600 }, { raw: [begun] }]) {
    backup.setFault({ ...fault, times: 99 });
    const before = backup.requests.length;
    const { status, text, headers } = await raw(hatch, { model: "backup/frail", messages: HI, stream: true }, { "x-gateway-stream-mode": "buffered" });
    seen.push([status, JSON.parse(text).error.code, headers.get("x-gateway-attempts"), backup.requests.length - before]);
  }
  backup.setFault();
  assert.deepEqual(seen[1], seen[0]);
  assert.ok(seen[0][0] === 502 && seen[0][3] > 1, JSON.stringify(seen));
  const calls = await hatch.sql("SELECT status, cost_micro_usd AS cost FROM model_calls ORDER BY created_at DESC LIMIT 2");
  assert.deepEqual(calls, [{ status: 502, cost: 0 }, { status: 502, cost: 0 }]);
});

test("a context that is too long goes to a model with a larger one, and nowhere else", async () => {
  backup.setFault({ status: 400, code: "context_length_exceeded", message: "This model's maximum context length is 50 tokens" });
  claude.setAnswer("It fits.");
  const { headers, text } = await raw(hatch, { model: "backup/small", models: ["claude-sonnet-5-5"], messages: HI });
  assert.equal(headers.get("x-gateway-model"), "anthropic/claude-sonnet-5-5", text);
  assert.equal(headers.get("x-gateway-attempts"), "2");
});

test("Anthropic's client gets Anthropic's stream byte for byte", async () => {
  claude.setAnswer("Byte for byte.");
  const response = await fetch(`${hatch.url}/v1/messages`, {
    method: "POST", headers: { "content-type": "application/json", "anthropic-version": "2023-06-01" },
    body: JSON.stringify({ model: "claude-sonnet-5-5", max_tokens: 100, messages: HI, stream: true }),
  });
  const text = await response.text();
  assert.equal(text, claude.requests.at(-1).bytes.toString());
  assert.equal(claude.requests.at(-1).headers["anthropic-version"], "2023-06-01");
});

test("usage is shown by day, model and key, with the tokens that the provider counted", async () => {
  const { data } = await (await api("GET", "/v1/usage?group_by=day,model")).json();
  const row = data.find((one) => one.model === "backup/m");
  assert.ok(row.requests > 0 && row.inputTokens > 0 && row.costMicroUsd > 0, JSON.stringify(row));
  assert.equal(row.keyId, null);
  const cut = data.find((one) => one.model === "openai/gpt-6-luna");
  assert.ok(cut.failed >= 3, JSON.stringify(cut));
  assert.equal((await api("GET", "/v1/usage?group_by=user")).status, 400);
});
