// The built Worker with a database whose answers a test delays or spoils. In place of
// build/index.js it also answers /database, which tells of the round trips since the
// last time: of each the number of statements (`trips`), and of those with several
// that contain the text `of`, how many (`together`). Its parameters:
//
// - `hold=1`         every trip waits until `hold=0`
// - `of=<text>`      what to look for in statements: the record of a gateway's call by default
// - `fault=<name>`   what happens to the next batch with several of those:
//   - `unheard`      it is run, and the answer is lost
//   - `late`         it is run, but only once everybody has lost patience
//   - `gone`         it is never run, and nobody hears of it

import hatch from "./index.js";

const LATE_MS = 5_000;
const RECORD = "INSERT INTO model_calls ";
let isHeld = false;
let fault = null;
let of = RECORD;
let told = { trips: [], together: [] };

const raw = Symbol("the statement itself");

const FAULTS = {
  async unheard(run) {
    await run();
    throw new Error("D1_ERROR: Network connection lost.");
  },
  async late(run) {
    await scheduler.wait(LATE_MS);
    return run();
  },
  gone: () => new Promise(() => {}),
};

/** Makes a round trip with these statements, as the test wants it. */
async function trip(statements, run) {
  told.trips.push(statements.length);
  const several = statements.filter(({ sql }) => sql.includes(of)).length;
  const struck = several > 1 ? FAULTS[fault] : undefined;
  if (several > 1) told.together.push(several);
  if (struck) fault = null;
  // A promise of one request cannot be resolved by another.
  while (isHeld) await scheduler.wait(5);
  return struck ? struck(run) : run();
}

function unsteady(database) {
  const statement = (sql, prepared) => ({
    [raw]: prepared, sql,
    bind: (...values) => statement(sql, prepared.bind(...values)),
    run() { return trip([this], () => prepared.run()); },
  });
  const methods = {
    prepare: (sql) => statement(sql, database.prepare(sql)),
    batch: (statements) => trip(statements, () => database.batch(statements.map((each) => each[raw]))),
  };
  // The Worker knows a database by its constructor.
  return new Proxy(database, { get: (_, name) => Reflect.get(Object.hasOwn(methods, name) ? methods : database, name) });
}

export default {
  fetch(request, env, context) {
    const { pathname, searchParams: wanted } = new URL(request.url);
    if (pathname !== "/database") return hatch.fetch(request, { ...env, DB: unsteady(env.DB) }, context);
    const answer = told;
    told = { trips: [], together: [] };
    if (wanted.has("hold")) isHeld = wanted.get("hold") === "1";
    if (wanted.has("fault")) [fault, of] = [wanted.get("fault"), wanted.get("of") ?? RECORD];
    return Response.json(answer);
  },
};
