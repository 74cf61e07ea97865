/** The limit of a gateway: plain JavaScript that passes a request and its answer on, with the provider's key in place of the caller's. */
export default {
  fetch(request, env) {
    if (request.method === "GET") return new Response();
    const headers = new Headers(request.headers);
    if (headers.has("authorization")) headers.set("authorization", `Bearer ${env.KEY}`);
    if (headers.has("x-api-key")) headers.set("x-api-key", env.KEY);
    return fetch(env.UPSTREAM + new URL(request.url).pathname, { method: "POST", headers, body: request.body });
  },
};
