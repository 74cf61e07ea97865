/**
 * A fake of Anthropic's streaming API, in a process of its own so that it shares no event loop with the load.
 *
 * It also answers at once, as one message, a request that does not ask for a stream.
 *
 * The base URL chooses the speed: `/fast` sends all 400 events (52 KB) at once, each as its own HTTP chunk, as the real
 * API flushes them; `/slow` sends 100 events, one every 5 ms. It refuses what the real API would refuse, so
 * that no worker gains by sending less.
 *
 * Started by `fork`; sends `{ port }` to its parent once it listens, and ends with the parent.
 */
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

const FAST_EVENTS = 400;
const SLOW_EVENTS = 100;
const SLOW_INTERVAL_MS = 5;
const DELTA_CHARACTERS = 15;

const fast = Buffer.concat(claudeEvents(FAST_EVENTS).map(httpChunk));
const slow = claudeEvents(SLOW_EVENTS);
const whole = wholeMessage(FAST_EVENTS);

const server = createServer(async (request, response) => {
  const [, speed, path] = request.url.match(/^\/(fast|slow)(\/.*)$/) ?? [];
  const asked = await text(request).then(JSON.parse).catch(() => undefined);
  const refusal = refusalOf(request, path, asked);
  if (refusal) return refuse(response, ...refusal);
  if (!asked.stream) return response.writeHead(200, { "content-type": "application/json" }).end(whole);

  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked" });
  if (speed === "fast") return sendAtOnce(response);
  return sendSlowly(response);
});

// Kept-alive connections outlive a pause between rounds: a reset in the middle of a request would count as a failure.
server.keepAliveTimeout = 0;
server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
process.once("disconnect", () => process.exit());

/** The chunks are framed once, above: 400 writes a stream would make this process the bottleneck. */
function sendAtOnce(response) {
  response.flushHeaders();
  response.chunkedEncoding = false;
  response.write(fast);
  response.end("0\r\n\r\n");
}

function sendSlowly(response) {
  let sent = 0;
  const timer = setInterval(() => {
    response.write(slow[sent++]);
    if (sent < slow.length) return;
    clearInterval(timer);
    response.end();
  }, SLOW_INTERVAL_MS);
  response.once("close", () => clearInterval(timer));
}

/** Why the real API would refuse this request, as `[status, type, message]`, or undefined. */
function refusalOf({ method, headers }, path, message) {
  const invalid = (message) => [400, "invalid_request_error", message];
  if (method !== "POST" || path !== "/v1/messages") return [404, "not_found_error", `${method} ${path}`];
  if (!headers["x-api-key"]) return [401, "authentication_error", "x-api-key header is required"];
  if (headers["anthropic-version"] !== "2023-06-01") return invalid("anthropic-version: header is required");
  if (!headers["content-type"]?.startsWith("application/json")) return invalid("content-type: must be application/json");

  if (message === undefined) return invalid("The request body is not valid JSON");
  if (typeof message?.model !== "string") return invalid("model: Field required");
  if (!Number.isInteger(message.max_tokens) || message.max_tokens < 1) return invalid("max_tokens: Field required");
  if (!Array.isArray(message.messages) || message.messages.length === 0) return invalid("messages: Field required");
  if (!message.messages.every(isTurn)) return invalid("messages: each needs a role and content");
  if (message.messages[0].role !== "user") return invalid("messages: first message must use the user role");
  if (message.messages.at(-1).role !== "user") return invalid("messages: assistant prefill is not supported");
}

function isTurn(turn) {
  return ["user", "assistant"].includes(turn?.role) && turn.content?.length > 0;
}

function refuse(response, status, type, message) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ type: "error", error: { type, message }, request_id: "req_bench" }));
}

/** One whole answer as `count` server-sent events: prose, then one file in a fence, cut into small deltas. */
function claudeEvents(count) {
  const frame = { open: 3, close: 3 };
  const deltas = answerInPieces(count - frame.open - frame.close).map((text) => ({
    type: "content_block_delta",
    index: 0,
    delta: { type: "text_delta", text },
  }));
  const usage = { input_tokens: 412, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 1 };
  const message = { id: "msg_bench", type: "message", role: "assistant", model: "claude-sonnet-5-5", content: [], stop_reason: null, stop_sequence: null, usage };
  return [
    { type: "message_start", message },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "ping" },
    ...deltas,
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: count } },
    { type: "message_stop" },
  ].map((event) => Buffer.from(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`));
}

/** The same answer as one message. */
function wholeMessage(count) {
  const usage = { input_tokens: 412, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: count };
  const content = [{ type: "text", text: answerInPieces(count - 6).join("") }];
  return JSON.stringify({ id: "msg_bench", type: "message", role: "assistant", model: "claude-sonnet-5-5", content, stop_reason: "end_turn", stop_sequence: null, usage });
}

function answerInPieces(count) {
  const opening = "Here is the app, in one file — open it in any browser.\n\n```html:index.html\n<!doctype html>\n<ul>\n";
  const closing = "</ul>\n```\n\nAsk for a change whenever you like.\n";
  const room = count * DELTA_CHARACTERS - opening.length - closing.length;
  const line = '  <li class="task">Water the plants</li>\n';
  const filling = line.repeat(Math.ceil(room / line.length)).slice(0, room - 1) + "\n";
  const answer = opening + filling + closing;
  return Array.from({ length: count }, (_, index) => answer.slice(index * DELTA_CHARACTERS, (index + 1) * DELTA_CHARACTERS));
}

function httpChunk(bytes) {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
}
