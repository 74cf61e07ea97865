// A strict fake of Anthropic's Messages API: it refuses what the real one refuses, answers
// what the test says in the real protocol, and fails in whichever way the test asks for.
//
//   const claude = await startAnthropic();            // CLAUDE_BASE_URL = claude.url, ANTHROPIC_API_KEY = claude.key
//   claude.setAnswer('Here is your app.');            // or blocks, {content, stopReason, usage}, or a function of the body
//   claude.setFault({ cutAfterBytes: 200 });          // strikes the next good request
//   ...
//   assert.equal(claude.requests.at(-1).body.model, 'claude-sonnet-5-5');
//   await claude.close();

import { extend, json, startFaultServer } from './fault-server.js';
import { MAX_BODY, MODELS, refusalOf } from './anthropic-request.js';
import { DEFAULT_ANSWER, bytesOf, errorBody, eventsOf, messageId, messageOf, modelInfo, sse } from './anthropic-stream.js';

export { bytesOf, messageId, messageOf };

const KEY = 'sk-ant-api03-fake-0123456789abcdef';

/** The error type of each status. */
const ERROR_TYPES = {
  400: 'invalid_request_error', 401: 'authentication_error', 402: 'billing_error', 403: 'permission_error', 404: 'not_found_error',
  409: 'conflict_error', 413: 'request_too_large', 429: 'rate_limit_error', 500: 'api_error', 504: 'timeout_error', 529: 'overloaded_error',
};
const MESSAGES = { 429: 'This request would exceed your rate limit.', 500: 'Internal server error', 529: 'Overloaded' };

/**
 * Faults beyond those of fault-server.js. They strike `POST /v1/messages` unless `path` says otherwise.
 *
 * - `errorEventAfter`  after so many events an `error` event, then the end; `type` and `message` say which
 *                      (`overloaded_error`, `Overloaded`)
 * - `crlf`, `cr`       lines end in CRLF, or in CR
 * - `pings`            so many extra pings within the first block
 * - `omitMessageStop`  the stream ends properly, one event too early
 * - `emptyStream`      status 200 and no event at all
 * - `unknownEvents`    events, deltas and a block of types that nobody knows yet
 * - `thinking`         a thinking block before the answer
 * - `raw`              these pieces of bytes instead of all events
 */
const FAULTS = ['raw', 'errorEventAfter', 'crlf', 'cr', 'pings', 'omitMessageStop', 'emptyStream', 'unknownEvents', 'thinking'];

/**
 * Starts the fake. Besides what `startFaultServer` returns: `key`, the one API key it takes, and `setAnswer`.
 * A request to `/v1/messages` that was good also has `message` (what a fault-free reply holds, usage included) and
 * `bytes` (what a fault-free stream is).
 */
export async function startAnthropic() {
  let answer;
  let requestCount;
  let messageCount;
  const start = () => {
    answer = DEFAULT_ANSWER;
    requestCount = 0;
    messageCount = 0;
  };
  start();

  function headers(request, rest = {}) {
    if (!request.id) {
      requestCount += 1;
      request.id = `req_011fake${String(requestCount).padStart(13, '0')}`;
    }
    return {
      'request-id': request.id, 'anthropic-organization-id': '00000000-0000-4000-8000-000000000000',
      'anthropic-ratelimit-requests-limit': '4000', 'anthropic-ratelimit-requests-remaining': String(4000 - requestCount),
      'anthropic-ratelimit-requests-reset': '2026-11-21T00:00:00Z', ...rest,
    };
  }

  function error(request, status, type, message, extra) {
    const sent = headers(request, extra);
    return json(status, errorBody(type, message, request.id), sent);
  }

  function reply(request, fault) {
    if (request.path.startsWith('/v1/models')) return json(200, modelsReply(request), headers(request));
    if (request.path.endsWith('/count_tokens')) return json(200, { input_tokens: countTokens(request.body) }, headers(request));
    const { body } = request;
    messageCount += 1;
    const given = typeof answer === 'function' ? answer(body) : answer;
    const options = { id: messageId(messageCount), model: body.model, thinking: body.thinking, maxTokens: body.max_tokens, think: Boolean(fault.thinking) };
    request.message = messageOf(given, options);
    request.bytes = bytesOf(given, options);
    if (!body.stream) return json(200, request.message, headers(request));
    const sent = headers(request, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
    return { status: 200, headers: sent, pieces: streamed(given, options, fault, request.id) };
  }

  const server = await startFaultServer({
    faults: FAULTS,
    faultPath: '/v1/messages',
    maxBody: MAX_BODY,
    refusal(request) {
      const refusal = refusalOf(request, KEY);
      return refusal && error(request, refusal.status, refusal.type, refusal.message);
    },
    answer: reply,
    failure(fault, request) {
      const type = fault.type ?? ERROR_TYPES[fault.status] ?? 'api_error';
      return error(request, fault.status, type, fault.message ?? MESSAGES[fault.status] ?? 'Something went wrong', fault.headers);
    },
    garbage: ({ body }) => Buffer.from(body?.stream ? 'event: message_start\ndata: {"type":"message_start","mess\n\n' : '{"id":"msg_01'),
  });

  return extend(server, {
    key: KEY,
    /** What to answer from now on: a text, content blocks, `{content, stopReason, usage, …}`, or a function of the request's body. */
    setAnswer(next) {
      answer = next;
    },
    /** Forgets requests, faults and the answer, and numbers messages from 1 again. */
    reset() {
      server.reset();
      start();
    },
  });
}

function streamed(answer, options, fault, requestId) {
  if (fault.emptyStream) return [];
  if (fault.raw) return fault.raw.map((piece) => Buffer.from(piece));
  const { pings, omitMessageStop, unknownEvents } = fault;
  const eol = fault.cr ? '\r' : fault.crlf ? '\r\n' : '\n';
  const events = eventsOf(answer, { ...options, pings, omitMessageStop, unknownEvents, eol });
  if (fault.errorEventAfter === undefined) return events;
  const failed = errorBody(fault.type ?? 'overloaded_error', fault.message ?? 'Overloaded', requestId);
  return [...events.slice(0, fault.errorEventAfter), sse(failed, eol)];
}

function modelsReply({ path, query }) {
  const id = decodeURIComponent(path.slice('/v1/models'.length + 1));
  if (id) return modelInfo(id);
  const ids = Object.keys(MODELS).filter((name) => name !== 'claude-haiku-4-5');
  const [after, before] = [query.get('after_id'), query.get('before_id')];
  const limit = Number(query.get('limit') ?? 20);
  const range = after ? ids.slice(ids.indexOf(after) + 1) : before ? ids.slice(0, ids.indexOf(before)) : ids;
  const page = before ? range.slice(-limit) : range.slice(0, limit);
  return { data: page.map(modelInfo), has_more: page.length < range.length, first_id: page[0] ?? null, last_id: page.at(-1) ?? null };
}

function countTokens({ system = '', messages, tools = [] }) {
  return Math.ceil(Buffer.byteLength(JSON.stringify([system, messages, tools])) / 4);
}
