// Deployments to Vercel over the API, against a strict fake of it: the requests
// to Vercel, the reported states, and that nothing is created twice.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { deployments, until } from "./support/deployments.js";
import { startVercel } from "./fakes/vercel.js";
import { problem, startWorker } from "./support/harness.js";

const [OWN, ALICE, BOB, RENEWED] = ["vercel-own-0123456789", "vercel-alice-0123456789", "vercel-bob-0123456789", "vercel-alice-9876543210"];
const vercel = await startVercel({ tokens: [OWN, ALICE, BOB], teams: ["team_alice"], renewed: { [RENEWED]: ALICE } });
const hatch = await startWorker({ VERCEL_BASE_URL: vercel.url, VERCEL_TOKEN: OWN, UPSTREAM_HEAD_TIMEOUT_MS: "3000" });
after(() => vercel.close());
beforeEach(() => vercel.reset());

const { api, sql } = hatch;
const { row, project, deploy, show, ended, send, lines } = deployments(hatch);
const SITE = { "index.html": "<h1>hi", "app.js": "1" };
const to = async (projectId, body = {}, headers = {}) => {
  const response = await api("POST", "/api/deploy", { projectId, target: "vercel", ...body }, headers);
  assert.equal(response.status, 202, await response.clone().text());
  return (await response.json()).deploymentId;
};
const live = async (...args) => ended(await to(...args));
const made = () => vercel.deployments.filter(({ isDeleted }) => !isDeleted);

test("a static site is deployed unchanged, its build is watched, and its log is copied once", async () => {
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

test("a project with a package.json is sent as sources, large files by their digests", async () => {
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

test("a failed build shows its log and its reason, and is not retried", async () => {
  vercel.setBuild({ states: ["BUILDING", "ERROR"], log: [["npm install"], ["!TypeError: x is not a function"]], errorMessage: 'Command "npm run build" exited with 1' });
  const deployment = await live((await project(SITE)).id);
  assert.equal(deployment.status, "failed");
  assert.equal(deployment.error, 'The build failed on Vercel: Command "npm run build" exited with 1');
  assert.deepEqual(lines(deployment).slice(2), ["npm install", "TypeError: x is not a function", deployment.error]);
  assert.equal(vercel.deployments.length, 1);
});

test("a permanent refusal of Vercel is reported at once, with the next step and without secrets", async () => {
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

test("transient failures are retried, and a deployment whose response was lost is found again", async () => {
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

test("a message that arrives three times makes one deployment, with each log line once", async () => {
  const { id } = await project(SITE);
  const deploymentId = await deploy(id, { target: "vercel" });
  const { id: jobId } = await row("SELECT id FROM jobs WHERE subject_id = ?", deploymentId);
  await Promise.all([send(jobId), send(jobId), send(jobId)]);
  const deployment = await ended(deploymentId);
  await send(jobId);
  assert.equal(deployment.status, "live");
  assert.equal(vercel.deployments.length, 1);
  assert.equal(new Set(lines(deployment)).size, lines(deployment).length);
});

test("two users never get each other's tokens, which are stored no longer than the deployment", async () => {
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

const takenDown = (id) => until(async () => (await show(id)).takenDownAt, "its end");

test("taken down, all of a project with hundreds of deployments are deleted, others' among them are not", async () => {
  const { id } = await project(SITE);
  const deployment = await live(id);
  const [ours] = vercel.deployments;
  const older = (n, more) => vercel.deployments.push({ ...ours, id: `dpl_older${n}`, createdAt: n, ...more });
  for (let n = 1; n <= 230; n++) older(n, n % 2 ? { meta: {} } : {});
  assert.equal((await api("DELETE", `/api/deploy/${deployment.id}`)).status, 202);
  await takenDown(deployment.id);
  assert.equal(made().length, 115);
  assert.ok(made().every(({ meta }) => !meta.hatchDeployment));
});

test("an app is taken down with the credentials of its own account, never with another one's", async () => {
  const { id } = await project(SITE);
  const own = await live(id);
  const alices = await live(id, {}, { "x-vercel-token": ALICE });
  const there = () => made().map(({ token }) => token).sort();
  assert.deepEqual([own.status, alices.status, there()], ["live", "live", [ALICE, OWN]]);
  const path = `/api/deploy/${alices.id}`;
  for (const headers of [{}, { "x-vercel-token": BOB }, { "x-vercel-token": ALICE, "x-vercel-team": "team_alice" }]) {
    await problem(await api("DELETE", path, undefined, headers), 409, "credentials_needed");
  }
  await problem(await api("DELETE", `/api/projects/${id}`), 409, "credentials_needed");
  assert.deepEqual(there(), [ALICE, OWN]);
  assert.equal((await api("DELETE", `/api/deploy/${own.id}`, undefined, { "x-vercel-token": ALICE })).status, 202);
  await takenDown(own.id);
  assert.deepEqual(there(), [ALICE]);
  assert.equal((await api("DELETE", path, undefined, { "x-vercel-token": RENEWED })).status, 202, "a new token of the account");
  await takenDown(alices.id);
  assert.deepEqual(there(), []);
});

test("a long build log is shown with its last lines, and its end is never cut", async () => {
  const said = (n, text) => Array.from({ length: n }, (_, i) => `${text} ${i}`);
  vercel.setBuild({
    states: [...Array(6).fill("BUILDING"), "READY"],
    log: [said(30_000, "a"), ...["b", "c", "d", "e", "f"].map((text) => said(150, text)), ["last"]],
  });
  const deployment = await live((await project(SITE)).id);
  assert.equal(deployment.status, "live", deployment.error);
  const told = lines(deployment);
  assert.deepEqual(told.slice(2, 5), ["(29800 lines are left out here)", "a 29800", "a 29801"]);
  // Two before it, 201 of the first report and 150 of each of three; the fifth does not fit.
  assert.equal(told[2 + 201 + 3 * 150], "e 0");
  assert.deepEqual(told.slice(-2), ["(the log is full: 3 lines, and all that follow, are left out)", `Live at ${deployment.url}`]);
  assert.equal(told.length, 802);
});

test("a build that fails after very many lines still says why", async () => {
  const said = Array.from({ length: 190 }, (_, i) => `line ${i}`);
  vercel.setBuild({ states: [...Array(5).fill("BUILDING"), "ERROR"], log: Array(6).fill(said), errorMessage: "exited with 1" });
  const deployment = await live((await project(SITE)).id);
  assert.deepEqual([deployment.status, deployment.error], ["failed", "The build failed on Vercel: exited with 1"]);
  assert.equal(lines(deployment).at(-1), deployment.error);
});

/** A deployment that waits for the first response after its build, and its job. */
async function asking() {
  const before = vercel.requests.length;
  vercel.setFault({ hang: true, status: 503, path: "/v13/deployments/" });
  const id = await to((await project(SITE)).id);
  await until(() => vercel.requests.slice(before).some(({ fault }) => fault?.hang), "the question");
  const { id: jobId } = await row("SELECT id FROM jobs WHERE subject_id = ?", id);
  /** Answers it with a 503, when as many as `attempts` are counted after it. */
  const answered = async (attempts) => {
    vercel.release();
    await until(async () => (await show(id)).logs.includes("trying again"), "its failure");
    await sql("UPDATE jobs SET attempts = ? WHERE id = ?", attempts, jobId);
    await send(jobId);
  };
  return { id, jobId, answered };
}

test("a cloud that is unreachable for a while fails no deployment", async () => {
  const { id, answered } = await asking();
  await answered(40);
  const deployment = await ended(id);
  assert.equal(deployment.status, "live", deployment.error);
});

test("a deployment that went live during an outage is live, however late", async () => {
  const { id, answered } = await asking();
  vercel.deployments[0].polls = 10;
  await sql("UPDATE deployments SET pushed_at = 1 WHERE id = ?", id);
  await answered(1);
  const deployment = await ended(id);
  assert.equal(deployment.status, "live", deployment.error);
});

test("a deployment that is not live in time has failed, and redriving it gives it more time", async () => {
  const { id, jobId, answered } = await asking();
  await answered(1000);
  const failed = await ended(id);
  assert.deepEqual([failed.status, failed.error], ["failed", "The work was broken off again and again"]);
  await sql("UPDATE deployments SET pushed_at = 1 WHERE id = ?", id);
  const letters = await (await api("GET", "/admin/dead-letters?limit=100")).json();
  const letter = letters.find((each) => each.jobId === jobId);
  assert.equal((await api("POST", `/admin/dead-letters/${letter.id}/redrive`)).status, 202);
  const deployment = await ended(id);
  assert.equal(deployment.status, "live", deployment.error);
  assert.equal(vercel.deployments.length, 1);

  vercel.setBuild({ states: ["BUILDING"] });
  const late = await asking();
  await sql("UPDATE deployments SET pushed_at = 1 WHERE id = ?", late.id);
  await late.answered(1);
  assert.equal((await ended(late.id)).error, "Vercel had not brought it live after 30 minutes");
});
