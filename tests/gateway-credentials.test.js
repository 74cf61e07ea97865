// Provider keys that users store: sealed, never shown, and used only for their
// own requests to that provider. Also the gateway's metrics for the operator.

import assert from "node:assert/strict";
import test, { after } from "node:test";
import { until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startOpenAI } from "./fakes/openai.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { problem, startWorker } from "./support/harness.js";
import { ADMIN_TOKEN, as, people, production } from "./support/people.js";

const OURS = "sk-proj-ours-0123456789abcdefghijklmnop";
const [stack, claude, gpt] = [await startStackAuth(), await startAnthropic(), await startOpenAI()];
after(() => Promise.all([stack.close(), claude.close(), gpt.close()]));
const model = (id) => ({ id, context: 200000, max_output: 100, input: 1, output: 10, capabilities: ["tools"] });
// The Worker has no keys for OpenAI and Anthropic, and `listed` refuses its key.
const worker = await startWorker({
  ...production(stack), SEALING_KEY: "0f".repeat(32), OPENAI_BASE_URL: `${gpt.url}/v1`, CLAUDE_BASE_URL: claude.url,
  PROVIDERS: JSON.stringify([{ name: "listed", base_url: `${gpt.url}/v1`, key: OURS, dialect: "openai", models: [model("m")] }]),
});
const { api, sql } = worker;
const { signIn, newKey, ok } = people(worker, stack);
const [ada, bob] = [await signIn(), await signIn()];
const keyOf = async (who, gateway) => (await newKey(who.token, { scopes: ["gateway", "account"], gateway })).key;
const [adas, bobs] = [await keyOf(ada), await keyOf(bob)];

const HI = [{ role: "user", content: "Hi" }];
const ask = (key, name, headers = {}, more = {}) => api("POST", "/v1/chat/completions", { model: name, messages: HI, max_tokens: 50, ...more }, { ...as(key), ...headers });
const keep = (who, target, token) => api("PUT", `/auth/credentials/${target}`, { token }, as(who.token));

test("a stored key is never shown, only that it exists", async () => {
  const response = await keep(ada, "openai", gpt.key);
  assert.equal(response.status, 200);
  const kept = await response.json();
  assert.deepEqual([kept.target, kept.account, kept.hint], ["openai", null, `…${gpt.key.slice(-4)}`]);
  const list = await ok("GET", "/auth/credentials", undefined, ada.token);
  assert.deepEqual(list.map(({ target }) => target), ["openai"]);
  assert.deepEqual(await ok("GET", "/auth/credentials/openai", undefined, ada.token), kept);
  const exported = await ok("GET", "/auth/export", undefined, ada.token);
  assert.deepEqual(exported.credentials, [{ target: "openai", createdAt: kept.createdAt }]);
  assert.deepEqual(await ok("GET", "/auth/credentials", undefined, bob.token), []);
  await problem(await api("GET", "/auth/credentials/openai", undefined, as(bob.token)), 404);
  const rows = JSON.stringify([await sql("SELECT * FROM cloud_credentials"), await sql("SELECT * FROM audit_log")]);
  assert.ok(!rows.includes(gpt.key));
});

test("an invalid key, or one for an unknown provider, is refused and changes nothing", async () => {
  for (const target of ["nobody", "workers-ai", "sandbox", "OpenAI"]) await problem(await keep(ada, target, "k".repeat(20)), 404);
  for (const body of [{}, { token: "" }, { token: "two words" }, { token: "k", accountId: "0".repeat(32) }, { token: "k", team: "t" }, { token: "x".repeat(501) }]) {
    await problem(await api("PUT", "/auth/credentials/openai", body, as(ada.token)), 400);
  }
  assert.equal((await ok("GET", "/auth/credentials/openai", undefined, ada.token)).hint, `…${gpt.key.slice(-4)}`);
});

test("a provider without our key serves only users who stored their own, at no cost here", async () => {
  gpt.setAnswer("For Ada.");
  // A header without a value is none.
  assert.equal((await ask(adas, "openai/gpt-6-luna", { "x-provider-key": "", "x-gateway-lenient": "" })).status, 200);
  const limited = await keyOf(ada, { budget: { microUsd: 1, per: "day" } });
  for (const key of [adas, limited]) {
    const answer = await ask(key, "openai/gpt-6-luna");
    assert.equal(answer.status, 200, await answer.clone().text());
  }
  assert.equal(gpt.requests.at(-1).headers.authorization, `Bearer ${gpt.key}`);
  const [{ cost }] = await sql("SELECT max(cost_micro_usd) AS cost FROM model_calls");
  assert.equal(cost, 0);
  assert.equal((await ask(bobs, "openai/gpt-6-luna")).status, 404);
  assert.equal((await ask(bobs, "gpt-6-luna")).status, 404);
  const ids = async (key) => (await (await api("GET", "/v1/models", undefined, as(key))).json()).data.map(({ id }) => id);
  assert.ok((await ids(adas)).includes("openai/gpt-6-luna"));
  assert.ok(!(await ids(bobs)).some((id) => id.startsWith("openai/")));
  assert.equal((await ask(bobs, "openai/gpt-6-luna", { "x-provider-key": gpt.key })).status, 200);
});

test("a key goes to its own provider, and not to a fallback", async () => {
  const before = gpt.requests.length;
  claude.setFault({ status: 529, times: 9 });
  await keep(bob, "anthropic", claude.key);
  gpt.setAnswer("x");
  const refused = await ask(bobs, "claude-sonnet-5-5", {}, { models: ["listed/m"] });
  claude.setFault();
  assert.ok(refused.status >= 429, String(refused.status));
  const sent = gpt.requests.slice(before).map(({ headers }) => JSON.stringify(headers));
  assert.ok(sent.length > 0 && sent.every((headers) => headers.includes(OURS) && !headers.includes(claude.key)));
  // The caller does not see the refusal of our own key, but does see that of theirs.
  await keep(ada, "listed", "sk-of-ada-that-is-wrong-0123456789");
  const theirs = await ask(adas, "listed/m");
  assert.equal(theirs.status, 401);
  await keep(ada, "listed", gpt.key);
  assert.equal((await ask(adas, "listed/m")).status, 200);
  assert.equal((await ask(bobs, "listed/m")).status, 502);
});

test("a deleted key, or one copied to another user's row, does not work", async () => {
  await sql("INSERT INTO cloud_credentials SELECT ?2, 'listed', sealed, account, hint, created_at, updated_at FROM cloud_credentials WHERE user_id = ?1 AND cloud = 'listed'", ada.userId, bob.userId);
  const closed = await ask(bobs, "listed/m");
  assert.deepEqual([closed.status, (await closed.json()).error.code], [401, "provider_key_closed"]);
  // It stands in no other provider's way.
  assert.equal((await ask(bobs, "claude-sonnet-5-5")).status, 200);
  assert.equal((await api("GET", "/v1/models", undefined, as(bobs))).status, 200);
  for (const [who, target] of [[bob, "listed"], [ada, "listed"], [ada, "openai"]]) {
    assert.equal((await api("DELETE", `/auth/credentials/${target}`, undefined, as(who.token))).status, 204);
  }
  await problem(await api("DELETE", "/auth/credentials/openai", undefined, as(ada.token)), 404);
  assert.equal((await ask(adas, "openai/gpt-6-luna")).status, 404);
  assert.equal((await ask(adas, "listed/m")).status, 502);
});

test("the operator reads calls by provider, model, outcome and duration in Prometheus' form", async () => {
  const [{ n }] = await sql("SELECT count(*) AS n FROM model_calls");
  await until(async () => (await sql("SELECT sum(calls) AS n FROM model_metrics"))[0].n === n);
  const response = await api("GET", "/metrics", undefined, as(ADMIN_TOKEN));
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const value = (series) => Number(text.split("\n").find((line) => line.startsWith(`${series} `))?.split(" ").at(-1));
  const luna = '{provider="openai",model="openai/gpt-6-luna",outcome="ok"';
  const [{ ok: answered }] = await sql("SELECT count(*) AS ok FROM model_calls WHERE model = 'openai/gpt-6-luna' AND status = 200");
  assert.ok(answered > 0);
  for (const name of ["requests_total", "first_token_seconds_count", "total_seconds_count", "attempts_count"]) assert.equal(value(`hatch_gateway_${name}${luna}}`), answered, name);
  for (const name of ["first_token_seconds", "total_seconds", "attempts"]) {
    assert.match(text, new RegExp(`# TYPE hatch_gateway_${name} histogram`));
    const buckets = text.split("\n").filter((line) => line.startsWith(`hatch_gateway_${name}_bucket${luna}`));
    const counts = buckets.map((line) => Number(line.split(" ").at(-1)));
    assert.ok(buckets.at(-1).includes('le="+Inf"') && counts.at(-1) === answered, buckets.join("\n"));
    assert.deepEqual(counts, counts.toSorted((a, b) => a - b));
    assert.ok(value(`hatch_gateway_${name}_sum${luna}}`) >= 0);
  }
  const failed = '{provider="listed",model="listed/m",outcome="failed"}';
  assert.ok(value(`hatch_gateway_requests_total${failed}`) > 0, text);
  // A name that a caller invented gets no series of its own.
  const made = await ask(await keyOf(ada), "listed/made-up-by-a-caller");
  assert.equal(made.status, 502);
  const again = await (await api("GET", "/metrics", undefined, as(ADMIN_TOKEN))).text();
  assert.ok(!again.includes("made-up") && again.includes('model="listed/other"'), again);
});
