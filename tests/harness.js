// The built Worker in workerd, with real D1, KV, queues and R2, and whatever
// fakes a test gives it. One for each test file.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { createTestHarness } from "wrangler";

/**
 * Starts the Worker of build/ with these variables over wrangler.toml's, and
 * stops it after the file's tests.
 *
 * @param {Record<string, string>} vars
 * @param {object[]} others Workers that run beside it, as createTestHarness takes them
 * @returns the running Worker: `url`, `api(method, path, body?, headers?)`,
 *   `env` (the bindings), `scheduled()`, `logs()`.
 */
export async function startWorker(vars = {}, others = []) {
  const harness = createTestHarness({
    workers: [{ configPath: "./wrangler.toml", vars: { ENVIRONMENT: "development", ...vars } }, ...others],
  });
  const { url } = await harness.listen();
  after(() => harness.close());
  const worker = harness.getWorker();
  await worker.applyD1Migrations("DB");
  return {
    url: url.origin,
    worker,
    harness,
    env: await worker.getEnv(),
    api: (method, path, body, headers) => api(url.origin, method, path, body, headers),
  };
}

async function api(origin, method, path, body, headers = {}) {
  const response = await fetch(new URL(path, origin), {
    method,
    redirect: "manual",
    headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
    body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
  });
  return response;
}
