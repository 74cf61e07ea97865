// POST /api/projects/:id/preview: the newest version as it would be live.

import assert from "node:assert/strict";
import { test } from "node:test";
import { deployments } from "./support/deployments.js";
import { problem, rowCounts, startWorker } from "./support/harness.js";

const hatch = await startWorker();
const { api, sql, worker } = hatch;
const { project, live } = deployments(hatch);
const DAY_MS = 24 * 60 * 60 * 1000;
const page = (words) => ({ "index.html": `<!doctype html><p>${words}<script src=app.js></script>`, "app.js": "console.log(1)" });
const preview = async (id) => {
  const response = await api("POST", `/api/projects/${id}/preview`);
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
};
const visit = (url, init) => worker.fetch(url, { redirect: "manual", ...init });
const slugOf = (url) => new URL(url).hostname.split(".")[0];

test("a preview shows the newest version, at one unguessable address", async () => {
  const { id } = await project(page("first"));
  const { url, expiresAt } = await preview(id);
  assert.match(slugOf(url), /^preview-[0-9a-f]{32}$/);
  assert.ok(Math.abs(Date.parse(expiresAt) - Date.now() - DAY_MS) < 60_000);
  assert.match(await (await visit(url)).text(), /<p>first/);
  await api("PATCH", `/api/projects/${id}`, { code: page("second") });
  assert.equal((await preview(id)).url, url);
  const response = await visit(url);
  assert.match(await response.text(), /<p>second/);
  assert.equal(response.headers.get("x-robots-tag"), "noindex");
  assert.match(response.headers.get("cache-control"), /private/);
  assert.equal((await visit(url, { headers: { "if-none-match": response.headers.get("etag") } })).status, 304);
});

test("its pages report errors to the console, and its other files do not", async () => {
  const { id } = await project(page("x"));
  const { url } = await preview(id);
  const text = await (await visit(url)).text();
  assert.match(text, /^<!doctype html><script>/);
  assert.ok(text.includes(`to='${hatch.url}'`));
  assert.equal(await (await visit(new URL("app.js", url))).text(), "console.log(1)");
  const deployment = await live(id);
  assert.doesNotMatch(await (await visit(deployment.url)).text(), /hatch-preview-error/);
});

test("a preview is compiled like a deployment, or shows the errors with file and line", async () => {
  const files = { "index.html": "<!doctype html><script type=module src=/src/main.ts></script>", "src/main.ts": "const n: number = 1;\nconsole.log(n)" };
  const { id } = await project(files);
  const { url } = await preview(id);
  assert.match(await (await visit(url)).text(), /src="\/assets\/[^"]+\.js"/);
  await api("PATCH", `/api/projects/${id}`, { code: { ...files, "src/main.ts": "const n = ;" } });
  const before = await rowCounts(hatch);
  const { detail } = await problem(await api("POST", `/api/projects/${id}/preview`), 400, "not_compiled");
  assert.match(detail, /^src\/main\.ts:1:\d+: /);
  assert.deepEqual(await rowCounts(hatch), before);
  assert.equal((await visit(url)).status, 200);
});

test("an app that needs a server is reported as such", async () => {
  const { id } = await project({ "package.json": '{"dependencies":{"next":"14.2.0"}}', "app/page.tsx": "export default () => <p>x</p>" });
  await problem(await api("POST", `/api/projects/${id}/preview`), 400, "server_needed");
});

test("a preview is in no list, counts no visit, and leaves its project a draft", async () => {
  const { id } = await project(page("hidden"), "Hidden");
  const { url } = await preview(id);
  await (await visit(url)).text();
  assert.deepEqual(await (await api("GET", "/api/discovery?q=Hidden")).json(), []);
  assert.equal((await api("GET", `/api/discovery/${id}`)).status, 404);
  const { status, deploymentUrl } = await (await api("GET", `/api/projects/${id}`)).json();
  assert.deepEqual({ status, deploymentUrl }, { status: "draft", deploymentUrl: null });
});

test("a preview ends after a day, and the next one has another address", async () => {
  const { id } = await project(page("old"));
  const { url } = await preview(id);
  await sql("UPDATE previews SET expires_at = ? WHERE project_id = ?", Date.now() - 1, id);
  assert.equal((await visit(url)).status, 404);
  const next = await preview(id);
  assert.notEqual(next.url, url);
  assert.equal((await visit(next.url)).status, 200);
  await sql("UPDATE previews SET expires_at = ? WHERE project_id = ?", Date.now() - 1, id);
  await worker.scheduled({ cron: "* * * * *" });
  assert.deepEqual(await sql("SELECT slug FROM previews WHERE project_id = ?", id), []);
  assert.deepEqual(await sql("SELECT path FROM preview_files WHERE slug IN (?, ?)", slugOf(url), slugOf(next.url)), []);
});

test("a preview that is requested again lives for another day", async () => {
  const { id } = await project(page("x"));
  const { url } = await preview(id);
  await sql("UPDATE previews SET expires_at = ? WHERE project_id = ?", Date.now() + 60_000, id);
  const again = await preview(id);
  assert.equal(again.url, url);
  const [{ expires_at: expires }] = await sql("SELECT expires_at FROM previews WHERE project_id = ?", id);
  assert.equal(new Date(expires).toISOString(), again.expiresAt);
  assert.ok(expires > Date.now() + DAY_MS - 60_000);
});

test("parallel requests get one preview", async () => {
  const { id } = await project(page("x"));
  const urls = (await Promise.all(Array.from({ length: 4 }, () => preview(id)))).map(({ url }) => url);
  assert.equal(new Set(urls).size, 1);
  assert.equal((await visit(urls[0])).status, 200);
});

test("a preview is deleted with its project", async () => {
  const { id } = await project(page("x"));
  const { url } = await preview(id);
  assert.equal((await api("DELETE", `/api/projects/${id}`)).status, 204);
  assert.equal((await visit(url)).status, 404);
  await problem(await api("POST", `/api/projects/${id}/preview`), 404);
});

test("only a project's own user, with the scope to change it, may preview it", async () => {
  const { id } = await project(page("x"));
  const { key } = await (await api("POST", "/auth/keys", { name: "reads", scopes: ["projects:read"] })).json();
  await problem(await api("POST", `/api/projects/${id}/preview`, undefined, { authorization: `Bearer ${key}` }), 403);
  await sql("UPDATE projects SET user_id = 'somebody-else' WHERE id = ?", id);
  await problem(await api("POST", `/api/projects/${id}/preview`), 404);
  await problem(await api("POST", `/api/projects/${crypto.randomUUID()}/preview`), 404);
});

test("a project without code has nothing to preview", async () => {
  const { id } = await (await api("POST", "/api/projects", { name: "Empty" })).json();
  await problem(await api("POST", `/api/projects/${id}/preview`), 400, "no_code");
});

test("where apps have no origins of their own, a preview is sandboxed beside the API", async () => {
  const { id } = await project(page("beside"));
  const { key } = await (await api("POST", "/auth/keys", { name: "from elsewhere", scopes: ["projects:write"] })).json();
  const headers = { authorization: `Bearer ${key}` };
  const { url } = await (await worker.fetch(`http://hatch.example/api/projects/${id}/preview`, { method: "POST", headers })).json();
  assert.match(url, /^http:\/\/hatch\.example\/p\/preview-[0-9a-f]{32}\/$/);
  const response = await visit(url);
  assert.match(response.headers.get("content-security-policy"), /^sandbox(?!.*same-origin)/);
  const text = await response.text();
  assert.ok(text.includes("to='http://hatch.example'"), text);
});
