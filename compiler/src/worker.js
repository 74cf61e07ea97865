// The compiler as a Worker. Only Hatch can reach it, over a service binding (wrangler.toml gives it no public address).
// src/upstream/compiler.rs defines its requests and responses.

import { excess } from "./bounds.js";
import { check } from "./check.js";
import { cached } from "./cache.js";
import { makeSite } from "./site.js";

export default {
  /** Takes a task as JSON and returns the result as JSON. */
  async fetch(request, { SITES }) {
    const task = await request.text();
    const answer = await cached(task, SITES, async () => JSON.stringify(await perform(JSON.parse(task))));
    return new Response(answer, { headers: { "content-type": "application/json" } });
  },
};

async function perform({ task, files, cdn, bundle = false }) {
  const all = new Map(Object.entries(files)), excessive = excess(all);
  if (excessive) return task === "check" ? { outcome: "checked", diagnostics: [excessive] } : { outcome: "wrong", diagnostics: [excessive] };
  try {
    if (task === "check") return { outcome: "checked", diagnostics: await check(all) };
    return await makeSite(all, { cdn, bundle, fetch: (...args) => fetch(...args) });
  } catch (error) {
    console.log(JSON.stringify({ level: "error", event: "compiler.broken", detail: String(error?.stack ?? error).slice(0, 2000) }));
    return { outcome: "broken" };
  }
}
