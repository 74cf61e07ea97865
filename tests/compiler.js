// The built compiler in workerd, asked as hatch asks it.

import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after } from "node:test";
import { createTestHarness } from "wrangler";

/** Starts it. `compile(files)` and `check(files)` answer with its answers, of which `site` has the files by their paths. */
export async function startCompiler({ cdn = "https://cdn.invalid" } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "hatch-compiler-"));
  const toml = await readFile("compiler/wrangler.toml", "utf8");
  await writeFile(join(folder, "wrangler.toml"), toml.replace(/^\[build\]\n(.+\n)*/m, ""));
  await symlink(resolve("compiler/build"), join(folder, "build"));
  const harness = createTestHarness({ workers: [{ configPath: join(folder, "wrangler.toml") }] });
  after(async () => {
    await harness.close();
    await rm(folder, { recursive: true });
  });
  await harness.listen();
  const ask = async (task) => (await harness.getWorker().fetch("http://compiler/", { method: "POST", body: JSON.stringify(task) })).json();
  return {
    harness,
    compile: async (files, options) => {
      const answer = await ask({ task: "compile", files, cdn, ...options });
      return { ...answer, site: Object.fromEntries(answer.files ?? []) };
    },
    check: async (files) => (await ask({ task: "check", files })).diagnostics,
  };
}
