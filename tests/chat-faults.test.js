// Chat when Claude fails: before the first byte an ordinary error and no
// trace of the turn, after it an error event and whatever had come, saved.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { beforeEach, test } from "node:test";
import { chat, claudeVars, codeOf, messages, newProject, send, settled, textOf, eventsOf } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startWorker } from "./support/harness.js";

const claude = await startAnthropic();
const hatch = await startWorker({ ...claudeVars(claude), UPSTREAM_HEAD_TIMEOUT_MS: "5000", UPSTREAM_IDLE_TIMEOUT_MS: "900" });
test.after(() => claude.close());
beforeEach(() => {
  claude.reset();
  hatch.harness.clearLogs();
});

const SECRET = "words that only the upstream knows";
const logged = () => JSON.stringify(hatch.harness.getLogs());

/** Checks that neither the response nor the log shows the upstream's words. */
function assertDiscreet(text) {
  for (const place of [text, logged()]) {
    assert.ok(!place.includes(SECRET) && !place.includes(claude.key) && !/<html|DOCTYPE/i.test(place), place);
  }
}

/** Sends one message that fails before its first byte; the answer must be this error, and no row may be left. */
async function refused(status, code) {
  const id = await newProject(hatch);
  const response = await send(hatch, id);
  const text = await response.text();
  const problem = JSON.parse(text);
  assert.deepEqual([response.status, problem.code], [status, code], text);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(problem.error, problem.detail);
  assertDiscreet(text);
  assert.deepEqual(await messages(hatch, id), []);
  return response;
}

/** Every request is answered with this fault. */
const always = (fault) => claude.setFault({ ...fault, times: Infinity });
const asked = () => claude.count("/v1/messages");

// --- before the first byte ---------------------------------------------------

for (const [status, ours, code] of [[500, 502, "upstream_error"], [529, 503, "upstream_overloaded"], [429, 429, "upstream_rate_limited"], [409, 502, "upstream_rejected"]]) {
  test(`a lasting ${status} is tried three times and then becomes ${ours}`, async () => {
    always({ status, message: SECRET, headers: { "retry-after-ms": "1" } });
    const response = await refused(ours, code);
    assert.equal(asked(), 3);
    assert.equal(response.headers.has("retry-after"), status !== 409);
  });

  test(`a passing ${status} is not noticed by the client`, async () => {
    claude.setFault({ status, headers: { "retry-after-ms": "1" } }, { status, headers: { "retry-after": "0" } });
    const id = await newProject(hatch);
    const { events } = await chat(hatch, id);
    assert.deepEqual([asked(), events.at(-1).event], [3, "done"]);
    assert.equal((await messages(hatch, id)).length, 2);
  });
}

for (const [status, ours, code] of [[400, 502, "upstream_rejected"], [401, 502, "upstream_auth"], [402, 502, "upstream_billing"], [403, 502, "upstream_auth"], [404, 400, "unknown_model"], [413, 400, "conversation_too_long"]]) {
  test(`a ${status} is not tried again and becomes ${ours} ${code}`, async () => {
    always({ status, message: SECRET });
    await refused(ours, code);
    assert.equal(asked(), 1);
  });
}

test("a 404 of a server that is not Anthropic's is not taken for an unknown model", async () => {
  always({ status: 404, html: true });
  await refused(502, "upstream_error");
});

test("a long Retry-After is left to the client", async () => {
  always({ status: 429, message: SECRET, headers: { "retry-after": "120" } });
  const response = await refused(429, "upstream_rate_limited");
  assert.equal(response.headers.get("retry-after"), "120");
  assert.equal(asked(), 1);
});

test("a server's own advice on trying again is followed", async () => {
  always({ status: 529, headers: { "x-should-retry": "false" } });
  await refused(503, "upstream_overloaded");
  assert.equal(asked(), 1);
});

test("a page of HTML from a proxy is an upstream error like any other", async () => {
  always({ status: 500, html: true, headers: { "retry-after-ms": "1" } });
  await refused(502, "upstream_error");
});

test("a server that redirects is not followed", async () => {
  always({ status: 307, headers: { location: `${claude.url}/elsewhere` } });
  await refused(502, "upstream_error");
  assert.equal(claude.count("/elsewhere"), 0);
});

test("a server that never answers is given up at the deadline", async () => {
  always({ hang: true });
  await refused(504, "upstream_timeout");
  assert.equal(asked(), 1);
});

test("a server that sends its head and then nothing is given up at the deadline", async () => {
  always({ stallAfterBytes: 0 });
  await refused(504, "upstream_timeout");
  assert.equal(asked(), 1);
});

for (const fault of [{ refuse: true }, { cutAfterBytes: 0 }, { emptyStream: true }]) {
  test(`${JSON.stringify(fault)} is tried three times and then becomes 502`, async () => {
    always(fault);
    await refused(502, "upstream_unreachable");
    assert.equal(claude.requests.length, 3);
  });

  test(`${JSON.stringify(fault)} once is not noticed by the client`, async () => {
    claude.setFault(fault);
    const { events } = await chat(hatch, await newProject(hatch));
    assert.equal(events.at(-1).event, "done");
  });
}

test("an answer that is not an event stream becomes 502", async () => {
  always({ wrongContentType: true });
  await refused(502, "upstream_error");
});

const START = `event: message_start\ndata: {"type":"message_start","message":{"model":"claude-sonnet-5-5","usage":{"input_tokens":25,"output_tokens":1}}}\n\n`;
const PING = 'event: ping\ndata: {"type":"ping"}\n\n';
const OVERLOADED = `data: {"type":"error","error":{"type":"overloaded_error","message":"${SECRET}"}}\n\n`;
const ERROR = `event: error\n${OVERLOADED}`;
const BLOCK = 'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n';
const thought = (text) => `event: content_block_delta\ndata: ${JSON.stringify({ type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: text } })}\n\n`;
const word = (text) => `event: content_block_delta\ndata: ${JSON.stringify({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })}\n\n`;
const stop = (usage = { output_tokens: 5 }) => `event: message_delta\ndata: ${JSON.stringify({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage })}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n`;

for (const [what, raw] of Object.entries({
  "as the first event": [ERROR],
  "after a ping": [PING, ERROR],
  "after a ping, in one piece": [PING + ERROR],
  "after a comment": [": keep-alive\n\n", ERROR],
  "without a name": [PING + OVERLOADED],
  "after a byte order mark": ["\uFEFF", OVERLOADED],
  "after message_start": [START, ERROR],
  "after the start of a block": [START + PING, BLOCK, ERROR],
  "after some thinking": [START, thought("Hm."), ERROR],
})) {
  test(`an overloaded_error ${what} is a failure before the first word`, async () => {
    always({ raw });
    await refused(503, "upstream_overloaded");
    assert.equal(asked(), 3);
  });

  test(`an overloaded_error ${what} is tried again`, async () => {
    claude.setFault({ raw });
    const { events } = await chat(hatch, await newProject(hatch));
    assert.deepEqual([asked(), events.at(-1).event], [2, "done"]);
  });
}

for (const [what, raw] of Object.entries({ "a ping": [PING], "message_start": [START], "the start of a block": [START, PING + BLOCK], "garbage": ["event: message_start\ndata: {\"type\":\"message_start\",\"mess\n\n"] })) {
  test(`a stream that ends after ${what} is tried three times and then becomes 502`, async () => {
    always({ raw });
    await refused(502, what === "garbage" ? "upstream_error" : "upstream_unreachable");
    assert.equal(asked(), 3);
  });
}

test("a stream that was cut before its first word is asked for again, wherever it was cut", async () => {
  claude.setAnswer("Hello.");
  const id = await newProject(hatch);
  await chat(hatch, id, "How long?");
  const { bytes } = claude.requests.at(-1);
  const first = bytes.indexOf("text_delta");
  for (const cutAfterBytes of [1, 20, bytes.indexOf("\n\n") + 1, bytes.indexOf("\n\n") + 2, first - 80, first + 5]) {
    claude.setFault({ cutAfterBytes });
    const { events } = await chat(hatch, id, `Cut after ${cutAfterBytes}`);
    assert.deepEqual([events.at(-1).event, textOf(events)], ["done", "Hello."], String(cutAfterBytes));
  }
});

for (const query of ["?format=events", ""]) {
  test(`an error without a name after text ends with an error, and never with done (${query})`, async () => {
    always({ raw: [START + BLOCK, word("Hello"), OVERLOADED] });
    const id = await newProject(hatch);
    const { events } = await chat(hatch, id, "Hi", { query });
    assert.deepEqual([events.at(-1).event, events.at(-1).data.error.type], ["error", "overloaded_error"]);
    assert.ok(!events.some(({ event, data }) => event === "done" || data?.done));
    assert.equal((await messages(hatch, id)).at(-1).content, "Hello");
  });

  test(`an answer without a word is reported as such (${query})`, async () => {
    always({ raw: [START, stop()] });
    const id = await newProject(hatch);
    const { events } = await chat(hatch, id, "Hi", { query });
    const { data } = events.find(({ event }) => event === "files");
    assert.deepEqual(data, { version: 0, files: [], notes: ["The answer is empty; ask again"] });
    assert.equal(asked(), 1);
  });

  test(`half an emoji in a delta is joined with the other half, shown and saved (${query})`, async () => {
    const escaped = (text) => word("@").replace("@", text);
    always({ raw: [START + BLOCK, escaped("Hello \\ud83d"), PING, escaped("\\ude80 world, \\ud83d"), word(" alone"), stop()] });
    const id = await newProject(hatch);
    const { events } = await chat(hatch, id, "Hi", { query });
    const { content } = (await messages(hatch, id)).at(-1);
    assert.equal(content, "Hello 🚀 world, \uFFFD alone");
    if (query === "") assert.equal(textOf(events), content);
  });
}

// --- after the first byte ----------------------------------------------------

const only = (events, name) => events.filter(({ event }) => event === name);

/** Checks an interrupted stream: our error event is the last one, and the turn is saved as interrupted. */
async function interrupted(hatch, id, { events, whole, bytes }, type) {
  assert.ok(whole);
  assert.equal(events.at(-1).event, "error");
  assert.equal(events.at(-1).data.error.type, type);
  assert.equal(only(events, "error").length, 1);
  for (const name of ["done", "saved", "files"]) assert.equal(only(events, name).length, 0);
  assert.ok(!events.some(({ data }) => data?.done));
  assertDiscreet(bytes.toString());
  const [question, answer] = await messages(hatch, id);
  assert.deepEqual([question.status, answer.status], ["complete", "interrupted"]);
  return answer.content;
}

const HALF = "Grüße 👋\n```html:index.html\n<p>half of it</p>\n```\n";

test("a stream cut at any byte gives whole events, an error, and no done; all that was given is saved", async () => {
  claude.setAnswer("é👋 ja, and more of it");
  await chat(hatch, await newProject(hatch), "How long?");
  const whole = claude.requests.at(-1).bytes;
  const { length } = whole;
  // A cut before the first word is asked for again.
  const begun = whole.indexOf("\n\n", whole.indexOf("text_delta")) + 2;
  claude.reset();
  claude.setAnswer("é👋 ja, and more of it");
  // Every cut twice, for the two formats. The fake's log says which request got which one.
  const cuts = Array.from({ length: length - begun }, (_, i) => ({ cutAfterBytes: begun + i, times: 2 }));
  claude.setFault(...cuts);
  let left = 2 * cuts.length;
  const lanes = Array.from({ length: 8 }, async (_, lane) => {
    const [id, query] = [await newProject(hatch), lane % 2 ? "" : "?format=events"];
    const got = [];
    while (left-- > 0) got.push(await chat(hatch, id, `${lane}/${got.length}`, { query }));
    const saved = await hatch.sql(
      "SELECT content, status FROM chat_messages WHERE project_id = ? AND role = 'assistant' ORDER BY seq",
      id,
    );
    assert.equal(saved.length, got.length);
    return got.map((answer, i) => ({ ...answer, query, saved: saved[i], question: `${lane}/${i}` }));
  });
  const answers = (await Promise.all(lanes)).flat();
  const requests = new Map(claude.requests.map((request) => [request.body.messages.at(-1).content[0].text, request]));
  for (const { status, bytes, events, query, saved, question } of answers) {
    const request = requests.get(question);
    const n = request.fault.cutAfterBytes;
    const came = request.bytes.subarray(0, n);
    const passed = came.subarray(0, came.lastIndexOf("\n\n") + 2);
    const words = textOf(eventsOf(passed));
    assert.equal(status, 200, `cut at ${n}`);
    assert.deepEqual([events.at(-1).event, events.at(-1).data.error.type], ["error", "api_error"], `cut at ${n}`);
    assert.ok(!events.some(({ event, data }) => data?.done || ["files", "saved"].includes(event)), `cut at ${n}`);
    assert.deepEqual(saved, { content: words, status: "interrupted" }, `cut at ${n}`);
    assert.equal(words, textOf(events), `cut at ${n}`);
    if (query) assert.match(bytes.toString("latin1").replace(passed.toString("latin1"), ""), /^event: error\ndata: .*\n\n$/, `cut at ${n}`);
  }
});

test("a connection that is lost after the last byte loses nothing", async () => {
  claude.setAnswer(HALF);
  claude.setFault({ cutAfterBytes: 1_000_000 });
  const id = await newProject(hatch);
  const { events } = await chat(hatch, id);
  assert.equal(events.at(-1).event, "done");
  assert.deepEqual(await codeOf(hatch, id), { "index.html": "<p>half of it</p>\n" });
});

for (const [query, format] of [["?format=events", "events"], ["", "text"]]) {
  test(`a cut answer changes no code (${format})`, async () => {
    claude.setAnswer(HALF);
    const id = await newProject(hatch, { "index.html": "old\n" });
    claude.setFault({ omitMessageStop: true });
    assert.equal(await interrupted(hatch, id, await chat(hatch, id, "Hi", { query }), "api_error"), HALF);
    assert.deepEqual(await codeOf(hatch, id), { "index.html": "old\n" });
  });

  test(`an error of Claude's in mid-stream is the last event (${format})`, async () => {
    claude.setAnswer(HALF);
    const id = await newProject(hatch, { "index.html": "old\n" });
    claude.setFault({ errorEventAfter: 6 });
    const got = await chat(hatch, id, "Hi", { query });
    const said = await interrupted(hatch, id, got, "overloaded_error");
    assert.ok(said.length > 0 && HALF.startsWith(said));
    assert.equal(textOf(got.events), said);
    assert.deepEqual(await codeOf(hatch, id), { "index.html": "old\n" });
  });

  test(`a stream that falls silent ends at the deadline and keeps what had arrived (${format})`, async () => {
    claude.setAnswer(HALF);
    claude.setFault({ stallAfterBytes: 900 });
    const id = await newProject(hatch);
    const got = await chat(hatch, id, "Hi", { query });
    const said = await interrupted(hatch, id, got, "timeout_error");
    assert.ok(said.length > 0 && HALF.startsWith(said));
    assert.equal(textOf(got.events), said);
  });
}

test("in the text format an error of Claude appears in our own words", async () => {
  claude.setFault({ errorEventAfter: 5, message: SECRET, type: SECRET });
  const id = await newProject(hatch);
  await interrupted(hatch, id, await chat(hatch, id, "Hi", { query: "?format=text" }), "unknown_error");
});

test("an interrupted answer is in the history of the next, and an empty one is not", async () => {
  claude.setAnswer(HALF);
  const id = await newProject(hatch);
  claude.setFault({ omitMessageStop: true }, { raw: [START, stop()] });
  await chat(hatch, id, "One");
  await chat(hatch, id, "Two");
  await chat(hatch, id, "Three");
  const said = claude.requests.at(-1).body.messages.map(({ role, content }) => [role, ...content.map(({ text }) => text)]);
  assert.deepEqual(said, [["user", "One"], ["assistant", HALF], ["user", "Two", "Three"]]);
});

test("if a stream breaks after its client has left, the answer is saved as interrupted", async () => {
  claude.setAnswer(HALF);
  claude.setFault({ stallAfterBytes: 900 });
  const id = await newProject(hatch);
  const gone = new AbortController();
  const response = await fetch(`${hatch.url}/api/chat`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ projectId: id, message: "Hi" }), signal: gone.signal,
  });
  await response.body.getReader().read();
  gone.abort();
  const answer = await settled(hatch, id);
  assert.equal(answer.status, "interrupted");
  assert.equal(answer.content, textOf(eventsOf(claude.requests.at(-1).bytes.subarray(0, 900))));
});

// Reads nothing after the head of the answer, so that TCP's buffers fill up.
async function sendAndStopReading(id) {
  const body = JSON.stringify({ projectId: id, message: "Hi" });
  const socket = connect({ port: new URL(hatch.url).port, host: "127.0.0.1" });
  socket.write(`POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  await new Promise((resolve) => socket.once("readable", resolve));
  return socket;
}

test("a client that stops reading counts as gone: the answer is finished without it", async () => {
  const long = "A long story. ".repeat(90_000);
  claude.setAnswer([{ type: "thinking", thinking: long }, { type: "text", text: "Told." }]);
  const id = await newProject(hatch);
  const socket = await sendAndStopReading(id);
  const answer = await settled(hatch, id);
  socket.destroy();
  assert.deepEqual([answer.status, answer.content], ["complete", "Told."]);
});

test("an endless stream is cut off, and what had arrived is saved", async () => {
  claude.setAnswer({ content: "So it goes on. ".repeat(108_000) });
  const id = await newProject(hatch);
  const answer = await interrupted(hatch, id, await chat(hatch, id), "api_error");
  assert.ok(answer.length > 0);
});
