// Journeys through the console beside the first one: what is asked again and
// otherwise, looked for, mended, stored, added and taken up, in Chromium.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, test } from "node:test";
import ts from "typescript";
import yauzl from "yauzl";
import { inBrowser, startConsole } from "./support/console.js";
import { deployments } from "./support/deployments.js";
import { startAitmpl, startRawGithub, startSkillsmp } from "./fakes/skills.js";

const fakes = await Promise.all([startAitmpl(), startSkillsmp({ anonymousPerDay: 1000 }), startRawGithub()]);
after(() => Promise.all(fakes.map((fake) => fake.close())));
const [aitmpl, skillsmp, raw] = fakes;
const hatch = await startConsole({
  AITMPL_BASE_URL: aitmpl.url, SKILLSMP_BASE_URL: skillsmp.url, RAW_GITHUB_BASE_URL: raw.url,
  SEALING_KEY: "5f".repeat(32), DAILY_CHAT_LIMIT: "100",
});
const { api, open, origin, sql } = hatch;
const { project, deploy, ended } = deployments(hatch);
const json = async (method, path, body, headers) => (await api(method, path, body, headers)).json();
const PAGE = { "index.html": "<!doctype html><title>Page</title><p>hello" };
const BROKEN = { "index.html": '<!doctype html><div id=root></div><script type=module src=/src/main.ts></script>', "src/main.ts": "const x = ;" };
const focused = (page) => page.evaluate(() => `${document.activeElement?.id} ${document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent?.trim() ?? ""}`.trim());

test("an example is put into the box, to be sent or changed", inBrowser, async () => {
  const page = await open();
  await page.getByRole("list", { name: "Examples" }).getByRole("button").first().click();
  assert.match(await page.locator("#prompt").inputValue(), /pomodoro/);
  assert.match(await focused(page), /^prompt/);
  await page.done();
});

test("a question is asked again, and edited and sent again from the code that was before it", inBrowser, async () => {
  const { id } = await project(PAGE);
  await (await api("POST", "/api/chat", { projectId: id, message: "A tip calculator" })).text();
  const page = await open(`#/build/${id}`);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  await page.locator(".message.question").nth(1).waitFor();
  assert.deepEqual((await json("GET", `/api/chat/${id}`)).filter(({ role }) => role === "user").map(({ content }) => content), ["A tip calculator", "A tip calculator"]);

  await page.locator(".message.question").first().hover();
  await page.getByRole("button", { name: "Edit and send again" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("checkbox", { name: "Begin with version 1" }).check();
  await dialog.getByRole("textbox", { name: "Message" }).fill("A memory game");
  await dialog.getByRole("button", { name: "Send again" }).click();
  await page.locator(".message.question").getByText("A memory game").waitFor();
  await page.locator(".message").nth(5).waitFor();
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  const versions = await json("GET", `/api/projects/${id}/versions`);
  assert.ok(versions.some(({ origin }) => origin === "rollback"), JSON.stringify(versions));
  await page.done();
});

test("the code is searched, and a match opens at its line", inBrowser, async () => {
  const { id } = await project({ "index.html": "<!doctype html>\n<p>hello", "src/app.js": `${"// above\n".repeat(200)}const needle = 1;\n` });
  const page = await open(`#/build/${id}/code`);
  await page.getByRole("searchbox", { name: "Search the files" }).fill("needle");
  await page.getByText("1 match").waitFor();
  await page.getByRole("button", { name: /src\/app\.js:201/ }).click();
  await page.waitForURL(`${origin}/#/build/${id}/code?file=src%2Fapp.js&line=201`);
  const line = page.locator(".cm-activeLine");
  await line.getByText("const needle").waitFor();
  assert.ok(await line.evaluate((element) => { const { top, bottom } = element.getBoundingClientRect(); return top > 0 && bottom < innerHeight; }));
  await page.done();
});

async function unzipped(bytes) {
  const zip = await yauzl.fromBufferPromise(bytes, { strictFileNames: true, validateEntrySizes: true });
  const files = {};
  for await (const entry of zip.eachEntry()) files[entry.fileName] = Buffer.concat(await Array.fromAsync(await zip.openReadStreamPromise(entry))).toString();
  return files;
}

test("the code is taken along as a ZIP that others unpack, whatever its names are", inBrowser, async () => {
  const code = { "index.html": "<!doctype html><p>hello", "src/größe.css": "p { color: tomato }", "空/файл.txt": "🐣\n", "empty.txt": "" };
  const { id } = await project(code, "Café: 1/2");
  const page = await open(`#/build/${id}/code`);
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download as a ZIP" }).click()]);
  assert.match(file.suggestedFilename(), /^Café.*\.zip$/);
  assert.deepEqual(await unzipped(readFileSync(await file.path())), code);
  await page.done();
});

test("a deployment that failed says why, with its log, and is one click from being mended or tried again", inBrowser, async () => {
  const { id } = await project(BROKEN);
  await ended(await deploy(id));
  const page = await open(`#/build/${id}/deployments`, { mayFail: /status of 400/ });
  const failure = page.getByRole("region", { name: "Live" }).getByRole("alert");
  await failure.getByText(/src\/main\.ts/).first().waitFor();
  await page.getByRole("list", { name: "Log" }).getByText(/src\/main\.ts/).first().waitFor();
  await failure.getByRole("button", { name: "Deploy again" }).waitFor();
  await failure.getByRole("button", { name: "Have it mended" }).click();
  await page.locator(".question").getByText(/does not compile/).waitFor();
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  await page.done();
});

test("a deployment's log is told while it is under way", inBrowser, async () => {
  const { id } = await project(PAGE);
  const page = await open(`#/build/${id}/deployments`);
  await page.getByRole("region", { name: "Live" }).getByRole("button", { name: "Deploy" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Deploy" }).click();
  await page.getByText(/^Live at http/).waitFor();
  assert.ok((await page.getByRole("list", { name: "Log" }).getByRole("listitem").count()) > 1);
  await page.done();
});

test("a cloud without credentials leads to where they are stored, and a provider of models takes a key of one's own", inBrowser, async () => {
  const { id } = await project(PAGE);
  const page = await open(`#/build/${id}/deployments`, { mayFail: /status of 503/ });
  await page.getByRole("region", { name: "Live" }).getByRole("button", { name: "Deploy" }).click();
  await page.getByRole("radio", { name: /Koyeb/ }).check();
  await page.getByRole("dialog").getByRole("button", { name: "Deploy" }).click();
  await page.getByRole("link", { name: "Add credentials" }).click();
  await page.waitForURL(/#\/account\/clouds/);
  for (const [target, label] of [["Koyeb", "Token"], ["OpenAI", "Key of the provider"]]) {
    await page.getByRole("button", { name: `Store ${target}` }).click();
    await page.getByRole("dialog").getByLabel(label).fill(`secret-of-${target}-0123456789`);
    await page.getByRole("dialog").getByRole("button", { name: "Store" }).click();
    await page.getByRole("button", { name: `Replace ${target}` }).waitFor();
  }
  assert.deepEqual((await json("GET", "/auth/credentials")).map(({ target }) => target).sort(), ["koyeb", "openai"]);
  assert.ok(!(await page.content()).includes("secret-of-OpenAI"));
  await page.getByRole("button", { name: "Delete OpenAI" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByRole("button", { name: "Store OpenAI" }).waitFor();
  await page.done();
});

test("the model that is asked is one of those that are offered here", inBrowser, async () => {
  const models = [["anthropic/claude-sonnet-5-5", "Claude Sonnet 5.5", 128_000], ["anthropic/claude-opus-4-6", "Claude Opus 4.6", 64_000], ["openai/gpt-6.1-sol", "GPT-6.1 Sol", 64_000], ["openai/text-embedding-4", "Embedding", null]];
  const asked = [];
  const offer = (page) => page.route("**/v1/models", (route) => route.fulfill({ json: { data: models.map(([id, display_name, max_tokens]) => ({ type: "model", id, display_name, max_tokens })), has_more: false } }));
  const prepare = async (page) => {
    await offer(page);
    page.on("request", (request) => request.method() === "POST" && /\/(api\/chat|message)$/.test(request.url()) && asked.push(request.postDataJSON().model));
  };
  const page = await open("", { prepare, mayFail: /status of 400/ });
  const picker = page.getByRole("combobox", { name: "Model" });
  // A chat works with every model that writes.
  await picker.getByRole("option", { name: "Claude Sonnet 5.5" }).waitFor({ state: "attached" });
  assert.deepEqual(await picker.getByRole("option").allInnerTexts(), ["Default model", "Claude Sonnet 5.5", "Claude Opus 4.6", "GPT-6.1 Sol"]);
  await picker.selectOption({ label: "Claude Sonnet 5.5" });
  await page.locator("#prompt").fill("A tip calculator");
  await page.keyboard.press("Enter");
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  // What was chosen is asked after a reload too, also before the list is there.
  await page.unroute("**/v1/models");
  await page.route("**/v1/models", () => {});
  await page.goto(`${origin}/#/`);
  await page.reload();
  await page.locator("#prompt").fill("A tip calculator");
  assert.equal(await picker.inputValue(), "anthropic/claude-sonnet-5-5");
  await page.keyboard.press("Enter");
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  await page.unroute("**/v1/models");
  await offer(page);
  await page.reload();
  // So does the agent.
  await page.goto(`${origin}/#/apps`);
  await picker.getByRole("option", { name: "GPT-6.1 Sol" }).waitFor({ state: "attached" });
  assert.deepEqual(await picker.getByRole("option").allInnerTexts(), ["Default model", "Claude Sonnet 5.5", "Claude Opus 4.6", "GPT-6.1 Sol"]);
  await picker.selectOption({ label: "GPT-6.1 Sol" });
  await page.getByRole("textbox", { name: "Describe the app" }).fill("A memory game");
  await page.keyboard.press("Enter");
  // This Worker has no such model, which is said.
  await page.getByRole("alert").getByText("model").first().waitFor();
  assert.deepEqual(asked, ["anthropic/claude-sonnet-5-5", "anthropic/claude-sonnet-5-5", "openai/gpt-6.1-sol"]);
  await page.done();
});

test("an app of the agent's among the projects is marked, and opens with the agent", inBrowser, async () => {
  const told = await (await api("POST", "/message", { message: "A tip calculator" })).text();
  const [, id] = told.match(/"appId":"([0-9a-f-]+)"/);
  const { appName } = await json("GET", `/apps/${id}`);
  await project(PAGE, "By hand");
  const page = await open();
  const card = page.locator(".grid .card").filter({ hasText: "by the agent" }).filter({ hasText: appName });
  await card.first().getByRole("link", { name: appName }).click();
  await page.waitForURL(/#\/apps\//);
  await page.goto(`${origin}/#/`);
  assert.equal(await page.locator(".grid .card").filter({ hasText: "By hand" }).getByText("by the agent").count(), 0);
  await page.done();
});

test("a startup is cancelled, goes on from there, and is deployed from its page", inBrowser, async () => {
  const page = await open("#/startups", { mayFail: /status of 503/ });
  await page.getByRole("textbox", { name: "AI scheduling tool for freelancers" }).fill("A booking app for dog walkers");
  await page.getByRole("button", { name: "Generate" }).click();
  await page.waitForURL(/#\/startups\/[0-9a-f-]{36}/);
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByText("You cancelled this.").waitFor();
  await page.getByRole("button", { name: "Go on from here" }).click();
  await page.getByRole("heading", { name: "Competitors" }).waitFor({ timeout: 60_000 });
  await page.getByRole("button", { name: "Deploy", exact: true }).click();
  // What was written needs a server, which Vercel has: for that one needs an account there.
  const dialog = page.getByRole("dialog");
  assert.ok(await dialog.getByRole("radio", { name: /Vercel/ }).isChecked());
  await dialog.getByRole("button", { name: "Deploy" }).click();
  await dialog.getByRole("link", { name: "Add credentials" }).waitFor();
  await dialog.getByRole("radio", { name: /Hatch/ }).check();
  await dialog.getByRole("button", { name: "Deploy" }).click();
  await page.waitForURL(/#\/build\/[0-9a-f-]{36}\/deployments\//);
  await page.done();
});

test("a skill is found, and the command that installs it is copied", inBrowser, async () => {
  const page = await open("#/skills", { context: { permissions: ["clipboard-read", "clipboard-write"] } });
  await page.getByRole("searchbox", { name: "Search skills" }).fill("review");
  await page.waitForURL(/q=review/);
  const card = page.locator(".grid .card").first();
  const command = await card.locator("code").innerText();
  await card.getByRole("button", { name: /^Copy the command/ }).click();
  await page.getByText("Copied").first().waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
  await card.getByRole("link").first().click();
  await page.getByRole("heading", { name: "Install" }).waitFor();
  await page.goBack();
  await page.waitForURL(/q=review/);
  await page.done();
});

test("a machine's 30 days, a deployment's way through the fleet and a payment are told", inBrowser, async () => {
  const wallet = "0x52908400098527886e0f7030069857d2e4169ee7";
  const { token } = await json("POST", "/workers", { walletAddress: wallet });
  const beat = { walletAddress: wallet, timestamp: new Date().toISOString(), hostname: "atlas", containers: [{ containerName: "web", port: "8080" }], system: { cpuCores: 8, ramTotalGb: 31, storageTotalGb: 468, cpuUsagePercent: 12, ramUsedGb: 9 } };
  assert.equal((await api("POST", "/heartbeat", beat, { authorization: `Bearer ${token}` })).status, 200);
  await json("POST", "/payments", { name: "November", amount: "1000000000000000000", creator: wallet });
  const page = await open(`#/fleet/machines/${wallet}`);
  const days = page.getByRole("list", { name: "Uptime of the last 30 days" }).getByRole("listitem");
  await days.nth(29).waitFor();
  assert.equal(await days.count(), 30);
  await page.getByRole("cell", { name: "web" }).waitFor();

  await page.goto(`${origin}/#/fleet/deployments`);
  await page.getByRole("button", { name: "Deploy a repository" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("my-app");
  await page.getByRole("textbox", { name: "Repository at GitHub" }).fill("owner/repository");
  await page.getByRole("textbox", { name: "Your wallet" }).fill(wallet);
  await page.getByRole("textbox", { name: "Environment" }).fill("API_KEY=secret");
  await page.getByRole("dialog").getByRole("button", { name: "Deploy a repository" }).click();
  const card = page.locator(".rows .card").filter({ hasText: "my-app" });
  await card.locator('[aria-current="step"]', { hasText: "waiting" }).waitFor();
  // A deployer does the work, and the page that is open sees it.
  await sql("UPDATE fleet_deployments SET status = 'processing'");
  await card.locator('[aria-current="step"]', { hasText: "deploying" }).waitFor();
  await card.getByRole("button", { name: "One replica more of my-app" }).click();
  await card.getByText("2 replicas").waitFor();
  assert.ok(!(await page.content()).includes("secret"));

  await page.getByRole("link", { name: "Payments" }).click();
  await page.getByRole("cell", { name: "1,000,000,000,000,000,000" }).waitFor();
  await page.done();
});

test("a dead letter's job is begun again by one click", inBrowser, async () => {
  const { id } = await project(BROKEN);
  const deployment = await deploy(id);
  await ended(deployment);
  const [job] = await sql("SELECT id, state FROM jobs WHERE subject_id = ?", deployment);
  assert.equal(job.state, "failed");
  await sql("INSERT INTO dead_letters (id, job_id, body, reason, created_at) VALUES (?1, ?2, '{}', 'ten attempts', ?3)", crypto.randomUUID(), job.id, Date.now());
  const page = await open("#/operate/dead-letters");
  await page.getByText("ten attempts", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Begin its job again" }).click();
  await page.locator(".tag", { hasText: "begun again" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Begin its job again" }).count(), 0);
  await page.done();
});

test("what is left of today's limits is told, and counts down", inBrowser, async () => {
  const page = await open("#/account");
  const before = await page.getByLabel("Messages").evaluate(({ max, value }) => [max, value]);
  const { id } = await project(PAGE);
  await (await api("POST", "/api/chat", { projectId: id, message: "A tip calculator" })).text();
  await page.getByRole("button", { name: "Load anew" }).click();
  await page.waitForFunction((value) => document.querySelector("#limit-chat-day")?.value === value, before[1] + 1);
  assert.equal(before[0], 100);
  await page.done();
});

// --- What holds on every page ----------------------------------------------

test("after going to another page the focus is at its beginning, and a dialog gives it back", inBrowser, async () => {
  const page = await open();
  for (const name of ["Discover", "Skills", "Fleet", "Account"]) {
    await page.getByRole("link", { name, exact: true }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name }).waitFor();
    assert.match(await focused(page), /^main/, name);
    assert.equal(await page.title(), `${name} · Hatch`);
  }
  await page.goto(`${origin}/#/account/keys`);
  await page.getByRole("button", { name: "New key" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  assert.ok(await page.evaluate(() => document.querySelector("dialog").contains(document.activeElement)));
  for (let step = 0; step < 20; step += 1) await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement === document.body || document.querySelector("dialog").contains(document.activeElement)), "the focus does not leave the dialog for the page");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await focused(page), "New key");
  await page.done();
});

test("who hears the page is told that an answer is written, and that it is complete, and not every word", inBrowser, async () => {
  const { id } = await project(PAGE);
  const page = await open(`#/build/${id}`);
  await page.evaluate(() => {
    self.heard = [];
    new MutationObserver(() => {
      const told = document.querySelector('.chat > [role="status"]')?.textContent;
      if (told && self.heard.at(-1) !== told) self.heard.push(told);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await page.getByRole("textbox", { name: "Describe an app" }).fill("A tip calculator");
  await page.keyboard.press("Enter");
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  const heard = await page.evaluate(() => self.heard);
  assert.deepEqual(heard.filter((told) => /Writing|complete/.test(told)), ["Writing …", "The answer is complete."]);
  assert.equal(await page.getByRole("log").getAttribute("aria-live"), "off");
  await page.done();
});

test("nothing moves for whoever wants no motion", inBrowser, async () => {
  const { id } = await project(PAGE);
  for (const [reducedMotion, isStill] of [["reduce", true], ["no-preference", false]]) {
    const page = await open(`#/build/${id}`, { context: { reducedMotion }, prepare: (page) => page.route("**/preview", () => {}) });
    const [duration, count] = await page.locator(".pane .spinner").first().evaluate((spinner) => { const style = getComputedStyle(spinner); return [Number.parseFloat(style.animationDuration), style.animationIterationCount]; });
    assert.equal(duration < 0.01 && count === "1", isStill, reducedMotion);
    await page.context().close();
  }
});

test("no page breaks the console's own policy", inBrowser, async () => {
  const { id } = await project(PAGE);
  const page = await open("", {
    prepare: (page) => page.addInitScript(() => {
      self.violations = [];
      addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => self.violations.push(`${violatedDirective} ${blockedURI}`));
    }),
  });
  for (const hash of ["#/", `#/build/${id}`, `#/build/${id}/code`, `#/build/${id}/versions/1`, "#/models", "#/models/usage", "#/fleet", "#/account", "#/operate/audit", "#/sign-in"]) {
    await page.goto(`${origin}/${hash}`);
    await page.waitForLoadState("networkidle");
  }
  assert.deepEqual(await page.evaluate(() => self.violations), []);
  await page.done();
});

test("every word of the console is in the one file of its texts", () => {
  const spoken = new Set(["aria-label", "title", "alt", "label", "hint"]);
  const found = [];
  for (const file of readdirSync("console/src", { recursive: true }).filter((name) => name.endsWith(".tsx"))) {
    const source = ts.createSourceFile(file, readFileSync(`console/src/${file}`, "utf8"), ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
    const visit = (node) => {
      const text = ts.isJsxText(node) ? node.text
        : ts.isJsxAttribute(node) && spoken.has(node.name.getText()) && node.initializer && ts.isStringLiteral(node.initializer) ? node.initializer.text : "";
      // The name of the thing, and a unit.
      if (/\p{L}{2}/u.test(text) && !["Hatch", "MB"].includes(text.trim())) found.push(`${file}: ${text.trim()}`);
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  assert.deepEqual(found, []);
});
