// The console of a Worker in production: for visitors, for users who sign in with
// a wallet, and for the operator.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inBrowser, startConsole } from "./support/console.js";
import { ADMIN_TOKEN, as, newWallet } from "./support/people.js";

const hatch = await startConsole({ ENVIRONMENT: "production", RATE_LIMITS: "off", ADMIN_TOKEN });
const { api, open, origin, sql } = hatch;

/** A page with a wallet (EIP-1193) in its browser, as an extension provides it. */
async function withWallet(page, wallet, { refuses = false } = {}) {
  await page.exposeFunction("sign", (text) => wallet.sign(text));
  await page.addInitScript(({ address, refuses }) => {
    self.ethereum = {
      async request({ method, params }) {
        if (refuses) throw new Error("User rejected the request.");
        if (method === "eth_requestAccounts") return [address];
        if (method === "eth_chainId") return "0x1";
        if (method === "personal_sign" && params[1] === address) return self.sign(params[0]);
        throw new Error(`no such method: ${method}`);
      },
    };
  }, { address: wallet.address, refuses });
}

test("a visitor without an account sees the public pages without signing in", inBrowser, async () => {
  const page = await open("#/account", { mayFail: /status of 401/ });
  await page.getByRole("heading", { name: "Sign in first" }).waitFor();
  await page.getByRole("link", { name: "Discover" }).click();
  await page.getByText("Nothing is live yet").waitFor();
  assert.equal(await page.getByRole("link", { name: "Operate" }).count(), 0);
  await page.done();
});

test("a visitor's draft is kept while they sign in with a wallet", inBrowser, async () => {
  const wallet = newWallet();
  const page = await open("", { mayFail: /status of (401|503)/, prepare: (page) => withWallet(page, wallet) });
  await page.getByRole("textbox", { name: "Describe an app" }).fill("A recipe box");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/sign-in/);
  await page.getByRole("button", { name: "Connect a wallet" }).click();
  await page.waitForURL(/#\/$/);
  assert.equal(await page.locator("#prompt").inputValue(), "A recipe box");
  const [{ wallet: known }] = await sql("SELECT wallet_addr AS wallet FROM users");
  assert.equal(known, wallet.address.toLowerCase());

  // Chat without a key for Claude says which one is missing.
  await page.locator("#prompt").focus();
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("CLAUDE_API_KEY").waitFor();

  await page.goto(`${origin}/#/account/sessions`);
  await page.getByRole("button", { name: "End it" }).click();
  await page.getByRole("heading", { name: "Sign in first" }).waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem("hatch.credential")), null);
  await page.done();
});

test("a wallet that refuses to sign gives no session, and the page says so", inBrowser, async () => {
  const page = await open("#/sign-in", { mayFail: /status of 401/, prepare: (page) => withWallet(page, newWallet(), { refuses: true }) });
  await page.getByRole("button", { name: "Connect a wallet" }).click();
  await page.getByRole("alert").getByText("User rejected the request.").waitFor();
  await page.done();
});

test("the operator's token opens only the operator's pages", inBrowser, async () => {
  const page = await open("#/sign-in", { mayFail: /status of 40[13]/ });
  await page.getByLabel("API key, session or operator's token").fill(ADMIN_TOKEN);
  await page.getByRole("button", { name: "Use the key" }).click();
  await page.waitForURL(/#\/operate/);
  await page.getByRole("link", { name: "Audit log" }).click();
  await page.getByRole("cell", { name: "session" }).first().or(page.getByText("Nothing noted yet")).waitFor();
  await page.getByRole("link", { name: "Account", exact: true }).click();
  await page.getByText("You act as the operator").waitFor();
  await page.done();
});

test("an account is deleted only after typing its id", inBrowser, async () => {
  const wallet = newWallet();
  const page = await open("#/sign-in", { mayFail: /status of 401/, prepare: (page) => withWallet(page, wallet) });
  await page.getByRole("button", { name: "Connect a wallet" }).click();
  await page.waitForURL(/#\/$/);
  const token = await page.evaluate(() => localStorage.getItem("hatch.credential"));
  const { id } = await (await api("GET", "/auth/me", undefined, as(token))).json();
  await page.goto(`${origin}/#/account/data`);
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export" }).click()]);
  assert.equal(file.suggestedFilename(), "hatch-export.json");
  await page.getByRole("button", { name: "Delete the account" }).click();
  const dialog = page.getByRole("dialog");
  assert.ok(await dialog.getByRole("button", { name: "Delete the account" }).isDisabled());
  await dialog.getByRole("textbox", { name: "Your user id" }).fill(id);
  await dialog.getByRole("button", { name: "Delete the account" }).click();
  await page.waitForFunction(() => localStorage.getItem("hatch.credential") === null);
  assert.deepEqual(await sql("SELECT id FROM users WHERE id = ?", id), []);
  await page.done();
});
