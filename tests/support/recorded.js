// The built Worker, which also prints each statement for D1 to the console, once.
// runtime.js collects them, and sqld-files.js reads the records.

import hatch from "./index.js";

const told = new Set();

/** `database` with a `prepare` that prints each statement. */
function recorded(database) {
  const prepare = (sql) => {
    if (!told.has(sql)) console.log(`statement ${sql}`);
    told.add(sql);
    return database.prepare(sql);
  };
  return new Proxy(database, {
    get(_, name) {
      if (name === "prepare") return prepare;
      const value = Reflect.get(database, name);
      return typeof value === "function" && name !== "constructor" ? value.bind(database) : value;
    },
  });
}

const listening = (env) => ({ ...env, DB: recorded(env.DB) });

export default {
  fetch: (request, env, context) => hatch.fetch(request, listening(env), context),
  queue: (batch, env, context) => hatch.queue(batch, listening(env), context),
  scheduled: (event, env, context) => hatch.scheduled(event, listening(env), context),
};
