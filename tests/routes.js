// The table of src/http/routes.rs, read from its source: whatever is tested
// for every route is tested for a new one without naming it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const table = (await readFile("src/http/routes.rs", "utf8")).match(/static ROUTES[^;]*= routes! \{(.*?)\n\};/s)[1];
/** Under this the fleet's rows answer as well. */
const V1 = "/api/v1";

/**
 * Every row: `{access, method, pattern, hosted, readsBody}`, the access rule as it is written there; the fleet's twice,
 * the second time with `under: "/api/v1"`, which is in the pattern too.
 */
export const ROUTES = (await Promise.all(
  table.split(/^    (?=\w+ \{$)/m).flatMap((family) =>
    [...family.matchAll(/^ *(\w+(?:\(\w+\))?) ([A-Z]+) "(.+?)" => ([a-z_:]+);/gm)].map(
      async ([, access, method, pattern, handler]) => {
        const route = { access, method, pattern, under: "", hosted: pattern.startsWith("/p/"), readsBody: await readsBody(handler) };
        return family.startsWith("Fleet {") ? [route, { ...route, pattern: V1 + pattern, under: V1 }] : [route];
      },
    )),
)).flat();
const rows = ROUTES.filter(({ under }) => !under);
assert.ok(rows.length > 60 && rows.length === table.match(/=>/g).length, "not every row was read");
assert.equal(ROUTES.length - rows.length, 22, "the fleet's rows were not told from the others");

/** Where the source of a handler (`projects::create`) is; `deployments`, `heartbeat`, … are files of the fleet. */
async function sourceOf(rooms) {
  const path = rooms.join("/");
  const places = [`src/${path}/mod.rs`, `src/${path}.rs`, `src/fleet/${path}.rs`];
  const sources = await Promise.all(places.map((place) => readFile(place, "utf8").catch(() => undefined)));
  return sources.find((source) => source !== undefined);
}

/** Whether a handler reads a JSON body; beats do by `take`. */
async function readsBody(handler) {
  const [name, ...rooms] = handler.split("::").reverse();
  const source = await sourceOf(rooms.reverse());
  const body = source?.match(new RegExp(`async fn ${name}\\(.*?\\n}`, "s"));
  assert.ok(body, `no source of ${handler}`);
  return /body::(json|object)|\btake\(/.test(body[0]);
}

export const named = (route) => `${route.method} ${route.pattern}`;

/** The row of the table, whatever it is under. */
export const rowOf = (route) => `${route.method} ${route.pattern.slice(route.under.length)}`;

/** A route's path with this in place of its parameters. */
export const pathOf = (route, id) => route.pattern.replace(/\{.+?\}/g, id);
