// The compiler as a Worker: hatch asks it over a service binding, and nobody
// else reaches it (wrangler.toml gives it no address). src/compile.rs defines
// what it is asked and what it answers.

import { check } from "./check.js";
import { makeSite } from "./site.js";

export default {
  /** A task goes in and its answer comes out, both JSON. */
  async fetch(request) {
    const { task, files, cdn } = await request.json();
    const all = new Map(Object.entries(files));
    try {
      if (task === "check") return Response.json({ outcome: "checked", diagnostics: await check(all) });
      return Response.json(await makeSite(all, { cdn, fetch: (...args) => fetch(...args) }));
    } catch (error) {
      console.log(JSON.stringify({ level: "error", event: "compiler.broken", detail: String(error?.stack ?? error).slice(0, 2000) }));
      return Response.json({ outcome: "broken" });
    }
  },
};
