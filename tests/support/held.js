// The built Worker whose next read of an object a test holds back, to change something between the read of a row and
// that of its object: POST /reads with `held` makes the next one wait, which GET /reads then calls `waiting`, until
// POST /reads with `free`; with `held 3` the fourth one. A request with `x-slow-reader` has a reader that takes 64 KB in
// 150 ms, and a minute is a second here.

import hatch from "./index.js";

let [reads, passing] = ["free", 0];

const wait = globalThis.setTimeout;
globalThis.setTimeout = (run, ms, ...more) => wait(run, ms === 60_000 ? 1_000 : ms, ...more);

const slowly = (response) => new Response(response.body.pipeThrough(new TransformStream({
  async transform(chunk, controller) {
    await scheduler.wait((chunk.byteLength / 65_536) * 150);
    controller.enqueue(chunk);
  },
})), response);

async function turn() {
  if (reads !== "held" || (passing -= 1) >= 0) return;
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
    if (new URL(request.url).pathname !== "/reads") {
      const response = await hatch.fetch(request, { ...env, FILES: holding(env.FILES) }, context);
      return request.headers.has("x-slow-reader") ? slowly(response) : response;
    }
    if (request.method === "POST") {
      const [told, count = 0] = (await request.text()).split(" ");
      [reads, passing] = [told, Number(count)];
    }
    return new Response(reads);
  },
  queue: (batch, env, context) => hatch.queue(batch, env, context),
  scheduled: (event, env, context) => hatch.scheduled(event, env, context),
};
