// Large requests and answers: pictures of megabytes, hundreds of tools, deep
// schemas, a megabyte in one line of a stream.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import test, { after } from "node:test";
import { setImmediate, setTimeout } from "node:timers/promises";
import { startAnthropic } from "./fakes/anthropic.js";
import { startOpenAI } from "./fakes/openai.js";
import { startWorker } from "./support/harness.js";

const [claude, gpt] = [await startAnthropic(), await startOpenAI()];
after(() => Promise.all([claude.close(), gpt.close()]));
const stepwise = await startStepwise();
after(() => stepwise.close());
const worker = await startWorker({
  PROVIDERS: JSON.stringify([{ name: "stepwise", base_url: stepwise.url, dialect: "openai", models: [{ id: "m", context: 1000, max_output: 1000, input: 1, output: 1, capabilities: [] }] }]),
  CLAUDE_API_KEY: claude.key, CLAUDE_BASE_URL: claude.url, OPENAI_API_KEY: gpt.key, OPENAI_BASE_URL: `${gpt.url}/v1`,
});
claude.setAnswer("ok");
gpt.setAnswer("ok");

const ask = (body, path = "/v1/chat/completions", headers = {}) => worker.api("POST", path, body, headers);
const HI = [{ role: "user", content: "Hi" }];
const UPSTREAMS = [["claude-sonnet-5-5", claude], ["gpt-6.1-terra", gpt]];
/** The last request to the model. */
const sent = (fake) => JSON.parse(fake.requests.at(-1).raw);

const WORDS = 20;

/** How far apart a model's words are. */
const WORD_MS = 10;

/** A model that sends each word only after the client has the one before, and a long piece in many parts after the first one. */
async function startStepwise() {
  let permit;
  const chunk = (content) => `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`;
  const server = createServer(async (request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (let word = 0; word < WORDS; word += 1) {
      response.write(chunk(` ${word}`));
      await Promise.all([new Promise((resolve) => (permit = resolve)), setTimeout(WORD_MS)]);
      if (word === 0) await sendInParts(response, chunk("x".repeat(100_000)));
    }
    response.end("data: [DONE]\n\n");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, permit: () => permit(), close: () => server.close() };
}

async function sendInParts(response, text) {
  for (let start = 0; start < text.length; start += 4_000) {
    response.write(text.slice(start, start + 4_000));
    await setImmediate();
  }
}

test("five megabytes of pictures reach a model of either family", async () => {
  const data = Buffer.alloc(1_300_000, 7).toString("base64");
  const pictures = [1, 2, 3].map(() => ({ type: "image_url", image_url: { url: `data:image/png;base64,${data}` } }));
  for (const [model, fake] of UPSTREAMS) {
    const response = await ask({ model, messages: [{ role: "user", content: [{ type: "text", text: "What is this?" }, ...pictures] }] });
    assert.equal(response.status, 200, await response.text());
    const parts = sent(fake).messages[0].content;
    const got = parts.map(({ source, image_url }) => source?.data ?? image_url?.url.split(",")[1]).filter(Boolean);
    assert.ok(got.length === 3 && got.every((one) => one === data), model);
  }
});

test("two hundred tools reach a model in their order", async () => {
  const name = (index) => `tool_${String(index).padStart(3, "0")}`;
  const parameters = (index) => ({ type: "object", properties: { [`p${index}`]: { type: "string", description: "x".repeat(200) } }, required: [`p${index}`] });
  const tools = Array.from({ length: 200 }, (_, index) => ({ type: "function", function: { name: name(index), description: "A tool", parameters: parameters(index) } }));
  for (const [model, fake] of UPSTREAMS) {
    const response = await ask({ model, messages: HI, tools });
    assert.equal(response.status, 200, await response.text());
    const got = sent(fake).tools;
    assert.deepEqual(got.map((tool) => tool.name ?? tool.function.name), tools.map((tool) => tool.function.name));
    assert.deepEqual(got.map((tool) => tool.input_schema ?? tool.function.parameters), tools.map((tool) => tool.function.parameters));
  }
});

test("a schema thirty levels deep reaches a model as it is", async () => {
  let schema = { type: "string" };
  for (let level = 0; level < 30; level += 1) schema = { type: "object", properties: { next: schema }, required: ["next"], additionalProperties: false };
  for (const [model, fake] of UPSTREAMS) {
    const tools = [{ type: "function", function: { name: "deep", parameters: schema } }];
    const response = await ask({ model, messages: HI, tools, response_format: { type: "json_schema", json_schema: { name: "deep", strict: true, schema } } });
    assert.equal(response.status, 200, await response.text());
    const { tools: [tool], output_config: output, response_format: format } = sent(fake);
    assert.deepEqual(tool.input_schema ?? tool.function.parameters, schema);
    assert.deepEqual(output?.format?.schema ?? format?.json_schema.schema, schema);
  }
});

test("a megabyte in one line of a stream arrives whole, in either dialect", async () => {
  const text = "Grüße 👋 ".repeat(100_000);
  const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
  const message = { id: "msg_1", type: "message", role: "assistant", model: "claude-sonnet-5-5", content: [], stop_reason: null, stop_sequence: null, usage: { input_tokens: 3, output_tokens: 1 } };
  const events = [
    { type: "message_start", message }, { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }, { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 9 } }, { type: "message_stop" },
  ].map(event).join("");
  assert.ok(Buffer.byteLength(events) > 2 ** 20);
  const raw = () => claude.setFault({ raw: [Buffer.from(events)] });
  raw();
  const chat = await (await ask({ model: "claude-sonnet-5-5", messages: HI, stream: true })).text();
  const chunks = chat.split("\n\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
  assert.ok(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("") === text && chat.endsWith("data: [DONE]\n\n"));
  raw();
  const own = await ask({ model: "claude-sonnet-5-5", max_tokens: 10, messages: HI, stream: true }, "/v1/messages", { "anthropic-version": "2023-06-01" });
  assert.ok((await own.text()) === events);
});

test("after a long piece each word is shown before the next one comes", { timeout: 30_000 }, async () => {
  const response = await ask({ model: "stepwise/m", messages: HI, stream: true });
  let [text, shown] = ["", 0];
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    while (shown < WORDS && text.includes(`" ${shown}"`)) {
      shown += 1;
      stepwise.permit();
    }
  }
  assert.equal(shown, WORDS);
});
