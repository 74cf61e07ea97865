// Several people at one console: how they sign in by Stack Auth, and that
// nobody sees, in another browser or after another in the same one, what is
// somebody else's.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, test } from "node:test";
import axe from "axe-core";
import { inBrowser, startConsole } from "./support/console.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { as, newWallet, people, production } from "./support/people.js";

const stack = await startStackAuth();
after(() => stack.close());
// Development's models with production's people: whoever is nobody is nobody here too.
const hatch = await startConsole({ ...production(stack), LOG: "notable", CLAUDE_API_KEY: "sk-ant-test", STAFF_EMAIL_DOMAINS: "" });
const { api, open, origin, sql } = hatch;
const { signIn } = people(hatch, stack);
stack.trusted.push(origin);

mkdirSync(".screens", { recursive: true });

/** Nothing that axe finds, and a picture to be looked at (tests/console-screens.test.js). */
async function shown(page, name) {
  await page.screenshot({ path: `.screens/${name}.png` });
  await page.evaluate(axe.source);
  assert.deepEqual(await page.evaluate(async () => (await self.axe.run(document)).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160))}`)), []);
}

const AWAY = { mayFail: /status of 401/ };
const credentialOf = (page) => page.evaluate(() => localStorage.getItem("hatch.credential"));
const myself = async (page) => (await api("GET", "/auth/me", undefined, as(await credentialOf(page)))).json();

test("while Stack Auth is away one signs in otherwise", inBrowser, async () => {
  stack.setFault({ status: 500, times: Infinity });
  const page = await open("#/sign-in", { mayFail: /status of (401|503)/ });
  await page.getByRole("alert").getByText("Stack Auth").waitFor();
  assert.ok(await page.getByRole("textbox", { name: /API key/ }).or(page.getByLabel(/API key/)).first().isEnabled());
  stack.reset();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("button", { name: "Go on with GitHub" }).waitFor();
  await page.done();
});

test("somebody signs in by the page of a provider, comes back to what they had typed, and nothing of it stays in the address", inBrowser, async () => {
  const page = await open("", { ...AWAY, mayLeaveFor: stack.url });
  await page.getByRole("textbox", { name: "Describe an app" }).fill("A recipe box");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/sign-in/);
  await page.getByRole("button", { name: "Go on with GitHub" }).click();
  await page.getByRole("link", { name: "Allow" }).click();
  await page.waitForURL(`${origin}/#/`);
  assert.equal(await page.locator("#prompt").inputValue(), "A recipe box");
  const { email, credential } = await myself(page);
  assert.deepEqual([email, credential], ["ada@github.example", "session"]);
  assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage)), []);
  await page.getByRole("link", { name: "ada", exact: true }).waitFor();
  await page.done();
});

test("a provider that says no is told in our own words, and the code of another browser signs nobody in", inBrowser, async () => {
  const page = await open("#/sign-in", { ...AWAY, mayLeaveFor: stack.url });
  await page.getByRole("button", { name: "Go on with GitHub" }).click();
  await page.getByRole("link", { name: "Deny" }).click();
  await page.getByRole("alert").getByText("OAUTH_PROVIDER_ACCESS_DENIED").waitFor();
  assert.equal(await page.getByText("Call us at once").count(), 0);
  assert.equal(page.url(), `${origin}/#/sign-in`);
  await page.goto(`${origin}/?code=stolen&state=of-another-browser`);
  await page.getByRole("alert").getByText("begun in another tab or browser").waitFor();
  assert.equal(await credentialOf(page), null);
  await page.done();
});

test("somebody signs in by the code of a mail, after a wrong one", inBrowser, async () => {
  const page = await open("#/sign-in", { ...AWAY, width: 360, height: 740, theme: "dark" });
  await page.getByRole("textbox", { name: "E-mail" }).fill("grace@example.com");
  await shown(page, "sign-in-stack");
  await page.keyboard.press("Enter");
  const code = page.getByRole("textbox", { name: "Code of six characters" });
  const hasCursor = (field) => field.evaluate((input) => input === document.activeElement);
  await code.waitFor();
  assert.ok(await hasCursor(code), "the cursor is where the code goes");
  await page.getByRole("button", { name: "Another address" }).click();
  await page.getByRole("textbox", { name: "E-mail" }).waitFor();
  assert.ok(await hasCursor(page.getByRole("textbox", { name: "E-mail" })), "the cursor is where the address goes");
  await page.keyboard.press("Enter");
  await code.waitFor();
  assert.ok(await hasCursor(code), "the cursor is again where the code goes");
  await code.fill("000000");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("The code is wrong").waitFor();
  await shown(page, "sign-in-code");
  await code.fill(stack.mails.at(-1).code);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}/#/`);
  assert.equal((await myself(page)).email, "grace@example.com");
  await page.done();
});

test("the link of a mail signs in whoever says that it was them, and no one by being opened", inBrowser, async () => {
  const sent = await fetch(`${origin}/auth/stack/codes`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ email: "linus@example.com" }) });
  assert.equal(sent.status, 200);
  const page = await open("", AWAY);
  await page.goto(stack.mails.at(-1).link);
  await page.getByText("You come by the link of a mail").waitFor();
  assert.deepEqual([await credentialOf(page), page.url()], [null, `${origin}/#/sign-in`]);
  await page.getByRole("button", { name: "Finish signing in" }).click();
  await page.waitForURL(`${origin}/#/`);
  assert.equal((await myself(page)).email, "linus@example.com");
  await page.done();
});

/** Somebody with a project, a conversation, an app of the agent's, a key and a machine of their own, all named by `mark`. */
async function somebody(mark) {
  const { token } = await signIn(newWallet());
  const json = async (method, path, body) => (await api(method, path, body, as(token))).json();
  const project = await json("POST", "/api/projects", { name: `${mark} project`, code: { "index.html": `<!doctype html><p>${mark} page` } });
  await sql("INSERT INTO chat_messages (id, project_id, user_id, seq, role, content, status, created_at) VALUES (?, ?, ?, 1, 'user', ?, 'complete', ?)", crypto.randomUUID(), project.id, project.userId, `${mark} words`, Date.now());
  await json("POST", "/auth/keys", { name: `${mark} key` });
  return { mark, token, project };
}

async function enter(page, { token }) {
  await page.goto(`${origin}/#/sign-in`);
  await page.getByLabel("API key, session or operator's token").fill(token);
  await page.getByRole("button", { name: "Use the key" }).click();
  await page.waitForURL(`${origin}/#/`);
}

const PLACES = ["#/", "#/apps", "#/models/keys", "#/startups", "#/fleet", "#/account", "#/account/keys", "#/account/sessions"];

/** What of somebody else's is anywhere on the pages, in the fields, or kept in the browser. */
async function traces(page, { mark, token, project }) {
  const found = [];
  for (const place of [...PLACES, `#/build/${project.id}`, `#/apps/${project.id}`]) {
    await page.goto(`${origin}/${place}`);
    await page.locator("main h1, main [role=log]").first().waitFor();
    await page.waitForLoadState("networkidle");
    const text = await page.evaluate(() => [document.title, document.body.innerText, ...[...document.querySelectorAll("input, textarea")].map(({ value }) => value)].join("\n"));
    if (text.includes(mark)) found.push(`${place}: ${text.slice(text.indexOf(mark) - 30, text.indexOf(mark) + 30)}`);
  }
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  for (const secret of [mark, token]) if (kept.includes(secret)) found.push("the browser's storage");
  return found;
}

const MISSING = { mayFail: /status of 40[14]/ };

test("two people in two browsers see their own, and nothing of each other's", inBrowser, async () => {
  const [ada, bob] = [await somebody("Amaranth"), await somebody("Bergamot")];
  const pages = await Promise.all([ada, bob].map(async (who) => {
    const page = await open("", MISSING);
    await enter(page, who);
    await page.getByRole("link", { name: `${who.mark} project` }).waitFor();
    return page;
  }));
  assert.deepEqual(await traces(pages[0], bob), []);
  assert.deepEqual(await traces(pages[1], ada), []);
  await pages[0].goto(`${origin}/#/build/${bob.project.id}`);
  await pages[0].getByRole("heading", { name: "There is no such project" }).waitFor();
  await Promise.all(pages.map((page) => page.done()));
});

/** Leaves in the page all that it can hold: pages seen, drafts everywhere, a turn under way. */
async function leaveTraces(page, { mark, project }) {
  await page.getByRole("link", { name: `${mark} project` }).waitFor();
  await page.locator("#prompt").fill(`${mark} first draft`);
  for (const [place, box, text] of [
    ["#/apps", page.getByRole("textbox", { name: "Describe the app" }), `${mark} of the agent`],
    ["#/models", page.getByRole("textbox", { name: "Your message" }), `${mark} in the playground`],
    [`#/build/${project.id}`, page.getByRole("textbox", { name: "What should change?" }), `${mark} second draft`],
  ]) {
    await page.goto(`${origin}/${place}`);
    await box.fill(text);
  }
  await page.getByText(`${mark} words`).waitFor();
  await page.evaluate(([id, question]) => localStorage.setItem(`hatch.turn.${id}`, JSON.stringify({ question, images: [], key: "k" })), [project.id, `${mark} turn`]);
}

const HOW = {
  "signs out": async (page) => {
    await page.goto(`${origin}/#/account`);
    const reloaded = page.waitForEvent("load");
    await page.getByRole("button", { name: "Sign out" }).click();
    await reloaded;
    assert.equal(await page.evaluate(() => localStorage.getItem("hatch.credential")), null);
  },
  "is signed out by the end of the session": async (page, { token }) => {
    await api("POST", "/auth/logout", undefined, as(token));
    await page.goto(`${origin}/#/account/keys`);
    await page.getByRole("heading", { name: "Sign in first" }).waitFor();
  },
  "leaves the page as it is": async () => {},
};
for (const [how, leave] of Object.entries(HOW)) {
  test(`whoever comes after somebody who ${how} finds nothing of theirs on the page`, inBrowser, async () => {
    const [ada, bob] = [await somebody("Amaranth"), await somebody("Bergamot")];
    const page = await open("", MISSING);
    await enter(page, ada);
    await leaveTraces(page, ada);
    await leave(page, ada);
    await enter(page, bob);
    await page.getByRole("link", { name: `${bob.mark} project` }).waitFor();
    assert.deepEqual(await traces(page, ada), []);
    await page.done();
  });
}

test("when another person signs in in one tab, the other tab forgets who was there", inBrowser, async () => {
  const [ada, bob] = [await somebody("Amaranth"), await somebody("Bergamot")];
  const page = await open("", MISSING);
  await enter(page, ada);
  await leaveTraces(page, ada);
  const other = await page.context().newPage();
  await other.goto(`${origin}/`);
  await enter(other, bob);
  await page.getByRole("link", { name: `${bob.mark} project` }).waitFor();
  assert.deepEqual(await traces(page, ada), []);
  await page.done();
});
