// The built Worker with a database that is slow, or fails when it writes several calls of the gateway together. In place
// of build/index.js it also answers /database: it returns the numbers of calls that were written so since the last time
// (`sizes`), and how many queries wait. With `held=1` all wait, until `held=0`. The next batch of several calls has
// the `fault` in its query:
//
// - `unheard`  it is written, and the answer is lost
// - `late`     it is written, but only once everybody has lost patience
// - `gone`     it is never written, and nobody hears of it

import hatch from "./index.js";

const LATE_MS = 4_000;
let fault = null;
let sizes = [];
let isHeld = false;
let waiting = 0;

const raw = Symbol("the statement itself");

const FAULTS = {
  async unheard(write) {
    await write();
    throw new Error("D1_ERROR: Network connection lost.");
  },
  async late(write) {
    await new Promise((resolve) => setTimeout(resolve, LATE_MS));
    return write();
  },
  gone: () => new Promise(() => {}),
};

/** How many calls a batch writes together, if it does. */
function sizeOf(statements) {
  const writes = statements.find(({ sql }) => /INSERT INTO model_calls .* FROM json_each/s.test(sql));
  return writes && JSON.parse(writes.values[0]).length;
}

/** Waits while the database is held. */
async function freed(query) {
  waiting += 1;
  // A promise of one request cannot be resolved by another.
  while (isHeld) await scheduler.wait(5);
  waiting -= 1;
  return query();
}

function unsteady(database) {
  const statement = (sql, prepared, values = []) => ({
    [raw]: prepared, sql, values,
    bind: (...values) => statement(sql, prepared.bind(...values), values),
    run: () => freed(() => prepared.run()),
  });
  const methods = {
    prepare: (sql) => statement(sql, database.prepare(sql)),
    batch(statements) {
      const write = () => freed(() => database.batch(statements.map((each) => each[raw])));
      const size = sizeOf(statements);
      if (size === undefined) return write();
      sizes.push(size);
      const struck = FAULTS[fault];
      fault = null;
      return struck ? struck(write) : write();
    },
  };
  // The Worker knows a database by its constructor.
  return new Proxy(database, { get: (_, name) => Reflect.get(Object.hasOwn(methods, name) ? methods : database, name) });
}

export default {
  fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/database") return hatch.fetch(request, { ...env, DB: unsteady(env.DB) }, context);
    const told = { sizes, waiting };
    [fault, sizes] = [searchParams.get("fault"), []];
    if (searchParams.has("held")) isHeld = searchParams.get("held") === "1";
    return Response.json(told);
  },
};
