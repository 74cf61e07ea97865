// The compiler as a Worker: hatch asks it over a service binding, and nobody
// else reaches it (wrangler.toml gives it no address). src/compile.rs defines
// what it is asked and what it answers.

import { excess } from "./bounds.js";
import { check } from "./check.js";
import { makeSite } from "./site.js";

/** Answers that an isolate keeps: a deployment asks for its site in both of its steps, and often once more. */
const MOST_KEPT = 4;
/** @type {Map<string, string>} by the hash of their tasks, the last asked for at the end */
const kept = new Map();

export default {
  /** A task goes in and its answer comes out, both JSON. */
  async fetch(request) {
    const text = await request.text(), key = await hash(text);
    const known = kept.get(key);
    const answer = known ?? JSON.stringify(await done(JSON.parse(text)));
    kept.delete(key);
    // What failed may be due to the CDN, or to the machine, and is done again.
    if (known || answer.startsWith('{"outcome":"site"')) kept.set(key, answer);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
    return new Response(answer, { headers: { "content-type": "application/json" } });
  },
};

async function done({ task, files, cdn }) {
  const all = new Map(Object.entries(files)), excessive = excess(all);
  if (excessive) return task === "check" ? { outcome: "checked", diagnostics: [excessive] } : { outcome: "wrong", diagnostics: [excessive] };
  try {
    if (task === "check") return { outcome: "checked", diagnostics: await check(all) };
    return await makeSite(all, { cdn, fetch: (...args) => fetch(...args) });
  } catch (error) {
    console.log(JSON.stringify({ level: "error", event: "compiler.broken", detail: String(error?.stack ?? error).slice(0, 2000) }));
    return { outcome: "broken" };
  }
}

async function hash(text) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return String.fromCharCode(...new Uint8Array(digest));
}
