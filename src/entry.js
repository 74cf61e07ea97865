// The entry point that workerd loads instead of the one from worker-build (scripts/bundle.sh):
// three plain functions, where worker-build has a Proxy around a class and another around each of
// its methods.
//
// A panic ends the Wasm instance and all its requests, so the next call starts a new instance.

import { __wbg_reset_state, __worker_init_state, fetch as answer, queue, scheduled } from "./index.js";

Error.stackTraceLimit = 100;

/** State of the worker crate, whose panic hook sets `criticalError`. It outlives instances. */
const state = __worker_init_state();

/** Notes a crash that no panic hook sees: a trap, or a full stack, which is a RangeError. */
function note(error) {
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) state.criticalError = true;
}

addEventListener("error", ({ error }) => note(error));
addEventListener("unhandledrejection", ({ reason }) => note(reason));

// Each poll of a future is queued by it. workerd's own takes ten times as long.
globalThis.queueMicrotask = (task) => void Promise.resolve().then(task);

function revive() {
  if (!state.criticalError) return;
  console.log("Reinitializing Wasm application");
  __wbg_reset_state();
  state.criticalError = false;
}

/** Calls `entry`, on a new instance if the last one has crashed. */
async function call(entry, ...parameters) {
  revive();
  try {
    return await entry(...parameters);
  } catch (error) {
    note(error);
    throw error;
  }
}

/** All headers in one text: a line with the name, and one with the value. */
function listed(headers) {
  let text = "";
  headers.forEach((value, name) => (text += `${name}\n${value}\n`));
  return text;
}

export default {
  /** Not `async`: a response that is ready at once needs no promise. All headers that every route needs go over in one crossing. */
  fetch(request, env, context) {
    revive();
    const { headers } = request;
    try {
      return answer(
        request,
        request.method,
        request.url,
        headers.get("x-request-id"),
        headers.get("traceparent"),
        headers.get("authorization") ?? headers.get("x-api-key"),
        headers.get("origin"),
        listed,
        env,
        context,
      );
    } catch (error) {
      note(error);
      throw error;
    }
  },

  queue: (batch, env, context) => call(queue, batch, env, context),
  scheduled: (event, env, context) => call(scheduled, event, env, context),
};
