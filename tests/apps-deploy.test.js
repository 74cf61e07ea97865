// Where an app goes live after a turn: to the clouds, as the app's settings
// say, by the credentials that its owner has stored; and down again with it.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { PAGE, agents, call, finish, notices, scripted, texts } from "./support/agents.js";
import { claudeVars } from "./support/conversation.js";
import { deployments, until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startCloudflare } from "./fakes/cloudflare.js";
import { startEcr } from "./fakes/ecr.js";
import { startGitHub } from "./fakes/github.js";
import { startKoyeb } from "./fakes/koyeb.js";
import { startVercel } from "./fakes/vercel.js";
import { problem, rowCounts, startWorker } from "./support/harness.js";

const [GITHUB, KOYEB, VERCEL] = ["ghp_0123456789abcdefghijklmnopqrstuvwxyz", "koyeb-ada-0123456789", "vercel-ada-0123456789"];
const [claude, github, koyeb, vercel, ecr, cloudflare] = await Promise.all([
  startAnthropic(), startGitHub({ accounts: { [GITHUB]: "ada" } }), startKoyeb({ tokens: [KOYEB] }), startVercel({ tokens: [VERCEL] }), startEcr(), startCloudflare(),
]);
after(() => Promise.all([claude, github, koyeb, vercel, ecr, cloudflare].map((fake) => fake.close())));
const account = cloudflare.account();
const hatch = await startWorker({
  ...claudeVars(claude), GITHUB_API_URL: github.url, DAILY_MESSAGE_LIMIT: "1000", KOYEB_BASE_URL: koyeb.url, VERCEL_BASE_URL: vercel.url,
  CLOUDFLARE_BASE_URL: cloudflare.apiUrl, CLOUDFLARE_APP_URL: cloudflare.appUrlTemplate,
  ECR_BASE_URL: ecr.url, AWS_ACCESS_KEY_ID: ecr.keys.id, AWS_SECRET_ACCESS_KEY: ecr.keys.secret, AWS_REGION: "us-east-1",
});
const { api, sql } = hatch;
const me = { "x-github-token": GITHUB };
const { sendToEnd, send, show } = agents(hatch);
const { ended } = deployments(hatch);
const store = async (cloud, body) => assert.equal((await api("PUT", `/auth/credentials/${cloud}`, body)).ok, true);
await store("koyeb", { token: KOYEB });
await store("vercel", { token: VERCEL });
await store("cloudflare", { token: account.token, accountId: account.id });

beforeEach(() => {
  for (const fake of [claude, github, koyeb, vercel, ecr, cloudflare]) fake.reset();
});

let n = 0;
/** A turn after which the app goes where `settings` say, once it is there. */
async function built(settings, { headers, files = { "index.html": PAGE }, more = {} } = {}) {
  const name = `deployed-${(n += 1)}`;
  claude.setAnswer(scripted(Object.entries(files).map(([path, content]) => call("write_file", { path, content })), [finish({ name })]));
  const turn = await sendToEnd(`Build ${name}`, { settings, ...more }, headers);
  const { deploymentId } = turn.events.find(({ data }) => data.metadata?.type === "deployment_in_progress")?.data.metadata ?? {};
  const deployment = deploymentId && (await ended(deploymentId));
  return { ...turn, name, deployment };
}

const status = async (id) => (await (await api("GET", `/deployment-status/${id}`)).json()).type;
const definition = () => koyeb.deployments.at(-1).definition;

/** Deletes an app, and waits until what was made of it is gone. */
async function gone({ appId }, isGone) {
  assert.equal((await api("DELETE", `/apps/${appId}`)).status, 200);
  await until(isGone);
}

test("an app goes live at Koyeb from its files, clients get its status, and it is taken down with the app", async () => {
  const app = await built({ deployTarget: "koyeb" });
  assert.equal(app.deployment.status, "live", app.deployment.error);
  assert.deepEqual([await status(app.appId), await status(app.deployment.id)], ["HEALTHY", "HEALTHY"]);
  const shown = await show(app.appId);
  assert.deepEqual([shown.deployStatus, shown.appUrl], ["deployed", app.deployment.url]);
  assert.ok(definition().archive.id);
  await built(undefined, { more: { applicationId: app.appId }, files: { "index.html": `${PAGE}<!-- -->` } });
  assert.deepEqual([koyeb.apps.length, koyeb.services.length, koyeb.deployments.length], [1, 1, 2], "it goes where it went, and updates what is there");
  await gone(app, () => koyeb.services.every(({ isDeleted }) => isDeleted));
});

test("it goes live at Koyeb from the repository that the turn has committed to", async () => {
  const app = await built({ deployTarget: "koyeb", deployFrom: "repository", port: 3000 }, { headers: me, files: { "package.json": "{}", "index.html": PAGE } });
  assert.equal(app.deployment.status, "live", app.deployment.error);
  assert.deepEqual(notices(app.events), ["repo_created", "commit_created", "deployment_in_progress"]);
  assert.deepEqual(definition().git, { repository: `github.com/ada/${app.name}`, branch: "main", no_deploy_on_push: true, buildpack: {} });
  assert.deepEqual(definition().ports, [{ port: 3000, protocol: "http" }]);
  await built(undefined, { headers: me, more: { applicationId: app.appId }, files: { Dockerfile: "FROM node\n" } });
  assert.deepEqual(definition().git, { repository: `github.com/ada/${app.name}`, branch: "main", no_deploy_on_push: true, docker: {} });
  await gone(app, () => koyeb.services.every(({ isDeleted }) => isDeleted));
  assert.ok(github.repos.has(`ada/${app.name}`), "the repository is its owner's, and stays");
});

test("a version that is not in the repository is not deployed from there, and an event says so", async () => {
  const settings = { deployTarget: "koyeb", deployFrom: "repository" };
  const without = await built(settings);
  assert.equal(without.deployment, undefined);
  assert.match(texts(without.events).at(-1), /error deploying.*repository, which does not have this version yet/);
  const refused = await built(settings, { headers: { "x-github-token": "ghp_revoked" } });
  assert.match(texts(refused.events).at(-1), /repository, which does not have this version yet/);
  assert.equal(koyeb.deployments.length, 0);
});

test("it goes live at Koyeb from an image of Amazon's registry", async () => {
  const image = `${ecr.registry}/hatch/app:1`;
  const app = await built({ deployTarget: "koyeb", deployFrom: "image", image, port: 80 });
  // In development the operator's registry is everybody's.
  assert.equal(app.deployment.status, "live", app.deployment.error);
  assert.equal(definition().docker.image, image);
  const [secret] = koyeb.secrets;
  assert.deepEqual([secret.private_registry.url, definition().docker.image_registry_secret], [ecr.registry, secret.name]);
  assert.deepEqual(ecr.repositories, ["hatch/app"]);
  await gone(app, () => koyeb.services.every(({ isDeleted }) => isDeleted));
});

test("it goes live at Vercel, and is taken down with the app", async () => {
  const app = await built({ deployTarget: "vercel" });
  assert.equal(app.deployment.status, "live", app.deployment.error);
  assert.equal(vercel.deployments.at(-1).files["index.html"], PAGE);
  assert.equal(await status(app.appId), "HEALTHY");
  await gone(app, () => vercel.deployments.every(({ isDeleted }) => isDeleted));
});

test("it goes live at Cloudflare, and is taken down with the app", async () => {
  const app = await built({ deployTarget: "cloudflare" });
  assert.equal(app.deployment.status, "live", app.deployment.error);
  assert.equal(await (await fetch(app.deployment.url)).text(), PAGE);
  await gone(app, async () => (await fetch(app.deployment.url)).status === 404);
});

test("a failed deployment is an error in its status, and the next message can choose another target", async () => {
  koyeb.setRun({ statuses: ["STARTING", "ERROR"], messages: ["exit code 1"], log: [[], []], end: ["cannot bind"] });
  const app = await built({ deployTarget: "koyeb" });
  assert.equal(app.deployment.status, "failed");
  const answer = await (await api("GET", `/deployment-status/${app.appId}`)).json();
  assert.deepEqual([answer.type, answer.isDeployed], ["ERROR", false]);
  assert.match(answer.message, /exit code 1/);
  const next = await built({ deployTarget: "edge" }, { more: { applicationId: app.appId }, files: { "a.txt": "a" } });
  assert.equal(next.deployment.status, "live");
  assert.equal(await status(app.appId), "HEALTHY");
});

test("settings that make no sense are refused with an error that names them, and nothing is begun", async () => {
  const before = await rowCounts(hatch);
  for (const [settings, pointer] of [
    [{ deployTarget: "koyeb", deployFrom: "moon" }, "/settings/deployFrom"], [{ deployTarget: "koyeb", image: "https://x/y" }, "/settings/image"],
    [{ deployTarget: "vercel", image: "nginx" }, "/settings/deployTarget"], [{ deployTarget: "koyeb", port: 70_000 }, "/settings/port"],
    [{ deployTarget: "koyeb", deployFrom: "image" }, "/settings/image"], [{ deployTarget: 7 }, "/settings/deployTarget"],
  ]) {
    const { errors } = await problem(await send("Build it", { settings }), 400, "validation_failed");
    assert.equal(errors[0].pointer, pointer);
  }
  assert.deepEqual(await rowCounts(hatch), before);
});

test("tokens are in tables only sealed, and never in the log", async () => {
  const tokens = [GITHUB, KOYEB, VERCEL, account.token, ecr.keys.secret];
  for (const { name } of await sql("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '*_cf_*' AND name NOT GLOB 'sqlite_*'")) {
    const rows = JSON.stringify(await sql(`SELECT * FROM "${name}"`));
    for (const token of tokens) assert.ok(!rows.includes(token), name);
  }
  const log = JSON.stringify(hatch.harness.getLogs());
  for (const token of tokens) assert.ok(!log.includes(token));
});
