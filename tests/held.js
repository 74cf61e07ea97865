// The built Worker whose next read of an object a test holds back, to change something between the read of a row and
// that of its object: POST /reads with `held` makes the next one wait, which GET /reads then calls `waiting`, until
// POST /reads with `free`.

import hatch from "./index.js";

let reads = "free";

async function turn() {
  if (reads !== "held") return;
  reads = "waiting";
  // A promise of one request cannot be resolved by another.
  while (reads === "waiting") await scheduler.wait(5);
}

/** `bucket` with a `get` that waits for its turn. */
const holding = (bucket) => new Proxy(bucket, {
  get(_, name) {
    if (name === "get") return (...args) => turn().then(() => bucket.get(...args));
    const value = Reflect.get(bucket, name);
    return typeof value === "function" && name !== "constructor" ? value.bind(bucket) : value;
  },
});

export default {
  async fetch(request, env, context) {
    if (new URL(request.url).pathname !== "/reads") return hatch.fetch(request, { ...env, FILES: holding(env.FILES) }, context);
    if (request.method === "POST") reads = await request.text();
    return new Response(reads);
  },
  queue: (batch, env, context) => hatch.queue(batch, env, context),
  scheduled: (event, env, context) => hatch.scheduled(event, env, context),
};
