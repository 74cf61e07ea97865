// The original startup generator's front end: the requests of its generate page
// and its launch page in their order. It sends Content-Type: application/json
// with everything, so a browser sends a preflight before its GETs too.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { page, refused } from "./clients/browser.js";
import { EventStreamParser } from "./clients/event-source.js";
import { claudeVars, until } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { rowCounts, startWorker } from "./support/harness.js";
import { APP, author, fenced } from "./support/startups.js";

const ORIGIN = "http://localhost:3000";
const claude = await startAnthropic();
after(() => claude.close());
const hatch = await startWorker(claudeVars(claude));
const browser = page(hatch, ORIGIN);

/** The client's way to call: it throws every response that is not 2xx. */
async function call(method, path, body, headers) {
  const response = await browser.fetch(method, path, { headers: { "Content-Type": "application/json", ...headers }, body });
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
  return response.json();
}

/** The generate page's view of a status. The page crashes if a field is missing. */
function drawn(status) {
  return {
    steps: status.steps.map(({ id, title, status }) => `${id.toFixed()} ${title.trim()}: ${status.trim()}`),
    logs: status.logs.map(({ timestamp, message, type }) => `${timestamp.trim()} ${type.trim()} ${message.trim()}`),
    progress: status.progress.toFixed(),
    name: status.project_name,
  };
}

/** The generate page: polls until the job has one of the two final states that it knows. */
async function generatePage(jobId) {
  return until(async () => {
    const status = await call("GET", `/api/status/${jobId}`);
    drawn(status);
    if (status.status === "completed") return { projectId: status.project_id, status };
    return status.status === "failed" && { failed: true, status };
  });
}

const generate = async (prompt) => (await call("POST", "/api/generate", { prompt, verified: true })).job_id;

test("from the prompt to the launch page, every request passes its preflight", async () => {
  claude.setAnswer(author());
  const { projectId, status } = await generatePage(await generate("A booking app for barbers"));
  assert.deepEqual(drawn(status).steps, ["1 Finding competitors: completed", "2 Building MVP: completed", "3 Packaging startup: completed"]);

  // window.open: a navigation, which has no Origin.
  const download = await hatch.api("GET", `/api/download/${projectId}`);
  assert.deepEqual([download.status, download.headers.get("content-type")], [200, "application/zip"]);
  await download.body.cancel();

  const launched = await call("GET", `/api/project/${projectId}`);
  for (const field of ["project_name", "tagline"]) assert.equal(typeof launched[field], "string");
  assert.ok(launched.stack.every((item) => typeof item === "string"));
  assert.ok(launched.launch_channels.every(({ name, description, priority }) => name && description && priority));

  const before = await rowCounts(hatch);
  const refusal = await call("POST", `/api/deploy/${projectId}`).catch(({ message }) => message);
  const [, code, text] = refusal.match(/^HTTP (\d+): (.*)$/s);
  const { message, detail } = JSON.parse(text);
  assert.equal(code, "503");
  assert.equal(message, detail);
  assert.match(message, /Next\.js app needs a server.*X-Vercel-Token.*npm install/);
  assert.deepEqual(await rowCounts(hatch), before, "nothing is begun");

  const asked = new Set(browser.preflights.map((request) => request.replace(/[0-9a-f-]{36}/, ":id")));
  assert.deepEqual([...asked], ["POST /api/generate", "GET /api/status/:id", "GET /api/project/:id", "POST /api/deploy/:id"]);
});

test("a startup that can go live without a token does, and says so in the message", async () => {
  const app = { "index.html": "<!doctype html><title>Plain</title>", "package.json": JSON.stringify({ name: "plain", version: "1.0.0", scripts: { build: "true", dev: "true", start: "true" } }) };
  claude.setAnswer(author([fenced(app)]));
  const { projectId } = await generatePage(await generate("A plain page, no framework"));
  const { status, message, deployment_id: id } = await call("POST", `/api/deploy/${projectId}`);
  assert.deepEqual([status, message], ["deploying", "Deployment to edge started"]);
  await (await hatch.api("GET", `/api/deploy/${id}/stream`)).text();
  assert.equal((await (await hatch.api("GET", `/api/deploy/${id}`)).json()).status, "live");
});

test("errors of the original have its form, and others have a message too", async () => {
  const refusals = [
    ["POST", "/api/generate", { prompt: " " }, 400, { detail: "Prompt cannot be empty" }],
    ["GET", "/api/status/unknown", undefined, 404, { detail: "Job not found" }],
    ["GET", "/api/project/unknown", undefined, 404, { detail: "Project not found" }],
    ["POST", "/api/deploy/unknown", undefined, 404, { detail: "Project not found" }],
  ];
  for (const [method, path, body, status, told] of refusals) {
    const refusal = await call(method, path, body).catch(({ message }) => message);
    assert.equal(refusal, `HTTP ${status}: ${JSON.stringify(told)}`);
  }
});

async function cancelled() {
  claude.setFault({ hang: true, times: Infinity });
  const jobId = await generate("A booking app");
  await until(() => claude.requests.some(({ fault }) => fault?.hang));
  assert.equal((await hatch.api("POST", `/api/generate/${jobId}/cancel`)).status, 200);
  claude.setFault();
  claude.release();
  return jobId;
}

test("a job that was cancelled has failed to a client that knows three states, and is cancelled to one that knows all", async () => {
  const jobId = await cancelled();
  const { failed, status } = await generatePage(jobId);
  assert.deepEqual([failed, status.error], [true, "Cancelled"]);

  const tags = [];
  for (const [query, state, error] of [["", "failed", "Cancelled"], ["?states=all", "cancelled", null]]) {
    const path = `/api/status/${jobId}${query}`;
    const response = await browser.fetch("GET", path);
    const told = await response.json();
    assert.deepEqual([told.status, told.error], [state, error]);
    const etag = response.headers.get("etag");
    tags.push(etag);
    const again = await browser.fetch("GET", path, { headers: { "If-None-Match": etag } });
    assert.deepEqual([again.status, again.headers.get("etag")], [304, etag]);

    const events = new EventStreamParser().push(await (await browser.fetch("GET", `/api/status/${jobId}/events${query}`)).text());
    const last = events.at(-1);
    assert.deepEqual([last.type, last.lastEventId, JSON.parse(last.data).status, JSON.parse(last.data).error], ["status", "end", state, error]);
  }
  assert.notEqual(tags[0], tags[1]);
  assert.equal((await browser.fetch("GET", `/api/status/${jobId}?states=all`, { headers: { "If-None-Match": tags[0] } })).status, 200);
  for (const path of [`/api/status/${jobId}`, `/api/status/${jobId}/events`]) {
    for (const states of ["", "three", "ALL"]) assert.equal((await browser.fetch("GET", `${path}?states=${states}`)).status, 422);
  }
});

test("a failed or completed job has the same state for both clients", async () => {
  claude.setAnswer(author([fenced(APP)]));
  const { status } = await generatePage(await generate("A booking app for barbers"));
  assert.deepEqual(await call("GET", `/api/status/${status.job_id}?states=all`), status);
  await hatch.sql("UPDATE startups SET status = 'failed' WHERE job_id = ?", status.job_id);
  for (const query of ["", "?states=all"]) assert.equal((await call("GET", `/api/status/${status.job_id}${query}`)).status, "failed");
});

test("a page of another origin can begin and read nothing", async () => {
  const before = await rowCounts(hatch);
  for (const origin of ["http://evil.localhost:3000", "null", "https://localhost:3000"]) {
    const stranger = page(hatch, origin);
    await refused(stranger.fetch("POST", "/api/generate", { headers: { "Content-Type": "application/json" }, body: { prompt: "A clock" } }));
    await refused(stranger.fetch("POST", "/api/generate", { headers: { "Content-Type": "text/plain" }, body: '{"prompt":"A clock"}' }));
    await refused(stranger.fetch("GET", "/api/generate"));
  }
  assert.deepEqual(await rowCounts(hatch), before);
});
