// Chats with other models than Claude: chosen by name, by the user's own key, or by default. A provider
// that speaks OpenAI's dialect is shown in Claude's events, and its answer is saved like Claude's.

import assert from "node:assert/strict";
import test, { after } from "node:test";
import { chat, codeOf, messages, newProject, send, textOf, until } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startOpenAI } from "./fakes/openai.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { problem, startWorker } from "./support/harness.js";
import { as, people, production } from "./support/people.js";

const [stack, claude, gpt, rival] = await Promise.all([startStackAuth(), startAnthropic(), startOpenAI(), startOpenAI({ key: "rival-key" })]);
after(() => Promise.all([stack.close(), claude.close(), gpt.close(), rival.close()]));

const model = (id, capabilities = ["images"]) => ({ id, context: 200_000, max_output: 5_000, input: 1, output: 10, capabilities });
const RIVAL = { name: "rival", base_url: `${rival.url}/v1`, key: rival.key, dialect: "openai", models: [model("reads"), model("blind", []), { ...model("free"), input: null, output: null }] };
const hatch = await startWorker({
  ...production(stack), SEALING_KEY: "0f".repeat(32), CLAUDE_API_KEY: claude.key, CLAUDE_BASE_URL: claude.url,
  OPENAI_BASE_URL: `${gpt.url}/v1`, PROVIDERS: JSON.stringify([RIVAL]), UPSTREAM_IDLE_TIMEOUT_MS: "900", DAILY_CHAT_LIMIT: "1000", DAILY_BUDGET_MICRO_USD: "100000000",
});
const { signIn, newKey, mint } = people(hatch, stack);
const ada = await signIn();

/** The Worker as someone with this token sees it. */
const asUser = (token) => ({ ...hatch, api: (method, path, body, headers) => hatch.api(method, path, body, { ...as(token), ...headers }) });
const adas = asUser(ada.token);
const PAGE = "```html:index.html\n<p>Grüße 👋</p>\n```\n";
const named = (events, name) => events.filter(({ event }) => event === name);
const saved = (events) => named(events, "saved")[0].data;

test("a model of another provider answers in Claude's events, and changes the code", async () => {
  rival.setAnswer({ content: PAGE, usage: { prompt_tokens: 1_000, completion_tokens: 100, total_tokens: 1_100 } });
  const id = await newProject(adas);
  const { events } = await chat(adas, id, "A page", { model: "rival/reads" });
  const kinds = [...new Set(events.map(({ event }) => event))];
  assert.deepEqual(kinds, ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop", "files", "saved", "done"]);
  assert.equal(textOf(events), PAGE);
  assert.deepEqual(await codeOf(adas, id), { "index.html": "<p>Grüße 👋</p>\n" });
  // 1 dollar for a million tokens of the prompt, and 10 for a million of the answer.
  assert.deepEqual([saved(events).model, saved(events).costMicroUsd, saved(events).note], ["rival/reads", 2_000, undefined]);
  const answer = (await messages(adas, id)).at(-1);
  assert.deepEqual([answer.content, answer.model, answer.status, answer.costMicroUsd, answer.usage.input_tokens], [PAGE, "rival/reads", "complete", 2_000, 1_000]);
  const { body } = rival.requests.at(-1);
  assert.deepEqual([body.model, body.stream, body.messages[0].role, body.messages.at(-1)], ["reads", true, "system", { role: "user", content: "A page" }]);
});

test("its text comes in pieces too, and the next turn knows what was said", async () => {
  rival.setAnswer("One, two, three.");
  const id = await newProject(adas);
  const { events } = await chat(adas, id, "Count", { model: "rival/reads", query: "" });
  assert.equal(textOf(events), "One, two, three.");
  assert.ok(events.at(-1).data.done);
  await chat(adas, id, "Go on", { model: "rival/reads" });
  const said = rival.requests.at(-1).body.messages.slice(1).map(({ role, content }) => [role, content]);
  assert.deepEqual(said, [["user", "Count"], ["assistant", "One, two, three."], ["user", "Go on"]]);
});

for (const query of ["?format=events", ""]) {
  test(`an answer of it that is cut ends in one error and keeps its text, and changes no code (${query})`, async () => {
    rival.setAnswer(PAGE.repeat(3));
    for (const [fault, type] of [[{ cutAfterBytes: 1_500 }, "api_error"], [{ omitFinish: true, omitDone: true }, "api_error"], [{ stallAfterBytes: 1_500 }, "timeout_error"], [{ errorAfter: 4 }, "api_error"]]) {
      rival.setFault(fault);
      const id = await newProject(adas);
      const { events } = await chat(adas, id, "A page", { model: "rival/reads", query });
      const what = JSON.stringify([fault, events.slice(-3)]);
      assert.equal(named(events, "error").length, 1, what);
      assert.deepEqual([events.at(-1).event, events.at(-1).data.error.type], ["error", type], what);
      assert.ok(!events.some(({ event, data }) => event === "done" || data?.done), what);
      const answer = (await messages(adas, id)).at(-1);
      assert.ok(answer.content && PAGE.repeat(3).startsWith(answer.content), what);
      assert.equal(answer.content, textOf(events), what);
      assert.deepEqual([answer.status, await codeOf(adas, id)], ["interrupted", {}]);
    }
  });
}

test("a failure before the first word names the model and leaves nothing", async () => {
  const id = await newProject(adas);
  for (const [fault, status, code, words] of [
    [{ status: 503, times: Infinity, headers: { "retry-after-ms": "1" } }, 503, "upstream_overloaded", /The model rival\/reads is overloaded; try again/],
    [{ status: 401, message: "sk-hidden" }, 502, "upstream_auth", /refused our key; whoever runs this service must change it/],
    [{ status: 404, message: "no such model", code: "model_not_found" }, 400, "unknown_model", /leave `model` out/],
    [{ status: 400, message: "maximum context length is 8192 tokens", code: "context_length_exceeded", times: Infinity }, 400, "conversation_too_long", /too large for the model/],
  ]) {
    rival.reset();
    rival.setFault(fault);
    const refused = await problem(await send(adas, id, "Hi", { model: "rival/reads" }), status, code);
    assert.match(refused.detail, words);
    assert.ok(!JSON.stringify(refused).includes("hidden"));
    assert.deepEqual(await messages(adas, id), []);
  }
  rival.reset();
});

test("a picture for a model that reads none is an error, and other models get it", async () => {
  const data = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const images = [{ mediaType: "image/png", data }];
  const id = await newProject(adas);
  const { detail } = await problem(await send(adas, id, "Like this", { model: "rival/blind", images }), 400, "unsupported_by_model");
  assert.equal(detail, "The model rival/blind does not read images; send the message without them, or to another model");
  assert.deepEqual(await messages(adas, id), []);
  // What the provider itself does not take is not said in its words.
  const words = "Unsupported value: 'reasoning_effort' does not support 'low' with this model.";
  rival.setFault({ status: 400, message: words, code: "unsupported_value", times: Infinity });
  const refused = await problem(await send(adas, id, "Like this", { model: "rival/reads", images }), 502, "upstream_rejected");
  assert.equal(refused.detail, "The model rival/reads refused the request");
  rival.reset();
  rival.setAnswer("Nice.");
  await chat(adas, id, "Like this", { model: "rival/reads", images });
  assert.deepEqual(rival.requests.at(-1).body.messages.at(-1).content[0], { type: "image_url", image_url: { url: `data:image/png;base64,${data}` } });
});

test("a user's own key opens a provider that is closed to others, and its answers cost nothing here", async () => {
  const id = await newProject(adas);
  claude.setAnswer("From Claude.");
  const before = await chat(adas, id, "Hi", { model: "openai/gpt-6-luna" });
  assert.match(saved(before.events).note, /There is no model openai\/gpt-6-luna here, so claude-sonnet-5-5 answered/);
  await hatch.api("PUT", "/auth/credentials/openai", { token: gpt.key }, as(ada.token));
  gpt.setAnswer("From GPT.");
  const { events } = await chat(adas, id, "Hi again", { model: "openai/gpt-6-luna" });
  assert.deepEqual([textOf(events), saved(events).costMicroUsd, saved(events).model], ["From GPT.", 0, "openai/gpt-6-luna"]);
  const bob = await signIn();
  const bobs = asUser(bob.token);
  const { events: his } = await chat(bobs, await newProject(bobs), "Hi", { model: "openai/gpt-6-luna" });
  assert.equal(textOf(his), "From Claude.");
});

test("a user's own key of Claude pays for them alone, whatever credential they have", async () => {
  const costOf = async (token, project) => {
    const user = asUser(token);
    return saved((await chat(user, project ?? (await newProject(user)), "Hi")).events).costMicroUsd;
  };
  // The keys of a session's user are read with the session, and those of another access token with the turn.
  for (const token of [(await signIn()).token, mint({ sub: crypto.randomUUID() })]) {
    assert.ok((await costOf(token)) > 0);
    assert.equal((await hatch.api("PUT", "/auth/credentials/anthropic", { token: claude.key }, as(token))).status, 200);
    assert.deepEqual([await costOf(token), await costOf(token, crypto.randomUUID())], [0, 0], token.slice(0, 3));
    assert.ok((await costOf(mint({ sub: crypto.randomUUID() }))) > 0);
  }
});

test("an answer that still arrives names the model of the user's own key, which is known only once it has begun", async () => {
  const other = await startWorker({ ...production(stack), SEALING_KEY: "0f".repeat(32), CLAUDE_BASE_URL: claude.url, PROVIDERS: JSON.stringify([RIVAL]) });
  const token = mint({ sub: "eve" });
  const hers = { ...other, api: (method, path, body, headers) => other.api(method, path, body, { ...as(token), ...headers }) };
  assert.equal((await hers.api("PUT", "/auth/credentials/anthropic", { token: claude.key })).status, 200);
  const id = await newProject(hers);
  claude.setAnswer("word ".repeat(200));
  claude.setFault({ delayMs: 40, chunkBytes: 64 });
  const ended = chat(hers, id, "Hi");
  const arriving = async () => (await messages(hers, id)).at(-1);
  await until(async () => (await arriving())?.content);
  const { status, model } = await arriving();
  assert.deepEqual([status, model], ["streaming", "claude-sonnet-5-5"]);
  claude.reset();
  assert.equal(saved((await ended).events).model, "claude-sonnet-5-5");
});

test("an API key reaches only the models that it allows", async () => {
  const scopes = ["chat", "projects:read", "projects:write"];
  const { key } = await newKey(ada.token, { scopes, gateway: { models: ["rival/*"] } });
  const bound = asUser(key);
  rival.setAnswer("From the rival.");
  const id = await newProject(bound);
  await problem(await send(bound, id, "Hi", { model: "claude-opus-5-5" }), 403, "model_not_allowed");
  assert.equal(textOf((await chat(bound, id, "Hi")).events), "From the rival.");
});

test("under a budget no model without a price answers", async () => {
  const scopes = ["chat", "projects:read", "projects:write"];
  const { key } = await newKey(ada.token, { scopes, gateway: { budget: { microUsd: 100_000, per: "day" } } });
  const bound = asUser(key);
  const id = await newProject(bound);
  const { detail } = await problem(await send(bound, id, "Hi", { model: "rival/free" }), 403, "model_without_price");
  assert.match(detail, /price of rival\/free is not known here.*ask another model/);
  rival.setAnswer({ content: "Hello.", usage: { prompt_tokens: 500, completion_tokens: 10, total_tokens: 510 } });
  assert.equal(saved((await chat(bound, id, "Hi", { model: "rival/reads" })).events).costMicroUsd, 600);
});

const chunk = (delta, finish_reason = null) => `data: ${JSON.stringify({ id: "c", created: 1, model: "reads", object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
const THOUGHT = "Let me think about it. ".repeat(40);

test("the thoughts of another model are shown as they come, and a broken answer of thoughts alone is paid", async () => {
  const id = await newProject(adas);
  rival.setFault({ raw: [chunk({ role: "assistant", content: "" }), chunk({ reasoning_content: THOUGHT }), chunk({ content: "Done." }), chunk({}, "stop"), "data: [DONE]\n\n"] });
  const { events } = await chat(adas, id, "Think", { model: "rival/reads" });
  assert.equal(events.map(({ data }) => data?.delta?.thinking ?? "").join(""), THOUGHT);
  assert.deepEqual([textOf(events), (await messages(adas, id)).at(-1).content], ["Done.", "Done."]);
  const before = await counted();
  rival.setFault({ raw: [chunk({ role: "assistant", content: "" }), chunk({ reasoning_content: THOUGHT })] });
  const { events: cut } = await chat(adas, id, "Think again", { model: "rival/reads" });
  assert.equal(cut.at(-1).event, "error");
  assert.match(cut.at(-1).data.error.message, /was cut off/);
  // The message stays counted, and its thoughts are in the budget.
  const after = await counted();
  assert.equal(after.messages, before.messages + 1);
  assert.ok(after.spent - before.spent >= (THOUGHT.length / 4) * 10, JSON.stringify([before, after]));
});

/** What is counted of today. */
async function counted() {
  const rows = await hatch.sql("SELECT name, used FROM daily_counters WHERE user_id = ?", ada.userId);
  const of = (name) => rows.find((row) => row.name === name)?.used ?? 0;
  return { messages: of("chat-day"), spent: of("budget-day") };
}

test("the provider's words in the middle of an answer are not the client's", async () => {
  const secret = "Account org-secret is not active";
  const id = await newProject(adas);
  for (const query of ["?format=events", ""]) {
    rival.setFault({ raw: [chunk({ role: "assistant", content: "Hello" }), `data: ${JSON.stringify({ error: { message: secret, type: "server_error" } })}\n\n`] });
    const { events, bytes } = await chat(adas, id, `Hi ${query}`, { model: "rival/reads", query });
    assert.equal(textOf(events), "Hello");
    assert.deepEqual([named(events, "error").length, bytes.includes(secret)], [1, false]);
  }
});

test("the last event of a stream counts although its blank line is missing", async () => {
  for (const query of ["?format=events", ""]) {
    rival.setFault({ raw: [chunk({ role: "assistant", content: "One, " }), chunk({ content: "two." }, "stop").trimEnd()] });
    const id = await newProject(adas);
    const { events } = await chat(adas, id, "Count", { model: "rival/reads", query });
    assert.deepEqual([textOf(events), (await messages(adas, id)).at(-1).status], ["One, two.", "complete"], query);
  }
});
