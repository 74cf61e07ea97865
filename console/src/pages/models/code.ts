// The request of the playground as a program sends it.

import type { ChatMessage, ChatRequest } from "../../api/gateway.ts";

export const CODES = ["curl", "openai", "anthropic", "raw"] as const;
export type CodeKind = (typeof CODES)[number];

const pretty = (value: unknown): string => JSON.stringify(value, null, 2);
/** As a word of the shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export function codeOf(kind: CodeKind, request: ChatRequest, origin: string): string {
  switch (kind) {
    case "curl":
      return `curl ${request.stream ? "-N " : ""}${origin}/v1/chat/completions \\\n  -H "authorization: Bearer $HATCH_KEY" \\\n  -H 'content-type: application/json' \\\n  -d ${quoted(pretty(request))}`;
    case "openai":
      return openai(request, origin);
    case "anthropic":
      return anthropic(request, origin);
    case "raw":
      return pretty(request);
  }
}

function openai(request: ChatRequest, origin: string): string {
  const use = request.stream
    ? `for await (const chunk of answer) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");`
    : `console.log(answer.choices[0].message.content);`;
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${origin}/v1", apiKey: process.env.HATCH_KEY });
const answer = await client.chat.completions.create(${pretty(request)});
${use}`;
}

function anthropic(request: ChatRequest, origin: string): string {
  const { model, messages, stream, temperature, max_completion_tokens: most, tools } = request;
  const system = messages.filter(({ role }) => role === "system").map(({ content }) => content).join("\n\n");
  const body = {
    model,
    max_tokens: most ?? 4096,
    ...(system && { system }),
    ...(temperature !== undefined && { temperature }),
    ...(tools !== undefined && { tools: (tools as { function: { name: string; description?: string; parameters?: unknown } }[]).map(({ function: tool }) => ({ name: tool?.name, description: tool?.description, input_schema: tool?.parameters })) }),
    messages: messages.filter(({ role }) => role !== "system").map(inAnthropics),
  };
  const create = stream ? "stream" : "create";
  const use = stream
    ? `answer.on("text", (text) => process.stdout.write(text));\nawait answer.finalMessage();`
    : `for (const block of answer.content) if (block.type === "text") console.log(block.text);`;
  return `import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: "${origin}", apiKey: process.env.HATCH_KEY });
const answer = ${stream ? "" : "await "}client.messages.${create}(${pretty(body)});
${use}`;
}

function inAnthropics({ role, content, tool_calls: calls, tool_call_id: id }: ChatMessage): unknown {
  if (role === "tool") return { role: "user", content: [{ type: "tool_result", tool_use_id: id, content }] };
  if (!calls) return { role, content };
  return { role, content: [...(content ? [{ type: "text", text: content }] : []), ...calls.map(({ id, function: { name, arguments: given } }) => ({ type: "tool_use", id, name, input: parsed(given) }))] };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json || "{}") as unknown;
  } catch {
    return {};
  }
}
