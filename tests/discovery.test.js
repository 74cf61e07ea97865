// Discovery: the public list of live apps, visits and remixes.

import assert from "node:assert/strict";
import test from "node:test";
import { deployments } from "./support/deployments.js";
import { pages, problem, startWorker } from "./support/harness.js";

const worker = await startWorker();
const { api, sql } = worker;
const deploy = deployments(worker).live;

const CODE = { "index.html": "<h1>Hello</h1>", "about.html": "<h1>About</h1>", "style.css": "h1 { color: red }" };

async function draft(name, description, code = CODE) {
  const project = await (await api("POST", "/api/projects", { name, description })).json();
  assert.equal((await api("PATCH", `/api/projects/${project.id}`, { code })).status, 200);
  return project;
}

/** A live app, created through the API. */
async function live(name, description, code) {
  const project = await draft(name, description, code);
  const { status, url, logs } = await deploy(project.id);
  assert.equal(status, "live", logs);
  return { ...project, url, home: `/p/${new URL(url).hostname.split(".")[0]}/` };
}

const list = async (query = "") => (await Array.fromAsync(pages(worker, `/api/discovery${query}`))).flat();
const ids = (apps) => apps.map(({ id }) => id);

const clock = await live("A Clock", "It ticks");
const garden = await live("Äpfel & Birnen", "100% garden_plan");
const plain = await live("Notes", null);
const APPS = [plain, garden, clock];

test("A live app is public, but its code and its owner are not", async () => {
  const response = await api("GET", `/api/discovery/${clock.id}`);
  assert.equal(response.status, 200);
  assert.match(response.headers.get("cache-control"), /^public, max-age=30/);
  const app = await response.json();
  const { createdAt, ...rest } = app;
  assert.deepEqual(rest, { id: clock.id, name: "A Clock", description: "It ticks", deploymentUrl: clock.url, visits: 0 });
  assert.match(createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual((await list()).at(-1), app);
  assert.equal((await api("GET", "/api/discovery")).headers.get("cache-control"), response.headers.get("cache-control"));
});

test("Drafts and apps whose deployment failed are not listed", async () => {
  const hidden = [await draft("A Clock in the drawer"), await draft("No page", null, { "notes.txt": "…" })];
  assert.equal((await deploy(hidden[1].id)).status, "failed");
  for (const { id } of hidden) {
    await problem(await api("GET", `/api/discovery/${id}`), 404, "not_found");
    await problem(await api("POST", `/api/discovery/${id}/remix`), 404, "not_found");
  }
  assert.deepEqual(ids(await list()), ids(APPS));
});

test("Changes after a deployment are not shown before the next one", async () => {
  const project = await live("First name", "First words");
  await api("PATCH", `/api/projects/${project.id}`, { name: "Second name", description: null, code: { "index.html": "secret" } });
  const shown = async () => (await api("GET", `/api/discovery/${project.id}`)).json();
  assert.equal((await shown()).name, "First name");
  const remixed = await (await api("POST", `/api/discovery/${project.id}/remix`)).json();
  assert.deepEqual([remixed.name, JSON.parse(remixed.code)], ["First name", CODE]);
  assert.equal((await deploy(project.id)).status, "live");
  assert.equal((await shown()).name, "Second name");
  await api("DELETE", `/api/projects/${project.id}`);
  await problem(await api("GET", `/api/discovery/${project.id}`), 404, "not_found");
});

test("A search finds words of the name and the description, and treats no character as a pattern", async () => {
  const found = { clock: [clock], CLOCK: [clock], ticks: [clock], Äpfel: [garden], "& Birnen": [garden], "100%": [garden], "%": [garden], n_p: [garden], _: [garden], "": APPS, " notes ": [plain], "'": [], null: [], nothing: [] };
  for (const [q, apps] of Object.entries(found)) {
    for (const sort of ["recent", "popular"]) {
      assert.deepEqual(ids(await list(`?sort=${sort}&q=${encodeURIComponent(q)}`)).sort(), ids(apps).sort(), `${q} by ${sort}`);
    }
  }
});

test("Apps are listed newest or most visited first, a page at a time", async () => {
  const visits = { [clock.id]: 7, [garden.id]: 1, [plain.id]: 7 };
  for (const [id, n] of Object.entries(visits)) await sql("UPDATE sites SET visits = ? WHERE project_id = ?", n, id);
  const orders = {
    "": ids(APPS),
    "&sort=recent": ids(APPS),
    "&sort=popular": [...[clock.id, plain.id].sort().reverse(), garden.id],
    "&sort=popular&q=n": [plain.id, garden.id],
  };
  for (const [query, order] of Object.entries(orders)) {
    for (const limit of [1, 2, 3, 100]) {
      const walked = await Array.fromAsync(pages(worker, `/api/discovery?limit=${limit}${query}`));
      assert.deepEqual(walked.map((page) => page.length), Array.from({ length: Math.ceil(order.length / limit) }, (_, n) => Math.min(limit, order.length - n * limit)));
      assert.deepEqual(ids(walked.flat()), order, `${query} by ${limit}`);
    }
  }
});

test("Only a GET of a page counts as a visit", async () => {
  const app = await live("Visited");
  const visits = async () => (await (await api("GET", `/api/discovery/${app.id}`)).json()).visits;
  for (const file of ["style.css", "missing.js"]) await (await api("GET", app.home + file)).text();
  for (const file of ["", "about.html"]) await api("HEAD", app.home + file);
  await api("POST", app.home);
  await api("GET", `/api/discovery/${app.id}`);
  const pages = ["", "about.html", "index.html", "a/page/of/its/own/routing", ""];
  for (const page of pages) assert.equal((await api("GET", app.home + page)).status, 200, page);
  // Counted after the answer, in the order of the requests.
  while ((await visits()) < pages.length);
  assert.equal(await visits(), pages.length);
});

test("A remix is the caller's own project that begins with the app's code", async () => {
  await sql("UPDATE projects SET user_id = 'somebody-else' WHERE id = ?", garden.id);
  const original = async () => (await sql("SELECT * FROM projects WHERE id = ?", garden.id))[0];
  const before = await original();
  const response = await api("POST", `/api/discovery/${garden.id}/remix`);
  assert.equal(response.status, 201);
  const { id, createdAt, updatedAt, code, ...remix } = await response.json();
  assert.equal(response.headers.get("location"), `/api/projects/${id}`);
  assert.notEqual(id, garden.id);
  assert.deepEqual(JSON.parse(code), CODE);
  assert.deepEqual(remix, {
    userId: "local-developer", name: garden.name, description: garden.description, status: "draft", deploymentUrl: null, version: 1,
  });
  assert.deepEqual(await (await api("GET", `/api/projects/${id}`)).json(), { id, createdAt, updatedAt, code, ...remix });
  const [version] = await (await api("GET", `/api/projects/${id}/versions`)).json();
  assert.deepEqual([version.version, version.origin, version.files], [1, "remix", 3]);
  await api("PATCH", `/api/projects/${id}`, { name: "My own", code: { "index.html": "mine" } });
  assert.deepEqual(await original(), before);
});
