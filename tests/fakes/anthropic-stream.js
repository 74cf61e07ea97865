// What Anthropic's Messages API answers: the message, and the same message as server-sent events
//. All of it is a pure function of the answer and the options, so that
// a test can know every byte beforehand.

import { MODELS, sign } from './anthropic-request.js';

export const DEFAULT_ANSWER = 'Hello! How can I help you today?';
const DEFAULT_MODEL = 'claude-sonnet-5-5';
const INPUT_TOKENS = 25;
const PIECE = 12;
const THOUGHT = { type: 'thinking', thinking: 'The user greets me, so I shall greet them back.' };

/** The id of the n-th message that a fake gives, from 1. */
export const messageId = (n) => `msg_01fake${String(n).padStart(16, '0')}`;

/**
 * The whole message of an answer.
 *
 * An answer is a text, a list of content blocks, or `{content, stopReason, stopSequence, stopDetails, usage}` with either
 * of these as its content; `usage` overrides single counters. Thinking blocks get their signature here.
 *
 * Options: `id` (the first message's), `model`, `thinking` (the request's own setting), `think: true` for a thinking block
 * before all else, `maxTokens` of the request: 0 only warms the cache and answers nothing.
 */
export function messageOf(answer, { id = messageId(1), model = DEFAULT_MODEL, thinking, think = false, maxTokens } = {}) {
  const { content: given, stopReason, stopSequence = null, stopDetails = null, usage = {} } = parts(answer);
  const blocks = typeof given === 'string' ? [{ type: 'text', text: given }] : given;
  const full = maxTokens === 0 ? [] : [...(think ? [THOUGHT] : []), ...blocks];
  const thinkingTokens = tokens(full.filter((block) => block.type === 'thinking'));
  return {
    id, type: 'message', role: 'assistant', model,
    content: full.map((block) => finished(block, isShown(thinking, model))),
    stop_reason: stopReason ?? naturalStop(full), stop_sequence: stopSequence, stop_details: stopDetails, container: null,
    usage: {
      input_tokens: INPUT_TOKENS, cache_creation_input_tokens: 0, cache_read_input_tokens: 0,
      cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
      output_tokens: tokens(full), output_tokens_details: thinkingTokens > 0 ? { thinking_tokens: thinkingTokens } : null,
      server_tool_use: null, service_tier: 'standard', inference_geo: 'global', ...usage,
    },
  };
}

/**
 * The events of a message, each as the bytes on the wire, in order.
 *
 * Options besides `messageOf`'s: `pings` extra ones in the middle, `omitMessageStop`, `unknownEvents` (an event, a delta
 * and a content block of unknown types), `eol` for the line ending: `\n`, `\r\n` or `\r`.
 */
export function eventsOf(answer, { pings = 0, omitMessageStop = false, unknownEvents = false, eol = '\n', ...options } = {}) {
  const message = messageOf(answer, options);
  const ping = { type: 'ping' };
  const { output_tokens: outputTokens, output_tokens_details: details, ...input } = message.usage;
  const events = [
    { type: 'message_start', message: { ...message, content: [], stop_reason: null, stop_sequence: null, stop_details: null, usage: { ...input, output_tokens: 1, output_tokens_details: null } } },
    ping,
    ...(unknownEvents ? [{ type: 'message_mood', mood: 'cheerful' }] : []),
    ...message.content.flatMap((block, index) => blockEvents(block, index, { pings: index === 0 ? pings : 0, unknownEvents })),
    ...(unknownEvents ? unknownBlock(message.content.length) : []),
    {
      type: 'message_delta',
      delta: { stop_reason: message.stop_reason, stop_sequence: message.stop_sequence, stop_details: message.stop_details, container: null },
      usage: {
        input_tokens: input.input_tokens, cache_creation_input_tokens: input.cache_creation_input_tokens,
        cache_read_input_tokens: input.cache_read_input_tokens, output_tokens: outputTokens, output_tokens_details: details, server_tool_use: input.server_tool_use,
      },
    },
    ...(omitMessageStop ? [] : [{ type: 'message_stop' }]),
  ];
  return events.map((event) => sse(event, eol));
}

/** The exact bytes of a stream without a fault: `eventsOf` in one piece. */
export const bytesOf = (answer, options) => Buffer.concat(eventsOf(answer, options));

/** One server-sent event. */
export function sse(event, eol = '\n') {
  return Buffer.from(`event: ${event.type}${eol}data: ${JSON.stringify(event)}${eol}${eol}`);
}

/** An error: the body of a failed request, and the data of an `error` event alike. */
export function errorBody(type, message, requestId) {
  return { type: 'error', error: { type, message }, request_id: requestId };
}

/** An entry of `GET /v1/models`. */
export function modelInfo(id) {
  const able = MODELS[id];
  const supported = (yes) => ({ supported: yes });
  return {
    id, type: 'model', display_name: able.name, created_at: `${able.created}T00:00:00Z`, lifecycle: 'active', deprecated_at: null, retires_at: null,
    line: id.split('-')[1], max_input_tokens: able.context, max_tokens: able.maxTokens,
    capabilities: {
      thinking: { supported: true, types: Object.fromEntries(['adaptive', 'between_tools', 'disabled', 'enabled'].map((type) => [type, supported(able.thinking.includes(type))])) },
      effort: { supported: able.effort, ...Object.fromEntries(['low', 'medium', 'high', 'xhigh', 'max'].map((level) => [level, supported(able.effort)])) },
      structured_outputs: supported(true), image_input: supported(true), pdf_input: supported(true), citations: supported(true), batch: supported(true),
    },
  };
}

function parts(answer) {
  return typeof answer === 'string' || Array.isArray(answer) ? { content: answer } : answer;
}

function naturalStop(blocks) {
  if (blocks.length === 0) return 'max_tokens';
  return blocks.some((block) => block.type === 'tool_use') ? 'tool_use' : 'end_turn';
}

// Four bytes to a token: close enough to be plausible, and the same every time.
function tokens(blocks) {
  const bytes = blocks.reduce((sum, block) => sum + Buffer.byteLength(block.text ?? block.thinking ?? JSON.stringify(block.input ?? '')), 0);
  return Math.ceil(bytes / 4);
}

// Newer models keep their thinking to themselves unless asked for a summary: the block comes empty but signed.
function isShown(thinking, model) {
  if (thinking?.type === 'between_tools') return true;
  return thinking?.display ? thinking.display === 'summarized' : Boolean(MODELS[model]?.thinking.includes('enabled'));
}

function finished(block, shown) {
  if (block.type !== 'thinking') return block;
  const thinking = shown ? block.thinking : '';
  return { type: 'thinking', thinking, signature: sign(thinking) };
}

function blockEvents(block, index, { pings, unknownEvents }) {
  const delta = (value) => ({ type: 'content_block_delta', index, delta: value });
  const { start, deltas } = pieces(block);
  return [
    { type: 'content_block_start', index, content_block: start },
    ...Array.from({ length: pings }, () => ({ type: 'ping' })),
    ...(unknownEvents ? [delta({ type: 'aroma_delta', aroma: 'pine' })] : []),
    ...deltas.map(delta),
    { type: 'content_block_stop', index },
  ];
}

function pieces(block) {
  switch (block.type) {
    case 'text':
      return {
        start: { ...block, text: '', ...(block.citations ? { citations: [] } : {}) },
        deltas: [
          ...slices(block.text).map((text) => ({ type: 'text_delta', text })),
          ...(block.citations ?? []).map((citation) => ({ type: 'citations_delta', citation })),
        ],
      };
    case 'thinking':
      return {
        start: { type: 'thinking', thinking: '', signature: '' },
        deltas: [...slices(block.thinking).map((thinking) => ({ type: 'thinking_delta', thinking })), { type: 'signature_delta', signature: block.signature }],
      };
    case 'tool_use':
    case 'server_tool_use': {
      // The first piece of input is always empty, and an empty input is that piece alone.
      const input = Object.keys(block.input).length === 0 ? '' : JSON.stringify(block.input);
      return { start: { ...block, input: {} }, deltas: ['', ...slices(input)].map((json) => ({ type: 'input_json_delta', partial_json: json })) };
    }
    default:
      return { start: block, deltas: [] };
  }
}

// By whole characters: a JSON string cannot hold half of one.
function slices(text) {
  const characters = Array.from(text);
  return Array.from({ length: Math.ceil(characters.length / PIECE) }, (_, i) => characters.slice(i * PIECE, (i + 1) * PIECE).join(''));
}

function unknownBlock(index) {
  return [
    { type: 'content_block_start', index, content_block: { type: 'hologram', data: '' } },
    { type: 'content_block_delta', index, delta: { type: 'hologram_delta', data: 'AAAA' } },
    { type: 'content_block_stop', index },
  ];
}
