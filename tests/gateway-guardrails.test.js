// What guardrails read of a request: a secret in place of each of its texts, hidden by an escape and by invisible
// characters, goes to no provider but where a name, a setting or bytes are expected.

import assert from "node:assert/strict";
import test, { after } from "node:test";
import { startAnthropic } from "./fakes/anthropic.js";
import { startOpenAI } from "./fakes/openai.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { startWorker } from "./support/harness.js";
import { as, people, production } from "./support/people.js";

const [stack, gpt, claude] = [await startStackAuth(), await startOpenAI(), await startAnthropic()];
after(() => Promise.all([stack.close(), gpt.close(), claude.close()]));
const worker = await startWorker({ ...production(stack), OPENAI_BASE_URL: `${gpt.url}/v1`, OPENAI_API_KEY: gpt.key, CLAUDE_BASE_URL: claude.url, CLAUDE_API_KEY: claude.key });
const { signIn, newKey } = people(worker, stack);
const ada = await signIn();
const { key } = await newKey(ada.token, { scopes: ["gateway"], gateway: { guardrails: { input: { secrets: { action: "redact" } } } } });

const HI = { role: "user", content: "Hi" };
const schema = { type: "object", title: "t", properties: { a: { type: "string", description: "d", default: "x", enum: ["x"] } }, required: ["a"] };
const source = { url: "https://x.test", title: "t" };
const text = (words) => `data:text/plain;base64,${Buffer.from(words).toString("base64")}`;
const BODIES = {
  "/v1/chat/completions": {
    model: "openai/gpt-6-luna", stop: ["x"], user: "u", safety_identifier: "s", prompt_cache_key: "k", metadata: { a: "b" }, prediction: { type: "content", content: "x" },
    messages: [
      { role: "system", content: [{ type: "text", text: "s" }], name: "n" }, { role: "user", content: [{ type: "text", text: "Hi" }, { type: "file", file: { filename: "a.txt", file_data: text("x") } }], name: "n" },
      { role: "assistant", content: [{ type: "text", text: "x" }, { type: "refusal", refusal: "no" }], reasoning_content: "r" }, { role: "assistant", content: null, refusal: "no" }, HI,
      { role: "assistant", content: null, tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: '{"a":"b"}' } }] }, { role: "tool", tool_call_id: "c", content: "x" },
    ],
    tools: [{ type: "function", function: { name: "f", description: "d", parameters: schema } }], response_format: { type: "json_schema", json_schema: { name: "n", description: "d", schema } },
  },
  "/v1/messages": {
    model: "anthropic/claude-sonnet-5-5", max_tokens: 9, system: [{ type: "text", text: "s" }], stop_sequences: ["x"], metadata: { user_id: "u" },
    messages: [
      { role: "user", content: [{ type: "text", text: "Hi" }, { type: "document", title: "t", context: "c", source: { type: "text", media_type: "text/plain", data: "x" } }, { type: "search_result", source: "s", title: "t", content: [{ type: "text", text: "x" }] }] },
      { role: "assistant", content: [{ type: "thinking", thinking: "x", signature: "s" }, { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } }, { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [{ type: "web_search_result", ...source, encrypted_content: "e" }] }, { type: "text", text: "x", citations: [{ type: "web_search_result_location", ...source, encrypted_index: "e", cited_text: "c" }] }, { type: "tool_use", id: "t", name: "f", input: { a: "x" } }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "t", content: [{ type: "text", text: "x" }] }] },
    ],
    tools: [{ name: "f", description: "d", input_schema: schema, input_examples: [{ a: "x" }] }],
  },
  "/v1/responses": {
    model: "openai/gpt-6-luna", store: false, instructions: "i", user: "u", safety_identifier: "s", prompt_cache_key: "k", metadata: { a: "b" },
    input: [
      { role: "user", content: [{ type: "input_text", text: "Hi" }, { type: "input_file", filename: "a.txt", file_data: text("x") }] },
      { type: "web_search_call", id: "ws", status: "completed", action: { type: "search", query: "q" } }, { type: "code_interpreter_call", id: "ci", status: "completed", code: "x", outputs: [{ type: "logs", logs: "l" }] },
      { type: "file_search_call", id: "fs", status: "completed", queries: ["q"], results: [{ file_id: "f", filename: "n", text: "t", attributes: { id: "b" } }] },
      { type: "mcp_list_tools", id: "ml", server_label: "s", tools: [{ name: "t", description: "d", input_schema: { properties: { id: { description: "d" } } } }] }, { type: "mcp_call", id: "mc", server_label: "s", name: "n", arguments: '{"a":"b"}', output: "o" },
      { type: "reasoning", id: "rs", summary: [{ type: "summary_text", text: "x" }] }, { type: "message", id: "msg", role: "assistant", status: "completed", content: [{ type: "output_text", text: "x", annotations: [{ type: "url_citation", ...source, start_index: 0, end_index: 1 }] }] },
      { type: "function_call", id: "fc", call_id: "c", name: "f", arguments: '{"a":"b"}' }, { type: "function_call_output", call_id: "c", output: [{ type: "input_text", text: "x" }] },
      { type: "custom_tool_call", call_id: "d", name: "g", input: "i" }, { type: "custom_tool_call_output", call_id: "d", output: "o" },
    ],
    tools: [{ type: "function", name: "f", description: "d", parameters: schema }], text: { format: { type: "json_schema", name: "n", description: "d", schema } },
  },
  "/v1/completions": { model: "openai/gpt-6-luna", prompt: "a", user: "u", stop: ["x"] },
  "/v1/embeddings": { model: "openai/text-embedding-3-small", input: ["a"], user: "u" },
};
/** Names, settings and what only the vendor reads, by the last member of their place. */
const NO_TEXTS = ["model", "role", "type", "id", "call_id", "tool_call_id", "tool_use_id", "file_id", "name", "status", "required", "signature", "encrypted_content", "encrypted_index", "media_type", "server_label"];

const placesIn = (value, at = []) => (value instanceof Object ? Object.keys(value).flatMap((name) => placesIn(value[name], [...at, name])) : typeof value === "string" ? [at] : []);
const isText = (place) => !NO_TEXTS.includes(place.findLast((name) => !/^\d+$/.test(name))) || place.at(-2) === "attributes" || (place.at(-1) === "name" && place.at(-3) === "messages");
const HIDDEN = [..."abcdefghijklmnopqrstuvwxyz0123456789"].join("\u2060");
/** The body with a secret at this place, its first letter as an escape. */
function withSecret(body, place) {
  const copy = structuredClone(body);
  const owner = place.slice(0, -1).reduce((value, name) => value[name], copy);
  const before = owner[place.at(-1)];
  if (before.startsWith("data:")) owner[place.at(-1)] = text(`ghp_${HIDDEN}`);
  else owner[place.at(-1)] = place.at(-1) === "arguments" ? `{"a":"\\u0067hp_${HIDDEN}"}` : `ghp_${HIDDEN}`;
  return JSON.stringify(copy).replaceAll("ghp_", "\\u0067hp_");
}
const decoded = (raw) => raw.replaceAll(/[A-Za-z0-9+/]{40,}={0,2}/g, (given) => `${given} ${Buffer.from(given, "base64")}`);

for (const [path, body] of Object.entries(BODIES)) {
  test(`guardrails read each text of ${path}`, async () => {
    let places = 0;
    for (const place of placesIn(body).filter(isText)) {
      const seen = [gpt, claude].map(({ requests }) => requests.length);
      // A thinking model takes no stop sequences, and what is redacted is written anew for it.
      const headers = { ...as(key), "x-gateway-lenient": "true", ...(path === "/v1/messages" && { "anthropic-version": "2023-06-01" }) };
      await (await worker.api("POST", path, withSecret(body, place), headers)).text();
      const sent = [gpt, claude].flatMap(({ requests }, index) => requests.slice(seen[index]));
      assert.ok(sent.length > 0, `nothing was sent: ${place.join(".")}`);
      for (const { raw } of sent) assert.ok(!decoded(raw.toString()).replaceAll(/\u2060|\\u2060/g, "").includes(HIDDEN.replaceAll("\u2060", "")), `${place.join(".")}: ${raw}`);
      places += 1;
    }
    assert.ok(places > 1);
  });
}

test("several answers with functions are asked for by the same API whether or not a text is redacted", async () => {
  const body = { ...BODIES["/v1/chat/completions"], stop: undefined, n: 2, reasoning_effort: "none", messages: [HI] };
  for (const content of ["Hi", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"]) {
    const response = await worker.api("POST", "/v1/chat/completions", { ...body, messages: [{ role: "user", content }] }, as(key));
    assert.equal(response.status, 200, await response.text());
    const { path, body: { n, tools, messages } } = gpt.requests.at(-1);
    assert.deepEqual([path, n, tools.length], ["/v1/chat/completions", 2, 1]);
    assert.equal(messages[0].content === content, content === "Hi");
  }
});
