// Calls of the gateway that end at the same time are recorded by one batch.
// Whatever happens to it, each is recorded once, and counted once.

import assert from "node:assert/strict";
import { request } from "node:http";
import test, { after, beforeEach } from "node:test";
import { until } from "./support/deployments.js";
import { startOpenAI } from "./fakes/openai.js";
import { startWorker } from "./support/harness.js";

const gpt = await startOpenAI();
after(() => gpt.close());
const isD1 = process.env.DATABASE !== "turso";
const model = (id) => ({ id, context: 200000, max_output: 100, input: 1, output: 10, capabilities: ["tools"] });
const worker = await startWorker({
  PROVIDERS: JSON.stringify([{ name: "gpt", base_url: `${gpt.url}/v1`, key: gpt.key, dialect: "openai", models: [model("m"), model("second"), model("poison")] }]),
}, [], { before: "tests/support/unsteady.js" });
const { api, sql, url, harness } = worker;

const messages = [{ role: "user", content: "Hi" }];
/** 20 tokens of 1 micro-dollar, and 30 of 10. */
const HELLO = { content: "Hello.", usage: { prompt_tokens: 20, completion_tokens: 30, total_tokens: 50 } };
const PRICE = 320;

const state = async (fault) => (await fetch(`${url}/database${fault ? `?fault=${fault}` : ""}`)).json();
const database = async (fault) => (await state(fault)).calls;
const call = (body, headers) => api("POST", "/v1/chat/completions", { model: "gpt/m", messages, ...body }, headers);
const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);

beforeEach(async () => {
  gpt.reset();
  gpt.setAnswer(HELLO);
  for (const table of ["model_calls", "model_metrics"]) await sql(`DELETE FROM ${table}`);
  await database();
  harness.clearLogs();
});

const recorded = async () => (await sql("SELECT count(*) AS n FROM model_calls"))[0].n;
const failures = () => harness.getLogs().filter(({ message }) => message.includes('"gateway.')).map(({ message }) => message.match(/"gateway\.\w+"/)[0]);

/** Makes calls whose model answers all of them at once. Returns what each gets. */
async function together(calls) {
  gpt.setFault({ hang: true, times: calls.length });
  const before = gpt.requests.length;
  const answers = calls.map((make) => make());
  await until(async () => gpt.requests.length === before + calls.length, "all calls at the model");
  gpt.release();
  return Promise.all(answers);
}

/** What the rows of the calls say must be what the counters say. */
async function agree(count) {
  await until(async () => (await recorded()) >= count, `${count} records`);
  const rows = await sql(`SELECT model, CASE status WHEN 200 THEN CASE cache WHEN 'hit' THEN 'hit' ELSE 'ok' END WHEN 499 THEN 'left' ELSE CASE WHEN status >= 500 THEN 'failed' ELSE 'refused' END END AS outcome,
    count(*) AS calls, sum(attempts) AS attempts, coalesce(sum(first_token_ms), 0) AS first_ms, sum(total_ms) AS total_ms, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_micro_usd) AS cost_micro_usd, count(first_token_ms) AS firsts FROM model_calls GROUP BY model, outcome ORDER BY model, outcome`);
  const counted = await sql(`SELECT model, outcome, calls, attempts, first_ms, total_ms, input_tokens, output_tokens, cost_micro_usd, first_buckets, total_buckets, attempt_buckets
    FROM model_metrics ORDER BY model, outcome`);
  assert.deepEqual(
    counted.map(({ first_buckets, total_buckets, attempt_buckets, ...counts }) => ({ ...counts, firsts: sum(JSON.parse(first_buckets)) })),
    rows.map((row) => ({ ...row })),
  );
  for (const { calls, total_buckets, attempt_buckets } of counted) {
    assert.deepEqual([sum(JSON.parse(total_buckets)), JSON.parse(attempt_buckets)], [calls, [calls, 0, 0, 0, 0]]);
  }
  assert.equal(await recorded(), count);
  return counted;
}

const times = (count, make) => Array.from({ length: count }, () => make);

test("fifty calls at once are fifty records, exactly counted, in few batches", async () => {
  const { key, id } = await (await api("POST", "/auth/keys", { name: "Bounded", scopes: ["gateway"], gateway: { rpm: 10, budget: { microUsd: 1_000_000, per: "day" } } })).json();
  const answers = await together([
    ...times(20, () => call()),
    ...times(10, () => call({ model: "gpt/second" })),
    ...times(10, () => call({ stream: true })),
    ...times(10, () => call({}, { authorization: `Bearer ${key}` })),
  ]);
  for (const answer of answers) {
    assert.equal(answer.status, 200);
    await answer.text();
  }
  const counted = await agree(50);
  assert.deepEqual(counted.map(({ model, outcome, calls, input_tokens, output_tokens }) => [model, outcome, calls, input_tokens, output_tokens]),
    [["gpt/m", "ok", 40, 800, 1200], ["gpt/second", "ok", 10, 200, 300]]);
  assert.deepEqual(await sql("SELECT DISTINCT cost_micro_usd AS cost, is_estimated FROM model_calls"), [{ cost: PRICE, is_estimated: 0 }]);
  const usage = await (await api("GET", "/v1/usage?group_by=model")).json();
  assert.equal(JSON.stringify(usage).includes(String(40 * PRICE)), true, JSON.stringify(usage));
  // What a budget limits is settled with its record, and its limits are exact.
  assert.deepEqual((await sql("SELECT used FROM model_budgets WHERE subject IN (?, ?) ORDER BY subject", `key:${id}`, `rpm:${id}`)).map(({ used }) => used), [10 * PRICE, 10]);
  assert.equal((await sql("SELECT count(*) AS n FROM model_reservations"))[0].n, 0);
  assert.equal((await call({}, { authorization: `Bearer ${key}` })).status, 429);
  if (isD1) {
    const sizes = await database();
    assert.ok(sizes.length >= 1 && sum(sizes) <= 40 && Math.max(...sizes) >= 5, JSON.stringify(sizes));
  }
  assert.deepEqual(failures(), []);
});

test("a call that is alone is written as it ends, by itself", async () => {
  for (let n = 1; n <= 3; n++) {
    assert.equal((await call()).status, 200);
    await agree(n);
  }
  assert.deepEqual(await database(), []);
});

test("calls that were refused are counted beside others, and one of an unknown model as its provider's", async () => {
  const calls = [...times(8, () => call()), ...times(4, () => call({ model: "gpt/nobody" }))];
  gpt.setFault({ hang: true, times: 8 }, { hang: true, status: 400, times: 4 });
  const answers = calls.slice(0, 8).map((make) => make());
  await until(async () => gpt.requests.length === 8, "eight calls at the model");
  answers.push(...calls.slice(8).map((make) => make()));
  await until(async () => gpt.requests.length === 12, "all calls at the model");
  gpt.release();
  assert.deepEqual((await Promise.all(answers)).map(({ status }) => status), [...times(8, 200), ...times(4, 400)]);
  await until(async () => (await recorded()) === 12, "12 records");
  const counted = await sql("SELECT provider, model, outcome, calls, input_tokens, cost_micro_usd AS cost FROM model_metrics ORDER BY model");
  assert.deepEqual(counted.map((row) => Object.values(row)), [["gpt", "gpt/m", "ok", 8, 160, 8 * PRICE], ["gpt", "gpt/other", "refused", 4, 0, 0]]);
});

test("a client that hangs up in a crowd takes no record with it", async () => {
  const leaving = [];
  const leave = () => new Promise((resolve) => {
    const sent = request(`${url}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json" } });
    sent.once("error", ({ code }) => resolve(code)).once("response", ({ statusCode }) => resolve(statusCode));
    sent.end(JSON.stringify({ model: "gpt/m", messages }));
    leaving.push(sent);
  });
  gpt.setFault({ hang: true, times: 20 });
  const calls = [...times(10, leave), ...times(10, () => call())].map((make) => make());
  await until(async () => gpt.requests.length === 20, "all calls at the model");
  for (const sent of leaving) sent.socket.resetAndDestroy();
  gpt.release();
  const answers = await Promise.all(calls);
  assert.deepEqual(answers.slice(0, 10), Array(10).fill("ECONNRESET"));
  assert.deepEqual(answers.slice(10).map(({ status }) => status), Array(10).fill(200));
  await agree(20);
  assert.deepEqual(failures(), []);
});

test("a record that the database refuses takes no other with it", async () => {
  await sql("CREATE TRIGGER refuse BEFORE INSERT ON model_calls WHEN NEW.model = 'gpt/poison' BEGIN SELECT RAISE(ABORT, 'injected fault'); END");
  const answers = await together([...times(5, () => call()), () => call({ model: "gpt/poison" }), ...times(5, () => call())]);
  assert.deepEqual(answers.map(({ status }) => status), Array(11).fill(200));
  await agree(10);
  await until(async () => failures().includes('"gateway.close"'), "the failure in the log");
  await sql("DROP TRIGGER refuse");
  assert.deepEqual((await agree(10)).map(({ model, calls }) => [model, calls]), [["gpt/m", 10]]);
  assert.equal(failures().filter((name) => name === '"gateway.close"').length, 1);
});

test("a database that writes nothing loses nothing but records, and says so for each", async () => {
  await sql("CREATE TRIGGER refuse BEFORE INSERT ON model_metrics BEGIN SELECT RAISE(ABORT, 'injected fault'); END");
  const answers = await together(times(8, () => call()));
  assert.deepEqual(answers.map(({ status }) => status), Array(8).fill(200));
  await until(async () => failures().filter((name) => name === '"gateway.close"').length === 8, "eight failures in the log");
  await sql("DROP TRIGGER refuse");
  assert.deepEqual([await recorded(), await sql("SELECT * FROM model_metrics")], [0, []]);
});

for (const [fault, lost, words] of [
  ["unheard", 0, "whose answer was lost"],
  ["late", 0, "that came through only when others had written their records"],
  ["gone", 1, "that never came through"],
]) {
  test(`after a batch ${words}, each of its calls is recorded and counted once`, { skip: !isD1 }, async () => {
    await until(async () => (await state()).work === 0, "the end of all work before");
    await database(fault);
    await together(times(12, () => call()));
    await agree(12 - lost);
    const sizes = [];
    // The one that wrote a batch waits for it, if it never comes through.
    await until(async () => {
      const { calls, work } = await state();
      sizes.push(...calls);
      return work === lost;
    }, "the end of the calls");
    await agree(12 - lost);
    assert.ok(Math.max(...sizes) >= 5, JSON.stringify(sizes));
    assert.equal((await call()).status, 200);
    await agree(13 - lost);
  });
}
