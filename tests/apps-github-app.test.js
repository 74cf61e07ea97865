// Which credentials commit apps in production: those of our GitHub App if an
// organisation has installed it, else those of the account that the caller has
// connected at Stack Auth.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, beforeEach, test } from "node:test";
import { PAGE, agents, builds, notices } from "./support/agents.js";
import { claudeVars } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startGitHub } from "./fakes/github.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { problem, startWorker } from "./support/harness.js";
import { STAFF_DOMAIN, as, people, production } from "./support/people.js";

const [ADAS, OTHERS] = ["gho_0123456789abcdefghijklmnopqrstuvwxyz", "ghp_9876543210abcdefghijklmnopqrstuvwxyz"];
const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pem = (type) => privateKey.export({ type, format: "pem" });
const ADMINISTRATION = { administration: "write", contents: "write", metadata: "read" };
const [claude, stack] = await Promise.all([startAnthropic(), startStackAuth({ secretKey: "ssk_0123456789abcdefghij" })]);
const github = await startGitHub({
  accounts: { [ADAS]: "ada", [OTHERS]: "eve" }, organisations: { guild: ["eve"], club: ["ada"] },
  apps: { 12345: { publicKey, installations: { guild: { id: 42, permissions: ADMINISTRATION }, readers: { id: 43, permissions: { metadata: "read" } } } } },
});
after(() => Promise.all([claude.close(), github.close(), stack.close()]));
const vars = {
  ...production(stack), ...claudeVars(claude), STACK_SECRET_SERVER_KEY: stack.secretKey, GITHUB_API_URL: github.url, SEALING_KEY: "0f".repeat(32), DAILY_MESSAGE_LIMIT: "100",
  GITHUB_APP_ID: "12345", GITHUB_APP_PRIVATE_KEY: pem("pkcs1"),
};
const hatch = await startWorker(vars);
const { mint, findNoSecret, secret } = people(hatch, stack);
[ADAS, OTHERS, stack.secretKey, pem("pkcs1").split("\n")[5]].forEach(secret);
const staff = (more = {}) => as(mint({ email: `ada@${STAFF_DOMAIN}`, email_verified: true, ...more }));
const post = (path, body, headers, { api } = hatch) => api("POST", path, body, headers);

beforeEach(() => {
  claude.reset();
  github.reset();
  claude.setAnswer(builds());
});

/** Makes, fills and changes a repository of an organisation. */
async function worksIn(owner, repo, headers, worker) {
  const paths = [{ path: "a.txt", content: "a" }];
  const requests = [["create-repo", { repo, owner }], ["initial-commit", { repo, owner, paths }], ["commit", { repo, owner, message: "More", paths: [{ path: "b.txt", content: "b" }] }]];
  for (const [route, body] of requests) {
    const response = await post(`/github/org/${route}`, body, headers, worker);
    assert.equal(response.status, 200, `${route}: ${await response.clone().text()}`);
  }
  assert.deepEqual(Object.keys(github.files(owner, repo)), ["README.md", "a.txt", "b.txt"]);
}

test("in an organisation that has installed the GitHub App, the App acts with tokens for one purpose each", async () => {
  await worksIn("guild", "made-by-app", staff());
  const grants = [...github.granted.values()].map(({ organisation, permissions, repositories }) => ({ organisation, permissions, repositories }));
  const commits = { organisation: "guild", permissions: { contents: "write" }, repositories: ["made-by-app"] };
  assert.deepEqual(grants, [{ organisation: "guild", permissions: { administration: "write" }, repositories: undefined }, commits, commits]);
  [...github.granted.keys()].forEach(secret);
});

test("its key may be PKCS#8 too, and have its line ends written as \\n", async () => {
  const others = await startWorker({ ...vars, GITHUB_APP_PRIVATE_KEY: pem("pkcs8").replaceAll("\n", "\\n") });
  await worksIn("guild", "made-by-pkcs8", staff(), others);
});

test("a token in the request comes first, and without the App the caller's account acts", async () => {
  github.granted.clear();
  await worksIn("guild", "made-by-eve", { ...staff(), "x-github-token": OTHERS });
  stack.connected["ada-at-stack"] = ADAS;
  await worksIn("club", "made-by-ada", staff({ sub: "ada-at-stack" }));
  assert.equal(github.granted.size, 0);
  const { detail } = await problem(await post("/github/org/create-repo", { repo: "x", owner: "club" }, staff()), 400, "github_not_connected");
  assert.match(detail, /Install the GitHub App/);
});

test("a missing permission of the App and an App that GitHub does not know are clear errors", async () => {
  const of = (worker, owner) => post("/github/org/create-repo", { repo: "x", owner }, staff(), worker);
  const lacking = await problem(await of(hatch, "readers"), 400, "github_refused");
  assert.match(lacking.detail, /permissions requested are not granted/);
  const gone = await problem(await post("/github/org/commit", { repo: "nothing", owner: "guild", paths: [{ path: "a", content: "b" }] }, staff()), 400, "github_refused");
  assert.match(gone.detail, /does not exist or is not accessible/);
  const unknown = await startWorker({ ...vars, GITHUB_APP_ID: "999" });
  assert.match((await problem(await of(unknown, "guild"), 400, "github_refused")).detail, /GITHUB_APP_ID/);
});

test("a user who is not staff does nothing with the App's token", async () => {
  github.granted.clear();
  const visitor = as(mint({ email: "eve@example.com", email_verified: true }));
  for (const route of ["create-repo", "initial-commit", "commit"]) {
    await problem(await post(`/github/org/${route}`, { repo: "x", owner: "guild", paths: [{ path: "a", content: "b" }] }, visitor), 403, "not_privileged");
  }
  assert.equal(github.granted.size, 0);
});

test("a turn commits to the account that its user has connected, without a token in the message", async () => {
  const sub = "ada-again";
  stack.connected[sub] = ADAS;
  const headers = as(mint({ sub, email: "ada@example.com", email_verified: true }));
  const { events } = await agents(hatch, headers).sendToEnd("A timer");
  assert.deepEqual(notices(events).slice(0, 2), ["repo_created", "commit_created"]);
  assert.equal(github.files("ada", "pomodoro-timer")["index.html"], PAGE);
  claude.setAnswer(builds());
  const unconnected = as(mint({ email: "bob@example.com", email_verified: true }));
  assert.deepEqual(notices((await agents(hatch, unconnected).sendToEnd("A timer")).events), ["deployment_in_progress", "deployment_complete"], "a user without a connected account has no repository");
});

test("no token and no key is in a table, a log or an answer", findNoSecret);
