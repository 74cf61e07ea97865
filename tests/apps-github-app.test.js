// By whose right apps are committed in production: our GitHub App's where an
// organisation has installed it, and else that of the account that the caller
// has connected at Stack Auth.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, beforeEach, test } from "node:test";
import { PAGE, agents, builds, notices } from "./agents.js";
import { claudeVars } from "./conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startGitHub } from "./fakes/github.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { problem, startWorker } from "./harness.js";
import { STAFF_DOMAIN, as, people, production } from "./people.js";

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
  const asked = [["create-repo", { repo, owner }], ["initial-commit", { repo, owner, paths }], ["commit", { repo, owner, message: "More", paths: [{ path: "b.txt", content: "b" }] }]];
  for (const [route, body] of asked) {
    const response = await post(`/github/org/${route}`, body, headers, worker);
    assert.equal(response.status, 200, `${route}: ${await response.clone().text()}`);
  }
  assert.deepEqual(Object.keys(github.files(owner, repo)), ["README.md", "a.txt", "b.txt"]);
}

test("where an organisation has installed the GitHub App, it acts there by tokens for one thing alone", async () => {
  await worksIn("guild", "made-by-app", staff());
  const grants = [...github.granted.values()].map(({ organisation, permissions, repositories }) => ({ organisation, permissions, repositories }));
  const commits = { organisation: "guild", permissions: { contents: "write" }, repositories: ["made-by-app"] };
  assert.deepEqual(grants, [{ organisation: "guild", permissions: { administration: "write" }, repositories: undefined }, commits, commits]);
  [...github.granted.keys()].forEach(secret);
});

test("its key is taken as PKCS#8 too, and where lines are written as \\n", async () => {
  const others = await startWorker({ ...vars, GITHUB_APP_PRIVATE_KEY: pem("pkcs8").replaceAll("\n", "\\n") });
  await worksIn("guild", "made-by-pkcs8", staff(), others);
});

test("a token that is sent comes first, and where the App is not installed the caller's account acts", async () => {
  github.granted.clear();
  await worksIn("guild", "made-by-eve", { ...staff(), "x-github-token": OTHERS });
  stack.connected["ada-at-stack"] = ADAS;
  await worksIn("club", "made-by-ada", staff({ sub: "ada-at-stack" }));
  assert.equal(github.granted.size, 0);
  const { detail } = await problem(await post("/github/org/create-repo", { repo: "x", owner: "club" }, staff()), 400, "github_not_connected");
  assert.match(detail, /Install the GitHub App/);
});

test("what the App may not do is told, and so is that GitHub does not know it", async () => {
  const of = (worker, owner) => post("/github/org/create-repo", { repo: "x", owner }, staff(), worker);
  const lacking = await problem(await of(hatch, "readers"), 400, "github_refused");
  assert.match(lacking.detail, /permissions requested are not granted/);
  const gone = await problem(await post("/github/org/commit", { repo: "nothing", owner: "guild", paths: [{ path: "a", content: "b" }] }, staff()), 400, "github_refused");
  assert.match(gone.detail, /does not exist or is not accessible/);
  const unknown = await startWorker({ ...vars, GITHUB_APP_ID: "999" });
  assert.match((await problem(await of(unknown, "guild"), 400, "github_refused")).detail, /GITHUB_APP_ID/);
});

test("who is no staff does nothing by the App's right", async () => {
  github.granted.clear();
  const visitor = as(mint({ email: "eve@example.com", email_verified: true }));
  for (const route of ["create-repo", "initial-commit", "commit"]) {
    await problem(await post(`/github/org/${route}`, { repo: "x", owner: "guild", paths: [{ path: "a", content: "b" }] }, visitor), 403, "not_privileged");
  }
  assert.equal(github.granted.size, 0);
});

test("a turn commits to the account that its user has connected, by no token of the message's", async () => {
  const sub = "ada-again";
  stack.connected[sub] = ADAS;
  const headers = as(mint({ sub, email: "ada@example.com", email_verified: true }));
  const { events } = await agents(hatch, headers).said("A timer");
  assert.deepEqual(notices(events).slice(0, 2), ["repo_created", "commit_created"]);
  assert.equal(github.files("ada", "pomodoro-timer")["index.html"], PAGE);
  claude.setAnswer(builds());
  const nobody = as(mint({ email: "bob@example.com", email_verified: true }));
  assert.deepEqual(notices((await agents(hatch, nobody).said("A timer")).events), ["deployment_in_progress", "deployment_complete"], "who has connected none has no repository");
});

test("no token and no key is in a table, a log or an answer", findNoSecret);
