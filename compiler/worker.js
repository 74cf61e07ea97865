// The compiler as a Worker: hatch asks it over a service binding, and nobody
// else reaches it (wrangler.toml gives it no address).

import { __wbg_reset_state as startAfresh, run } from "./build/compiler.js";

export default {
  /** A task goes in and its answer comes out, both JSON; compiler/src/lib.rs has their shapes. */
  async fetch(request) {
    const task = await request.text();
    // An instance for each task: what a task needed of memory goes with it,
    // and one that broke on its source is nobody else's.
    startAfresh();
    try {
      return new Response(run(task), { headers: { "content-type": "application/json" } });
    } catch (error) {
      // Out of stack or of memory: the source is to blame, and will be again.
      console.log(JSON.stringify({ level: "error", event: "compiler.broken", detail: String(error) }));
      return Response.json({ outcome: "broken" });
    }
  },
};
