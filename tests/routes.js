// The table of src/http/routes.rs, read from its source: whatever is tested
// for every route is tested for a new one without naming it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const whole = (await readFile("src/http/routes.rs", "utf8")).match(/static ROUTES[^;]*= routes! \{(.*?)\n\};/s)[1];
// The fleet's rows have tests of their own (fleet-*.test.js), with its bodies and its paths.
const [table] = whole.split(/\n    Fleet \{/);

/** Every row: `{access, method, pattern, hosted, readsBody}`, the access rule as it is written there. */
export const ROUTES = await Promise.all(
  [...table.matchAll(/^ *(\w+(?:\(\w+\))?) ([A-Z]+) "(.+?)" => ([a-z_:]+);/gm)].map(
    async ([, access, method, pattern, handler]) => ({
      access, method, pattern, hosted: pattern.startsWith("/p/"), readsBody: await readsBody(handler),
    }),
  ),
);
assert.ok(ROUTES.length > 25 && ROUTES.length === table.match(/=>/g).length, "not every row was read");

/** Whether the source of a handler (`projects::create`) reads a JSON body. */
async function readsBody(handler) {
  const [name, ...room] = handler.split("::").reverse();
  const path = `src/${room.reverse().join("/")}`;
  const source = await readFile(`${path}/mod.rs`, "utf8").catch(() => readFile(`${path}.rs`, "utf8"));
  const body = source.match(new RegExp(`async fn ${name}\\(.*?\\n}`, "s"));
  assert.ok(body, `no source of ${handler}`);
  return body[0].includes("body::json");
}

export const named = (route) => `${route.method} ${route.pattern}`;

/** A route's path with this in place of its parameters. */
export const pathOf = (route, id) => route.pattern.replace(/\{.+?\}/g, id);
