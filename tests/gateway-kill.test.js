// kill -9 of `wrangler dev` and its workerd during a call of the gateway: what
// was reserved for it is released once the call counts as lost.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { claudeVars } from "./conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { killable } from "./killable.js";

const BUDGETS = { DAILY_BUDGET_MICRO_USD: "1000000", GATEWAY_DAILY_BUDGET_MICRO_USD: "1000000" };

const claude = await startAnthropic();
after(() => claude.close());
const { url, start, kill, database } = await killable({ ...claudeVars(claude), ...BUDGETS });

const call = () => fetch(`${url}/v1/messages`, {
  method: "POST", headers: { "content-type": "application/json", "anthropic-version": "2023-06-01" },
  body: JSON.stringify({ model: "claude-sonnet-5-5", max_tokens: 10_000, stream: true, messages: [{ role: "user", content: "Hi" }] }),
});
const money = () => database((db) => ({ ...db.prepare(`
  SELECT (SELECT used FROM daily_counters WHERE name = 'budget-day') AS day, (SELECT used FROM model_budgets WHERE subject = 'all') AS all_users,
    (SELECT count(*) FROM model_reservations) AS reservations`).get() }));
const sweep = async () => assert.ok((await fetch(`${url}/cdn-cgi/handler/scheduled`)).ok);

test("after a kill during a call its reservation is released when it counts as lost, and a later call is paid exactly", async () => {
  claude.setAnswer({ content: [{ type: "text", text: "Hello there, how are you? ".repeat(40) }], usage: { input_tokens: 1000, output_tokens: 500 } });
  claude.setFault({ stallAfterBytes: 1500 });
  await start();
  const response = await call();
  assert.equal(response.status, 200);
  const reader = response.body.getReader();
  await reader.read();
  await kill();
  await reader.read().catch(() => {});
  const held = await money();
  assert.ok(held.day > 100_000 && held.day === held.all_users && held.reservations === 1, JSON.stringify(held));

  await start();
  await sweep();
  await kill();
  assert.deepEqual(await money(), held, "the call may still be running");
  await database((db) => db.exec("UPDATE model_reservations SET until = 1"));
  await start();
  await sweep();
  const again = await (await call()).text();
  assert.match(again, /message_stop/);
  await kill();
  assert.deepEqual(await money(), { day: 7_000, all_users: 7_000, reservations: 0 });
});
