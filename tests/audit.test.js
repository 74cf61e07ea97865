// The audit log: its entries, that they cannot be changed, and that a change by
// someone with access to the database is detected.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import test, { after } from "node:test";
import { startStackAuth } from "./fakes/stack-auth.js";
import { pages, problem, startWorker } from "./support/harness.js";
import { ADMIN_TOKEN, as, people, production, STAFF_DOMAIN } from "./support/people.js";

const stack = await startStackAuth();
after(() => stack.close());
const worker = await startWorker(production(stack));
const { api, sql } = worker;
const { ok, signIn, mint, newKey, rows, findNoSecret } = people(worker, stack);

const verdict = () => ok("GET", "/admin/audit/verify", undefined, ADMIN_TOKEN);
const newest = async (limit = 1) => ok("GET", `/admin/audit?limit=${limit}`, undefined, ADMIN_TOKEN);

/** Some entries of a new user. */
async function busy() {
  const user = await signIn();
  const { id } = await newKey(user.token);
  await ok("DELETE", `/auth/keys/${id}`, undefined, user.token);
  return { ...user, keyId: id };
}

test("The log has the actions on an account, with the actor and the request", async () => {
  const { token, userId, keyId } = await busy();
  const headers = { ...as(token), "x-request-id": "the-last-request" };
  const project = await ok("POST", "/api/projects", { name: "Mine" }, token);
  await api("DELETE", `/api/projects/${project.id}`, undefined, headers);
  await api("POST", "/auth/logout", undefined, as(token));
  const entries = await newest(5);
  const [session] = await sql("SELECT id FROM sessions WHERE user_id = ?", userId);
  assert.deepEqual(entries.map(({ actor, action, subject }) => [actor, action, subject]), [
    [userId, "session.end", session.id], [userId, "project.delete", project.id], [userId, "key.revoke", keyId],
    [userId, "key.create", keyId], [userId, "session.begin", session.id],
  ]);
  assert.equal(entries[1].requestId, "the-last-request");
  for (const { at } of entries) assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test("The log has no refused requests", async () => {
  const { token } = await signIn();
  const { audit_log } = await rows(["audit_log"]);
  await problem(await api("DELETE", `/api/projects/${randomUUID()}`, undefined, as(token)), 404);
  await problem(await api("DELETE", `/auth/keys/${randomUUID()}`, undefined, as(token)), 404);
  await problem(await api("POST", "/auth/keys", { name: "No", scopes: ["admin"] }, as(token)), 403);
  await problem(await api("DELETE", "/auth/me?confirm=no", undefined, as(token)), 409);
  assert.deepEqual((await rows(["audit_log"])).audit_log, audit_log);
});

test("Each entry is sealed by a hash over it and over the hash before, and the list shows it", async () => {
  await busy();
  const { intact, entries, head, brokenAt } = await verdict();
  assert.deepEqual([intact, brokenAt], [true, null]);
  const log = await sql("SELECT * FROM audit_log ORDER BY seq");
  assert.equal(entries, log.length);
  let hash = "";
  const hashes = new Map();
  for (const { seq, at, actor, action, subject, request_id: requestId } of log) {
    hash = createHash("sha256").update(`${hash}\n${JSON.stringify({ seq, at, actor, action, subject, requestId })}`).digest("hex");
    hashes.set(seq, hash);
  }
  assert.equal(hash, head);
  const authorised = { ...worker, api: (method, path) => api(method, path, undefined, as(ADMIN_TOKEN)) };
  const listed = (await Array.fromAsync(pages(authorised, "/admin/audit?limit=3"))).flat();
  assert.deepEqual(listed.map(({ seq, hash: shown }) => [seq, shown]), [...hashes].reverse());
  // The newest entries are sealed a little later.
  await signIn();
  assert.equal((await newest())[0].hash, null);
});

test("The log is unchanged after 20 parallel verifications, and still contains the earlier head", async () => {
  const before = (await verdict()).head;
  await busy();
  const verdicts = await Promise.all(Array.from({ length: 20 }, verdict));
  assert.equal(new Set(verdicts.map((each) => JSON.stringify(each))).size, 1);
  assert.equal(verdicts[0].intact, true);
  assert.equal((await sql("SELECT count(*) AS n FROM audit_chain WHERE hash = ?", before))[0].n, 1);
});

test("Only staff and the operator read the log, and only the operator verifies it", async () => {
  const staff = mint({ email: `eve@${STAFF_DOMAIN}`, email_verified: true });
  const { token } = await signIn();
  for (const path of ["/admin/audit", "/admin/audit/verify"]) {
    await problem(await api("GET", path), 401, "unauthorized");
    await problem(await api("GET", path, undefined, as(token)), 403, "not_the_operator");
    await ok("GET", path, undefined, ADMIN_TOKEN);
  }
  await ok("GET", "/admin/audit", undefined, staff);
  await problem(await api("GET", "/admin/audit/verify", undefined, as(staff)), 403, "not_the_operator");
});

test("No statement changes an entry, removes one, or puts one between", async () => {
  await busy();
  await verdict();
  const before = await rows(["audit_log", "audit_chain"]);
  const [{ seq }] = await sql("SELECT max(seq) AS seq FROM audit_log");
  const entry = (number) => `(${number}, 1, 'eve', 'x', 'x', 'x')`;
  for (const statement of [
    "UPDATE audit_log SET actor = 'eve'", `UPDATE audit_log SET seq = seq + 1000 WHERE seq = ${seq}`, "UPDATE OR REPLACE audit_log SET seq = 1",
    "DELETE FROM audit_log", `DELETE FROM audit_log WHERE seq = ${seq}`,
    `REPLACE INTO audit_log VALUES ${entry(seq)}`, `INSERT OR REPLACE INTO audit_log VALUES ${entry(1)}`,
    `INSERT INTO audit_log VALUES ${entry(1)} ON CONFLICT (seq) DO UPDATE SET actor = 'eve'`,
    `INSERT INTO audit_log VALUES ${entry(0)}`, `INSERT INTO audit_log VALUES ${entry(-1)}`, `INSERT INTO audit_log VALUES ${entry(-7)}`,
    "UPDATE audit_chain SET hash = 'x'", "DELETE FROM audit_chain", `REPLACE INTO audit_chain VALUES (${seq}, 'x')`,
    `INSERT INTO audit_chain VALUES (${seq}, 'x') ON CONFLICT (seq) DO UPDATE SET hash = 'x'`,
  ]) {
    await assert.rejects(sql(statement), /append-only/, statement);
  }
  assert.deepEqual(await rows(["audit_log", "audit_chain"]), before);
});

// The following tests damage the log, and each repairs its damage at its end.

/** Runs statements without the triggers. */
async function tamper(...statements) {
  const triggers = await sql("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name IN ('audit_log', 'audit_chain')");
  assert.ok(triggers.length >= 6);
  for (const { name } of triggers) await sql(`DROP TRIGGER ${name}`);
  for (const statement of statements) await sql(statement);
  for (const { sql: trigger } of triggers) await sql(trigger);
}

test("The verification names an entry that was changed", async () => {
  await busy();
  const { entries, head } = await verdict();
  const [{ seq, actor }] = await sql("SELECT seq, actor FROM audit_log ORDER BY seq DESC LIMIT 1 OFFSET 1");
  for (const column of ["actor", "action", "subject", "request_id"]) {
    const [{ [column]: value }] = await sql(`SELECT ${column} FROM audit_log WHERE seq = ${seq}`);
    await tamper(`UPDATE audit_log SET ${column} = 'somebody-else' WHERE seq = ${seq}`);
    const broken = await verdict();
    assert.deepEqual([broken.intact, broken.brokenAt, broken.entries], [false, seq, entries - 2], column);
    await tamper(`UPDATE audit_log SET ${column} = '${value}' WHERE seq = ${seq}`);
  }
  await tamper(`UPDATE audit_log SET at = at + 1 WHERE seq = ${seq}`);
  assert.equal((await verdict()).brokenAt, seq);
  await tamper(`UPDATE audit_log SET at = at - 1 WHERE seq = ${seq}`);
  assert.deepEqual(await verdict(), { intact: true, brokenAt: null, entries, head });
  assert.ok(actor);
});

test("The verification names a removed entry, and the next one if its link was removed too", async () => {
  await busy();
  await verdict();
  const [{ seq, at, actor, action, subject, request_id: request, hash }] = await sql(
    "SELECT * FROM audit_log JOIN audit_chain USING (seq) ORDER BY seq DESC LIMIT 1 OFFSET 1",
  );
  await tamper(`DELETE FROM audit_log WHERE seq = ${seq}`);
  assert.equal((await verdict()).brokenAt, seq);
  await tamper(`DELETE FROM audit_chain WHERE seq = ${seq}`);
  assert.equal((await verdict()).brokenAt, seq + 1);
  await tamper(
    `INSERT INTO audit_log VALUES (${seq}, ${at}, '${actor}', '${action}', '${subject}', '${request}')`,
    `INSERT INTO audit_chain VALUES (${seq}, '${hash}')`,
  );
  assert.equal((await verdict()).intact, true);
});

test("The verification names an inserted entry", async () => {
  await busy();
  await verdict();
  await tamper("INSERT INTO audit_log VALUES (-5, 1, 'eve', 'key.create', 'x', 'x')");
  assert.equal((await verdict()).brokenAt, -5);
  await tamper("DELETE FROM audit_log WHERE seq = -5");
  assert.equal((await verdict()).intact, true);
});

test("No secret of these tests is in a row or in the log", findNoSecret);
