// What a browser does around the requests of a page of another origin (Fetch
// standard: "CORS protocol", "CORS-preflight fetch", "CORS check"). A page of
// the originals' front ends works where this does, and fails where it throws.

import assert from "node:assert/strict";

const SIMPLE_METHODS = ["GET", "HEAD", "POST"];
const SIMPLE_TYPES = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];
/** Response headers that every page can read. */
const SAFE_ANSWER_HEADERS = ["cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma"];

/** The error with which `fetch` rejects in a page. A browser hides the reason, this one shows it. */
export class FailedToFetch extends TypeError {}

const refuse = (why) => {
  throw new FailedToFetch(why);
};

const listed = (header) => (header ?? "").toLowerCase().split(",").map((item) => item.trim()).filter(Boolean);

/** Whether a header needs no preflight. */
function isSimple([name, value]) {
  if (name === "content-type") return SIMPLE_TYPES.includes(value.split(";")[0].trim().toLowerCase());
  return ["accept", "accept-language", "content-language"].includes(name) || (name === "range" && /^bytes=\d+-\d*$/.test(value));
}

/** The CORS check: whether the page may read a response. */
function check(origin, credentials, { headers }, what) {
  const allowed = headers.get("access-control-allow-origin");
  if (allowed === "*" && !credentials) return;
  if (allowed !== origin) refuse(`${what}: Access-Control-Allow-Origin is ${allowed}, not ${origin}`);
  if (credentials && headers.get("access-control-allow-credentials") !== "true") refuse(`${what}: no Access-Control-Allow-Credentials`);
}

/**
 * A page of `origin` that calls the API of a Worker of tests/support/harness.js.
 *
 * @param {{api: Function}} hatch
 * @param {string} origin as the browser writes it; `null` for an opaque one
 * @param {{credentials?: boolean}} options whether it fetches with `credentials: "include"`
 * @returns `fetch(method, path, {headers, body})`, which answers with what the page sees or throws {@link FailedToFetch}, and
 *   `preflights`, the requests that were asked about first, as `METHOD path`
 */
export function page({ api }, origin, { credentials = false } = {}) {
  const preflights = [];

  async function preflight(method, path, names) {
    preflights.push(`${method} ${path}`);
    const asking = { origin, "access-control-request-method": method };
    if (names.length > 0) asking["access-control-request-headers"] = names.join(",");
    const answer = await api("OPTIONS", path, undefined, asking);
    check(origin, credentials, answer, "preflight");
    if (!answer.ok) refuse(`preflight: ${answer.status}`);
    const [methods, headers] = ["methods", "headers"].map((list) => listed(answer.headers.get(`access-control-allow-${list}`)));
    const isAllowed = (list, item) => list.includes(item.toLowerCase()) || (list.includes("*") && !credentials && item !== "authorization");
    if (!SIMPLE_METHODS.includes(method) && !isAllowed(methods, method)) refuse(`preflight: ${method} is not allowed`);
    for (const name of names) if (!isAllowed(headers, name)) refuse(`preflight: the header ${name} is not allowed`);
  }

  return {
    preflights,
    async fetch(method, path, { headers = {}, body } = {}) {
      const given = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
      const names = given.filter((header) => !isSimple(header)).map(([name]) => name).sort();
      if (names.length > 0 || !SIMPLE_METHODS.includes(method)) await preflight(method, path, names);
      const answer = await api(method, path, body, { ...Object.fromEntries(given), origin });
      check(origin, credentials, answer, `${method} ${path}`);
      return seen(answer);
    },
  };
}

/** A response with the headers that a page can read. */
function seen(answer) {
  const shown = [...SAFE_ANSWER_HEADERS, ...listed(answer.headers.get("access-control-expose-headers"))];
  const headers = [...answer.headers].filter(([name]) => shown.includes(name));
  return new Response(answer.body, { status: answer.status, headers });
}

/** Asserts that a page's request fails in the browser, and so never reaches the page. */
export async function refused(request) {
  await assert.rejects(request, FailedToFetch);
}
