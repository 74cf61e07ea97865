// The built Worker with counters before its bindings: they count its calls to KV
// and D1. In place of build/index.js it also answers two paths: /counts returns
// the counts since the last call and the number of running calls, and /sweep runs
// the cron.

import hatch from "./index.js";

const none = () => ({
  requests: 0,
  kv: { get: 0, getWithMetadata: 0, put: 0, list: 0, delete: 0 },
  /** `calls` are round trips, as a batch of statements is one. */
  d1: { calls: 0, statements: 0, rowsRead: 0, rowsWritten: 0 },
});
let counts = none();
/** Work that goes on after responses. */
let underWay = 0;

/** `target` with these methods replaced. */
function instead(target, methods) {
  return new Proxy(target, {
    get(_, name) {
      const value = Reflect.get(target, name);
      if (Object.hasOwn(methods, name)) return methods[name];
      return typeof value === "function" && name !== "constructor" ? value.bind(target) : value;
    },
  });
}

function countedKv(kv) {
  const methods = Object.keys(none().kv).map((name) => [name, (...args) => {
    counts.kv[name] += 1;
    return kv[name](...args);
  }]);
  return instead(kv, Object.fromEntries(methods));
}

const raw = Symbol("the statement itself");

function countedD1(database) {
  const tell = ({ meta }) => {
    counts.d1.statements += 1;
    counts.d1.rowsRead += meta.rows_read;
    counts.d1.rowsWritten += meta.rows_written;
  };
  const statement = (prepared) => ({
    [raw]: prepared,
    bind: (...values) => statement(prepared.bind(...values)),
    async run() {
      counts.d1.calls += 1;
      const result = await prepared.run();
      tell(result);
      return result;
    },
  });
  return instead(database, {
    prepare: (sql) => statement(database.prepare(sql)),
    async batch(statements) {
      counts.d1.calls += 1;
      const results = await database.batch(statements.map((each) => each[raw]));
      results.forEach(tell);
      return results;
    },
  });
}

function watched(context) {
  return instead(context, {
    waitUntil(work) {
      underWay += 1;
      context.waitUntil(work.finally(() => { underWay -= 1; }));
    },
  });
}

const counted = (env) => ({ ...env, WORKER_HEARTBEATS: countedKv(env.WORKER_HEARTBEATS), DB: countedD1(env.DB) });

export default {
  async fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (pathname === "/counts") {
      const told = { ...counts, underWay };
      counts = none();
      return Response.json(told);
    }
    if (pathname === "/sweep") {
      await this.scheduled({ cron: "* * * * *", scheduledTime: Date.now() }, env, context);
      return new Response("swept");
    }
    counts.requests += 1;
    return hatch.fetch(request, counted(env), watched(context));
  },

  queue: (batch, env, context) => hatch.queue(batch, counted(env), watched(context)),
  scheduled: (event, env, context) => hatch.scheduled(event, counted(env), watched(context)),
};
