// The API over fetch: the credential goes along, failures become errors with
// words for people, and lists know their next page.

import { texts } from "../texts.ts";
import { credential, refusals } from "./credential.ts";

/** What the API refused, or could not be asked. */
export class ApiError extends Error {
  constructor(
    /** 0 when no answer came. */
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly requestId: string | undefined = undefined,
    /** When to try again, in seconds. */
    readonly retryAfter: number | undefined = undefined,
  ) {
    super(detail);
  }
}

export interface Options {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** Asks the API. Whatever is not a success is thrown. */
export async function ask(method: string, path: string, { body, headers = {}, signal }: Options = {}): Promise<Response> {
  const sent = new Headers(headers);
  if (credential.value) sent.set("authorization", `Bearer ${credential.value}`);
  if (body !== undefined) sent.set("content-type", "application/json");
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: sent,
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
      redirect: "error",
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", texts.unreachable);
  }
  if (response.status === 401 && sent.has("authorization") && path !== "/auth/me") refusals.value += 1;
  if (!response.ok) throw await refusal(response);
  return response;
}

export async function json<T>(method: string, path: string, options?: Options): Promise<T> {
  return bodyOf<T>(await ask(method, path, options));
}

/** The JSON of an answer, which may break off. */
async function bodyOf<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch {
    throw new ApiError(0, "broken_off", texts.brokenOff);
  }
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> => json<T>("GET", path, { signal });

/** A page of a list, and the address of the next one. */
export interface Page<T> {
  items: T[];
  next: string | undefined;
}

export async function list<T>(path: string, signal?: AbortSignal): Promise<Page<T>> {
  const response = await ask("GET", path, { signal });
  return { items: await bodyOf<T[]>(response), next: nextOf(response.headers.get("link")) };
}

/** The next page's address, of this origin whatever the header says. */
export function nextOf(link: string | null): string | undefined {
  const found = link?.match(/<([^>]+)>;\s*rel="?next"?/)?.[1];
  if (!found) return undefined;
  const { pathname, search } = new URL(found, location.origin);
  return pathname + search;
}

async function refusal(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => undefined);
  const requestId = response.headers.get("x-request-id") ?? undefined;
  const retryAfter = Number(response.headers.get("retry-after")) || undefined;
  const { code, detail } = read(body);
  return new ApiError(response.status, code, detail ?? texts.answered(response.status), requestId, retryAfter);
}

/** The words of a problem document (RFC 9457), of FastAPI's errors, which startups have, or of a model's API. */
function read(body: unknown): { code: string; detail: string | undefined } {
  if (typeof body !== "object" || body === null) return { code: "unknown", detail: undefined };
  const { code, detail, errors, error } = body as { code?: unknown; detail?: unknown; errors?: unknown; error?: unknown };
  // OpenAI's errors, and Anthropic's, which the gateway has.
  if (typeof error === "object" && error !== null) return read({ ...error, detail: (error as { message?: unknown }).message });
  const words = Array.isArray(detail) ? detail.map((each: { msg?: string }) => each.msg ?? "").join("; ") : detail;
  const fields = Array.isArray(errors)
    ? errors.map(({ pointer, detail }: { pointer?: string; detail?: string }) => `${(pointer ?? "").replace(/^\//, "")} ${detail ?? ""}`.trim())
    : [];
  return {
    code: typeof code === "string" ? code : "unknown",
    detail: fields.length > 0 ? fields.join("; ") : typeof words === "string" ? words : undefined,
  };
}
