/**
 * The two dialects of the gateways' bench, from all sides: what a client asks, why an upstream refuses it, what it
 * answers, and what a client reads from that. Both dialects tell the same text in the same pieces.
 */
const DELTA_CHARACTERS = 15;
const PROMPT_TOKENS = 412;
const QUESTION = [{ role: "user", content: "Make me a list of tasks." }];
const MAX_TOKENS = 4096;
/** A fixed time, because every answer is the same. */
const CREATED = 1_795_824_000;

/** The answer as an upstream tells it: prose, then one file in a fence, cut into `count` small deltas. */
export function answerInPieces(count) {
  const opening = "Here is the app, in one file — open it in any browser.\n\n```html:index.html\n<!doctype html>\n<ul>\n";
  const closing = "</ul>\n```\n\nAsk for a change whenever you like.\n";
  const room = count * DELTA_CHARACTERS - opening.length - closing.length;
  const line = '  <li class="task">Water the plants</li>\n';
  const filling = line.repeat(Math.ceil(room / line.length)).slice(0, room - 1) + "\n";
  const answer = opening + filling + closing;
  return Array.from({ length: count }, (_, index) => answer.slice(index * DELTA_CHARACTERS, (index + 1) * DELTA_CHARACTERS));
}

/**
 * Each dialect: `path` of its route; `keyHeader(key)`; `question(model, stream)`, what a client asks; `refusal(headers,
 * body)`, why the real API would refuse it, as `[status, type, message]`, or undefined; `error(type, message)`, the body
 * of that; `events(pieces, withUsage)`, the bytes of each event of a stream, and how many come before the first piece;
 * `whole(pieces)`; and `readEvent` and `readWhole`, which note in a `reading` what a client learns.
 */
export const DIALECTS = {
  openai: {
    path: "/v1/chat/completions",
    keyHeader: (key) => `authorization: Bearer ${key}\r\n`,
    question: (model, stream) => ({
      model,
      max_tokens: MAX_TOKENS,
      messages: QUESTION,
      ...(stream && { stream, stream_options: { include_usage: true } }),
    }),
    refusal: openaiRefusal,
    error: (type, message) => ({ error: { message, type, param: null, code: null } }),
    events: openaiEvents,
    preamble: 1,
    whole: openaiWhole,
    readEvent: readOpenaiEvent,
    readWhole: ({ choices: [{ message, finish_reason: finish }], usage }) => ({
      text: message.content,
      tokens: [usage.prompt_tokens, usage.completion_tokens],
      ended: finish === "stop",
    }),
  },
  anthropic: {
    path: "/v1/messages",
    keyHeader: (key) => `x-api-key: ${key}\r\nanthropic-version: 2023-06-01\r\n`,
    question: (model, stream) => ({ model, max_tokens: MAX_TOKENS, messages: QUESTION, ...(stream && { stream }) }),
    refusal: anthropicRefusal,
    error: (type, message) => ({ type: "error", error: { type, message }, request_id: "req_bench" }),
    events: anthropicEvents,
    preamble: 3,
    whole: anthropicWhole,
    readEvent: readAnthropicEvent,
    readWhole: ({ content, usage, stop_reason: stop }) => ({
      text: content.map(({ text }) => text).join(""),
      tokens: [usage.input_tokens, usage.output_tokens],
      ended: stop === "end_turn",
    }),
  },
};

/**
 * What a client reads from a stream: `text`, `tokens` (asked and answered), `ended` if it ended as the dialect demands,
 * and `offsets`, the byte at which each piece of text is complete.
 */
export function readStream(dialect, body) {
  const reading = { text: "", tokens: [], ended: false, offsets: [] };
  for (let start = 0, end; (end = body.indexOf("\n\n", start)) >= 0; start = end + 2) {
    const data = /^data: ?(.*)$/m.exec(body.toString("utf8", start, end))?.[1];
    if (data === undefined) continue;
    const before = reading.text.length;
    DIALECTS[dialect].readEvent(data, reading);
    if (reading.text.length > before) reading.offsets.push(end);
  }
  return reading;
}

export function readWhole(dialect, body) {
  return DIALECTS[dialect].readWhole(JSON.parse(body));
}

/** What is wrong with a `reading` of an answer in `pieces`, or undefined. */
export function faultOf({ text, tokens, ended, offsets }, pieces) {
  if (text !== pieces.join("")) return "its text is not the upstream's";
  if (tokens[0] !== PROMPT_TOKENS || tokens[1] !== pieces.length) return `its usage is ${tokens.join(" and ") || "missing"}`;
  if (!ended) return "it does not end as its dialect demands";
  if (offsets && offsets.length !== pieces.length) return `it has ${offsets.length} of ${pieces.length} pieces`;
}

// ---- OpenAI ----

function openaiRefusal(headers, body) {
  const invalid = (message) => [400, "invalid_request_error", message];
  if (!headers.authorization?.startsWith("Bearer ")) return [401, "invalid_request_error", "You didn't provide an API key"];
  if (!headers["content-type"]?.startsWith("application/json")) return invalid("content-type: must be application/json");
  if (typeof body?.model !== "string") return invalid("you must provide a model parameter");
  // Members of Anthropic's dialect: a gateway has to translate, not only to pass on.
  if ("system" in body || "stop_sequences" in body || headers["anthropic-version"]) return invalid("Unrecognized request argument supplied");
  if (!Array.isArray(body.messages) || body.messages.length === 0) return invalid("messages: expected a non-empty list");
  const isTurn = ({ role, content }) => ["system", "developer", "user", "assistant", "tool"].includes(role) && content?.length > 0;
  if (!body.messages.every(isTurn)) return invalid("messages: each needs a role and content");
}

function openaiHead(object) {
  return { id: "chatcmpl-bench", object, created: CREATED, model: "gpt-bench" };
}

function openaiUsage(pieces) {
  return { prompt_tokens: PROMPT_TOKENS, completion_tokens: pieces.length, total_tokens: PROMPT_TOKENS + pieces.length };
}

function openaiEvents(pieces, withUsage) {
  const head = openaiHead("chat.completion.chunk");
  const chunk = (delta, finish_reason = null) => ({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason }] });
  const chunks = [
    chunk({ role: "assistant", content: "", refusal: null }),
    ...pieces.map((content) => chunk({ content })),
    chunk({}, "stop"),
    ...(withUsage ? [{ ...head, choices: [], usage: openaiUsage(pieces) }] : []),
  ];
  return [...chunks.map((chunk) => JSON.stringify(chunk)), "[DONE]"].map((data) => Buffer.from(`data: ${data}\n\n`));
}

function openaiWhole(pieces) {
  const message = { role: "assistant", content: pieces.join(""), refusal: null };
  const choices = [{ index: 0, message, logprobs: null, finish_reason: "stop" }];
  return JSON.stringify({ ...openaiHead("chat.completion"), choices, usage: openaiUsage(pieces) });
}

function readOpenaiEvent(data, reading) {
  if (data === "[DONE]") {
    reading.ended = reading.finish === "stop";
    return;
  }
  const { choices, usage } = JSON.parse(data);
  reading.text += choices[0]?.delta.content ?? "";
  reading.finish = choices[0]?.finish_reason ?? reading.finish;
  if (usage) reading.tokens = [usage.prompt_tokens, usage.completion_tokens];
}

// ---- Anthropic ----

function anthropicRefusal(headers, body) {
  const invalid = (message) => [400, "invalid_request_error", message];
  if (!headers["x-api-key"]) return [401, "authentication_error", "x-api-key header is required"];
  if (headers["anthropic-version"] !== "2023-06-01") return invalid("anthropic-version: header is required");
  if (!headers["content-type"]?.startsWith("application/json")) return invalid("content-type: must be application/json");
  if (body === undefined) return invalid("The request body is not valid JSON");
  if (typeof body?.model !== "string") return invalid("model: Field required");
  if ("stream_options" in body) return invalid("stream_options: Extra inputs are not permitted");
  if (!Number.isInteger(body.max_tokens) || body.max_tokens < 1) return invalid("max_tokens: Field required");
  if (!Array.isArray(body.messages) || body.messages.length === 0) return invalid("messages: Field required");
  const isTurn = (turn) => ["user", "assistant"].includes(turn?.role) && turn.content?.length > 0;
  if (!body.messages.every(isTurn)) return invalid("messages: each needs a role and content");
  if (body.messages[0].role !== "user") return invalid("messages: first message must use the user role");
  if (body.messages.at(-1).role !== "user") return invalid("messages: assistant prefill is not supported");
}

function anthropicMessage(content, stop_reason, output_tokens) {
  const usage = { input_tokens: PROMPT_TOKENS, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens };
  return { id: "msg_bench", type: "message", role: "assistant", model: "claude-sonnet-5-5", content, stop_reason, stop_sequence: null, usage };
}

function anthropicEvents(pieces) {
  return [
    { type: "message_start", message: anthropicMessage([], null, 1) },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "ping" },
    ...pieces.map((text) => ({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })),
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: pieces.length } },
    { type: "message_stop" },
  ].map((event) => Buffer.from(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`));
}

function anthropicWhole(pieces) {
  return JSON.stringify(anthropicMessage([{ type: "text", text: pieces.join("") }], "end_turn", pieces.length));
}

function readAnthropicEvent(data, reading) {
  const { type, message, delta, usage } = JSON.parse(data);
  if (type === "message_start") reading.tokens[0] = message.usage.input_tokens;
  if (type === "content_block_delta") reading.text += delta.text ?? "";
  if (type === "message_stop") reading.ended = reading.finish === "end_turn";
  if (type !== "message_delta") return;
  reading.finish = delta.stop_reason;
  // A translated stream may know the prompt's tokens only at its end.
  reading.tokens = [usage.input_tokens || reading.tokens[0], usage.output_tokens];
}
