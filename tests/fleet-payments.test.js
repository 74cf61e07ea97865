// The ledger of payments, and payouts to machines for their uptime.

import assert from "node:assert/strict";
import test from "node:test";
import { fleet, newAddress, pointers, send } from "./support/fleet.js";
import { pages, problem, rowCounts, startWorker } from "./support/harness.js";
import { ADMIN_TOKEN, misspelled, newStellarWallet, people } from "./support/people.js";

const RATE = 1_000_000_000_000_000_000_007n;
const MOST = 2n ** 256n - 1n;
const production = { ENVIRONMENT: "production", RATE_LIMITS: "off", ADMIN_TOKEN };
const worker = await startWorker({ ...production, PAYOUT_RATE: String(RATE) });
const unconfigured = await startWorker(production);
const generous = await startWorker({ ...production, PAYOUT_RATE: String(MOST) });
const { sql, url } = worker;
const { signIn, newKey } = people(worker);
const { call, ok, as, row } = fleet(worker);

const me = await signIn();
const other = await signIn();
const creator = me.wallet.address.toLowerCase();
const fields = (more = {}) => ({ name: "Rent", amount: "1", creator, ...more });

let hashes = 0;
const newHash = () => `0x${"ab".repeat(30)}${(hashes += 1).toString(16).padStart(4, "0")}`;
const count = async () => (await row("SELECT count(*) AS n FROM payments")).n;

test("A payment is entered with every amount of a uint256, exactly", async () => {
  for (const amount of ["0", "1", String(2n ** 53n + 1n), String(2n ** 128n), String(MOST)]) {
    const txHash = newHash();
    const response = await call("POST", "/payments", fields({ amount, txHash: `0x${txHash.slice(2).toUpperCase()}` }), me.token);
    assert.equal(response.status, 201);
    const entered = await response.json();
    assert.equal(response.headers.get("location"), `/payments/${entered.id}`);
    const { id, createdAt, ...rest } = entered;
    assert.deepEqual(rest, { name: "Rent", amount, creator, txHash });
    assert.deepEqual(await ok(200, "GET", `/payments/${id}`, undefined, me.token), entered);
    assert.equal((await row("SELECT amount FROM payments WHERE id = ?", id)).amount, amount);
  }
  assert.equal((await ok(201, "POST", "/payments", fields(), me.token)).txHash, null);
});

test("Invalid amounts, wallets and transactions are refused, with the name of every field", async () => {
  const before = await rowCounts(worker);
  const bad = { name: "", amount: "1.5", creator: "';curl evil|sh;'", txHash: "0x1" };
  assert.deepEqual(pointers(await problem(await call("POST", "/payments", bad, me.token), 400)), ["/name", "/amount", "/creator", "/txHash"]);
  assert.deepEqual(pointers(await problem(await call("POST", "/payments", {}, me.token), 400)), ["/name", "/amount", "/creator"]);
  for (const [field, values] of Object.entries({
    name: ["x".repeat(256), 1, null],
    amount: [String(MOST + 1n), "9".repeat(78), "1".repeat(79), "", "00", "01", "-1", "+1", "1.0", "1e3", "0x1", " 1", "1 ", "1,000", "١", 1, 1.5, null],
    creator: ["0x12", creator.slice(2), 1],
    txHash: ["", "0x", `0x${"g".repeat(64)}`, `0X${"ab".repeat(32)}`, "ab".repeat(31), `0x${"a".repeat(65)}`, 1],
  })) {
    for (const value of values) {
      const told = await problem(await call("POST", "/payments", fields({ [field]: value }), me.token), 400);
      assert.deepEqual(pointers(told), [`/${field}`], String(value));
    }
  }
  assert.deepEqual(await rowCounts(worker), before);
});

test("A transaction counts once: the same one is found again, a different one with its hash is refused", async () => {
  const txHash = newHash();
  const entered = await ok(201, "POST", "/payments", fields({ txHash }), me.token);
  const before = await count();
  assert.deepEqual(await ok(200, "POST", "/payments", fields({ txHash }), me.token), entered);
  assert.deepEqual(await ok(200, "POST", "/payments", fields({ txHash: `0x${txHash.slice(2).toUpperCase()}` }), me.token), entered);
  await problem(await call("POST", "/payments", fields({ txHash, amount: "2" }), me.token), 409, "transaction_entered");
  await problem(await call("POST", "/payments", fields({ txHash, creator: newAddress() }), me.token), 409, "transaction_entered");
  const foreign = await problem(await call("POST", "/payments", fields({ txHash }), other.token), 409, "transaction_entered");
  assert.doesNotMatch(JSON.stringify(foreign), new RegExp(creator));
  assert.equal(await count(), before);

  const raced = newHash();
  const answers = await Promise.all(Array.from({ length: 20 }, () => call("POST", "/payments", fields({ txHash: raced }), me.token)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [...Array(19).fill(200), 201]);
  assert.equal(new Set(await Promise.all(answers.map(async (answer) => (await answer.json()).id))).size, 1);
  assert.equal(await count(), before + 1);
});

test("A payment to a Stellar key has its transaction's hash as Stellar writes it, and one transaction counts once on any chain", async () => {
  const payee = await signIn(newStellarWallet());
  const { address } = payee.wallet;
  const txHash = newHash().slice(2);
  const entered = await ok(201, "POST", "/payments", fields({ creator: address, txHash: txHash.toUpperCase() }), me.token);
  assert.deepEqual([entered.creator, entered.txHash], [address, txHash]);
  for (const again of [txHash, `0x${txHash}`]) {
    assert.deepEqual(await ok(200, "POST", "/payments", fields({ creator: address, txHash: again }), me.token), entered);
    await problem(await call("POST", "/payments", fields({ txHash: again }), me.token), 409, "transaction_entered");
  }
  assert.deepEqual(await ok(200, "GET", `/payments?creator=${address}`, undefined, payee.token), [entered]);
  for (const bad of misspelled(address)) {
    assert.deepEqual(pointers(await problem(await call("POST", "/payments", fields({ creator: bad }), me.token), 400)), ["/creator"]);
    await problem(await call("GET", `/payments?creator=${bad}`, undefined, payee.token), 400);
    const period = { walletAddress: bad, from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" };
    assert.deepEqual(pointers(await problem(await call("POST", "/payments/payouts", period, ADMIN_TOKEN), 400)), ["/walletAddress"]);
  }

  // The payout for its uptime goes into the ledger, as the amount that it is owed.
  const from = Date.UTC(2026, 0, 1);
  await sql("INSERT INTO workers (wallet, created_at, updated_at) VALUES (?, 0, 0)", address);
  await sql("INSERT INTO worker_uptime_records (wallet, time_from, time_to) VALUES (?, CAST(? AS INTEGER), CAST(? AS INTEGER))", address, from, from + 60_000);
  const closed = await ok(201, "POST", "/payments/payouts", { walletAddress: address, from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" }, ADMIN_TOKEN);
  assert.deepEqual([closed.walletAddress, closed.amount], [address, String(60n * RATE)]);
  assert.equal((await ok(200, "GET", `/workers/${address}`, undefined, payee.token)).credits, Number(60n * RATE));
});

test("A payment without a transaction that is sent again with its Idempotency-Key is entered once", async () => {
  const headers = { "idempotency-key": "payment-1" };
  const pay = () => ok(201, "POST", "/payments", fields({ name: "Twice" }), me.token, headers);
  const first = await pay();
  assert.deepEqual(await pay(), first);
  // The first one died after its row and before its answer was kept.
  await sql("UPDATE idempotency SET status = NULL, body = NULL, headers = NULL, lease_until = 0 WHERE key = ?", "payment-1");
  assert.deepEqual(await pay(), first);
  assert.equal((await sql("SELECT * FROM payments WHERE name = 'Twice'")).length, 1);
});

test("A list has the caller's own payments, newest first, by creator, page by page", async () => {
  const lister = await signIn();
  const mine = lister.wallet.address.toLowerCase();
  const made = [];
  for (let n = 0; n < 5; n++) made.push((await ok(201, "POST", "/payments", fields({ creator: n % 2 ? creator : mine, amount: String(n) }), lister.token)).id);
  const listed = async (path, token) => {
    const found = [];
    for await (const page of pages(as(token), path)) {
      assert.ok(page.length <= 2);
      found.push(...page.map(({ id }) => id));
    }
    return found;
  };
  assert.deepEqual(await listed("/payments?limit=2", lister.token), made.toReversed());
  assert.deepEqual(await listed(`/payments?limit=2&creator=0x${mine.slice(2).toUpperCase()}`, lister.token), [made[4], made[2], made[0]]);
  assert.deepEqual(await listed(`/payments?limit=2&creator=${mine}`, ADMIN_TOKEN), [made[4], made[2], made[0]]);
  assert.equal((await listed("/payments?limit=2", ADMIN_TOKEN)).length, await count());
  for (const query of ["limit=0", "cursor=x", "creator=me"]) await problem(await call("GET", `/payments?${query}`, undefined, lister.token), 400);
});

test("Another user's payment is not found", async () => {
  const { id } = await ok(201, "POST", "/payments", fields(), me.token);
  for (const at of [id, 0, -1, 1.5, "1e3", "x", 2 ** 60, "';--"]) await problem(await call("GET", `/payments/${at}`, undefined, other.token), 404, "not_found");
  assert.deepEqual((await ok(200, "GET", "/payments?limit=100", undefined, other.token)).filter((each) => each.id === id), []);
  assert.equal((await ok(200, "GET", `/payments/${id}`, undefined, ADMIN_TOKEN)).id, id);
  for (const [method, path, body] of [["GET", `/payments/${id}`], ["GET", "/payments"], ["POST", "/payments", fields()]]) {
    await problem(await call(method, path, body), 401);
  }
  const { key } = await newKey(me.token, { scopes: ["deploy"] });
  assert.equal((await ok(200, "GET", `/payments/${id}`, undefined, key)).id, id);
  await problem(await call("POST", "/payments", fields(), key), 403, "insufficient_scope");
  const v1 = await send(url, "GET", `/api/v1/payments/${id}`, undefined, { authorization: `Bearer ${me.token}` });
  assert.equal((await v1.json()).id, id);
});

const HOUR_MS = 60 * 60_000;
const iso = (ms) => new Date(ms).toISOString();
const start = Date.UTC(2026, 0, 1);

/** A machine that ran for 10 minutes and 999 ms at the beginning of each of four hours. */
async function newMachine({ sql } = worker) {
  const wallet = newAddress();
  for (const hour of [0, 1, 2]) await sql("INSERT INTO worker_uptime_records (wallet, time_from, time_to) VALUES (?, ?, ?)", wallet, start + hour * HOUR_MS, start + hour * HOUR_MS + 600_999);
  await sql("INSERT INTO worker_windows (wallet, start_at, end_at, seen_at, containers) VALUES (?, ?, ?, 0, '[]')", wallet, start + 3 * HOUR_MS, start + 3 * HOUR_MS + 600_999);
  return wallet;
}
const period = (walletAddress, from, to) => ({ walletAddress, from: iso(start + from * HOUR_MS), to: iso(start + to * HOUR_MS) });
const close = (body, token = ADMIN_TOKEN) => call("POST", "/payments/payouts", body, token);

test("A payout is the whole seconds of uptime times the rate, exactly, and goes into the ledger once", async () => {
  const wallet = await newMachine();
  const first = await close(period(wallet, 0, 4));
  assert.equal(first.status, 201);
  const payout = await first.json();
  // 4 × 600.999 s are 2403.996 s.
  const { paymentId, ...rest } = payout;
  assert.deepEqual(rest, { ...period(wallet, 0, 4), uptimeSeconds: 2403, amount: String(2403n * RATE) });
  const { amount, creator: paid } = await ok(200, "GET", `/payments/${paymentId}`, undefined, ADMIN_TOKEN);
  assert.deepEqual([amount, paid], [payout.amount, wallet]);

  const before = await count();
  const again = await close({ ...period(wallet, 0, 4), walletAddress: `0x${wallet.slice(2).toUpperCase()}` });
  assert.deepEqual([again.status, await again.json()], [200, payout]);
  assert.equal(await count(), before);
});

test("Of twenty parallel payouts for a period one is entered", async () => {
  const wallet = await newMachine();
  const before = await count();
  const answers = await Promise.all(Array.from({ length: 20 }, () => close(period(wallet, 0, 2))));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [...Array(19).fill(200), 201]);
  const told = new Set(await Promise.all(answers.map((answer) => answer.text())));
  assert.equal(told.size, 1);
  assert.equal(await count(), before + 1);
});

test("Periods of a machine never overlap, and may touch", async () => {
  const wallet = await newMachine();
  const amounts = [(await (await close(period(wallet, 1, 2))).json()).amount];
  const before = await count();
  for (const [from, to] of [[0, 4], [1, 3], [0, 1.5], [1.25, 1.5], [1, 1.5], [1.5, 2]]) await problem(await close(period(wallet, from, to)), 409, "period_overlaps");
  assert.equal(await count(), before);
  for (const [from, to] of [[0, 1], [2, 4]]) {
    const response = await close(period(wallet, from, to));
    assert.equal(response.status, 201);
    amounts.push((await response.json()).amount);
  }
  assert.deepEqual(amounts, [600n, 600n, 1201n].map((seconds) => String(seconds * RATE)));

  const raced = await newMachine();
  const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => close(period(raced, 0, 2 + n / 10))));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array(9).fill(409)]);
  assert.equal((await sql("SELECT * FROM payouts WHERE wallet = ?", raced)).length, 1);
});

test("An invalid period, an unknown machine and an unfinished period are refused, and only the operator closes one", async () => {
  const wallet = await newMachine();
  const before = await rowCounts(worker);
  await problem(await close(period(wallet, 1, 1)), 400);
  await problem(await close(period(wallet, 2, 1)), 400);
  for (const ahead of [1, 0, -1, -24, -24.9]) await problem(await close({ ...period(wallet, 0, 1), to: iso(Date.now() + ahead * HOUR_MS) }), 409, "period_not_settled");
  assert.deepEqual(pointers(await problem(await close({ walletAddress: "x", from: 1, to: "now" }), 400)), ["/walletAddress", "/from", "/to"]);
  assert.deepEqual(pointers(await problem(await close({}), 400)), ["/walletAddress", "/from", "/to"]);
  assert.deepEqual(pointers(await problem(await close(period(newAddress(), 0, 1)), 400)), ["/walletAddress"]);
  await problem(await close(period(wallet, 0, 1), me.token), 403, "not_the_operator");
  await problem(await close(period(wallet, 0, 1), null), 401);
  assert.deepEqual(await rowCounts(worker), before);
});

test("A late beat is paid with its own period, and never changes a closed one", async () => {
  const session = await signIn();
  const { walletAddress, token } = await ok(201, "POST", "/workers", {}, session.token);
  const now = Date.now();
  await sql("UPDATE workers SET created_at = CAST(? AS INTEGER) WHERE wallet = ?", now - 30 * HOUR_MS, walletAddress);
  // All beats until the period's end, and then the latest one that is still accepted.
  await sql("INSERT INTO worker_windows (wallet, start_at, end_at, seen_at, containers) VALUES (?, ?, ?, 0, '[]')", walletAddress, now - 26 * HOUR_MS, now - 24.4 * HOUR_MS);
  const until = (hours) => ({ walletAddress, from: iso(now - 30 * HOUR_MS), to: iso(now - hours * HOUR_MS) });
  await problem(await close(until(24.3)), 409, "period_not_settled");
  const first = await (await close(until(25.01))).json();
  assert.equal(first.uptimeSeconds, Math.floor(0.99 * 3600));
  const beat = { walletAddress, timestamp: iso(now - 23.95 * HOUR_MS), containers: [] };
  assert.equal((await ok(200, "POST", "/heartbeat", beat, token)).window.startTime, iso(now - 26 * HOUR_MS));
  assert.deepEqual(await (await close(until(25.01))).json(), first);
  // Its uptime is in the next period, which begins where the closed one ends.
  const listed = await call("GET", `/workers/${walletAddress}/uptime?from=${first.to}`, undefined, ADMIN_TOKEN);
  assert.equal(Number(listed.headers.get("x-uptime-seconds")), Math.floor((25.01 - 23.95) * 3600));
});

test("A machine is not paid for time before its registration", async () => {
  const session = await signIn();
  const { walletAddress } = await ok(201, "POST", "/workers", {}, session.token);
  const now = Date.now();
  await sql("INSERT INTO worker_windows (wallet, start_at, end_at, seen_at, containers) VALUES (?, ?, ?, 0, '[]')", walletAddress, now - 40 * HOUR_MS, now - 26 * HOUR_MS);
  const until = (from, to) => ({ walletAddress, from: iso(now - from * HOUR_MS), to: iso(now - to * HOUR_MS) });
  assert.equal((await (await close(until(40, 39))).json()).uptimeSeconds, 0, "registered now");
  await sql("UPDATE workers SET created_at = CAST(? AS INTEGER) WHERE wallet = ?", now - 38 * HOUR_MS, walletAddress);
  assert.equal((await (await close(until(39, 37))).json()).uptimeSeconds, 3600, "registered within the period");
  assert.equal((await (await close(until(37, 36))).json()).uptimeSeconds, 3600);
});

test("Only the recipient sees a payment", async () => {
  const payee = await signIn();
  const { walletAddress } = await ok(201, "POST", "/workers", {}, payee.token);
  const { paymentId } = await (await close(period(walletAddress, 0, 1))).json();
  assert.equal((await ok(200, "GET", `/payments/${paymentId}`, undefined, payee.token)).creator, walletAddress);
  assert.deepEqual((await ok(200, "GET", "/payments", undefined, payee.token)).map(({ id }) => id), [paymentId]);
  await problem(await call("GET", `/payments/${paymentId}`, undefined, other.token), 404);
});

test("A payout above a uint256 is refused, and one without a rate is not_configured", async () => {
  const rich = await newMachine(generous);
  const closes = (at, wallet, from, to) => fleet(at).call("POST", "/payments/payouts", period(wallet, from, to), ADMIN_TOKEN);
  await problem(await closes(generous, rich, 0, 1), 400);
  assert.equal((await closes(generous, rich, 0.5, 0.6)).status, 201);
  assert.deepEqual(await generous.sql("SELECT amount FROM payments"), [{ amount: "0" }]);

  const wallet = await newMachine(unconfigured);
  const { detail } = await problem(await closes(unconfigured, wallet, 0, 1), 503, "not_configured");
  assert.match(detail, /PAYOUT_RATE/);
  assert.deepEqual(await unconfigured.sql("SELECT * FROM payments"), []);
});

test("Without SEALING_KEY variables are refused", async () => {
  const { call: at } = fleet(unconfigured);
  const { token, wallet } = await people(unconfigured).signIn();
  const deployment = { name: "app", github: "https://github.com/acme/app", creator: wallet.address };
  const { detail } = await problem(await at("POST", "/deployments", { ...deployment, envVars: { A: "b" } }, token), 503, "not_configured");
  assert.match(detail, /SEALING_KEY/);
  assert.deepEqual(await unconfigured.sql("SELECT * FROM fleet_deployments"), []);
  assert.equal((await at("POST", "/deployments", deployment, token)).status, 201);
  await problem(await at("PATCH", "/deployments/app/env", { envVars: { A: "b" } }, token), 503, "not_configured");
});
