// The built Worker with a database that is slow, or fails when it does something for several requests together. In place of
// build/index.js it also answers /database: it tells of the time since the last time how many statements with the text
// `about` each round trip had (`trips`) and how many calls of the gateway were recorded together (`calls`), how many
// trips wait now, and how much `work` goes on after its request or without it. Its parameters:
//
// - `held=<text>`    each trip with this text in a statement waits, until it is empty
// - `poison=<value>` a trip with a statement that binds this value is refused
// - `of=<kind>`      the fault is for `reads` or `writes` of several requests, and not for records of `calls`
// - `fault=<name>`   what happens to the next trip for several of those, with the text `about` in a statement:
//   - `unheard`      it is made, and the answer is lost
//   - `late`         it is made, but only once everybody has lost patience
//   - `gone`         it is never made, and nobody hears of it

import hatch from "./index.js";

const LATE_MS = 7_000;
let fault = null;
let of = "calls";
let held = "";
let about = "";
let poison;
let waiting = 0;
let work = 0;
let told = { calls: [], trips: [] };

const raw = Symbol("the statement itself");

const FAULTS = {
  async unheard(make) {
    await make();
    throw new Error("D1_ERROR: Network connection lost.");
  },
  async late(make) {
    await scheduler.wait(LATE_MS);
    return make();
  },
  gone: () => new Promise(() => {}),
};

/** Of how many requests the trip has something of this kind. */
const TOGETHER = {
  calls(statements) {
    const records = statements.find(({ sql }) => /INSERT INTO model_calls .* FROM json_each/s.test(sql));
    return records ? JSON.parse(records.values[0]).length : 0;
  },
  reads: (statements) => (statements.every(({ sql }) => sql.startsWith("SELECT")) ? statements.length : 0),
  writes: (statements) => (statements.some(({ sql }) => sql.startsWith("SELECT")) ? 0 : statements.length),
};

async function trip(statements, make) {
  const calls = TOGETHER.calls(statements);
  if (calls > 0) told.calls.push(calls);
  told.trips.push(statements.map(({ sql }) => sql));
  const isStruck = TOGETHER[of](statements) > 1 && statements.some(({ sql }) => sql.includes(about));
  const struck = isStruck ? FAULTS[fault] : undefined;
  if (struck) fault = null;
  waiting += 1;
  // A promise of one request cannot be resolved by another.
  while (held && statements.some(({ sql }) => sql.includes(held))) await scheduler.wait(5);
  waiting -= 1;
  if (poison && statements.some(({ values }) => values.includes(poison))) throw new Error("D1_ERROR: malformed JSON");
  return struck ? struck(make) : make();
}

function unsteady(database) {
  const statement = (sql, prepared, values = []) => ({
    [raw]: prepared, sql, values,
    bind: (...values) => statement(sql, prepared.bind(...values), values),
    run() { return trip([this], () => prepared.run()); },
  });
  const methods = {
    prepare: (sql) => statement(sql, database.prepare(sql)),
    batch: (statements) => trip(statements, () => database.batch(statements.map((each) => each[raw]))),
  };
  // The Worker knows a database by its constructor.
  return new Proxy(database, { get: (_, name) => Reflect.get(Object.hasOwn(methods, name) ? methods : database, name) });
}

/** A context that counts what the invocation waits for. */
function counting(context) {
  const waitUntil = (promise) => {
    work += 1;
    const done = () => (work -= 1);
    context.waitUntil(promise.then(done, done));
  };
  return new Proxy(context, { get: (_, name) => (name === "waitUntil" ? waitUntil : Reflect.get(context, name)) });
}

export default {
  fetch(request, env, context) {
    const { pathname, searchParams: wanted } = new URL(request.url);
    if (pathname !== "/database") return hatch.fetch(request, { ...env, DB: unsteady(env.DB) }, counting(context));
    about = wanted.get("about") ?? "";
    const trips = told.trips.map((all) => all.filter((sql) => sql.includes(about)).length).filter(Boolean);
    const answer = { calls: told.calls, trips, waiting, work };
    told = { calls: [], trips: [] };
    [fault, of] = [wanted.get("fault"), wanted.get("of") ?? "calls"];
    held = wanted.get("held") ?? held;
    poison = wanted.get("poison") ?? poison;
    return Response.json(answer);
  },
};
