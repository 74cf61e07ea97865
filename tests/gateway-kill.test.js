// kill -9 of `wrangler dev` and its workerd during calls of the gateway: they pay
// for their prompts, and the rest of what was reserved is released once they count
// as lost.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { claudeVars } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { killable } from "./support/killable.js";

const BUDGETS = { DAILY_BUDGET_MICRO_USD: "1000000", GATEWAY_DAILY_BUDGET_MICRO_USD: "1000000" };

const claude = await startAnthropic();
after(() => claude.close());
const { url, start, kill, database } = await killable({ ...claudeVars(claude), ...BUDGETS });

const PROMPT = "Tell me of the sea. ".repeat(200);
const call = (stream) => fetch(`${url}/v1/messages`, {
  method: "POST", headers: { "content-type": "application/json", "anthropic-version": "2023-06-01" },
  body: JSON.stringify({ model: "claude-sonnet-5-5", max_tokens: 10_000, stream, messages: [{ role: "user", content: PROMPT }] }),
});
const money = () => database((db) => ({ ...db.prepare(`
  SELECT (SELECT used FROM daily_counters WHERE name = 'budget-day') AS day, (SELECT used FROM model_budgets WHERE subject = 'all') AS all_users,
    (SELECT count(*) FROM model_reservations) AS reservations`).get() }));
const calls = () => database((db) => db.prepare("SELECT status, model, input_tokens AS input, cost_micro_usd AS cost, is_estimated FROM model_calls ORDER BY created_at").all().map((row) => ({ ...row })));
const metrics = () => database((db) => db.prepare("SELECT * FROM model_metrics ORDER BY outcome").all().map((row) => ({ ...row })));
const sweep = async () => assert.ok((await fetch(`${url}/cdn-cgi/handler/scheduled`)).ok);

test("a call in which the Worker is killed pays for its prompt when it counts as lost, and a later call is paid exactly", async () => {
  claude.setAnswer({ content: [{ type: "text", text: "Hello there, how are you? ".repeat(40) }], usage: { input_tokens: 1000, output_tokens: 500 } });
  claude.setFault({ stallAfterBytes: 1500 }, { hang: true });
  await start();
  const response = await call(true);
  assert.equal(response.status, 200);
  const reader = response.body.getReader();
  await reader.read();
  const asked = claude.nextRequest();
  const whole = call(false).catch(() => "lost");
  await asked;
  await kill();
  await reader.read().catch(() => {});
  assert.equal(await whole, "lost");
  const held = await money();
  assert.ok(held.day > 200_000 && held.day === held.all_users && held.reservations === 2, JSON.stringify(held));

  await start();
  await sweep();
  await kill();
  assert.deepEqual(await money(), held, "the calls may still be running");
  await database((db) => db.exec("UPDATE model_reservations SET until = 1"));
  await start();
  await sweep();
  await sweep();
  await kill();
  const lost = await calls();
  const [{ input, cost }] = lost;
  assert.deepEqual(lost, Array(2).fill({ status: 499, model: "anthropic/claude-sonnet-5-5", input, cost, is_estimated: 1 }));
  // 4,000 letters and blanks, at 2 dollars for a million tokens.
  assert.ok(input > 800 && input < 1500 && cost === input * 2, JSON.stringify(lost));
  assert.deepEqual(await money(), { day: 2 * cost, all_users: 2 * cost, reservations: 0 });
  const [counted] = await metrics();
  const { total_ms: taken } = counted;
  assert.deepEqual(counted, {
    provider: "anthropic", model: "anthropic/claude-sonnet-5-5", outcome: "left", calls: 2, attempts: 2, first_ms: 0, total_ms: taken, input_tokens: 2 * input, output_tokens: 0, cost_micro_usd: 2 * cost,
    first_buckets: "[0,0,0,0,0,0,0,0,0,0]", total_buckets: "[0,0,0,0,0,0,0,0,0,2]", attempt_buckets: "[2,0,0,0,0]",
  });
  assert.ok(taken > 0);

  await start();
  const again = await (await call(true)).text();
  assert.match(again, /message_stop/);
  await kill();
  assert.deepEqual(await money(), { day: 2 * cost + 7_000, all_users: 2 * cost + 7_000, reservations: 0 });
});
