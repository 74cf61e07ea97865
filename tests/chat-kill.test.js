// kill -9 of `wrangler dev` and its workerd in the middle of an answer: its
// beginning is kept, and a front end that sends its message again can go on.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";
import { readAsDesktop } from "./clients/hatch.js";
import { claudeVars } from "./support/conversation.js";
import { until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { killable } from "./support/killable.js";

const ANSWER = "Here is your app.\n\n```html:index.html\n<h1>Hi</h1>\n```\n\nHave fun with it, and with all that you make of it.\n";

const claude = await startAnthropic();
after(() => claude.close());
const { url, api, start, kill, database } = await killable({ ...claudeVars(claude), DAILY_BUDGET_MICRO_USD: "1000000" });

const projectId = randomUUID();
const send = (to = projectId) =>
  fetch(`${url}/api/chat`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ projectId: to, message: "Build it" }) });
const answers = async (of = projectId) => (await api("GET", `/api/chat/${of}`)).filter(({ role }) => role === "assistant");
const wasAliveAt = (ms) => database((db) => db.prepare("UPDATE chat_messages SET created_at = created_at - 60000, alive_at = ? WHERE status = 'streaming'").run(ms));

test("after a kill during an answer its saved part is shown, and later the message is a new turn", async () => {
  claude.setAnswer(ANSWER);
  claude.setFault({ stallAfterBytes: 1000 });
  await start();
  const first = readAsDesktop(await send()).catch((error) => error);
  const kept = await until(async () => (await answers()).at(-1)?.content, "a checkpoint");
  await kill();
  assert.ok((await first) instanceof Error);

  // The turn was active a moment ago: the message belongs to it.
  await wasAliveAt(Date.now() + 60_000);
  await start();
  const body = (await send()).body.getReader();
  const told = JSON.parse(new TextDecoder().decode((await body.read()).value).slice("data: ".length));
  assert.deepEqual(told, { text: kept });
  assert.ok(ANSWER.startsWith(kept));
  await body.cancel();
  await kill();
  assert.equal(claude.count("/v1/messages"), 1);

  // The turn was inactive for long: the message is a new turn.
  await wasAliveAt(1);
  await start();
  assert.equal(await readAsDesktop(await send()), ANSWER);
  assert.deepEqual((await answers()).map(({ content }) => content), [kept, ANSWER]);
  assert.equal(claude.count("/v1/messages"), 2);
  await kill();
});

test("after a kill the sweep releases what was reserved for the answer, and what had arrived stays paid", async () => {
  const other = randomUUID();
  const money = () => database((db) => ({ ...db.prepare(`
    SELECT (SELECT used FROM daily_counters WHERE name = 'budget-day') AS used, coalesce((SELECT sum(daily) FROM model_reservations), 0) AS reserved`).get() }));
  await start();
  const sweep = async () => assert.ok((await fetch(`${url}/cdn-cgi/handler/scheduled`)).ok);
  await sweep();
  await kill();
  const before = await money();
  assert.equal(before.reserved, 0, "the sweep has released what the first test left");

  claude.reset();
  claude.setAnswer(ANSWER);
  claude.setFault({ stallAfterBytes: 1000 });
  await start();
  const first = readAsDesktop(await send(other)).catch((error) => error);
  await until(async () => (await answers(other)).at(-1)?.content, "a checkpoint");
  await kill();
  await first;
  const held = await money();
  const arrived = held.used - before.used - held.reserved;
  assert.ok(held.reserved > 100_000 && arrived > 0 && arrived < 10_000, JSON.stringify(held));

  // The answer may still be running, then it is not.
  await wasAliveAt(Date.now() + 60_000);
  await start();
  await sweep();
  await kill();
  assert.deepEqual(await money(), held);
  await wasAliveAt(1);
  await start();
  await sweep();
  await kill();
  assert.deepEqual(await money(), { used: before.used + arrived, reserved: 0 });
});
