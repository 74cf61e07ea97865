// A Worker that does nothing: the harness lends a test its bindings.

export default { fetch: () => new Response("postman") };
