// Finished sites, kept: a project that has not changed is not compiled again,
// whichever isolate is asked.
//
// They lie under the hash of all that they were made of, the compiler's own
// text included. Whoever has the hash has sent the same sources, so nobody
// reads another's by guessing; and only hatch asks (wrangler.toml).

/** An isolate's own: a deployment asks for its site in both of its steps. */
const MOST_HERE = 4;
/** In seconds. Then it is compiled again, as packages without a version move on. */
const LONGEST_S = 7 * 24 * 3_600;

/** @type {Map<string, string>} the last asked for at the end */
const here = new Map();

/**
 * The kept answer to a task, or the one that `made` gives.
 * @param {string} task
 * @param {KVNamespace | undefined} store where isolates share them; an isolate's own are enough to be right
 * @param {() => Promise<string>} made
 */
export async function kept(task, store, made) {
  const key = await hash(`${COMPILER_VERSION}\n${task}`);
  const known = here.get(key) ?? await stored(store, key);
  const answer = known ?? await made();
  // What failed may be due to the CDN, or to the machine, and is done again.
  const isSite = answer.startsWith('{"outcome":"site"');
  if (isSite) keepHere(key, answer);
  if (isSite && known === undefined) await put(store, key, answer);
  return answer;
}

function keepHere(key, answer) {
  here.delete(key);
  here.set(key, answer);
  if (here.size > MOST_HERE) here.delete(here.keys().next().value);
}

async function stored(store, key) {
  try {
    return await store?.get(key) ?? undefined;
  } catch {
    return undefined;
  }
}

/** A site that cannot be kept is a site all the same. */
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
