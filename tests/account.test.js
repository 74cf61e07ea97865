// The account: a wallet and a Stack Auth user in one, its export, and its
// deletion.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test, { after } from "node:test";
import { deployments, until } from "./support/deployments.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { startVercel } from "./fakes/vercel.js";
import { problem, startWorker } from "./support/harness.js";
import { as, newWallet, people, production } from "./support/people.js";

const [stack, vercel] = [await startStackAuth(), await startVercel()];
after(() => Promise.all([stack.close(), vercel.close()]));
const worker = await startWorker({ ...production(stack), VERCEL_BASE_URL: vercel.url, DAILY_DEPLOY_LIMIT: "20", SEALING_KEY: "0f".repeat(32) });
const { api, sql } = worker;
const { ok, challenge, verify, signIn, mint, newKey, rows, findNoSecret, secret } = people(worker, stack);

const PAGE = { "index.html": "<!doctype html><title>Page</title><p>hello" };

/** A user of Stack Auth: a token that lasts, and their id. */
async function stackUser(claims = {}) {
  const token = mint({ sub: randomUUID(), ...claims });
  return { token, userId: (await ok("GET", "/auth/me", undefined, token)).id };
}

const authorised = (token) => ({ ...worker, api: (method, path, body, headers) => api(method, path, body, { ...as(token), ...headers }) });

/** A project with a live app, a message, and a key: something in every table that has an owner. */
async function settle({ token, userId }) {
  const { project, live } = deployments(authorised(token));
  const own = await project(PAGE, "Settled");
  const deployment = await live(own.id);
  assert.equal(deployment.status, "live", deployment.logs);
  await sql(
    "INSERT INTO chat_messages (id, project_id, user_id, seq, role, content, status, created_at) VALUES (?, ?, ?, 1, 'user', 'Hello', 'complete', 1)",
    randomUUID(), own.id, userId,
  );
  const { id, key } = await newKey(token, { scopes: ["projects:read", "account"] });
  return { project: own, deployment, url: deployment.url, keyId: id, key };
}

/** The rows of all tables that name one of these ids, without values that change by themselves. */
async function owned(...ids) {
  const all = await rows();
  const of = (lines) => lines.filter((line) => ids.some((id) => line.includes(id))).map((line) => ({ ...JSON.parse(line), last_used_at: 0 }));
  return Object.fromEntries(Object.entries(all).map(([table, lines]) => [table, of(lines)]).filter(([, lines]) => lines.length > 0));
}

/** Links a wallet to the account with this token. */
async function link(wallet, token, status = 200) {
  const response = await verify(wallet, (await challenge(wallet)).message, { token });
  if (status !== 200) return problem(response, status, status === 409 ? "wallet_not_linked" : "insufficient_scope");
  assert.equal(response.status, 200, await response.clone().text());
  const session = await response.json();
  secret(session.token);
  return session;
}

// --- One account out of two ---------------------------------------------------

test("A linked wallet signs in to the account that it was linked to", async () => {
  const [{ token, userId }, wallet] = [await stackUser({ name: "Ada" }), newWallet()];
  const session = await link(wallet, token);
  assert.equal(session.userId, userId);
  const again = await signIn(wallet);
  assert.equal(again.userId, userId);
  const me = await ok("GET", "/auth/me", undefined, again.token);
  assert.deepEqual([me.id, me.name, me.wallet], [userId, "Ada", wallet.address.toLowerCase()]);
  // Linking it once more only signs in.
  assert.equal((await link(wallet, token)).userId, userId);
  assert.equal((await sql("SELECT count(*) AS n FROM audit_log WHERE action = 'wallet.link' AND actor = ?", userId))[0].n, 1);
});

test("Linking a wallet moves its own account's data, and no other account's", async () => {
  const [alone, stranger, ada] = [await signIn(), await signIn(), await stackUser()];
  const [had, foreign] = [await settle(alone), await settle(stranger)];
  const own = (await ok("POST", "/api/projects", { name: "Own" }, ada.token)).id;
  const strangers = await owned(stranger.userId, foreign.project.id);
  const [used] = await sql("SELECT used FROM daily_counters WHERE user_id = ?", alone.userId);
  await link(alone.wallet, ada.token);

  assert.deepEqual((await ok("GET", "/api/projects", undefined, ada.token)).map(({ id }) => id).sort(), [had.project.id, own].sort());
  const [deployment, [message]] = [await ok("GET", `/api/deploy/${had.deployment.id}`, undefined, ada.token), await ok("GET", `/api/chat/${had.project.id}`, undefined, ada.token)];
  assert.deepEqual([deployment.status, message.content], ["live", "Hello"]);
  assert.equal((await fetch(had.url)).status, 200);
  assert.deepEqual(await sql("SELECT used FROM daily_counters WHERE user_id = ?", ada.userId), [used]);
  // Its credentials speak for the whole account now, and can do what they could.
  for (const token of [alone.token, had.key]) assert.equal((await ok("GET", "/auth/me", undefined, token)).id, ada.userId);
  await problem(await api("POST", "/api/projects", { name: "No" }, as(had.key)), 403, "insufficient_scope");

  const left = await owned(alone.userId);
  assert.deepEqual(Object.keys(left), ["audit_log"]);
  assert.deepEqual(await owned(stranger.userId, foreign.project.id), strangers);
});

test("A wallet is not linked while a deployment uses credentials that are sealed to its account", async () => {
  const [alone, ada] = [await signIn(), await stackUser()];
  const token = "vercel-token-0123456789";
  const { project, ended, show } = deployments(authorised(alone.token));
  const headers = { ...as(alone.token), "x-vercel-token": token };
  const { id } = await project(PAGE, "Sealed");
  const held = async (path, begin) => {
    vercel.reset();
    vercel.setFault({ hang: true, path });
    const answer = await begin();
    assert.equal(answer.status, 202, await answer.clone().text());
    await until(() => vercel.requests.some(({ fault }) => fault?.hang), "the cloud's work");
    assert.match((await link(alone.wallet, ada.token, 409)).detail, /being changed right now/);
    vercel.release();
    return (await answer.json()).deploymentId;
  };
  const deploymentId = await held("/v13/deployments", () => worker.api("POST", "/api/deploy", { projectId: id, target: "vercel" }, headers));
  assert.equal((await ended(deploymentId)).status, "live");
  await held("/v6/deployments", () => worker.api("DELETE", `/api/deploy/${deploymentId}`, undefined, headers));
  await until(async () => (await show(deploymentId)).takenDownAt, "its end");
  assert.equal((await link(alone.wallet, ada.token)).userId, ada.userId);
});

test("A wallet of an account with another sign-in, and a second wallet, are refused and change nothing", async () => {
  const [ada, bob, plain] = [await stackUser(), await stackUser(), await signIn()];
  const [first, second] = [newWallet(), newWallet()];
  await link(first, ada.token);
  const had = await settle(ada);
  const before = await owned(ada.userId, bob.userId, plain.userId, had.project.id);
  assert.match((await link(first, bob.token, 409)).detail, /another account/);
  assert.match((await link(second, ada.token, 409)).detail, /another wallet/);
  assert.match((await link(second, plain.token, 409)).detail, /another wallet/);
  assert.match((await link(plain.wallet, ada.token, 409)).detail, /another wallet/);
  assert.match((await link(second, had.key, 403)).detail, /not by an API key/);
  assert.deepEqual(await owned(ada.userId, bob.userId, plain.userId, had.project.id), before);
});

test("A key that tries to link a wallet does not consume its challenge", async () => {
  const { token } = await signIn();
  const { key } = await newKey(token);
  const wallet = newWallet();
  const { message } = await challenge(wallet);
  await problem(await verify(wallet, message, { token: key }), 403, "insufficient_scope");
  assert.equal((await verify(wallet, message)).status, 200);
});

test("If two accounts link one wallet at once, one gets it with its data and the other is unchanged", async () => {
  const [alone, ada, bob] = [await signIn(), await stackUser(), await stackUser()];
  const { id } = await ok("POST", "/api/projects", { name: "Mine" }, alone.token);
  const texts = [await challenge(alone.wallet), await challenge(alone.wallet)];
  const answers = await Promise.all([ada, bob].map(({ token }, i) => verify(alone.wallet, texts[i].message, { token })));
  for (const answer of answers.filter(({ status }) => status === 200)) secret((await answer.json()).token);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
  const [winner, loser] = answers[0].status === 200 ? [ada, bob] : [bob, ada];
  assert.equal((await ok("GET", `/api/projects/${id}`, undefined, winner.token)).id, id);
  assert.deepEqual(await ok("GET", "/api/projects", undefined, loser.token), []);
  assert.equal((await ok("GET", "/auth/me", undefined, loser.token)).wallet, null);
});

test("If two wallets are linked to one account at once, one is linked and the other keeps its data", async () => {
  const [first, second, ada] = [await signIn(), await signIn(), await stackUser()];
  const made = await Promise.all([first, second].map(({ token }) => ok("POST", "/api/projects", { name: "Mine" }, token)));
  const texts = await Promise.all([first, second].map(({ wallet }) => challenge(wallet)));
  const answers = await Promise.all([first, second].map(({ wallet }, i) => verify(wallet, texts[i].message, { token: ada.token })));
  for (const answer of answers.filter(({ status }) => status === 200)) secret((await answer.json()).token);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
  const lost = answers[0].status === 200 ? 1 : 0;
  const other = [first, second][lost];
  assert.deepEqual((await ok("GET", "/api/projects", undefined, other.token)).map(({ id }) => id), [made[lost].id]);
  assert.equal((await ok("GET", "/auth/me", undefined, other.token)).id, other.userId);
  assert.deepEqual((await ok("GET", "/api/projects", undefined, ada.token)).map(({ id }) => id), [made[1 - lost].id]);
});

// --- The export ---------------------------------------------------------------

const take = async (token) => {
  const response = await api("GET", "/auth/export", undefined, as(token));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-disposition"), 'attachment; filename="hatch-export.json"');
  assert.equal(response.headers.get("content-type"), "application/json");
  return response.json();
};

/** So many projects of a user, each with a version, in one statement. */
async function fill(userId, count, code) {
  await sql(
    `INSERT INTO projects (id, user_id, name, code, version, created_at, updated_at)
     SELECT value, ?1, 'Project ' || key, ?3, 1, 1000 + key / 7, 1000 FROM json_each(?2)`,
    userId, JSON.stringify(Array.from({ length: count }, () => randomUUID())), code,
  );
  await sql(
    `INSERT INTO project_versions (project_id, version, code, origin, created_at)
     SELECT id, 1, code, 'update', 1 FROM projects WHERE user_id = ?1 AND code IS NOT NULL ON CONFLICT DO NOTHING`,
    userId,
  );
}

test("An export has all of the user's data, no secrets and no other user's data", async () => {
  const [ada, stranger] = [await signIn(), await signIn()];
  const [had, foreign] = [await settle(ada), await settle(stranger)];
  const all = await take(ada.token);
  assert.deepEqual(Object.keys(all), ["user", "keys", "sessions", "projects", "versions", "messages", "deployments", "modelCalls", "guardrails", "storedCompletions", "dynamicAppResponses", "startups", "apps", "appMessages", "fleetDeployments", "machines", "uptime", "payments", "credentials"]);
  assert.deepEqual([all.user.id, all.user.wallet], [ada.userId, ada.wallet.address.toLowerCase()]);
  assert.deepEqual(all.keys.map(({ id }) => id), [had.keyId]);
  assert.equal(all.sessions.length, 1);
  assert.deepEqual(all.projects, [await ok("GET", `/api/projects/${had.project.id}`, undefined, ada.token)]);
  assert.deepEqual(all.versions.map(({ projectId, version, code }) => [projectId, version, JSON.parse(code)]), [[had.project.id, 1, PAGE]]);
  assert.deepEqual(all.messages.map(({ projectId, content }) => [projectId, content]), [[had.project.id, "Hello"]]);
  assert.deepEqual(all.deployments.map(({ id, status, url }) => [id, status, url]), [[had.deployment.id, "live", had.url]]);
  const text = JSON.stringify(all);
  for (const hidden of [ada.token, had.key, foreign.project.id, stranger.userId, "hash"]) assert.ok(!text.includes(hidden), hidden);
});

test("An export has the user's data on the fleet, no secrets and no other user's data", async () => {
  const [ada, stranger] = [await signIn(), await signIn()];
  const at = Math.floor(Date.now() / 1000) * 1000 - 3 * 3_600_000;
  const iso = (ms) => new Date(ms).toISOString();
  const settleOnFleet = async ({ token, wallet }, name) => {
    const creator = wallet.address.toLowerCase();
    const variable = secret(`a-secret-variable-${name}`);
    await ok("POST", "/deployments", { name, github: "https://github.com/acme/app", creator, envVars: { KEY: variable } }, token);
    const { token: machine } = await ok("POST", "/workers", {}, token);
    for (const ms of [at, at + 60_000, at + 3_600_000]) await ok("POST", "/heartbeat", { walletAddress: creator, timestamp: iso(ms), containers: [{ name: `of-${name}` }] }, secret(machine));
    for (const amount of ["1", "2"]) await ok("POST", "/payments", { name: `for ${name}`, amount, creator }, token);
    return { creator, machine, variable };
  };
  const [had, foreign] = [await settleOnFleet(ada, "adas"), await settleOnFleet(stranger, "strangers")];
  // And one that another user entered for their wallet.
  await ok("POST", "/payments", { name: "from a stranger", amount: "3", creator: had.creator }, stranger.token);

  const all = await take(ada.token);
  assert.deepEqual(all.fleetDeployments.map(({ name, creator, envVarNames, status }) => [name, creator, envVarNames, status]), [["adas", had.creator, ["KEY"], "pending"]]);
  assert.deepEqual(all.machines.map(({ walletAddress, containers, startTime }) => [walletAddress, containers, startTime]), [[had.creator, [{ containerName: "of-adas" }], iso(at + 3_600_000)]]);
  assert.deepEqual(all.uptime, [{ walletAddress: had.creator, timeFrom: iso(at), timeTo: iso(at + 60_000) }]);
  assert.deepEqual(all.payments.map(({ name, amount }) => [name, amount]), [["from a stranger", "3"], ["for adas", "2"], ["for adas", "1"]]);
  const text = JSON.stringify(all);
  for (const hidden of [had.variable, had.machine, foreign.creator, "strangers", "sealed", "hash"]) assert.ok(!text.includes(hidden), hidden);
});

test("The export of an empty account is complete", async () => {
  const { token, userId } = await signIn();
  const { user, sessions, ...lists } = await take(token);
  assert.equal(user.id, userId);
  assert.equal(sessions.length, 1);
  assert.deepEqual(lists, { keys: [], projects: [], versions: [], messages: [], deployments: [], startups: [], apps: [], appMessages: [], fleetDeployments: [], machines: [], uptime: [], payments: [], credentials: [], modelCalls: [], guardrails: [], storedCompletions: [], dynamicAppResponses: [] });
});

test("An export of many pages has every row once", async () => {
  const { token, userId } = await signIn();
  await fill(userId, 100, null);
  assert.equal((await take(token)).projects.length, 100);
  await fill(`${userId}-more`, 153, '{"a.txt":"x"}');
  await sql("UPDATE projects SET user_id = ? WHERE user_id = ?", userId, `${userId}-more`);
  const { projects, versions } = await take(token);
  assert.deepEqual([projects.length, new Set(projects.map(({ id }) => id)).size], [253, 253]);
  assert.deepEqual([versions.length, new Set(versions.map(({ projectId }) => projectId)).size], [153, 153]);
});

test("An export of projects with much code comes in as many pieces as it takes", async () => {
  const { token, userId } = await signIn();
  const code = JSON.stringify({ "a.txt": '"\\\n'.repeat(100_000) });
  await fill(userId, 5, code);
  const { projects, versions } = await take(token);
  assert.deepEqual(projects.map((project) => project.code === code), Array(5).fill(true));
  assert.deepEqual(versions.map((version) => version.code === code), Array(5).fill(true));
});

// --- The deletion -------------------------------------------------------------

test("An account is deleted only if the request names its id", async () => {
  const [ada, stranger] = [await signIn(), await signIn()];
  const before = await owned(ada.userId, stranger.userId);
  for (const query of ["", "?confirm=", "?confirm=true", `?confirm=${stranger.userId}`, `?confirm=${ada.userId}x`, `?confirm=x&confirm=${ada.userId}`]) {
    await problem(await api("DELETE", `/auth/me${query}`, undefined, as(ada.token)), 409, "not_confirmed");
  }
  const { key } = await newKey(ada.token);
  await problem(await api("DELETE", `/auth/me?confirm=${ada.userId}`, undefined, as(key)), 403, "insufficient_scope");
  const { api_keys, audit_log, ...others } = await owned(ada.userId, stranger.userId);
  assert.deepEqual({ ...others, audit_log: audit_log.slice(0, before.audit_log.length) }, before);
});

test("A deleted account leaves only ids in the audit log and the day's counters, and other accounts unchanged", async () => {
  const [ada, stranger] = [await signIn(), await signIn()];
  const [had, foreign] = [await settle(ada), await settle(stranger)];
  await api("POST", "/api/projects", { name: "Once" }, { ...as(ada.token), "idempotency-key": "before-the-end" });
  await challenge(ada.wallet);
  const strangers = await owned(stranger.userId, foreign.project.id);
  assert.equal((await fetch(had.url)).status, 200);

  assert.equal((await api("DELETE", `/auth/me?confirm=${ada.userId}`, undefined, as(ada.token))).status, 204);
  for (const token of [ada.token, had.key]) await problem(await api("GET", "/auth/me", undefined, as(token)), 401, "unauthorized");
  for (const path of ["", "index.html"]) assert.equal((await fetch(new URL(path, had.url))).status, 404);
  const listed = await (await api("GET", "/api/discovery?limit=100")).json();
  assert.deepEqual(listed.filter(({ id }) => id === had.project.id), []);

  const [slug] = had.url.match(/[a-z0-9-]+(?=\/$)/);
  const left = await owned(ada.userId, had.project.id, had.deployment.id, had.keyId, slug, ada.wallet.address.toLowerCase());
  assert.deepEqual(Object.keys(left), ["daily_counters", "audit_log"]);
  assert.equal(left.audit_log.at(-1).action, "account.delete");
  assert.deepEqual(await owned(stranger.userId, foreign.project.id), strangers);
  assert.equal((await fetch(foreign.url)).status, 200);

  // The wallet gets a new account, but keeps the day's counters.
  const anew = await signIn(ada.wallet);
  assert.equal(anew.userId, ada.userId);
  assert.deepEqual(await ok("GET", "/api/projects", undefined, anew.token), []);
});

test("A Stack Auth user who deletes the account gets a new one with the next request, but keeps the day's counters", async () => {
  const { token, userId } = await stackUser({ name: "Ada" });
  await ok("POST", "/api/projects", { name: "Mine" }, token);
  assert.equal((await api("DELETE", `/auth/me?confirm=${userId}`, undefined, as(token))).status, 204);
  assert.equal((await ok("GET", "/auth/me", undefined, token)).id, userId);
  assert.deepEqual(await ok("GET", "/api/projects", undefined, token), []);
});

test("No secret of these tests is in a row or in the log", findNoSecret);
