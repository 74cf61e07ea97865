// A strict fake of what stands behind the binding of Workers AI. workerd's own class `Ai` makes the requests, so a test
// runs the real binding: `ai: {binding: "AI", remoteProxyConnectionString: new URL(fake.url)}` for Miniflare. Older models
// answer in a form of their own, newer ones in OpenAI's (developers.cloudflare.com/workers-ai/models).
//
//   const ai = await startWorkersAI();
//   ai.setAnswer("Hello");                          // or {content, toolCalls: [{name, args}]}, or a function of the inputs
//   ai.calls.at(-1)                                 // {model, inputs}

import { extend, json, startFaultServer } from './fault-server.js';

/** By the model's name: the form of its answers. */
const MODELS = {
  '@cf/meta/llama-3.3-70b-instruct-fp8-fast': 'older', '@cf/meta/llama-guard-3-8b': 'older', '@cf/openai/gpt-oss-120b': 'newer',
  '@cf/baai/bge-m3': 'embeddings',
};
const USAGE = { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19 };

const failure = (status, internalCode, description) => json(status, { internalCode, description, name: 'AiError' });

export async function startWorkersAI() {
  let answer = 'Hello.';
  const calls = [];
  const modelOf = ({ headers }) => headers['mf-header-cf-consn-model-id'];
  const server = await startFaultServer({
    refusal, answer: reply, failure: ({ status }) => failure(status, 3040, 'Capacity temporarily exceeded, please try again.'), faultPath: '/',
  });

  function refusal(request) {
    const { method, headers, body } = request;
    const isBinding = method === 'POST' && headers['mf-binding'] === 'AI' && headers['mf-url'] === 'https://workers-binding.ai/run?version=3';
    if (!isBinding || headers.authorization || headers['mf-header-authorization']) return failure(404, 1000, `not a call of the binding: ${headers['mf-url']}`);
    const form = MODELS[modelOf(request)];
    if (!form) return failure(400, 5007, `No such model ${modelOf(request)} or task`);
    const inputs = body?.inputs;
    const isGood = form === 'embeddings' ? Object.keys(inputs ?? {}).join() === 'text' : Array.isArray(inputs?.messages) && !('model' in inputs) && !('models' in inputs);
    return isGood ? undefined : failure(400, 5006, `Bad input: ${JSON.stringify(body)}`);
  }

  function reply(request) {
    const [model, { inputs }] = [modelOf(request), request.body];
    calls.push({ model, inputs });
    const form = MODELS[model];
    if (form === 'embeddings') return json(200, { shape: [inputs.text.length, 3], data: inputs.text.map((_, index) => [index, 0.5, -1]), pooling: 'cls' });
    const given = typeof answer === 'function' ? answer(inputs) : answer;
    const { content = null, toolCalls = [] } = typeof given === 'string' ? { content: given } : given;
    const events = form === 'older' ? older(content, toolCalls, inputs.stream) : newer(content, toolCalls, inputs.stream);
    if (!inputs.stream) return json(200, events);
    const pieces = [...events.map((event) => JSON.stringify(event)), '[DONE]'].map((data) => Buffer.from(`data: ${data}\n\n`));
    return { status: 200, headers: { 'content-type': 'text/event-stream' }, pieces };
  }

  return extend(server, { calls, setAnswer: (given) => { answer = given; } });
}

const piecesOf = (text) => (text ?? '').match(/.{1,5}/gsu) ?? [];

function older(content, toolCalls, isStream) {
  const calls = toolCalls.map(({ name, args }) => ({ name, arguments: args }));
  if (!isStream) return { response: content, tool_calls: calls, usage: USAGE };
  const texts = piecesOf(content).map((response) => ({ response, p: 'abdef' }));
  return [...texts, ...(calls.length ? [{ response: null, tool_calls: calls }] : []), { response: '', usage: USAGE }];
}

function newer(content, toolCalls, isStream) {
  const head = { id: 'chatcmpl-fake', created: 1795824000, model: 'fake' };
  const tool_calls = toolCalls.map(({ name, args }, index) => ({ index, id: `call_${index}`, type: 'function', function: { name, arguments: JSON.stringify(args) } }));
  const finish_reason = tool_calls.length ? 'tool_calls' : 'stop';
  if (!isStream) return { ...head, object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', content, tool_calls }, finish_reason }], usage: USAGE };
  const chunk = (delta, finish = null) => ({ ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] });
  const deltas = [...piecesOf(content).map((text) => ({ content: text })), ...(tool_calls.length ? [{ tool_calls }] : [])];
  return [chunk({ role: 'assistant', content: '' }), ...deltas.map((delta) => chunk(delta)), { ...chunk({}, finish_reason), usage: USAGE }];
}
