// Every page of the console, in both themes, on a phone and on a wide screen:
// axe finds nothing, nothing is wider than the screen, and a screenshot of each
// goes to .screens/, to be looked at.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, test } from "node:test";
import axe from "axe-core";
import { inBrowser, startConsole } from "./support/console.js";
import { deployments } from "./support/deployments.js";
import { startAitmpl, startRawGithub, startSkillsmp } from "./fakes/skills.js";

const SCREENS = ".screens";
mkdirSync(SCREENS, { recursive: true });

const fakes = await Promise.all([startAitmpl(), startSkillsmp({ anonymousPerDay: 1000 }), startRawGithub()]);
after(() => Promise.all(fakes.map((fake) => fake.close())));
const [aitmpl, skillsmp, raw] = fakes;
const hatch = await startConsole({ AITMPL_BASE_URL: aitmpl.url, SKILLSMP_BASE_URL: skillsmp.url, RAW_GITHUB_BASE_URL: raw.url });
const { api, open } = hatch;
const { project, live } = deployments(hatch);

const json = async (method, path, body, headers) => (await api(method, path, body, headers)).json();
const wallet = "0x52908400098527886e0f7030069857d2e4169ee7";

/** Data for every page, so that none is empty. */
async function fill() {
  const chat = await json("POST", "/api/projects", { name: "Pomodoro", description: "A timer with a tomato red look" });
  await (await api("POST", "/api/chat", { projectId: chat.id, message: "A pomodoro timer with a tomato red look" })).text();
  await (await api("POST", "/api/chat", { projectId: chat.id, message: "Make it dark" })).text();
  const deployment = await live(chat.id);
  await project({ "index.html": "<!doctype html><title>عداد</title>" }, "عدّاد الخطوات اليومي");
  await project({ "index.html": "<!doctype html>", "src/App.tsx": "export default () => <p>" }, "A name that is rather long and does not want to fit anywhere at all");
  const { job_id: job } = await json("POST", "/api/generate", { prompt: "AI scheduling tool for freelancers" });
  await (await api("GET", `/api/status/${job}/events`)).text();
  const { token } = await json("POST", "/workers", { walletAddress: wallet });
  const beat = { walletAddress: wallet, timestamp: new Date().toISOString(), hostname: "atlas", tailscaleIp: "100.64.0.7", containers: [{ containerName: "web", port: "8080" }], system: { cpuCores: 8, ramTotalGb: 31.2, storageTotalGb: 468, cpuUsagePercent: 12.5, ramUsedGb: 9.8 } };
  assert.equal((await api("POST", "/heartbeat", beat, { authorization: `Bearer ${token}` })).status, 200);
  await json("POST", "/deployments", { name: "my-app", github: "owner/repository", creator: wallet, envVars: { API_KEY: "x" } });
  await json("POST", "/payments", { name: "November", amount: "1000000000000000000", creator: wallet });
  await json("POST", "/auth/keys", { name: "My program", scopes: ["chat"] });
  return { id: chat.id, job, deployment: deployment.id };
}

async function usageOfDays() {
  const [{ user_id: user }] = await hatch.sql("SELECT user_id FROM projects LIMIT 1");
  const models = [["anthropic/claude-sonnet-5-5", 21_000], ["openai/gpt-6.1-sol", 14_000], ["anthropic/claude-haiku-5-5", 1_200]];
  for (let day = 0; day < 14; day += 1) {
    for (const [at, [model, cost]] of models.entries()) {
      for (let call = 0; call <= (day * 7 + at * 3) % 5; call += 1) {
        const moment = Date.now() - day * 86_400_000;
        await hatch.sql(
          `INSERT INTO model_calls (id, user_id, created_at, day, model, status, attempts, cache, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_micro_usd, is_estimated, first_token_ms, total_ms)
           VALUES (?1, ?2, ?3, ?4, ?5, 200, 1, 'off', 1200, 0, 0, 480, 0, ?6, 0, 400, 2000)`,
          crypto.randomUUID(), user, moment, new Date(moment).toISOString().slice(0, 10), model, cost * (1 + (day % 4)),
        );
      }
    }
  }
}

/** A live app of the agent. */
async function appOf(message) {
  const told = await (await api("POST", "/message", { message })).text();
  return { id: told.match(/"appId":"([0-9a-f-]+)"/)[1] };
}

const { id, job, deployment } = await fill();
await json("POST", "/v1/chat/completions", { model: "sandbox", messages: [{ role: "user", content: "Say hello" }] });
await json("POST", "/auth/keys", { name: "Continuous integration", scopes: ["gateway"], gateway: { models: ["openai/*", "anthropic/*"], rpm: 60, budget: { microUsd: 5_000_000, per: "month" } } });
await json("PUT", "/v1/guardrails", { input: { secrets: { action: "redact" }, terms: [{ name: "words", terms: ["project x"], action: "block" }] }, output: { pii: { action: "flag" } } });
// Fourteen days of several models, as the ledger has them.
await usageOfDays();
const { id: agentApp } = await appOf("A tip calculator");
const PAGES = {
  build: "#/", project: `#/build/${id}`, chat: `#/build/${id}/chat`, preview: `#/build/${id}/preview`, code: `#/build/${id}/code`, versions: `#/build/${id}/versions`, version: `#/build/${id}/versions/1`, difference: `#/build/${id}/versions/1/2`, deployments: `#/build/${id}/deployments/${deployment}`,
  apps: "#/apps", agent: `#/apps/${agentApp}`,
  playground: "#/models", usage: "#/models/usage", models: "#/models/keys", guardrails: "#/models/guardrails",
  startups: "#/startups", startup: `#/startups/${job}`,
  discover: "#/discover", app: `#/discover/${id}`, skills: "#/skills",
  machines: "#/fleet", machine: `#/fleet/machines/${wallet}`, fleet: "#/fleet/deployments", payments: "#/fleet/payments",
  account: "#/account", keys: "#/account/keys", sessions: "#/account/sessions", clouds: "#/account/clouds", data: "#/account/data",
  jobs: "#/operate", letters: "#/operate/dead-letters", audit: "#/operate/audit",
  "sign-in": "#/sign-in", missing: "#/nothing/here",
};
const wanted = process.env.PAGES?.split(",");

for (const [name, hash] of Object.entries(PAGES).filter(([name]) => !wanted || wanted.includes(name))) {
  test(`the page ${name} has nothing that axe finds, and fits a phone`, inBrowser, async () => {
    for (const theme of ["light", "dark"]) {
      for (const width of [360, 1600]) {
        const page = await open(hash, { theme, width, height: width === 360 ? 740 : 1000 });
        await page.locator(".loading").first().waitFor({ state: "detached" });
        if (name === "preview" || (name === "project" && width > 360)) await page.frameLocator(".frame iframe").locator("body *").first().waitFor();
        if (["code", "version", "difference"].includes(name)) await page.locator(".editor").first().waitFor();
        if (name === "usage") await page.locator("canvas").waitFor();
        if (name === "agent") await page.locator(".message.question").waitFor();
        await page.evaluate(() => document.fonts.ready.then(() => undefined));
        await page.screenshot({ path: `${SCREENS}/${name}-${theme}-${width}.png` });
        await page.evaluate(axe.source);
        const violations = await page.evaluate(async () => {
          const { violations } = await self.axe.run(document, { iframes: false });
          return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`).join("\n  ")}`);
        });
        assert.deepEqual(violations, [], `${theme} ${width}`);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `${name} is ${overflow} px wider than ${width} px`);
        await page.done();
      }
    }
  });
}
