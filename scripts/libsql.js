// A client of libSQL servers (Turso, sqld) for the scripts and the tests: Hrana's
// pipeline over HTTP, with one POST for each call.

/**
 * Runs `requests` on a stream of their own and answers with their results.
 *
 * @param {{url: string, token?: string}} database
 * @param {object[]} requests of HTTP_V2_SPEC.md, in the docs of github.com/tursodatabase/libsql
 * @returns {Promise<object[]>} the `response` of each
 * @throws {Error} when the server cannot be reached, refuses the token or one of the requests
 */
export async function pipeline({ url, token }, requests) {
  const origin = url.replace(/^libsql:/, "https:").replace(/\/$/, "");
  const response = await fetch(`${origin}/v2/pipeline`, {
    method: "POST",
    redirect: "manual",
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ requests: [...requests, { type: "close" }] }),
    signal: AbortSignal.timeout(60_000),
  }).catch((error) => {
    throw new Error(`no answer from DATABASE_URL: ${error.cause?.message || error.message}`);
  });
  const body = await response.text();
  if (response.status === 401) throw new Error("the database does not accept DATABASE_AUTH_TOKEN");
  if (response.status === 403) throw new Error("DATABASE_AUTH_TOKEN may only read, or belongs to another database");
  if (!response.ok) throw new Error(`no libSQL database at DATABASE_URL: status ${response.status}`);
  const results = JSON.parse(body).results.slice(0, requests.length);
  const refused = results.find((result) => result.type === "error");
  if (refused) throw new Error(refused.error.message);
  return results.map((result) => result.response);
}

/** Runs one statement and answers with its rows as objects; integers beyond 2^53 as BigInt. */
export async function execute(database, sql, args = []) {
  const stmt = { sql, args: args.map(encoded), want_rows: true };
  const [{ result }] = await pipeline(database, [{ type: "execute", stmt }]);
  return result.rows.map((row) => Object.fromEntries(row.map((value, i) => [result.cols[i].name, decoded(value)])));
}

function encoded(value) {
  if (value === null || value === undefined) return { type: "null" };
  if (typeof value === "string") return { type: "text", value };
  if (typeof value === "bigint" || Number.isInteger(value)) return { type: "integer", value: String(value) };
  return { type: "float", value };
}

function decoded({ type, value = null }) {
  if (type !== "integer") return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : BigInt(value);
}
