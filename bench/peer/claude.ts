/** Claude's Messages API for the peer: the request, and its stream as parsed events. */
import type { RawMessageStreamEvent } from "@anthropic-ai/sdk/resources/messages";

export interface Turn {
  role: "user" | "assistant";
  content: string;
}

/** The body of Claude's streamed answer to `messages`, or null when Claude refuses. */
export async function openClaudeStream(env: { CLAUDE_API_KEY: string; CLAUDE_BASE_URL: string }, messages: Turn[]) {
  const response = await fetch(`${env.CLAUDE_BASE_URL}/v1/messages`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-api-key": env.CLAUDE_API_KEY,
      "anthropic-version": "2023-06-01",
    },
    body: JSON.stringify({ model: "claude-sonnet-5-5", max_tokens: 16_000, stream: true, messages }),
  });
  return response.ok ? response.body : null;
}

export async function* claudeEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<RawMessageStreamEvent> {
  let pending = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const frames = (pending + text).split("\n\n");
    pending = frames.pop() ?? "";
    for (const frame of frames) {
      const data = frame.split("\n").find((line) => line.startsWith("data: "));
      if (data) yield JSON.parse(data.slice("data: ".length));
    }
  }
}
