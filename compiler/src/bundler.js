// Runs esbuild with one instance per task, so that a task's memory is freed
// afterwards and a crash does not affect other tasks. An isolate has 128 MB, so
// tasks run one after the other.

import { fileSystem } from "./files.js";
import wasmModule from "./esbuild.wasm";

/** Longer than any project takes. It frees the queue if a task was cut off. */
const LONGEST_MS = 25_000;

let last = Promise.resolve();

/** esbuild crashed on the source, or took too long. */
export class Broken extends Error {}

/** Whether the source causes the error every time: out of stack, memory or time. */
export function isCrash(error) {
  const is = error instanceof Broken || error instanceof RangeError || error instanceof WebAssembly.RuntimeError;
  if (is) console.log(JSON.stringify({ level: "error", event: "compiler.broken", detail: String(error) }));
  return is;
}

/**
 * Runs `work` with an esbuild that sees these files, after the tasks before it.
 *
 * @template T
 * @param {Map<string, string>} files absolute path to text
 * @param {(esbuild: typeof import("esbuild-wasm")) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withBundler(files, work) {
  const before = last;
  let done;
  last = new Promise((resolve) => { done = resolve; });
  await within(LONGEST_MS, before);
  try {
    return await run(files, work);
  } finally {
    done();
  }
}

async function run(files, work) {
  // After a crash Go writes to standard error and never answers again.
  let crashed;
  const crash = new Promise((_, reject) => { crashed = reject; });
  const complaint = (text) => /^(fatal error|panic|runtime)/m.test(text) && crashed(new Broken(text.slice(0, 300)));
  // Go's runtime expects `fs` among the globals.
  globalThis.fs = fileSystem(files, complaint);
  const esbuild = await import("esbuild-wasm/esm/browser.js");
  await esbuild.stop();
  await esbuild.initialize({ wasmModule, worker: false });
  crash.catch(() => {});
  const late = new Promise((_, reject) => setTimeout(() => reject(new Broken("esbuild took too long")), LONGEST_MS));
  late.catch(() => {});
  try {
    return await Promise.race([work(esbuild), crash, late]);
  } finally {
    await esbuild.stop();
  }
}

function within(ms, promise) {
  return Promise.race([promise, new Promise((resolve) => setTimeout(resolve, ms))]);
}
