// Caches finished sites: an unchanged project is not compiled again, in any
// isolate.
//
// The key is a hash of the sources and of the compiler's version. Only a caller
// with the same sources can compute it, so no user can read another user's
// site; and only Hatch can call the compiler (wrangler.toml).

/** Sites in an isolate's memory: each deployment asks for its site twice. */
const MOST_IN_MEMORY = 4;
/** Seconds. Then a site is compiled again, because unpinned packages may have new versions. */
const LONGEST_S = 7 * 24 * 3_600;

/** @type {Map<string, string>} the most recently used last */
const memory = new Map();

/**
 * The cached answer to a task, or the result of `compile`.
 * @param {string} task
 * @param {KVNamespace | undefined} store shared between isolates; optional
 * @param {() => Promise<string>} compile
 */
export async function cached(task, store, compile) {
  const key = await hash(`${COMPILER_VERSION}\n${task}`);
  const found = memory.get(key) ?? await stored(store, key);
  const answer = found ?? await compile();
  // Failures are not cached: the CDN or the machine may be the cause.
  const isSite = answer.startsWith('{"outcome":"site"');
  if (isSite) remember(key, answer);
  if (isSite && found === undefined) await put(store, key, answer);
  return answer;
}

function remember(key, answer) {
  memory.delete(key);
  memory.set(key, answer);
  if (memory.size > MOST_IN_MEMORY) memory.delete(memory.keys().next().value);
}

async function stored(store, key) {
  try {
    return await store?.get(key) ?? undefined;
  } catch {
    return undefined;
  }
}

/** A failure to cache a site is only logged. */
async function put(store, key, answer) {
  try {
    await store?.put(key, answer, { expirationTtl: LONGEST_S });
  } catch (error) {
    console.log(JSON.stringify({ level: "warn", event: "compiler.not_kept", detail: String(error) }));
  }
}

async function hash(text) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
