// The gateway: one request to a model, and its answer as it comes.

import { ApiError, ask } from "./client.ts";
import { eventsOf } from "./events.ts";

export interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

export interface ChatMessage {
  role: "system" | "user" | "assistant" | "tool";
  content: string;
  tool_calls?: ToolCall[];
  tool_call_id?: string;
}

export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  stream?: boolean;
  stream_options?: { include_usage: boolean };
  temperature?: number;
  max_completion_tokens?: number;
  tools?: unknown;
}

export interface ModelAnswer {
  text: string;
  reasoning: string;
  calls: ToolCall[];
  finish: string | undefined;
  usage: { prompt_tokens: number; completion_tokens: number } | undefined;
  /** Who answered, and what happened on the way. */
  provider: string;
  model: string;
  attempts: string;
  warnings: string;
  firstWordMs: number | undefined;
  totalMs: number;
}

interface Delta {
  content?: string | null;
  reasoning_content?: string | null;
  tool_calls?: { index?: number; id?: string; function?: { name?: string; arguments?: string } }[];
}

interface Chunk {
  choices?: { delta?: Delta; message?: Delta; finish_reason?: string | null }[];
  usage?: ModelAnswer["usage"] | null;
  error?: { message?: string };
}

/**
 * Asks a model, and tells of the answer as it grows.
 * @throws {ApiError} where it was refused, or broke off
 */
export async function askModel(request: ChatRequest, signal: AbortSignal, on: (answer: ModelAnswer) => void): Promise<void> {
  const begun = performance.now();
  const response = await ask("POST", "/v1/chat/completions", { body: request, signal });
  const header = (name: string) => response.headers.get(`x-gateway-${name}`) ?? "";
  const answer: ModelAnswer = {
    text: "", reasoning: "", calls: [], finish: undefined, usage: undefined, firstWordMs: undefined, totalMs: 0,
    provider: header("provider"), model: header("model"), attempts: header("attempts"), warnings: header("warnings"),
  };
  const take = (chunk: Chunk) => {
    if (chunk.error) throw new ApiError(502, "interrupted", chunk.error.message ?? "");
    const choice = chunk.choices?.[0];
    const delta = choice?.delta ?? choice?.message;
    if (delta?.content || delta?.reasoning_content || delta?.tool_calls) answer.firstWordMs ??= performance.now() - begun;
    answer.text += delta?.content ?? "";
    answer.reasoning += delta?.reasoning_content ?? "";
    for (const [at, call] of (delta?.tool_calls ?? []).entries()) grow(answer.calls, call.index ?? at, call);
    answer.finish = choice?.finish_reason ?? answer.finish;
    answer.usage = chunk.usage ?? answer.usage;
    answer.totalMs = performance.now() - begun;
    on({ ...answer, calls: [...answer.calls] });
  };
  if (!request.stream) return take((await response.json()) as Chunk);
  if (!response.body) return;
  for await (const { data } of eventsOf(response.body)) {
    if (data === "[DONE]") return;
    take(JSON.parse(data) as Chunk);
  }
}

function grow(calls: ToolCall[], at: number, { id, function: part }: NonNullable<Delta["tool_calls"]>[number]): void {
  const known = calls[at] ?? { id: "", type: "function", function: { name: "", arguments: "" } };
  calls[at] = { ...known, id: id ?? known.id, function: { name: known.function.name + (part?.name ?? ""), arguments: known.function.arguments + (part?.arguments ?? "") } };
}
