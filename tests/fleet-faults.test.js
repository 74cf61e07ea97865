// The Worker dies, or the database fails, between any two writes of a beat, a
// sweep and a payout: none of its writes remains, and a repetition is complete.

import assert from "node:assert/strict";
import test from "node:test";
import { fleet, newAddress } from "./support/fleet.js";
import { startWorker } from "./support/harness.js";

const worker = await startWorker({ PAYOUT_RATE: "7" });
const { sql } = worker;
const { call, row } = fleet(worker);

const MINUTE_MS = 60_000;
const iso = (ms) => new Date(ms).toISOString();
const HOUR_MS = 60 * MINUTE_MS;
/** At the beginning of an hour. */
const start = (Math.floor(Date.now() / HOUR_MS) - 10) * HOUR_MS;
const TABLES = ["workers", "worker_windows", "worker_uptime_records", "worker_metrics", "fleet_sweep", "payments", "payouts"];

const beat = async (walletAddress, at) =>
  (await call("POST", "/heartbeat", { walletAddress, timestamp: iso(at), containers: [] })).status;
const rows = () => Promise.all(TABLES.map((table) => sql(`SELECT * FROM ${table}`)));
const windows = (wallet) => sql("SELECT start_at, end_at FROM worker_windows WHERE wallet = ?", wallet);
const records = (wallet) => sql("SELECT time_from, time_to FROM worker_uptime_records WHERE wallet = ? ORDER BY time_from", wallet);
const said = async (wallet) => (await sql("SELECT said_at FROM worker_metrics WHERE wallet = ? ORDER BY said_at", wallet)).map(({ said_at }) => said_at);

/** Two windows: one recorded by the beat that closed it, one open and long silent. */
async function silentMachine() {
  const wallet = newAddress();
  for (const minutes of [0, 5, 60, 70]) assert.equal(await beat(wallet, start + minutes * MINUTE_MS), 200);
  return wallet;
}

const first = [{ time_from: start, time_to: start + 5 * MINUTE_MS }];
/** Each action, for a wallet that `before` made, with its writes and its expected result. */
const WORK = {
  "a machine's first beat": {
    before: newAddress,
    act: (wallet) => beat(wallet, start),
    writes: ["INSERT worker_windows", "INSERT workers"],
    check: async (wallet) => assert.deepEqual(await windows(wallet), [{ start_at: start, end_at: start }]),
  },
  "a beat that extends": {
    before: silentMachine,
    act: (wallet) => beat(wallet, start + 80 * MINUTE_MS),
    writes: ["UPDATE worker_windows"],
    check: async (wallet) => assert.deepEqual(await windows(wallet), [{ start_at: start + 60 * MINUTE_MS, end_at: start + 80 * MINUTE_MS }]),
  },
  "a beat that closes a window": {
    before: silentMachine,
    act: (wallet) => beat(wallet, start + 200 * MINUTE_MS),
    writes: ["UPDATE worker_windows", "INSERT worker_uptime_records", "INSERT worker_metrics"],
    check: async (wallet) => assert.deepEqual(await records(wallet), [...first, { time_from: start + 60 * MINUTE_MS, time_to: start + 70 * MINUTE_MS }]),
  },
  "a beat of another hour": {
    async before() {
      const wallet = newAddress();
      for (const minutes of [0, 25, 50]) assert.equal(await beat(wallet, start + minutes * MINUTE_MS), 200);
      // Its figures of this hour a day ago, and of an hour in which it has not run since.
      for (const ago of [24, 30]) {
        const at = start - ago * HOUR_MS;
        await sql("INSERT INTO worker_metrics (wallet, hour, said_at, containers) VALUES (?, ?, ?, 0)", wallet, (at / HOUR_MS) % 24, at);
      }
      return wallet;
    },
    act: (wallet) => beat(wallet, start + 65 * MINUTE_MS),
    writes: ["UPDATE worker_windows", "UPDATE worker_metrics", "DELETE worker_metrics"],
    check: async (wallet) => assert.deepEqual(await said(wallet), [start + 50 * MINUTE_MS]),
  },
  "a sweep": {
    async before() {
      const wallet = await silentMachine();
      // It has figures in an earlier hour, and was silent for a long time since.
      await sql("UPDATE worker_windows SET said_at = 0 WHERE wallet = ?", wallet);
      assert.equal((await said(wallet)).length, 2);
      return wallet;
    },
    // It logs what failed, and the next one tries again.
    act: () => worker.worker.scheduled({ cron: "* * * * *" }),
    writes: ["DELETE worker_metrics", "INSERT worker_uptime_records", "UPDATE worker_windows", "UPDATE fleet_sweep"],
    async check(wallet) {
      assert.deepEqual(await records(wallet), [...first, { time_from: start + 60 * MINUTE_MS, time_to: start + 70 * MINUTE_MS }]);
      assert.deepEqual(await said(wallet), []);
    },
  },
  "a payout": {
    async before() {
      const wallet = newAddress();
      await sql("INSERT INTO workers (wallet, created_at, updated_at) VALUES (?, 0, 0)", wallet);
      await sql("INSERT INTO worker_uptime_records (wallet, time_from, time_to) VALUES (?, 0, 60000)", wallet);
      return wallet;
    },
    act: async (walletAddress) => (await call("POST", "/payments/payouts", { walletAddress, from: iso(0), to: iso(3_600_000) })).status,
    writes: ["INSERT payments", "INSERT payouts"],
    async check(wallet) {
      const paid = await sql("SELECT uptime_seconds, amount FROM payouts o JOIN payments p ON p.id = o.payment_id WHERE o.wallet = ?", wallet);
      assert.deepEqual(paid, [{ uptime_seconds: 60, amount: "420" }]);
      assert.equal((await row("SELECT count(*) AS n FROM payments WHERE creator = ?", wallet)).n, 1);
    },
  },
};

for (const [name, { before, act, writes, check }] of Object.entries(WORK)) {
  test(`Between any two writes of ${name}`, async () => {
    for (const write of writes) {
      for (const moment of ["BEFORE", "AFTER"]) {
        const wallet = await before();
        const had = await rows();
        const [event, table] = write.split(" ");
        await sql(`CREATE TRIGGER fault ${moment} ${event} ON ${table} BEGIN SELECT RAISE(ABORT, 'injected fault'); END`);
        const failed = await act(wallet);
        await sql("DROP TRIGGER fault");
        if (typeof failed === "number") assert.equal(failed, 500, `${moment} ${write}`);
        assert.deepEqual(await rows(), had, `${moment} ${write}: something was left behind`);
        // Sent again, and once more, as by a client that has lost the response.
        for (let again = 0; again < 2; again++) await act(wallet);
        await check(wallet);
      }
    }
  });
}

test("These are all the writes", async () => {
  // A trigger on every table records the writes in order.
  await sql("CREATE TABLE noted (n INTEGER PRIMARY KEY AUTOINCREMENT, write TEXT NOT NULL)");
  for (const table of TABLES) {
    for (const event of ["INSERT", "UPDATE", "DELETE"]) {
      await sql(`CREATE TRIGGER note_${event}_${table} AFTER ${event} ON ${table} BEGIN INSERT INTO noted (write) VALUES ('${event} ${table}'); END`);
    }
  }
  for (const [name, { before, act, writes }] of Object.entries(WORK)) {
    const wallet = await before();
    await sql("DELETE FROM noted");
    await act(wallet);
    const noted = (await sql("SELECT DISTINCT write FROM noted")).map(({ write }) => write);
    assert.deepEqual(noted.toSorted(), writes.toSorted(), name);
  }
});
