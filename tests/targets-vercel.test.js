// Deployments to Vercel over the API, against a strict fake of it: what is
// sent, what is told, and that nothing is made twice. api.md, section 1.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { deployments, until } from "./deployments.js";
import { startVercel } from "./fakes/vercel.js";
import { startWorker } from "./harness.js";

const [OWN, ALICE, BOB] = ["vercel-own-0123456789", "vercel-alice-0123456789", "vercel-bob-0123456789"];
const vercel = await startVercel({ tokens: [OWN, ALICE, BOB], teams: ["team_alice"] });
const hatch = await startWorker({ VERCEL_BASE_URL: vercel.url, VERCEL_TOKEN: OWN, UPSTREAM_HEAD_TIMEOUT_MS: "3000" });
after(() => vercel.close());
beforeEach(() => vercel.reset());

const { api, sql } = hatch;
const { row, project, deploy, ended, send, lines } = deployments(hatch);
const SITE = { "index.html": "<h1>hi", "app.js": "1" };
const to = async (projectId, body = {}, headers = {}) => {
  const response = await api("POST", "/api/deploy", { projectId, target: "vercel", ...body }, headers);
  assert.equal(response.status, 202, await response.clone().text());
  return (await response.json()).deploymentId;
};
const live = async (...args) => ended(await to(...args));
const made = () => vercel.deployments.filter(({ isDeleted }) => !isDeleted);

test("a static site is deployed as it is, its build watched, and its log brought over once", async () => {
  const { id } = await project(SITE, "Möbius & Söhne");
  const deployment = await live(id);
  const [{ name, files, framework, target, meta }] = made();
  assert.match(name, /^m-bius-s-hne-[0-9a-f]{8}$/);
  assert.deepEqual({ files, framework, target, meta }, { files: SITE, framework: null, target: "production", meta: { hatchDeployment: deployment.id } });
  assert.equal(deployment.status, "live");
  assert.equal(deployment.url, `https://${name}.vercel.app`);
  assert.deepEqual(lines(deployment), [
    "Built 2 files, 7 bytes", "Vercel has it, and builds it", "Installing dependencies", "Build completed", `Live at ${deployment.url}`,
  ]);
  const shown = await (await api("GET", `/api/projects/${id}`)).json();
  assert.deepEqual([shown.status, shown.deploymentUrl], ["deployed", deployment.url]);
});

test("a project with a package.json goes as its sources, large files by their digests", async () => {
  const code = { "package.json": '{"dependencies":{"next":"14"}}', "app/page.tsx": "export default () => <p/>", "public/data.json": "x".repeat(150_000) };
  const { id } = await project(code);
  assert.equal((await live(id)).status, "live");
  const [{ files, framework }] = made();
  assert.deepEqual([files, framework], [code, "nextjs"]);
  assert.equal(vercel.uploads.length, 1);
});

test("deployed again it is the same project at Vercel, and a rollback deploys the earlier code there", async () => {
  const { id } = await project(SITE);
  const first = await live(id);
  await live(id, { code: { "index.html": "<h1>second" } });
  const response = await api("POST", `/api/deploy/${first.id}/rollback`);
  assert.equal(response.status, 202);
  assert.equal((await ended((await response.json()).deploymentId)).url, first.url);
  assert.equal(new Set(made().map(({ name }) => name)).size, 1);
  assert.deepEqual(made().map(({ files }) => files["index.html"]), ["<h1>hi", "<h1>second", "<h1>hi"]);
});

test("a build that fails says why, after its log, and is not tried again", async () => {
  vercel.setBuild({ states: ["BUILDING", "ERROR"], log: [["npm install"], ["!TypeError: x is not a function"]], errorMessage: 'Command "npm run build" exited with 1' });
  const deployment = await live((await project(SITE)).id);
  assert.equal(deployment.status, "failed");
  assert.equal(deployment.error, 'The build failed on Vercel: Command "npm run build" exited with 1');
  assert.deepEqual(lines(deployment).slice(2), ["npm install", "TypeError: x is not a function", deployment.error]);
  assert.equal(vercel.deployments.length, 1);
});

test("what Vercel refuses for good is told at once, in words that name the next step and no secret", async () => {
  const { id } = await project(SITE);
  const unknown = await live(id, {}, { "x-vercel-token": "vercel-nobody-0123456789" });
  assert.match(unknown.error, /Vercel refused the token: make one at vercel\.com/);
  assert.equal(vercel.requests.length, 1, "no second try");
  vercel.setFault({ status: 402, path: "/v13/deployments" });
  assert.match((await live(id)).error, /pay/);
  vercel.setFault({ status: 400, path: "/v13/deployments", message: `Bad\nname, said ${OWN}` });
  const refused = await live(id);
  assert.equal(refused.error, "Vercel refused (400): Bad name, said [redacted]");
  assert.equal(vercel.deployments.length, 0);
});

test("what passes is waited for, and a deployment whose answer was lost is found again", async () => {
  const { id } = await project(SITE);
  vercel.setFault(
    { status: 429, headers: { "retry-after": "3" }, path: "/v6/deployments" }, { cutAfterBytes: 0, path: "/v13/deployments" },
    { status: 500, path: "/v13/deployments/" }, { garbage: true, path: "/v13/deployments/" }, { status: 503, path: "/v3/deployments/" },
  );
  const deployment = await live(id);
  assert.equal(deployment.status, "live", deployment.error);
  assert.equal(vercel.deployments.length, 1);
  assert.match(deployment.logs, /Vercel takes no more requests for now; trying again in 3 s/);
  assert.match(deployment.logs, /Vercel answered something that is not its API.s; trying again/);
  assert.equal(lines(deployment).filter((line) => line === "Build completed").length, 1);
});

test("a message that comes three times makes one deployment, and tells each line once", async () => {
  const { id } = await project(SITE);
  const ids = await Promise.all([deploy(id, { target: "vercel" })]);
  const { id: jobId } = await row("SELECT id FROM jobs WHERE subject_id = ?", ids[0]);
  await Promise.all([send(jobId), send(jobId), send(jobId)]);
  const deployment = await ended(ids[0]);
  await send(jobId);
  assert.equal(deployment.status, "live");
  assert.equal(vercel.deployments.length, 1);
  assert.equal(new Set(lines(deployment)).size, lines(deployment).length);
});

test("two users' tokens never cross, and are kept no longer than the deployment", async () => {
  const [alices, bobs] = [await project(SITE, "Alice"), await project(SITE, "Bob")];
  const started = await Promise.all([1, 2].flatMap(() => [
    to(alices.id, {}, { "x-vercel-token": ALICE, "x-vercel-team": "team_alice" }), to(bobs.id, {}, { "x-vercel-token": BOB }), to(bobs.id),
  ]));
  for (const id of started) assert.equal((await ended(id)).status, "live");
  assert.deepEqual(made().map(({ name, token, team }) => `${name.split("-")[0]} ${token} ${team}`).sort(), [
    `alice ${ALICE} team_alice`, `alice ${ALICE} team_alice`, `bob ${BOB} null`, `bob ${BOB} null`, `bob ${OWN} null`, `bob ${OWN} null`,
  ]);
  for (const { path, query, headers, status } of vercel.requests) {
    assert.equal(status, 200, `${path}: nobody asks after another's`);
    const team = headers.authorization === `Bearer ${ALICE}` ? "team_alice" : null;
    assert.equal(query.get("teamId"), team);
  }
  assert.equal((await row("SELECT count(*) AS n FROM deployments WHERE credential_sealed IS NOT NULL")).n, 0);
  const kept = JSON.stringify([await sql("SELECT * FROM deployments"), await sql("SELECT * FROM cloud_apps"), await sql("SELECT * FROM jobs")]);
  for (const token of [OWN, ALICE, BOB]) assert.ok(!kept.includes(token));
});

test("taken down, every deployment of the app is deleted at Vercel, and nothing else", async () => {
  const [{ id }, other] = [await project(SITE), await project(SITE)];
  await live(other.id);
  await live(id);
  const { id: last } = await live(id);
  const response = await api("DELETE", `/api/deploy/${last}`);
  assert.equal(response.status, 202);
  await until(async () => (await (await api("GET", `/api/deploy/${last}`)).json()).takenDownAt, "its end");
  assert.deepEqual(made().map(({ name }) => name), [vercel.deployments[0].name]);
  const shown = await (await api("GET", `/api/projects/${id}`)).json();
  assert.deepEqual([shown.status, shown.deploymentUrl], ["draft", null]);
});
