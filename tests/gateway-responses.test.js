// The Responses API with upstreams that speak it and with others, through OpenAI's SDK: what the client saw can be sent
// back, and referred to by its ids, whole answers and streams alike.

import assert from "node:assert/strict";
import test, { after } from "node:test";
import OpenAI from "openai";
import { until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startOpenAI } from "./fakes/openai.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { startWorker } from "./support/harness.js";
import { as, people, production } from "./support/people.js";

const [stack, claude, gpt] = [await startStackAuth(), await startAnthropic(), await startOpenAI()];
after(() => Promise.all([stack.close(), claude.close(), gpt.close()]));
const worker = await startWorker({
  ...production(stack), SEALING_KEY: "0f".repeat(32), GATEWAY_IDLE_MS: "2000",
  OPENAI_API_KEY: gpt.key, OPENAI_BASE_URL: `${gpt.url}/v1`, CLAUDE_API_KEY: claude.key, CLAUDE_BASE_URL: claude.url,
});
const { api, sql } = worker;
const { signIn, newKey, ok } = people(worker, stack);
const keyOf = async (who, gateway) => (await newKey(who.token, { scopes: ["gateway", "account"], gateway })).key;
const [ada, bob] = [await signIn(), await signIn()];
const [adas, bobs] = [await keyOf(ada), await keyOf(bob)];
const sdk = (key) => new OpenAI({ apiKey: key, baseURL: `${worker.url}/v1`, maxRetries: 0 });
const client = sdk(adas);

const [GPT, CLAUDE] = ["openai/gpt-6.1-terra", "anthropic/claude-sonnet-5-5"];
const TOOLS = ["look", "search"].map((name) => ({ type: "function", name, strict: false, parameters: { type: "object", properties: { q: { type: "string" } } } }));
const QUESTION = { type: "message", role: "user", content: "Where is it?" };
const SUMMARY = { effort: "low", summary: "auto" };
const INCLUDE = ["reasoning.encrypted_content"];
const ENDED = /function_call_output|tool_result/;

let calls = 0;
const callIds = () => [(calls += 1), (calls += 1)].map((n) => `call_${n}`);
const answerAsBefore = () => gpt.setAnswer((body) => {
  const thinks = "Let me think of it.";
  if (ENDED.test(JSON.stringify(body.input))) return { thinks, content: "It is here." };
  return { thinks, searches: "it", toolCalls: callIds().map((id, n) => ({ id, name: TOOLS[n].name, args: '{"q":"it"}' })) };
});
answerAsBefore();
claude.setAnswer((body) => {
  const thinking = { type: "thinking", thinking: "Let me think of it." };
  if (ENDED.test(JSON.stringify(body.messages))) return [thinking, { type: "text", text: "It is here." }];
  return [thinking, { type: "text", text: "I look." }, ...callIds().map((id, n) => ({ type: "tool_use", id, name: TOOLS[n].name, input: { q: "it" } }))];
});

/** Asks for a response, as a stream or whole, and waits until it is stored. */
async function respond(way, body, as = client, options) {
  const [{ n }] = await sql("SELECT count(*) AS n FROM model_calls");
  const response = way === "stream" ? await as.responses.stream({ tools: TOOLS, ...body }, options).finalResponse() : await as.responses.create({ tools: TOOLS, ...body }, options);
  await until(async () => (await sql("SELECT count(*) AS n FROM model_calls"))[0].n > n);
  return response;
}
const ask = (way, model, more = {}) => respond(way, { model, input: [QUESTION], reasoning: { effort: "low" }, ...more });
const results = ({ output }) => output.filter(({ type }) => type === "function_call").map(({ call_id }) => ({ type: "function_call_output", call_id, output: "Left." }));
const types = (items) => items.map(({ type }) => type);
/** As the SDK's user sends items back: without what the SDK itself adds to them. */
const sent = (items) => items.map(({ parsed_arguments: _, ...item }) => item);
const lastInput = () => gpt.requests.at(-1).body.input;
/** The assistant's blocks that Claude got, and whether its thoughts were as it had signed them. */
const lastTurn = () => claude.requests.at(-1).body.messages.find(({ role }) => role === "assistant").content;

for (const way of ["whole", "stream"]) {
  test(`${way}: what an upstream of the same dialect answered is what the client sees and what is stored`, async () => {
    const response = await ask(way, GPT, { reasoning: SUMMARY, instructions: "Be brief.", metadata: { a: "b" } });
    const upstream = gpt.requests.at(-1).body;
    assert.deepEqual([upstream.store, upstream.include, upstream.model], [false, INCLUDE, "gpt-6.1-terra"], "nothing is stored there");
    assert.deepEqual(types(response.output), ["reasoning", "web_search_call", "function_call", "function_call"]);
    assert.match(response.id, /^resp_[0-9a-f]{32}$/);
    assert.match(response.output[0].id, /^rs_up/);
    assert.deepEqual([response.store, response.service_tier, response.previous_response_id, response.metadata], [true, "default", null, { a: "b" }]);
    assert.ok(response.created_at > 1795824000 && response.created_at < 1795825000, "the upstream's time");
    const kept = await client.responses.retrieve(response.id);
    assert.deepEqual(kept.output, sent(response.output));
    for (const seen of [response, kept]) assert.ok(!JSON.stringify(seen).includes("encrypted_content"), "not asked for");

    const last = await respond(way, { model: GPT, previous_response_id: response.id, input: results(response) });
    assert.deepEqual([last.output_text, last.output.at(-1).phase, last.previous_response_id], ["It is here.", "final_answer", response.id]);
  });

  for (const [name, more] of Object.entries({ plain: {}, summary: { reasoning: SUMMARY } })) {
    test(`${way}, ${name}: a next request refers to the answer of OpenAI, or to its items, with its thoughts`, async () => {
      const before = ["message", "reasoning", "web_search_call", "function_call", "function_call", "function_call_output", "function_call_output"];
      const first = await ask(way, GPT, more);
      await respond(way, { model: GPT, previous_response_id: first.id, input: results(first) });
      assert.deepEqual(types(lastInput()), before);
      assert.equal(lastInput()[1].summary.length, more.reasoning ? 1 : 0);
      assert.ok(!("previous_response_id" in gpt.requests.at(-1).body));

      const byReference = await ask(way, GPT, more);
      const references = byReference.output.map(({ id }) => ({ type: "item_reference", id }));
      const second = await respond(way, { model: GPT, input: [QUESTION, ...references, ...results(byReference)] });
      assert.deepEqual(types(lastInput()), before);
      // What was only referred to is stored with the answer to it.
      await respond(way, { model: GPT, previous_response_id: second.id, input: "Thanks." });
      assert.deepEqual(types(lastInput()), [...before, "reasoning", "message", "message"]);

      const resent = await ask(way, GPT, more);
      await respond(way, { model: GPT, input: [QUESTION, ...sent(resent.output), ...results(resent)] });
      assert.deepEqual(types(lastInput()), before);
      assert.ok(lastInput()[1].encrypted_content.startsWith("gAAAA"));
    });

    test(`${way}, ${name}: a client without storage sends OpenAI's encrypted thoughts back, in one item each`, async () => {
      const alone = { store: false, include: INCLUDE };
      const first = await ask(way, GPT, { ...alone, ...more });
      assert.deepEqual([types(first.output), first.store], [["reasoning", "web_search_call", "function_call", "function_call"], false]);
      assert.ok(first.output[0].encrypted_content.startsWith("gAAAA"));
      assert.equal(first.output[0].summary.length, more.reasoning ? 1 : 0);
      await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);
      const last = await respond(way, { model: GPT, ...alone, input: [QUESTION, ...sent(first.output), ...results(first)] });
      assert.equal(last.output_text, "It is here.");
      assert.deepEqual(lastInput()[1].encrypted_content, first.output[0].encrypted_content);
    });

    test(`${way}, ${name}: a next request to Claude has the thoughts that Claude signed, whether the client has seen them or not`, async () => {
      const first = await ask(way, CLAUDE, more);
      assert.deepEqual(types(first.output), ["reasoning", "message", "function_call", "function_call"]);
      assert.ok(!JSON.stringify(first).includes("encrypted_content"));
      const whole = ["thinking", "text", "tool_use", "tool_use"];
      await respond(way, { model: CLAUDE, previous_response_id: first.id, input: results(first) });
      assert.deepEqual(types(lastTurn()), whole);
      const references = first.output.map(({ id }) => ({ type: "item_reference", id }));
      await respond(way, { model: CLAUDE, input: [QUESTION, ...references, ...results(first)] });
      assert.deepEqual(types(lastTurn()), whole);
      const last = await respond(way, { model: CLAUDE, input: [QUESTION, ...sent(first.output), ...results(first)] });
      assert.deepEqual([types(lastTurn()), last.output_text], [whole, "It is here."]);
      assert.ok(!JSON.stringify(await client.responses.retrieve(first.id)).includes("encrypted_content"));

      const included = await ask(way, CLAUDE, { ...more, include: INCLUDE, store: false });
      await respond(way, { model: CLAUDE, input: [QUESTION, ...sent(included.output), ...results(included)] });
      assert.deepEqual(types(lastTurn()), whole);
    });
  }

  test(`${way}: a conversation goes on at another provider, without the thoughts of the one before`, async () => {
    for (const more of [{}, { include: INCLUDE }]) {
      const claudes = await ask(way, CLAUDE, more);
      const items = [QUESTION, ...sent(claudes.output), ...results(claudes)];
      assert.equal((await respond(way, { model: GPT, input: items })).output_text, "It is here.");
      assert.equal((await respond(way, { model: GPT, previous_response_id: claudes.id, input: results(claudes) })).output_text, "It is here.");
      assert.deepEqual(types(lastInput()), ["message", "message", "function_call", "function_call", "function_call_output", "function_call_output"]);
      const gpts = await ask(way, GPT, more);
      assert.equal((await respond(way, { model: CLAUDE, input: [QUESTION, ...sent(gpts.output), ...results(gpts)] })).output_text, "It is here.");
    }
  });

  test(`${way}: under a guardrail a thought is one item too, and can be sent back`, async () => {
    const guarded = sdk(await keyOf(ada, { guardrails: { output: { secrets: { action: "redact" } } } }));
    for (const more of [{}, { reasoning: SUMMARY }, { include: INCLUDE }, { include: INCLUDE, store: false, reasoning: SUMMARY }]) {
      const first = await respond(way, { model: GPT, input: [QUESTION], ...more }, guarded);
      assert.deepEqual(types(first.output), ["reasoning", "web_search_call", "function_call", "function_call"], JSON.stringify(more));
      await respond(way, { model: GPT, input: [QUESTION, ...sent(first.output), ...results(first)] }, guarded);
      assert.deepEqual(types(lastInput()), ["message", "reasoning", "web_search_call", "function_call", "function_call", "function_call_output", "function_call_output"]);
      assert.ok(lastInput()[1].encrypted_content.startsWith("gAAAA"));
      if (more.store !== false) await respond(way, { model: GPT, previous_response_id: first.id, input: results(first) }, guarded);
    }
  });

  test(`${way}: a guardrail reads the items of tools that the vendor runs`, async () => {
    const secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
    const searched = async (action) => {
      gpt.setAnswer(() => ({ searches: `what is ${secret}`, draws: secret, content: "It is here." }));
      const guarded = sdk(await keyOf(ada, { guardrails: { output: { secrets: { action } } } }));
      const response = await respond(way, { model: GPT, input: [QUESTION], tools: [] }, guarded);
      answerAsBefore();
      return response;
    };
    const redacted = await searched("redact");
    assert.deepEqual(types(redacted.output), ["web_search_call", "image_generation_call", "message"]);
    assert.match(redacted.output[0].action.query, /^what is (?!ghp_)/);
    assert.equal(redacted.output[1].result, secret, "the bytes of a picture are no text");
    const blocked = await searched("block");
    // A stream has shown that there is a search, but not for what.
    const shown = way === "stream" ? [["web_search_call", "failed", undefined]] : [];
    assert.deepEqual(blocked.output.map(({ type, status, action }) => [type, status, action]), shown);
    assert.deepEqual([blocked.status, blocked.incomplete_details?.reason], ["incomplete", "content_filter"]);
  });

  test(`${way}: another user finds neither the answer nor its items`, async () => {
    const first = await ask(way, GPT);
    const others = sdk(bobs);
    await assert.rejects(others.responses.retrieve(first.id), OpenAI.NotFoundError);
    await assert.rejects(others.responses.inputItems.list(first.id), OpenAI.NotFoundError);
    await assert.rejects(others.responses.create({ model: GPT, previous_response_id: first.id, input: "x" }), { status: 400, code: "previous_response_not_found", param: "previous_response_id" });
    await assert.rejects(others.responses.create({ model: GPT, input: [{ type: "item_reference", id: first.output[0].id }] }), OpenAI.NotFoundError);
    // A thought of somebody else's is left out, as one that is not stored at all.
    await others.responses.create({ model: GPT, input: [QUESTION, first.output[0]] });
    assert.deepEqual(types(lastInput()), ["message"]);
  });
}

test("a stream that was held back, or comes from the cache, has all items with the ids under which they are stored", async () => {
  const headers = [{ "x-gateway-stream-mode": "buffered" }, { "x-gateway-cache": "60" }, { "x-gateway-cache": "60" }];
  for (const each of headers) {
    const names = new Set();
    const stream = client.responses.stream({ model: GPT, input: [QUESTION], tools: TOOLS, reasoning: SUMMARY }, { headers: each });
    stream.on("event", ({ type }) => names.add(type));
    const response = await stream.finalResponse();
    assert.deepEqual(types(response.output), ["reasoning", "web_search_call", "function_call", "function_call"]);
    assert.equal(response.output[2].arguments, '{"q":"it"}');
    assert.ok(names.has("response.function_call_arguments.done") && names.has("response.reasoning_summary_text.delta"));
    assert.deepEqual((await client.responses.retrieve(response.id)).output, sent(response.output));
    const last = await respond("stream", { model: GPT, previous_response_id: response.id, input: results(response) }, client, { headers: each });
    assert.equal(last.output_text, "It is here.");
    assert.equal(lastInput()[1].type, "reasoning");
  }
  const hit = await api("POST", "/v1/responses", { model: GPT, input: [QUESTION], tools: TOOLS, reasoning: SUMMARY }, { ...as(adas), "x-gateway-cache": "60" });
  assert.equal(hit.headers.get("x-gateway-cache"), "hit");
});

test("under a guardrail a client sees what the vendor's tools are doing, and what they did when it is whole", async () => {
  gpt.setAnswer(() => ({ searches: "it", draws: "AAAA", content: "It is here." }));
  const guarded = sdk(await keyOf(ada, { guardrails: { output: { secrets: { action: "redact" } } } }));
  const said = [];
  const stream = guarded.responses.stream({ model: GPT, input: [QUESTION] });
  stream.on("event", ({ type, item }) => said.push([type.replace("response.", ""), item?.status, item?.action?.query ?? item?.result]));
  const response = await stream.finalResponse();
  answerAsBefore();
  assert.deepEqual(said.slice(2, 12), [
    ["output_item.added", "in_progress", undefined], ["web_search_call.in_progress", undefined, undefined],
    ["web_search_call.searching", undefined, undefined], ["web_search_call.completed", undefined, undefined], ["output_item.done", "completed", "it"],
    ["output_item.added", "in_progress", ""], ["image_generation_call.in_progress", undefined, undefined],
    ["image_generation_call.generating", undefined, undefined], ["image_generation_call.completed", undefined, undefined], ["output_item.done", "completed", "AAAA"],
  ]);
  assert.deepEqual(types(response.output), ["web_search_call", "image_generation_call", "message"]);
});

test("deltas of OpenAI's stream pass as they came", async () => {
  const response = await api("POST", "/v1/responses", { model: GPT, input: [{ type: "function_call", call_id: "c", name: "look", arguments: "{}" }, { type: "function_call_output", call_id: "c", output: "x" }], stream: true }, as(adas));
  const text = await response.text();
  assert.match(text, /event: response\.output_text\.delta\ndata: \{"type":"response\.output_text\.delta","item_id":"msg_up\d+","output_index":1,"content_index":0,"delta":"It is","logprobs":\[\],"sequence_number":\d+\}\n\n/);
  assert.ok(!text.includes("resp_up") && !text.includes("encrypted_content"), text);
});

test("what belongs to an account at OpenAI needs a key of that account", async () => {
  const own = { headers: { "x-provider-key": gpt.key } };
  for (const [name, value] of [["conversation", "conv_own"], ["prompt", { id: "pmpt_own" }]]) {
    for (const model of [GPT, CLAUDE]) {
      await assert.rejects(client.responses.create({ model, input: "Hi", [name]: value }), { status: 400, param: name });
    }
    await assert.rejects(client.responses.create({ model: CLAUDE, input: "Hi", [name]: value }, { headers: { "x-provider-key": claude.key } }), { status: 400, param: name });
    await client.responses.create({ model: GPT, input: "Hi", [name]: value }, own);
    assert.deepEqual(gpt.requests.at(-1).body[name], value);
    await client.responses.create({ model: GPT, input: "Hi", [name]: null });
  }
  assert.equal(gpt.account.stored.size, 0, "no request of this file has stored anything at OpenAI");
});

test("the input of a stored answer is listed page by page", async () => {
  const first = await ask("whole", GPT, { input: [{ role: "user", content: "One" }, { role: "user", content: [{ type: "input_text", text: "Two" }] }] });
  const second = await respond("whole", { model: GPT, previous_response_id: first.id, input: results(first) });
  const all = await Array.fromAsync(client.responses.inputItems.list(second.id, { order: "asc" }));
  assert.deepEqual(types(all), ["message", "message", "reasoning", "web_search_call", "function_call", "function_call", "function_call_output", "function_call_output"]);
  assert.deepEqual(all[0].content, [{ type: "input_text", text: "One" }]);
  assert.ok(!JSON.stringify(all).includes("encrypted_content"));
  assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
  for (const order of ["asc", "desc"]) {
    const paged = await Array.fromAsync(client.responses.inputItems.list(second.id, { order, limit: 3 }));
    assert.deepEqual(paged, order === "asc" ? all : all.toReversed());
  }
  const page = await ok("GET", `/v1/responses/${second.id}/input_items?limit=2`, undefined, adas);
  assert.deepEqual([page.object, page.data.length, page.first_id, page.last_id, page.has_more], ["list", 2, all.at(-1).id, all.at(-2).id, true]);
  await assert.rejects(client.responses.inputItems.list("resp_nobody"), OpenAI.NotFoundError);
  for (const query of ["limit=0", "limit=101", "order=up"]) assert.equal((await api("GET", `/v1/responses/${second.id}/input_items?${query}`, undefined, as(adas))).status, 400, query);
});

test("what only a response in the background can is refused in OpenAI's words", async () => {
  const { id } = await ask("whole", GPT, { input: "Hi" });
  await assert.rejects(client.responses.cancel(id), { status: 400, type: "invalid_request_error", message: /Cannot cancel a synchronous response/ });
  await assert.rejects(client.responses.retrieve(id, { stream: true }), { status: 400, message: /not created with background=true/ });
  assert.equal((await client.responses.retrieve(id, { stream: false })).id, id);
  await assert.rejects(client.responses.cancel("resp_nobody"), OpenAI.NotFoundError);
  await assert.rejects(client.responses.create({ model: GPT, input: "Hi", background: true }), { status: 400, param: "background" });
});

test("an answer that is too large for a row is kept whole for a day, and its object goes with it", async () => {
  const { FILES } = worker.env;
  const sweep = () => worker.worker.scheduled({ cron: "* * * * *" });
  const picture = "iVBORw0KGgo".repeat(200_000);
  const draw = async (who = client) => {
    gpt.setAnswer(() => ({ thinks: "A cat.", draws: picture, content: "Here." }));
    const response = await respond("whole", { model: GPT, input: [QUESTION], tools: [{ type: "image_generation" }] }, who);
    gpt.setAnswer("A cat.");
    const [{ file, items }] = await sql("SELECT file, items FROM model_responses WHERE id = ?", response.id);
    assert.ok(items.length < 1_000 && (await FILES.head(file)), "it is in the bucket");
    return { response, file };
  };
  const gone = async (file, why) => {
    await sweep();
    assert.equal(await FILES.head(file), null, why);
    assert.deepEqual(await sql("SELECT key FROM unused_files"), [], why);
  };
  const { response, file } = await draw();
  assert.equal(response.store, true);
  await sweep();
  assert.deepEqual((await client.responses.retrieve(response.id)).output, sent(response.output));
  const pictures = (items) => items.filter(({ result }) => result === picture).length;
  const next = await respond("whole", { model: GPT, previous_response_id: response.id, input: "What is it?" });
  assert.deepEqual([types(lastInput()), pictures(lastInput())], [["message", "reasoning", "image_generation_call", "message", "message"], 1]);
  const all = await Array.fromAsync(client.responses.inputItems.list(next.id, { order: "asc" }));
  assert.deepEqual([all.length, pictures(all)], [5, 1]);
  const reference = { type: "item_reference", id: response.output.find(({ type }) => type === "image_generation_call").id };
  await client.responses.create({ model: GPT, input: [reference, QUESTION], store: false });
  assert.deepEqual([types(lastInput()), pictures(lastInput())], [["image_generation_call", "message"], 1]);
  await assert.rejects(sdk(bobs).responses.create({ model: GPT, input: [reference, QUESTION] }), OpenAI.NotFoundError);
  await assert.rejects(sdk(bobs).responses.retrieve(response.id), OpenAI.NotFoundError);

  await client.responses.delete(response.id);
  await assert.rejects(client.responses.retrieve(response.id), OpenAI.NotFoundError);
  await gone(file, "deleted");
  await client.responses.delete(next.id);
  await sweep();
  const old = await draw();
  await sql("UPDATE model_responses SET expires_at = 1 WHERE id = ?", old.response.id);
  // The first sweep deletes the row, the second one the object.
  await sweep();
  await gone(old.file, "the day is over");
  const cid = await signIn();
  const lost = await draw(sdk(await keyOf(cid)));
  assert.equal((await api("DELETE", `/auth/me?confirm=${cid.userId}`, undefined, as(cid.token))).status, 204);
  await gone(lost.file, "the account is deleted");
  answerAsBefore();
});

test("input tokens are estimated, those of the answer before included", async () => {
  const count = (body) => client.responses.inputTokens.count(body);
  const short = await count({ model: GPT, input: "Hi" });
  assert.deepEqual([short.object, short.input_tokens > 0], ["response.input_tokens", true]);
  assert.ok((await count({ model: GPT, input: "Hi", tools: TOOLS })).input_tokens > short.input_tokens);
  const first = await ask("whole", GPT);
  assert.ok((await count({ model: GPT, input: results(first), previous_response_id: first.id })).input_tokens > short.input_tokens);
  await assert.rejects(count({ model: GPT, input: [1] }), OpenAI.BadRequestError);
});

test("a conversation is compacted by a provider that can, paid like an answer, and goes on with what is left", async () => {
  const first = await ask("whole", GPT);
  const { key, id } = await newKey(ada.token, { scopes: ["gateway"], gateway: { budget: { microUsd: 1_000_000, per: "day" } } });
  const compacted = await sdk(key).responses.compact({ model: GPT, previous_response_id: first.id, input: results(first), instructions: "Be brief." });
  assert.deepEqual([compacted.object, types(compacted.output)], ["response.compaction", ["message", "compaction"]]);
  assert.match(compacted.id, /^resp_[0-9a-f]{32}$/);
  const upstream = gpt.requests.at(-1);
  assert.deepEqual([upstream.path, Object.keys(upstream.body).sort()], ["/v1/responses/compact", ["input", "instructions", "model"]]);
  assert.deepEqual(types(upstream.body.input), ["message", "reasoning", "web_search_call", "function_call", "function_call", "function_call_output", "function_call_output"]);
  const [call] = await sql("SELECT model, status, input_tokens AS input, output_tokens AS output, cost_micro_usd AS cost, is_estimated FROM model_calls ORDER BY created_at DESC, id LIMIT 1");
  assert.deepEqual([call.model, call.status, call.input, call.output, call.is_estimated], [GPT, 200, 12, 7, 0]);
  assert.ok(call.cost > 0 && call.cost === (await sql("SELECT used FROM model_budgets WHERE subject = ?", `key:${id}`))[0].used);

  await client.responses.create({ model: GPT, input: [...compacted.output, QUESTION] });
  assert.deepEqual(types(lastInput()), ["message", "compaction", "message"]);
  assert.equal(lastInput()[1].encrypted_content, compacted.output[1].encrypted_content);
  // Nothing but the answers before, and another provider, which cannot read what was left out.
  const ended = await respond("whole", { model: GPT, previous_response_id: first.id, input: results(first) });
  assert.equal((await client.responses.compact({ model: GPT, previous_response_id: ended.id })).object, "response.compaction");
  await client.responses.create({ model: CLAUDE, input: [...compacted.output, QUESTION] });
  assert.ok(!JSON.stringify(claude.requests.at(-1).body).includes("compacted"));
  await assert.rejects(client.responses.retrieve(compacted.id), OpenAI.NotFoundError);
});

test("what compacts a conversation gets one member of each name, and quotes no key", async () => {
  const secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
  const redacting = await keyOf(ada, { guardrails: { input: { secrets: { action: "redact" } } } });
  const compact = (content) => api("POST", "/v1/responses/compact", `{"model":"${GPT}","input":[{"type":"message","role":"user",${content}}]}`, as(redacting));
  for (const content of [`"content":"${secret}","content":"Hi"`, `"content":[{"type":"input_text","text":"${secret}","text":"Hi"}]`]) {
    const compacted = await compact(content);
    assert.equal(compacted.status, 200, await compacted.text());
    assert.ok(!gpt.requests.at(-1).raw.toString().includes("ghp_"), content);
  }
  gpt.setFault({ raw: [JSON.stringify({ error: { message: `Bad ${gpt.key} in header` } })], times: 9 });
  const text = await (await compact('"content":"Hi"')).text();
  assert.ok(text.includes("Bad [redacted]") && !text.includes(gpt.key), text);
  gpt.setFault();
});

test("an item with half of an emoji stays in the conversation, in a row and in an object", async () => {
  gpt.setAnswer("It is here.");
  for (const length of [1, 1_600_000]) {
    const asked = await api("POST", "/v1/responses", `{"model":"${GPT}","input":[{"role":"user","content":"First."},{"role":"user","content":"${"x".repeat(length)}\\ud83d"}]}`, as(adas));
    const { id } = await asked.json();
    await until(async () => (await sql("SELECT 1 FROM model_responses WHERE id = ?1", id)).length === 1);
    const { data } = await client.responses.inputItems.list(id, { order: "asc" });
    assert.deepEqual(data.map(({ content: [{ text }] }) => text.slice(-1)), [".", "\ufffd"]);
    assert.equal((await client.responses.create({ model: GPT, input: "Sure?", previous_response_id: id })).status, "completed");
    assert.equal(gpt.requests.at(-1).body.input.length, 4);
  }
  answerAsBefore();
});

test("a provider without compaction says so, and guardrails read what is compacted", async () => {
  await assert.rejects(client.responses.compact({ model: CLAUDE, input: "Hi" }), { status: 400, param: "model", code: "unsupported_value", message: /does not offer \/responses\/compact/ });
  await assert.rejects(client.responses.compact({ model: GPT }), { status: 400, param: "input" });
  const secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
  const input = [{ type: "message", role: "user", content: `It is ${secret}.` }, { type: "compaction", id: "cmp_x", encrypted_content: "gAAAAnobodys" }];
  const guarded = (action) => keyOf(ada, { guardrails: { input: { secrets: { action } } } }).then(sdk);
  await assert.rejects((await guarded("block")).responses.compact({ model: GPT, input }), { status: 400, code: "content_policy_violation" });
  const redacting = await guarded("redact");
  await assert.rejects(redacting.responses.compact({ model: GPT, input }), { status: 400, code: "invalid_encrypted_content" });
  const { output } = await redacting.responses.compact({ model: GPT, input: input.slice(0, 1), prompt_cache_key: "k" });
  assert.ok(!JSON.stringify([output, gpt.requests.at(-1).body]).includes("ghp_"));
  assert.equal(gpt.requests.at(-1).body.prompt_cache_key, "k");
  assert.equal((await api("POST", "/v1/responses/compact", { model: GPT, input: "Hi" }, as(await keyOf(ada, { models: ["anthropic/*"] })))).status, 403);
});

test("thoughts that the provider's account cannot decrypt are left out, and the conversation goes on", async () => {
  const foreign = { type: "reasoning", id: "rs_of_another_account", summary: [], encrypted_content: "gAAAAAforeign" };
  const asked = gpt.requests.length;
  for (const way of ["stream", "whole"]) {
    const response = await respond(way, { model: GPT, input: [QUESTION, foreign, { role: "user", content: "And now?" }] });
    assert.equal(response.status, "completed");
    assert.deepEqual(types(lastInput()), ["message", undefined]);
  }
  assert.equal(gpt.requests.length, asked + 4);
});

test("thoughts that Claude does not accept any more, because what came before them has changed, are left out", async () => {
  const message = "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different conversation.";
  for (const way of ["stream", "whole"]) {
    const first = await ask(way, CLAUDE);
    const asked = claude.requests.length;
    claude.setFault({ status: 400, message });
    const last = await respond(way, { model: CLAUDE, instructions: "Answer in French.", previous_response_id: first.id, input: results(first) });
    assert.equal(last.output_text, "It is here.");
    assert.deepEqual(types(lastTurn()), ["text", "tool_use", "tool_use"]);
    assert.equal(claude.requests.length, asked + 2);
  }
  // Anthropic's own clients are told, since their thoughts are theirs.
  const asked = claude.requests.length;
  claude.setFault({ status: 400, message });
  const refused = await api("POST", "/v1/messages", { model: CLAUDE, max_tokens: 10, messages: [{ role: "user", content: "Hi" }] }, { ...as(adas), "anthropic-version": "2023-06-01" });
  assert.deepEqual([refused.status, (await refused.json()).error.message], [400, message]);
  assert.equal(claude.requests.length, asked + 1);
});
