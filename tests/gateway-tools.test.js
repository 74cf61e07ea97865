// The tools that the gateway runs, dynamic apps, Polychat's format of streams,
// Workers AI and Llama Guard.

import assert from "node:assert/strict";
import test, { after } from "node:test";
import { claudeVars } from "./support/conversation.js";
import { until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { json, startFaultServer } from "./fakes/fault-server.js";
import { startOpenAI } from "./fakes/openai.js";
import { startBrave } from "./fakes/search.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { page, redirect, startWeb } from "./fakes/web.js";
import { problem, startWorker } from "./support/harness.js";
import { as, people, production } from "./support/people.js";

/** A fake of OpenWeather that refuses a wrong key and knows one town. */
async function startWeather() {
  const key = "weather-key-0123456789";
  const failure = (status) => json(status, { cod: status, message: "no" });
  const refusal = ({ query, path }) => (query.get("appid") !== key ? failure(401) : path !== "/data/2.5/weather" || query.get("q") !== "Paris, FR" ? failure(404) : undefined);
  const answer = () => json(200, { name: "Paris", weather: [{ description: "light rain" }], main: { temp: 8.5, feels_like: 6, humidity: 81 }, wind: { speed: 4.1 } });
  return Object.assign(await startFaultServer({ refusal, answer, failure: ({ status }) => failure(status) }), { key });
}

const [stack, gpt, cloudflare, brave, weather] = await Promise.all([startStackAuth(), startOpenAI(), startOpenAI({ key: "workers-ai-token-0123456789" }), startBrave(), startWeather()]);
const web = await startWeb({ "https://acme.example/": page("Acme", "Acme books rooms.") });
after(() => Promise.all([stack, gpt, cloudflare, brave, weather, web].map((fake) => fake.close())));
const model = (id) => ({ id, context: 200000, max_output: 100, input: 1, output: 10, capabilities: ["tools"] });
const worker = await startWorker({
  ...production(stack), BRAVE_BASE_URL: brave.url, BRAVE_API_KEY: brave.key, WEB_PROXY_URL: web.url, OPENWEATHER_BASE_URL: weather.url, OPENWEATHER_API_KEY: weather.key,
  WORKERS_AI_TOKEN: cloudflare.key, WORKERS_AI_ACCOUNT_ID: "ab".repeat(16), WORKERS_AI_BASE_URL: `${cloudflare.url}/v1`,
  PROVIDERS: JSON.stringify([{ name: "gpt", base_url: `${gpt.url}/v1`, key: gpt.key, dialect: "openai", models: [model("m")] }]),
});
const { api, sql } = worker;
const { signIn, newKey, ok } = people(worker, stack);
const keyOf = async (who, gateway) => (await newKey(who.token, { scopes: ["gateway", "account"], gateway })).key;
const [ada, bob] = [await signIn(), await signIn()];
const [adas, bobs] = [await keyOf(ada), await keyOf(bob)];

const HI = [{ role: "user", content: "What is Acme?" }];
const call = (name, args, id = "call_1") => ({ id, name, args: JSON.stringify(args) });
const ask = (body, key = adas, path = "/v1/chat/completions") => api("POST", path, { model: "gpt/m", messages: HI, ...body }, as(key));
const chats = () => gpt.requests.filter(({ path }) => path === "/v1/chat/completions");
/** The model calls these tools first, and then quotes their results. */
const callsFirst = (...calls) => gpt.setAnswer(({ messages }) => {
  const found = messages.filter(({ role }) => role === "tool");
  return found.length ? { content: `Found: ${found.map(({ content }) => content).join(" ")}` } : { content: null, toolCalls: calls };
});

/** The chunks of a stream in OpenAI's form, which ends with `[DONE]` if it is whole. */
const chunksOf = (text) => text.split("\n\n").filter((block) => block.startsWith("data: {")).map((block) => JSON.parse(block.slice(6)));
const textOf = (chunks) => chunks.map(({ choices }) => choices?.[0]?.delta.content ?? "").join("");

test("the gateway runs enabled tools until the model has answered, and each step is paid", async () => {
  brave.setResults([{ title: "Acme", url: "https://acme.example/", snippet: "Books <strong>rooms</strong>" }]);
  callsFirst(call("web_search", { query: "Acme" }), call("extract_content", { url: "https://acme.example/" }, "call_2"), call("get_weather", { location: "Paris, FR" }, "call_3"));
  const [{ n }] = await sql("SELECT count(*) AS n FROM model_calls");
  for (const stream of [false, true]) {
    const before = chats().length;
    const response = await ask({ stream, stream_options: stream ? { include_usage: true } : undefined, enabled_tools: ["web_search", "extract_content", "get_weather", "tutor"] });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    for (const found of ["https://acme.example/", "Acme books rooms.", "light rain"]) assert.ok((stream ? textOf(chunksOf(text)) : text.replaceAll("\\", "")).includes(found), text);
    if (!stream) {
      const { choices: [choice], usage } = JSON.parse(text);
      assert.deepEqual([choice.finish_reason, choice.message.tool_calls, usage.total_tokens], ["stop", undefined, 38]);
    }
    const [first, second] = chats().slice(before).map(({ body }) => body);
    assert.deepEqual(first.tools.map((tool) => tool.function.name), ["web_search", "extract_content", "get_weather"]);
    assert.ok(!("enabled_tools" in first) && second.messages.length === 5);
  }
  assert.deepEqual(brave.queries, ["Acme", "Acme"]);
  await until(async () => (await sql("SELECT count(*) AS n FROM model_calls"))[0].n === n + 4);
});

test("the model reads why a tool failed or refused its arguments, and private addresses get no request", async () => {
  const calls = [call("extract_content", { url: "https://127.0.0.1/" }), call("extract_content", { url: "https://gone.example/" }, "call_2"), call("web_search", { q: 1 }, "call_3"), { id: "call_4", name: "web_search", args: "[" }];
  callsFirst(...calls);
  const response = await ask({ enabled_tools: ["web_search", "extract_content"] });
  assert.equal(response.status, 200);
  const results = chats().at(-1).body.messages.filter(({ role }) => role === "tool").map(({ content }) => content);
  assert.match(results[0], /url: /);
  assert.match(results[1], /was not read: it answered 404/);
  assert.match(results[2], /query: is missing/);
  assert.match(results[3], /not a JSON object/);
  assert.deepEqual(web.forbidden, []);
});

test("an address outside ASCII is read by its ASCII name, and judged by it", async () => {
  const read = ["https://Bücher.example/", "https://ｂücher．example/"];
  const numbers = ["https://１２７.0.0.1/", "https://127。0。0。1/", "https://①②⑦.0.0.1/"];
  const names = ["https://ＬＯＣＡＬＨＯＳＴ/", "https://db.ｉnternal/", "https://Ⅼocalhost/"];
  const refused = [...numbers, ...names, "https://ü\u0000.example/", "https://ü ü.example/"];
  web.pages["https://xn--bcher-kva.example/"] = redirect("//Straße.example/");
  web.pages["https://xn--strae-oqa.example/"] = page("Books", "Books of all kinds.");
  callsFirst(...[...read, ...refused].map((url, i) => call("extract_content", { url }, `call_${i}`)));
  assert.equal((await ask({ enabled_tools: ["extract_content"] })).status, 200);
  const results = chats().at(-1).body.messages.filter(({ role }) => role === "tool").map(({ content }) => content);
  for (const result of results.slice(0, read.length)) assert.match(result, /Books of all kinds/);
  for (const result of results.slice(read.length)) assert.match(result, /url: /);
  assert.deepEqual(web.forbidden, []);
});

test("a model that calls tools without end gets five requests, the last without tools", async () => {
  gpt.setAnswer(({ tool_choice }) => (tool_choice === "none" ? { content: "I give up." } : { content: null, toolCalls: [call("get_weather", { location: "Paris, FR" })] }));
  const before = chats().length;
  const { choices } = await (await ask({ enabled_tools: ["get_weather"], tool_choice: "required" })).json();
  assert.equal(choices[0].message.content, "I give up.");
  const asked = chats().slice(before).map(({ body }) => body.tool_choice);
  assert.deepEqual(asked, ["required", undefined, undefined, undefined, "none"]);
});

/** The model says this, calls the tool, and then says the rest. */
const talksBefore = (said, rest) => gpt.setAnswer(({ messages }) => {
  const found = messages.some(({ role }) => role === "tool");
  return found ? { content: rest } : { content: said, toolCalls: [call("get_weather", { location: "Paris, FR" })] };
});

test("a stream shows a step's text while its tools still run, and is one stream by every chunk", async () => {
  talksBefore("Let me look.", "It rains.");
  weather.setFault({ hang: true });
  const body = { stream: true, stream_options: { include_usage: true }, enabled_tools: ["get_weather"], completion_id: "17-2", store: true };
  const response = await ask(body);
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (textOf(chunksOf(text.slice(0, text.lastIndexOf("\n\n")))) === "Let me look.") weather.release();
  }
  const chunks = chunksOf(text);
  assert.equal(textOf(chunks), "Let me look.\n\nIt rains.");
  assert.ok(text.endsWith("data: [DONE]\n\n") && text.split("[DONE]").length === 2, text);
  assert.deepEqual([new Set(chunks.map(({ id }) => id)).size, new Set(chunks.map(({ created }) => created)).size], [1, 1]);
  const choices = chunks.flatMap(({ choices }) => choices);
  assert.equal(choices.filter(({ delta }) => delta.role).length, 1);
  assert.deepEqual(choices.map(({ finish_reason }) => finish_reason).filter(Boolean), ["stop"]);
  assert.ok(!choices.some(({ delta }) => delta.tool_calls));
  assert.deepEqual([chunks.at(-1).choices, chunks.at(-1).usage.total_tokens], [[], 38]);
  const whole = await (await ask({ enabled_tools: ["get_weather"] })).json();
  assert.equal(whole.choices[0].message.content, "Let me look.\n\nIt rains.");
  const stored = async () => (await api("GET", "/chat/completions/17-2", undefined, as(adas))).json();
  await until(async () => (await stored()).messages?.at(-1).content === "Let me look.\n\nIt rains.");
});

test("a stream whose steps arrive whole has the same text: moderated step by step, or buffered to its end", async () => {
  talksBefore("Let me look.", "It rains.");
  cloudflare.setAnswer("\n\nsafe");
  const moderated = await keyOf(ada, { guardrails: { output: { moderation: { action: "block" } } } });
  for (const [key, headers] of [[moderated, {}], [adas, { "x-gateway-stream-mode": "buffered" }]]) {
    const response = await api("POST", "/v1/chat/completions", { model: "gpt/m", messages: HI, stream: true, enabled_tools: ["get_weather"] }, { ...as(key), ...headers });
    const text = await response.text();
    const choices = chunksOf(text).flatMap((chunk) => chunk.choices);
    assert.equal(textOf(chunksOf(text)), "Let me look.\n\nIt rains.", text);
    assert.deepEqual([choices.filter(({ delta }) => delta.role).length, choices.at(-1).finish_reason, text.endsWith("data: [DONE]\n\n")], [1, "stop", true]);
  }
  cloudflare.setAnswer(({ messages }) => (messages[0].content.includes("rains") ? "\n\nunsafe\nS9" : "\n\nsafe"));
  const blocked = await (await ask({ stream: true, enabled_tools: ["get_weather"] }, moderated)).text();
  assert.ok(!blocked.includes("rains") && !blocked.includes("[DONE]") && chunksOf(blocked).at(-1).error, blocked);
});

test("a citation stands where its words are, though they come after the texts of earlier steps", async () => {
  const cited = (content, word) => {
    const start_index = [...content.slice(0, content.indexOf(word))].length;
    return { content, message: { annotations: [{ type: "url_citation", url_citation: { start_index, end_index: start_index + word.length, url: `https://${word}.test`, title: word } }] } };
  };
  gpt.setAnswer(({ messages }) => {
    const found = messages.filter(({ role }) => role === "tool").length;
    const calls = (place) => ({ toolCalls: [call("get_weather", { location: place })] });
    return [{ ...cited("👋 Let me look.", "look"), ...calls("Paris, FR") }, { ...cited("Once more.", "more"), ...calls("Paris, FR") }, cited("It rains.", "rains")][found];
  });
  cloudflare.setAnswer("\n\nsafe");
  const moderated = await keyOf(ada, { guardrails: { output: { moderation: { action: "block" } } } });
  const redacting = await keyOf(ada, { guardrails: { output: { secrets: { action: "redact" } } } });
  const body = { model: "gpt/m", messages: HI, enabled_tools: ["get_weather"] };
  const words = (content, annotations) => annotations.map(({ url_citation: { start_index, end_index } }) => [...content].slice(start_index, end_index).join(""));
  const whole = (await (await api("POST", "/v1/chat/completions", body, as(adas))).json()).choices[0].message;
  assert.equal(whole.content, "👋 Let me look.\n\nOnce more.\n\nIt rains.");
  assert.deepEqual(words(whole.content, whole.annotations), ["look", "more", "rains"]);
  for (const [key, headers] of [[adas, {}], [redacting, {}], [moderated, {}], [adas, { "x-gateway-stream-mode": "buffered" }]]) {
    const response = await api("POST", "/v1/chat/completions", { ...body, stream: true }, { ...as(key), ...headers });
    const chunks = chunksOf(await response.text());
    assert.equal(textOf(chunks), whole.content);
    assert.deepEqual(chunks.flatMap(({ choices }) => choices[0]?.delta.annotations ?? []), whole.annotations);
  }
});

test("a step that fails after text was sent ends the stream with an error and stores nothing", async () => {
  web.pages["https://leak.example/"] = page("Leak", "The key is ghp_abcdefghijklmnopqrstuvwxyz0123456789.");
  gpt.setAnswer({ content: "Let me look.", toolCalls: [call("extract_content", { url: "https://leak.example/" })] });
  const key = await keyOf(ada, { guardrails: { input: { secrets: { action: "block" } } } });
  const text = await (await ask({ stream: true, enabled_tools: ["extract_content"], completion_id: "17-3", store: true }, key)).text();
  assert.equal(textOf(chunksOf(text)), "Let me look.");
  assert.ok(chunksOf(text).at(-1).error && !text.includes("[DONE]"), text);
  assert.equal((await api("GET", "/chat/completions/17-3", undefined, as(key))).status, 404);
});

test("a search by Claude is a call of its own in usage and money, and a spent budget refuses it", async () => {
  const claude = await startAnthropic();
  after(() => claude.close());
  const hatch = await startWorker({
    ...production(stack), ...claudeVars(claude), SEARCH_PROVIDER: "claude",
    PROVIDERS: JSON.stringify([{ name: "gpt", base_url: `${gpt.url}/v1`, key: gpt.key, dialect: "openai", models: [model("m")] }]),
  });
  const there = people(hatch, stack);
  const { token } = await there.signIn();
  const keyWith = async (microUsd) => (await there.newKey(token, { scopes: ["gateway"], gateway: { budget: { microUsd, per: "day" } } })).key;
  const use = { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "Acme" } };
  const result = { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [{ type: "web_search_result", url: "https://acme.example/", title: "Acme", encrypted_content: "abc", page_age: null }] };
  claude.setAnswer({ content: [use, result, { type: "text", text: "Done" }], usage: { server_tool_use: { web_search_requests: 1, web_fetch_requests: 0 } } });
  callsFirst(call("web_search", { query: "Acme" }));
  const askThere = async (key) => (await hatch.api("POST", "/v1/chat/completions", { model: "gpt/m", messages: HI, enabled_tools: ["web_search"] }, as(key))).json();
  const usageOf = async (key) => {
    const { data } = await (await hatch.api("GET", "/v1/usage?group_by=model", undefined, as(key))).json();
    return Object.fromEntries(data.map((row) => [row.model, [row.requests, row.failed, row.costMicroUsd]]));
  };
  const key = await keyWith(200_000);
  const { choices } = await askThere(key);
  assert.match(choices[0].message.content, /https:\/\/acme\.example\//);
  await until(async () => (await usageOf(key))["gpt/m"]?.[0] === 2);
  const { "tools/web_search": [requests, failed, cost], "gpt/m": [, , ofModel] } = await usageOf(key);
  // One search is 10,000 micro-dollars; the rest are Claude's tokens.
  assert.ok(requests === 1 && failed === 0 && cost > 10_000 && cost < 100_000, `${cost}`);
  const [{ used }] = await hatch.sql("SELECT used FROM model_budgets WHERE subject LIKE 'key:%'");
  assert.equal(used, cost + ofModel, "the reservations were returned");

  const poor = await keyWith(50_000);
  const searches = claude.requests.length;
  const refused = await askThere(poor);
  assert.match(refused.choices[0].message.content, /budget/);
  assert.equal(claude.requests.length, searches);
});

test("documents of Polychat's client reach the model as its provider reads them", async () => {
  gpt.setAnswer("Read.");
  const markdown = { type: "markdown_document", markdown_document: { markdown: "# Clocks", name: "clocks.md" } };
  const chat = (part) => ask({ messages: [{ role: "user", content: [{ type: "text", text: "Read this" }, part] }] }, adas, "/chat/completions");
  assert.equal((await chat(markdown)).status, 200);
  assert.deepEqual(chats().at(-1).body.messages[0].content, [{ type: "text", text: "Read this" }, { type: "text", text: "clocks.md\n\n# Clocks" }]);
  const refused = await chat({ type: "document_url", document_url: { url: "https://acme.example/a.pdf", name: "a.pdf" } });
  assert.equal(refused.status, 400);
  assert.match((await refused.json()).error.message, /document/);
});

test("guardrails read the name of a document, and of who speaks", async () => {
  gpt.setAnswer("Read.");
  const [secret, left] = ["ghp_abcdefghijklmnopqrstuvwxyz0123456789", ".md\\n\\n# Clocks"];
  const messages = [{ role: "user", name: `of-${secret}`, content: [{ type: "markdown_document", markdown_document: { markdown: "# Clocks", name: `${secret}.md` } }] }];
  const keyFor = (action) => keyOf(ada, { guardrails: { input: { secrets: { action } } } });
  assert.equal((await ask({ messages }, await keyFor("redact"), "/chat/completions")).status, 200);
  const sent = JSON.stringify(chats().at(-1).body);
  assert.ok(!sent.includes("ghp_") && sent.includes(left) && sent.includes('"name":"of-['), sent);
  for (const named of [{ ...messages[0], name: "ada" }, { ...messages[0], content: "Hi" }]) {
    assert.equal((await ask({ messages: [named] }, await keyFor("block"), "/chat/completions")).status, 400);
  }
});

test("the models at the root are a map for Polychat's client, and a list under /v1 for OpenAI's", async () => {
  const { success, data } = await ok("GET", "/models", undefined, adas);
  const { id, matchingModel, provider, contextWindow, costPer1kInputTokens, supportsToolCalls } = data["gpt/m"];
  assert.deepEqual([success, id, matchingModel, provider, contextWindow, costPer1kInputTokens, supportsToolCalls], [true, "gpt/m", "gpt/m", "gpt", 200000, 0.001, true]);
  const { data: list } = await ok("GET", "/v1/models", undefined, adas);
  assert.deepEqual([Object.keys(data).sort(), list.at(-1).id], [list.slice(0, -1).map((each) => each.id).sort(), "auto"]);
  const narrow = await keyOf(ada, { models: ["workers-ai/*"] });
  assert.ok(Object.keys((await ok("GET", "/models", undefined, narrow)).data).every((name) => name.startsWith("workers-ai/")));
  const anthropic = await (await api("GET", "/models", undefined, { ...as(adas), "anthropic-version": "2023-06-01" })).json();
  assert.ok(Array.isArray(anthropic.data) && "has_more" in anthropic);
});

test("a client's own tool is left to the client, even if the gateway has one of the same name", async () => {
  const theirs = { type: "function", function: { name: "web_search", parameters: { type: "object" } } };
  callsFirst(call("web_search", { query: "x" }));
  const before = [chats().length, brave.queries.length];
  const { choices } = await (await ask({ enabled_tools: ["web_search", "get_weather"], tools: [theirs] })).json();
  assert.deepEqual(choices[0].message.tool_calls.map((each) => each.function.name), ["web_search"]);
  assert.deepEqual([chats().length, brave.queries.length], [before[0] + 1, before[1]]);
});

test("guardrails apply to the results of tools", async () => {
  web.pages["https://leak.example/"] = page("Leak", "The key is ghp_abcdefghijklmnopqrstuvwxyz0123456789.");
  callsFirst(call("extract_content", { url: "https://leak.example/" }));
  const key = await keyOf(ada, { guardrails: { input: { secrets: { action: "redact" } } } });
  assert.equal((await ask({ enabled_tools: ["extract_content"] }, key)).status, 200);
  assert.ok(!chats().at(-1).raw.toString().includes("ghp_"));
  const blocking = await keyOf(ada, { guardrails: { input: { secrets: { action: "block" } } } });
  assert.equal((await ask({ enabled_tools: ["extract_content"] }, blocking)).status, 400);
});

test("Polychat's client gets its own events, tools included, and an interrupted answer is never marked as done", async () => {
  callsFirst(call("get_weather", { location: "Paris, FR" }));
  const polychats = { stream: true, platform: "web", model: "gpt/m", enabled_tools: ["get_weather"], completion_id: "17-1", store: true };
  const events = async (body, path = "/chat/completions?format=polychat") => {
    const text = await (await ask(body, adas, path)).text();
    return text.split("\n\n").filter(Boolean).map((block) => (block === "data: [DONE]" ? { type: "[DONE]" } : JSON.parse(block.slice(6))));
  };
  const seen = await events(polychats);
  const kinds = seen.map(({ type, state }) => state ?? type).filter((kind, index, all) => kind !== all[index - 1]);
  assert.deepEqual(kinds, [
    "init", "thinking", "tool_use_start", "tool_use_delta", "tool_use_stop", "tool_response", "content_block_delta",
    "post_processing", "content_block_stop", "message_delta", "message_stop", "done", "[DONE]",
  ]);
  assert.match(seen.find(({ type }) => type === "tool_response").result.content, /light rain/);
  assert.match(seen.filter(({ type }) => type === "content_block_delta").map(({ content }) => content).join(""), /^Found: .*light rain/);
  assert.match((await ok("GET", "/chat/completions/17-1", undefined, adas)).messages.at(-1).content, /light rain/);
  gpt.setAnswer("word ".repeat(20));
  const live = await events({ stream: true });
  assert.equal(live.filter(({ type }) => type === "content_block_delta").map(({ content }) => content).join(""), "word ".repeat(20));
  gpt.setFault({ cutAfterBytes: 900 });
  const cut = await events({ stream: true });
  assert.ok(cut.at(-1).error && !cut.some(({ type }) => type === "[DONE]" || type === "message_stop"), JSON.stringify(cut.at(-1)));
  gpt.setFault();
  assert.equal((await ask({}, adas, "/chat/completions?format=other")).status, 400);
});

test("Polychat's client sees what is spent of the day's budget before and after each answer", async () => {
  const hatch = await startWorker({
    ...production(stack), DAILY_BUDGET_MICRO_USD: "100000", OPENWEATHER_BASE_URL: weather.url, OPENWEATHER_API_KEY: weather.key,
    PROVIDERS: JSON.stringify([{ name: "gpt", base_url: `${gpt.url}/v1`, key: gpt.key, dialect: "openai", models: [model("m")] }]),
  });
  const there = people(hatch, stack);
  const { key } = await there.newKey((await there.signIn()).token, { scopes: ["gateway"] });
  const limits = async (body) => {
    const text = await (await hatch.api("POST", "/chat/completions?format=polychat", { model: "gpt/m", messages: HI, stream: true, ...body }, as(key))).text();
    return text.split("\n\n").filter((block) => block.includes("usage_limits")).map((block) => JSON.parse(block.slice(6)).usage_limits);
  };
  const calls = async (n) => until(async () => (await hatch.sql("SELECT count(*) AS n FROM model_calls"))[0].n === n);
  const daily = (used) => ({ daily: { used, limit: 100_000 } });
  gpt.setAnswer("Hello.");
  // 12 tokens at one micro-dollar, 7 at ten.
  assert.deepEqual(await limits({}), [daily(0), daily(82)]);
  await calls(1);
  callsFirst(call("get_weather", { location: "Paris, FR" }));
  assert.deepEqual(await limits({ enabled_tools: ["get_weather"] }), [daily(82), daily(246)]);
  await calls(3);
  assert.deepEqual((await limits({}))[0], daily(246));
  const unlimited = await ask({ stream: true }, adas, "/chat/completions?format=polychat");
  assert.ok(!(await unlimited.text()).includes("usage_limits"));
});

test("tools and dynamic apps are listed without credentials, with their forms", async () => {
  const { success, data } = await (await api("GET", "/tools")).json();
  assert.deepEqual([success, data.map(({ id }) => id)], [true, ["web_search", "extract_content", "get_weather"]]);
  const apps = await (await api("GET", "/dynamic-apps")).json();
  assert.deepEqual(apps.map(({ id }) => id), data.map(({ id }) => id));
  for (const { id } of apps) {
    const { formSchema } = await (await api("GET", `/dynamic-apps/${id}`)).json();
    assert.equal(formSchema.steps[0].fields[0].required, true);
  }
  await problem(await api("GET", "/dynamic-apps/podcast"), 404);
  assert.deepEqual(await (await api("GET", "/status")).json(), { status: "ok" });
});

test("a dynamic app's response is stored for the user who ran it, once for each Idempotency-Key", async () => {
  const run = (id, body, headers) => api("POST", `/dynamic-apps/${id}/execute`, body, { ...as(adas), ...headers });
  const once = { "idempotency-key": "weather-once" };
  const first = await (await run("get_weather", { location: "Paris, FR", other: "x" }, once)).json();
  assert.deepEqual([first.success, first.data.input, first.data.result.place], [true, { location: "Paris, FR" }, "Paris"]);
  assert.equal((await (await run("get_weather", { location: "Paris, FR", other: "x" }, once)).json()).response_id, first.response_id);
  const { response } = await ok("GET", `/dynamic-apps/responses/${first.response_id}`, undefined, adas);
  assert.deepEqual([response.app_id, response.data], ["get_weather", first.data]);
  assert.equal((await ok("GET", "/dynamic-apps/responses?appId=get_weather", undefined, adas)).length, 1);
  assert.deepEqual(await ok("GET", "/dynamic-apps/responses?appId=web_search", undefined, adas), []);
  assert.deepEqual(await ok("GET", "/dynamic-apps/responses", undefined, bobs), []);
  await problem(await api("GET", `/dynamic-apps/responses/${first.response_id}`, undefined, as(bobs)), 404);
  const failed = await (await run("get_weather", { location: "Nowhere" })).json();
  assert.deepEqual([failed.success, failed.data.message], [false, "OpenWeather knows no place of this name"]);
  await problem(await run("get_weather", {}), 400);
  await problem(await run("podcast", {}), 404);
  assert.equal((await sql("SELECT count(*) AS n FROM dynamic_app_responses"))[0].n, 1);
  assert.ok(!JSON.stringify([first, failed]).includes(weather.key));
});

test("Workers AI answers chats, streams and embeddings through its REST API", async () => {
  cloudflare.setAnswer("From the edge.");
  const whole = await (await ask({ model: "workers-ai/@cf/meta/llama-3.3-70b-instruct-fp8-fast" })).json();
  assert.equal(whole.choices[0].message.content, "From the edge.");
  assert.equal(cloudflare.requests.at(-1).body.model, "@cf/meta/llama-3.3-70b-instruct-fp8-fast");
  const streamed = await (await ask({ model: "workers-ai/@cf/openai/gpt-oss-20b", stream: true })).text();
  assert.ok(streamed.endsWith("data: [DONE]\n\n"));
  const embedded = await (await api("POST", "/v1/embeddings", { model: "workers-ai/@cf/baai/bge-m3", input: ["a", "b"] }, as(adas))).json();
  assert.deepEqual(embedded.data.map(({ embedding }) => embedding.length), [3, 3]);
  cloudflare.setFault({ status: 429, times: 9 });
  assert.equal((await ask({ model: "workers-ai/@cf/openai/gpt-oss-20b" })).status, 429);
  cloudflare.setFault();
});

test("Llama Guard moderates in OpenAI's form, and as a guardrail", async () => {
  const model = "workers-ai/@cf/meta/llama-guard-3-8b";
  cloudflare.setAnswer(({ messages }) => (messages[0].content.includes("bomb") ? "\n\nunsafe\nS9" : "\n\nsafe"));
  const { results, model: reported } = await (await api("POST", "/v1/moderations", { model, input: ["Hello", "How do I build a bomb?"] }, as(adas))).json();
  assert.deepEqual([reported, results.map(({ flagged }) => flagged), results[1].categories["illicit/violent"]], [model, [false, true], true]);
  const key = await keyOf(ada, { guardrails: { input: { moderation: { action: "block" } } } });
  gpt.setAnswer("Hello.");
  assert.equal((await ask({}, key)).status, 200);
  const refused = await ask({ messages: [{ role: "user", content: "Build a bomb" }] }, key);
  assert.match((await refused.json()).error.message, /moderation:illicit\/violent/);
  cloudflare.setAnswer("I would rather not say.");
  assert.equal((await ask({}, key)).status, 400, "without a verdict the request is blocked");
});

test("a model that settings list has its own name in the metrics before its first answer", async () => {
  gpt.setFault({ status: 400, times: 2 });
  const before = await sql("SELECT calls FROM model_metrics WHERE model = 'gpt/m' AND outcome = 'refused'");
  assert.equal((await ask({}, bobs)).status, 400);
  assert.equal((await ask({ model: "gpt/of-nobody" }, bobs)).status, 400);
  await until(async () => (await sql("SELECT calls FROM model_metrics WHERE model = 'gpt/other'")).length === 1);
  const [{ calls }] = await sql("SELECT calls FROM model_metrics WHERE model = 'gpt/m' AND outcome = 'refused'");
  assert.equal(calls, (before[0]?.calls ?? 0) + 1);
});

test("texts that Llama Guard has judged before a failure are paid, by the tokens that it reports", async () => {
  const model = "workers-ai/@cf/meta/llama-guard-3-8b";
  const judge = async (input, answer) => {
    cloudflare.setAnswer(answer);
    const [key, [{ input: price }]] = [await newKey(ada.token, { scopes: ["gateway", "account"], gateway: { budget: { microUsd: 1_000_000, per: "day" } } }), await sql("SELECT prices ->> 'input' AS input FROM models WHERE id = ?", model)];
    const { status } = await api("POST", "/v1/moderations", { model, input }, as(key.key));
    const [call] = await sql("SELECT status, input_tokens AS input, output_tokens AS output, cost_micro_usd AS cost, is_estimated FROM model_calls WHERE key_id = ?", key.id);
    const [{ used }] = await sql("SELECT used FROM model_budgets WHERE subject = ?", `key:${key.id}`);
    assert.equal(used, call.cost);
    return { ...call, status, price };
  };
  const usage = { prompt_tokens: 200_000, completion_tokens: 0, total_tokens: 200_000 };
  const whole = await judge(["Hello", "Hi"], { content: "safe", usage });
  assert.deepEqual(whole, { status: 200, input: 400_000, output: 0, cost: Math.ceil(whole.price * 0.4), is_estimated: 0, price: whole.price });
  assert.ok(whole.cost > 0);
  const unread = await judge(["Hello", "Hi"], ({ messages }) => ({ content: messages[0].content === "Hi" ? "Perhaps." : "safe", usage }));
  assert.deepEqual({ ...unread, status: 0 }, { ...whole, status: 0, is_estimated: 1 });
  assert.ok(unread.status >= 500);
  cloudflare.setFault();
  const half = await judge(["Hello", "Hi"], ({ messages }) => {
    if (messages[0].content === "Hello") cloudflare.setFault({ status: 400, times: 9 });
    return { content: "safe", usage };
  });
  cloudflare.setFault();
  assert.deepEqual([half.status, half.input, half.cost], [400, 200_000, Math.ceil(whole.price * 0.2)]);
});

test("judgements by Llama Guard and later steps of a chat do not count in the requests of a key's minute", async () => {
  cloudflare.setAnswer("safe");
  const moderated = { guardrails: { input: { moderation: { action: "block" } }, output: { moderation: { action: "block" } } } };
  // A call is recorded while its client gets the answer.
  const counted = async (gateway, body, calls) => {
    const key = await newKey(ada.token, { scopes: ["gateway", "account"], gateway: { rpm: 50, ...gateway } });
    assert.equal((await ask(body, key.key)).status, 200);
    await until(async () => (await sql("SELECT count(*) AS n FROM model_calls WHERE key_id = ?", key.id))[0].n === calls);
    const rows = await sql("SELECT used FROM model_budgets WHERE subject = ?", `rpm:${key.id}`);
    return rows.map(({ used }) => used);
  };
  gpt.setAnswer("Hello.");
  assert.deepEqual(await counted(moderated, {}, 3), [1]);
  brave.setResults([{ title: "Acme", url: "https://acme.example/", snippet: "Books rooms" }]);
  callsFirst(call("web_search", { query: "Acme" }));
  assert.deepEqual(await counted({}, { enabled_tools: ["web_search"] }, 2), [1]);
});
