import assert from 'node:assert/strict';
import http from 'node:http';
import { connect } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { bytesOf, messageId, startAnthropic } from './anthropic.js';

const GOOD = { model: 'claude-sonnet-5-5', max_tokens: 1000, messages: [{ role: 'user', content: 'Hi' }] };
const text = (value) => ({ type: 'text', text: value });

let fake;
before(async () => { fake = await startAnthropic(); });
beforeEach(() => fake.reset());
after(() => fake.close());

function post(body, path = '/v1/messages') {
  const headers = { 'x-api-key': fake.key, 'anthropic-version': '2023-06-01', 'content-type': 'application/json' };
  return fetch(fake.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
}

const stream = (body = GOOD) => post({ ...body, stream: true });
const bytes = async (response) => Buffer.from(await response.arrayBuffer());
const sdk = () => new Anthropic({ apiKey: fake.key, authToken: null, baseURL: fake.url, maxRetries: 0 });

// What arrived before the connection ended, however it ended.
async function received(response) {
  const parts = [];
  let whole = true;
  try {
    for await (const part of response.body) parts.push(part);
  } catch {
    whole = false;
  }
  return { bytes: Buffer.concat(parts), whole };
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

test('a good request is answered in the shape of a message', async () => {
  fake.setAnswer('Fine.');
  const response = await post(GOOD);
  const message = await response.json();
  assert.equal(response.status, 200);
  assert.deepEqual(message.content, [text('Fine.')]);
  assert.equal(message.stop_reason, 'end_turn');
  assert.equal(message.model, GOOD.model);
  assert.equal(message.id, messageId(1));
  assert.deepEqual(fake.requests.at(-1).message, message);
  assert.deepEqual(fake.requests.at(-1).body, GOOD);
});

test('the official SDK, which sends its key as a bearer token, is let in with the right key only', async () => {
  assert.equal((await sdk().messages.create(GOOD)).role, 'assistant');
  assert.match(fake.requests.at(-1).headers.authorization, /^Bearer /);
  await assert.rejects(new Anthropic({ apiKey: 'wrong', authToken: null, baseURL: fake.url, maxRetries: 0 }).messages.create(GOOD), Anthropic.AuthenticationError);
});

test('thinking goes back as it came, and the block is empty unless a summary was asked for', async () => {
  fake.setAnswer([{ type: 'thinking', thinking: 'Hm.' }, text('Done')]);
  for (const [thinking, shown] of [[undefined, ''], [{ type: 'adaptive', display: 'summarized' }, 'Hm.']]) {
    const { content } = await (await post({ ...GOOD, thinking })).json();
    assert.equal(content[0].thinking, shown);
    const messages = [...GOOD.messages, { role: 'assistant', content }, { role: 'user', content: 'More' }];
    assert.equal((await post({ ...GOOD, messages })).status, 200);
  }
});

test('tokens are counted, and fields that counting does not take are refused', async () => {
  const { model, messages } = GOOD;
  const response = await post({ model, messages }, '/v1/messages/count_tokens');
  assert.ok((await response.json()).input_tokens > 0);
  await refused(await post(GOOD, '/v1/messages/count_tokens'), 400, 'invalid_request_error', /max_tokens: Extra/);
});

test('models are listed page by page and found by id', async () => {
  const ids = [];
  for await (const model of sdk().models.list({ limit: 2 })) ids.push(model.id);
  assert.equal(ids.length, 7);
  assert.equal(new Set(ids).size, 7);
  const model = await sdk().models.retrieve('claude-sonnet-5-5');
  assert.equal(model.max_tokens, 128_000);
  assert.equal(model.capabilities.thinking.types.disabled.supported, false);
  await assert.rejects(sdk().models.retrieve('claude-0'), Anthropic.NotFoundError);
});

test('a stream is, byte for byte, what bytesOf foretells', async () => {
  const answer = [{ type: 'thinking', thinking: 'Grübeln…' }, text('Grüße 👋 aus dem Strom, nicht zu kurz.'), { type: 'tool_use', id: 'toolu_9', name: 'look', input: { at: 'ünïcode', deep: [1, { a: null }] } }];
  fake.setAnswer(answer);
  const response = await stream();
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  assert.deepEqual(await bytes(response), bytesOf(answer));
  assert.deepEqual(fake.requests.at(-1).bytes, bytesOf(answer));
  const names = [...bytesOf('Hi').toString().matchAll(/^event: (.*)$/gm)].map((match) => match[1]);
  assert.deepEqual(names, ['message_start', 'ping', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop']);
});

for (const fault of [{}, { crlf: true }, { cr: true }, { chunkBytes: 1 }, { pings: 50 }, { delayMs: 1 }]) {
  test(`the official SDK reads the stream with ${JSON.stringify(fault)} and ends with the whole message`, async () => {
    fake.setAnswer([{ type: 'thinking', thinking: 'Hm 👋' }, text('Grüße 👋'), { type: 'tool_use', id: 'toolu_9', name: 'look', input: { at: 'ü' } }, { type: 'tool_use', id: 'toolu_10', name: 'look', input: {} }]);
    fake.setFault({ times: 1, ...fault });
    const message = await sdk().messages.stream({ ...GOOD, thinking: { type: 'adaptive', display: 'summarized' } }).finalMessage();
    const { content, stop_reason: reason, usage } = fake.requests.at(-1).message;
    assert.deepEqual(message.content, content);
    assert.deepEqual(message.content.map((block) => block.thinking ?? block.text ?? block.input), ['Hm 👋', 'Grüße 👋', { at: 'ü' }, {}]);
    assert.equal(message.stop_reason, reason);
    assert.deepEqual(message.usage, usage);
  });
}

test('the answer may depend on the body, and say how it stopped and what it cost', async () => {
  fake.setAnswer(({ messages }) => ({ content: `You said ${messages[0].content}`, stopReason: 'max_tokens', usage: { cache_read_input_tokens: 7 } }));
  const message = await sdk().messages.stream(GOOD).finalMessage();
  assert.equal(message.content[0].text, 'You said Hi');
  assert.equal(message.stop_reason, 'max_tokens');
  assert.equal(message.usage.cache_read_input_tokens, 7);
});

test('max_tokens 0 answers nothing', async () => {
  const message = await (await post({ ...GOOD, max_tokens: 0 })).json();
  assert.deepEqual([message.content, message.usage.output_tokens], [[], 0]);
});

for (const [status, type] of [[429, 'rate_limit_error'], [500, 'api_error'], [529, 'overloaded_error'], [400, 'invalid_request_error']]) {
  test(`a fault of ${status} strikes as often as asked, and then the service is well`, async () => {
    fake.setFault({ status, headers: { 'retry-after': '1' }, times: 2 });
    for (const _ of [1, 2]) {
      const response = await stream();
      assert.equal(response.headers.get('retry-after'), '1');
      await refused(response, status, type, /./);
    }
    assert.equal((await stream()).status, 200);
  });
}

test('a fault does not hide a bad request, nor is it used up by one', async () => {
  fake.setFault({ status: 529 });
  await refused(await post({ ...GOOD, n: 1 }), 400, 'invalid_request_error', /^n:/);
  assert.equal((await post(GOOD)).status, 529);
});

test('faults come in the order given, and a misspelt one is an error', async () => {
  fake.setFault({ status: 500, html: true }, { status: 529 });
  const page = await stream();
  assert.equal(page.headers.get('content-type'), 'text/html');
  assert.match(await page.text(), /^<!DOCTYPE html>/);
  assert.equal((await stream()).status, 529);
  assert.throws(() => fake.setFault({ cutAfterByte: 1 }), /cutAfterByte/);
});

test('a refused connection gives no response, until the fault is lifted', async () => {
  fake.setFault({ refuse: true, times: Infinity });
  await assert.rejects(stream(), TypeError);
  await assert.rejects(stream(), TypeError);
  assert.equal(await fake.requests[0].ended, 'refused');
  fake.setFault();
  assert.equal((await stream()).status, 200);
});

test('a hanging request answers when released', async () => {
  fake.setFault({ hang: true });
  const arrived = fake.nextRequest();
  const response = stream();
  const request = await arrived;
  assert.equal((await (await stream()).text()).length > 0, true);
  assert.deepEqual([fake.openRequests, request.outcome, request.bytesSent], [1, undefined, 0]);
  fake.release();
  assert.deepEqual(await bytes(await response), bytesOf('Hello! How can I help you today?'));
  assert.equal(await request.ended, 'complete');
});

test('a client that leaves is noticed', async () => {
  fake.setFault({ hang: true });
  const arrived = fake.nextRequest();
  const left = http.request(`${fake.url}/v1/messages`, { method: 'POST', headers: { 'x-api-key': fake.key, 'anthropic-version': '2023-06-01', 'content-type': 'application/json' } });
  left.on('error', () => {});
  left.end(JSON.stringify(GOOD));
  const request = await arrived;
  left.destroy();
  assert.equal(await request.ended, 'left');
});

test('a stream can be cut at every byte', async () => {
  const whole = bytesOf('é👋');
  fake.setAnswer('é👋');
  for (let n = 0; n <= whole.length; n += 1) {
    fake.reset();
    fake.setAnswer('é👋');
    fake.setFault({ cutAfterBytes: n });
    const got = await received(await stream());
    assert.equal(got.whole, false, `cut at ${n}`);
    assert.ok(got.bytes.equals(whole.subarray(0, n)), `cut at ${n}`);
    assert.equal(await fake.requests.at(-1).ended, 'cut');
  }
});

test('a cut beyond the end comes after the last byte', async () => {
  fake.setFault({ cutAfterBytes: 1_000_000 });
  const got = await received(await stream());
  assert.equal(got.whole, false);
  assert.ok(got.bytes.equals(fake.requests.at(-1).bytes));
});

// The sizes of the chunks as they come over the wire, which fetch would hide.
async function chunkSizes() {
  const body = JSON.stringify({ ...GOOD, stream: true });
  const socket = connect(new URL(fake.url).port, '127.0.0.1');
  socket.write(`POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${fake.key}\r\nanthropic-version: 2023-06-01\r\n`
    + `content-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
  const parts = [];
  for await (const part of socket) parts.push(part);
  let rest = Buffer.concat(parts).toString('latin1').split('\r\n\r\n').slice(1).join('\r\n\r\n');
  const sizes = [];
  for (let size = parseInt(rest, 16); size > 0; size = parseInt(rest, 16)) {
    sizes.push(size);
    rest = rest.slice(rest.indexOf('\r\n') + 2 + size + 2);
  }
  return sizes;
}

test('a stream is written in pieces of the size asked for, or event by event', async () => {
  const { length } = bytesOf('Hi');
  fake.setAnswer('Hi');
  fake.setFault({ chunkBytes: 7 }, { delayMs: 1 });
  assert.deepEqual(await chunkSizes(), [...Array(Math.floor(length / 7)).fill(7), ...(length % 7 ? [length % 7] : [])]);
  assert.equal((await chunkSizes()).length, 7);
  assert.deepEqual(await chunkSizes(), [length]);
});

test('a stalled stream sends so many bytes, keeps the socket, and goes on when released', async () => {
  fake.setFault({ stallAfterBytes: 100 });
  const response = await stream();
  const reader = response.body.getReader();
  const parts = [];
  const size = () => Buffer.concat(parts).length;
  while (size() < 100) parts.push((await reader.read()).value);
  assert.equal(size(), 100);
  assert.equal(fake.requests.at(-1).outcome, undefined);
  fake.release();
  for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value);
  assert.ok(Buffer.concat(parts).equals(fake.requests.at(-1).bytes));
});

test('a stream that is released before its stall does not stall', async () => {
  fake.setFault({ chunkBytes: 10, delayMs: 1, stallAfterBytes: 100 });
  const reader = (await stream()).body.getReader();
  const first = (await reader.read()).value;
  assert.ok(first.length < 100);
  fake.release();
  const parts = [first];
  for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value);
  assert.ok(Buffer.concat(parts).equals(fake.requests.at(-1).bytes));
});

test('an error in the middle of a stream ends it, and the official SDK throws it', async () => {
  fake.setFault({ errorEventAfter: 3, type: 'overloaded_error' }, { errorEventAfter: 3 });
  const got = (await bytes(await stream())).toString();
  assert.equal(got.match(/^event: /gm).length, 4);
  assert.match(got, /event: error\ndata: \{"type":"error","error":\{"type":"overloaded_error","message":"Overloaded"\},"request_id":"req_[^"]+"\}\n\n$/);
  await assert.rejects(sdk().messages.stream(GOOD).finalMessage(), /Overloaded/);
});

test('a stream can lack its end, all its events, its type or its sense', async () => {
  fake.setFault({ omitMessageStop: true }, { emptyStream: true }, { wrongContentType: true }, { garbage: true }, { unknownEvents: true }, { thinking: true });
  assert.doesNotMatch((await bytes(await stream())).toString(), /message_stop/);
  assert.equal((await bytes(await stream())).length, 0);
  assert.equal((await stream()).headers.get('content-type'), 'text/html; charset=utf-8');
  const garbage = (await bytes(await stream())).toString();
  assert.throws(() => JSON.parse(garbage.split('data: ')[1]), SyntaxError);
  assert.match((await bytes(await stream())).toString(), /event: message_mood[^]*aroma_delta[^]*hologram/);
  const message = (await bytes(await stream())).toString();
  assert.ok(message.indexOf('"type":"thinking"') < message.indexOf('"type":"text"'));
});

test('a closed fake refuses connections', async () => {
  const other = await startAnthropic();
  await other.close();
  assert.equal(other.openConnections, 0);
  await assert.rejects(fetch(other.url), TypeError);
});

const searched = [
  { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: { query: 'invoicing' } },
  { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [{ type: 'web_search_result', url: 'https://a.example/', title: 'A', encrypted_content: 'x', page_age: null }] },
];

test('a turn of web search that was paused is gone on with, and no other assistant turn is', async () => {
  const tools = [{ type: 'web_search_20250305', name: 'web_search', max_uses: 2 }];
  fake.setAnswer({ content: searched, stopReason: 'pause_turn', usage: { server_tool_use: { web_search_requests: 1, web_fetch_requests: 0 } } });
  const paused = await (await post({ ...GOOD, tools })).json();
  assert.equal(paused.stop_reason, 'pause_turn');
  assert.equal(paused.usage.server_tool_use.web_search_requests, 1);
  const goOn = (content) => post({ ...GOOD, tools, messages: [...GOOD.messages, { role: 'assistant', content }] });
  fake.setAnswer('Done');
  assert.equal((await goOn(paused.content)).status, 200);
  await refused(await goOn([text('Do')]), 400, 'invalid_request_error', /prefill/);
});

test('the web search tool is refused with wrong fields, and beside a schema', async () => {
  const tool = { type: 'web_search_20250305', name: 'web_search' };
  for (const wrong of [{ name: 'search' }, { max_uses: 0 }, { query: 'x' }, { allowed_domains: [], blocked_domains: [] }]) {
    await refused(await post({ ...GOOD, tools: [{ ...tool, ...wrong }] }), 400, 'invalid_request_error', /tools\.0/);
  }
  const output_config = { format: { type: 'json_schema', schema: { type: 'object', additionalProperties: false } } };
  await refused(await post({ ...GOOD, tools: [tool], output_config }), 400, 'invalid_request_error', /citations/);
  assert.equal((await post({ ...GOOD, output_config })).status, 200);
});
