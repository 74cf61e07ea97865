// The built compiler in workerd, called as hatch calls it.

import { after } from "node:test";
import { configured, run } from "./runtime.js";

/**
 * Starts it. `compile(files)` and `check(files)` answer with its answers, of which `site` has the files by their paths;
 * `env()` are its bindings, and `restart()` keeps what is stored.
 */
export async function startCompiler({ cdn = "https://cdn.invalid" } = {}) {
  const { url, env, restart, stop } = await run([configured("compiler/wrangler.toml")]);
  after(stop);
  const ask = async (task) => (await fetch(await url(), { method: "POST", body: JSON.stringify(task) })).json();
  return {
    env,
    restart,
    compile: async (files, options) => {
      const answer = await ask({ task: "compile", files, cdn, ...options });
      return { ...answer, site: Object.fromEntries(answer.files ?? []) };
    },
    check: async (files) => (await ask({ task: "check", files })).diagnostics,
  };
}
