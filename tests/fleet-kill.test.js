// kill -9 during beats, sweeps and payouts, over and over. Machines and the
// operator repeat requests without a response. In the end uptime and ledger match
// exactly what was sent.

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "./support/deployments.js";
import { newAddress } from "./support/fleet.js";
import { killable } from "./support/killable.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const GAP_MS = 30 * MINUTE_MS;
const RATE = 7n;
const iso = (ms) => new Date(ms).toISOString();

const { url, start, kill, database } = await killable({ PAYOUT_RATE: String(RATE) });

/** The number of responses to beats after which it is killed. */
const KILLS = [25, 70, 130];
const BEATS = 40;
const PERIODS = 30;

test("after many kills the fleet's uptime and ledger match what was sent, each counted once", async () => {
  // Each fifth beat or so comes after a gap, another one for each machine.
  const beginning = Date.now() - 20 * HOUR_MS;
  const machines = Array.from({ length: 5 }, (_, m) => {
    const gaps = Array.from({ length: BEATS }, (_, n) => ((n + m) % 5 === 4 ? GAP_MS + 1 + m : 5 * MINUTE_MS));
    let at = beginning;
    return { wallet: newAddress(), beats: gaps.map((gap) => (at += gap)) };
  });
  const paid = newAddress();
  const year = Date.UTC(2026, 0, 1);
  await database((db) => {
    const record = db.prepare("INSERT INTO worker_uptime_records (wallet, time_from, time_to) VALUES (?, ?, ?)");
    db.prepare("INSERT INTO workers (wallet, created_at, updated_at) VALUES (?, 0, 0)").run(paid);
    for (let n = 0; n < PERIODS; n++) record.run(paid, year + n * HOUR_MS, year + n * HOUR_MS + 600_000);
  });

  let answered = 0;
  let isDone = false;
  /** Sends until there is a response. A Worker that is killed meanwhile sends none, or one that is lost. */
  async function send(method, path, body) {
    for (;;) {
      const response = await fetch(url + path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) }).catch(() => undefined);
      const answer = response?.ok && (await response.json().catch(() => undefined));
      if (answer) return answer;
      await until(() => fetch(`${url}/health`).then(({ ok }) => ok, () => false), "the next start");
    }
  }
  async function beat({ wallet, beats }) {
    for (const at of beats) {
      const { window } = await send("POST", "/heartbeat", { walletAddress: wallet, timestamp: iso(at), containers: [{ name: "web" }] });
      assert.equal(window.endTime, iso(at));
      answered += 1;
    }
  }
  async function pay() {
    for (let n = 0; n < PERIODS; n++) {
      const { amount } = await send("POST", "/payments/payouts", { walletAddress: paid, from: iso(year + n * HOUR_MS), to: iso(year + (n + 1) * HOUR_MS) });
      assert.equal(amount, String(600n * RATE));
    }
  }
  async function sweep() {
    while (!isDone) {
      await fetch(`${url}/cdn-cgi/handler/scheduled`).then((response) => response.text(), () => {});
    }
  }
  async function killAll() {
    for (const count of KILLS) {
      await until(() => answered >= count, `${count} answers`);
      await kill();
      await start();
    }
  }

  await start();
  const sweeping = sweep();
  await Promise.all([...machines.map(beat), pay(), killAll()]);
  isDone = true;
  await sweeping;
  // All are silent now; the first one goes on where the last one stopped.
  for (let n = 0; n < 2; n++) assert.ok((await fetch(`${url}/cdn-cgi/handler/scheduled`)).ok);
  await kill();

  await database((db) => {
    const records = db.prepare("SELECT time_from, time_to FROM worker_uptime_records WHERE wallet = ? ORDER BY time_from");
    for (const { wallet, beats } of machines) {
      assert.deepEqual(records.all(wallet).map(({ time_from, time_to }) => [time_from, time_to]), windowsOf(beats), wallet);
    }
    const ledger = db.prepare("SELECT o.period_from, o.uptime_seconds, p.amount FROM payments p LEFT JOIN payouts o ON o.payment_id = p.id ORDER BY o.period_from").all();
    const expected = Array.from({ length: PERIODS }, (_, n) => ({ period_from: year + n * HOUR_MS, uptime_seconds: 600, amount: String(600n * RATE) }));
    assert.deepEqual(ledger.map((row) => ({ ...row })), expected);
  });
});

/** The windows that these beats give in their order. */
function windowsOf(beats) {
  const windows = [];
  for (const at of beats) {
    const last = windows.at(-1);
    if (last && at - last[1] <= GAP_MS) last[1] = at;
    else windows.push([at, at]);
  }
  return windows;
}
