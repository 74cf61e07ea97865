export type Answer<T> = { ok: true; data: T } | { ok: false; error: string };

/** Asks our own API. Never throws: what went wrong comes back in words for the person. */
export async function send<T>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
  try {
    const response = await fetch(path, {
      method,
      headers: body === undefined ? undefined : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const data = response.status === 204 ? null : await response.json();
    return response.ok ? { ok: true, data } : { ok: false, error: data.error };
  } catch {
    return { ok: false, error: 'The server could not be reached. Please check your connection and try again.' };
  }
}
