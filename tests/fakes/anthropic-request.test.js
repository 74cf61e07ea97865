import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { startAnthropic } from './anthropic.js';

const GOOD = { model: 'claude-sonnet-5-5', max_tokens: 1000, messages: [{ role: 'user', content: 'Hi' }] };
const OLD = { ...GOOD, model: 'claude-haiku-4-5' };
const TOOL = { name: 'look', input_schema: { type: 'object', properties: {} } };
const user = (...content) => ({ ...GOOD, messages: [{ role: 'user', content }] });
const text = (value, rest) => ({ type: 'text', text: value, ...rest });
const MARK = { cache_control: { type: 'ephemeral' } };

let fake;
before(async () => { fake = await startAnthropic(); });
beforeEach(() => fake.reset());
after(() => fake.close());

function post(body, { path = '/v1/messages', method = 'POST', headers = {}, without = [] } = {}) {
  const all = { 'x-api-key': fake.key, 'anthropic-version': '2023-06-01', 'content-type': 'application/json', ...headers };
  for (const name of without) delete all[name];
  return fetch(fake.url + path, { method, headers: all, body: method === 'GET' ? undefined : typeof body === 'string' ? body : JSON.stringify(body) });
}


async function refused(response, status, type, words) {
  const body = await response.json();
  assert.equal(response.status, status, JSON.stringify(body));
  assert.equal(body.type, 'error');
  assert.equal(body.error.type, type);
  assert.match(body.error.message, words);
  assert.equal(body.request_id, response.headers.get('request-id'));
  assert.match(body.request_id, /^req_/);
}

const CALLERS = [
  ['no key', { without: ['x-api-key'] }, 401, 'authentication_error', /x-api-key/],
  ['a wrong key', { headers: { 'x-api-key': 'sk-ant-wrong' } }, 401, 'authentication_error', /invalid x-api-key/],
  ['a bearer token it does not know', { headers: { authorization: 'Bearer x' }, without: ['x-api-key'] }, 401, 'authentication_error', /bearer/],
  ['its key as a bearer token under the old version', { headers: { authorization: 'Bearer sk-ant-api03-fake-0123456789abcdef' }, without: ['x-api-key'] }, 401, 'authentication_error', /bearer/],
  ['both a key and a bearer token', { headers: { authorization: 'Bearer x' } }, 400, 'invalid_request_error', /Only one/],
  ['an Origin', { headers: { origin: 'https://hatch.example' } }, 401, 'authentication_error', /^CORS requests are not allowed/],
  ['no version', { without: ['anthropic-version'] }, 400, 'invalid_request_error', /header is required/],
  ['a version that never was', { headers: { 'anthropic-version': '2024-01-01' } }, 400, 'invalid_request_error', /not a valid version/],
  ['a malformed beta', { headers: { 'anthropic-beta': 'everything' } }, 400, 'invalid_request_error', /anthropic-beta/],
  ['another content type', { headers: { 'content-type': 'text/plain' } }, 400, 'invalid_request_error', /application\/json/],
  ['GET where POST is due', { path: '/v1/messages', method: 'GET' }, 405, 'invalid_request_error', /Method Not Allowed/],
  ['POST where GET is due', { path: '/v1/models' }, 405, 'invalid_request_error', /Method Not Allowed/],
  ['too long a page', { path: '/v1/models?limit=1001', method: 'GET' }, 400, 'invalid_request_error', /^limit/],
  ['an unknown path', { path: '/v1/complete' }, 404, 'not_found_error', /Not Found/],
];
for (const [name, how, status, type, words] of CALLERS) {
  test(`a request with ${name} is refused with ${status}`, async () => refused(await post(GOOD, how), status, type, words));
}

const toolUse = { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'look', input: {} }] };
const toolResult = { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'seen' }] };
const BODIES = [
  ['a model that is no string', { ...GOOD, model: 5 }, /^model: Input should be a valid string/],
  ['a stream flag that is no boolean', { ...GOOD, stream: 'true' }, /^stream/],
  ['a negative max_tokens', { ...GOOD, max_tokens: -1 }, /greater than or equal to 0/],
  ['a single stop sequence', { ...GOOD, stop_sequences: 'END' }, /^stop_sequences: .* list/],
  ['a numeric user_id', { ...GOOD, metadata: { user_id: 7 } }, /metadata\.user_id/],
  ['messages that are no list', { ...GOOD, messages: 'Hi' }, /^messages: Input should be a valid list/],
  ['over 100,000 messages', { ...GOOD, messages: Array(100_001).fill({ role: 'user', content: 'x' }) }, /at most 100000/],
  ['a message that is no object', { ...GOOD, messages: ['Hi'] }, /messages\.0: Input should be a valid dictionary/],
  ['content of the wrong type', { ...GOOD, messages: [{ role: 'user', content: { type: 'text', text: 'x' } }] }, /messages\.0\.content: Input/],
  ['a block that is no object', user('Hi'), /messages\.0\.content\.0: Input should be a valid dictionary/],
  ['a number for a text', user(text(5)), /text: Input should be a valid string/],
  ['a system message an old model does not know', { ...OLD, messages: [...GOOD.messages, { role: 'system', content: 'x' }] }, /'system' is not supported/],
  ['tool input as a string', { ...GOOD, messages: [...GOOD.messages, { role: 'assistant', content: [{ ...toolUse.content[0], input: '{}' }] }, toolResult] }, /tool_use\.input/],
  ['a tool result that is an object', { ...GOOD, messages: [...GOOD.messages, toolUse, { role: 'user', content: [{ ...toolResult.content[0], content: { ok: true } }] }] }, /tool_result\.content/],
  ['an image from nowhere', user({ type: 'image', source: { type: 'path', path: '/x' } }), /source: Input tag 'path'/],
  ['tools that are no list', { ...GOOD, tools: TOOL }, /^tools: Input should be a valid list/],
  ['a tool that is no object', { ...GOOD, tools: ['look'] }, /tools\.0: Input should be a valid dictionary/],
  ['a tool of an unknown type', { ...GOOD, tools: [{ ...TOOL, type: 'function' }] }, /Input tag 'function'/],
  ['a tool whose schema is no object', { ...GOOD, tools: [{ ...TOOL, input_schema: { type: 'string' } }] }, /Input should be 'object'/],
  ['an OpenAI tool_choice', { ...GOOD, tools: [TOOL], tool_choice: { type: 'required' } }, /Input tag 'required'/],
  ['a choice of a tool that is not there', { ...OLD, tools: [TOOL], tool_choice: { type: 'tool', name: 'hear' } }, /'hear' not found/],
  ['a forced tool while thinking', { ...OLD, max_tokens: 4000, tools: [TOOL], tool_choice: { type: 'any' }, thinking: { type: 'enabled', budget_tokens: 2000 } }, /Thinking may not be enabled/],
  ['a temperature in words', { ...OLD, temperature: 'high' }, /temperature: Input should be a valid number/],
  ['an unknown effort', { ...GOOD, output_config: { effort: 'minimal' } }, /output_config\.effort/],
  ['an OpenAI output format', { ...GOOD, output_config: { format: { type: 'json_object', schema: {} } } }, /format\.type/],
  ['a schema with a range', { ...GOOD, output_config: { format: { type: 'json_schema', schema: { type: 'integer', minimum: 1 } } } }, /'minimum' is not supported/],
  ['an unknown kind of thinking', { ...GOOD, thinking: { type: 'constructor' } }, /thinking: Input tag 'constructor'/],
  ['an unknown display of thinking', { ...GOOD, thinking: { type: 'adaptive', display: 'full' } }, /thinking\.display/],
  ['an unknown kind of cache', user(text('a', { cache_control: { type: 'persistent' } })), /'ephemeral'/],
  ['broken JSON', '{"model":', /not valid JSON/],
  ['a JSON list', [], /not valid JSON/],
  ['an unknown field', { ...GOOD, n: 2 }, /^n: Extra inputs are not permitted/],
  ['no model', { ...GOOD, model: undefined }, /^model: Field required/],
  ['no max_tokens', { ...GOOD, max_tokens: undefined }, /^max_tokens: Field required/],
  ['no messages', { ...GOOD, messages: undefined }, /^messages: Field required/],
  ['empty messages', { ...GOOD, messages: [] }, /at least one message/],
  ['a fractional max_tokens', { ...GOOD, max_tokens: 1.5 }, /valid integer/],
  ['too large a max_tokens', { ...GOOD, max_tokens: 128_001 }, /128001 > 128000/],
  ['a first message of the assistant', { ...GOOD, messages: [{ role: 'assistant', content: 'Hm' }, ...GOOD.messages] }, /first message must use the "user" role/],
  ['an unknown role', { ...GOOD, messages: [{ role: 'tool', content: 'x' }] }, /role/],
  ['a role from the prototype', { ...GOOD, messages: [{ role: 'constructor', content: 'x' }] }, /role/],
  ['a prefill', { ...GOOD, messages: [...GOOD.messages, { role: 'assistant', content: '{' }] }, /does not support assistant message prefill/],
  ['a name on a message', { ...GOOD, messages: [{ role: 'user', content: 'x', name: 'Ann' }] }, /messages\.0\.name: Extra/],
  ['empty content', { ...GOOD, messages: [{ role: 'user', content: '' }] }, /non-empty content/],
  ['an empty text block', user(text('')), /non-empty/],
  ['a blank text block', user(text(' \n')), /non-whitespace/],
  ['a cache mark on an empty block', user(text('', MARK)), /cache_control cannot be set for empty text blocks/],
  ['five cache marks', user(...'abcde'.split('').map((c) => text(c, MARK))), /maximum of 4 .* Found 5/],
  ['a long cache mark after a short one', user(text('a', MARK), text('b', { cache_control: { type: 'ephemeral', ttl: '1h' } })), /ttl='1h'/],
  ['an unknown cache time', user(text('a', { cache_control: { type: 'ephemeral', ttl: '1d' } })), /ttl/],
  ['an unknown block', user({ type: 'input_text', text: 'x' }), /Input tag 'input_text'/],
  ['an image of an unknown kind', user({ type: 'image', source: { type: 'base64', media_type: 'image/bmp', data: 'AAAA' } }), /media_type/],
  ['an image that is a data URL', user({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'data:image/png;base64,AAAA' } }), /base64/],
  ['a system prompt of the wrong type', { ...GOOD, system: { text: 'x' } }, /^system/],
  ['an empty system block', { ...GOOD, system: [text('')] }, /non-empty/],
  ['temperature', { ...GOOD, temperature: 0.7 }, /temperature/],
  ['top_p', { ...GOOD, top_p: 1 }, /top_p/],
  ['top_k', { ...GOOD, top_k: 5 }, /top_k/],
  ['top_k on a model that takes default sampling only', { ...GOOD, model: 'claude-opus-5', top_k: 5 }, /top_k/],
  ['thinking enabled', { ...GOOD, thinking: { type: 'enabled', budget_tokens: 2000 } }, /thinking\.type\.enabled/],
  ['thinking disabled', { ...GOOD, thinking: { type: 'disabled' } }, /thinking\.type\.disabled/],
  ['adaptive thinking on an old model', { ...OLD, thinking: { type: 'adaptive' } }, /thinking\.type\.adaptive/],
  ['too small a thinking budget', { ...OLD, max_tokens: 9000, thinking: { type: 'enabled', budget_tokens: 1000 } }, /1024/],
  ['a thinking budget beyond max_tokens', { ...OLD, thinking: { type: 'enabled', budget_tokens: 2000 } }, /must be greater than/],
  ['between_tools at high effort', { ...GOOD, thinking: { type: 'between_tools' }, output_config: { effort: 'max' } }, /between_tools/],
  ['effort on an old model', { ...OLD, output_config: { effort: 'low' } }, /effort/],
  ['a forced tool', { ...GOOD, tools: [TOOL], tool_choice: { type: 'tool', name: 'look' } }, /not supported on this model/],
  ['any tool forced', { ...GOOD, tools: [TOOL], tool_choice: { type: 'any' } }, /not supported on this model/],
  ['tool_choice without tools', { ...GOOD, tool_choice: { type: 'auto' } }, /while providing tools/],
  ['an OpenAI tool', { ...GOOD, tools: [{ type: 'function', function: TOOL }] }, /tools\.0/],
  ['a tool with a bad name', { ...GOOD, tools: [{ ...TOOL, name: 'a b' }] }, /pattern/],
  ['two tools of one name', { ...GOOD, tools: [TOOL, TOOL] }, /unique/],
  ['a tool without a schema', { ...GOOD, tools: [{ name: 'look' }] }, /input_schema: Field required/],
  ['a tool call left open', { ...GOOD, messages: [...GOOD.messages, toolUse, { role: 'user', content: 'So?' }] }, /without `tool_result` blocks/],
  ['a tool result out of nowhere', { ...GOOD, messages: [toolResult] }, /unexpected `tool_use_id`/],
  ['thinking that was tampered with', { ...GOOD, messages: [...GOOD.messages, { role: 'assistant', content: [{ type: 'thinking', thinking: 'x', signature: 'y' }] }, ...GOOD.messages] }, /Invalid `signature`/],
  ['an open output schema', { ...GOOD, output_config: { format: { type: 'json_schema', schema: { type: 'object', properties: {} } } } }, /additionalProperties/],
  ['an email address as user_id', { ...GOOD, metadata: { user_id: 'ann@example.com' } }, /email/],
  ['a blank stop sequence', { ...GOOD, stop_sequences: ['\n'] }, /non-whitespace/],
  ['more than fits into the context', { ...OLD, messages: [{ role: 'user', content: 'x'.repeat(900_000) }] }, /prompt is too long/],
];
for (const [name, body, words] of BODIES) {
  test(`a body with ${name} is refused with 400`, async () => refused(await post(body), 400, 'invalid_request_error', words));
}

const GOOD_BODIES = [
  ['every harmless setting', { ...GOOD, system: [text('Be kind.', MARK)], stop_sequences: ['END'], metadata: { user_id: 'u1' }, service_tier: 'auto', thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'high', format: { type: 'json_schema', schema: { type: 'object', properties: {}, additionalProperties: false } } } }],
  ['tools, a call and its result', { ...GOOD, tools: [TOOL], tool_choice: { type: 'auto' }, messages: [...GOOD.messages, toolUse, toolResult] }],
  ['what only old models take', { ...OLD, temperature: 0.2, top_k: 5, tools: [TOOL], tool_choice: { type: 'any' }, messages: [...GOOD.messages, { role: 'assistant', content: '{' }] }],
  ['default sampling where that is all there is', { ...GOOD, model: 'claude-opus-5', temperature: 1, top_p: 0.99 }],
  ['a server tool', { ...GOOD, tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 3 }] }],
  ['a system message in the middle', { ...GOOD, messages: [...GOOD.messages, { role: 'system', content: 'Mode: short.' }] }],
];
for (const [name, body] of GOOD_BODIES) {
  test(`a body with ${name} is accepted`, async () => {
    const response = await post(body);
    assert.equal(response.status, 200, await response.text());
  });
}

test('`output_format` is taken under its beta alone, and not beside its new name', async () => {
  const format = { type: 'json_schema', schema: { type: 'object', properties: {}, additionalProperties: false } };
  const beta = { headers: { 'anthropic-beta': 'structured-outputs-2025-11-13' } };
  assert.equal((await post({ ...GOOD, output_format: format }, beta)).status, 200);
  await refused(await post({ ...GOOD, output_format: format }), 400, 'invalid_request_error', /output_format: Extra inputs/);
  await refused(await post({ ...GOOD, output_format: format, output_config: { format } }, beta), 400, 'invalid_request_error', /output_format/);
  await refused(await post({ ...GOOD, output_format: { type: 'json_object', schema: {} } }, beta), 400, 'invalid_request_error', /format/);
});

test('an unknown model is not found', async () => refused(await post({ ...GOOD, model: 'gpt-6' }), 404, 'not_found_error', /gpt-6/));

test('a body over 32 MB is refused with 413', async () => {
  const body = JSON.stringify({ ...GOOD, messages: [{ role: 'user', content: 'x'.repeat(32 * 1024 * 1024) }] });
  await refused(await post(body), 413, 'request_too_large', /maximum size/);
});
