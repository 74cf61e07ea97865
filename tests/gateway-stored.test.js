// Stored chat completions, through OpenAI's SDK and as Polychat's client uses
// them, and who may read them.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test, { after } from "node:test";
import OpenAI from "openai";
import { until } from "./support/deployments.js";
import { startOpenAI } from "./fakes/openai.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { startWorker } from "./support/harness.js";
import { as, people, production } from "./support/people.js";

const SECRET = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
const [stack, gpt] = [await startStackAuth(), await startOpenAI()];
after(() => Promise.all([stack.close(), gpt.close()]));
const model = (id) => ({ id, context: 200000, max_output: 100, input: 1, output: 10, capabilities: ["tools", "images"] });
const worker = await startWorker({
  ...production(stack), GATEWAY_IDLE_MS: "2000",
  PROVIDERS: JSON.stringify([{ name: "gpt", base_url: `${gpt.url}/v1`, key: gpt.key, dialect: "openai", models: [model("m"), model("n")] }]),
}, [], { before: "tests/support/held.js" });
const { api, sql } = worker;
const { signIn, newKey, ok } = people(worker, stack);
const keyOf = async (who, gateway) => (await newKey(who.token, { scopes: ["gateway", "account"], gateway })).key;
const [ada, bob] = [await signIn(), await signIn()];
const [adas, bobs] = [await keyOf(ada), await keyOf(bob)];
const sdk = (key) => new OpenAI({ apiKey: key, baseURL: `${worker.url}/v1`, maxRetries: 0 });

const HI = [{ role: "user", content: "Hi" }];
const count = async () => (await sql("SELECT count(*) AS n FROM stored_completions"))[0].n;
/** Asks, reads the whole answer, and waits until it is stored. */
async function store(key, body, path = "/v1/chat/completions") {
  const [{ n }] = await sql("SELECT count(*) AS n FROM model_calls");
  const response = await api("POST", path, { model: "gpt/m", messages: HI, store: true, ...body }, as(key));
  const text = await response.text();
  assert.equal(response.status, 200, text);
  await until(async () => (await sql("SELECT count(*) AS n FROM model_calls"))[0].n > n);
  return text;
}

test("OpenAI's SDK lists, reads, changes and deletes what was stored, whole answers and streams alike", async () => {
  gpt.setAnswer("One.");
  const client = sdk(await keyOf(ada));
  const parts = [{ type: "text", text: "What is" }, { type: "text", text: " this?" }];
  const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: parts }];
  const whole = await client.chat.completions.create({ model: "gpt/m", messages, store: true, metadata: { topic: "clocks" } });
  gpt.setAnswer("Two, in pieces.");
  const streamed = await client.chat.completions.stream({ model: "gpt/n", messages: HI, store: true, metadata: { topic: "dogs" } }).finalChatCompletion();
  await until(async () => (await count()) === 2);
  await client.chat.completions.create({ model: "gpt/m", messages: HI });
  for (const { body } of gpt.requests) assert.ok(!("store" in body) && !("metadata" in body), "the provider stores nothing");

  const ids = async (query) => (await Array.fromAsync(client.chat.completions.list(query))).map(({ id }) => id);
  assert.deepEqual(await ids(), [whole.id, streamed.id]);
  assert.deepEqual(await ids({ limit: 1 }), [whole.id, streamed.id], "page by page");
  assert.deepEqual(await ids({ limit: 1, order: "desc" }), [streamed.id, whole.id]);
  assert.deepEqual(await ids({ metadata: { topic: "dogs" } }), [streamed.id]);
  assert.deepEqual(await ids({ metadata: { topic: "cats" } }), []);
  assert.deepEqual(await ids({ model: "gpt/m" }), [whole.id]);

  const kept = await client.chat.completions.retrieve(streamed.id);
  assert.deepEqual([kept.object, kept.choices[0].message.content, kept.metadata], ["chat.completion", "Two, in pieces.", { topic: "dogs" }]);
  const said = await Array.fromAsync(client.chat.completions.messages.list(whole.id, { limit: 1 }));
  assert.deepEqual(said, [
    { id: `${whole.id}-0`, role: "system", content: "Be brief.", content_parts: null },
    { id: `${whole.id}-1`, role: "user", content: null, content_parts: parts },
  ]);
  const newest = await Array.fromAsync(client.chat.completions.messages.list(whole.id, { order: "desc" }));
  assert.deepEqual(newest.map(({ role }) => role), ["user", "system"]);

  assert.deepEqual((await client.chat.completions.update(whole.id, { metadata: { topic: "cats" } })).metadata, { topic: "cats" });
  assert.deepEqual(await ids({ metadata: { topic: "cats" } }), [whole.id]);
  assert.deepEqual(await client.chat.completions.delete(whole.id), { object: "chat.completion.deleted", id: whole.id, deleted: true });
  await assert.rejects(client.chat.completions.retrieve(whole.id), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.delete(whole.id), OpenAI.NotFoundError);
  await client.chat.completions.delete(streamed.id);
});

test("an answer that is interrupted, refused, blocked or without `store` is not stored", async () => {
  const before = await count();
  gpt.setAnswer("word ".repeat(20));
  gpt.setFault({ cutAfterBytes: 600 });
  await store(adas, { stream: true });
  gpt.setFault({ status: 400 });
  assert.equal((await api("POST", "/v1/chat/completions", { model: "gpt/m", messages: HI, store: true }, as(adas))).status, 400);
  gpt.setAnswer("Yes.");
  await store(adas, { store: false });
  await store(adas, { store: undefined });
  const blocking = await keyOf(ada, { guardrails: { input: { secrets: { action: "block" } } } });
  assert.equal((await api("POST", "/v1/chat/completions", { model: "gpt/m", messages: [{ role: "user", content: SECRET }], store: true }, as(blocking))).status, 400);
  for (const wrong of [{ metadata: { a: 1 } }, { metadata: { a: "x".repeat(513) } }, { completion_id: "../x" }, { completion_id: "" }, { enabled_tools: "all" }]) {
    const refused = await api("POST", "/v1/chat/completions", { model: "gpt/m", messages: HI, store: true, ...wrong }, as(adas));
    assert.deepEqual([refused.status, (await refused.json()).error.param], [400, Object.keys(wrong)[0]]);
  }
  assert.equal(await count(), before);
});

test("messages that are too large for a row are an object, which is read, exported, replaced and deleted like a row", async () => {
  const { FILES } = worker.env;
  const eve = await signIn();
  const eves = await keyOf(eve);
  const picture = "iVBORw0KGgo".repeat(200_000);
  const messages = [{ role: "system", content: "Look." }, { role: "user", content: [{ type: "text", text: "What is it?" }, { type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } }] }];
  const rows = () => sql("SELECT id, messages, body, file, file_bytes FROM stored_completions WHERE user_id = ?1 ORDER BY created_at", eve.userId);
  const sweep = () => worker.worker.scheduled({ cron: "* * * * *" });
  const gone = async (file, why) => {
    await sweep();
    assert.equal(await FILES.head(file), null, why);
    assert.deepEqual(await sql("SELECT key FROM unused_files"), [], why);
  };
  gpt.setAnswer("A cat.");
  for (const more of [{}, { stream: true }, { enabled_tools: ["extract_content"] }, { enabled_tools: ["extract_content"], stream: true }]) {
    await store(eves, { messages, ...more });
    const [row] = await rows();
    assert.ok(row.messages.length < 1_000 && row.file_bytes > picture.length && (await FILES.head(row.file)), JSON.stringify(more));
    await sweep();
    const { data } = await sdk(eves).chat.completions.list();
    assert.deepEqual(data.map(({ id, choices }) => [id, choices[0].message.content]), [[row.id, "A cat."]]);
    const stored = await Array.fromAsync(sdk(eves).chat.completions.messages.list(row.id));
    assert.deepEqual(stored.map(({ role }) => role), ["system", "user"]);
    assert.equal(stored[1].content_parts[1].image_url.url, messages[1].content[1].image_url.url);
    assert.equal((await sdk(eves).chat.completions.update(row.id, { metadata: { a: "b" } })).metadata.a, "b");
    await assert.rejects(sdk(bobs).chat.completions.messages.list(row.id), OpenAI.NotFoundError);
    await sdk(eves).chat.completions.delete(row.id);
    await gone(row.file, "deleted");
  }
  // A conversation that goes on has a new object for each answer, or none.
  const talk = async (body) => {
    await store(eves, { completion_id: "talk", ...body }, "/chat/completions");
    return (await rows())[0];
  };
  const first = await talk({ messages });
  const second = await talk({ messages: [...messages, { role: "assistant", content: "A cat." }, { role: "user", content: "Sure?" }] });
  assert.notEqual(second.file, first.file);
  await gone(first.file, "replaced");
  const shown = await ok("GET", "/chat/completions/talk", undefined, eves);
  assert.deepEqual(shown.messages.map(({ role }) => role), ["system", "user", "assistant", "user", "assistant"]);
  const { conversations } = await ok("GET", "/chat/completions", undefined, eves);
  assert.deepEqual(conversations[0].messages, shown.messages.map(({ id }) => id));
  const { share_id } = await ok("POST", "/chat/completions/talk/share", undefined, eves);
  const shared = await (await api("GET", `/chat/shared/${share_id}`)).json();
  assert.equal(shared.messages[0].content[1].image_url.url, messages[1].content[1].image_url.url);
  await store(eves, { messages: HI });
  const { storedCompletions: [small, exported] } = await ok("GET", "/auth/export", undefined, eve.token);
  assert.deepEqual([exported.messages.length, exported.messages[1].content, "file" in exported], [4, messages[1].content, false]);
  assert.deepEqual([small.messages.length, "file" in small], [HI.length, false]);
  await sdk(eves).chat.completions.delete(small.id);
  assert.equal((await talk({ messages: HI })).file, null);
  await gone(second.file, "small again");
  // It counts in what a user may store, and is deleted with the account.
  const third = await talk({ messages });
  await sql("UPDATE stored_completions SET file_bytes = 100000000 WHERE user_id = ?1", eve.userId);
  await store(eves, { messages });
  await gone(third.file, "too much");
  const [last] = await rows();
  await api("DELETE", `/auth/me?confirm=${eve.userId}`, undefined, as(eve.token));
  await gone(last.file, "deleted with the account");
});

const sweep = () => worker.worker.scheduled({ cron: "* * * * *" });
const reads = async (init) => (await fetch(`${worker.url}/reads`, init)).text();
/** The response to a request that has read its row before the change, and reads the object after it. */
async function overtaken(key, change, method, path, body, after = 0) {
  await reads({ method: "POST", body: `held ${after}` });
  const response = api(method, path, body, as(key));
  await until(async () => (await reads()) === "waiting");
  await change();
  await sweep();
  await reads({ method: "POST", body: "free" });
  return response;
}

test("who reads a row whose object is replaced or deleted before it is read gets what is there then", async () => {
  const eve = await signIn();
  const eves = await keyOf(eve);
  const [one, two] = ["1", "2"].map((digit) => digit.repeat(1_600_000));
  const talk = (content) => store(eves, { completion_id: "race", messages: [{ role: "user", content }] }, "/chat/completions");
  const remove = () => ok("DELETE", "/chat/completions/race", undefined, eves);
  gpt.setAnswer("Yes.");
  for (const path of [() => "/v1/chat/completions/race/messages", () => "/chat/completions/race", (share) => `/chat/shared/${share}`]) {
    for (const [change, status, content] of [[() => talk(two), 200, two], [() => talk("Hi"), 200, "Hi"], [remove, 404]]) {
      await talk(one);
      const { share_id } = await ok("POST", "/chat/completions/race/share", undefined, eves);
      const response = await overtaken(eves, change, "GET", path(share_id));
      const { data, messages = data } = await response.json();
      assert.ok(response.status === status && messages?.[0].content === content, `${response.status} instead of ${status}: ${path(share_id)}`);
    }
  }
  const { responses } = sdk(eves);
  const next = (more) => ["POST", "/v1/responses", { model: "gpt/m", input: "And now?", ...more }];
  for (const [status, request] of [
    [404, ({ id }) => ["GET", `/v1/responses/${id}`]],
    [404, ({ id }) => ["GET", `/v1/responses/${id}/input_items`]],
    [400, ({ id }) => next({ previous_response_id: id })],
    [404, ({ output }) => next({ input: [{ type: "item_reference", id: output[0].id }] })],
  ]) {
    const response = await responses.create({ model: "gpt/m", input: one });
    const got = await overtaken(eves, () => responses.delete(response.id), ...request(response));
    assert.equal(got.status, status, await got.text());
  }
});

test("an export has a chat that is replaced while it is written as it is then, and not one that is deleted", async () => {
  const eve = await signIn();
  const eves = await keyOf(eve);
  const [one, two] = ["1", "2"].map((digit) => digit.repeat(1_600_000));
  const talk = (id, content) => store(eves, { completion_id: id, messages: [{ role: "user", content }] }, "/chat/completions");
  gpt.setAnswer("Yes.");
  await talk("first", one);
  await talk("race", one);
  await talk("last", "Bye");
  await sql("UPDATE stored_completions SET created_at = CASE id WHEN 'first' THEN 1 WHEN 'race' THEN 2 ELSE 3 END WHERE user_id = ?", eve.userId);
  const remove = () => ok("DELETE", "/chat/completions/race", undefined, eves);
  for (const [change, race] of [[() => talk("race", two), [["race", two]]], [() => talk("race", "Hi"), [["race", "Hi"]]], [remove, []]]) {
    const { storedCompletions } = await (await overtaken(eve.token, change, "GET", "/auth/export")).json();
    const got = storedCompletions.map(({ id, messages }) => [id, messages?.[0].content]);
    const expected = [["last", "Bye"], ...race, ["first", one]];
    assert.ok(JSON.stringify(got) === JSON.stringify(expected), JSON.stringify(got.map(([id, content]) => [id, content?.slice(0, 9)])));
    if (race.length > 0) {
      await talk("race", one);
      await sql("UPDATE stored_completions SET created_at = 2 WHERE id = 'race'");
    }
  }
  // An object that is lost for good takes nothing else along.
  const [{ file }] = await sql("SELECT file FROM stored_completions WHERE user_id = ? AND id = 'first'", eve.userId);
  await worker.env.FILES.delete(file);
  assert.deepEqual((await ok("GET", "/auth/export", undefined, eve.token)).storedCompletions.map(({ id }) => id), ["last"]);
  // Nor does it once it is given up, after three reads, make the next one be given up sooner.
  await talk("race", one);
  await sql("UPDATE stored_completions SET created_at = CASE id WHEN 'race' THEN 0 ELSE 1 END WHERE user_id = ? AND id != 'last'", eve.userId);
  const { storedCompletions } = await (await overtaken(eve.token, () => talk("race", "Hi"), "GET", "/auth/export", undefined, 3)).json();
  assert.deepEqual(storedCompletions.map(({ id, messages }) => [id, messages[0].content]), [["last", "Bye"], ["race", "Hi"]]);
  await ok("DELETE", "/chat/completions", undefined, eves);
});

test("an export goes on while its reader takes 64 KB in less than a minute, however long it takes for a page", async () => {
  const eve = await signIn();
  const eves = await keyOf(eve);
  const content = "1".repeat(900_000);
  gpt.setAnswer("Yes.");
  await store(eves, { completion_id: "long", messages: [{ role: "user", content }] }, "/chat/completions");
  const { storedCompletions: [exported] } = await (await api("GET", "/auth/export", undefined, { ...as(eve.token), "x-slow-reader": "1" })).json();
  assert.ok(exported.messages[0].content === content);
  await ok("DELETE", "/chat/completions", undefined, eves);
});

test("who wants an answer stored that is too large for that is told so", async () => {
  const eve = await signIn();
  const eves = await keyOf(eve);
  const ask = (more, headers = {}) => api("POST", "/v1/chat/completions", { model: "gpt/m", messages: HI, store: true, temperature: 0, ...more }, { ...as(eves), ...headers });
  const list = () => ok("GET", "/v1/chat/completions", undefined, eves).then(({ data }) => data.length);
  const long = "x".repeat(400_000);
  const chunk = (delta, finish_reason = null) => `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
  const raw = [...Array(4).fill(chunk({ content: long })), chunk({}, "stop"), "data: [DONE]\n\n"];
  gpt.setAnswer(long.repeat(4));
  const [buffered, cached] = [{ "x-gateway-stream-mode": "buffered" }, { "x-gateway-cache": "60" }];
  for (const [more, headers] of [[{}], [{ stream: true }, buffered], [{ enabled_tools: ["extract_content"] }], [{ user: "a" }, cached], [{ user: "b" }, cached]]) {
    if (more.stream) gpt.setFault({ raw });
    const response = await ask(more, headers);
    assert.deepEqual([response.status, response.headers.get("x-gateway-warnings")], [200, "store: the answer is too large to be stored"], JSON.stringify([more, headers]));
    await response.text();
  }
  // A stream's headers are sent before its end is known.
  gpt.setFault({ raw });
  const live = await ask({ stream: true });
  const { id } = JSON.parse((await live.text()).match(/data: (.*)/)[1]);
  assert.equal((await api("GET", `/v1/chat/completions/${id}`, undefined, as(eves))).status, 404);
  assert.equal(await list(), 0);
  gpt.setAnswer("Short.");
  assert.equal((await ask({})).headers.get("x-gateway-warnings"), null);
  assert.equal(await list(), 1);
  await ok("DELETE", "/chat/completions", undefined, eves);
});

test("an answer that the database does not store is reported, and its call is recorded and settled all the same", async () => {
  const eve = await signIn();
  const key = await keyOf(eve, { budget: { microUsd: 100_000, per: "day" } });
  gpt.setAnswer("Hello.");
  const recorded = () => sql("SELECT status, cost_micro_usd AS cost FROM model_calls WHERE user_id = ?1 ORDER BY created_at", eve.userId);
  const asked = [["/v1/chat/completions", { messages: HI, temperature: 0 }, {}], ["/v1/chat/completions", { messages: HI, temperature: 0 }, { "x-gateway-cache": "60" }], ["/v1/responses", { input: "Hi" }, {}]];
  // Fills the cache.
  assert.equal((await api("POST", asked[1][0], { model: "gpt/m", ...asked[1][1] }, { ...as(key), ...asked[1][2] })).headers.get("x-gateway-cache"), "miss");
  await until(async () => (await recorded()).length === 1);
  for (const table of ["stored_completions", "model_responses"]) await sql(`CREATE TRIGGER refuse_${table} BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'injected fault'); END`);
  try {
    for (const [path, body, headers] of asked) {
      const response = await api("POST", path, { model: "gpt/m", store: true, ...body }, { ...as(key), ...headers });
      assert.deepEqual([response.status, response.headers.get("x-gateway-warnings")], [200, "store: the answer could not be stored"], path);
      assert.equal(response.headers.get("x-gateway-cache"), headers["x-gateway-cache"] ? "hit" : null);
    }
    const calls = await recorded();
    assert.deepEqual(calls.map(({ status }) => status), [200, 200, 200, 200]);
    const spent = calls.reduce((sum, { cost }) => sum + cost, 0);
    assert.ok(spent > 0);
    assert.deepEqual(await sql("SELECT count(*) AS n FROM model_reservations WHERE user_id = ?1", eve.userId), [{ n: 0 }], "nothing stays reserved");
  } finally {
    for (const table of ["stored_completions", "model_responses"]) await sql(`DROP TRIGGER refuse_${table}`);
  }
  const again = await api("POST", asked[0][0], { model: "gpt/m", store: true, ...asked[0][1] }, as(key));
  assert.equal(again.headers.get("x-gateway-warnings"), null);
  await ok("DELETE", "/chat/completions", undefined, key);
});

test("a chat is stored and exported whole if it has half of an emoji, or is nested as deeply as the gateway takes it", async () => {
  const eve = await signIn();
  const eves = await keyOf(eve);
  const body = (content, more = "") => `{"model":"gpt/m","store":true,"completion_id":"odd","metadata":{"a":"\\ud83d"},"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":${content}${more}}]}`;
  const ask = async (text) => (await api("POST", "/chat/completions", text, as(eves))).status;
  const nested = (depth) => `,"more":${"[".repeat(depth)}${"]".repeat(depth)}`;
  const deepest = Array.from({ length: 200 }, (_, depth) => depth).filter((depth) => depth > 80);
  const statuses = [];
  for (const depth of deepest.slice(0, 60)) statuses.push(await ask(body('"Hi"', nested(depth))));
  assert.deepEqual([...new Set(statuses)], [200, 400], "up to some depth");
  for (const text of [body('"Hi"', nested(81 + statuses.lastIndexOf(200))), body('"a\\ud83d"'), body('"Hi"', ',"more":1e999'), body(`"a\\ud83d${"x".repeat(1_600_000)}"`)]) {
    assert.equal(await ask(text), 200);
    const shown = await ok("GET", "/chat/completions/odd", undefined, eves);
    assert.deepEqual(shown.messages.map(({ role }) => role), ["system", "user", "assistant"], text.slice(0, 300));
    const { storedCompletions: [exported] } = await ok("GET", "/auth/export", undefined, eve.token);
    assert.deepEqual([exported.messages.length, exported.metadata], [2, { a: "\ufffd" }]);
  }
  const { metadata, ...rest } = JSON.parse(body('"Hi"'));
  const long = JSON.stringify({ ...rest, metadata: { a: "?", b: "x".repeat(513) } }).replace('"?"', '"\\ud83d"');
  assert.equal(await ask(long), 400, "long metadata");
  await ok("DELETE", "/chat/completions", undefined, eves);
});

test("text that a guardrail redacts is not stored either", async () => {
  const rule = { secrets: { action: "redact" } };
  const key = await keyOf(ada, { guardrails: { input: rule, output: rule } });
  gpt.setAnswer(`It is ${SECRET}, as you know.`);
  const call = { id: "call_1", type: "function", function: { name: "f", arguments: `{"a":"${SECRET.replace("ghp_", "\\u0067hp_")}"}` } };
  const called = [{ role: "assistant", content: null, tool_calls: [call] }, { role: "tool", tool_call_id: "call_1", content: "x" }];
  for (const stream of [true, false]) await store(key, { stream, messages: [{ role: "user", content: `Mine is ${SECRET}` }, ...called] });
  const rows = await sql("SELECT messages, body FROM stored_completions");
  assert.equal(rows.length, 2);
  for (const row of rows) assert.ok(!JSON.stringify(row).includes(SECRET.slice(4)) && row.messages.includes("REDACTED") && row.body.includes("REDACTED"), row.body);
  await ok("DELETE", "/chat/completions", undefined, key);
});

test("Polychat's client continues, lists, renames and deletes a conversation of its own id", async () => {
  const id = `${Date.now()}-17`;
  const path = `/chat/completions/${id}`;
  const polychats = { completion_id: id, platform: "web", mode: "remote", use_rag: false, enabled_tools: ["tutor"], model: undefined };
  gpt.setAnswer("Hello.");
  const first = [{ id: "m1", role: "user", content: "Hi" }];
  await store(adas, { ...polychats, messages: first }, "/chat/completions");
  const { body } = gpt.requests.at(-1);
  assert.ok(!["completion_id", "platform", "mode", "enabled_tools", "use_rag"].some((name) => name in body), JSON.stringify(body));
  await ok("PUT", path, { completion_id: id, title: "Greetings" }, adas);
  gpt.setAnswer("Well, thank you.");
  const messages = [...first, { id: "m2", role: "assistant", content: "Hello." }, { id: "m3", role: "user", content: "How are you?" }];
  await store(adas, { ...polychats, stream: true, messages }, "/chat/completions");

  const shown = await ok("GET", `${path}?refresh_pending=true`, undefined, adas);
  assert.deepEqual([shown.id, shown.title, shown.is_public, shown.share_id], [id, "Greetings", false, null]);
  assert.deepEqual(shown.messages.map(({ role, content }) => [role, content]), [["user", "Hi"], ["assistant", "Hello."], ["user", "How are you?"], ["assistant", "Well, thank you."]]);
  const list = await ok("GET", "/chat/completions?limit=1", undefined, adas);
  assert.deepEqual([list.conversations.length, list.totalPages, list.pageNumber, list.pageSize], [1, 1, 1, 1]);
  assert.deepEqual([list.conversations[0].id, list.conversations[0].messages], [id, ["m1", "m2", "m3", `${id}-answer`]]);
  assert.deepEqual((await ok("GET", "/chat/completions?page=2", undefined, adas)).conversations, []);

  // Bob has a conversation of the same id.
  gpt.setAnswer("For Bob.");
  await store(bobs, { ...polychats, messages: first }, "/chat/completions");
  assert.equal((await ok("GET", path, undefined, adas)).messages.at(-1).content, "Well, thank you.");
  gpt.setAnswer("\"A greeting\"\n");
  assert.deepEqual(await ok("POST", `${path}/generate-title`, { completion_id: id, messages }, adas), { title: "A greeting" });
  assert.equal((await ok("GET", path, undefined, adas)).title, "A greeting");
  await ok("POST", `${path}/feedback`, { log_id: id, feedback: 1, score: 100 }, adas);
  await ok("DELETE", path, undefined, adas);
  assert.equal((await api("GET", path, undefined, as(adas))).status, 404);
  assert.equal((await ok("GET", path, undefined, bobs)).messages.at(-1).content, "For Bob.");
  await ok("DELETE", "/chat/completions", undefined, bobs);
  assert.equal(await count(), 0);
});

test("a shared conversation is readable by a random id, without its instructions, until it is unshared", async () => {
  gpt.setAnswer("Hello.");
  const messages = [{ role: "system", content: "You are a spy." }, { role: "user", content: "Hi" }];
  const { id } = JSON.parse(await store(adas, { messages }));
  const path = `/chat/completions/${id}/share`;
  const { share_id } = await ok("POST", path, undefined, adas);
  assert.match(share_id, /^[0-9a-f]{32}$/);
  assert.deepEqual(await ok("POST", path, undefined, adas), { share_id }, "once");
  const read = (share) => api("GET", `/chat/shared/${share}`);
  const shared = await read(share_id);
  assert.deepEqual([shared.status, shared.headers.get("cache-control")], [200, "no-store"]);
  const text = await shared.text();
  assert.deepEqual(JSON.parse(text).messages.map(({ role, content }) => [role, content]), [["user", "Hi"], ["assistant", "Hello."]]);
  assert.ok(!text.includes("spy") && !text.includes(ada.userId));
  for (const other of [id, share_id.slice(1), randomUUID().replaceAll("-", "")]) assert.equal((await read(other)).status, 404);
  assert.equal((await api("DELETE", path, undefined, as(bobs))).status, 404);
  assert.equal((await read(share_id)).status, 200);
  await ok("DELETE", path, undefined, adas);
  assert.equal((await read(share_id)).status, 404);
  assert.notEqual((await ok("POST", path, undefined, adas)).share_id, share_id);
});

test("a conversation is checked with its owner's guardrails", async () => {
  gpt.setAnswer(`It is ${SECRET}.`);
  const { id } = JSON.parse(await store(adas, { messages: [{ role: "user", content: "Call 4111 1111 1111 1111" }] }));
  const check = (key, role) => ok("POST", `/chat/completions/${id}/check`, { role }, key);
  assert.deepEqual(await check(adas, "user"), { content: "Input is valid", data: { isValid: true, violations: [] } });
  const strict = await keyOf(ada, { guardrails: { input: { pii: { action: "block" } }, output: { secrets: { action: "block" } } } });
  for (const role of ["user", "assistant"]) {
    const { content, data } = await check(strict, role);
    assert.ok(content.endsWith("not valid") && data.isValid === false && data.violations.length === 1, JSON.stringify(data));
  }
});

test("of a message with pictures its texts are titled and checked, and not its bytes", async () => {
  gpt.setAnswer("A cat.");
  const image_url = { url: `data:image/png;base64,${"iVBORw0KGgo".repeat(1_000)}` };
  const content = [{ type: "image_url", image_url }, { type: "text", text: "What is it?" }, { type: "markdown_document", markdown_document: { markdown: "Call 4111 1111 1111 1111" } }];
  const { id } = JSON.parse(await store(adas, { messages: [{ role: "user", content }] }));
  await ok("POST", `/chat/completions/${id}/generate-title`, undefined, adas);
  assert.equal(gpt.requests.at(-1).body.messages.at(-1).content, "user: What is it?\nCall 4111 1111 1111 1111\nassistant: A cat.");
  const strict = await keyOf(ada, { guardrails: { input: { maxBytes: { bytes: 1_000, action: "block" }, pii: { action: "flag" } } } });
  const { data } = await ok("POST", `/chat/completions/${id}/check`, { role: "user" }, strict);
  assert.deepEqual(data, { isValid: true, violations: ["pii:card"] });
});

test("the newest thousand conversations of a user are stored, each for 30 days after its last change", async () => {
  await ok("DELETE", "/chat/completions", undefined, adas);
  await sql(
    `INSERT INTO stored_completions (user_id, id, created_at, updated_at, model, metadata, messages, body)
     SELECT ?1, 'c' || value, value, ?2 + value, 'm', '{}', '[]', '{}' FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 1000) SELECT value FROM n)`,
    ada.userId, Date.now() - 29 * 86_400_000,
  );
  gpt.setAnswer("One more.");
  await store(adas, {});
  assert.equal(await count(), 1000);
  assert.equal((await api("GET", "/chat/completions/c1", undefined, as(adas))).status, 404);
  await sql("UPDATE stored_completions SET updated_at = ?1 WHERE id != 'c2' AND created_at <= 1000", Date.now() - 31 * 86_400_000);
  await worker.worker.scheduled({ cron: "* * * * *" });
  assert.equal(await count(), 2);
  assert.equal((await api("GET", "/chat/completions/c2", undefined, as(adas))).status, 200);
});

test("long completions are listed in pages of what fits, and the oldest of more than 100 MB are deleted", async () => {
  await ok("DELETE", "/chat/completions", undefined, adas);
  const insert = (first, last) => sql(
    `INSERT INTO stored_completions (user_id, id, created_at, updated_at, model, metadata, messages, body)
     SELECT ?1, 'long' || value, value, ?2 + value, 'm', '{}', '[]', json_object('id', 'long' || value, 'text', hex(zeroblob(800000)))
     FROM (WITH RECURSIVE n(value) AS (SELECT CAST(?3 AS INTEGER) UNION ALL SELECT value + 1 FROM n WHERE value < ?4) SELECT value FROM n)`,
    ada.userId, Date.now() - 86_400_000, first, last,
  );
  await insert(1, 8);
  const page = await ok("GET", "/v1/chat/completions?limit=8&order=desc", undefined, adas);
  assert.ok(page.has_more && page.data.length >= 1 && page.data.length < 8, String(page.data.length));
  assert.deepEqual([page.first_id, page.last_id], ["long8", page.data.at(-1).id]);
  for (const order of ["asc", "desc"]) {
    const ids = [];
    for await (const { id } of sdk(adas).chat.completions.list({ limit: 8, order })) ids.push(id);
    const all = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `long${n}`);
    assert.deepEqual(ids, order === "asc" ? all : all.reverse());
  }
  for (let first = 9; first <= 70; first += 10) await insert(first, Math.min(first + 9, 70));
  await store(adas, {});
  const [{ bytes, oldest, n }] = await sql("SELECT sum(length(messages) + length(body)) AS bytes, min(created_at) AS oldest, count(*) AS n FROM stored_completions");
  // 62 of 1.6 MB, and the new one.
  assert.ok(bytes <= 100_000_000, String(bytes));
  assert.deepEqual([oldest, n], [9, 63]);
});

test("an export contains stored completions, and deleting an account deletes them", async () => {
  const [kept] = await sql("SELECT id FROM stored_completions WHERE user_id = ?1 ORDER BY created_at DESC LIMIT 1", ada.userId);
  const { storedCompletions } = await ok("GET", "/auth/export", undefined, ada.token);
  assert.ok(storedCompletions.some(({ id }) => id === kept.id));
  assert.deepEqual((await ok("GET", "/auth/export", undefined, bob.token)).storedCompletions, []);
  await api("DELETE", `/auth/me?confirm=${ada.userId}`, undefined, as(ada.token));
  assert.equal(await count(), 0);
});
