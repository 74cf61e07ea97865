// The console's pages of the agent's apps and of models, in Chromium.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inBrowser, startConsole } from "./support/console.js";

const hatch = await startConsole();
const { api, origin, open } = hatch;

const json = async (method, path, body, headers) => (await api(method, path, body, headers)).json();

test("an app is begun by a message, watched, answered, changed, and live", inBrowser, async () => {
  const page = await open("#/apps");
  await page.getByText("No apps yet").waitFor();
  await page.getByRole("textbox", { name: "Describe the app" }).fill("A tip calculator");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/apps\/[0-9a-f-]{36}/);
  const [, id] = page.url().match(/apps\/([0-9a-f-]+)/);
  await page.getByText("The agent has ended.").waitFor({ state: "attached", timeout: 60_000 });
  assert.equal(await page.locator(".message.question").count(), 1);
  await page.locator(".agent-steps summary").first().waitFor();
  const link = page.getByRole("link", { name: "Open the app" });
  assert.equal((await hatch.worker.fetch(await link.getAttribute("href"))).status, 200);
  await page.frameLocator(".frame iframe").locator("body *").first().waitFor();
  await page.getByText("messages left today").waitFor();

  // The conversation is there after a reload.
  const said = await page.locator(".message").count();
  await page.reload();
  await page.locator(".message.question").waitFor();
  await link.waitFor();
  assert.equal(await page.locator(".message").count(), said);

  // Its code and its deployments are those of a project.
  await page.getByRole("link", { name: "Code", exact: true }).click();
  await page.waitForURL(`${origin}/#/apps/${id}/code`);
  await page.getByRole("textbox", { name: "Editor: index.html" }).waitFor();
  await page.getByRole("link", { name: "Live", exact: true }).click();
  await page.getByRole("list", { name: "Deployments" }).locator(".tag", { hasText: "live" }).waitFor();

  await page.getByTitle("Project settings").click();
  await page.getByText("healthy", { exact: true }).waitFor();
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download the files" }).click()]);
  assert.match(file.suggestedFilename(), /\.zip$/);
  await page.keyboard.press("Escape");

  await page.getByRole("link", { name: "All apps" }).click();
  await page.locator(".card", { hasText: "live" }).first().waitFor();
  await page.getByRole("button", { name: /^Delete / }).first().click();
  await page.getByRole("dialog").getByRole("button", { name: /^Delete / }).click();
  await page.getByText("No apps yet").waitFor();
  assert.equal((await api("GET", `/apps/${id}`)).status, 404);
  await page.done();
});

test("an interrupted stream of the agent resumes where it was", inBrowser, async () => {
  let asked = 0;
  const after = [];
  const page = await open("#/apps", {
    mayFail: /ERR_/,
    prepare: async (page) => {
      await page.route("**/message", async (route) => {
        asked += 1;
        const response = await route.fetch();
        const body = await response.text();
        // The first two events, and then the connection is gone.
        return route.fulfill({ response, body: body.split("\n\n").slice(0, 3).join("\n\n") + "\n\n" });
      });
      page.on("request", (request) => /\/apps\/[^/]+\/events/.test(request.url()) && after.push(request.headers()["last-event-id"]));
    },
  });
  await page.getByRole("textbox", { name: "Describe the app" }).fill("A memory game");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/apps\/[0-9a-f-]{36}/);
  await page.getByRole("link", { name: "Open the app" }).waitFor({ timeout: 60_000 });
  const [, id] = page.url().match(/apps\/([0-9a-f-]+)/);
  const history = await json("GET", `/apps/${id}/history?limit=100`);
  const shown = await page.evaluate(() => document.querySelectorAll(".message").length + [...document.querySelectorAll(".agent-steps li")].length);
  // The notice of the deployment is gone, because the app is live.
  assert.equal(shown, history.length - 1, "each is shown once");
  assert.equal(asked, 1);
  assert.match(after[0], /^[0-9a-f]{8}-\d+$/);
  await page.done();
});

test("the agent's question is answered in the same conversation", inBrowser, async () => {
  const page = await open("#/apps");
  await page.getByRole("textbox", { name: "Describe the app" }).fill("?");
  await page.keyboard.press("Enter");
  await page.getByText("The agent asks").waitFor();
  const answer = page.getByRole("textbox", { name: "Your answer to the agent" });
  await answer.fill("A pomodoro timer");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "Open the app" }).waitFor({ timeout: 60_000 });
  assert.equal(await page.locator(".message.question").count(), 2);
  await page.done();
});

test("the playground talks with a model, and shows the request that was sent", inBrowser, async () => {
  const sent = [];
  const page = await open("#/models", { prepare: (page) => page.on("request", (request) => request.url().endsWith("/v1/chat/completions") && sent.push(request.postDataJSON())) });
  await page.waitForFunction(() => document.querySelector(".play-settings input")?.value);
  await page.getByRole("textbox", { name: "System prompt" }).fill("You are short.");
  await page.getByRole("spinbutton", { name: "Temperature" }).fill("0.5");
  await page.getByRole("textbox", { name: "Your message" }).fill("Hello there");
  const raw = async (name) => {
    await page.getByRole("combobox", { name: "Shown as" }).selectOption({ label: name });
    return page.locator(".request-code pre").innerText();
  };
  const shown = JSON.parse(await raw("Raw JSON"));
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  assert.deepEqual(sent, [shown]);
  assert.equal(shown.temperature, 0.5);
  assert.deepEqual(shown.messages, [{ role: "system", content: "You are short." }, { role: "user", content: "Hello there" }]);
  assert.ok((await page.locator(".talk-row.assistant").innerText()).length > 10);
  await page.getByText(/read, \d+ written/).waitFor();

  assert.match(await raw("OpenAI's SDK"), new RegExp(`baseURL: "${origin}/v1"`));
  assert.match(await raw("Anthropic's SDK"), /"max_tokens": 4096,\s+"system": "You are short\."/);
  // An invalid list of tools is an error, and nothing is sent.
  await page.locator("summary", { hasText: "Tools" }).click();
  await page.locator(".code-field").fill("{");
  await page.getByText(/This is no JSON/).waitFor();
  assert.ok(await page.getByRole("button", { name: "Send", exact: true }).isDisabled());
  await page.done();
});

test("the shown curl command gets an answer", inBrowser, async () => {
  const { execFileSync } = await import("node:child_process");
  const page = await open("#/models");
  await page.waitForFunction(() => document.querySelector(".play-settings input")?.value);
  await page.getByRole("checkbox", { name: /as it is written/ }).uncheck();
  await page.getByRole("textbox", { name: "Your message" }).fill(`It's "quoted" $HOME \\ and \`ticked\``);
  const command = await page.locator(".request-code pre").innerText();
  const answer = JSON.parse(execFileSync("sh", ["-c", command.replace(/-H "authorization[^"]+" \\\n/, "")], { encoding: "utf8" }));
  assert.equal(answer.object, "chat.completion");
  assert.ok(command.includes("It'\\''s"));
  await page.done();
});

test("usage is shown by day and model, as a chart and a table", inBrowser, async () => {
  await json("POST", "/v1/chat/completions", { model: "sandbox", messages: [{ role: "user", content: "Hi" }] });
  const page = await open("#/models/usage");
  await page.getByRole("img", { name: /on each of the last 30 days/ }).locator("canvas").waitFor();
  const usage = await json("GET", "/v1/usage?group_by=model");
  const row = page.getByRole("region", { name: "By model" }).getByRole("row", { name: new RegExp(usage.data[0].model) });
  assert.equal(await row.getByRole("cell").first().innerText(), String(usage.data[0].requests));
  await page.getByRole("combobox", { name: "Measure" }).selectOption("tokens");
  await page.getByRole("img", { name: /^Tokens/ }).locator("canvas").waitFor();
  await page.done();
});

test("a key for models is created with its limits", inBrowser, async () => {
  const page = await open("#/models/keys");
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("CI");
  await page.getByRole("textbox", { name: "Models it may ask" }).fill("openai/*, nothing/here");
  await page.getByRole("spinbutton", { name: "Budget in dollars" }).fill("2.5");
  await page.getByRole("spinbutton", { name: "Requests a minute" }).fill("30");
  await page.getByRole("checkbox", { name: /^Leave out what a model does not take/ }).check();
  await page.getByRole("button", { name: "Make the key" }).click();
  const key = await page.getByLabel("Your key", { exact: true }).filter({ hasText: "hk_" }).last().innerText();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByText("openai/*, nothing/here · 30 requests a minute · $2.50 a month · lenient").waitFor();
  const refused = await api("POST", "/v1/chat/completions", { model: "sandbox", messages: [{ role: "user", content: "Hi" }] }, { authorization: `Bearer ${key}` });
  assert.ok(refused.status === 403 || refused.status === 404, String(refused.status));
  await page.getByRole("button", { name: "Revoke CI" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByText("revoked", { exact: true }).waitFor();
  await page.done();
});

test("guardrails are set by a form, and rules without one are kept", inBrowser, async () => {
  const schema = { action: "flag", schema: { type: "object" } };
  await json("PUT", "/v1/guardrails", { output: { jsonSchema: schema } });
  const page = await open("#/models/guardrails", { mayFail: /status of 400/ });
  await page.getByRole("combobox", { name: "Secrets: What goes to a model" }).selectOption({ label: "Redact it" });
  await page.getByRole("group", { name: "What goes to a model" }).getByRole("textbox", { name: "Words that may not be said" }).fill("hush, secret plan");
  await page.keyboard.press("Tab");
  await page.getByRole("button", { name: "Save the guardrails" }).click();
  await page.getByText("The guardrails hold from now on").first().waitFor();
  const policy = await json("GET", "/v1/guardrails");
  assert.equal(policy.input.secrets.action, "redact");
  assert.deepEqual(policy.input.terms[0].terms, ["hush", "secret plan"]);
  assert.deepEqual(policy.output.jsonSchema.schema, schema.schema);
  const blocked = await api("POST", "/v1/chat/completions", { model: "sandbox", messages: [{ role: "user", content: "the secret plan" }] });
  assert.equal(blocked.status, 400);

  await page.locator("summary", { hasText: "All rules as JSON" }).click();
  await page.getByRole("textbox", { name: "All rules as JSON" }).fill('{"input":{"nothing":1}}');
  await page.getByRole("button", { name: "Save the guardrails" }).click();
  await page.locator(".toast.error").waitFor();
  await json("PUT", "/v1/guardrails", {});
  await page.done();
});
