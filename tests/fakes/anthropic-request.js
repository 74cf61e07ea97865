// What Anthropic's Messages API refuses, and in which words: from its documentation, the types of
// @anthropic-ai/sdk 1.11, and error messages that users reported. Where these leave it open whether a model of the 5.5
// generation takes a setting, it is refused here: a client that passes is then right either way.

import { createHash } from 'node:crypto';

export const MAX_BODY = 32 * 1024 * 1024;
const MAX_MESSAGES = 100_000;
const MAX_CACHE_MARKS = 4;
// The newer version is the one that @anthropic-ai/sdk 1.x sends, with its API key as a bearer token; of the older one only
// x-api-key is known to be taken, since bearer tokens were OAuth's then.
const BEARER_VERSION = '2026-10-21';
const VERSIONS = ['2023-06-01', BEARER_VERSION];

// `sampling`: any value, the default's own value alone, or none. `thinking`: the types taken. `forced`: tool_choice any and tool.
const model = (name, rest) => ({ name, context: 1_000_000, maxTokens: 128_000, sampling: 'none', forced: false, prefill: false, effort: true, midSystem: true, ...rest });

/** The models by id, newest first: what each accepts. */
export const MODELS = {
  'claude-haiku-5-5': model('Claude Haiku 5.5', { created: '2026-10-20', thinking: ['adaptive', 'disabled'] }),
  'claude-sonnet-5-5': model('Claude Sonnet 5.5', { created: '2026-10-06', thinking: ['adaptive', 'between_tools'] }),
  'claude-opus-5-5': model('Claude Opus 5.5', { created: '2026-09-22', thinking: ['adaptive'] }),
  'claude-fable-5-1': model('Claude Fable 5.1', { created: '2026-09-01', thinking: ['adaptive'], sampling: 'default' }),
  'claude-opus-5': model('Claude Opus 5', { created: '2026-07-14', thinking: ['adaptive'], sampling: 'default' }),
  'claude-sonnet-5': model('Claude Sonnet 5', { created: '2026-06-30', thinking: ['adaptive', 'disabled'], sampling: 'default', forced: true }),
  'claude-haiku-4-5': model('Claude Haiku 4.5', {
    created: '2025-10-15', context: 200_000, maxTokens: 64_000, thinking: ['enabled', 'disabled'], sampling: 'any', forced: true, prefill: true, effort: false, midSystem: false,
  }),
};
MODELS['claude-haiku-4-5-20251001'] = MODELS['claude-haiku-4-5'];

const COUNT_FIELDS = ['model', 'messages', 'system', 'tools', 'tool_choice', 'thinking', 'output_config', 'cache_control', 'speed'];
const FIELDS = [...COUNT_FIELDS, 'max_tokens', 'stream', 'stop_sequences', 'metadata', 'service_tier', 'inference_geo', 'container',
  'diagnostics', 'temperature', 'top_p', 'top_k'];

// Fields of each input block: a trailing `?` marks the optional ones. Blocks of server tools come back as they were sent.
const BLOCKS = {
  text: 'text cache_control? citations?',
  image: 'source cache_control? transformations?',
  document: 'source cache_control? citations? context? title?',
  search_result: 'content source title cache_control? citations?',
  tool_use: 'id name input cache_control? caller? toolset_name?',
  tool_result: 'tool_use_id content? is_error? cache_control? toolset_name?',
  thinking: 'thinking signature',
  redacted_thinking: 'data',
  tool_reference: 'tool_name cache_control?',
  container_upload: 'file_id cache_control?',
};
const SOURCES = { base64: 'type media_type data', text: 'type media_type data', url: 'type url', file: 'type file_id', content: 'type content' };
const TOOL_CHOICES = {
  auto: 'type disable_parallel_tool_use?', any: 'type disable_parallel_tool_use?', tool: 'type name disable_parallel_tool_use?', none: 'type',
};
const THINKING = { adaptive: 'type display?', enabled: 'type budget_tokens display?', disabled: 'type', between_tools: 'type' };
const ROLE_BLOCKS = {
  user: ['text', 'image', 'document', 'search_result', 'tool_result', 'container_upload'],
  assistant: ['text', 'tool_use', 'thinking', 'redacted_thinking'],
  system: ['text'],
};
const SERVER_BLOCK = /^(server_tool_use|[a-z_]+_tool_result)$/;
const WEB_SEARCH = 'web_search_20250305';
// Fields of betas: under the first `output_config.format` had a name of its own.
const BETA_FIELDS = { 'structured-outputs-2025-11-13': 'output_format', 'context-management-2025-06-27': 'context_management', 'message-threads-2026-08-12': 'thread' };
// Under this beta a turn has an effort of its own.
const TURN_BETA = 'per-turn-control-2026-07-01';
// Under this one a request says what becomes of thoughts that are bound to another conversation.
const BINDING_BETA = 'thinking-binding-controls-2026-08-01';
const UNSUPPORTED_SCHEMA_KEYS = ['minimum', 'maximum', 'multipleOf', 'minLength', 'maxLength', 'maxItems'];

class Refused extends Error {
  constructor(status, type, message) {
    super(message);
    Object.assign(this, { status, type });
  }
}
const refuse = (message) => { throw new Refused(400, 'invalid_request_error', message); };
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isBlank = (text) => text.trim() === '';
// A lookup that finds nothing under names such as "constructor".
const pick = (table, key) => (Object.hasOwn(table, key) ? table[key] : undefined);

/** The signature of a thinking block: changes when one character of the thinking does. */
export const sign = (thinking) => `Ep${createHash('sha256').update(`fake ${thinking}`).digest('base64')}`;

/** What the service refuses in a request, as `{status, type, message}`, or nothing. `key` is the one key it knows. */
export function refusalOf(request, key) {
  try {
    checkCaller(request, key);
    checkRoute(request);
    if (request.method === 'POST') checkBody(request, request.path.endsWith('/count_tokens'));
  } catch (error) {
    if (error instanceof Refused) return error;
    throw error;
  }
}

function checkCaller({ headers, tooLarge }, key) {
  const unauthorized = (message) => { throw new Refused(401, 'authentication_error', message); };
  if (tooLarge) throw new Refused(413, 'request_too_large', 'Request exceeds the maximum size');
  if (headers.origin) unauthorized('CORS requests are not allowed for this Organization because of its settings');
  if (headers['x-api-key'] && headers.authorization) refuse('Only one of x-api-key and Authorization may be sent');
  if (!headers['x-api-key'] && !headers.authorization) unauthorized('x-api-key header is required');
  if (headers['x-api-key'] && headers['x-api-key'] !== key) unauthorized('invalid x-api-key');
  const bearer = headers['anthropic-version'] === BEARER_VERSION ? `Bearer ${key}` : undefined;
  if (headers.authorization && headers.authorization !== bearer) unauthorized('Invalid bearer token');
  if (!headers['anthropic-version']) refuse('anthropic-version: header is required');
  if (!VERSIONS.includes(headers['anthropic-version'])) refuse(`anthropic-version: "${headers['anthropic-version']}" is not a valid version`);
  for (const beta of (headers['anthropic-beta'] ?? '').split(',').filter(Boolean)) {
    // Most end in a date with dashes, Claude Code's own one in a date without.
    if (!/^[a-z0-9-]+-\d{4}-?\d{2}-?\d{2}$/.test(beta.trim())) refuse(`Unexpected value(s) \`${beta}\` for the \`anthropic-beta\` header`);
  }
}

function checkRoute({ method, path, query }) {
  const route = path.match(/^\/v1\/(messages|messages\/count_tokens|models(\/[^/]+)?)$/);
  if (!route) throw new Refused(404, 'not_found_error', 'Not Found');
  if (method !== (route[1].startsWith('models') ? 'GET' : 'POST')) throw new Refused(405, 'invalid_request_error', 'Method Not Allowed');
  const limit = Number(query.get('limit') ?? 20);
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) refuse('limit: Input should be between 1 and 1000');
  const id = route[2]?.slice(1);
  if (id && !Object.hasOwn(MODELS, decodeURIComponent(id))) throw new Refused(404, 'not_found_error', `model: ${id}`);
}

function checkBody({ headers, body, raw }, counting) {
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) refuse('Content-Type must be application/json');
  if (!isObject(body)) refuse('The request body is not valid JSON');
  const beta = Object.entries(BETA_FIELDS).filter(([name]) => (headers['anthropic-beta'] ?? '').includes(name)).map(([, field]) => field);
  for (const name of Object.keys(body)) {
    if (![...(counting ? COUNT_FIELDS : FIELDS), ...beta].includes(name)) refuse(`${name}: Extra inputs are not permitted`);
  }
  for (const name of counting ? ['model', 'messages'] : ['model', 'max_tokens', 'messages']) {
    if (body[name] === undefined) refuse(`${name}: Field required`);
  }
  if (typeof body.model !== 'string') refuse('model: Input should be a valid string');
  if (!Object.hasOwn(MODELS, body.model)) throw new Refused(404, 'not_found_error', `model: ${body.model}`);
  const able = MODELS[body.model];
  checkScalars(body, able);
  checkSystem(body.system);
  checkMessages(body.messages, able, (headers['anthropic-beta'] ?? '').includes(TURN_BETA));
  checkOpening(body);
  checkTools(body, able);
  checkSettings(body, able, (headers['anthropic-beta'] ?? '').includes(BINDING_BETA));
  checkCacheMarks(body);
  // A picture costs by its size in pixels, and not by the length of its base64.
  const pictures = [...raw.toString('latin1').matchAll(/"data":"([A-Za-z0-9+/=]{1000,})"/g)].reduce((sum, [, data]) => sum + data.length, 0);
  const tokens = Math.ceil((raw.length - pictures) / 4);
  if (tokens > able.context) refuse(`prompt is too long: ${tokens} tokens > ${able.context} maximum`);
}

function checkScalars(body, able) {
  const oneOf = (name, values) => {
    if (body[name] !== undefined && !values.includes(body[name])) refuse(`${name}: Input should be one of ${values.map((v) => `'${v}'`).join(', ')}`);
  };
  oneOf('stream', [true, false]);
  oneOf('service_tier', ['auto', 'standard_only']);
  oneOf('speed', ['standard', 'fast', null]);
  const max = body.max_tokens;
  if (max !== undefined && !Number.isInteger(max)) refuse('max_tokens: Input should be a valid integer');
  if (max < 0) refuse('max_tokens: Input should be greater than or equal to 0');
  if (max > able.maxTokens) refuse(`max_tokens: ${max} > ${able.maxTokens}, which is the maximum allowed number of output tokens for ${body.model}`);
  const stops = body.stop_sequences ?? [];
  if (!Array.isArray(stops) || stops.some((stop) => typeof stop !== 'string')) refuse('stop_sequences: Input should be a valid list of strings');
  if (stops.some(isBlank)) refuse('stop_sequences: each stop sequence must contain non-whitespace');
  checkFields('metadata', body.metadata ?? {}, 'user_id?');
  const user = body.metadata?.user_id ?? '';
  if (typeof user !== 'string' || user.length > 256) refuse('metadata.user_id: Input should be a valid string of at most 256 characters');
  if (user.includes('@')) refuse('metadata.user_id: user_id appears to contain an email address');
}

function checkSystem(system) {
  if (system === undefined || typeof system === 'string') return;
  if (!Array.isArray(system)) refuse('system: Input should be a valid string or list');
  system.forEach((block, i) => checkBlock(`system.${i}`, block, ['text']));
}

function checkMessages(messages, able, byTurn) {
  if (!Array.isArray(messages)) refuse('messages: Input should be a valid list');
  if (messages.length === 0) refuse('messages: at least one message is required');
  if (messages.length > MAX_MESSAGES) refuse(`messages: at most ${MAX_MESSAGES} messages are allowed`);
  messages.forEach((message, i) => {
    const at = `messages.${i}`;
    checkFields(at, message, byTurn ? 'role content output_config?' : 'role content');
    const kinds = pick(ROLE_BLOCKS, message.role) ?? refuse(`${at}.role: Input should be 'user', 'assistant' or 'system'`);
    if (message.role === 'system' && !able.midSystem) refuse(`${at}.role: 'system' is not supported on this model`);
    if (message.content.length === 0) refuse(`${at}: all messages must have non-empty content except for the optional final assistant message`);
    if (typeof message.content === 'string') return checkText(at, message.content);
    if (!Array.isArray(message.content)) refuse(`${at}.content: Input should be a valid string or list`);
    message.content.forEach((block, j) => checkBlock(`${at}.content.${j}`, block, kinds));
  });
  if (messages[0].role !== 'user') refuse('messages: first message must use the "user" role');
  if (messages.at(-1).role === 'assistant' && !able.prefill && !isPaused(messages.at(-1))) {
    refuse('This model does not support assistant message prefill. The conversation must end with a user message.');
  }
  checkToolPairs(messages);
}

// A turn that was paused is gone on with by sending back what was said, which ends with a server tool's block.
const isPaused = ({ content }) => Array.isArray(content) && SERVER_BLOCK.test(content.at(-1)?.type) && content.at(-1).type !== 'tool_result';

// `spec` names the fields, the optional ones with a trailing `?`.
function checkFields(at, value, spec) {
  if (!isObject(value)) refuse(`${at}: Input should be a valid dictionary`);
  const names = spec.split(' ').filter(Boolean);
  for (const name of names.filter((name) => !name.endsWith('?'))) {
    if (value[name] === undefined || value[name] === null) refuse(`${at}.${name}: Field required`);
  }
  for (const name of Object.keys(value)) {
    if (!names.includes(name) && !names.includes(`${name}?`)) refuse(`${at}.${name}: Extra inputs are not permitted`);
  }
}

function checkText(at, text) {
  if (typeof text !== 'string') refuse(`${at}.text: Input should be a valid string`);
  if (text === '') refuse(`${at}: text content blocks must be non-empty`);
  if (isBlank(text)) refuse(`${at}: text content blocks must contain non-whitespace text`);
}

function checkBlock(at, block, kinds) {
  if (!isObject(block)) refuse(`${at}: Input should be a valid dictionary`);
  const { type, ...fields } = block;
  if (kinds.includes('tool_use') && SERVER_BLOCK.test(type) && type !== 'tool_result') return;
  if (!kinds.includes(type)) refuse(`${at}: Input tag '${type}' found using 'type' does not match any of the expected tags: '${kinds.join("', '")}'`);
  checkFields(`${at}.${type}`, fields, BLOCKS[type]);
  if (block.text === '' && block.cache_control) refuse(`${at}.text: cache_control cannot be set for empty text blocks`);
  if (type === 'text') checkText(at, block.text);
  if (type === 'image' || type === 'document') checkSource(`${at}.${type}.source`, type, block.source);
  if (type === 'tool_use' && !isObject(block.input)) refuse(`${at}.tool_use.input: Input should be a valid dictionary`);
  if (type === 'thinking' && block.signature !== sign(block.thinking)) refuse(`${at}: Invalid \`signature\` in \`thinking\` block`);
  if (type !== 'tool_result' || block.content === undefined || typeof block.content === 'string') return;
  if (!Array.isArray(block.content)) refuse(`${at}.tool_result.content: Input should be a valid string or list`);
  block.content.forEach((inner, i) => checkBlock(`${at}.tool_result.content.${i}`, inner, ['text', 'image', 'document', 'search_result', 'tool_reference']));
}

function checkSource(at, kind, source) {
  const media = kind === 'image' ? /^image\/(jpeg|png|gif|webp)$/ : /^(application\/pdf|text\/plain)$/;
  const spec = pick(SOURCES, source?.type);
  if (!spec || (kind === 'image' && ['text', 'content'].includes(source.type))) refuse(`${at}: Input tag '${source?.type}' found using 'type' does not match any of the expected tags`);
  checkFields(at, source, spec);
  if (source.media_type && !media.test(source.media_type)) refuse(`${at}.media_type: Input should be a media type of ${kind}s`);
  if (source.type === 'base64' && !/^[A-Za-z0-9+/]+={0,2}$/.test(source.data)) refuse(`${at}.data: Invalid base64 data`);
}

// Each tool_use is answered in the very next turn, and nothing else is. Neighbours of one role count as one turn.
function checkToolPairs(messages) {
  const turns = [];
  for (const { role, content } of messages) {
    const blocks = typeof content === 'string' ? [] : content;
    if (turns.at(-1)?.role === role) turns.at(-1).blocks.push(...blocks);
    else turns.push({ role, blocks: [...blocks] });
  }
  turns.forEach((turn, i) => {
    const asked = (turns[i - 1]?.blocks ?? []).filter((block) => block.type === 'tool_use').map((block) => block.id);
    const given = turn.blocks.filter((block) => block.type === 'tool_result').map((block) => block.tool_use_id);
    const missing = asked.filter((id) => !given.includes(id));
    const surplus = given.filter((id, at) => !asked.includes(id) || given.indexOf(id) !== at);
    if (missing.length > 0) refuse(`messages.${i - 1}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${missing.join(', ')}`);
    if (surplus.length > 0) refuse(`messages.${i}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${surplus.join(', ')}`);
  });
}

// With a budget for thinking, the turn that is gone on with has to begin with a thought. The adaptive mode wants none.
function checkOpening({ messages, thinking }) {
  const at = messages.findLastIndex(({ role }) => role === 'assistant');
  const start = messages.slice(0, at + 1).findLastIndex(({ role }) => role !== 'assistant') + 1;
  const blocks = messages.slice(start, at + 1).flatMap(({ content }) => (typeof content === 'string' ? [{ type: 'text' }] : content));
  const isOpen = at === messages.length - 1 || blocks.some(({ type }) => type === 'tool_use');
  if (thinking?.type !== 'enabled' || at === -1 || !isOpen || /thinking$/.test(blocks[0].type)) return;
  refuse(`messages.${start}.content.0.type: Expected \`thinking\` or \`redacted_thinking\`, but found \`${blocks[0].type}\`. When \`thinking\` is enabled, a final \`assistant\` message must start with a thinking block`);
}

function checkTools({ tools = [], tool_choice: choice, thinking }, able) {
  if (!Array.isArray(tools)) refuse('tools: Input should be a valid list');
  tools.forEach((tool, i) => checkTool(`tools.${i}`, tool));
  const names = tools.map((tool) => tool.name);
  if (new Set(names).size !== names.length) refuse('tools: Tool names must be unique.');
  if (choice === undefined) return;
  const spec = pick(TOOL_CHOICES, choice?.type);
  if (!spec) refuse(`tool_choice: Input tag '${choice?.type}' does not match any of the expected tags: 'auto', 'any', 'tool', 'none'`);
  checkFields('tool_choice', choice, spec);
  if (tools.length === 0) refuse('tool_choice: may only be specified while providing tools');
  if (choice.type === 'tool' && !names.includes(choice.name)) refuse(`tool_choice: Tool '${choice.name}' not found in provided tools`);
  if (!['any', 'tool'].includes(choice.type)) return;
  if (!able.forced) refuse(`tool_choice: '${choice.type}' is not supported on this model`);
  if (['enabled', 'adaptive'].includes(thinking?.type)) refuse('Thinking may not be enabled when tool_choice forces tool use.');
}

function checkTool(at, tool) {
  if (!isObject(tool)) refuse(`${at}: Input should be a valid dictionary`);
  const own = tool.type === undefined || tool.type === null || tool.type === 'custom';
  if (!own && !/^[a-z_]+_\d{8}$/.test(tool.type)) refuse(`${at}: Input tag '${tool.type}' does not match any of the expected tags`);
  if (!/^[a-zA-Z0-9_-]{1,128}$/.test(tool.name ?? '')) refuse(`${at}.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`);
  if (tool.type === WEB_SEARCH) checkWebSearch(at, tool);
  if (!own) return;
  checkFields(at, tool, 'name input_schema description? cache_control? strict? type? eager_input_streaming? defer_loading? allowed_callers? input_examples?');
  if (tool.input_schema.type !== 'object') refuse(`${at}.input_schema.type: Input should be 'object'`);
}

function checkWebSearch(at, tool) {
  checkFields(at, tool, 'type name max_uses? allowed_domains? blocked_domains? user_location? cache_control?');
  if (tool.name !== 'web_search') refuse(`${at}.name: Input should be 'web_search'`);
  if (tool.max_uses !== undefined && !(Number.isInteger(tool.max_uses) && tool.max_uses > 0)) refuse(`${at}.max_uses: Input should be greater than 0`);
  if (tool.allowed_domains && tool.blocked_domains) refuse(`${at}: only one of allowed_domains and blocked_domains may be given`);
}

function checkSettings(body, able, binds) {
  for (const name of ['temperature', 'top_p', 'top_k']) {
    const value = body[name];
    if (value === undefined) continue;
    if (typeof value !== 'number') refuse(`${name}: Input should be a valid number`);
    if (able.sampling === 'any') continue;
    const harmless = able.sampling === 'default' && ((name === 'temperature' && value === 1) || (name === 'top_p' && value >= 0.99));
    if (!harmless) refuse(`\`${name}\` is deprecated for this model.`);
  }
  if (able.sampling === 'any') checkSampling(body);
  const { thinking, output_config: output = {}, output_format: format = output.format } = body;
  if (thinking !== undefined) checkThinking(thinking, body, able, binds);
  checkFields('output_config', output, 'effort? format?');
  if (output.effort && !['low', 'medium', 'high', 'xhigh', 'max'].includes(output.effort)) refuse("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'");
  if (output.effort && !able.effort) refuse('This model does not support the effort parameter.');
  if (thinking?.type === 'between_tools' && ['xhigh', 'max'].includes(output.effort)) refuse(`thinking.type.between_tools: not supported at effort '${output.effort}'`);
  if (body.output_format && output.format) refuse('output_format: Use output_config.format instead');
  if (!format) return;
  checkFields('output_config.format', format, 'type schema');
  if ((body.tools ?? []).some((tool) => tool.type === WEB_SEARCH)) refuse('output_config.format: structured outputs cannot be used with citations, which web search always gives');
  if (format.type !== 'json_schema') refuse("output_config.format.type: Input should be 'json_schema'");
  checkSchema(format.schema);
}

function checkSampling({ temperature, top_p: topP, top_k: topK, thinking }) {
  if (temperature !== undefined && topP !== undefined) refuse('`temperature` and `top_p` cannot both be specified for this model. Please use only one.');
  if (thinking === undefined || thinking.type === 'disabled') return;
  if (temperature !== undefined && temperature !== 1) refuse('`temperature` may only be set to 1 when thinking is enabled.');
  if (topP !== undefined && topP < 0.95) refuse('`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.');
  if (topK !== undefined) refuse('`top_k` must be unset when thinking is enabled.');
}

function checkThinking(thinking, { max_tokens: max }, able, binds) {
  const spec = pick(THINKING, thinking?.type);
  if (!spec) refuse(`thinking: Input tag '${thinking?.type}' does not match any of the expected tags: 'adaptive', 'enabled', 'disabled', 'between_tools'`);
  checkFields(`thinking.${thinking.type}`, thinking, binds ? `${spec} block_binding?` : spec);
  if (!able.thinking.includes(thinking.type)) refuse(`"thinking.type.${thinking.type}" is not supported for this model.`);
  if (!['summarized', 'omitted', undefined, null].includes(thinking.display)) refuse("thinking.display: Input should be 'summarized' or 'omitted'");
  if (thinking.type !== 'enabled') return;
  if (!(thinking.budget_tokens >= 1024)) refuse('thinking.enabled.budget_tokens: Input should be greater than or equal to 1024');
  if (thinking.budget_tokens >= max) refuse('`max_tokens` must be greater than `thinking.budget_tokens`.');
}

function checkSchema(schema) {
  if (Array.isArray(schema)) return schema.forEach(checkSchema);
  if (!isObject(schema)) return;
  if (schema.type === 'object' && schema.additionalProperties !== false) {
    refuse("output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false");
  }
  const unsupported = UNSUPPORTED_SCHEMA_KEYS.find((key) => typeof schema[key] === 'number');
  if (unsupported) refuse(`output_config.format.schema: property '${unsupported}' is not supported`);
  Object.values(schema).forEach(checkSchema);
}

function checkCacheMarks({ tools = [], system, messages, cache_control: top }) {
  const marks = top ? [top] : [];
  let short = false;
  const visit = (blocks) => {
    for (const block of Array.isArray(blocks) ? blocks : []) {
      visit(block.content);
      const mark = block.cache_control;
      if (!mark) continue;
      if (mark.ttl === '1h' && short) refuse("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block");
      short ||= mark.ttl !== '1h';
      marks.push(mark);
    }
  };
  visit(tools);
  visit(system);
  for (const message of messages) visit(message.content);
  for (const mark of marks) {
    checkFields('cache_control', mark, 'type ttl?');
    if (mark.type !== 'ephemeral') refuse("cache_control: Input should be 'ephemeral'");
    if (!['5m', '1h', undefined].includes(mark.ttl)) refuse("cache_control.ttl: Input should be '5m' or '1h'");
  }
  if (marks.length > MAX_CACHE_MARKS) refuse(`A maximum of ${MAX_CACHE_MARKS} blocks with cache_control may be provided. Found ${marks.length}.`);
}
