// Server-sent events (WHATWG HTML, 9.2) over fetch, which sends a credential
// where an EventSource cannot.

import { ApiError, ask } from "./client.ts";

export interface ServerEvent {
  event: string;
  id: string;
  data: string;
}

/** Reads the events of a body. It ends when the body does, wherever that is. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "", event = "", id = "", data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value;
      // A CR at the very end may be half of a CRLF.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield { event: event || "message", id, data: data.join("\n") };
          event = "";
          data = [];
          continue;
        }
        const [, field, content] = line.match(/^([^:]*):? ?(.*)$/s) ?? [];
        if (field === "event") event = content ?? "";
        else if (field === "data") data.push(content ?? "");
        else if (field === "id" && !content?.includes("\0")) id = content ?? "";
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Pauses before asking again, longer and longer; the last one is for all further attempts. */
const PAUSES_MS = [300, 1_000, 2_000, 5_000];

/** Waits for the pause of this attempt. A browser that was offline and comes back waits no longer. */
export async function pause(attempt: number, signal: AbortSignal): Promise<void> {
  const ms = PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)] ?? 0;
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    addEventListener("online", end);
    signal.addEventListener("abort", end);
  });
  signal.throwIfAborted();
}

/**
 * Follows a stream until its last event: the one with the id `end`, unless
 * `isLast` says otherwise. A stream that breaks off is asked for again from the
 * last event on.
 */
export async function follow(
  path: string,
  signal: AbortSignal,
  on: (event: ServerEvent) => void,
  onConnection: (isConnected: boolean) => void = () => {},
  { after = "", isLast = ({ id }) => id === "end" }: { after?: string; isLast?: (event: ServerEvent) => boolean } = {},
): Promise<void> {
  let last = after;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const response = await ask("GET", path, { signal, headers: last ? { "last-event-id": last } : {} });
      onConnection(true);
      if (response.status === 204 || !response.body) return;
      for await (const event of eventsOf(response.body)) {
        attempt = 0;
        last = event.id || last;
        on(event);
        if (isLast(event)) return;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ApiError && error.status !== 0 && error.status < 500 && error.status !== 429) throw error;
    }
    onConnection(false);
    await pause(attempt, signal);
  }
}
