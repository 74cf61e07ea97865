// The original chat builder's clients: the requests of their web and desktop
// front ends in their order, with their headers and origins, read by their rules.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { page, refused } from "./clients/browser.js";
import { EventSource } from "./clients/event-source.js";
import { deployments } from "./support/deployments.js";
import { startAitmpl, startRawGithub, startSkillsmp } from "./fakes/skills.js";
import { problem, startWorker } from "./support/harness.js";
import { as, people } from "./support/people.js";

const JSON_TYPE = { "Content-Type": "application/json" };
const sources = await Promise.all([startAitmpl(), startSkillsmp({ anonymousPerDay: Infinity }), startRawGithub()]);
after(() => Promise.all(sources.map((source) => source.close())));
const [AITMPL_BASE_URL, SKILLSMP_BASE_URL, RAW_GITHUB_BASE_URL] = sources.map((source) => source.url);
const hatch = await startWorker({ AITMPL_BASE_URL, SKILLSMP_BASE_URL, RAW_GITHUB_BASE_URL });
const { project, show, written, send } = deployments(hatch);

const [web, desktop] = [page(hatch, "http://localhost:5173"), page(hatch, "http://localhost:5174")];

/**
 * The desktop's `useDeploy`: what it shows in the end. A stream that ends while it looks is an error to it.
 */
async function useDeploy(projectId, target, { onOpen = () => {} } = {}) {
  const response = await desktop.fetch("POST", "/api/deploy", { headers: JSON_TYPE, body: { projectId, target } });
  const body = await response.json();
  if (!response.ok) return { error: body.error };
  return { id: body.deploymentId, target: body.target, ...(await followed(body.deploymentId, onOpen)) };
}

async function followed(deploymentId, onOpen = () => {}) {
  const source = new EventSource(async (headers) => {
    const response = await desktop.fetch("GET", `/api/deploy/${deploymentId}/stream`, { headers });
    onOpen();
    return response;
  });
  const shown = { steps: [] };
  source.onmessage = ({ data }) => {
    const { status, url, message } = JSON.parse(data);
    shown.steps.push(message);
    if (status === "live") shown.link = url;
    if (status === "failed" || status === "error") shown.error = message;
    if (shown.link || shown.error) source.close();
  };
  source.onerror = () => {
    shown.error = "Lost connection to deployment stream";
    source.close();
  };
  await source.closed;
  return { ...shown, connections: source.connections };
}

test("the desktop's deployment shows each step and then the link, whichever target it asks for", async () => {
  for (const target of ["cloudflare", "herenow"]) {
    const { id } = await project();
    const deployed = await useDeploy(id, target);
    assert.equal(deployed.error, undefined);
    assert.deepEqual([deployed.target, deployed.connections], ["edge", 1]);
    const { url, target: shownTarget, logs } = await show(deployed.id);
    assert.deepEqual([deployed.link, shownTarget], [url, "edge"]);
    assert.equal(deployed.steps.at(-1), "Deployment live");
    assert.equal(/no credentials for Cloudflare.*CLOUDFLARE_API_TOKEN/.test(logs), target === "cloudflare", logs);
  }
});

test("a step that comes while the desktop looks is shown", async () => {
  const { id, jobId } = await written(await project());
  const deployed = await followed(id, () => send(jobId));
  assert.deepEqual([deployed.steps[0], deployed.steps.at(-1), deployed.error], ["Deployment pending", "Deployment live", undefined]);
});

test("a failed deployment shows its reason, and an unknown target the list of targets", async () => {
  const { id } = await project({ "notes.txt": "no page" });
  const failed = await useDeploy(id, "herenow");
  assert.equal(failed.error, (await show(failed.id)).error);
  assert.match(failed.error, /index\.html/);
  for (const target of ["railway", "mars"]) assert.match((await useDeploy(id, target)).error, /edge.*cloudflare.*vercel.*koyeb/);
  assert.match((await useDeploy(id, "railway")).error, /Railway is not offered/);
});

test("an EventSource that stays open after the end is stopped by 204, and gets nothing twice", async () => {
  const { id } = await project();
  const { id: deploymentId } = await useDeploy(id, "herenow");
  const seen = [];
  const source = new EventSource((headers) => desktop.fetch("GET", `/api/deploy/${deploymentId}/stream`, { headers }));
  source.onmessage = ({ data, lastEventId }) => seen.push([JSON.parse(data).status, lastEventId]);
  await source.closed;
  assert.deepEqual([seen, source.connections], [[["live", "end"]], 2]);
});

test("Cloudflare without credentials is refused with a reason if some of them are set", async () => {
  const { id } = await project();
  const headers = { ...JSON_TYPE, "X-Cloudflare-Api-Token": "t" };
  const response = await desktop.fetch("POST", "/api/deploy", { headers, body: { projectId: id, target: "cloudflare" } });
  assert.equal(response.status, 400);
  assert.match((await response.json()).error, /X-Cloudflare-Account-Id/);
});

test("a deployment that goes to edge without credentials says so again under its Idempotency-Key", async () => {
  const { id } = await project();
  const headers = { ...JSON_TYPE, "Idempotency-Key": `cloudflare-${id}` };
  const answers = [];
  for (let i = 0; i < 2; i += 1) {
    const response = await desktop.fetch("POST", "/api/deploy", { headers, body: { projectId: id, target: "cloudflare" } });
    answers.push(await response.json());
  }
  assert.deepEqual(answers[1], answers[0]);
  assert.equal(answers[0].target, "edge");
});

test("the desktop gets every skill, a page after the other", async () => {
  const [skills, sizes] = [[], []];
  for (let query = "?limit=100"; query; ) {
    const { skills: more, has_more, next_page } = await (await desktop.fetch("GET", `/api/skillsmp/skills${query}`, { headers: JSON_TYPE })).json();
    skills.push(...more);
    sizes.push(more.length);
    assert.equal(next_page !== null, has_more);
    query = next_page && `?limit=20&next_page=${encodeURIComponent(next_page)}`;
    if (next_page) assert.equal(typeof next_page, "string");
  }
  assert.ok(skills.length > 20);
  assert.equal(new Set(skills.map(({ id }) => id)).size, skills.length);
});

test("pages by next_page are those by page, and the last has none", async () => {
  const get = async (query) => (await desktop.fetch("GET", `/api/skillsmp${query}`)).json();
  const first = await get("?limit=7");
  assert.deepEqual([first.has_more, first.next_page], [true, "2"]);
  const second = await get(`?limit=7&next_page=${first.next_page}`);
  assert.deepEqual([second, second.page, second.next_page], [await get("?limit=7&page=2"), 2, "3"]);
  assert.deepEqual(await get("?limit=7&next_page="), first);
  assert.deepEqual(await get("?limit=7&page=1&next_page=2"), second);
  const last = await get(`?limit=7&page=${Math.ceil(first.total / 7)}`);
  assert.deepEqual([last.has_more, last.next_page], [false, null]);
  for (const wrong of ["0", "x", "10001", "-1"]) {
    assert.equal((await desktop.fetch("GET", `/api/skillsmp?next_page=${wrong}`)).status, 400, wrong);
  }
});

test("the web's marketplace has a hundred skills at once, with all that its cards read, and finds some by a search", async () => {
  const { skills, limit, total } = await (await web.fetch("GET", "/api/skillsmp/skills")).json();
  assert.deepEqual([limit, skills.length], [100, Math.min(total, 100)]);
  assert.ok(total > 20);
  for (const skill of skills) {
    for (const field of ["id", "name", "description", "author", "stars", "installCommand", "githubUrl"]) assert.notEqual(skill[field], undefined, field);
    assert.ok(Array.isArray(skill.categories));
  }
  const found = await (await web.fetch("GET", "/api/skillsmp/skills/search?q=auditor")).json();
  assert.deepEqual([found.limit, found.skills.map(({ name }) => name)], [100, ["security-auditor"]]);
  assert.deepEqual(web.preflights, [], "the web asks for nothing that needs a preflight");
});

test("hosted apps, sandboxed apps and pages of other origins cannot read this", async () => {
  const { id } = await project();
  for (const origin of ["http://evil.localhost:5173", "null", "https://evil.example"]) {
    const stranger = page(hatch, origin);
    await refused(stranger.fetch("GET", "/api/skillsmp/skills"));
    await refused(stranger.fetch("POST", "/api/deploy", { headers: JSON_TYPE, body: { projectId: id } }));
    // A POST that a browser sends without a preflight.
    await refused(stranger.fetch("POST", "/api/deploy", { headers: { "Content-Type": "text/plain" }, body: JSON.stringify({ projectId: id }) }));
    await refused(stranger.fetch("GET", "/api/projects"));
  }
  const { n } = (await hatch.sql("SELECT count(*) AS n FROM deployments WHERE project_id = ?", id))[0];
  assert.equal(n, 0);
});

test("in production, or with incomplete settings, cloudflare without credentials says what to set and begins nothing", async () => {
  const live = await startWorker({ ENVIRONMENT: "production", RATE_LIMITS: "off" });
  const half = await startWorker({ CLOUDFLARE_API_TOKEN: "half-an-account" });
  const { token } = await people(live).signIn();
  for (const [worker, headers] of [[live, as(token)], [half, {}]]) {
    const project = await (await worker.api("POST", "/api/projects", { name: "A page", code: { "index.html": "<p>hello" } }, headers)).json();
    const response = await worker.api("POST", "/api/deploy", { projectId: project.id, target: "cloudflare" }, headers);
    const { error } = await problem(response, 503, "not_configured");
    assert.match(error, /X-Cloudflare-Api-Token.*CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID/);
    assert.deepEqual(await worker.sql("SELECT id FROM deployments"), []);
  }
});
