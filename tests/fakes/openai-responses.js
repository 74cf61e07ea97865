// The Responses API of the fake of OpenAI: what it refuses of a request, and the answer with its items and events.
//
// An answer is `{content, toolCalls, thinks, searches, draws}`: `thinks` is the summary of a thought, which is shown only if the
// request asks for summaries, `searches` the query of a web search, and `draws` the base64 of a picture. What it stores it knows
// by its ids only, as the real one does: never under `store: false`.

const USAGE = { input_tokens: 12, input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 }, output_tokens: 7, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 19 };
const ENCRYPTED = 'reasoning.encrypted_content';
const NOT_PERSISTED = ' Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input.';

/** What one fake account has: `stored` ids, and the `encrypted` contents that it has given out. */
export const newAccount = () => ({ stored: new Set(), encrypted: new Set(), conversations: new Set(['conv_own']), prompts: new Set(['pmpt_own']), count: 0 });

/** Why the real one refuses this request, as `[status, message, {param, code}]`, or nothing. */
export function responseRefusal(body, account) {
  const { input } = body;
  if (input === undefined) return [400, "Missing required parameter: 'input'.", { param: 'input', code: 'missing_required_parameter' }];
  if (body.models !== undefined) return [400, "Unknown parameter: 'models'.", { param: 'models', code: 'unknown_parameter' }];
  if (body.previous_response_id != null && !account.stored.has(body.previous_response_id)) {
    return [400, `Previous response with id '${body.previous_response_id}' not found.`, { param: 'previous_response_id', code: 'previous_response_not_found' }];
  }
  const conversation = body.conversation?.id ?? body.conversation;
  if (conversation != null && !account.conversations.has(conversation)) return [404, `Conversation with id '${conversation}' not found.`];
  if (body.prompt != null && !account.prompts.has(body.prompt.id)) return [404, `Prompt with id '${body.prompt.id}' not found.`];
  if (!Array.isArray(input)) return undefined;
  for (const [index, item] of input.entries()) {
    const refusal = itemRefusal(item, input.slice(0, index), `input[${index}]`, body, account);
    if (refusal) return refusal;
  }
  const open = input.filter(({ type }) => type === 'function_call').find(({ call_id: id }) => !input.some((item) => item.type === 'function_call_output' && item.call_id === id));
  return open && [400, `No tool output found for function call ${open.call_id}.`, { param: 'input' }];
}

function itemRefusal(item, before, param, body, account) {
  const unknown = (id) => [404, `Item with id '${id}' not found.${body.store === false ? NOT_PERSISTED : ''}`, { param: 'input' }];
  if (item.type === 'item_reference') return account.stored.has(item.id) ? undefined : unknown(item.id);
  if (item.type === 'function_call_output' && !before.some(({ type, call_id: id }) => type === 'function_call' && id === item.call_id)) {
    return [400, `No tool call found for function call output with call_id ${item.call_id}.`, { param: 'input' }];
  }
  if (item.id !== undefined && item.id !== null && !/^(msg|fco?|rs|ws|ctco?|ig|at|cmp)_[\w-]{1,60}$/.test(item.id)) return [400, `Invalid '${param}.id': '${item.id}'.`, { param: `${param}.id`, code: 'invalid_value' }];
  if (item.type === 'compaction' && !account.encrypted.has(item.encrypted_content)) return unverified(item);
  if (item.type !== 'reasoning') return undefined;
  if (!Array.isArray(item.summary)) return [400, `Missing required parameter: '${param}.summary'.`, { param: `${param}.summary`, code: 'missing_required_parameter' }];
  if (item.encrypted_content == null) return account.stored.has(item.id) ? undefined : unknown(item.id);
  return account.encrypted.has(item.encrypted_content) ? undefined : unverified(item);
}

const unverified = ({ id }) => [400, `The encrypted content for item ${id} could not be verified. Reason: Encrypted content could not be decrypted or parsed.`, { code: 'invalid_encrypted_content' }];

const COMPACTED = ['model', 'input', 'instructions', 'previous_response_id', 'prompt_cache_key', 'prompt_cache_options', 'prompt_cache_retention', 'service_tier', 'image', 'tools', 'parallel_tool_calls', 'reasoning', 'text'];

/** Why the real one does not compact this conversation. */
export function compactionRefusal(body, account) {
  const unknown = Object.keys(body).find((name) => !COMPACTED.includes(name));
  if (unknown !== undefined) return [400, `Unknown parameter: '${unknown}'.`, { param: unknown, code: 'unknown_parameter' }];
  return responseRefusal({ ...body, store: false }, account);
}

/** The user's messages, and an item that stands for the rest. */
export function compacted(body, account) {
  account.count += 1;
  const [number, given] = [account.count, Array.isArray(body.input) ? body.input : [{ role: 'user', content: body.input }]];
  const content = (text) => (Array.isArray(text) ? text : [{ type: 'input_text', text }]);
  const users = given.filter(({ role }) => role === 'user').map((item, index) => ({ id: `msg_up${number}_${index}`, type: 'message', role: 'user', status: 'completed', content: content(item.content) }));
  const item = { id: `cmp_up${number}`, type: 'compaction', encrypted_content: `gAAAA${number}-compacted` };
  account.encrypted.add(item.encrypted_content);
  return { id: `resp_up${number}`, object: 'response.compaction', created_at: 1795824000 + number, output: [...users, item], usage: USAGE };
}

/** The answer: the whole response, or its events. */
export function responded(body, said, account) {
  account.count += 1;
  const number = account.count;
  const output = itemsOf(body, said, number, account);
  const response = (status, items, more = {}) => ({
    id: `resp_up${number}`, object: 'response', created_at: 1795824000 + number, status, background: false, model: body.model, output: items, parallel_tool_calls: true, tool_choice: 'auto',
    tools: body.tools ?? [], error: null, incomplete_details: null, instructions: body.instructions ?? null, max_output_tokens: null, metadata: body.metadata ?? {}, previous_response_id: null,
    reasoning: { effort: 'medium', summary: null }, service_tier: 'default', store: body.store ?? true, temperature: 1, text: { format: { type: 'text' } }, top_p: 1, truncation: 'disabled', usage: null, ...more,
  });
  const whole = response('completed', output, { usage: USAGE });
  if (body.store !== false) for (const { id } of [whole, ...output]) account.stored.add(id);
  const started = response('in_progress', []);
  const events = [
    { type: 'response.created', response: started },
    { type: 'response.in_progress', response: started },
    ...output.flatMap(eventsOf),
    { type: 'response.completed', response: whole },
  ];
  return { whole, events: events.map((event, index) => `event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: index })}\n\n`) };
}

function itemsOf(body, said, number, account) {
  const items = [];
  if (said.thinks !== undefined) {
    const content = `gAAAA${number}-${said.thinks}`;
    const isEncrypted = body.include?.includes(ENCRYPTED);
    if (isEncrypted) account.encrypted.add(content);
    items.push({ id: `rs_up${number}`, type: 'reasoning', summary: body.reasoning?.summary ? [{ type: 'summary_text', text: said.thinks }] : [], ...(isEncrypted && { encrypted_content: content }) });
  }
  if (said.searches !== undefined) items.push({ id: `ws_up${number}`, type: 'web_search_call', status: 'completed', action: { type: 'search', query: said.searches } });
  if (said.draws !== undefined) items.push({ id: `ig_up${number}`, type: 'image_generation_call', status: 'completed', result: said.draws });
  for (const [index, call] of (said.toolCalls ?? []).entries()) {
    items.push({ id: `fc_up${number}_${index}`, type: 'function_call', status: 'completed', call_id: call.id, name: call.name, arguments: call.args });
  }
  if (said.content) {
    const part = { type: 'output_text', text: said.content, annotations: said.annotations ?? [], logprobs: [] };
    items.push({ id: `msg_up${number}`, type: 'message', role: 'assistant', status: 'completed', phase: 'final_answer', content: [part] });
  }
  return items;
}

const pieces = (text) => text.match(/.{1,5}/gsu) ?? [];

function eventsOf(item, index) {
  const at = { item_id: item.id, output_index: index };
  const added = (more) => ({ type: 'response.output_item.added', output_index: index, item: { ...item, ...more } });
  const done = { type: 'response.output_item.done', output_index: index, item };
  if (item.type === 'reasoning') return [added({ summary: [] }), ...item.summary.flatMap((part, n) => summaryEvents({ ...at, summary_index: n }, part)), done];
  if (item.type === 'function_call') {
    const deltas = pieces(item.arguments).map((delta) => ({ type: 'response.function_call_arguments.delta', ...at, delta, obfuscation: 'x' }));
    return [added({ status: 'in_progress', arguments: '' }), ...deltas, { type: 'response.function_call_arguments.done', ...at, name: item.name, arguments: item.arguments }, done];
  }
  if (item.type === 'message') return [added({ status: 'in_progress', content: [] }), ...textEvents({ ...at, content_index: 0 }, item.content[0]), done];
  const states = ['in_progress', item.type === 'web_search_call' ? 'searching' : 'generating', 'completed'].map((state) => ({ type: `response.${item.type}.${state}`, ...at }));
  return [added({ status: 'in_progress' }), ...states, done];
}

const summaryEvents = (at, part) => [
  { type: 'response.reasoning_summary_part.added', ...at, part: { ...part, text: '' } },
  ...pieces(part.text).map((delta) => ({ type: 'response.reasoning_summary_text.delta', ...at, delta, obfuscation: 'x' })),
  { type: 'response.reasoning_summary_text.done', ...at, text: part.text },
  { type: 'response.reasoning_summary_part.done', ...at, part },
];

const textEvents = (at, part) => [
  { type: 'response.content_part.added', ...at, part: { ...part, text: '', annotations: [] } },
  ...pieces(part.text).map((delta) => ({ type: 'response.output_text.delta', ...at, delta, logprobs: [] })),
  ...part.annotations.map((annotation, n) => ({ type: 'response.output_text.annotation.added', ...at, annotation_index: n, annotation })),
  { type: 'response.output_text.done', ...at, text: part.text, logprobs: [] },
  { type: 'response.content_part.done', ...at, part },
];
