// Access in production: calls every route (routes.js) without a credential,
// with one that is not allowed, with another tenant's, and with the right one.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test, { after } from "node:test";
import { claudeVars } from "./support/conversation.js";
import { deployments } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startGitHub } from "./fakes/github.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { problem, startWorker } from "./support/harness.js";
import { ADMIN_TOKEN, as, people, production, STAFF_DOMAIN } from "./support/people.js";
import { named, ROUTES, rowOf } from "./support/routes.js";

const GITHUB = { ada: "gho_ada0123456789abcdefghijklmnopqrstuvw", eve: "gho_eve0123456789abcdefghijklmnopqrstuvw" };
const [stack, claude, github] = await Promise.all([
  startStackAuth(), startAnthropic(), startGitHub({ accounts: { [GITHUB.ada]: "ada", [GITHUB.eve]: "eve" }, organisations: { guild: ["ada"], circle: ["eve"] } }),
]);
after(() => Promise.all([stack.close(), claude.close(), github.close()]));
const limits = { DAILY_CHAT_LIMIT: "1000", DAILY_DEPLOY_LIMIT: "1000", DAILY_BUDGET_MICRO_USD: "1000000000" };
const worker = await startWorker({ ...production(stack), ...claudeVars(claude), ...limits, SEALING_KEY: "0f".repeat(32), PAYOUT_RATE: "1", GITHUB_API_URL: github.url, STACK_SECRET_SERVER_KEY: stack.secretKey });
const { api, sql, env } = worker;
const { ok, signIn, mint, newKey, rows, findNoSecret, secret } = people(worker, stack);
[claude.key, stack.secretKey, ...Object.values(GITHUB)].forEach(secret);

const PAGE = { "index.html": "<!doctype html><title>Page</title><p>hello" };
const IDENTITY = JSON.stringify({
  verification: { status: "not_requested", reason: null, block: null, verified_at: null },
  registration: { status: "not_configured", reason: null, network: null, transaction_hash: null, data: null },
});
/** The scopes by their names in the table. Any key may have them, except for the last. */
const SCOPES = {
  ProjectsRead: "projects:read", ProjectsWrite: "projects:write", Chat: "chat", Deploy: "deploy", Gateway: "gateway",
  FleetHeartbeat: "fleet:heartbeat", PaymentsWrite: "payments:write", Account: "account", FleetDeploy: "fleet:deploy",
};
const { FleetDeploy: _, ...ANYBODYS } = SCOPES;
const scopeOf = ({ access }) => access.match(/^Scope(?:OrOperator)?\((\w+)\)$/)?.[1];
const isOperatorsToo = ({ access }) => access.startsWith("ScopeOrOperator");

/** A tenant with a resource for every kind of id. */
async function tenant() {
  const session = await signIn();
  const headers = as(session.token);
  const { project, live } = deployments({ ...worker, api: (method, path, body) => api(method, path, body, headers) });
  const { id: projectId } = await project(PAGE, "An app of somebody's");
  const { id: deploymentId } = await live(projectId);
  const { id: keyId } = await newKey(session.token);
  await ok("PUT", "/auth/credentials/cloudflare", BODIES["PUT /auth/credentials/{target}"](), session.token);
  const [{ id: sessionId }] = await sql("SELECT id FROM sessions WHERE user_id = ?", session.userId);
  const startup = await startupOf(session.userId, projectId);
  await sql("INSERT INTO apps (id, user_id, app_name, tech_stack, trace_id, created_at, updated_at) VALUES (?1, ?2, 'app', 'static', 'x', 1, 1)", projectId, session.userId);
  await sql(
    `INSERT INTO app_turns (id, app_id, user_id, job_id, trace_id, message, origin, status, is_new_app, counted_day, created_at)
     VALUES (?1, ?2, ?3, ?1, 'x', 'A clock', 'https://hatch.example', 'done', 1, 1, 1)`, randomUUID(), projectId, session.userId,
  );
  await sql("INSERT INTO app_events (app_id, seq, turn_id, event, data, created_at) SELECT app_id, 1, id, 'user', '{\"message\":{\"kind\":\"UserMessage\",\"messages\":[]}}', 1 FROM app_turns WHERE app_id = ?1", projectId);
  const responseId = randomUUID();
  await sql("INSERT INTO model_responses (id, user_id, items, body, expires_at) VALUES (?1, ?2, '[]', '{}', 9e12)", responseId, session.userId);
  const completionId = `chatcmpl-${randomUUID()}`;
  await sql("INSERT INTO stored_completions (user_id, id, created_at, updated_at, model, metadata, messages, body) VALUES (?1, ?2, 1, 9e12, 'm', '{}', '[]', '{\"choices\":[]}')", session.userId, completionId);
  const answerId = randomUUID();
  await sql("INSERT INTO dynamic_app_responses (id, user_id, app_id, data, created_at) VALUES (?1, ?2, 'extract_content', '{}', 9e12)", answerId, session.userId);
  return { ...session, responseId, completionId, answerId, toolId: "extract_content", modelId: "anthropic/claude-sonnet-5-5", projectId, deploymentId, keyId, sessionId, target: "cloudflare", letterId: await deadLetter(), ...startup, ...(await machineOf(session)) };
}

/** A startup whose project this is, as a job leaves it; and one whose job was cancelled. */
async function startupOf(userId, projectId) {
  const [jobId, cancelledId] = [randomUUID(), randomUUID()];
  await env.FILES.put(projectId, "PK");
  for (const [id, job, status] of [[projectId, jobId, "completed"], [randomUUID(), cancelledId, "cancelled"]]) {
    await sql(
      `INSERT INTO startups (id, job_id, user_id, prompt, status, progress, name, archive, tagline, deck, deck_token, video, identity, created_at, updated_at)
       VALUES (?1, ?2, ?3, 'A clock', ?4, 100, 'Clock', ?5, 'Tick', 'deck', ?1, ?6, ?7, 1, 1)`,
      id, job, userId, status, JSON.stringify({ key: projectId, bytes: 2, etag: '"e"', slug: "clock" }),
      JSON.stringify({ video_url: null, thumbnail_url: null, duration: null, status: "not_configured" }), IDENTITY,
    );
    await sql(
      `INSERT INTO jobs (id, user_id, kind, subject_id, step, state, created_at, updated_at) VALUES (?1, ?2, 'generate', ?3, 'identity', ?4, 1, 1)`,
      job, userId, id, status === "completed" ? "done" : "failed",
    );
  }
  return { jobId, cancelledId };
}

let names = 0;
const newName = () => `app-${(names += 1)}`;

/** The tenant's resources on the fleet: a machine that beats, a deployment, a payment. */
async function machineOf({ token, wallet }) {
  const { walletAddress, token: machineToken } = await ok("POST", "/workers", {}, token);
  const about = { address: walletAddress };
  await ok("POST", "/heartbeat", BODIES["POST /heartbeat"](about), secret(machineToken));
  const { name } = await ok("POST", "/deployments", BODIES["POST /deployments"](about), token);
  const { id } = await ok("POST", "/payments", BODIES["POST /payments"](about), token);
  assert.equal(walletAddress, wallet.address.toLowerCase());
  return { ...about, machineToken, name, paymentId: String(id) };
}

async function deadLetter() {
  const id = randomUUID();
  await sql("INSERT INTO dead_letters (id, job_id, body, reason, created_at) VALUES (?1, ?1, '{}', 'poison', 1)", id);
  return id;
}

/** The value of a pattern's parameter. */
const IDS = {
  "/auth/keys/": "keyId", "/auth/credentials/": "target", "/auth/sessions/": "sessionId", "/api/projects/": "projectId", "/api/chat/": "projectId", "/api/deploy/": "deploymentId",
  "/api/discovery/": "projectId", "/api/generate/": "cancelledId", "/api/status/": "jobId", "/api/project/": "projectId", "/api/download/": "projectId",
  "/apps/": "projectId", "/deployment-status/": "deploymentId", "/admin/users/": "userId", "/admin/dead-letters/": "letterId", "/deployments/": "name", "/workers/": "address", "/payments/": "paymentId",
  "/v1/responses/": "responseId", "/v1/chat/completions/": "completionId", "/chat/completions/": "completionId", "/dynamic-apps/responses/": "answerId", "/dynamic-apps/": "toolId", "/v1/models/": "modelId", "/models/": "modelId", "/admin/models/": "modelId",
};
const FILES = { repo: "app", owner: "guild", paths: [{ path: "a.txt", content: "a" }] };
const HI = [{ role: "user", content: "Hi" }];
/** A valid body for every route that reads one, about a tenant's resources. */
const BODIES = {
  "POST /auth/keys": () => ({ name: "Another", scopes: ["account"] }),
  "PUT /auth/credentials/{target}": () => ({ token: secret("cloudflare-token-of-access-test"), accountId: "ab".repeat(16) }),
  "POST /api/projects": () => ({ name: "Another" }),
  "PATCH /api/projects/{id}": () => ({ name: "Renamed" }),
  "POST /api/projects/{id}/rollback": () => ({ version: 1 }),
  "POST /api/chat": ({ projectId }) => ({ projectId, message: "A clock" }),
  "POST /api/generate": () => ({ prompt: "A clock" }),
  "POST /api/deploy": ({ projectId }) => ({ projectId, code: { "index.html": "changed" } }),
  "POST /deployments": ({ address }) => ({ name: newName(), github: "https://github.com/acme/app", creator: address }),
  "PATCH /deployments/{name}/status": () => ({ status: "processing" }),
  "PATCH /deployments/{name}/env": () => ({ envVars: { KEY: "value" } }),
  "PATCH /deployments/{name}/replicas": () => ({ replicas: 2 }),
  "POST /heartbeat": ({ address }) => ({ walletAddress: address, timestamp: new Date().toISOString(), containers: [] }),
  "POST /heartbeat/ping": ({ address }) => ({ walletAddress: address, timestamp: new Date().toISOString() }),
  "POST /payments": ({ address }) => ({ name: `Rent of ${address}`, amount: "1", creator: address }),
  "POST /v1/chat/completions": ({ modelId }) => ({ model: modelId, messages: HI }),
  "POST /chat/completions": ({ modelId }) => ({ model: modelId, messages: HI }),
  "POST /v1/chat/completions/{id}": () => ({ metadata: {} }),
  "PUT /chat/completions/{id}": () => ({ title: "Clocks" }),
  "POST /chat/completions/{id}/feedback": () => ({ feedback: 1 }),
  "POST /chat/completions/{id}/check": () => ({ role: "user" }),
  "POST /dynamic-apps/{id}/execute": () => ({ url: "https://nobody.example/" }),
  "POST /v1/messages": ({ modelId }) => ({ model: modelId, messages: HI, max_tokens: 10 }),
  "POST /v1/messages/count_tokens": ({ modelId }) => ({ model: modelId, messages: HI }),
  "POST /v1/responses/input_tokens": ({ modelId }) => ({ model: modelId, input: "Hi" }),
  "POST /v1/responses/compact": ({ modelId }) => ({ model: modelId, input: "Hi" }),
  "POST /v1/responses": ({ modelId }) => ({ model: modelId, input: "Hi" }),
  "POST /v1/completions": ({ modelId }) => ({ model: modelId, prompt: "Hi" }),
  "POST /v1/embeddings": ({ modelId }) => ({ model: modelId, input: "Hi" }),
  "POST /v1/moderations": () => ({ input: "Hi" }),
  "PUT /v1/guardrails": () => ({ input: {} }),
  "PUT /admin/models": () => ({ models: { "a/b": { displayName: "B", context: 1, maxOutput: 1, capabilities: [], quality: 3, speed: 3, source: "test" } } }),
  "PUT /admin/models/{id}": () => ({ displayName: "Sonnet", context: 1000000, maxOutput: 128000, prices: null, above: null, capabilities: ["tools"], quality: 3, speed: 3, source: "test" }),
  "POST /message": ({ projectId }) => ({ message: "A clock", applicationId: projectId }),
  "POST /analytics/event": () => ({ eventType: "track" }),
  ...Object.fromEntries(["user", "org"].flatMap((kind) => [
    [`POST /github/${kind}/create-repo`, () => ({ repo: "app", owner: "guild" })], [`POST /github/${kind}/initial-commit`, () => FILES], [`POST /github/${kind}/commit`, () => FILES],
  ])),
  "PUT /admin/users/{id}": () => ({ dailyMessageLimit: 5 }),
  "POST /payments/payouts": ({ address }) => ({ walletAddress: address, from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" }),
};
const bodyOf = (route) => BODIES[rowOf(route)];
/** The status of a valid request with nothing to do, for a caller who has access. */
const UNFIT = {
  "POST /auth/logout": 409, "POST /admin/dead-letters/{id}/redrive": 409,
  ...Object.fromEntries(["user", "org"].flatMap((kind) => ["create-repo", "initial-commit", "commit"].map((verb) => [`POST /github/${kind}/${verb}`, 403]))),
  "POST /apps/{id}/pull": 400, // it has no repository
  "POST /v1/embeddings": 400, "POST /v1/responses/compact": 400, "POST /v1/responses/{id}/cancel": 400, "POST /v1/moderations": 404, // Anthropic has none
  "PATCH /api/v1/deployments/{name}/status": 409, // it is `processing` already
};
/** Public resources with ids, and resources whose names each user has for themselves. */
const SHARED = [
  "POST /api/discovery/{id}/remix", "GET /v1/models/{id}", "GET /models/{id}", "POST /dynamic-apps/{id}/execute",
  ...["GET", "PUT", "DELETE"].map((method) => `${method} /auth/credentials/{target}`),
];

/** A valid request for the tenant whose resources it names. */
function ask(route, owner, token, method = route.method) {
  let path = route.pattern;
  if (path.includes("{")) {
    // The startup generator's clients deploy with the project's id in the path of a deployment.
    const [, id] = named(route) === "POST /api/deploy/{id}" ? ["", "projectId"] : Object.entries(IDS).find(([prefix]) => path.startsWith(route.under + prefix)) ?? [];
    assert.ok(id, `IDS has nothing for ${named(route)}`);
    path = path.replace(/\{\w+\}/, owner[id]).replace("{version}", "1");
  }
  if (named(route) === "DELETE /auth/me") path += `?confirm=${owner.userId}`;
  if (route.readsBody) assert.ok(bodyOf(route), `BODIES has nothing for ${named(route)}`);
  const version = path.startsWith("/v1/messages") && { "anthropic-version": "2023-06-01" };
  return api(method, path, bodyOf(route)?.(owner), { ...(token && as(token)), ...version });
}

const CLOSED = ROUTES.filter(({ access }) => access !== "Public");
const SCOPED = CLOSED.filter(scopeOf);
const MACHINE = ROUTES.filter(({ access }) => access === "Machine");
const STAFF = ROUTES.filter(({ access }) => access === "Staff");
const OPERATOR = ROUTES.filter(({ access }) => access === "Operator");

/** Runs requests that may change no row of any table, except for the last use of keys. */
async function changingNothing(requests) {
  const state = async () => {
    const { api_keys, daily_counters, ...others } = await rows();
    return {
      ...others,
      api_keys: api_keys.map((row) => ({ ...JSON.parse(row), last_used_at: null })),
      // A count that was returned counts as none.
      daily_counters: daily_counters.filter((row) => JSON.parse(row).used > 0),
    };
  };
  const [before, asked] = [await state(), claude.requests.length];
  await requests();
  assert.deepEqual(await state(), before);
  assert.equal(claude.requests.length, asked, "Claude was asked");
}

const ada = await tenant();
const eve = await tenant();
const staff = mint({ email: `staff@${STAFF_DOMAIN}`, email_verified: true });
await ok("GET", "/auth/me", undefined, staff);

test("This file tests every access rule of the table", () => {
  for (const route of CLOSED) {
    const scope = scopeOf(route);
    assert.ok(scope ? SCOPES[scope] : ["User", "Machine", "Staff", "Operator"].includes(route.access), named(route));
  }
  assert.ok(SCOPED.length > 15 && STAFF.length > 0 && OPERATOR.length > 0);
});

test("Without a credential no closed route answers", () =>
  changingNothing(async () => {
    for (const route of CLOSED) {
      const response = await ask(route, ada);
      assert.equal(response.headers.get("www-authenticate"), "Bearer", named(route));
      await problem(response, 401, "unauthorized");
      if (route.method === "GET") assert.equal((await ask(route, ada, undefined, "HEAD")).status, 401, named(route));
    }
  }));

test("A key with every scope except the route's is refused", async () => {
  const keys = {};
  for (const [name, scope] of Object.entries(SCOPES)) {
    keys[name] = (await newKey(ada.token, { scopes: Object.values(ANYBODYS).filter((other) => other !== scope) })).key;
  }
  await changingNothing(async () => {
    for (const route of SCOPED) {
      const { detail } = await problem(await ask(route, ada, keys[scopeOf(route)]), 403, "insufficient_scope");
      assert.match(detail, new RegExp(SCOPES[scopeOf(route)]), named(route));
    }
  });
});

test("Users cannot use the routes of staff and of the operator, and staff cannot use the operator's", async () => {
  const { key } = await newKey(staff, { scopes: Object.values(SCOPES) });
  const { key: all } = await newKey(ada.token, { scopes: Object.values(ANYBODYS) });
  await changingNothing(async () => {
    for (const route of [...STAFF, ...OPERATOR]) {
      for (const token of [ada.token, all]) await problem(await ask(route, ada, token), 403, "not_the_operator");
    }
    for (const route of STAFF) await problem(await ask(route, ada, key), 403, "insufficient_scope");
    for (const route of OPERATOR) await problem(await ask(route, ada, staff), 403, "not_the_operator");
  });
});

test("The operator's token opens no route of a user", () =>
  changingNothing(async () => {
    for (const route of [...SCOPED.filter((each) => !isOperatorsToo(each)), ...CLOSED.filter(({ access }) => access === "User")]) {
      await problem(await ask(route, ada, ADMIN_TOKEN), 403, "not_a_user");
    }
  }));

test("A machine's token works only for its beats", () =>
  changingNothing(async () => {
    for (const route of CLOSED.filter((each) => !MACHINE.includes(each))) {
      await problem(await ask(route, ada, ada.machineToken), 403, "not_a_user");
    }
    for (const route of MACHINE) {
      await problem(await ask(route, ada, eve.machineToken), 403, "not_your_machine");
      for (const token of [ada.token, staff, ADMIN_TOKEN]) await problem(await ask(route, ada, token), 401, "unauthorized");
    }
  }));

test("A beat without a proof is not told its mistakes", () =>
  changingNothing(async () => {
    for (const { pattern } of MACHINE) {
      for (const body of ["", "{", "[]", "{}", '{"walletAddress":1}', "x".repeat(1_100_000)]) {
        await problem(await api("POST", pattern, body), 401, "unauthorized");
      }
    }
  }));

test("Another tenant's id looks like an unknown id, and nothing is changed or counted", () =>
  changingNothing(async () => {
    const nobody = { userId: eve.userId, ...Object.fromEntries(Object.values(IDS).map((id) => [id, randomUUID()])), address: `0x${"0".repeat(40)}`, name: "nobody", paymentId: "999999" };
    const told = async (route, response) => {
      const answer = await response.json();
      // For another tenant's machine two routes are 404, and two have an empty list.
      if (Array.isArray(answer)) return assert.deepEqual([response.status, answer], [200, []], named(route));
      const { request_id, ...others } = answer;
      // Errors of the startup generator's routes have no code.
      const code = "code" in others ? others.code : "not_found";
      if (response.status !== 200) assert.deepEqual([response.status, code], [404, "not_found"], named(route));
      else assert.ok(others.exists === false || others.status === "UNKNOWN", named(route));
      return others;
    };
    const isAbout = (route) => route.pattern.includes("{") || bodyOf(route)?.(ada).projectId;
    // Staff's scope covers all users.
    const about = SCOPED.filter((route) => !SHARED.includes(named(route)) && scopeOf(route) !== "FleetDeploy").filter(isAbout);
    assert.ok(about.length > 30);
    for (const route of about) {
      const others = await told(route, await ask(route, ada, eve.token));
      // A chat with an unused UUID begins a project of that id.
      const unknown = route.pattern === "/api/chat" ? { ...nobody, projectId: "nobody" } : nobody;
      assert.deepEqual(others, await told(route, await ask(route, unknown, eve.token)), named(route));
    }
  }));

test("A URL to an app's files is good for that app and for that use, and no credential is good without one", async () => {
  const urls = async ({ projectId, token }) => {
    const { readUrl, writeUrl } = await ok("GET", `/apps/${projectId}/read-url?write=true`, undefined, token);
    return { read: new URL(readUrl), write: new URL(writeUrl) };
  };
  const [adas, eves] = [await urls(ada), await urls(eve)];
  const zip = Buffer.from(await (await api("GET", adas.read.pathname + adas.read.search)).arrayBuffer());
  assert.ok(zip.length > 0);
  const archive = `/apps/${ada.projectId}/archive`;
  const other = (search) => search.replace(/signature=(.)/, (_, first) => `signature=${first === "0" ? "1" : "0"}`);
  const later = (search) => search.replace(/expires=(\d+)/, (_, at) => `expires=${Number(at) + 1}`);
  await changingNothing(async () => {
    for (const token of [undefined, ada.token, eve.token, staff, ADMIN_TOKEN]) {
      const headers = { ...(token && as(token)), "content-type": "application/zip" };
      const get = (search) => api("GET", archive + search, undefined, headers);
      const put = (search) => api("PUT", archive + search, zip.toString("latin1"), headers);
      for (const search of ["", eves.read.search, adas.write.search, other(adas.read.search), later(adas.read.search)]) await problem(await get(search), 403, "not_signed");
      for (const search of ["", eves.write.search, adas.read.search, other(adas.write.search), later(adas.write.search)]) await problem(await put(search), 403, "not_signed");
    }
  });
});

test("Staff act at GitHub each by the account that they have connected, and by nobody else's", async () => {
  Object.assign(stack.connected, GITHUB);
  const of = (sub) => mint({ sub, email: `${sub}@${STAFF_DOMAIN}`, email_verified: true });
  const post = (kind, verb, body, token) => api("POST", `/github/${kind}/${verb}`, body, as(token));
  for (const [kind, owner] of [["user", "ada"], ["org", "guild"]]) {
    const body = { repo: "of-ada", owner };
    assert.equal((await post(kind, "create-repo", body, of("ada"))).status, 200);
    github.reset();
    for (const verb of ["initial-commit", "commit"]) await problem(await post(kind, verb, { ...FILES, ...body }, of("eve")), 400, "github_refused");
    if (kind === "org") await problem(await post(kind, "create-repo", { ...body, repo: "of-eve" }, of("eve")), 400, "github_refused");
    assert.ok(github.requests.length > 0);
    for (const { headers } of github.requests) assert.equal(headers.authorization, `Bearer ${GITHUB.eve}`);
    assert.equal((await post(kind, "initial-commit", { ...FILES, ...body }, of("ada"))).status, 200);
    await problem(await post(kind, "commit", { ...FILES, ...body }, of("nobody")), 400, "github_not_connected");
    assert.deepEqual(Object.keys(github.files(owner, "of-ada")), ["README.md", "a.txt"]);
  }
});

test("No list and no export contains another tenant's data", async () => {
  const lists = CLOSED.filter(({ method, pattern }) => method === "GET" && !pattern.includes("{") && !pattern.startsWith("/admin") && pattern !== "/metrics");
  assert.ok(lists.length >= 4);
  for (const route of lists) {
    const text = await (await ask(route, eve, eve.token)).text();
    for (const id of ["userId", "projectId", "deploymentId", "keyId", "address"]) assert.ok(!text.includes(ada[id]), `${named(route)}: ${id}`);
  }
});

test("Another tenant cannot delete the account of the first by naming it", () =>
  changingNothing(async () => {
    const route = ROUTES.find((each) => named(each) === "DELETE /auth/me");
    await problem(await ask(route, ada, eve.token), 409, "not_confirmed");
  }));

test("Any user may remix a live app into a project of their own", async () => {
  const route = ROUTES.find((each) => named(each) === SHARED[0]);
  const response = await ask(route, ada, eve.token);
  assert.equal(response.status, 201);
  assert.equal((await response.json()).userId, eve.userId);
});

test("A credential with exactly the route's scope opens every route", async () => {
  // Routes that delete have a tenant of their own, and run last.
  const ordered = [...CLOSED.filter(({ method }) => method !== "DELETE"), ...CLOSED.filter(({ method }) => method === "DELETE")];
  const whole = await tenant();
  for (const route of ordered) {
    const owner = route.method === "DELETE" ? await tenant() : whole;
    const scope = SCOPES[scopeOf(route)] ?? "gateway";
    // Only staff can give a key the scope for all users' deployments.
    const person = async () => (await newKey(scope === SCOPES.FleetDeploy ? staff : owner.token, { scopes: [scope] })).key;
    const token = { Staff: () => staff, Operator: () => ADMIN_TOKEN, Machine: () => owner.machineToken }[route.access] ?? person;
    const response = await ask(route, owner, await token());
    const text = await response.text();
    const expected = UNFIT[named(route)] ?? { true: response.status }[response.ok];
    assert.equal(response.status, expected, `${named(route)}: ${response.status} ${text.slice(0, 200)}`);
    if (named(route) === "POST /auth/keys") secret(JSON.parse(text).key);
    if (route.access === "Staff") assert.equal((await ask(route, owner, ADMIN_TOKEN)).status, 200, named(route));
    if (isOperatorsToo(route) && route.method === "GET") assert.equal((await ask(route, owner, ADMIN_TOKEN)).status, 200, named(route));
  }
});

test("No secret of these tests is in a row or in the log", findNoSecret);
