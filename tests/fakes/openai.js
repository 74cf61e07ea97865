// A strict fake of OpenAI's Chat Completions, Responses (openai-responses.js), Embeddings and Moderations: it refuses
// what the real one refuses, answers what the test says in the real protocol, and fails in the way that the test asks for.
//
//   const openai = await startOpenAI();             // OPENAI_BASE_URL = openai.url + "/v1", OPENAI_API_KEY = openai.key
//   openai.setAnswer("Hello");                      // or {content, toolCalls, finish, usage, message, more}, or a function of the body;
//                                                   // `message` and `more` are members of a whole answer's message and of the answer
//   openai.setFault({ status: 503 });               // strikes the next good request

import { extend, json, startFaultServer } from './fault-server.js';
import { compacted, compactionRefusal, newAccount, responded, responseRefusal } from './openai-responses.js';

const KEY = 'sk-proj-fake-0123456789abcdefghijklmnop';
const MAX_BODY = 64 * 1024 * 1024;
const TYPES = { 400: 'invalid_request_error', 401: 'invalid_request_error', 404: 'invalid_request_error', 429: 'rate_limit_error', 500: 'server_error', 503: 'server_error' };

const failure = (status, message, { type = TYPES[status] ?? 'server_error', param = null, code = null } = {}) =>
  json(status, { error: { message, type, param, code } }, { 'x-request-id': 'req_fake' });

/**
 * Faults beyond those of fault-server.js: `omitDone` (no `[DONE]`), `omitFinish` (the stream ends before its
 * `finish_reason`), `errorAfter` (an error as a data line after so many chunks), `badJsonAt` (this chunk is no JSON),
 * `usageOnLast` (the usage comes with the finish), `repeatRole` (every delta has role and id again), `lastWithoutUsage`,
 * `code` (of the error of `status`), `raw` (an answer, or a chat's stream, is these pieces).
 */
const FAULTS = ['omitDone', 'omitFinish', 'errorAfter', 'badJsonAt', 'usageOnLast', 'repeatRole', 'lastWithoutUsage', 'code', 'raw'];

export async function startOpenAI({ key = KEY, functionsByResponses = false } = {}) {
  let answer = 'Hello.';
  const account = newAccount();
  const server = await startFaultServer({ refusal, answer: reply, failure: told, faults: FAULTS, faultPath: '/v1/', maxBody: MAX_BODY });

  function refusal(request) {
    if (request.headers.authorization !== `Bearer ${key}`) {
      return failure(401, `Incorrect API key provided: ${request.headers.authorization ?? ''}`, { code: 'invalid_api_key' });
    }
    const { body } = request;
    if (request.method !== 'POST' || !body || typeof body !== 'object') return failure(400, 'We could not parse the JSON body of your request.');
    if (typeof body.model !== 'string') return failure(400, 'you must provide a model parameter', { param: 'model' });
    if (request.path === '/v1/embeddings') return body.encoding_format === 'float' || body.encoding_format === undefined ? undefined : failure(400, 'encoding_format');
    if (request.path === '/v1/moderations') return undefined;
    if (request.path === '/v1/responses') {
      const refused = responseRefusal(body, account);
      return refused && failure(...refused);
    }
    if (request.path === '/v1/responses/compact') {
      const refused = compactionRefusal(body, account);
      return refused && failure(...refused);
    }
    if (request.path !== '/v1/chat/completions') return failure(404, `Invalid URL (POST ${request.path})`);
    // As GPT 5.4 and later: the effort is medium where none is asked for.
    if (functionsByResponses && body.reasoning_effort !== 'none' && body.tools?.some(({ type }) => type === 'function')) {
      return failure(400, `Function tools with reasoning_effort are not supported for ${body.model} in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.`, { param: 'reasoning_effort' });
    }
    return chatRefusal(body);
  }

  function told(fault) {
    return { ...failure(fault.status, fault.message ?? 'The server had an error', { code: fault.code ?? null }), ...(fault.headers && { headers: { 'content-type': 'application/json', ...fault.headers } }) };
  }

  function reply(request, fault) {
    const { body } = request;
    if (fault.raw && !body.stream) return { status: 200, headers: { 'content-type': 'application/json' }, pieces: fault.raw.map((piece) => Buffer.from(piece)) };
    if (request.path === '/v1/embeddings') {
      const inputs = Array.isArray(body.input) ? body.input : [body.input];
      const data = inputs.map((_, index) => ({ object: 'embedding', index, embedding: [index, 0.5, -1] }));
      return json(200, { object: 'list', data, model: body.model, usage: { prompt_tokens: inputs.length, total_tokens: inputs.length } });
    }
    if (request.path === '/v1/moderations') {
      return json(200, { id: 'modr-fake', model: body.model, results: [{ flagged: true, categories: { hate: true }, category_scores: { hate: 0.9 } }] });
    }
    if (request.path === '/v1/responses/compact') return json(200, compacted(body, account));
    const given = typeof answer === 'function' ? answer(body) : answer;
    const said = typeof given === 'string' ? { content: given } : given;
    if (request.path === '/v1/responses') {
      const { whole, events } = responded(body, said, account);
      return body.stream ? { status: 200, headers: { 'content-type': 'text/event-stream' }, pieces: events.map((event) => Buffer.from(event)) } : json(200, whole);
    }
    const calls = (said.toolCalls ?? []).map(({ id, name, args }) => ({ id, type: 'function', function: { name, arguments: args } }));
    const finish = said.finish ?? (calls.length ? 'tool_calls' : 'stop');
    const usage = said.usage ?? { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19 };
    const head = { id: 'chatcmpl-fake', created: 1795824000, model: body.model };
    if (!body.stream) {
      const message = { role: 'assistant', content: said.content ?? null, refusal: null, annotations: [], ...(calls.length && { tool_calls: calls }), ...said.message };
      return json(200, { ...head, object: 'chat.completion', choices: [{ index: 0, message, logprobs: null, finish_reason: finish }], usage, service_tier: 'default', system_fingerprint: null, ...said.more });
    }
    return { status: 200, headers: { 'content-type': 'text/event-stream' }, pieces: fault.raw?.map((piece) => Buffer.from(piece)) ?? streamed(head, said, calls, finish, usage, body, fault) };
  }

  function streamed(head, said, calls, finish, usage, body, fault) {
    const chunk = (delta, finishReason = null, more = {}) =>
      `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finishReason }], ...more })}\n\n`;
    const again = fault.repeatRole ? { role: 'assistant' } : {};
    const deltas = [{ role: 'assistant', content: '' }];
    for (const piece of (said.content ?? '').match(/.{1,5}/gsu) ?? []) deltas.push({ ...again, content: piece });
    if (said.message?.annotations) deltas.push({ annotations: said.message.annotations });
    calls.forEach((call, index) => {
      deltas.push({ tool_calls: [{ index, id: call.id, type: 'function', function: { name: call.function.name, arguments: '' } }] });
      for (const piece of call.function.arguments.match(/.{1,4}/gsu) ?? []) {
        deltas.push({ tool_calls: [{ index, ...(fault.repeatRole && { id: call.id, type: 'function' }), function: { ...(fault.repeatRole && { name: '' }), arguments: piece } }] });
      }
    });
    const events = deltas.map((delta) => chunk(delta));
    if (fault.badJsonAt !== undefined) events[fault.badJsonAt] = 'data: {"choices":[\n\n';
    if (fault.errorAfter !== undefined) {
      events.splice(fault.errorAfter, events.length, `data: ${JSON.stringify({ error: { message: 'The server had an error', type: 'server_error' } })}\n\n`);
      return events.map(Buffer.from);
    }
    if (fault.omitFinish) return events.map((text) => Buffer.from(text));
    events.push(chunk({}, finish, fault.usageOnLast ? { usage } : {}));
    if (body.stream_options?.include_usage && !fault.usageOnLast && !fault.lastWithoutUsage) {
      events.push(`data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [], usage })}\n\n`);
    }
    if (!fault.omitDone) events.push('data: [DONE]\n\n');
    return events.map((text) => Buffer.from(text));
  }

  return extend(server, { key, account, setAnswer: (given) => { answer = given; } });
}

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'];

const THINKING = /^(o\d|gpt-5|gpt-6(?!-luna))/;
/** What thinking models refuse, unless it says what is so anyway. */
const NOT_FOR_THINKING = {
  temperature: (value) => value === 1, top_p: (value) => value === 1, frequency_penalty: (value) => value === 0, presence_penalty: (value) => value === 0,
  logit_bias: () => false, logprobs: (value) => value === false, top_logprobs: () => false, stop: () => false,
};

/** What the real one refuses of a chat. */
function chatRefusal(body) {
  if (!Array.isArray(body.messages) || body.messages.length === 0) return failure(400, "Invalid 'messages': empty array.", { param: 'messages' });
  let open = new Set();
  for (const [index, message] of body.messages.entries()) {
    const param = `messages[${index}]`;
    if (!ROLES.includes(message.role)) return failure(400, `Invalid value: '${message.role}'.`, { param: `${param}.role` });
    if (message.role === 'tool') {
      if (!open.delete(message.tool_call_id)) return failure(400, "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.", { param });
      if (Array.isArray(message.content) && message.content.some(({ type }) => type !== 'text')) return failure(400, 'Invalid content of a tool message.', { param });
    } else {
      if (open.size) return failure(400, "An assistant message with 'tool_calls' must be followed by tool messages.", { param });
      for (const call of message.tool_calls ?? []) {
        if (!call.id || call.type !== 'function' || typeof call.function?.arguments !== 'string') return failure(400, 'Invalid tool call.', { param });
        open.add(call.id);
      }
      if (message.role !== 'assistant' && message.content == null) return failure(400, 'Invalid content.', { param });
    }
  }
  for (const tool of body.tools ?? []) {
    if (tool.type !== 'function' || !/^[a-zA-Z0-9_-]{1,64}$/.test(tool.function?.name ?? '')) return failure(400, 'Invalid tool.', { param: 'tools' });
  }
  for (const name of ['models', 'thinking', 'system', 'context_management', 'top_k', 'anthropic_version', 'output_format', 'output_config', 'stop_sequences']) {
    if (name in body) return failure(400, `Unrecognized request argument supplied: ${name}`, { param: name });
  }
  for (const [name, isDefault] of THINKING.test(body.model) ? Object.entries(NOT_FOR_THINKING) : []) {
    if (body[name] != null && !isDefault(body[name])) return failure(400, `Unsupported parameter: '${name}' is not supported with this model.`, { param: name, code: 'unsupported_parameter' });
  }
  if (body.stream_options && !body.stream) return failure(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
  return undefined;
}
