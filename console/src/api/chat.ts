// One turn of a chat: a message goes out, the answer comes in pieces. A
// connection that breaks loses nothing: the same message with the same
// Idempotency-Key is the same turn, told again from its beginning.

import { texts } from "../texts.ts";
import { ApiError, ask } from "./client.ts";
import { eventsOf, pause, type ServerEvent } from "./events.ts";
import type { FileMark, Picture, Usage } from "./types.ts";

export interface Question {
  projectId: string;
  message: string;
  model?: string | undefined;
  images: Picture[];
  /** What names this turn, however often it is asked for. */
  key: string;
}

export interface Saved {
  messageId: string;
  model: string;
  usage: Usage | null;
  costMicroUsd: number | null;
  note?: string;
}

export type Piece =
  | { kind: "text"; text: string }
  | { kind: "files"; version: number; files: FileMark[] }
  | { kind: "saved"; saved: Saved }
  /** The connection broke; what comes is told again from the beginning. */
  | { kind: "restart" }
  | { kind: "connecting" };

/** How often a turn is asked for again before giving up. */
const ATTEMPTS = 10;

/**
 * The pieces of an answer, to its end.
 * @throws {ApiError} where the answer was refused, or was cut off for good
 */
export async function* answer({ projectId, message, model, images, key }: Question, signal: AbortSignal): AsyncGenerator<Piece> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const body = { projectId, message, ...(model && { model }), ...(images.length > 0 && { images }) };
      const response = await ask("POST", "/api/chat", { body, signal, headers: { "idempotency-key": key } });
      if (!response.body) throw new ApiError(0, "broken_off", texts.brokenOff);
      if (attempt > 0) yield { kind: "restart" };
      for await (const event of eventsOf(response.body)) {
        const read = pieceOf(event);
        if (read === "done") return;
        if (read) yield read;
      }
    } catch (error) {
      signal.throwIfAborted();
      // 409: the same turn is being begun by the request that broke off.
      const isPassing = !(error instanceof ApiError) || error.status === 0 || error.status === 409;
      if (!isPassing || (error instanceof ApiError && error.code === "interrupted") || attempt + 1 >= ATTEMPTS) throw error;
    }
    if (attempt + 1 >= ATTEMPTS) throw new ApiError(0, "broken_off", texts.brokenOften);
    yield { kind: "connecting" };
    await pause(attempt, signal);
  }
}

function pieceOf({ event, data }: ServerEvent): Piece | "done" | undefined {
  const told = JSON.parse(data) as Record<string, unknown>;
  if (event === "files") return { kind: "files", version: Number(told["version"]), files: told["files"] as FileMark[] };
  if (event === "saved") return { kind: "saved", saved: told as unknown as Saved };
  if (event === "error") {
    const { message } = (told["error"] ?? {}) as { message?: string };
    throw new ApiError(502, "interrupted", message ?? texts.cutOff);
  }
  if (told["done"] === true) return "done";
  return typeof told["text"] === "string" ? { kind: "text", text: told["text"] } : undefined;
}
