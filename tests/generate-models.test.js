// Which model generates a startup, and which budgets pay for it: those of the
// API key that began it, of its user's day and of the whole Worker, or none if
// the user's own key of a provider pays.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { agents, builds, kinds, texts } from "./support/agents.js";
import { claudeVars } from "./support/conversation.js";
import { until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startOpenAI } from "./fakes/openai.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { problem, startWorker } from "./support/harness.js";
import { as, people, production } from "./support/people.js";
import { author, building, startups } from "./support/startups.js";

const [claude, gpt, stack] = await Promise.all([startAnthropic(), startOpenAI(), startStackAuth()]);
after(() => Promise.all([claude.close(), gpt.close(), stack.close()]));
const openai = { OPENAI_API_KEY: gpt.key, OPENAI_BASE_URL: `${gpt.url}/v1` };
const SCOPES = ["projects:read", "projects:write", "chat", "deploy", "gateway", "account"];
const BUDGET = 1_000_000;

/** The author of startups.js, for requests in OpenAI's form. */
function gptAuthor() {
  const write = author();
  return ({ messages, response_format: format }) => write({
    output_config: format && { format: { schema: format.json_schema.schema } },
    messages: messages.map(({ content }) => ({ content: typeof content === "string" ? [{ text: content }] : content })),
  });
}

beforeEach(() => {
  claude.reset();
  gpt.reset();
  claude.setAnswer(author());
  gpt.setAnswer(gptAuthor());
});

const hatch = await startWorker({
  ...claudeVars(claude), ...openai, DAILY_BUDGET_MICRO_USD: String(BUDGET), GATEWAY_DAILY_BUDGET_MICRO_USD: "1000000000",
});
const { sql } = hatch;
const { signIn, newKey } = people(hatch);
const ofWorker = async () => (await sql("SELECT used FROM model_budgets WHERE subject = 'all'"))[0]?.used ?? 0;
const reservations = async () => (await sql("SELECT count(*) AS n FROM model_reservations"))[0].n;

/** A user with an API key that has these limits, their startups, and what their budgets have spent. */
async function userWith(gateway) {
  const session = await signIn();
  const { key, id } = await newKey(session.token, { scopes: SCOPES, gateway });
  const before = await ofWorker();
  const used = async () => {
    const [day] = await sql("SELECT used FROM daily_counters WHERE user_id = ? AND name = 'budget-day'", session.userId);
    const [ofKey] = await sql("SELECT used FROM model_budgets WHERE subject = ?", `key:${id}`);
    return { day: day?.used ?? 0, key: ofKey?.used ?? 0, all: (await ofWorker()) - before };
  };
  return { ...startups(hatch, as(key)), session, used };
}

test("a startup is paid from the budgets of its API key, of its user's day and of the Worker", async () => {
  const ada = await userWith({ budget: { microUsd: BUDGET, per: "month" } });
  const { job } = await ada.made("A booking app for barbers");
  assert.equal(job.status, "completed", job.error);
  const cost = job.usage.cost_micro_usd;
  assert.ok(cost > 0);
  assert.deepEqual(await ada.used(), { day: cost, key: cost, all: cost });
  assert.equal(await reservations(), 0);
});

test("a key that has spent its budget generates nothing, and the job says so", async () => {
  const ada = await userWith({ budget: { microUsd: 5, per: "day" } });
  const { job } = await ada.made("A booking app for barbers");
  assert.equal(job.status, "failed");
  assert.match(job.error, /This API key has spent its budget/);
  assert.equal(claude.requests.length, 0);
  assert.deepEqual(await ada.used(), { day: 0, key: 0, all: 0 });
});

test("a key that must not use Claude generates with a model that it may use", async () => {
  const ada = await userWith({ models: ["openai/*"] });
  const { job, lines } = await ada.made("A booking app for barbers");
  assert.equal(job.status, "completed", job.error);
  assert.deepEqual([claude.requests.length, gpt.requests.length], [0, 3]);
  assert.ok(lines.includes("The model knows of 1 competitors: Slotty"), lines.join("\n"));
});

test("the reservation of a consumer that died is released by the next one, and what had arrived stays paid", async () => {
  const ada = await userWith({ budget: { microUsd: BUDGET, per: "day" } });
  claude.setFault({ delayMs: 0 }, { chunkBytes: 20, delayMs: 200 });
  const jobId = await ada.generate();
  await until(() => building(claude).length === 1);
  const paid = await until(async () => {
    const [{ usage }, [{ arrived }]] = [await ada.status(jobId), await sql("SELECT count(*) AS arrived FROM model_reservations")];
    return arrived === 1 && usage.cost_micro_usd > claude.requests[0].message.usage.output_tokens * 10 + 100 && usage.cost_micro_usd;
  });
  const held = await ada.used();
  assert.ok(held.day > 100_000 && held.day === held.key, JSON.stringify(held));
  claude.setFault();
  claude.setAnswer(author());
  await ada.dies(jobId, claude);
  const job = await ada.ended(jobId);
  assert.equal(job.status, "completed", job.error);
  const cost = job.usage.cost_micro_usd;
  assert.ok(cost > paid);
  assert.deepEqual(await ada.used(), { day: cost, key: cost, all: cost });
  assert.equal(await reservations(), 0);
});

test("a model of the settings generates, at its own price", async () => {
  const others = startups(await startWorker({ ...claudeVars(claude), ...openai, GENERATE_MODEL: "openai/gpt-6-luna" }));
  const { job } = await others.made("A booking app for barbers");
  assert.equal(job.status, "completed", job.error);
  assert.deepEqual([claude.requests.length, gpt.requests.length], [0, 3]);
  assert.ok(gpt.requests.every(({ body }) => body.model === "gpt-6-luna"));
  assert.equal(gpt.requests.filter(({ body }) => body.response_format?.json_schema.strict === true).length, 2);
  assert.ok(job.usage.cost_micro_usd > 0);
});

test("a startup whose model has no price fails under a budget, and its job says what to do", async () => {
  const models = [{ id: "free", context: 200_000, max_output: 32_000, input: null, output: null, capabilities: ["structured_output"] }];
  const PROVIDERS = JSON.stringify([{ name: "local", base_url: `${gpt.url}/v1`, key: gpt.key, dialect: "openai", models }]);
  const bound = startups(await startWorker({ PROVIDERS, GENERATE_MODEL: "local/free", DAILY_BUDGET_MICRO_USD: String(BUDGET) }));
  const { job } = await bound.made("A booking app for barbers");
  assert.equal(job.status, "failed");
  assert.match(job.error, /price of local\/free is not known here, so no budget can pay for it; ask another model/);
  assert.equal(gpt.requests.length, 0);
});

test("without any key nothing is generated and no app is built in production, except with the user's own key, which pays", async () => {
  const own = await startWorker({
    ...production(stack), SEALING_KEY: "0f".repeat(32), CLAUDE_BASE_URL: claude.url, OPENAI_BASE_URL: `${gpt.url}/v1`, DAILY_BUDGET_MICRO_USD: "1",
  });
  const everyone = people(own, stack);
  const [ada, bob] = [await everyone.signIn(), await everyone.signIn()];
  const { detail } = await own.api("POST", "/api/generate", { prompt: "A clock" }, as(bob.token)).then((response) => response.json());
  assert.match(detail, /CLAUDE_API_KEY/);
  await problem(await own.api("POST", "/message", { message: "A clock" }, as(bob.token)), 503, "not_configured");

  assert.equal((await own.api("PUT", "/auth/credentials/anthropic", { token: claude.key }, as(ada.token))).status, 200);
  const { job } = await startups(own, as(ada.token)).made("A booking app for barbers");
  assert.equal(job.status, "completed", job.error);
  assert.equal(job.usage.cost_micro_usd, 0);
  assert.ok(job.usage.output_tokens > 0);
  claude.setAnswer(builds());
  const { events } = await agents(own, as(ada.token)).sendToEnd("A timer");
  assert.ok(kinds(events).includes("ReviewResult"), texts(events).join("\n"));
  assert.equal(claude.requests.length, 6);
  assert.ok(claude.requests.every(({ headers }) => headers["x-api-key"] === claude.key));
  assert.equal((await own.sql("SELECT count(*) AS n FROM daily_counters WHERE name = 'budget-day' AND used > 0"))[0].n, 0);
  const rows = JSON.stringify([await own.sql("SELECT * FROM startups"), await own.sql("SELECT * FROM job_logs"), await own.sql("SELECT * FROM app_turns"), own.harness.getLogs()]);
  assert.ok(!rows.includes(claude.key));

  await problem(await own.api("POST", "/message", { message: "Another clock" }, as(bob.token)), 503, "not_configured");
});
