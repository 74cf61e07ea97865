// Deployments to Koyeb over the API, against strict fakes of it and of
// Amazon's registry.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, beforeEach, test } from "node:test";
import { deployments, until } from "./support/deployments.js";
import { startEcr } from "./fakes/ecr.js";
import { startKoyeb } from "./fakes/koyeb.js";
import { problem, startWorker } from "./support/harness.js";

const [OWN, ALICE, BOB, RENEWED] = ["koyeb-own-0123456789", "koyeb-alice-0123456789", "koyeb-bob-0123456789", "koyeb-alice-9876543210"];
const koyeb = await startKoyeb({ tokens: [OWN, ALICE, BOB], renewed: { [RENEWED]: ALICE } });
const ecr = await startEcr();
const hatch = await startWorker({
  KOYEB_BASE_URL: koyeb.url, KOYEB_TOKEN: OWN, UPSTREAM_HEAD_TIMEOUT_MS: "3000",
  ECR_BASE_URL: ecr.url, AWS_ACCESS_KEY_ID: ecr.keys.id, AWS_SECRET_ACCESS_KEY: ecr.keys.secret, AWS_REGION: "us-east-1",
});
after(() => Promise.all([koyeb.close(), ecr.close()]));
beforeEach(() => {
  koyeb.reset();
  ecr.reset();
});

const { api, sql } = hatch;
const { row, project, ended, send, lines } = deployments(hatch);
const SITE = { "index.html": "<h1>hi", "a/b.js": "1" };
const empty = async (name = "Test app") => (await api("POST", "/api/projects", { name })).json();
const to = async (projectId, body = {}, headers = {}) => {
  const response = await api("POST", "/api/deploy", { projectId, target: "koyeb", ...body }, headers);
  assert.equal(response.status, 202, await response.clone().text());
  return (await response.json()).deploymentId;
};
const live = async (...args) => ended(await to(...args));
const definition = () => koyeb.deployments.at(-1).definition;

/** The files of an archive, by tar itself. */
function unpacked({ bytes }) {
  const tar = (...args) => execFileSync("tar", args, { input: bytes }).toString();
  return Object.fromEntries(tar("-tzf", "-").trim().split("\n").map((path) => [path, tar("-xzOf", "-", path)]));
}

test("a static site is built with a web server, and its address is reported", async () => {
  const deployment = await live((await project(SITE, "A long name for an app")).id);
  assert.equal(deployment.status, "live", deployment.error);
  assert.match(koyeb.apps[0].name, /^a-long-name-fo-[0-9a-f]{8}$/);
  assert.equal(deployment.url, `https://${koyeb.apps[0].name}-org-0.koyeb.app`);
  const files = unpacked(koyeb.archives[0]);
  assert.deepEqual(Object.keys(files).sort(), ["Dockerfile", "default.conf.template", "site/a/b.js", "site/index.html"]);
  assert.equal(files["site/index.html"], SITE["index.html"]);
  assert.match(files["default.conf.template"], /listen \$\{PORT\};/);
  const { env, ports, archive } = definition();
  assert.deepEqual(archive, { id: koyeb.archives[0].id, docker: {} });
  assert.deepEqual([env[0], ports], [{ key: "PORT", value: "8000" }, [{ port: 8000, protocol: "http" }]]);
  assert.deepEqual(lines(deployment), ["Built 2 files, 7 bytes", "Koyeb has it, and starts it", "Building", "Built", `Live at ${deployment.url}`]);
});

test("sources with a manifest are sent unchanged, and built by their Dockerfile or a buildpack", async () => {
  const { id } = await project({ "package.json": "{}", "server.js": "1" });
  await live(id);
  assert.deepEqual([Object.keys(unpacked(koyeb.archives[0])).sort(), definition().archive.buildpack], [["package.json", "server.js"], {}]);
  await live(id, { port: 3000, code: { Dockerfile: "FROM node", "package.json": "{}" } });
  assert.deepEqual([definition().archive.docker, definition().env[0].value], [{}, "3000"]);
  assert.deepEqual([koyeb.apps.length, koyeb.services.length, koyeb.deployments.length], [1, 1, 2], "updated, not made again");
});

test("an image or a repository runs without any code of the project's, and is rolled back to", async () => {
  const { id } = await empty();
  const first = await live(id, { image: "ghcr.io/owner/app:1", registrySecret: "ghcr" }, {});
  assert.match(first.error, /definition\.docker\.image_registry_secret: no such secret/);
  const image = await live(id, { image: "ghcr.io/owner/app:1", port: 80 });
  assert.equal(image.status, "live", image.error);
  assert.deepEqual(definition().docker, { image: "ghcr.io/owner/app:1" });
  await live(id, { git: { repository: "https://github.com/owner/name.git", branch: "next", builder: "docker" } });
  assert.deepEqual(definition().git, { repository: "github.com/owner/name", branch: "next", no_deploy_on_push: true, docker: {} });
  const response = await api("POST", `/api/deploy/${image.id}/rollback`);
  await ended((await response.json()).deploymentId);
  assert.deepEqual([definition().docker, definition().ports[0].port], [{ image: "ghcr.io/owner/app:1" }, 80]);
});

test("an image of Amazon's registry gets its repository, and a fresh login with every deployment", async () => {
  const { id } = await empty();
  const image = `${ecr.registry}/u/app:1`;
  for (const password of ["ecr-password-1", "ecr-password-2"]) {
    const deployment = await live(id, { image });
    assert.equal(deployment.status, "live", deployment.error);
    const [{ name, private_registry }] = koyeb.secrets;
    assert.deepEqual(private_registry, { username: "AWS", password, url: ecr.registry });
    assert.deepEqual(definition().docker, { image, image_registry_secret: name });
  }
  assert.deepEqual([ecr.repositories, koyeb.secrets.length], [["u/app"], 1]);
  await live(id, { image: "999999999999.dkr.ecr.us-east-1.amazonaws.com/u/app:1" });
  assert.deepEqual(definition().docker.image_registry_secret, undefined, "somebody else's registry does not get our login");
  ecr.setFault({ status: 400, type: "AccessDeniedException" });
  assert.match((await live(id, { image })).error, /The AWS keys may not do this: they need ecr:/);
  const kept = JSON.stringify([await sql("SELECT * FROM deployments"), await sql("SELECT * FROM job_logs")]);
  assert.ok(!kept.includes("ecr-password") && !kept.includes(ecr.keys.secret));
});

test("an app that cannot run is refused with the wrong field, and nothing is begun", async () => {
  const { id } = await empty();
  const git = { repository: "github.com/o/r" };
  for (const [body, told] of [
    [{}, /koyeb also takes `image`.*`git`/],
    [{ image: "https://x/y" }, /image: must be/],
    [{ image: "nginx", git }, /git: stands beside/],
    [{ git: { repository: "gitlab.com/o/r" } }, /git\/repository: must be/],
    [{ git: { ...git, branch: "a..b" } }, /git\/branch: must be/],
    [{ git: { ...git, path: "x" } }, /path/],
    [{ image: "nginx", port: 70_000 }, /port/],
    [{ image: "nginx", code: SITE }, /code: is not what would run/],
    [{ image: "nginx", target: "edge" }, /target: must be `koyeb`/],
  ]) {
    const { error } = await problem(await api("POST", "/api/deploy", { projectId: id, target: "koyeb", ...body }), 400);
    assert.match(error, told);
  }
  assert.equal((await row("SELECT count(*) AS n FROM deployments WHERE project_id = ?", id)).n, 0);
});

test("a service that does not come up says why, with the last lines of its container", async () => {
  koyeb.setRun({ statuses: ["STARTING", "ERROR"], messages: ["Instance exited with code 1"], end: ["Error: cannot bind", "at server.js:3"] });
  const deployment = await live((await project(SITE)).id);
  assert.equal(deployment.error, "Koyeb could not run it: Instance exited with code 1");
  assert.deepEqual(lines(deployment).slice(2), ["Building", "Built", "Error: cannot bind", "at server.js:3", deployment.error]);
  const unknown = await live((await project(SITE)).id, {}, { "x-koyeb-token": "koyeb-nobody-0123456789" });
  assert.match(unknown.error, /Koyeb refused the token: make one at app\.koyeb\.com/);
});

test("lost or late responses create nothing twice", async () => {
  const { id } = await project(SITE);
  koyeb.setFault(
    { cutAfterBytes: 0, path: "/v1/apps" },
    // The first asks whether there is a service, the second makes it.
    { delayMs: 1, path: "/v1/services" }, { cutAfterBytes: 0, path: "/v1/services" },
    { status: 429, headers: { "retry-after": "3" }, path: "/v1/deployments/" }, { garbage: true, path: "/v1/streams/logs/query" },
  );
  const deployment = await live(id);
  assert.equal(deployment.status, "live", deployment.error);
  assert.deepEqual([koyeb.apps.length, koyeb.services.length, koyeb.deployments.length], [1, 1, 1]);
  assert.match(deployment.logs, /Koyeb takes no more requests for now; trying again/);
  assert.equal(lines(deployment).filter((line) => line === "Built").length, 1);
});

test("a change whose response was lost is found again by its mark", async () => {
  const { id } = await project(SITE);
  await live(id);
  koyeb.setFault({ cutAfterBytes: 0, path: "/v1/services/" });
  assert.equal((await live(id)).status, "live");
  assert.equal(koyeb.deployments.length, 2);
});

test("a message that arrives three times makes one deployment, with each log line once", async () => {
  const id = await to((await project(SITE)).id);
  const { id: jobId } = await row("SELECT id FROM jobs WHERE subject_id = ?", id);
  await Promise.all([send(jobId), send(jobId), send(jobId)]);
  const deployment = await ended(id);
  assert.deepEqual([deployment.status, koyeb.deployments.length], ["live", 1]);
  assert.equal(new Set(lines(deployment)).size, lines(deployment).length);
});

test("two users never get each other's tokens", async () => {
  const [alices, bobs] = [await project(SITE, "Alice"), await project(SITE, "Bob")];
  const started = await Promise.all([
    to(alices.id, {}, { "x-koyeb-token": ALICE }), to(bobs.id, {}, { "x-koyeb-token": BOB }), to(alices.id, {}, { "x-koyeb-token": ALICE }),
  ]);
  for (const id of started) assert.equal((await ended(id)).status, "live");
  assert.deepEqual(koyeb.deployments.map(({ token }) => token).sort(), [ALICE, ALICE, BOB]);
  assert.deepEqual(koyeb.apps.map(({ name, token }) => `${name.split("-")[0]} ${token}`).sort(), [`alice ${ALICE}`, `bob ${BOB}`]);
  assert.equal((await row("SELECT count(*) AS n FROM deployments WHERE credential_sealed IS NOT NULL")).n, 0);
});

test("taken down, the service is deleted; deployed again, it has its address back", async () => {
  const { id } = await project(SITE);
  const { id: last, url } = await live(id);
  assert.equal((await api("DELETE", `/api/deploy/${last}`)).status, 202);
  await until(async () => (await (await api("GET", `/api/deploy/${last}`)).json()).takenDownAt, "its end");
  assert.deepEqual(koyeb.services.map(({ isDeleted }) => isDeleted), [true]);
  assert.equal((await live(id)).url, url);
});

/** The accounts whose services run. */
const running = () => koyeb.services.filter(({ isDeleted }) => !isDeleted).map(({ token }) => token).sort();
const takenDown = (id) => until(async () => (await (await api("GET", `/api/deploy/${id}`)).json()).takenDownAt, "its end");

test("an app is taken down with the credentials of its own account, never with another one's", async () => {
  const { id } = await project(SITE);
  const own = await live(id);
  const alices = await live(id, {}, { "x-koyeb-token": ALICE });
  assert.deepEqual([own.status, alices.status, running()], ["live", "live", [ALICE, OWN]]);
  const path = `/api/deploy/${alices.id}`;
  const { detail } = await problem(await api("DELETE", path), 409, "credentials_needed");
  assert.match(detail, /X-Koyeb-Token, as when it was deployed/);
  await problem(await api("DELETE", path, undefined, { "x-koyeb-token": BOB }), 409, "credentials_needed");
  assert.equal((await api("PUT", "/auth/credentials/koyeb", { token: BOB })).status, 200);
  await problem(await api("DELETE", path), 409, "credentials_needed");
  await api("DELETE", "/auth/credentials/koyeb");
  await problem(await api("DELETE", `/api/projects/${id}`), 409, "credentials_needed");
  assert.deepEqual(running(), [ALICE, OWN]);
  // The Worker's own app is taken down with the Worker's own token, whichever token is sent.
  assert.equal((await api("DELETE", `/api/deploy/${own.id}`, undefined, { "x-koyeb-token": ALICE })).status, 202);
  await takenDown(own.id);
  assert.deepEqual(running(), [ALICE]);
  assert.equal((await api("DELETE", path, undefined, { "x-koyeb-token": ALICE })).status, 202);
  await takenDown(alices.id);
  assert.deepEqual(running(), []);
});

test("a new token of the account takes down an app that the old one deployed, stored or sent", async () => {
  const { id } = await project(SITE);
  for (const headers of [{ "x-koyeb-token": RENEWED }, {}]) {
    const deployment = await live(id, {}, { "x-koyeb-token": ALICE });
    if (!headers["x-koyeb-token"]) await api("PUT", "/auth/credentials/koyeb", { token: RENEWED });
    assert.equal((await api("DELETE", `/api/deploy/${deployment.id}`, undefined, headers)).status, 202);
    await takenDown(deployment.id);
    assert.deepEqual(running(), []);
  }
  await api("DELETE", "/auth/credentials/koyeb");
});

test("an app without a recorded account is taken down only with the same token", async () => {
  const { id } = await project(SITE);
  const deployment = await live(id, {}, { "x-koyeb-token": ALICE });
  await sql("UPDATE cloud_apps SET source = NULL WHERE project_id = ?", id);
  for (const headers of [{}, { "x-koyeb-token": RENEWED }]) {
    await problem(await api("DELETE", `/api/deploy/${deployment.id}`, undefined, headers), 409, "credentials_needed");
  }
  assert.equal((await api("DELETE", `/api/deploy/${deployment.id}`, undefined, { "x-koyeb-token": ALICE })).status, 202);
  await takenDown(deployment.id);
});

test("a take-down with the Worker's own token fails if that belongs to another account now", async () => {
  const { id } = await project(SITE);
  const deployment = await live(id);
  koyeb.setFault({ status: 503, path: "/v1/apps", times: Infinity });
  assert.equal((await api("DELETE", `/api/deploy/${deployment.id}`)).status, 202);
  const jobs = "SELECT j.* FROM jobs j JOIN cloud_apps a ON a.id = j.subject_id WHERE a.project_id = ?";
  const job = await until(async () => (await sql(jobs, id)).find((each) => each.attempts > 0 && !each.lease_owner), "its first attempt");
  // As if it were the token of another account, which does not have the deployment.
  await sql("UPDATE cloud_apps SET place = 'token-of-before', deployment_id = 'unknown' WHERE project_id = ?", id);
  koyeb.setFault();
  await send(job.id);
  await until(async () => (await row("SELECT state FROM jobs WHERE id = ?", job.id)).state !== "queued", "its end");
  assert.match((await row("SELECT error FROM jobs WHERE id = ?", job.id)).error, /credentials for Koyeb .* are gone/);
  assert.deepEqual(running(), [OWN]);
});
