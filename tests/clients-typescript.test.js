// A client in TypeScript whose types are generated from public/openapi.json.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import openapiTS, { astToString } from "openapi-typescript";
import { startAitmpl, startRawGithub, startSkillsmp } from "./fakes/skills.js";
import { startWorker } from "./support/harness.js";

const CLIENT = "tests/clients/typescript";
const sources = await Promise.all([startAitmpl(), startSkillsmp({ anonymousPerDay: Infinity }), startRawGithub()]);
after(() => Promise.all(sources.map((source) => source.close())));
const [AITMPL_BASE_URL, SKILLSMP_BASE_URL, RAW_GITHUB_BASE_URL] = sources.map((source) => source.url);
const hatch = await startWorker({ AITMPL_BASE_URL, SKILLSMP_BASE_URL, RAW_GITHUB_BASE_URL });

before(async () => {
  const types = await openapiTS(new URL("../public/openapi.json", import.meta.url));
  await writeFile(`${CLIENT}/api.d.ts`, `// Made of public/openapi.json by tests/clients-typescript.test.js.\n${astToString(types)}`);
});

test("the generated types are strict: what is right type-checks, and what is wrong does not", () => {
  const { status, stdout } = spawnSync("node_modules/.bin/tsc", ["-p", CLIENT], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});

test("a client with the generated types goes from a prompt to a live app", async () => {
  const folder = await mkdtemp(join(tmpdir(), "hatch-typescript-"));
  after(() => rm(folder, { recursive: true }));
  const outfile = join(folder, "journey.mjs");
  await build({ entryPoints: [`${CLIENT}/journey.ts`], bundle: true, format: "esm", platform: "node", outfile });
  const { journey } = await import(pathToFileURL(outfile));
  const { project, saved, deployment, page, found, copy, skills } = await journey(hatch.url);
  assert.equal(project.name, "Pomodoro");
  assert.equal(saved.projectId, project.id);
  assert.equal(deployment.status, "live");
  assert.match(page, /<!doctype html>/i);
  assert.deepEqual(found.map(({ id }) => id), [project.id]);
  assert.notEqual(copy.id, project.id);
  assert.ok(skills.length > 0);
});
