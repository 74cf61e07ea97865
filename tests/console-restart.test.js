// The server dies under an open page, and comes back.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { browserOf, inBrowser } from "./support/console.js";
import { claudeVars } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { killable } from "./support/killable.js";

test("a server that is killed while an answer is written, and starts again, loses no turn", inBrowser, async () => {
  const claude = await startAnthropic();
  after(() => claude.close());
  claude.setAnswer("Here is your app.\n\n```html:index.html\n<h1>Pomodoro</h1>\n```\n\nHave fun with it, and with all that you make of it.\n");
  // The kill comes before the answer is whole.
  claude.setFault({ stallAfterBytes: 1000 });
  const hatch = await killable(claudeVars(claude));
  await hatch.start();
  const open = await browserOf(hatch.url);
  const page = await open("", { mayFail: /ERR_|Failed to load/ });
  page.setDefaultTimeout(90_000);
  await page.getByRole("textbox", { name: "Describe an app" }).fill("A pomodoro timer");
  await page.keyboard.press("Enter");
  await page.getByText("Writing …").first().waitFor();
  await hatch.kill();
  await hatch.start();

  // The turn that was killed is shown as interrupted, and one click sends it again.
  await page.getByRole("button", { name: "Send it again" }).click();
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  await page.frameLocator(".frame iframe").locator("body *").first().waitFor();
  const [, id] = page.url().match(/build\/([0-9a-f-]+)/);
  const messages = await (await fetch(`${hatch.url}/api/chat/${id}`)).json();
  assert.equal(messages.at(-1).status, "complete");
  assert.deepEqual(new Set(messages.map(({ role, content }) => (role === "user" ? content : role))), new Set(["A pomodoro timer", "assistant"]));
  assert.equal((await (await fetch(`${hatch.url}/api/projects/${id}`)).json()).version, 1);

  // A page that stays open during a restart works as before.
  await hatch.kill();
  await page.getByRole("link", { name: "Versions" }).click();
  await page.getByRole("alert").getByText("Hatch cannot be reached").waitFor();
  await hatch.start();
  await page.getByRole("alert").getByRole("button", { name: "Try again" }).click();
  await page.getByRole("listitem").filter({ hasText: "Version 1" }).waitFor();
  await page.done();
});
