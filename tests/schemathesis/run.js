// `npm run test:schemathesis`: Schemathesis sends the built Worker requests that
// public/openapi.json allows, and others, and must find no fault: in development
// without a credential, in production with one of staff. Not part of `npm test`,
// because it is a Python program. SEEDS and EXAMPLES in the environment set the
// amount (default: 1,2,3 and 50).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import test, { after } from "node:test";
import { claudeVars } from "../support/conversation.js";
import { deployments } from "../support/deployments.js";
import { startAnthropic } from "../fakes/anthropic.js";
import { startAitmpl, startRawGithub, startSkillsmp } from "../fakes/skills.js";
import { startStackAuth } from "../fakes/stack-auth.js";
import { startWorker } from "../support/harness.js";
import { STAFF_DOMAIN, as, production } from "../support/people.js";

const { SEEDS = "1,2,3", EXAMPLES = "50" } = process.env;

const fakes = await Promise.all([startAitmpl(), startSkillsmp({ anonymousPerDay: Infinity }), startRawGithub(), startStackAuth(), startAnthropic()]);
after(() => Promise.all(fakes.map((fake) => fake.close())));
const [AITMPL_BASE_URL, SKILLSMP_BASE_URL, RAW_GITHUB_BASE_URL] = fakes.map(({ url }) => url);
const [, , , stack, claude] = fakes;
const variables = { AITMPL_BASE_URL, SKILLSMP_BASE_URL, RAW_GITHUB_BASE_URL, PAYOUT_RATE: "1000", SEALING_KEY: "5ea1".repeat(16) };

/** A Worker and the headers of its caller. */
async function development() {
  return { hatch: await startWorker(variables), headers: {} };
}

async function inProduction() {
  const hatch = await startWorker({ ...variables, ...production(stack), ...claudeVars(claude), HOSTING_DOMAIN: "localhost" });
  // Signing out and revoking a key do not end a token of Stack Auth.
  const exp = Math.floor(Date.now() / 1000) + 24 * 60 * 60;
  const token = stack.mint({ sub: "ada", email: `ada@${STAFF_DOMAIN}`, email_verified: true, exp });
  // Spelled as Schemathesis expects it when it tests without a credential.
  const headers = { Authorization: as(token).authorization };
  const api = (method, path, body, more) => hatch.api(method, path, body, { ...headers, ...more });
  return { hatch: { ...hatch, api }, headers };
}

/** Resources for paths that no response links to: their parameters, by operation. */
async function seeded(hatch) {
  const { project, live, written } = deployments(hatch);
  const app = await project({ "index.html": "<p>Hello", "style.css": "p{}" });
  const { url } = await live(app.id);
  const slug = new URL(url).hostname.split(".")[0];
  const { jobId } = await written(await project(), { state: "failed", sendAt: Date.now() + 1e9 });
  const letter = randomUUID();
  await hatch.sql("INSERT INTO dead_letters (id, job_id, body, reason, created_at) VALUES (?, ?, '', '', 0)", letter, jobId);
  return {
    "deploy.redirect": { slug }, "deploy.app": { slug }, "deploy.file": { slug, path: "style.css" },
    "discovery.show": { id: app.id }, "discovery.remix": { id: app.id }, "admin.redrive": { id: letter },
  };
}

/** The repository's schemathesis.toml and the parameters. */
async function configuration(parameters) {
  const folder = await mkdtemp(join(tmpdir(), "hatch-schemathesis-"));
  after(() => rm(folder, { recursive: true }));
  const operations = Object.entries(parameters).map(([operation, values]) => {
    const lines = Object.entries(values).map(([name, value]) => `parameters."path.${name}" = ${JSON.stringify(value)}`);
    return ["[[operations]]", `include-operation-id = "${operation}"`, ...lines].join("\n");
  });
  const file = join(folder, "schemathesis.toml");
  const shared = (await readFile("schemathesis.toml", "utf8")).replace('"tests/schemathesis/', `"${resolve("tests/schemathesis")}/`);
  await writeFile(file, [shared, ...operations].join("\n\n"));
  return { folder, file };
}

for (const [where, start] of [["development", development], ["production", inProduction]]) {
  const { hatch, headers } = await start();
  const { folder, file } = await configuration(await seeded(hatch));
  const credential = Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`]);
  for (const seed of SEEDS.split(",")) {
    test(`Schemathesis finds nothing in ${where} with seed ${seed}`, async () => {
      const args = [
        "--config-file", file, "--no-color", "run", `${hatch.url}/openapi.json`, "--url", hatch.url, "--seed", seed, ...credential,
        "--checks", "all", "--mode", "all", "--phases", "examples,coverage,fuzzing,stateful",
        "--max-examples", EXAMPLES, "--continue-on-failure", "--request-timeout", "30",
      ];
      const child = spawn("st", args, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
      const output = await Array.fromAsync(child.stdout.setEncoding("utf8"));
      assert.equal(child.exitCode ?? (await new Promise((resolve) => child.on("exit", resolve))), 0, output.join(""));
      console.log(output.join("").split("= SUMMARY =").at(-1));
      assert.equal((await hatch.api("GET", "/auth/me")).status, 200, "the credential is good no longer");
    });
  }
}
