// Every page of the console, in both themes, on a phone and on a wide screen:
// axe finds nothing, nothing is wider than the screen, and a picture of each
// goes to .screens/, to be looked at.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, test } from "node:test";
import axe from "axe-core";
import { inBrowser, startConsole } from "./console.js";
import { deployments } from "./deployments.js";
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

/** Something of everything, so that no page is empty. */
async function fill() {
  const chat = await json("POST", "/api/projects", { name: "Pomodoro", description: "A timer with a tomato red look" });
  await (await api("POST", "/api/chat", { projectId: chat.id, message: "A pomodoro timer with a tomato red look" })).text();
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

const { id, job, deployment } = await fill();
const PAGES = {
  build: "#/", project: `#/build/${id}`, chat: `#/build/${id}/chat`, preview: `#/build/${id}/preview`, code: `#/build/${id}/code`, versions: `#/build/${id}/versions`, deployments: `#/build/${id}/deployments/${deployment}`,
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
      for (const width of [360, 1440]) {
        const page = await open(hash, { theme, width, height: width === 360 ? 740 : 900 });
        await page.locator(".loading").first().waitFor({ state: "detached" });
        if (name === "preview" || (name === "project" && width > 360)) await page.frameLocator(".frame iframe").locator("body *").first().waitFor();
        if (name === "code") await page.locator(".editor").first().waitFor();
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
