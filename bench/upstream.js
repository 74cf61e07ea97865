/**
 * A fake of Anthropic's and OpenAI's APIs, in a process of its own so that it shares no event loop with the load.
 *
 * It also answers at once, as one message, a request that does not ask for a stream.
 *
 * The base URL chooses the speed: `/fast` sends a stream of 400 events (of Claude's 52 KB) at once, each as its own HTTP chunk, as the
 * real APIs flush them; `/slow` sends 100 pieces, one every 5 ms; `/paced` sends 64 pieces, one every 20 ms. It refuses
 * what the real APIs would refuse, so that no worker gains by sending less.
 *
 * Started by `fork`; sends `{ port }` to its parent once it listens, and ends with the parent.
 */
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { DIALECTS, answerInPieces } from "./dialects.js";
import { SPEEDS } from "./speeds.js";

const server = createServer(async (request, response) => {
  const [, speed, path] = request.url.match(/^\/(fast|slow|paced)(\/.*)$/) ?? [];
  const dialect = Object.values(DIALECTS).find((dialect) => dialect.path === path) ?? DIALECTS.anthropic;
  const asked = await text(request).then(JSON.parse).catch(() => undefined);
  const refusal = refusalOf(request, path, dialect, asked);
  if (refusal) return refuse(response, dialect, ...refusal);

  const answer = answerOf(dialect, speed, Boolean(asked.stream_options?.include_usage));
  if (!asked.stream) return response.writeHead(200, { "content-type": "application/json" }).end(answer.whole);
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked" });
  if (SPEEDS[speed].everyMs === 0) return sendAtOnce(response, answer.atOnce);
  return sendSlowly(response, answer, SPEEDS[speed].everyMs);
});

// Kept-alive connections outlive a pause between rounds: a reset in the middle of a request would count as a failure.
server.keepAliveTimeout = 0;
server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
process.once("disconnect", () => process.exit());

/** The answers that were made, because each is asked for often. */
const made = new Map();

function answerOf(dialect, speed, withUsage) {
  const key = `${dialect.path} ${speed} ${withUsage}`;
  if (!made.has(key)) made.set(key, makeAnswer(dialect, answerInPieces(SPEEDS[speed].pieces), withUsage));
  return made.get(key);
}

/** The chunks of a fast stream are framed here, once: 400 writes a stream would make this process the bottleneck. */
function makeAnswer(dialect, pieces, withUsage) {
  const events = dialect.events(pieces, withUsage);
  const opening = Buffer.concat(events.slice(0, dialect.preamble + 1));
  const ending = Buffer.concat(events.slice(dialect.preamble + pieces.length));
  return {
    whole: dialect.whole(pieces),
    atOnce: Buffer.concat(events.map(httpChunk)),
    paced: [opening, ...events.slice(dialect.preamble + 1, dialect.preamble + pieces.length), ending],
  };
}

function sendAtOnce(response, chunks) {
  response.flushHeaders();
  response.chunkedEncoding = false;
  response.write(chunks);
  response.end("0\r\n\r\n");
}

/** The first piece comes at once, with what stands before it. */
function sendSlowly(response, { paced }, everyMs) {
  let sent = 0;
  const send = () => {
    response.write(paced[sent++]);
    if (sent < paced.length) return;
    clearInterval(timer);
    response.end();
  };
  const timer = setInterval(send, everyMs);
  response.once("close", () => clearInterval(timer));
  send();
}

/** Why the real API would refuse this request, as `[status, type, message]`, or undefined. */
function refusalOf({ method, headers }, path, dialect, asked) {
  if (method !== "POST" || path !== dialect.path) return [404, "not_found_error", `${method} ${path}`];
  return dialect.refusal(headers, asked);
}

function refuse(response, dialect, status, type, message) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(dialect.error(type, message)));
}

function httpChunk(bytes) {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
}
