// Deployments: POST /api/deploy, their status, their stream, and their effect on
// the project.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { deployments } from "./support/deployments.js";
import { pages, problem, startWorker } from "./support/harness.js";

const hatch = await startWorker();
const { api, sql } = hatch;
const { row, project, deploy, show, ended, live, written, send, lines } = deployments(hatch);

const page = (text) => ({ "index.html": `<!doctype html><p>${text}` });
const visit = async (url) => (await hatch.worker.fetch(url)).text();

/** The events of a stream: `{id, event, data}`. */
function events(text) {
  return text.split("\n\n").filter((block) => block && !block.startsWith(":")).map((block) => {
    const event = Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
    return { ...event, data: JSON.parse(event.data) };
  });
}

test("a deployment is accepted with 202 and the address of its status", async () => {
  const { id } = await project();
  const response = await api("POST", "/api/deploy", { projectId: id });
  assert.equal(response.status, 202);
  const body = await response.json();
  assert.deepEqual(Object.keys(body).sort(), ["deploymentId", "message", "status", "target"]);
  assert.equal(body.status, "pending");
  assert.equal(body.target, "edge");
  assert.equal(response.headers.get("location"), `/api/deploy/${body.deploymentId}`);
  await ended(body.deploymentId);
});

test("a deployment goes live, and its project with it", async () => {
  const { id } = await project(page("first"), "Möbius & Söhne");
  const deployment = await live(id);
  assert.equal(deployment.status, "live");
  assert.equal(deployment.error, null);
  assert.deepEqual(
    Object.keys(deployment).sort(),
    ["createdAt", "error", "id", "logs", "projectId", "status", "takenDownAt", "target", "updatedAt", "url"],
  );
  assert.match(deployment.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.match(deployment.url, /^http:\/\/m-bius-s-hne-[0-9a-f]{8}\.localhost:\d+\/$/);
  assert.deepEqual(lines(deployment), ["Built 1 file, 23 bytes", `Live at ${deployment.url}`]);
  assert.match(await visit(deployment.url), /first/);

  const shown = await (await api("GET", `/api/projects/${id}`)).json();
  assert.equal(shown.status, "deployed");
  assert.equal(shown.deploymentUrl, deployment.url);
});

test("only the project's own deployments are listed, newest first, a page at a time", async () => {
  const [one, other] = [await project(page("listed")), await project()];
  assert.deepEqual(await (await api("GET", `/api/projects/${one.id}/deployments`)).json(), []);
  const ids = [];
  for (let n = 0; n < 3; n += 1) ids.unshift((await live(one.id)).id);
  await live(other.id);
  // For two of one moment the id decides, and none is listed twice or left out.
  await sql("UPDATE deployments SET created_at = (SELECT max(created_at) FROM deployments WHERE project_id = ?1) WHERE project_id = ?1", one.id);
  const seen = await Array.fromAsync(pages(hatch, `/api/projects/${one.id}/deployments?limit=2`));
  assert.deepEqual(seen.map((page) => page.length), [2, 1]);
  assert.deepEqual(seen.flat().map(({ id }) => id), [...ids].sort().reverse());
  const { logs, error, ...shown } = await show(ids[0]);
  assert.deepEqual(seen.flat().find(({ id }) => id === ids[0]), shown);
  await problem(await api("GET", `/api/projects/${randomUUID()}/deployments`), 404, "not_found");
});

test("an unknown project, deployment or stream is 404", async () => {
  const nothing = await api("POST", "/api/deploy", { projectId: randomUUID() });
  assert.equal(nothing.status, 404);
  assert.equal((await nothing.json()).error, "Project not found");
  for (const path of [`/api/deploy/${randomUUID()}`, `/api/deploy/${randomUUID()}/stream`]) {
    const response = await api("GET", path);
    assert.equal(response.status, 404);
    assert.equal((await response.json()).error, "Deployment not found");
  }
});

test("somebody else's project and deployment are 404", async () => {
  const foreign = await project();
  const { id } = await written(foreign);
  await sql("UPDATE projects SET user_id = 'somebody-else' WHERE id = ?", foreign.id);
  await sql("UPDATE deployments SET user_id = 'somebody-else' WHERE id = ?", id);
  assert.equal((await api("POST", "/api/deploy", { projectId: foreign.id })).status, 404);
  assert.equal((await api("GET", `/api/deploy/${id}`)).status, 404);
  assert.equal((await api("GET", `/api/deploy/${id}/stream`)).status, 404);
});

test("a project without code has nothing to deploy", async () => {
  const empty = await (await api("POST", "/api/projects", { name: "Empty" })).json();
  for (const body of [{}, { code: {} }, { code: "{}" }]) {
    const response = await api("POST", "/api/deploy", { projectId: empty.id, ...body });
    assert.equal(response.status, 400);
    assert.equal((await response.json()).error, "No code to deploy");
  }
  assert.equal((await row("SELECT count(*) AS n FROM deployments WHERE project_id = ?", empty.id)).n, 0);
});

test("a body that cannot be deployed is 400, says why and changes nothing", async () => {
  const { id } = await project();
  const before = await row("SELECT (SELECT count(*) FROM deployments) AS deployments, (SELECT count(*) FROM jobs) AS jobs");
  for (const [body, told] of [
    [{}, /projectId/],
    [{ projectId: id, target: "mars" }, /target.*edge/s],
    [{ projectId: id, code: 7 }, /code/],
    [{ projectId: id, code: { "index.html": 7 } }, /code/],
    [{ projectId: id, code: { "../index.html": "x" } }, /\.\./],
  ]) {
    const response = await api("POST", "/api/deploy", body);
    assert.equal(response.status, 400, JSON.stringify(body));
    assert.match((await response.json()).error, told);
  }
  assert.deepEqual(
    await row("SELECT (SELECT count(*) FROM deployments) AS deployments, (SELECT count(*) FROM jobs) AS jobs"),
    before,
  );
});

test("a cloud without any credentials is 503, and says how to provide them", async () => {
  const { id } = await project();
  // In development `cloudflare` means edge then: see clients-hatch.test.js.
  for (const target of ["vercel", "koyeb"]) {
    const { error } = await problem(await api("POST", "/api/deploy", { projectId: id, target }), 503, "not_configured");
    assert.match(error, new RegExp(`X-\\w+.*/auth/credentials/${target}.*${target.toUpperCase()}_`));
  }
});

test("a cloud's header that is wrong is 400 on every route that takes it, whichever cloud is asked for, and changes nothing", async () => {
  const { id } = await project();
  const { id: deploymentId, status } = await live(id);
  const me = await (await hatch.api("GET", "/auth/me")).json();
  const routes = [
    ["POST", "/api/deploy", { projectId: id }], ["POST", `/api/deploy/${id}`], ["POST", `/api/deploy/${deploymentId}/rollback`],
    ["DELETE", `/api/deploy/${deploymentId}`], ["DELETE", `/api/projects/${id}`], ["DELETE", `/auth/me?confirm=${me.id}`],
  ];
  const long = "x".repeat(501);
  for (const [name, headers] of [
    ["X-Koyeb-Token", { "x-koyeb-token": long }], ["X-Vercel-Token", { "x-vercel-team": "team" }],
    ["X-Cloudflare-Api-Token", { "x-cloudflare-api-token": long, "x-cloudflare-account-id": "0".repeat(32) }],
  ]) {
    for (const [method, path, body] of routes) {
      const { errors } = await problem(await hatch.api(method, path, body, headers), 400, "validation_failed");
      assert.equal(errors[0].pointer, name, `${method} ${path}`);
    }
  }
  assert.equal((await show(deploymentId)).status, status);
  assert.equal((await hatch.sql("SELECT count(*) AS n FROM deployments WHERE project_id = ?", id))[0].n, 1);
});

test("code in the body is deployed and becomes a version of the project", async () => {
  const { id, version } = await project(page("old"));
  const deployment = await live(id, { code: page("new") });
  assert.match(await visit(deployment.url), /new/);
  const shown = await (await api("GET", `/api/projects/${id}`)).json();
  assert.equal(shown.version, version + 1);
  assert.deepEqual(JSON.parse(shown.code), page("new"));
  const { origin } = await row("SELECT origin FROM project_versions WHERE project_id = ? AND version = ?", id, shown.version);
  assert.equal(origin, "deploy");

  await live(id, { code: JSON.stringify(page("new")) });
  assert.equal((await (await api("GET", `/api/projects/${id}`)).json()).version, shown.version, "the same code is no new version");
});

test("while a deployment is under way its status says when to ask again", async () => {
  const { id, jobId } = await written(await project());
  const pending = await api("GET", `/api/deploy/${id}`);
  assert.equal(pending.headers.get("retry-after"), "2");
  assert.equal((await pending.json()).status, "pending");
  await send(jobId);
  await ended(id);
  const final = await api("GET", `/api/deploy/${id}`);
  assert.equal(final.headers.get("retry-after"), null);
  assert.equal((await final.json()).status, "live");
});

test("the stream sends each line and each status and ends with the last", async () => {
  const { id, jobId } = await written(await project());
  const response = await api("GET", `/api/deploy/${id}/stream`);
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const first = (await reader.read()).value;
  assert.deepEqual(events(first), [{ data: { id, status: "pending", url: null, error: null, message: "Deployment pending" } }]);

  await send(jobId);
  let rest = "";
  for (let read; !(read = await reader.read()).done; ) rest += read.value;
  const told = events(rest);
  const logs = told.filter(({ event }) => event === "log");
  assert.deepEqual(logs.map(({ id, data }) => [id, data.level]), [["1", "info"], ["2", "success"]]);
  assert.match(logs[0].data.message, /^Built/);
  const { url } = await show(id);
  assert.deepEqual(told.at(-1), { id: "end", data: { id, status: "live", url, error: null, message: "Deployment live" } });
});

test("a client that comes back with Last-Event-ID gets what it missed, and 204 after the end", async () => {
  const { id: projectId } = await project();
  const { id } = await live(projectId);
  const from = async (last) => api("GET", `/api/deploy/${id}/stream`, undefined, { "last-event-id": last });

  assert.deepEqual(events(await (await from("1")).text()).map(({ id }) => id), ["2", "end"]);
  // All lines have come, but not the last status.
  assert.deepEqual(events(await (await from("2")).text()).map(({ id }) => id), ["end"]);
  assert.deepEqual(events(await (await from("nonsense")).text()).map(({ id }) => id), ["1", "2", "end"]);
  const after = await from("end");
  assert.equal(after.status, 204);
  assert.equal(await after.text(), "");
});

test("code that a browser cannot show fails with a reason that says what to do", async () => {
  for (const [code, told] of [
    [{ "notes.txt": "x" }, /no index\.html.*ask for one/],
    [{ "src/App.tsx": "const x = 1", "package.json": "{}" }, /^src\/App\.tsx: exports no component/],
    [{ "app/page.tsx": "export default () => <p/>", "package.json": '{"dependencies":{"next":"14"}}' }, /Next\.js.*vercel/],
  ]) {
    const { id } = await project(code);
    const deployment = await live(id);
    assert.equal(deployment.status, "failed");
    assert.equal(deployment.url, null);
    assert.match(deployment.error, told);
    assert.deepEqual(lines(deployment), [deployment.error]);
    const shown = await (await api("GET", `/api/projects/${id}`)).json();
    assert.equal(shown.status, "draft");
    assert.equal((await row("SELECT count(*) AS n FROM sites WHERE project_id = ?", id)).n, 0);
  }
});

test("a failed deployment leaves the app that was live before it", async () => {
  const { id } = await project(page("good"));
  const { url } = await live(id);
  const failed = await live(id, { code: { "App.tsx": "x" } });
  assert.equal(failed.status, "failed");
  assert.match(await visit(url), /good/);
  const shown = await (await api("GET", `/api/projects/${id}`)).json();
  assert.deepEqual([shown.status, shown.deploymentUrl], ["deployed", url]);
});

test("the files that pages need are checked before they go live, and on failure the live version stays", async () => {
  const { id } = await project({ "index.html": "<h1>One</h1>" });
  const { url } = await live(id);
  const page = (rest) => `<!doctype html>\n<title>Two</title>${rest}`;
  for (const [html, files, reason] of [
    [page("<script src=server.js></script>"), { "server.js": "1" }, /^index\.html:2:\d+: asks for "server\.js", which is not served/],
    [page("<script src=notes.txt></script>"), { "notes.txt": "1" }, /^index\.html:2:\d+: asks for "notes\.txt" as a script, and it is text\/plain/],
    [page("<link rel=stylesheet href=/docs>"), { "docs/index.html": "<p>" }, /asks for "\/docs" as a style sheet, and it is a folder's page/],
    [page("<link rel=stylesheet href=gone.css>"), {}, /asks for "gone\.css", which is not there/],
    [page("<script src=%zz.js></script>"), {}, /asks for "%zz\.js", which is not well encoded/],
  ]) {
    const failed = await live(id, { code: { "index.html": html, ...files } });
    assert.equal(failed.status, "failed", html);
    assert.match(failed.error, reason);
    assert.match(await visit(url), /<h1>One/);
  }
  const { logs } = await live(id, { code: { "index.html": page('<img src="/logo.png"><script src="a b/ü.js?v=1"></script>'), "a b/ü.js": "1", "50%off.html": "<p>" } });
  assert.match(logs, /Pages show what is not there: \/logo\.png/);
});

test("a site in a build folder is served from there", async () => {
  const { id } = await project({ "dist/index.html": "<p>built", "dist/a.js": "1", "src/App.tsx": "x" });
  const { url } = await live(id);
  assert.equal(await visit(url), "<p>built");
  assert.equal(await visit(new URL("a.js", url)), "1");
  assert.equal((await hatch.worker.fetch(new URL("src/App.tsx", url))).status, 404);
});

test("deploying again replaces every file and keeps address and visits", async () => {
  const { id } = await project({ ...page("one"), "old.js": "1" }, "Before");
  const first = await live(id);
  await visit(first.url);
  await sql("UPDATE sites SET visits = 41 WHERE project_id = ?", id);

  await api("PATCH", `/api/projects/${id}`, { name: "After", code: { ...page("two"), "new.js": "2" } });
  const second = await live(id);
  assert.equal(second.url, first.url);
  assert.match(await visit(second.url), /two/);
  assert.equal((await hatch.worker.fetch(new URL("old.js", second.url))).status, 404);
  const site = await row("SELECT name, visits, deployment_id FROM sites WHERE project_id = ?", id);
  assert.equal(site.name, "After");
  assert.ok(site.visits >= 41);
  assert.equal(site.deployment_id, second.id);
});

test("a project that is renamed before its first deployment ends keeps one address", async () => {
  const { id } = await project(page("one"), "Before");
  const first = await deploy(id);
  await api("PATCH", `/api/projects/${id}`, { name: "After" });
  const second = await deploy(id);
  assert.equal((await ended(first)).url, (await ended(second)).url);
});

test("of two deployments the newer one stays live, whichever ends first", async () => {
  const target = await project();
  const older = await written(target, { code: JSON.stringify(page("older")) });
  const younger = await written(target, { code: JSON.stringify(page("younger")) });
  await sql("UPDATE deployments SET created_at = 1 WHERE project_id = ?", target.id);
  for (const { id, jobId } of [younger, older]) {
    await send(jobId);
    assert.equal((await ended(id)).status, "live");
  }
  const site = await row("SELECT slug, deployment_id FROM sites WHERE project_id = ?", target.id);
  assert.equal(site.deployment_id, younger.id);
  const files = await sql("SELECT content FROM site_files WHERE slug = ?", site.slug);
  assert.deepEqual(files.map(({ content }) => content), ["<!doctype html><p>younger"]);
});

test("a project deleted during its deployment leaves nothing behind", async (t) => {
  await t.test("before the job is taken", async () => {
    const doomed = await project();
    const { id, jobId } = await written(doomed);
    assert.equal((await api("DELETE", `/api/projects/${doomed.id}`)).status, 204);
    assert.equal((await api("GET", `/api/deploy/${id}`)).status, 404);
    assert.equal((await row("SELECT count(*) AS n FROM outbox WHERE job_id = ?", jobId)).n, 0);
  });

  await t.test("in the middle of a step", async () => {
    const doomed = await project();
    const { id, jobId } = await written(doomed);
    await sql(`CREATE TRIGGER deleted AFTER UPDATE ON deployments WHEN NEW.id = '${id}'
               BEGIN DELETE FROM projects WHERE id = NEW.project_id; END`);
    t.after(() => sql("DROP TRIGGER IF EXISTS deleted"));
    const stream = await api("GET", `/api/deploy/${id}/stream`);
    await send(jobId);
    await stream.text();
    assert.equal((await api("GET", `/api/deploy/${id}`)).status, 404);
    assert.equal((await row("SELECT count(*) AS n FROM sites WHERE project_id = ?", doomed.id)).n, 0);
  });
});

test("deleting a project takes its live app down", async () => {
  const { id } = await project();
  const { url } = await live(id);
  assert.equal((await api("DELETE", `/api/projects/${id}`)).status, 204);
  assert.equal((await hatch.worker.fetch(url)).status, 404);
  assert.equal((await row("SELECT count(*) AS n FROM site_files WHERE slug NOT IN (SELECT slug FROM sites)")).n, 0);
});

test("many deployments at once all end live, each project with its own app", async () => {
  const projects = await Promise.all(Array.from({ length: 12 }, (_, n) => project(page(`app ${n}`), `App ${n}`)));
  const ends = await Promise.all(projects.map(({ id }) => live(id)));
  assert.deepEqual(ends.map(({ status }) => status), Array(12).fill("live"));
  for (const [n, { url }] of ends.entries()) assert.match(await visit(url), new RegExp(`app ${n}$`));
});
