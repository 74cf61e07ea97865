// The compiler as a Worker: hatch asks it over a service binding, and nobody
// else reaches it (wrangler.toml gives it no address). src/upstream/compiler.rs defines
// what it is asked and what it answers.

import { excess } from "./bounds.js";
import { check } from "./check.js";
import { kept } from "./kept.js";
import { makeSite } from "./site.js";

export default {
  /** A task goes in and its answer comes out, both JSON. */
  async fetch(request, { SITES }) {
    const task = await request.text();
    const answer = await kept(task, SITES, async () => JSON.stringify(await done(JSON.parse(task))));
    return new Response(answer, { headers: { "content-type": "application/json" } });
  },
};

async function done({ task, files, cdn, bundle = false }) {
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
