// What a client of one vendor takes for granted although the other vendor's API has it otherwise: a user's e-mail
// address, forced tools that think, the words of errors, what an answer has besides text. In production, with keys.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test, { after } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { eventsOf } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startOpenAI } from "./fakes/openai.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { startWorker } from "./support/harness.js";
import { ADMIN_TOKEN, as, people, production } from "./support/people.js";

const [stack, claude, gpt] = [await startStackAuth(), await startAnthropic(), await startOpenAI({ functionsByResponses: true })];
after(() => Promise.all([stack.close(), claude.close(), gpt.close()]));
const worker = await startWorker({
  ...production(stack), SEALING_KEY: "0f".repeat(32), CLAUDE_API_KEY: claude.key, CLAUDE_BASE_URL: claude.url, OPENAI_API_KEY: gpt.key, OPENAI_BASE_URL: `${gpt.url}/v1`,
});
const { api, sql } = worker;
const { signIn, newKey } = people(worker, stack);
const ada = await signIn();
const keyOf = async (who) => (await newKey(who.token, { scopes: ["gateway"] })).key;
const key = await keyOf(ada);

const HI = [{ role: "user", content: "Hi" }];
const SCHEMA = { type: "object", properties: { a: { type: "string" } }, required: ["a"], additionalProperties: false };
const TOOLS = [{ type: "function", function: { name: "f", parameters: SCHEMA } }];
const VERSION = { "anthropic-version": "2023-06-01" };
const chat = (body, headers = {}) => api("POST", "/v1/chat/completions", { model: "anthropic/claude-haiku-4-5", messages: HI, ...body }, { ...as(key), ...headers });
const message = (body, headers = {}) => api("POST", "/v1/messages", { model: "openai/gpt-6-luna", max_tokens: 100, messages: HI, ...body }, { ...as(key), ...VERSION, ...headers });
const good = async (response) => {
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
};

test("OpenAI's `user` may be an e-mail address with Claude behind", async () => {
  await good(await chat({ user: "bob@example.com" }));
  assert.match(claude.requests.at(-1).body.metadata.user_id, /^user_[0-9a-f]{16}$/);
  await good(await chat({ user: "user-1234" }));
  assert.equal(claude.requests.at(-1).body.metadata.user_id, "user-1234");
});

test("a forced tool with reasoning, and a blank stop sequence, reach Claude without what it refuses", async () => {
  for (const model of ["anthropic/claude-haiku-4-5", "anthropic/claude-sonnet-5"]) {
    const forced = await chat({ model, reasoning_effort: "low", tool_choice: "required", tools: TOOLS });
    assert.match(forced.headers.get("x-gateway-warnings"), /reasoning: left out/);
    await good(forced);
    assert.equal(claude.requests.at(-1).body.thinking, undefined);
  }
  const free = await chat({ reasoning_effort: "low", tools: TOOLS, max_tokens: 2000 });
  await good(free);
  assert.equal(claude.requests.at(-1).body.thinking.type, "enabled");
  claude.setAnswer("One.\nTwo.");
  const stopped = await chat({ stop: ["\n", "END"] });
  assert.match(stopped.headers.get("x-gateway-warnings"), /stop: blank/);
  const { choices: [{ message: said, finish_reason: finish }] } = await good(stopped);
  assert.deepEqual([said.content, finish], ["One.", "stop"]);
  assert.deepEqual(claude.requests.at(-1).body.stop_sequences, ["END"]);
});

test("a thinking model of OpenAI gets no stop sequence: OpenAI's client is refused by name, and the text ends there for a lenient one", async () => {
  gpt.setAnswer("Hello END and more.");
  const body = { model: "openai/gpt-6.1-terra", stop: ["none", "END"], temperature: 0.2 };
  for (const more of [{}, { store: true }, { stream: true }, { tools: TOOLS, store: true }]) {
    const left = await chat({ ...body, ...more, ...(more.tools && { temperature: 1 }) }, { "x-gateway-lenient": "true" });
    assert.match(left.headers.get("x-gateway-warnings"), /stop: this model does not accept it, so the gateway cuts the text there, and you also pay/);
    const text = await left.text();
    const choices = more.stream ? eventsOf(text).map(({ data }) => data.choices?.[0]).filter(Boolean) : JSON.parse(text).choices;
    const said = choices.map(({ message, delta = message }) => delta.content ?? "").join("");
    assert.deepEqual([said, choices.at(-1).finish_reason], ["Hello ", "stop"], JSON.stringify(more));
    const { body: sent } = gpt.requests.at(-1);
    assert.deepEqual([sent.model, sent.stop], ["gpt-6.1-terra", undefined]);
    if (!more.tools) assert.equal(sent.temperature, undefined);
  }
  const refused = await chat({ ...body, temperature: 1 });
  assert.match((await refused.json()).error.message, /stop/);
  assert.equal(refused.status, 400);
  await good(await message({ model: "openai/gpt-4.1", stop_sequences: ["END"] }));
  assert.equal(gpt.requests.at(-1).body.stop, "END");
  // `auto` chooses a model that takes what the request has.
  const models = ["anthropic/claude-sonnet-5-5", "anthropic/claude-opus-5", "anthropic/claude-haiku-4-5", "openai/gpt-6.1-terra"];
  const { key: few } = await newKey(ada.token, { scopes: ["gateway"], gateway: { models } });
  for (const more of [{ stop: "END" }, { temperature: 0.2 }, { stop: "END", temperature: 0.2, presence_penalty: 0.5 }]) {
    const chosen = await chat({ model: "auto", ...more }, { ...as(few), "x-gateway-route": "quality" });
    assert.equal(chosen.status, 200, `${JSON.stringify(more)} ${await chosen.text()}`);
  }
});

test("an answer of OpenAI's thinking models ends for Anthropic's client at its stop sequence, which is named, with tools and without", async () => {
  const anthropic = new Anthropic({ baseURL: worker.url, apiKey: key, maxRetries: 0 });
  const tools = [{ name: "f", input_schema: SCHEMA }];
  for (const more of [{}, { tools }]) {
    const ask = { model: "openai/gpt-6.1-terra", max_tokens: 100, messages: HI, stop_sequences: ["STOP", "\n\nHuman:"], ...more };
    gpt.setAnswer("Hello.\n\nHuman: and more STOP.");
    const whole = await anthropic.messages.create(ask);
    const stream = anthropic.messages.stream(ask);
    const streamed = await stream.finalMessage();
    const buffered = await anthropic.messages.stream(ask, { headers: { "x-gateway-stream-mode": "buffered" } }).finalMessage();
    for (const { content, stop_reason, stop_sequence, usage } of [whole, streamed, buffered]) {
      assert.deepEqual([content.map(({ text }) => text), stop_reason, stop_sequence], [["Hello."], "stop_sequence", "\n\nHuman:"]);
      assert.ok(usage.output_tokens > 0);
    }
    gpt.setAnswer("Hello.\n\nHum");
    const { content, stop_reason, stop_sequence } = await anthropic.messages.stream(ask).finalMessage();
    assert.deepEqual([content.map(({ text }) => text), stop_reason, stop_sequence], [["Hello.\n\nHum"], "end_turn", null]);
    assert.equal(gpt.requests.at(-1).path, more.tools ? "/v1/responses" : "/v1/chat/completions");
  }
  // The cache has what the client has seen.
  gpt.setAnswer("Hello. STOP and more.");
  for (const [stream, cache] of [[true, "miss"], [false, "hit"]]) {
    const answer = await message({ model: "openai/gpt-6.1-terra", stop_sequences: ["STOP"], stream }, { "x-gateway-cache": "60" });
    const text = await answer.text();
    assert.equal(answer.headers.get("x-gateway-cache"), cache);
    assert.ok(text.includes("Hello") && !text.includes("and more") && text.includes('"stop_sequence":"STOP"'), text);
  }
});

test("a model that `auto` chooses, or that is asked in place of another, is asked to call tools in its own way", async () => {
  const limited = async (...models) => as((await newKey(ada.token, { scopes: ["gateway"], gateway: { models } })).key);
  gpt.setAnswer({ toolCalls: [{ id: "call_1", name: "f", args: "{}" }] });
  const openais = await limited("openai/gpt-6.1-terra");
  for (const stream of [false, true]) {
    const called = await chat({ model: "auto", tools: TOOLS, stream }, openais);
    assert.deepEqual([called.status, gpt.requests.at(-1).path], [200, "/v1/responses"]);
    assert.match(await called.text(), /"name":"f"/);
  }
  for (const status of [400, 529]) {
    claude.setFault({ status, times: 9, path: "/v1/messages", ...(status === 400 && { message: "prompt is too long: 210000 tokens > 200000 maximum" }) });
    const instead = await chat({ tools: TOOLS, models: ["openai/gpt-6.1-terra"] });
    assert.deepEqual([instead.status, gpt.requests.at(-1).path], [200, "/v1/responses"], await instead.text());
    claude.setFault();
  }
  // Some models of Anthropic cannot be made to call a tool.
  const claudes = await limited("anthropic/claude-sonnet-5-5", "anthropic/claude-opus-5", "anthropic/claude-haiku-4-5");
  const forced = { model: "auto", tool_choice: { type: "any" }, tools: [{ name: "f", input_schema: SCHEMA }] };
  for (const response of [await message(forced, claudes), await chat({ model: "auto", tool_choice: "required", tools: TOOLS }, claudes)]) {
    await good(response);
    assert.equal(claude.requests.at(-1).body.model, "claude-haiku-4-5");
  }
  gpt.setAnswer("Hello.");
});

test("a model asked in place of another is not asked for a longer answer than it can write", async () => {
  const instead = { "x-gateway-models": "anthropic/claude-haiku-4-5,openai/gpt-4.1" };
  claude.setFault({ status: 529, path: "/v1/messages" });
  const own = { model: "claude-sonnet-5-5", max_tokens: 128_000 };
  const shorter = await message(own, instead);
  assert.match(shorter.headers.get("x-gateway-warnings"), /max_tokens: 128000 is more than the model's 64000/);
  await good(shorter);
  assert.deepEqual([claude.requests.at(-1).body.model, claude.requests.at(-1).body.max_tokens], ["claude-haiku-4-5", 64_000]);
  // `auto` has chosen the model, too, but a model that is named says itself what it cannot do.
  const only = as((await newKey(ada.token, { scopes: ["gateway"], gateway: { models: ["anthropic/claude-haiku-4-5"] } })).key);
  await good(await message({ ...own, model: "auto" }, only));
  assert.equal(claude.requests.at(-1).body.max_tokens, 64_000);
  const named = await message({ ...own, model: "claude-haiku-4-5" });
  assert.match((await named.json()).error.message, /max_tokens: 128000 > 64000/);
  // One by an older name beside it, which is shorter, stays so.
  gpt.setFault({ status: 503, times: 2 });
  await good(await api("POST", "/v1/chat/completions", { model: "openai/gpt-6-luna", models: ["openai/gpt-4.1"], messages: HI, max_completion_tokens: 128_000, max_tokens: 50 }, as(key)));
  assert.deepEqual([gpt.requests.at(-1).body.max_completion_tokens, gpt.requests.at(-1).body.max_tokens], [32_768, 50]);
  for (const [path, member, more] of [["chat/completions", "max_completion_tokens", { messages: HI }], ["chat/completions", "max_tokens", { messages: HI }], ["responses", "max_output_tokens", { input: "Hi" }]]) {
    gpt.setFault({ status: 503, times: 2 });
    const answer = await api("POST", `/v1/${path}`, { model: "openai/gpt-6-luna", models: ["openai/gpt-4.1"], [member]: 128_000, ...more }, as(key));
    await good(answer);
    const { body: sent } = gpt.requests.at(-1);
    assert.deepEqual([sent.model, sent[member], sent.max_tokens ?? sent[member]], ["gpt-4.1", 32_768, 32_768], member);
  }
});

test("a model of Anthropic asked in place of another gets what it takes of a request that is written for that one", async () => {
  const only = as((await newKey(ada.token, { scopes: ["gateway"], gateway: { models: ["anthropic/claude-haiku-4-5"] } })).key);
  const late = [...HI, { role: "system", content: "Be brief." }];
  for (const more of [{ thinking: { type: "adaptive" } }, { output_config: { effort: "low" } }, { messages: late }, { messages: late, thinking: { type: "adaptive" }, output_config: { effort: "high" }, stream: true }]) {
    const body = { model: "claude-sonnet-5-5", max_tokens: 4000, ...more };
    claude.setFault({ status: 529, path: "/v1/messages" });
    for (const response of [await message(body, { "x-gateway-models": "anthropic/claude-haiku-4-5" }), await message({ ...body, model: "auto" }, only)]) {
      const text = await response.text();
      assert.deepEqual([response.status, response.headers.get("x-gateway-model")], [200, "anthropic/claude-haiku-4-5"], text);
      const { body: sent } = claude.requests.at(-1);
      assert.ok(sent.messages.every(({ role }) => role !== "system") && sent.thinking?.type !== "adaptive" && !sent.output_config, JSON.stringify(sent));
      assert.equal(JSON.stringify(sent).includes("Be brief."), Boolean(more.messages));
    }
  }
});

test("a model of Anthropic asked in place of another thinks within its own longest answer, and not where it refuses to", async () => {
  const only = as((await newKey(ada.token, { scopes: ["gateway"], gateway: { models: ["anthropic/claude-haiku-4-5"] } })).key);
  const long = await message({ model: "auto", max_tokens: 128_000, thinking: { type: "enabled", budget_tokens: 100_000 }, stream: true }, only);
  assert.deepEqual([long.status, await long.text().then((text) => text.includes("message_stop"))], [200, true]);
  assert.deepEqual(claude.requests.at(-1).body.thinking, { type: "enabled", budget_tokens: 63_999 });
  // Models that think as they like take these, and one that thinks within a budget does not.
  const tools = [{ name: "f", input_schema: SCHEMA }];
  const use = { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "f", input: { a: "x" } }] };
  const result = { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "y" }] };
  for (const more of [{ messages: [...HI, use, result], tools }, { tools, tool_choice: { type: "any" } }]) {
    for (const model of ["auto", "claude-sonnet-5-5"]) {
      const response = await message({ model, max_tokens: 4000, thinking: { type: "adaptive" }, ...more }, { ...only, "x-gateway-models": "anthropic/claude-haiku-4-5" });
      await good(response);
      assert.deepEqual([claude.requests.at(-1).body.model, claude.requests.at(-1).body.thinking], ["claude-haiku-4-5", undefined]);
      assert.match(response.headers.get("x-gateway-warnings"), /reasoning: left out/);
    }
  }
});

test("pictures and documents whose base64 is in lines reach the other family", async () => {
  const data = randomBytes(500).toString("base64").replace(/.{76}/g, "$&\r\n");
  const [whole, url] = [data.replaceAll("\r\n", ""), `data:image/png;base64,${data}`];
  await good(await chat({ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }, { type: "file", file: { filename: "a.pdf", file_data: data } }] }] }));
  assert.deepEqual(claude.requests.at(-1).body.messages[0].content.map(({ source }) => source.data), [whole, whole]);
  await good(await message({ messages: [{ role: "user", content: [{ type: "image", source: { type: "base64", media_type: "image/png", data } }] }] }));
  assert.equal(gpt.requests.at(-1).body.messages[0].content[0].image_url.url, `data:image/png;base64,${whole}`);
});

test("`auto` is a model of the list, and shown by its name, in each vendor's form", async () => {
  const { data } = await good(await api("GET", "/v1/models", undefined, as(key)));
  assert.deepEqual(data.at(-1), await good(await api("GET", "/v1/models/auto", undefined, as(key))));
  assert.deepEqual([data.at(-1).id, data.at(-1).object, data.at(-1).owned_by], ["auto", "model", "hatch"]);
  const client = new Anthropic({ authToken: key, apiKey: null, baseURL: worker.url, maxRetries: 0 });
  const listed = [];
  for await (const model of client.models.list()) listed.push(model);
  const auto = await client.models.retrieve("auto");
  assert.deepEqual([listed.at(-1), auto.id, auto.type, auto.display_name, auto.lifecycle], [auto, "auto", "model", "Auto", "active"]);
  const { key: none } = await newKey(ada.token, { scopes: ["gateway"], gateway: { models: ["nobody/*"] } });
  assert.deepEqual((await good(await api("GET", "/v1/models", undefined, as(none)))).data, []);
  assert.equal((await api("GET", "/v1/models/auto", undefined, as(none))).status, 404);
});

test("a chat with reasoning goes on after a tool although its client has no thoughts to send back", async () => {
  const call = { role: "assistant", tool_calls: [{ id: "c1", type: "function", function: { name: "f", arguments: '{"a":"x"}' } }] };
  const messages = [...HI, call, { role: "tool", tool_call_id: "c1", content: "Sunny." }];
  const reasoning = { reasoning_effort: "low", tools: TOOLS, max_tokens: 2000 };
  for (const [more, warned, thinking] of [
    [{ messages }, true, undefined], [{ messages: [...messages, ...HI] }, true, undefined],
    [{ messages: [...HI, { role: "assistant", content: "It is" }] }, true, undefined],
    [{ messages: [...messages, { role: "assistant", content: "It is sunny." }, ...HI] }, false, "enabled"],
    [{ messages, model: "anthropic/claude-sonnet-5-5" }, false, "adaptive"],
  ]) {
    const response = await chat({ ...reasoning, ...more });
    await good(response);
    assert.equal(/reasoning: left out/.test(response.headers.get("x-gateway-warnings")), warned);
    assert.equal(claude.requests.at(-1).body.thinking?.type, thinking);
  }
});

test("Claude Opus 5 and Sonnet 5 think adaptively, and a temperature is refused by its name", async () => {
  for (const model of ["anthropic/claude-opus-5", "anthropic/claude-sonnet-5"]) {
    await good(await chat({ model, reasoning_effort: "low" }));
    const { thinking, output_config: output } = claude.requests.at(-1).body;
    assert.deepEqual([thinking.type, output.effort], ["adaptive", "low"]);
    const refused = await chat({ model, temperature: 0.2 });
    assert.deepEqual([refused.status, (await refused.json()).error.param], [400, "temperature"]);
  }
});

test("a conversation that begins with the assistant's greeting reaches Claude, which wants a user's message first", async () => {
  const greeting = { role: "assistant", content: "Welcome!" };
  const response = await chat({ messages: [{ role: "system", content: "Be brief." }, greeting, ...HI] });
  assert.match(response.headers.get("x-gateway-warnings"), /messages: a user's message was put before/);
  await good(response);
  assert.deepEqual(claude.requests.at(-1).body.messages.map(({ role, content }) => [role, content[0].text]), [["user", "."], ["assistant", "Welcome!"], ["user", "Hi"]]);
  const own = await message({ model: "claude-haiku-4-5", messages: [greeting, ...HI] });
  assert.deepEqual([own.status, (await own.json()).error.message], [400, 'messages: first message must use the "user" role']);
});

test("of a temperature and top_p Claude gets what it takes, and a client is told what was left out", async () => {
  for (const [more, { temperature, top_p: topP }, warned] of [
    [{ temperature: 0.2, top_p: 0.9 }, { temperature: 0.2 }, /top_p: left out/], [{ temperature: 0.2, top_p: 1 }, { temperature: 0.2 }, /^null$/],
    [{ temperature: 1, top_p: 0.9 }, { top_p: 0.9 }, /^null$/], [{ top_p: 0.9 }, { top_p: 0.9 }, /^null$/], [{ temperature: 0.2 }, { temperature: 0.2 }, /^null$/],
    [{ top_p: 0.9, reasoning_effort: "low", max_tokens: 2000 }, {}, /top_p: left out/], [{ top_p: 0.97, reasoning_effort: "low", max_tokens: 2000 }, { top_p: 0.97 }, /^null$/],
    [{ temperature: 0.2, top_p: 0.9, reasoning_effort: "low", max_tokens: 2000 }, {}, /temperature: left out.*top_p: left out/],
  ]) {
    const response = await chat(more);
    await good(response);
    const { body } = claude.requests.at(-1);
    assert.deepEqual([body.temperature, body.top_p], [temperature, topP], JSON.stringify(more));
    assert.match(String(response.headers.get("x-gateway-warnings")), warned);
  }
});

test("Anthropic's client calls functions of OpenAI's models, which take them by Responses alone, and gives their thoughts back", async () => {
  const thinks = "Let me look.";
  gpt.setAnswer((body) => (/function_call_output/.test(JSON.stringify(body.input)) ? { thinks, content: "It is here." } : { thinks, toolCalls: ["call_1", "call_2"].map((id) => ({ id, name: "f", args: '{"a":"x"}' })) }));
  const client = new Anthropic({ authToken: key, apiKey: null, baseURL: worker.url, maxRetries: 0 });
  const tools = [{ name: "f", input_schema: SCHEMA }];
  for (const more of [{}, { thinking: { type: "adaptive", display: "summarized" }, output_config: { effort: "low" } }, { thinking: { type: "disabled" } }]) {
    for (const ask of [(body) => client.messages.create(body), (body) => client.messages.stream(body).finalMessage()]) {
      const body = { model: "openai/gpt-6.1-terra", max_tokens: 2000, tools, ...more };
      const first = await ask({ ...body, messages: HI });
      assert.equal(first.stop_reason, "tool_use");
      const calls = first.content.filter(({ type }) => type === "tool_use");
      assert.deepEqual(calls.map(({ id, input }) => [id, input]), [["call_1", { a: "x" }], ["call_2", { a: "x" }]]);
      const results = { role: "user", content: calls.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "Left." })) };
      const last = await ask({ ...body, messages: [...HI, { role: "assistant", content: first.content }, results] });
      assert.deepEqual([last.content.at(-1).text, last.stop_reason], ["It is here.", "end_turn"]);
      const { path, body: sent } = gpt.requests.at(-1);
      assert.deepEqual([path, sent.store, sent.input.slice(1).map(({ type }) => type)], ["/v1/responses", false, ["reasoning", "function_call", "function_call", "function_call_output", "function_call_output"]]);
    }
  }
  // Without functions a chat is asked, and OpenAI's own client gets what OpenAI says.
  await good(await message({}));
  assert.equal(gpt.requests.at(-1).path, "/v1/chat/completions");
  const refused = await chat({ model: "openai/gpt-6.1-terra", tools: TOOLS });
  assert.deepEqual([refused.status, (await refused.json()).error.param], [400, "reasoning_effort"]);
  gpt.setAnswer("Hello.");
});

test("a prompt that is too long is told in the words and by the code that each vendor's clients look for", async () => {
  for (const [said, told] of [
    ["This model's maximum context length is 8192 tokens. However, your messages resulted in 10000 tokens.", "prompt is too long: 10000 tokens > 8192 maximum"],
    ["Your input exceeds the context window of this model.", "prompt is too long: Your input exceeds the context window of this model."],
  ]) {
    for (const stream of [false, true]) {
      gpt.setFault({ status: 400, code: "context_length_exceeded", message: said });
      const response = await message({ stream });
      assert.equal(response.status, 400);
      const { error } = await response.json();
      assert.deepEqual([error.type, error.message], ["invalid_request_error", told]);
    }
  }
  for (const said of ["prompt is too long: 210000 tokens > 200000 maximum", "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"]) {
    claude.setFault({ status: 400, message: said });
    const response = await chat({});
    assert.equal(response.status, 400);
    const { error } = await response.json();
    assert.deepEqual([error.code, error.message], ["context_length_exceeded", said]);
  }
});

test("OpenAI's clients hear which member is refused, because their SDK prints the message alone", async () => {
  for (const [more, param] of [[{ temperature: 0.2 }, "temperature"], [{ tool_choice: "required", tools: TOOLS }, "tool_choice"], [{ messages: [{ role: "user", content: 1 }] }, "messages[0].content"]]) {
    const response = await chat({ model: "anthropic/claude-sonnet-5-5", ...more });
    const { error } = await response.json();
    assert.deepEqual([response.status, error.param], [400, param]);
    assert.ok(error.message.startsWith(`${param}: `), error.message);
  }
  const said = "Invalid value for 'messages[0].content'.";
  gpt.setFault({ status: 400, message: said });
  assert.equal((await (await chat({ model: "openai/gpt-6-luna" })).json()).error.message, said);
});

test("Anthropic's beta `output_format` is a schema for OpenAI, and passes to Anthropic as it is", async () => {
  const format = { type: "json_schema", schema: SCHEMA };
  const beta = { "anthropic-beta": "structured-outputs-2025-11-13" };
  await good(await message({ output_format: format }, beta));
  const { response_format: sent } = gpt.requests.at(-1).body;
  assert.deepEqual([sent.type, sent.json_schema.schema], ["json_schema", SCHEMA]);
  await good(await message({ model: "claude-haiku-4-5", output_format: format }, beta));
  const passed = claude.requests.at(-1);
  assert.deepEqual([passed.body.output_format, passed.body.output_config, passed.headers["anthropic-beta"]], [format, undefined, beta["anthropic-beta"]]);
});

test("a message has no null where Anthropic's own has nothing, because the AI SDK refuses it", async () => {
  const { content } = await good(await message({}));
  assert.deepEqual(content, [{ type: "text", text: "Hello." }]);
});

test("a whole answer of OpenAI keeps its citations, audio, fingerprint and all counts", async () => {
  const annotations = [{ type: "url_citation", url_citation: { start_index: 0, end_index: 2, url: "https://a.test", title: "A" } }];
  const audio = { id: "audio_1", data: "UklGRg==", transcript: "It is sunny.", expires_at: 1795827600 };
  const usage = {
    prompt_tokens: 12, completion_tokens: 7, total_tokens: 19, prompt_tokens_details: { cached_tokens: 2, audio_tokens: 3 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 4, accepted_prediction_tokens: 1, rejected_prediction_tokens: 2 },
  };
  gpt.setAnswer({ content: "It is sunny.", message: { annotations, audio }, usage, more: { system_fingerprint: "fp_1", service_tier: "default" } });
  const asked = { model: "openai/gpt-6-luna", modalities: ["text", "audio"], audio: { voice: "alloy", format: "wav" } };
  const answer = await good(await chat(asked));
  assert.deepEqual([answer.choices[0].message.annotations, answer.choices[0].message.audio, answer.system_fingerprint, answer.service_tier], [annotations, audio, "fp_1", "default"]);
  assert.deepEqual(answer.usage, { ...usage, prompt_tokens_details: { ...usage.prompt_tokens_details, cache_write_tokens: 0 } });
  // So does the same answer from the cache.
  const cached = async (kind) => {
    const response = await chat(asked, { "x-gateway-cache": "60" });
    assert.equal(response.headers.get("x-gateway-cache"), kind);
    return (await response.json()).choices;
  };
  assert.deepEqual([await cached("miss"), await cached("hit")], [answer.choices, answer.choices]);
  // A guardrail does not see into audio, so an answer that has to pass one comes without.
  const guarded = (await newKey(ada.token, { scopes: ["gateway"], gateway: { guardrails: { output: { terms: [{ name: "sun", terms: ["sunny"], action: "redact" }] } } } })).key;
  const text = await (await chat(asked, as(guarded))).text();
  assert.ok(!text.includes("sunny") && !text.includes("audio_1"), text);
  gpt.setAnswer("Hello.");
});

test("a wrong key has the code of each vendor, and ours on our own paths", async () => {
  const wrong = as("hk_live_wrong");
  for (const path of ["/v1/chat/completions", "/v1/responses", "/v1/embeddings"]) {
    for (const headers of [wrong, as("sk-proj-another-vendors"), {}]) {
      const response = await api("POST", path, { model: "openai/gpt-6-luna" }, headers);
      const { error } = await response.json();
      assert.deepEqual([response.status, error.code], [401, "invalid_api_key"], path);
      assert.ok(!error.message.includes("JWT"), error.message);
    }
  }
  const told = await (await api("POST", "/v1/messages", {}, { ...wrong, ...VERSION })).json();
  assert.equal(told.error.type, "authentication_error");
  assert.equal((await (await api("GET", "/api/projects", undefined, wrong)).json()).code, "unauthorized");
});

test("a client is told not to repeat what stays refused: Claude Code asks again after a 401, for minutes", async () => {
  const retried = async (answer) => {
    const response = await answer;
    await response.text();
    return [response.status, response.headers.get("x-should-retry")];
  };
  const path = "/v1/messages";
  const body = { model: "openai/gpt-6-luna", max_tokens: 100, messages: HI };
  for (const headers of [as("hk_live_wrong"), { "x-api-key": "wrong" }]) assert.deepEqual(await retried(api("POST", path, body, { ...headers, ...VERSION })), [401, "false"]);
  assert.deepEqual(await retried(message({ model: "nobody" })), [404, "false"]);
  assert.deepEqual(await retried(chat({ messages: [] })), [400, "false"]);
  gpt.setFault({ status: 429, headers: { "retry-after": "30" } });
  assert.deepEqual(await retried(message({})), [429, null]);
  gpt.setFault({ status: 401 });
  assert.deepEqual(await retried(message({})), [500, "false"]);
});

test("Anthropic's tool runner goes on without a thread, which its account alone could hold", async () => {
  const run = async (model, headers = {}) => {
    const client = new Anthropic({ apiKey: key, baseURL: worker.url, maxRetries: 0, defaultHeaders: headers });
    const tool = { type: "custom", name: "f", input_schema: SCHEMA, run: () => "sunny", parse: (input) => input };
    const last = await client.beta.messages.toolRunner({ model, max_tokens: 100, messages: HI, tools: [tool] });
    return last.content[0].text;
  };
  claude.setAnswer(({ messages }) => (messages.length > 1 ? "Done." : [{ type: "tool_use", id: "toolu_1", name: "f", input: { a: "b" } }]));
  gpt.setAnswer(({ input }) => (input.length > 1 ? "Done." : { content: null, toolCalls: [{ id: "call_1", name: "f", args: '{"a":"b"}' }] }));
  for (const model of ["gpt-6.1-terra", "claude-sonnet-5-5"]) assert.equal(await run(model), "Done.", model);
  assert.ok(claude.requests.every(({ body }) => body.thread === undefined));
  const thread = { thread: { type: "create" } };
  const refused = await (await message({ model: "auto", ...thread })).json();
  assert.equal(refused.error.details.error_code, "thread_unsupported_request");
  const own = { "x-provider-key": claude.key, "anthropic-beta": "message-threads-2026-08-12" };
  await good(await message({ model: "claude-sonnet-5-5", ...thread }, own));
  assert.deepEqual(claude.requests.at(-1).body.thread, thread.thread);
});

test("`auto` chooses for Anthropic's client a model that takes its body as it is", async () => {
  claude.setAnswer("Done.");
  gpt.setAnswer("Done.");
  for (const more of [{ temperature: 1 }, { top_k: 5 }, { thinking: { type: "enabled", budget_tokens: 1024 }, max_tokens: 2000 }, { thinking: { type: "between_tools" } }, { thinking: { type: "adaptive" } }, { output_config: { effort: "low" } }]) {
    await good(await message({ model: "auto", ...more }));
  }
  const begun = [...HI, { role: "assistant", content: "The" }];
  await good(await message({ model: "auto", messages: begun }));
  await good(await chat({ model: "auto", messages: begun }));
});

test("Claude Sonnet 5.5 thinks between tools at most for a client that wants no reasoning, because it refuses to think not at all", async () => {
  await good(await chat({ model: "claude-sonnet-5-5", reasoning_effort: "none" }));
  assert.deepEqual(claude.requests.at(-1).body.thinking, { type: "between_tools" });
  await good(await chat({ model: "claude-haiku-5-5", reasoning_effort: "none" }));
  assert.deepEqual(claude.requests.at(-1).body.thinking, { type: "disabled" });
});

test("what a search has found reaches other models as text, and no guardrail misses it", async () => {
  gpt.setAnswer("Done.");
  claude.setAnswer("Done.");
  const found = (text) => [{ role: "user", content: [{ type: "search_result", source: "https://x.test/a", title: "A", content: [{ type: "text", text }] }, { type: "text", text: "Which?" }] }];
  await good(await message({ messages: found("forty-two") }));
  assert.equal(gpt.requests.at(-1).body.messages[0].content[0].text, "A\nhttps://x.test/a\n\nforty-two");
  const secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
  const headers = as(ada.token);
  assert.equal((await api("PUT", "/v1/guardrails", { input: { secrets: { action: "redact" } } }, headers)).status, 200);
  for (const model of ["openai/gpt-6-luna", "claude-sonnet-5-5"]) await good(await message({ model, messages: found(`the key is ${secret}`) }));
  assert.equal((await api("PUT", "/v1/guardrails", {}, headers)).status, 200);
  for (const { requests } of [gpt, claude]) assert.ok(!JSON.stringify(requests.at(-1).body).includes(secret));
  assert.equal(claude.requests.at(-1).body.messages[0].content[0].type, "search_result");
});

test("a secret in a text file never leaves, also if the file comes as base64 of another type", async () => {
  const secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
  const redacting = as((await newKey(ada.token, { scopes: ["gateway"], gateway: { guardrails: { input: { secrets: { action: "redact" } } } } })).key);
  const base64 = (text) => Buffer.from(text).toString("base64");
  const data = base64(`The key is ${secret}.`).replace(/=+$/, "");
  const text = { type: "text", text: "Read this" };
  const document = (media_type) => ({ type: "document", source: { type: "base64", media_type, data } });
  const file = { type: "file", file: { filename: "key.txt", file_data: `data:text/plain;base64,${data}` } };
  claude.setAnswer("Read.");
  gpt.setAnswer("Read.");
  await message({ model: "claude-sonnet-5-5", messages: [{ role: "user", content: [document("application/pdf"), text] }] }, redacting);
  await chat({ model: "openai/gpt-6-luna", messages: [{ role: "user", content: [text, file] }] }, redacting);
  await api("POST", "/v1/responses", { model: "openai/gpt-6-luna", input: [{ role: "user", content: [{ type: "input_file", filename: "key.txt", file_data: `data:text/plain;base64,${data}` }] }] }, redacting);
  const sent = [claude.requests.at(-1), ...gpt.requests.slice(-2)].map(({ body }) => JSON.stringify(body));
  for (const body of sent) {
    const decoded = [...body.matchAll(/[A-Za-z0-9+/]{40,}=*/g)].map(([found]) => Buffer.from(found, "base64").toString());
    assert.ok(!body.includes(data) && !decoded.some((found) => found.includes(secret)), body);
    assert.ok(decoded.some((found) => found.includes("The key is [")), decoded.join());
  }
});

test("audio passes in a stream, whether it is held back or not", async () => {
  const chunk = (delta, finish = null) => `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const raw = [chunk({ role: "assistant", audio: { id: "audio_1", transcript: "It is" } }), chunk({ audio: { data: "UklGRg==" } }), chunk({ audio: { expires_at: 1795827600 } }), chunk({}, "stop"), "data: [DONE]\n\n"];
  for (const mode of ["live", "buffered"]) {
    gpt.setFault({ raw });
    const asked = { model: "openai/gpt-6-luna", messages: HI, stream: true, modalities: ["text", "audio"], audio: { voice: "alloy", format: "pcm16" } };
    const response = await api("POST", "/v1/chat/completions", asked, { ...as(key), "x-gateway-stream-mode": mode });
    assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
    const events = (await response.text()).split("\n\n").filter((event) => event.startsWith("data: {")).map((event) => JSON.parse(event.slice(6)));
    const heard = Object.assign({}, ...events.map(({ choices }) => choices[0]?.delta.audio));
    assert.deepEqual(heard, { id: "audio_1", transcript: "It is", data: "UklGRg==", expires_at: 1795827600 }, mode);
  }
  // A cached answer would be a stream without audio, whether it came as a stream or whole.
  const asked = { model: "openai/gpt-6-luna", messages: [{ role: "user", content: "Say it." }], modalities: ["text", "audio"], audio: { voice: "alloy", format: "pcm16" } };
  const cache = { "x-gateway-cache": "60" };
  gpt.setAnswer({ content: "It is", message: { audio: { id: "audio_1", data: "UklGRg==", transcript: "It is", expires_at: 1795827600 } } });
  await good(await chat(asked, cache));
  for (let time = 0; time < 2; time += 1) {
    gpt.setFault({ raw });
    const streamed = await chat({ ...asked, stream: true }, cache);
    assert.ok((await streamed.text()).includes("UklGRg=="));
    assert.equal(streamed.headers.get("x-gateway-cache"), "miss");
  }
  gpt.setAnswer("Hello.");
});

test("`auto` chooses a model that hears, speaks or gives several answers if the request needs it, and a stored chat may be spoken", async () => {
  const heard = [{ role: "user", content: [{ type: "text", text: "What is said?" }, { type: "input_audio", input_audio: { data: "UklGRg==", format: "wav" } }] }];
  const spoken = { modalities: ["text", "audio"], audio: { voice: "alloy", format: "wav" } };
  for (const [need, more] of [["audio_input", { messages: heard }], ["audio_output", spoken]]) {
    const { error } = await (await chat({ model: "auto", ...more })).json();
    assert.deepEqual([error.param, error.code], ["model", "unsupported_value"], JSON.stringify(error));
    assert.ok(error.message.includes(need) && error.message.includes("name a model"), error.message);
  }
  const prices = { input: 1_000_000, output: 2_000_000, cacheRead: 0, cacheWrite: 0, cacheWriteLong: 0 };
  const audible = { displayName: "GPT Audio", context: 100_000, maxOutput: 1000, prices, above: null, capabilities: ["audio_input", "audio_output", "sampling"], quality: 1, speed: 1, source: "test" };
  await good(await api("PUT", "/admin/models/openai/gpt-audio", audible, as(ADMIN_TOKEN)));
  for (const more of [{ messages: heard }, spoken, { ...spoken, store: true }]) {
    const { model } = await good(await chat({ model: "auto", ...more }));
    assert.deepEqual([model, gpt.requests.at(-1).body.modalities], ["openai/gpt-audio", more.modalities]);
  }
  await good(await chat({ model: "openai/gpt-6-luna", ...spoken, store: true }));
  assert.deepEqual(gpt.requests.at(-1).body.modalities, spoken.modalities);
  const cheapest = { "x-gateway-route": "cost", ...as((await newKey(ada.token, { scopes: ["gateway"], gateway: { models: ["anthropic/claude-haiku-5-5", "openai/gpt-6-astra"] } })).key) };
  assert.equal((await good(await chat({ model: "auto" }, cheapest))).model, "anthropic/claude-haiku-5-5");
  assert.equal((await good(await chat({ model: "auto", n: 2 }, cheapest))).model, "openai/gpt-6-astra");
});

test("the list of models in a body never reaches an upstream, also if the request is written anew, and counts in legacy completions", async () => {
  const redacting = as((await newKey(ada.token, { scopes: ["gateway"], gateway: { guardrails: { input: { secrets: { action: "redact" } } } } })).key);
  const secret = [{ role: "user", content: "ghp_abcdefghijklmnopqrstuvwxyz0123456789" }];
  const [luna, haiku] = ["openai/gpt-6-luna", "anthropic/claude-haiku-4-5"];
  await good(await chat({ model: luna, models: [haiku], store: true }));
  await good(await chat({ model: luna, models: [haiku], messages: secret }, redacting));
  await good(await message({ model: haiku, models: [luna], messages: secret }, redacting));
  await good(await api("POST", "/v1/responses", { model: luna, models: [haiku], input: secret }, redacting));
  claude.setFault({ status: 529, times: 9, path: "/v1/messages" });
  const { model } = await good(await api("POST", "/v1/completions", { model: haiku, models: [luna], prompt: "Hi" }, as(key)));
  claude.setFault();
  assert.equal(model, luna);
  for (const { body } of [...gpt.requests.slice(-4), claude.requests.at(-1)]) assert.ok(!("models" in body), JSON.stringify(body));
});

test("a legacy completion is one request of its key's minute, and names what was left out once", async () => {
  const limited = await newKey(ada.token, { scopes: ["gateway"], gateway: { rpm: 2 } });
  const response = await api("POST", "/v1/completions", { model: "openai/gpt-6-luna", prompt: ["a", "b", "c"], suffix: "x" }, as(limited.key));
  assert.equal((await good(response)).choices.length, 3);
  assert.equal(response.headers.get("x-gateway-warnings"), "suffix: left out, chat models do not know it");
  assert.deepEqual(await sql("SELECT used FROM model_budgets WHERE subject = ?", `rpm:${limited.id}`), [{ used: 1 }]);
});

test("a legacy completion is streamed while it arrives, from either vendor", async () => {
  const openai = new OpenAI({ baseURL: `${worker.url}/v1`, apiKey: key, maxRetries: 0 });
  for (const [fake, model] of [[gpt, "openai/gpt-6-luna"], [claude, "anthropic/claude-haiku-4-5"]]) {
    const text = "A long text, of which the first words are there before the last. ".repeat(20);
    fake.setAnswer(text);
    fake.setFault({ chunkBytes: 50, stallAfterBytes: 1500 });
    const stream = await openai.completions.create({ model, prompt: "Say: ", echo: true, stream: true, stream_options: { include_usage: true } });
    let [said, finish, usage] = ["", null, null];
    for await (const chunk of stream) {
      assert.equal(chunk.object, "text_completion");
      const [choice] = chunk.choices;
      said += choice?.text ?? "";
      finish ??= choice?.finish_reason ?? null;
      usage ??= chunk.usage;
      // The model goes on only when the client has read something of it.
      if (said.length > "Say: ".length) fake.release();
    }
    fake.setFault();
    assert.deepEqual([said, finish], [`Say: ${text}`, "stop"]);
    assert.ok(usage.total_tokens > 0);
  }
  gpt.setAnswer("Hello.");
  claude.setAnswer("Hello.");
});

test("a key that is lenient lets a program send a temperature that the model refuses", async () => {
  const lenient = as((await newKey(ada.token, { scopes: ["gateway"], gateway: { lenient: true } })).key);
  const ask = (headers) => chat({ model: "openai/gpt-6.1-terra", temperature: 0.1 }, headers);
  assert.equal((await ask({})).status, 400);
  const response = await ask(lenient);
  await good(response);
  assert.match(response.headers.get("x-gateway-warnings"), /temperature/);
  assert.ok(!("temperature" in gpt.requests.at(-1).body));
});

test("a moderation model has its dated names, and `auto` is one that moderates but no model of embeddings", async () => {
  const ask = (path, model) => api("POST", path, { model, input: "Hi" }, as(key));
  const dated = await good(await ask("/v1/moderations", "omni-moderation-2024-09-26"));
  assert.deepEqual([dated.model, gpt.requests.at(-1).body.model], ["omni-moderation-2024-09-26", "omni-moderation-2024-09-26"]);
  const { model } = await good(await ask("/v1/moderations", "auto"));
  assert.deepEqual([model, gpt.requests.at(-1).body.model], ["openai/omni-moderation-latest", "omni-moderation-latest"]);
  const refused = await ask("/v1/embeddings", "auto");
  const { error } = await refused.json();
  assert.deepEqual([refused.status, error.param, error.code], [400, "model", "unsupported_value"]);
  assert.match(error.message, /name a model/);
});

test("a model that thinks has room to write a title", async () => {
  const { key: lunas } = await newKey(ada.token, { scopes: ["gateway"], gateway: { models: ["openai/gpt-6-luna"] } });
  await good(await chat({ model: "openai/gpt-6-luna", store: true, completion_id: "titled" }, as(lunas)));
  gpt.setAnswer(({ reasoning_effort, max_completion_tokens: most }) => (reasoning_effort === "low" && most >= 1000 ? "A greeting" : { content: "", finish: "length" }));
  const titled = await api("POST", "/chat/completions/titled/generate-title", undefined, as(lunas));
  assert.deepEqual(await good(titled), { title: "A greeting" });
  gpt.setAnswer("Hello.");
});

test("the tokens of a model that is not there cannot be counted", async () => {
  const count = (model) => api("POST", "/v1/messages/count_tokens", { model, messages: HI }, { ...as(key), ...VERSION });
  for (const model of ["auto", "claude-haiku-4-5", "openai/gpt-6-luna"]) assert.ok((await good(await count(model))).input_tokens > 0);
  const response = await count("no-such-model");
  assert.equal(response.status, 404);
  const { type, error } = await response.json();
  assert.deepEqual([type, error.type], ["error", "not_found_error"]);
});

test("x-api-key wins over a bearer token on Anthropic's paths alone", async () => {
  const both = (good, bad) => ({ "x-api-key": good, authorization: `Bearer ${bad}` });
  await good(await message({}, both(key, "hk_live_wrong")));
  assert.equal((await message({}, both("hk_live_wrong", key))).status, 401);
  await good(await message({}, both("", key)));
  assert.equal((await api("GET", "/v1/models", undefined, { ...VERSION, ...both(key, "hk_live_wrong") })).status, 200);
  assert.equal((await api("GET", "/v1/models", undefined, both(key, "hk_live_wrong"))).status, 401);
  assert.equal((await chat({}, both("hk_live_wrong", key))).status, 200);
});

test("guardrails that another version has stored close their owner's calls, and can be replaced", async () => {
  const eve = await signIn();
  const eves = await keyOf(eve);
  const ask = (more = {}) => api("POST", "/v1/chat/completions", { model: "openai/gpt-6-luna", messages: HI, ...more }, as(eves));
  await good(await ask({ store: true, completion_id: "c1" }));
  for (const [stored, shown] of [
    ['{"input":{"forgotten":{"action":"block"}}}', { input: { forgotten: { action: "block" } } }],
    ['{"input":{"pii":{"action":"gone"}}}', { input: { pii: { action: "gone" } } }],
    ['{"input":', '{"input":'],
  ]) {
    await sql("INSERT INTO guardrails (user_id, policy, updated_at) VALUES (?1, ?2, 1) ON CONFLICT (user_id) DO UPDATE SET policy = excluded.policy", eve.userId, stored);
    const asked = gpt.requests.length;
    for (const refused of [
      await ask(),
      await ask({ store: true, enabled_tools: ["extract_content"] }),
      await api("POST", "/v1/messages", { model: "openai/gpt-6-luna", max_tokens: 10, messages: HI }, { ...as(eves), ...VERSION }),
      await api("POST", "/v1/responses", { model: "openai/gpt-6-luna", input: "Hi" }, as(eves)),
      await api("POST", "/chat/completions/c1/check", {}, as(eves)),
    ]) {
      const { error } = await refused.json();
      assert.equal(refused.status, 400, JSON.stringify(error));
      assert.match(error.message, /PUT \/v1\/guardrails/);
      assert.equal(error.code ?? error.details.error_code, "guardrails_unreadable");
    }
    assert.equal(gpt.requests.length, asked);
    // No route that asks no model is closed.
    assert.equal((await api("GET", "/v1/models", undefined, as(eves))).status, 200);
    // Not by `api`: these are not in the form that the API's description gives them.
    const get = (path, token) => fetch(`${worker.url}${path}`, { headers: as(token) });
    assert.equal((await get("/auth/export", eve.token)).status, 200);
    const show = await get("/v1/guardrails", eves);
    assert.deepEqual([show.status, await show.json()], [200, shown]);
    await good(await api("PUT", "/v1/guardrails", { input: { secrets: { action: "block" } } }, as(eves)));
    await good(await ask());
  }
});
