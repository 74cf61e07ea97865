// Hosted apps: on an origin of their own, and sandboxed at /p/:slug/.

import assert from "node:assert/strict";
import { test } from "node:test";
import { deployments, until } from "./support/deployments.js";
import { startWorker } from "./support/harness.js";

const FILES = {
  "index.html": "<!doctype html><title>App</title><script src=app.js></script>",
  "app.js": "console.log(1)",
  "module.mjs": "export default 1",
  "style.css": "p{}",
  "data.json": "{}",
  "icon.svg": "<svg/>",
  "site.webmanifest": "{}",
  "feed.xml": "<a/>",
  "LICENSE": "MIT",
  "docs/index.html": "<p>docs",
  "docs/a.html": "<p>a",
};
const ODD = ["a b.js", "ü/日本.txt", "50%.css", "100%25.css", "a+b.txt", "a&b=c.txt", "a#b.txt", "it's.txt", "a;b,c.txt", ".well-known/x.json"];

const hatch = await startWorker();
const { api, worker } = hatch;
const { row, project, live } = deployments(hatch);

const app = await project({ ...FILES, ...Object.fromEntries(ODD.map((path) => [path, `content of ${path}`])) }, "Shop");
const { url: origin } = await live(app.id);
const slug = new URL(origin).hostname.split(".")[0];
const sandbox = `${hatch.url}/p/${slug}/`;

/** The served files, without the script that gives a sandboxed page its storage. */
const text = async (response) => (await response.text()).replace(/<script>for\(const name of\['localStorage'.*?<\/script>/, "");
const visit = (url, init) => worker.fetch(url, { redirect: "manual", ...init });
const onBoth = (name, body) => {
  for (const [road, base] of [["its own origin", origin], ["/p/:slug/", sandbox]]) {
    test(`${name}, on ${road}`, () => body(base));
  }
};

onBoth("every file has the media type that browsers want", async (base) => {
  for (const [path, type] of [
    ["", "text/html; charset=utf-8"],
    ["index.html", "text/html; charset=utf-8"],
    ["app.js", "text/javascript; charset=utf-8"],
    ["module.mjs", "text/javascript; charset=utf-8"],
    ["style.css", "text/css; charset=utf-8"],
    ["data.json", "application/json; charset=utf-8"],
    ["icon.svg", "image/svg+xml; charset=utf-8"],
    ["site.webmanifest", "application/manifest+json; charset=utf-8"],
    ["feed.xml", "application/xml; charset=utf-8"],
    ["LICENSE", "text/plain; charset=utf-8"],
  ]) {
    const response = await visit(base + path);
    assert.equal(response.status, 200, path);
    assert.equal(response.headers.get("content-type"), type);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(await text(response), FILES[path || "index.html"]);
  }
});

onBoth("a file that has not changed is 304", async (base) => {
  const first = await visit(`${base}app.js`);
  const etag = first.headers.get("etag");
  assert.match(etag, /^"[0-9a-f]{32}"$/);
  assert.equal(first.headers.get("cache-control"), "public, max-age=0, must-revalidate");
  for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
    const again = await visit(`${base}app.js`, { headers: { "if-none-match": tag } });
    assert.equal(again.status, 304, tag);
    assert.equal(again.headers.get("etag"), etag);
    assert.equal(await again.text(), "");
  }
  assert.equal((await visit(`${base}app.js`, { headers: { "if-none-match": '"x"' } })).status, 200);
  assert.notEqual((await visit(`${base}style.css`)).headers.get("etag"), etag);
});

onBoth("a page of the app's own routing is the app, a missing file is 404", async (base) => {
  for (const path of ["about", "users/7/edit", "about/", "about?tab=1"]) {
    const response = await visit(base + path);
    assert.equal(response.status, 200, path);
    assert.equal(await text(response), FILES["index.html"]);
  }
  for (const path of ["x.js", "assets/x.css", "about.html", "docs/x.png"]) {
    const response = await visit(base + path);
    assert.equal(response.status, 404, path);
    assert.match(response.headers.get("content-type"), /^text\/html/);
    assert.equal(response.headers.get("cache-control"), "no-store");
  }
});

onBoth("a folder shows its index, at the address that its links need", async (base) => {
  assert.equal(await text(await visit(`${base}docs/`)), "<p>docs");
  assert.equal(await text(await visit(`${base}docs/a.html`)), "<p>a");
  const bare = await visit(`${base}docs?q=1`);
  assert.equal(bare.status, 308);
  assert.equal(new URL(bare.headers.get("location"), base).href, `${base}docs/?q=1`);
});

onBoth("HEAD answers as GET does, without the body", async (base) => {
  const head = await visit(`${base}app.js`, { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get("content-type"), "text/javascript; charset=utf-8");
  assert.equal(head.headers.get("content-length"), String(FILES["app.js"].length));
  assert.equal(head.headers.get("etag"), (await visit(`${base}app.js`)).headers.get("etag"));
  assert.equal(await head.text(), "");
  assert.equal((await visit(`${base}x.js`, { method: "HEAD" })).status, 404);
});

onBoth("files with odd names are served", async (base) => {
  for (const path of ODD) {
    const address = base + path.split("/").map(encodeURIComponent).join("/");
    const response = await visit(address);
    assert.equal(response.status, 200, address);
    assert.equal(await response.text(), `content of ${path}`);
  }
  // Characters that a browser does not encode in a path.
  for (const path of ["a+b.txt", "a&b=c.txt", "it's.txt", "a;b,c.txt"]) {
    assert.equal(await (await visit(base + path)).text(), `content of ${path}`);
  }
});

onBoth("no path breaks out of the app or breaks the Worker", async (base) => {
  for (const path of ["%00", "%ff", "%", "..%2f..%2fetc%2fpasswd", "%2e%2e/", "//evil.example/", "a%0d%0ab.js", "x".repeat(5000), "'--"]) {
    const { status } = await visit(base + path);
    assert.ok([200, 308, 400, 404].includes(status), `${path.slice(0, 30)}: ${status}`);
  }
  for (const path of ["%", "%f", "%ff", "%00", "a/%zz"]) assert.equal((await visit(base + path)).status, 400, path);
});

onBoth("who goes to a page of the app's own routing gets the app, whatever dots are in its path, and what a page asks for gets no page", async (base) => {
  const navigation = { headers: { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", accept: "text/html,*/*;q=0.8" } };
  for (const path of ["users/jane.doe@example.com", "search/192.168.1.0", "v1.2/notes", "@a.b"]) {
    const response = await visit(base + path, navigation);
    assert.equal(response.status, 200, path);
    assert.equal(await text(response), FILES["index.html"], path);
  }
  for (const path of ["assets/gone.js", "x.png", "gone.css"]) assert.equal((await visit(base + path, navigation)).status, 404, path);
  for (const dest of ["script", "style", "image", "worker"]) {
    assert.equal((await visit(`${base}gone`, { headers: { "sec-fetch-mode": "no-cors", "sec-fetch-dest": dest, accept: "*/*" } })).status, 404, dest);
  }
});

test("a static site does not serve private files, and its log names them", async () => {
  const secret = { ".env": "API_SECRET=s3", ".npmrc": "t", "package.json": "{}", "supabase/config.toml": "x", ".github/workflows/x.yml": "x", id_rsa: "x", "wrangler.toml": "x", "server/index.ts": "1", "server.js": "1" };
  const { url, logs } = await live((await project({ "index.html": "<p>", ".well-known/security.txt": "Contact", ...secret }, "Careful")).id);
  assert.equal(await (await visit(`${url}.well-known/security.txt`)).text(), "Contact");
  for (const path of Object.keys(secret)) {
    assert.doesNotMatch(await (await visit(url + path)).text(), /API_SECRET|^[tx1]$/, path);
    assert.ok(logs.includes(path), `${path} in ${logs}`);
  }
});

onBoth("nothing can be written", async (base) => {
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    const response = await visit(`${base}app.js`, { method });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "GET, HEAD, OPTIONS");
  }
});

onBoth("an app gets neither cookie nor credential of ours", async (base) => {
  const { headers } = await visit(base);
  assert.equal(headers.get("set-cookie"), null);
  assert.equal(headers.get("access-control-allow-credentials"), null);
  assert.equal(headers.get("referrer-policy"), "no-referrer");
});

test("the address of no app is a page that says so", async () => {
  for (const url of [`${hatch.url}/p/no-such-app/`, origin.replace(slug, "no-such-app"), `${hatch.url}/p/no-such-app/app.js`]) {
    const response = await visit(url);
    assert.equal(response.status, 404);
    assert.match(response.headers.get("content-type"), /^text\/html/);
    assert.match(await response.text(), /no app at this address/);
  }
});

test("on an app's origin every path is the app's, and the API is not there", async () => {
  for (const path of ["api/projects", "health", "admin/jobs", "p/other/", "openapi.json"]) {
    const response = await visit(origin + path);
    assert.ok(!response.headers.get("content-type").includes("application/json"), path);
    assert.equal(await response.text(), path.includes(".") ? await (await visit(`${origin}x.js`)).text() : FILES["index.html"], path);
  }
  const before = (await row("SELECT count(*) AS n FROM projects")).n;
  const written = await visit(`${origin}api/projects`, {
    method: "POST", headers: { "content-type": "application/json" }, body: '{"name":"x"}',
  });
  assert.equal(written.status, 405);
  assert.equal((await row("SELECT count(*) AS n FROM projects")).n, before);
});

test("a page on an app's origin cannot write to the API in its visitor's name", async () => {
  const response = await api("POST", "/api/projects", { name: "x" }, { origin: new URL(origin).origin });
  assert.equal(response.status, 403);
  const read = await api("GET", "/api/projects", undefined, { origin: new URL(origin).origin });
  assert.equal(read.headers.get("access-control-allow-origin"), null);
});

test("the sandboxed app has an opaque origin and may load its own modules", async () => {
  const { headers } = await visit(sandbox);
  const policy = headers.get("content-security-policy");
  assert.equal(policy, "sandbox allow-scripts allow-forms allow-modals allow-popups");
  for (const url of [`${sandbox}app.js`, `${hatch.url}/p/no-such-app/`]) {
    const response = await visit(url);
    assert.equal(response.headers.get("content-security-policy"), policy);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
  }
  assert.equal((await visit(origin)).headers.get("content-security-policy"), null);
});

test("a sandboxed page has substitute storage, and one on its own origin has the real one", async () => {
  const page = await (await visit(sandbox)).text();
  const [doctype, script] = page.match(/^<!doctype html><script>(.*?)<\/script>/i);
  assert.ok(doctype);
  const refuses = { get() { throw new Error("SecurityError"); }, configurable: true };
  const self = Object.defineProperties({}, { localStorage: refuses, sessionStorage: refuses });
  new Function("self", script)(self);
  const { localStorage } = self;
  assert.equal(localStorage.getItem("a"), null);
  localStorage.setItem("a", 1);
  assert.deepEqual([localStorage.getItem("a"), localStorage.length, localStorage.key(0)], ["1", 1, "a"]);
  assert.equal(self.sessionStorage.length, 0);
  localStorage.removeItem("a");
  assert.equal(localStorage.length, 0);
  const real = { localStorage: "real", sessionStorage: "real" };
  new Function("self", script)(real);
  assert.equal(real.localStorage, "real");
  assert.equal(await (await visit(origin)).text(), FILES["index.html"]);
});

test("/p/:slug leads to /p/:slug/ and keeps the query", async () => {
  const response = await visit(`${hatch.url}/p/${slug}?a=1`);
  assert.equal(response.status, 308);
  assert.equal(new URL(response.headers.get("location"), hatch.url).href, `${sandbox}?a=1`);
});

test("visits of pages are counted, requests for files are not", async () => {
  const counted = await project({ "index.html": "<p>", "a.js": "1" }, "Counted");
  const { url } = await live(counted.id);
  await visit(`${url}a.js`);
  await visit(url, { method: "HEAD" });
  await visit(`${url}missing.js`);
  await visit(url);
  const visits = await until(async () => (await row("SELECT visits FROM sites WHERE project_id = ?", counted.id)).visits);
  assert.equal(visits, 1);
});

test("under a hosting domain every app gets an https address of its own", async () => {
  const hosted = await startWorker({ HOSTING_DOMAIN: "apps.example" });
  const there = deployments(hosted);
  const { url } = await there.live((await there.project({ "index.html": "<p>hosted" }, "Shop")).id);
  assert.match(url, /^https:\/\/shop-[0-9a-f]{8}\.apps\.example\/$/);
  assert.equal(await (await hosted.worker.fetch(url)).text(), "<p>hosted");
  assert.equal((await hosted.worker.fetch("https://a.b.apps.example/")).headers.get("content-type"), "application/json");
});

test("without a hosting domain an app answers at /p/:slug/, in production publicly", async () => {
  const production = await startWorker({ ENVIRONMENT: "production" });
  const { sql } = production;
  await sql("INSERT INTO projects (id, user_id, name, created_at, updated_at) VALUES ('p', 'u', 'n', 1, 1)");
  await sql("INSERT INTO sites (slug, project_id, user_id, deployment_id, name, url, created_at, updated_at) VALUES ('shop', 'p', 'u', 'd', 'n', 'x', 1, 1)");
  await sql("INSERT INTO site_files (slug, path, content, etag) VALUES ('shop', 'index.html', '<p>sandboxed', '\"1\"')");
  assert.match(await (await production.api("GET", "/p/shop/")).text(), /<p>sandboxed$/);
  const other = await production.worker.fetch("http://shop.localhost/");
  assert.doesNotMatch(await other.text(), /<p>sandboxed/, "no origin is an app's");
});
