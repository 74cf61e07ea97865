// The limits of a key at the gateway, its budget, and the privacy of its requests:
// in production, with users and keys.

import assert from "node:assert/strict";
import test, { after } from "node:test";
import OpenAI from "openai";
import { until } from "./support/deployments.js";
import { startOpenAI } from "./fakes/openai.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { startWorker } from "./support/harness.js";
import { ADMIN_TOKEN, as, people, production } from "./support/people.js";

const [stack, gpt, other] = [await startStackAuth(), await startOpenAI(), await startOpenAI({ key: "others-key" })];
after(() => Promise.all([stack.close(), gpt.close(), other.close()]));
const SECRET = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
const model = (id, more = {}) => ({ id, context: 200000, max_output: 100, input: 1, output: 10, capabilities: ["tools"], ...more });
const worker = await startWorker({
  ...production(stack),
  PROVIDERS: JSON.stringify([{ name: "gpt", base_url: `${gpt.url}/v1`, key: gpt.key, dialect: "openai", models: [model("m"), model("other"), model("unpriced", { input: undefined })] }, { name: "other", base_url: `${other.url}/v1`, key: "others-key", dialect: "openai", models: [model("m")] }]),
});
const { api, sql } = worker;
const { signIn, newKey, ok } = people(worker, stack);
const [ada, bob] = [await signIn(), await signIn()];

const HI = [{ role: "user", content: "Hi" }];
const ask = (key, body = {}, headers = {}) => api("POST", "/v1/chat/completions", { model: "gpt/m", messages: HI, max_tokens: 100, ...body }, { ...as(key), ...headers });
const keyOf = async (who, gateway) => (await newKey(who.token, { scopes: ["gateway", "account"], gateway })).key;
const closed = (count) => until(async () => (await sql("SELECT count(*) AS n FROM model_calls"))[0].n >= count);

test("a key without the gateway's scope is refused in each vendor's form", async () => {
  const { key } = await newKey(ada.token);
  const chat = await ask(key);
  assert.equal(chat.status, 403);
  assert.equal((await chat.json()).error.code, "insufficient_scope");
  const messages = await api("POST", "/v1/messages", {}, as(key));
  assert.equal((await messages.json()).error.type, "permission_error");
  assert.equal((await api("POST", "/v1/chat/completions", {})).status, 401);
});

test("a key can use and list only the models that it allows", async () => {
  const key = await keyOf(ada, { models: ["gpt/o*"] });
  assert.equal((await ask(key, { model: "other" })).status, 200);
  assert.equal((await ask(key)).status, 403);
  const { data } = await (await api("GET", "/v1/models", undefined, as(key))).json();
  assert.deepEqual(data.map(({ id }) => id), ["gpt/other", "auto"]);
});

test("a key cannot count the tokens of a model that it does not allow", async () => {
  const key = await keyOf(ada, { models: ["gpt/o*"] });
  const count = (path, model, more) => api("POST", path, { model, ...more }, { ...as(key), ...(path.includes("messages") && { "anthropic-version": "2023-06-01" }) });
  for (const [path, more, type] of [
    ["/v1/messages/count_tokens", { messages: [{ role: "user", content: "Hi" }] }, "permission_error"],
    ["/v1/responses/input_tokens", { input: "Hi" }, "invalid_request_error"],
  ]) {
    assert.ok((await (await count(path, "gpt/other", more)).json()).input_tokens > 0, path);
    const refused = await count(path, "gpt/m", more);
    const { error } = await refused.json();
    assert.deepEqual([refused.status, error.type, error.message], [403, type, "This API key may not ask gpt/m"], path);
    assert.equal((await count(path, "nobody", more)).status, 404, path);
  }
});

test("of fifty parallel requests only as many pass as the budget pays for, and the others are told when it is renewed", async () => {
  gpt.setAnswer({ content: "x", usage: { prompt_tokens: 20, completion_tokens: 100, total_tokens: 120 } });
  // One costs 20 + 100 * 10 micro-dollars; 1,000 and the estimate of the prompt are reserved at most.
  const key = await keyOf(ada, { budget: { microUsd: 5000, per: "day" } });
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(key)));
  const statuses = answers.map(({ status }) => status);
  const passed = statuses.filter((status) => status === 200).length;
  assert.ok(passed >= 1 && passed <= 4, `${passed} passed`);
  assert.equal(statuses.filter((status) => status === 429).length, 50 - passed);
  const refused = answers.find(({ status }) => status === 429);
  assert.equal(refused.headers.get("x-should-retry"), "false");
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  assert.match((await refused.json()).error.message, /budget.*there is more at \d{4}-/);
  const [{ used }] = await sql("SELECT used FROM model_budgets WHERE subject GLOB 'key:*' ORDER BY used DESC LIMIT 1");
  assert.equal(used, passed * 1020);
});

test("a model without a price cannot be asked under a budget", async () => {
  const key = await keyOf(ada, { budget: { microUsd: 1_000_000, per: "month" } });
  const refused = await ask(key, { model: "gpt/unpriced" });
  assert.deepEqual([refused.status, (await refused.json()).error.code], [403, "model_without_price"]);
  assert.equal((await ask(await keyOf(ada), { model: "gpt/unpriced" })).status, 200);
});

test("a key is limited to its requests in a minute", async () => {
  const key = await keyOf(ada, { rpm: 2 });
  const statuses = await Promise.all(Array.from({ length: 5 }, async () => (await ask(key)).status));
  // A minute may end between the requests.
  assert.ok(statuses.filter((status) => status === 200).length <= 4 && statuses.includes(429), statuses.join());
});

test("a key with limits cannot create a key without them, or change guardrails", async () => {
  const key = await keyOf(ada, { rpm: 100 });
  const more = await api("POST", "/auth/keys", { name: "More", scopes: ["gateway"] }, as(key));
  assert.equal(more.status, 403);
  assert.equal((await api("PUT", "/v1/guardrails", { input: {} }, as(key))).status, 403);
  for (const wrong of [{ rpm: 0 }, { models: [] }, { budget: { microUsd: -1, per: "day" } }, { budget: { microUsd: 1, per: "year" } }, { guardrails: { input: { nothing: 1 } } }, { more: 1 }, []]) {
    assert.equal((await api("POST", "/auth/keys", { name: "x", scopes: ["gateway"], gateway: wrong }, as(ada.token))).status, 400, JSON.stringify(wrong));
  }
});

test("guardrails block or redact a secret in a request, and other text reaches the model unchanged", async () => {
  gpt.setAnswer("ok");
  const blocking = await keyOf(ada, { guardrails: { input: { secrets: { action: "block" } } } });
  const before = gpt.requests.length;
  const refused = await ask(blocking, { messages: [{ role: "user", content: `It is ${SECRET}` }] });
  const { error } = await refused.json();
  assert.deepEqual([refused.status, error.code], [400, "content_policy_violation"]);
  assert.ok(!error.message.includes(SECRET));
  assert.equal(gpt.requests.length, before);
  const redacting = await keyOf(ada, { guardrails: { input: { secrets: { action: "redact" } } } });
  const passed = await ask(redacting, { messages: [{ role: "user", content: `It is ${SECRET}` }] });
  assert.match(passed.headers.get("x-gateway-warnings"), /guardrail: secret:/);
  assert.ok(!gpt.requests.at(-1).raw.toString().includes("ghp_"));
  const odd = '{"model":"gpt/m",  "messages":[{"role":"user","content":"\\u00fc  \\n x"}], "seed": 1}';
  await api("POST", "/v1/chat/completions", odd, as(redacting));
  assert.ok(gpt.requests.at(-1).raw.toString().includes('"messages":[{"role":"user","content":"\\u00fc  \\n x"}]'));
});

test("guardrails find a secret behind invisible characters, in a member's name, and in an older name of the user", async () => {
  gpt.setAnswer("ok");
  const redacting = await keyOf(ada, { guardrails: { input: { secrets: { action: "redact" } } } });
  const unseen = [...SECRET].join("\u200b");
  for (const body of [{ messages: [{ role: "user", content: `It is ${unseen}.` }] }, { metadata: { [SECRET]: "x" } }, { safety_identifier: "u", user: SECRET }]) {
    const passed = await ask(redacting, body);
    assert.equal(passed.status, 200, await passed.text());
    assert.match(passed.headers.get("x-gateway-warnings"), /guardrail: secret:/);
    assert.ok(!gpt.requests.at(-1).raw.toString().replaceAll("\u200b", "").includes("ghp_"), JSON.stringify(body));
  }
  const answering = await keyOf(ada, { guardrails: { output: { secrets: { action: "redact" } } } });
  gpt.setAnswer(`It is ${unseen}, as you know.`);
  for (const stream of [true, false]) {
    const text = (await (await ask(answering, { stream })).text()).replaceAll("\u200b", "");
    assert.ok(!text.includes("ghp_") && text.includes("[REDACTED:github-token]"), text);
  }
});

test("of two members of one name a model reads the one that guardrails have read", async () => {
  const redacting = await keyOf(ada, { guardrails: { input: { secrets: { action: "redact" } } } });
  for (const message of [`"content":"${SECRET}","content":"Hi"`, `"content":"${SECRET}","c\\u006fntent":"Hi"`, `"content":[{"type":"text","text":"${SECRET}","text":"Hi"}]`]) {
    const passed = await api("POST", "/v1/chat/completions", `{"model":"gpt/m","messages":[{"role":"user",${message}}]}`, as(redacting));
    assert.equal(passed.status, 200, await passed.text());
    assert.ok(!gpt.requests.at(-1).raw.toString().includes("ghp_"), message);
  }
});

test("a provider's words quote no key, before an answer and in the middle of it", async () => {
  const key = await keyOf(ada, {});
  const quoting = { message: "Bad others-key in header", code: "others-key" };
  for (const status of [400, 404, 429, 500]) {
    other.setFault({ ...quoting, status, times: 9 });
    const text = await (await ask(key, { model: "other/m" })).text();
    assert.ok(text.includes("Bad [redacted]") && !text.includes("others-key"), text);
  }
  const word = { id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { role: "assistant", content: "Hi" }, finish_reason: null }] };
  other.setFault({ raw: [word, { error: quoting }].map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), chunkBytes: 400, delayMs: 50 });
  const text = await (await ask(key, { model: "other/m", stream: true })).text();
  assert.ok(text.includes("Bad [redacted]") && !text.includes("others-key"), text);
  // An error whose blank line is missing, and one that is the whole answer.
  other.setFault({ raw: [`data: ${JSON.stringify(word)}\n\n`, `data: ${JSON.stringify({ error: quoting })}`], chunkBytes: 400, delayMs: 50 });
  const last = await (await ask(key, { model: "other/m", stream: true })).text();
  assert.ok(last.includes("Bad [redacted]") && !last.includes("others-key"), last);
  const asks = { "/v1/chat/completions": { messages: HI }, "/v1/embeddings": { input: "Hi" } };
  for (const [path, body] of Object.entries(asks)) {
    other.setFault({ raw: [JSON.stringify({ error: quoting })], times: 9 });
    const whole = await (await api("POST", path, { model: "other/m", ...body }, as(key))).text();
    assert.ok(whole.includes("Bad [redacted]") && !whole.includes("others-key"), `${path} ${whole}`);
  }
  other.setFault();
});

test("a secret in a model's answer is never sent, however it is cut, streamed or whole, in a text or in arguments", async () => {
  const key = await keyOf(ada, { guardrails: { output: { secrets: { action: "redact" } } } });
  gpt.setAnswer(`It is ${SECRET}, as you know.`);
  for (const stream of [true, false]) {
    const text = await (await ask(key, { stream })).text();
    assert.ok(!text.includes("ghp_") && /REDACTED/.test(text), text);
  }
  gpt.setAnswer({ content: null, toolCalls: [{ id: "call_1", name: "f", args: JSON.stringify({ token: SECRET }) }] });
  const tools = [{ type: "function", function: { name: "f", parameters: { type: "object" } } }];
  for (const stream of [true, false]) {
    const text = await (await ask(key, { stream, tools })).text();
    assert.ok(!text.includes(SECRET.slice(4, 20)), text);
  }
});

test("guardrails read all texts of an embedding, whatever else is in its input", async () => {
  const ask = (key, input) => api("POST", "/v1/embeddings", `{"model":"gpt/m","input":${input}}`, as(key));
  const blocking = await keyOf(ada, { guardrails: { input: { secrets: { action: "block" } } } });
  const redacting = await keyOf(ada, { guardrails: { input: { secrets: { action: "redact" } } } });
  for (const other of ["x", "\\ud83d"]) {
    assert.equal((await ask(blocking, `["${other}","${SECRET}"]`)).status, 400, other);
    assert.equal((await ask(redacting, `["${other}","${SECRET}"]`)).status, 200, other);
    assert.ok(!JSON.stringify(gpt.requests.at(-1).body).includes("ghp_"), other);
  }
  assert.equal((await api("POST", "/v1/embeddings", { model: "gpt/m", input: "x", user: SECRET }, as(redacting))).status, 200);
  assert.equal(gpt.requests.at(-1).body.user, "[REDACTED:github-token]");
});

test("a user's guardrails apply to all of their keys and to no other user's", async () => {
  assert.equal((await api("PUT", "/v1/guardrails", { input: { terms: [{ name: "names", terms: ["Rumpelstilzchen"], action: "block" }] } }, as(bob.token))).status, 200);
  assert.equal((await ok("GET", "/v1/guardrails", undefined, bob.token)).input.terms[0].name, "names");
  const said = { messages: [{ role: "user", content: "Call Rumpelstilzchen" }] };
  assert.equal((await ask(await keyOf(bob), said)).status, 400);
  assert.equal((await ask(await keyOf(ada), said)).status, 200);
  assert.equal((await api("PUT", "/v1/guardrails", { input: { secret: {} } }, as(bob.token))).status, 400);
});

test("the caller's own key of a provider is used for their request, and costs them nothing here", async () => {
  gpt.setAnswer("ok");
  const key = await keyOf(ada, { budget: { microUsd: 1, per: "day" } });
  assert.equal((await ask(key)).status, 429);
  const passed = await ask(key, {}, { "x-provider-key": gpt.key });
  assert.equal(passed.status, 200, await passed.clone().text());
  const refused = await ask(key, {}, { "x-provider-key": "sk-of-somebody-else" });
  assert.equal(refused.status, 401);
});

test("the caller's own key goes to one provider, whichever fallbacks are listed", async () => {
  const before = other.requests.length;
  gpt.setFault({ status: 503, times: 3 });
  const refused = await ask(await keyOf(ada), { models: ["other/m"] }, { "x-provider-key": gpt.key });
  assert.equal(refused.status, 503);
  assert.equal(other.requests.length, before);
});

test("a moderation model judges the request before the model is asked, and the answer before any of it is sent", async () => {
  gpt.setAnswer("An answer.");
  const rule = { moderation: { action: "block" } };
  const [input, output, flagging] = [await keyOf(ada, { guardrails: { input: rule } }), await keyOf(ada, { guardrails: { output: rule } }), await keyOf(ada, { guardrails: { input: { moderation: { action: "flag" } } } })];
  const chats = () => gpt.requests.filter(({ path }) => path === "/v1/chat/completions").length;
  // No model here can moderate yet: a rule that fails closed blocks, and one that fails open does not.
  const unjudged = await ask(input);
  assert.deepEqual([unjudged.status, (await unjudged.json()).error.code], [400, "content_policy_violation"]);
  const open = await keyOf(ada, { guardrails: { input: { moderation: { action: "block", onFailure: "open" } } } });
  assert.match((await ask(open)).headers.get("x-gateway-warnings"), /moderation:unavailable/);
  const row = { displayName: "Judge", context: 1000, maxOutput: 0, prices: null, above: null, capabilities: ["moderation"], quality: 3, speed: 3, source: "test" };
  assert.equal((await api("PUT", "/admin/models", { models: { "gpt/judge": row } }, as(ADMIN_TOKEN))).status, 200);
  const before = chats();
  const refused = await ask(input);
  assert.match((await refused.json()).error.message, /moderation:hate/);
  assert.equal(chats(), before);
  for (const stream of [false, true]) {
    const blocked = await ask(output, { stream });
    const text = await blocked.text();
    assert.ok(blocked.status === 400 && !text.includes("An answer") && text.includes("moderation:hate"), text);
  }
  const flagged = await ask(flagging);
  assert.deepEqual([flagged.status, flagged.headers.get("x-gateway-warnings")], [200, "guardrail: moderation:hate"]);
  // The same rule for all keys of a user.
  const eve = await signIn();
  const eves = await keyOf(eve);
  assert.deepEqual((await ok("PUT", "/v1/guardrails", { input: rule }, eve.token)).input.moderation.action, "block");
  assert.match((await (await ask(eves)).json()).error.message, /moderation:hate/);
});

test("text that a guardrail removes is not stored either", async () => {
  const key = await keyOf(ada, { guardrails: { input: { secrets: { action: "redact" } }, output: { secrets: { action: "redact" } } } });
  const client = new OpenAI({ apiKey: key, baseURL: `${worker.url}/v1`, maxRetries: 0 });
  gpt.setAnswer(`It is ${SECRET}, as you know.`);
  const [{ n }] = await sql("SELECT count(*) AS n FROM model_responses");
  const streamed = await client.responses.stream({ model: "gpt/m", input: `Mine is ${SECRET}` }).finalResponse();
  const whole = await client.responses.create({ model: "gpt/m", input: [{ role: "user", content: `Mine is ${SECRET}` }] });
  await until(async () => (await sql("SELECT count(*) AS n FROM model_responses"))[0].n === n + 2);
  for (const { id } of [streamed, whole]) {
    const [row] = await sql("SELECT items, body FROM model_responses WHERE id = ?", id);
    assert.ok(!row.items.includes("ghp_") && !row.body.includes("ghp_") && row.items.includes("REDACTED"), JSON.stringify(row));
  }
  const tools = [{ type: "function", function: { name: "f", description: `Use ${SECRET}`, parameters: { type: "object" } } }];
  await ask(key, { tools });
  assert.ok(!gpt.requests.at(-1).raw.toString().includes("ghp_"));
});

test("a client that leaves a stream pays for what has arrived", async () => {
  gpt.setAnswer("word ".repeat(400));
  gpt.setFault({ chunkBytes: 2000, delayMs: 20 });
  const key = await keyOf(ada);
  const [{ n }] = await sql("SELECT count(*) AS n FROM model_calls");
  const leaving = new AbortController();
  const response = await fetch(`${worker.url}/v1/chat/completions`, {
    method: "POST", headers: { ...as(key), "content-type": "application/json" }, signal: leaving.signal,
    body: JSON.stringify({ model: "gpt/m", messages: HI, stream: true }),
  });
  await response.body.getReader().read();
  leaving.abort();
  await closed(n + 1);
  const [row] = await sql("SELECT * FROM model_calls ORDER BY created_at DESC, id DESC LIMIT 1");
  assert.ok(row.output_tokens > 0 && row.cost_micro_usd > 0, JSON.stringify(row));
});

test("a user's requests and answers are not visible to others", async () => {
  gpt.setAnswer("Only for Ada.");
  const client = (token) => new OpenAI({ apiKey: token, baseURL: `${worker.url}/v1`, maxRetries: 0 });
  const kept = await client(await keyOf(ada)).responses.create({ model: "gpt/m", input: "Hello" });
  const bobs = client(await keyOf(bob));
  await assert.rejects(bobs.responses.retrieve(kept.id), OpenAI.NotFoundError);
  await assert.rejects(bobs.responses.create({ model: "gpt/m", input: "x", previous_response_id: kept.id }), OpenAI.BadRequestError);
  await assert.rejects(bobs.responses.create({ model: "gpt/m", input: [{ type: "item_reference", id: kept.output[0].id }] }));
  const mine = await ok("GET", "/v1/usage?group_by=key", undefined, ada.token);
  const theirs = await ok("GET", "/v1/usage?group_by=key", undefined, bob.token);
  const keys = new Set(mine.data.map(({ keyId }) => keyId));
  assert.ok(theirs.data.every(({ keyId }) => !keys.has(keyId)));
});

test("the operator changes the catalogue, and the price applies at once", async () => {
  const row = { displayName: "New", context: 1000, maxOutput: 100, prices: { input: 1_000_000, output: 2_000_000, cacheRead: 0, cacheWrite: 0, cacheWriteLong: 0 }, above: null, capabilities: ["tools"], quality: 3, speed: 3, source: "test" };
  assert.equal((await api("PUT", "/admin/models/gpt/new", row, as(ada.token))).status, 403);
  assert.equal((await api("PUT", "/admin/models/gpt/new", row, as(ADMIN_TOKEN))).status, 200);
  assert.equal((await api("PUT", "/admin/models/new", row, as(ADMIN_TOKEN))).status, 400);
  // A new edition is stored with all of its rows, or none.
  assert.equal((await api("PUT", "/admin/models", { models: { "gpt/one": row, new: row } }, as(ADMIN_TOKEN))).status, 400);
  assert.deepEqual(await sql("SELECT id FROM models WHERE id = 'gpt/one'"), []);
  const edition = await api("PUT", "/admin/models", { models: { "gpt/one": row, "gpt/@cf/two": { ...row, prices: null } } }, as(ADMIN_TOKEN));
  assert.deepEqual([edition.status, await edition.json()], [200, { changed: 2 }]);
  assert.deepEqual(await sql("SELECT id, prices IS NULL AS unpriced FROM models WHERE id IN ('gpt/one', 'gpt/@cf/two') ORDER BY id"), [{ id: "gpt/@cf/two", unpriced: 1 }, { id: "gpt/one", unpriced: 0 }]);
  gpt.setAnswer({ content: "x", usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } });
  const key = await keyOf(ada);
  assert.equal((await ask(key, { model: "new" })).status, 200);
  const usage = await ok("GET", "/v1/usage?group_by=model", undefined, ada.token);
  assert.equal(usage.data.find(({ model: id }) => id === "gpt/new").costMicroUsd, 20);
});

test("no secret is in any row", async () => {
  const tables = await sql("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'model*'");
  for (const { name } of tables) {
    const rows = JSON.stringify(await sql(`SELECT * FROM ${name}`));
    for (const secret of [SECRET, gpt.key, "sk-of-somebody-else"]) assert.ok(!rows.includes(secret), `${name} has ${secret}`);
  }
});
