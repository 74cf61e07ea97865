// Projects: their fields, their versions, and parallel changes by several users or
// pages.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test from "node:test";
import { deployments } from "./support/deployments.js";
import { pages, problem, rowCounts, startWorker } from "./support/harness.js";

const worker = await startWorker();
const { api, sql } = worker;

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const PAGE = { "index.html": "<h1>Hello</h1>" };

async function create(fields = { name: "A project" }) {
  const response = await api("POST", "/api/projects", fields);
  assert.equal(response.status, 201, await response.clone().text());
  return response.json();
}

const path = ({ id }) => `/api/projects/${id}`;
const show = async (project) => (await api("GET", path(project))).json();
const versions = async (project) => (await api("GET", `${path(project)}/versions?limit=100`)).json();
const etag = async (project) => (await api("GET", path(project))).headers.get("etag");

async function patch(project, change, headers) {
  const response = await api("PATCH", path(project), change, headers);
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

/** Runs `requests`, which may not change the project and its versions. */
async function changingNothing(project, requests) {
  const state = async () => ({ project: await show(project), etag: await etag(project), versions: await versions(project) });
  const before = await state();
  await requests();
  assert.deepEqual(await state(), before);
}

test("A new project is a draft without code", async () => {
  const response = await api("POST", "/api/projects", { name: " A clock ", description: "It ticks" });
  assert.equal(response.status, 201);
  const { id, createdAt, updatedAt, ...project } = await response.json();
  assert.deepEqual(project, {
    userId: "local-developer", name: "A clock", description: "It ticks", code: null, status: "draft", deploymentUrl: null, version: 0,
  });
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.match(createdAt, TIME);
  assert.equal(updatedAt, createdAt);
  assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 60_000, createdAt);
  assert.equal(response.headers.get("location"), `/api/projects/${id}`);
  assert.equal(response.headers.get("etag"), await etag({ id }));
  assert.deepEqual(await show({ id }), { id, createdAt, updatedAt, ...project });
});

test("A project that begins with code has it as its first version", async () => {
  const headers = { "idempotency-key": randomUUID() };
  const begin = async () => (await api("POST", "/api/projects", { name: "Begun", code: PAGE }, headers)).json();
  const project = await begin();
  assert.deepEqual([JSON.parse(project.code), project.version], [PAGE, 1]);
  assert.deepEqual((await versions(project)).map(({ version, origin, files }) => [version, origin, files]), [[1, "create", 1]]);
  assert.deepEqual(await begin(), project);
  assert.equal((await versions(project)).length, 1);
});

test("A name has 100 characters and a description 2000, whatever their bytes", async () => {
  const fields = { name: "🐣".repeat(100), description: "é\"\\\n".repeat(500) };
  const { name, description } = await show(await create(fields));
  assert.deepEqual({ name, description }, fields);
  assert.equal((await create({ name: "x" })).description, null);
});

test("A change touches only its fields, and changes the time and the ETag", async () => {
  const project = await create({ name: "Before", description: "Kept" });
  const tag = await etag(project);
  const renamed = await patch(project, { name: "After" });
  assert.deepEqual({ ...renamed, updatedAt: "" }, { ...project, name: "After", updatedAt: "" });
  assert.ok(renamed.updatedAt >= project.updatedAt);
  assert.notEqual(await etag(project), tag);
  assert.equal((await patch(project, { description: null })).description, null);
});

test("Each change of the code is a version, and unchanged code is not", async () => {
  const project = await create();
  assert.deepEqual(await versions(project), []);
  const first = await patch(project, { code: PAGE });
  assert.deepEqual([first.version, JSON.parse(first.code)], [1, PAGE]);
  assert.equal((await patch(project, { code: PAGE })).version, 1);
  assert.equal((await patch(project, { code: JSON.stringify(PAGE) })).version, 1);
  assert.equal((await patch(project, { name: "Renamed" })).version, 1);
  assert.equal((await patch(project, { code: { ...PAGE, "a.css": "" } })).version, 2);
  const list = await versions(project);
  assert.deepEqual(list.map(({ createdAt, ...version }) => version), [
    { version: 2, origin: "update", messageId: null, files: 2 },
    { version: 1, origin: "update", messageId: null, files: 1 },
  ]);
  for (const { createdAt } of list) assert.match(createdAt, TIME);
});

test("A rollback makes the old code the newest version", async () => {
  const project = await create();
  for (const text of ["one", "two", "three"]) await patch(project, { code: { "a.txt": text } });
  const response = await api("POST", `${path(project)}/rollback`, { version: 1 });
  assert.equal(response.status, 200);
  const rolledBack = await response.json();
  assert.deepEqual([rolledBack.version, JSON.parse(rolledBack.code)], [4, { "a.txt": "one" }]);
  assert.equal(response.headers.get("etag"), await etag(project));
  const [newest, ...older] = await versions(project);
  assert.deepEqual([newest.version, newest.origin, older.length], [4, "rollback", 3]);
  await changingNothing(project, async () => {
    for (const version of [5, 1000, Number.MAX_SAFE_INTEGER]) {
      const { detail } = await problem(await api("POST", `${path(project)}/rollback`, { version }), 404, "not_found");
      assert.equal(detail, "Version not found");
    }
  });
});

test("An old version is shown with its code, and an unknown one is 404", async () => {
  const project = await create();
  for (const text of ["one", "two"]) await patch(project, { code: { "a.txt": text } });
  const response = await api("GET", `${path(project)}/versions/1`);
  assert.equal(response.status, 200);
  const { code, createdAt, ...version } = await response.json();
  assert.deepEqual(version, { version: 1, origin: "update", messageId: null });
  assert.deepEqual(JSON.parse(code), { "a.txt": "one" });
  assert.match(createdAt, TIME);
  for (const wrong of ["0", "3", "-1", "1.0", "x", "9".repeat(30)]) {
    const { detail } = await problem(await api("GET", `${path(project)}/versions/${wrong}`), 404, "not_found");
    assert.equal(detail, "Version not found", wrong);
  }
  const { detail } = await problem(await api("GET", `/api/projects/${randomUUID()}/versions/1`), 404, "not_found");
  assert.equal(detail, "Project not found");
});

test("Versions are paged from the newest on", async () => {
  const project = await create();
  for (let n = 1; n <= 7; n++) await patch(project, { code: { "a.txt": `${n}` } });
  const seen = await Array.fromAsync(pages(worker, `${path(project)}/versions?limit=3`));
  assert.deepEqual(seen.map((page) => page.map(({ version }) => version)), [[7, 6, 5], [4, 3, 2], [1]]);
});

test("A project that is unchanged is 304 without a body", async () => {
  const project = await create();
  const tag = await etag(project);
  for (const ifNoneMatch of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
    const response = await api("GET", path(project), undefined, { "if-none-match": ifNoneMatch });
    assert.deepEqual([response.status, response.headers.get("etag"), await response.text()], [304, tag, ""]);
  }
  assert.equal((await api("GET", path(project), undefined, { "if-none-match": '"other"' })).status, 200);
  await patch(project, { name: "Renamed" });
  assert.equal((await api("GET", path(project), undefined, { "if-none-match": tag })).status, 200);
});

test("A change or a deletion of another revision is 412 and changes nothing", async () => {
  const project = await create();
  const stale = await etag(project);
  await patch(project, { code: PAGE }, { "if-match": stale });
  await changingNothing(project, async () => {
    for (const tag of [stale, '"999"', "garbage", `W/${await etag(project)}`, (await etag(project)).replace('"', '"+'), '"99999999999999999999"']) {
      const headers = { "if-match": tag };
      await problem(await api("PATCH", path(project), { name: "Lost", code: {} }, headers), 412, "precondition_failed");
      await problem(await api("DELETE", path(project), undefined, headers), 412, "precondition_failed");
    }
  });
  await patch(project, { name: "Any" }, { "if-match": "*" });
  assert.equal((await api("DELETE", path(project), undefined, { "if-match": await etag(project) })).status, 204);
});

test("A request that fails without If-Match fails in the same way with it", async () => {
  const project = await create();
  for (const tag of ['"999"', "garbage"]) {
    const headers = { "if-match": tag };
    await problem(await api("PATCH", path({ id: randomUUID() }), { name: "Lost" }, headers), 404, "not_found");
    await problem(await api("DELETE", path({ id: randomUUID() }), undefined, headers), 404, "not_found");
    await problem(await api("PATCH", path(project), { name: 1 }, headers), 400, "validation_failed");
  }
});

test("A version may be written as any number that is an integer", async () => {
  const project = await create();
  await patch(project, { code: PAGE });
  const rollback = (version) => api("POST", `${path(project)}/rollback`, `{"version":${version}}`);
  assert.equal((await rollback("1.0")).status, 200);
  for (const version of ["1.5", "1e300", "9007199254740992"]) await problem(await rollback(version), 400, "validation_failed");
});

test("Of twenty parallel changes to one revision exactly one wins", async () => {
  const project = await create();
  const headers = { "if-match": await etag(project) };
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => api("PATCH", path(project), { name: `Winner ${n}`, code: { "a.txt": `${n}` } }, headers)),
  );
  const won = answers.filter(({ status }) => status === 200);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(19).fill(412)]);
  assert.deepEqual(await show(project), await won[0].json());
  assert.equal((await versions(project)).length, 1);
});

test("Twenty parallel changes without a revision are twenty versions", async () => {
  const project = await create();
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => patch(project, { code: { "a.txt": `${n}` } })));
  const inOrder = (numbers) => numbers.toSorted((a, b) => a - b);
  const all = Array.from({ length: 20 }, (_, n) => n + 1);
  assert.deepEqual(inOrder(answers.map(({ version }) => version)), all);
  assert.deepEqual(inOrder((await versions(project)).map(({ version }) => version)), all);
});

test("Code that is not a map of safe paths is 400 with the pointer /code", async () => {
  const project = await create();
  await patch(project, { code: PAGE });
  await changingNothing(project, async () => {
    const tooMany = Object.fromEntries(Array.from({ length: 2001 }, (_, n) => [`${n}.txt`, ""]));
    for (const code of [{ "../index.html": "" }, { "/etc/passwd": "" }, { "a\\b": "" }, { "a.txt": 1 }, [PAGE], "<h1>", tooMany]) {
      const { errors } = await problem(await api("PATCH", path(project), { name: "Lost", code }), 400, "validation_failed");
      assert.deepEqual(errors.map(({ pointer }) => pointer), ["/code"]);
    }
  });
});

test("The list has each project once, newest first, also while others are created", async () => {
  const made = [];
  for (let n = 0; n < 23; n++) made.push((await create({ name: `Walked ${n}` })).id);
  // Created in one millisecond: only their ids differ.
  await sql(`UPDATE projects SET created_at = created_at / 1000 * 1000 WHERE name GLOB 'Walked 1?'`);
  const before = (await Array.fromAsync(pages(worker, "/api/projects?limit=100"))).flat();
  assert.ok(made.every((id) => before.some((project) => project.id === id)));

  const walked = [];
  for await (const page of pages(worker, "/api/projects?limit=5")) {
    assert.ok(page.length <= 5);
    walked.push(...page);
    await create({ name: "Made meanwhile" });
  }
  assert.deepEqual(walked, before);
  const keys = walked.map(({ createdAt, id }) => `${createdAt} ${id}`);
  assert.deepEqual(keys, keys.toSorted().reverse());
});

test("A page of large projects ends early and goes on on the next", async () => {
  const made = [];
  const large = { plain: "x".repeat(800_000), quotes: '"'.repeat(340_000) };
  for (const content of [large.plain, large.quotes, large.plain, large.quotes, large.plain]) {
    const project = await create({ name: "Large" });
    await patch(project, { code: { "a.txt": content } });
    made.unshift(project.id);
  }
  const seen = [];
  for await (const page of pages(worker, "/api/projects?limit=100")) {
    const bytes = Buffer.byteLength(JSON.stringify(page));
    assert.ok(bytes <= 2_000_000, `D1 answers with at most 2 MB as one string; this is ${bytes}`);
    seen.push(...page.map(({ id }) => id));
  }
  assert.deepEqual(seen.slice(0, 5), made);
  assert.equal(new Set(seen).size, seen.length);
  assert.equal(seen.length, (await rowCounts(worker)).projects);
});

test("A deleted project takes its versions, chat, deployments and site with it", async () => {
  const before = await rowCounts(worker);
  const project = await create();
  await patch(project, { code: PAGE });
  await (await api("POST", "/api/chat", { projectId: project.id, message: "A clock" })).text();
  const { status, id, url } = await deployments(worker).live(project.id);
  assert.equal(status, "live");
  const slug = new URL(url).hostname.split(".")[0];
  assert.equal((await api("GET", `/p/${slug}/`)).status, 200);
  assert.equal((await show(project)).status, "deployed");
  const between = await rowCounts(worker);
  for (const table of ["projects", "project_versions", "chat_messages", "deployments", "sites", "site_files", "jobs", "job_logs"]) {
    assert.ok(between[table] > before[table], `there is no row in ${table}`);
  }

  const deleted = await api("DELETE", path(project));
  assert.deepEqual([deleted.status, await deleted.text()], [204, ""]);
  assert.deepEqual(await rowCounts(worker), { ...before, audit_log: before.audit_log + 1 });
  const gone = ["", "/versions"].map((rest) => path(project) + rest);
  for (const path of [...gone, `/api/chat/${project.id}`, `/api/deploy/${id}`, `/api/discovery/${project.id}`]) {
    await problem(await api("GET", path), 404, "not_found");
  }
  assert.equal((await api("GET", `/p/${slug}/`)).status, 404);
  await problem(await api("DELETE", path(project)), 404, "not_found");
});

test("Another user's project is 404 on every route, and in no list", async () => {
  const project = await create({ name: "Mine" });
  await patch(project, { code: PAGE });
  await sql("UPDATE projects SET user_id = 'somebody-else' WHERE id = ?", project.id);
  const row = async () => (await sql("SELECT * FROM projects WHERE id = ?", project.id))[0];
  const [before, counts] = [await row(), await rowCounts(worker)];
  const requests = [
    ["GET", path(project)], ["PATCH", path(project), { name: "Stolen" }], ["DELETE", path(project)],
    ["GET", `${path(project)}/versions`], ["POST", `${path(project)}/rollback`, { version: 1 }],
    ["GET", `/api/chat/${project.id}`], ["POST", "/api/chat", { projectId: project.id, message: "Hello" }],
    ["POST", "/api/deploy", { projectId: project.id }], ["POST", "/api/deploy", { projectId: project.id, code: PAGE }],
  ];
  for (const [method, path, body] of requests) await problem(await api(method, path, body), 404, "not_found");
  assert.deepEqual(await row(), before);
  assert.deepEqual(await rowCounts(worker), counts);
  const listed = (await Array.fromAsync(pages(worker, "/api/projects?limit=100"))).flat();
  assert.ok(!listed.some(({ id }) => id === project.id));
});
