// The cache of answers (`x-gateway-cache`): which requests are the same, whose
// answers they get, and what is never cached.

import assert from "node:assert/strict";
import test, { after } from "node:test";
import { until } from "./support/deployments.js";
import { startOpenAI } from "./fakes/openai.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { startWorker } from "./support/harness.js";
import { as, people, production } from "./support/people.js";

const [stack, gpt] = [await startStackAuth(), await startOpenAI()];
after(() => Promise.all([stack.close(), gpt.close()]));
const model = (id) => ({ id, context: 200000, max_output: 100, input: 1, output: 10, capabilities: ["tools"] });
const worker = await startWorker({
  ...production(stack), GATEWAY_IDLE_MS: "2000",
  PROVIDERS: JSON.stringify([{ name: "gpt", base_url: `${gpt.url}/v1`, key: gpt.key, dialect: "openai", models: [model("m"), model("n")] }]),
});
const { api, sql } = worker;
const { signIn, newKey, ok } = people(worker, stack);
const [ada, bob] = [await signIn(), await signIn()];
const keyOf = async (who, gateway) => (await newKey(who.token, { scopes: ["gateway", "account"], gateway })).key;
const [adas, bobs] = [await keyOf(ada), await keyOf(bob)];

const CACHE = { "x-gateway-cache": "60" };
let questions = 0;
/** A question that has not been asked before. */
const fresh = () => [{ role: "user", content: `Question ${questions += 1}` }];
const ask = (key, body, headers = CACHE) => api("POST", "/v1/chat/completions", { model: "gpt/m", ...body }, { ...as(key), ...headers });
const closed = async () => (await sql("SELECT count(*) AS n FROM model_calls"))[0].n;
/** Asks, reads the answer, and waits until the call is recorded, which is after the answer is cached. */
async function told(key, body, headers) {
  const before = await closed();
  const response = await ask(key, body, headers);
  const text = await response.text();
  await until(async () => (await closed()) > before);
  return { status: response.status, cache: response.headers.get("x-gateway-cache"), text };
}
/** How often the provider was asked during `what`. */
async function asked(what) {
  const before = gpt.requests.length;
  await what();
  return gpt.requests.length - before;
}
const contentOf = (text) => (text.startsWith("data:")
  ? text.split("\n\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)).choices[0]?.delta.content ?? "").join("")
  : JSON.parse(text).choices[0].message.content);

test("a cached answer is repeated, whole or as a stream, and costs nothing the second time", async () => {
  for (const streams of [[false, false, true], [true, true, false]]) {
    const messages = fresh();
    gpt.setAnswer("Grüße 👋 from the model.");
    const count = await asked(async () => {
      for (const [index, stream] of streams.entries()) {
        const { status, cache, text } = await told(adas, { messages, stream });
        assert.deepEqual([status, cache, contentOf(text)], [200, index ? "hit" : "miss", "Grüße 👋 from the model."]);
        if (stream) assert.ok(text.endsWith("data: [DONE]\n\n"));
        gpt.setAnswer("Another answer.");
      }
    });
    assert.equal(count, 1);
  }
  const { data: [day] } = await ok("GET", "/v1/usage", undefined, ada.token);
  assert.deepEqual([day.requests, day.cacheHits], [6, 4]);
  const costs = await sql("SELECT cache, max(cost_micro_usd) AS most FROM model_calls GROUP BY cache ORDER BY cache");
  assert.deepEqual(costs.map(({ cache, most }) => [cache, most > 0]), [["hit", false], ["miss", true]]);
});

test("the order of members and metadata do not change the cache key, but everything that affects the answer does", async () => {
  const messages = fresh();
  gpt.setAnswer("One.");
  await told(adas, { messages });
  const same = `{"user":"u1","messages":${JSON.stringify(messages.map(({ role, content }) => ({ content, role })))},  "model":"gpt/m"}`;
  assert.equal((await api("POST", "/v1/chat/completions", same, { ...as(adas), ...CACHE })).headers.get("x-gateway-cache"), "hit");
  const others = [{ messages, seed: 1 }, { messages, model: "gpt/n" }, { messages, max_tokens: 5 }, { messages: [...messages, { role: "user", content: "and" }] }];
  for (const body of others) assert.equal((await told(adas, body)).cache, "miss", JSON.stringify(body));
  assert.equal((await told(adas, { messages }, { ...CACHE, "x-gateway-models": "gpt/n" })).cache, "miss");
  const plain = await told(adas, { messages }, {});
  assert.equal(plain.cache, null);
});

test("a cached answer is not shared with other users, other provider keys or other guardrails", async () => {
  const messages = fresh();
  gpt.setAnswer("Only for Ada.");
  await told(adas, { messages });
  gpt.setAnswer("For somebody else.");
  const others = [
    [bobs, CACHE],
    [adas, { ...CACHE, "x-provider-key": gpt.key }],
    [await keyOf(ada, { guardrails: { output: { terms: [{ name: "names", terms: ["Ada"], action: "redact" }] } } }), CACHE],
  ];
  for (const [key, headers] of others) {
    const { cache, text } = await told(key, { messages }, headers);
    assert.deepEqual([cache, contentOf(text)], ["miss", "For somebody else."]);
  }
  // Her second key without rules of its own gets the cached answer; a key that does not allow this model is refused first.
  assert.equal((await told(await keyOf(ada), { messages })).cache, "hit");
  assert.equal((await ask(await keyOf(ada, { models: ["gpt/n"] }), { messages })).status, 403);
  const restricted = await keyOf(ada, { models: ["gpt/n"] });
  const routed = { messages: fresh(), models: ["gpt/n"] };
  await told(adas, routed);
  assert.equal((await told(restricted, routed)).cache, "miss");
});

test("an answer is cached for its own dialect only, and later requests can refer to it", async () => {
  gpt.setAnswer("Hello.");
  const input = `Question ${questions += 1}`;
  const responses = (body = {}) => api("POST", "/v1/responses", { model: "gpt/m", input, ...body }, { ...as(adas), ...CACHE });
  const first = await (await responses({ store: false })).json();
  const again = await responses();
  assert.equal(again.headers.get("x-gateway-cache"), "hit");
  const second = await again.json();
  assert.notEqual(second.id, first.id);
  assert.equal((await api("GET", `/v1/responses/${second.id}`, undefined, as(adas))).status, 200);
  assert.equal((await responses({ previous_response_id: second.id })).headers.get("x-gateway-cache"), "miss");
  const messages = { model: "gpt/m", max_tokens: 50, messages: [{ role: "user", content: input }] };
  const anthropic = () => api("POST", "/v1/messages", messages, { ...as(adas), ...CACHE, "anthropic-version": "2023-06-01" });
  assert.deepEqual([(await anthropic()).headers.get("x-gateway-cache"), (await anthropic()).headers.get("x-gateway-cache")], ["miss", "hit"]);
});

test("errors, cut streams and calls, refusals, results of tools, streams with log probabilities, and answers with a temperature are never cached", async () => {
  const twice = async (body, headers) => [(await told(adas, body, headers)).cache, (await told(adas, body, headers)).cache];
  gpt.setAnswer("word ".repeat(20));
  const cut = { messages: fresh(), stream: true };
  gpt.setFault({ cutAfterBytes: 600 });
  assert.ok(!(await told(adas, cut)).text.includes("[DONE]"));
  assert.equal((await told(adas, cut)).cache, "miss");
  const failed = { messages: fresh() };
  gpt.setFault({ status: 400 });
  assert.equal((await told(adas, failed)).status, 400);
  assert.equal((await told(adas, failed)).cache, "miss");
  gpt.setAnswer({ content: "No.", finish: "content_filter" });
  assert.deepEqual(await twice({ messages: fresh() }), ["miss", "miss"]);
  gpt.setAnswer("Yes.");
  assert.deepEqual(await twice({ messages: fresh(), temperature: 0.5 }), ["miss", "miss"]);
  assert.deepEqual(await twice({ messages: fresh(), temperature: 0.5 }, { "x-gateway-cache": "60;force" }), ["miss", "hit"]);
  assert.deepEqual(await twice({ messages: fresh(), temperature: 0 }), ["miss", "hit"]);
  assert.deepEqual(await twice({ messages: fresh(), logprobs: true }), ["miss", "hit"]);
  assert.deepEqual(await twice({ messages: fresh(), logprobs: true, stream: true }), ["miss", "miss"]);
  gpt.setAnswer({ toolCalls: [{ id: "call_1", name: "f", args: '{"city":"Par' }], finish: "length" });
  assert.deepEqual(await twice({ messages: fresh(), stream: true }), ["miss", "miss"]);
  gpt.setAnswer("Yes.");
  const call = { id: "call_1", type: "function", function: { name: "f", arguments: "{}" } };
  const messages = [...fresh(), { role: "assistant", content: null, tool_calls: [call] }, { role: "tool", tool_call_id: "call_1", content: "x" }];
  assert.deepEqual(await twice({ messages }, { "x-gateway-cache": "60;force" }), ["miss", "miss"]);
  for (const wrong of ["0", "86401", "soon", "60;never"]) assert.equal((await ask(adas, { messages }, { "x-gateway-cache": wrong })).status, 400, wrong);
});

test("a stream that a guardrail has changed is cached in its changed form", async () => {
  const SECRET = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
  const key = await keyOf(ada, { guardrails: { output: { secrets: { action: "redact" } } } });
  gpt.setAnswer(`It is ${SECRET}, as you know.`);
  const messages = fresh();
  for (const [stream, cache] of [[true, "miss"], [true, "hit"], [false, "hit"]]) {
    const answer = await told(key, { messages, stream });
    assert.equal(answer.cache, cache);
    assert.ok(!answer.text.includes("ghp_") && answer.text.includes("REDACTED"), answer.text);
  }
});

test("a legacy completion is cached by prompt, whole or as a stream", async () => {
  const complete = async (body) => {
    const before = await closed();
    const response = await api("POST", "/v1/completions", { model: "gpt/m", ...body }, { ...as(adas), ...CACHE });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    await until(async () => (await closed()) > before);
    return [response.headers.get("x-gateway-cache"), text];
  };
  const textsOf = (text) => JSON.parse(text).choices.map(({ text: said }) => said);
  const [{ content: one }, { content: two }] = [...fresh(), ...fresh()];
  gpt.setAnswer("Cached.");
  const count = await asked(async () => {
    const [first, whole] = await complete({ prompt: one });
    assert.deepEqual([first, textsOf(whole)], ["miss", ["Cached."]]);
    const [again, stream] = await complete({ prompt: one, stream: true });
    const chunks = stream.split("\n\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
    assert.deepEqual([again, chunks.map(({ choices }) => choices[0].text).join("")], ["hit", "Cached."]);
    const [, both] = await complete({ prompt: [one, two] });
    assert.deepEqual(textsOf(both), ["Cached.", "Cached."]);
    assert.equal((await complete({ prompt: two }))[0], "hit");
    const [other, echoed] = await complete({ prompt: one, echo: true });
    assert.deepEqual([other, textsOf(echoed)], ["hit", [`${one}Cached.`]]);
    const [{ content: three }] = fresh();
    assert.equal((await complete({ prompt: [three, three] }))[0], "miss", "its first prompt was not cached");
    // A body for both APIs is another question in each.
    const ofBoth = { prompt: three, messages: fresh() };
    await told(adas, ofBoth);
    gpt.setAnswer("Completed.");
    assert.deepEqual(textsOf((await complete(ofBoth))[1]), ["Completed."]);
  });
  assert.equal(count, 5);
});
