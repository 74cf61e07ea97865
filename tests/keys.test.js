// API keys, which users give to programs, in production.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import test, { after } from "node:test";
import { crc32 } from "node:zlib";
import { until } from "./support/deployments.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { pages, problem, startWorker } from "./support/harness.js";
import { as, people, production, STAFF_DOMAIN } from "./support/people.js";

const stack = await startStackAuth();
after(() => stack.close());
const worker = await startWorker(production(stack));
const { api, sql } = worker;
const { ok, signIn, mint, newKey, rows, findNoSecret, secret } = people(worker, stack);

const DEFAULT_SCOPES = ["projects:read", "projects:write", "chat", "deploy"];
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const DAY_MS = 24 * 60 * 60 * 1000;

const ada = await signIn();

/** Whether a credential opens a list of projects. */
const status = async (token) => (await api("GET", "/api/projects", undefined, as(token))).status;

/** The digits of the CRC-32 at a key's end. */
function checksum(text) {
  const digits = [..."0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"];
  let [number, out] = [crc32(text), ""];
  for (let i = 0; i < 6; i++) [number, out] = [Math.floor(number / 62), digits[number % 62] + out];
  return out;
}

test("A new key is shown once, and works", async () => {
  const response = await api("POST", "/auth/keys", { name: "CI" }, as(ada.token));
  assert.equal(response.status, 201);
  const { id, key, hint, createdAt, ...others } = await response.json();
  secret(key);
  assert.equal(response.headers.get("location"), `/auth/keys/${id}`);
  assert.match(key, /^hk_live_[0-9A-Za-z]{49}$/);
  assert.equal(key.slice(-6), checksum(key.slice(0, -6)));
  assert.equal(hint, `hk_live_…${key.slice(-4)}`);
  assert.match(createdAt, TIME);
  assert.deepEqual(others, { name: "CI", scopes: DEFAULT_SCOPES, gateway: null, expiresAt: null, lastUsedAt: null, revokedAt: null });
  assert.deepEqual(await ok("GET", `/auth/keys/${id}`, undefined, ada.token), { id, hint, createdAt, ...others });
  const me = await ok("GET", "/auth/me", undefined, key);
  assert.deepEqual([me.id, me.credential, me.scopes], [ada.userId, "key", DEFAULT_SCOPES]);
});

test("A key is accepted in Authorization and in x-api-key, and nowhere else", async () => {
  const { key } = await newKey(ada.token);
  for (const headers of [as(key), { authorization: `bearer ${key}` }, { authorization: key }, { "x-api-key": key }]) {
    assert.equal((await api("GET", "/api/projects", undefined, headers)).status, 200, JSON.stringify(Object.keys(headers)));
  }
  for (const name of ["key", "api_key", "access_token", "token"]) {
    await problem(await api("GET", `/api/projects?${name}=${key}`), 401, "unauthorized");
  }
  await problem(await api("GET", "/api/projects", undefined, { cookie: `token=${key}` }), 401, "unauthorized");
});

test("The database has only a key's hash and its last four digits", async () => {
  const { id, key } = await newKey(ada.token);
  const [row] = await sql("SELECT * FROM api_keys WHERE id = ?", id);
  assert.equal(row.hash, createHash("sha256").update(key).digest("hex"));
  assert.ok(!JSON.stringify(row).includes(key.slice(8, 20)));
});

test("A mistyped, cut or invented key is refused by its checksum, and one that is not in the database too", async () => {
  const { key } = await newKey(ada.token);
  const flipped = key.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
  const swapped = key.replace(/^(hk_live_.{10})(.)(.)/, "$1$3$2");
  const detail = async (text) => (await problem(await api("GET", "/api/projects", undefined, as(text)), 401, "unauthorized")).detail;
  assert.match(await detail(flipped), /checksum/);
  if (swapped !== key) assert.match(await detail(swapped), /checksum/);
  for (const text of [key.slice(0, -1), `${key}0`, "hk_live_", `hk_live_${"é".repeat(24)}a`]) assert.match(await detail(encodeURI(text)), /incomplete/);
  const unknown = `hk_live_${"A".repeat(43)}`;
  assert.equal(await detail(unknown + checksum(unknown)), "The credential is not valid");
  // A key of another kind does not open what a key opens.
  const machine = `wk_${"A".repeat(43)}`;
  assert.equal(await detail(machine + checksum(machine)), "The credential is not valid");
});

test("A key can do only what its scopes allow", async () => {
  const { key } = await newKey(ada.token, { scopes: ["projects:read", "projects:read"] });
  assert.equal(await status(key), 200);
  const response = await api("POST", "/api/projects", { name: "No" }, as(key));
  assert.equal(response.headers.get("www-authenticate"), 'Bearer error="insufficient_scope"');
  assert.match((await problem(response, 403, "insufficient_scope")).detail, /projects:write/);
});

test("A key cannot create a stronger key", async () => {
  const { key } = await newKey(ada.token, { scopes: ["account", "chat"], expiresInDays: 2 });
  const before = await rows();
  for (const scopes of [["deploy"], ["account", "chat", "projects:read"], ["admin"], undefined]) {
    await problem(await api("POST", "/auth/keys", { name: "More", scopes }, as(key)), 403, "insufficient_scope");
  }
  const { api_keys, audit_log } = await rows();
  const without = (table) => table.map((row) => ({ ...JSON.parse(row), last_used_at: null }));
  assert.deepEqual([without(api_keys), audit_log], [without(before.api_keys), before.audit_log]);

  const parent = (await ok("GET", "/auth/keys", undefined, key)).find(({ scopes }) => scopes.join() === "chat,account");
  for (const expiresInDays of [undefined, 3, 3650]) {
    const { expiresAt } = await newKey(key, { scopes: ["chat"], expiresInDays });
    assert.equal(expiresAt, parent.expiresAt, `asked for ${expiresInDays} days`);
  }
  assert.ok((await newKey(key, { scopes: ["chat"], expiresInDays: 1 })).expiresAt < parent.expiresAt);
});

test("Only staff can create a key with the scope admin", async () => {
  await problem(await api("POST", "/auth/keys", { name: "No", scopes: ["admin"] }, as(ada.token)), 403, "insufficient_scope");
  const staff = { sub: randomUUID(), email: `eve@${STAFF_DOMAIN}`, email_verified: true };
  const { key } = await newKey(mint(staff), { scopes: ["admin"] });
  assert.equal((await api("GET", "/admin/jobs", undefined, as(key))).status, 200);
  // The key has not changed, but its user is not staff any more.
  await ok("GET", "/auth/me", undefined, mint({ ...staff, email_verified: false }));
  await problem(await api("GET", "/admin/jobs", undefined, as(key)), 403, "not_the_operator");
});

test("A key expires on its day", async () => {
  const { id, key, expiresAt, createdAt } = await newKey(ada.token, { expiresInDays: 30 });
  assert.equal(Date.parse(expiresAt) - Date.parse(createdAt), 30 * DAY_MS);
  assert.equal(await status(key), 200);
  await sql("UPDATE api_keys SET expires_at = ? WHERE id = ?", Date.now(), id);
  assert.match((await problem(await api("GET", "/api/projects", undefined, as(key)), 401, "unauthorized")).detail, /expired/);
});

test("A key's last use is recorded, at most once in five minutes", async () => {
  const { id, key } = await newKey(ada.token, { scopes: ["projects:read"] });
  const lastUsed = async () => (await ok("GET", `/auth/keys/${id}`, undefined, ada.token)).lastUsedAt;
  /** Uses the key, and waits until the use is recorded, if it is: the next request's use is recorded after it. */
  const use = async () => {
    await ok("GET", "/api/projects", undefined, key);
    const other = await newKey(ada.token);
    await ok("GET", "/api/projects", undefined, other.key);
    await until(async () => (await ok("GET", `/auth/keys/${other.id}`, undefined, ada.token)).lastUsedAt, "the note of a use");
  };
  assert.equal(await lastUsed(), null);
  await use();
  const first = await lastUsed();
  assert.match(first, TIME);
  await use();
  assert.equal(await lastUsed(), first);
  const long = Date.now() - 5 * 60 * 1000;
  await sql("UPDATE api_keys SET last_used_at = ? WHERE id = ?", long, id);
  await use();
  assert.ok(Date.parse(await lastUsed()) > long);
});

test("A revoked key is refused at once, and stays in the list", async () => {
  const { id, key } = await newKey(ada.token);
  assert.equal(await status(key), 200);
  const revoke = () => api("DELETE", `/auth/keys/${id}`, undefined, as(ada.token));
  assert.equal((await revoke()).status, 204);
  assert.match((await problem(await api("GET", "/api/projects", undefined, as(key)), 401, "unauthorized")).detail, /revoked/);
  await problem(await api("GET", `/auth/keys/${id}`, undefined, as(ada.token)), 404, "not_found");
  const listed = async () => (await ok("GET", "/auth/keys", undefined, ada.token)).find((key) => key.id === id);
  const { revokedAt } = await listed();
  assert.match(revokedAt, TIME);
  // Revoking it once more changes nothing, and is not in the audit log.
  assert.equal((await revoke()).status, 204);
  assert.equal((await listed()).revokedAt, revokedAt);
  assert.equal((await sql("SELECT count(*) AS n FROM audit_log WHERE action = 'key.revoke' AND subject = ?", id))[0].n, 1);
});

test("A key can revoke itself", async () => {
  const { id, key } = await newKey(ada.token, { scopes: ["account"] });
  assert.equal((await api("DELETE", `/auth/keys/${id}`, undefined, as(key))).status, 204);
  await problem(await api("GET", "/auth/keys", undefined, as(key)), 401, "unauthorized");
});

test("A list of keys has the caller's own, newest first, page by page", async () => {
  const bob = await signIn();
  const made = [];
  for (let n = 0; n < 5; n++) made.unshift(await newKey(bob.token, { name: `${n}` }));
  const headers = as(bob.token);
  const asBob = { ...worker, api: (method, path) => api(method, path, undefined, headers) };
  const seen = await Array.fromAsync(pages(asBob, "/auth/keys?limit=2"));
  assert.deepEqual(seen.map((page) => page.length), [2, 2, 1]);
  assert.deepEqual(seen.flat().map(({ id }) => id).sort(), made.map(({ id }) => id).sort());
  const times = seen.flat().map(({ createdAt }) => createdAt);
  assert.deepEqual(times, times.toSorted().reverse());
});

test("Another user's key is 404, and keeps working", async () => {
  const [eve, { id, key }] = [await signIn(), await newKey(ada.token)];
  for (const method of ["GET", "DELETE"]) {
    for (const other of [id, randomUUID()]) await problem(await api(method, `/auth/keys/${other}`, undefined, as(eve.token)), 404, "not_found");
  }
  assert.equal(await status(key), 200);
  assert.deepEqual(await ok("GET", "/auth/keys", undefined, eve.token), []);
});

test("A repeated creation makes one key, which only the first response shows", async () => {
  const headers = { ...as(ada.token), "idempotency-key": randomUUID() };
  const create = async () => {
    const response = await api("POST", "/auth/keys", { name: "Once" }, headers);
    assert.equal(response.status, 201);
    return response.json();
  };
  const [first, again] = [await create(), await create()];
  secret(first.key);
  assert.deepEqual({ ...again, key: first.key }, first);
  assert.equal(again.key, null);
  assert.equal((await sql("SELECT count(*) AS n FROM api_keys WHERE name = 'Once'"))[0].n, 1);
});

test("A deleted user's key is refused", async () => {
  const user = await signIn();
  const { key } = await newKey(user.token);
  await sql("DELETE FROM users WHERE id = ?", user.userId);
  await problem(await api("GET", "/api/projects", undefined, as(key)), 401, "unauthorized");
  // A key of the local developer does not work in production either.
  const { id, key: other } = await newKey(ada.token);
  await sql("UPDATE api_keys SET user_id = 'local-developer' WHERE id = ?", id);
  await problem(await api("GET", "/api/projects", undefined, as(other)), 401, "unauthorized");
});

test("No secret of these tests is in a row or in the log", findNoSecret);
