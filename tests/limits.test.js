// The limits: daily quotas and the budget, counted exactly, and the rate in a
// minute.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { chat, claudeVars, newProject, send, until } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { problem, startWorker } from "./support/harness.js";

const PAGE = { "index.html": "<h1>Hello</h1>" };
const DAY_S = 24 * 60 * 60;

const claude = await startAnthropic();
const limited = await startWorker({ ...claudeVars(claude), DAILY_CHAT_LIMIT: "10", DAILY_DEPLOY_LIMIT: "3", UPSTREAM_IDLE_TIMEOUT_MS: "1500" });
const budgeted = await startWorker({ ...claudeVars(claude), DAILY_BUDGET_MICRO_USD: "1000000", UPSTREAM_IDLE_TIMEOUT_MS: "1500" });
const rated = await startWorker({ RATE_LIMITS: "on" });
test.after(() => claude.close());
beforeEach(async () => {
  claude.reset();
  for (const hatch of [limited, budgeted]) await hatch.sql("DELETE FROM daily_counters");
});

const used = async ({ sql }, name) => (await sql("SELECT used FROM daily_counters WHERE name = ?", name))[0]?.used ?? 0;

/** Checks a 429 that names the limit and the time of its renewal: the next midnight, UTC. */
async function exceeded(response, policy, limit, code) {
  const retryAfter = Number(response.headers.get("retry-after"));
  assert.ok(retryAfter > 0 && retryAfter <= DAY_S, `Retry-After: ${retryAfter}`);
  assert.equal(response.headers.get("ratelimit-policy"), `"${policy}";q=${limit};w=${DAY_S}`);
  assert.equal(response.headers.get("ratelimit"), `"${policy}";r=0;t=${retryAfter}`);
  const told = await problem(response, 429, code);
  assert.deepEqual(told["violated-policies"], [policy]);
  assert.match(told.resetAt, /T00:00:00\.000Z$/);
  assert.ok(told.detail.includes(told.resetAt));
}

test("50 chats at once with a limit of 10: exactly 10 are answered", async () => {
  const ids = await Promise.all(Array.from({ length: 50 }, () => newProject(limited)));
  const answers = await Promise.all(ids.map((id) => send(limited, id)));
  const good = answers.filter(({ status }) => status === 200);
  assert.equal(good.length, 10);
  const remaining = good.map(({ headers }) => Number(headers.get("ratelimit").match(/^"chat-day";r=(\d+);t=\d+$/)[1]));
  assert.deepEqual(remaining.sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (const answer of answers) {
    if (answer.status !== 200) await exceeded(answer, "chat-day", 10, "daily_chat_limit_reached");
    else await answer.text();
  }
  assert.equal(claude.count("/v1/messages"), 10);
  assert.equal(await used(limited, "chat-day"), 10);
});

test("an unanswered chat is not counted", async () => {
  const id = await newProject(limited);
  claude.setFault({ status: 400, message: "no" });
  assert.ok((await send(limited, id)).status >= 400);
  await problem(await send(limited, "unknown"), 404);
  await problem(await send(limited, id, " "), 400);
  assert.equal(await used(limited, "chat-day"), 0);
});

test("deployments have a limit of their own", async () => {
  const id = await newProject(limited, PAGE);
  const deploy = () => limited.api("POST", "/api/deploy", { projectId: id });
  const answers = await Promise.all(Array.from({ length: 8 }, deploy));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [202, 202, 202, 429, 429, 429, 429, 429]);
  await exceeded(answers.find(({ status }) => status === 429), "deploy-day", 3, "daily_deploy_limit_reached");
  await problem(await limited.api("POST", "/api/deploy", { projectId: "unknown" }), 404);
  assert.equal(await used(limited, "deploy-day"), 3);
});

test("GET /auth/me shows what is left of today", async () => {
  await chat(limited, await newProject(limited));
  const { limits } = await (await limited.api("GET", "/auth/me")).json();
  const [{ resetsAt, ...messages }] = limits;
  assert.deepEqual(messages, { name: "chat-day", limit: 10, used: 1, remaining: 9 });
  assert.match(resetsAt, /T00:00:00\.000Z$/);
  assert.deepEqual(limits.map(({ name }) => name), ["chat-day", "deploy-day"]);
});

test("yesterday's use does not count today", async () => {
  const yesterday = Math.floor(Date.now() / (DAY_S * 1000)) - 1;
  await limited.sql("INSERT INTO daily_counters (user_id, name, day, used) VALUES ('local-developer', 'chat-day', ?, 10)", yesterday);
  assert.equal((await chat(limited, await newProject(limited))).status, 200);
});

// --- the budget -------------------------------------------------------------------

test("an answer is charged its real cost, and the rest of its reservation is returned", async () => {
  claude.setAnswer({ content: [{ type: "text", text: "Hello" }], usage: { input_tokens: 1000, output_tokens: 500 } });
  const { events } = await chat(budgeted, await newProject(budgeted));
  const { costMicroUsd } = events.find(({ event }) => event === "saved").data;
  assert.ok(costMicroUsd > 0);
  assert.equal(await used(budgeted, "budget-day"), costMicroUsd);
});

test("running answers reserve the most that they can cost, and together never exceed the budget", async () => {
  // Each one reserves about 320,000 micro-dollars, so three fit.
  claude.setFault({ stallAfterBytes: 700, times: Infinity });
  const ids = await Promise.all(Array.from({ length: 6 }, () => newProject(budgeted)));
  const answers = await Promise.all(ids.map((id) => send(budgeted, id)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 429, 429, 429]);
  await exceeded(answers.find(({ status }) => status === 429), "budget-day", 1_000_000, "daily_budget_reached");
  await Promise.all(answers.filter(({ status }) => status === 200).map((answer) => answer.text()));
  // Interrupted answers have cost little, and the rest was returned.
  await until(async () => (await used(budgeted, "budget-day")) < 100_000);
});

test("a spent budget is an error before Claude is asked, and the turn leaves nothing", async () => {
  const day = Math.floor(Date.now() / (DAY_S * 1000));
  await budgeted.sql("INSERT INTO daily_counters (user_id, name, day, used) VALUES ('local-developer', 'budget-day', ?, 999999)", day);
  const id = await newProject(budgeted);
  await problem(await send(budgeted, id), 429, "daily_budget_reached");
  assert.equal(claude.count("/v1/messages"), 0);
  assert.equal((await budgeted.sql("SELECT count(*) AS n FROM chat_messages WHERE project_id = ?", id))[0].n, 0);
  assert.equal(await used(budgeted, "budget-day"), 999_999);
});

// --- the minute ---------------------------------------------------------------------

test("more than 600 requests in a minute are 429, but /health always answers", async () => {
  const first = await rated.api("GET", "/api/projects");
  assert.equal(first.headers.get("ratelimit-policy"), '"minute";q=600;w=60');
  // A window may end during the requests, so they go on until one is full.
  const answers = [];
  while (!answers.some(({ status }) => status === 429)) {
    answers.push(...(await Promise.all(Array.from({ length: 50 }, () => rated.api("GET", "/api/projects")))));
    assert.ok(answers.length <= 2 * 600 + 50, "none of 1200 requests was refused");
  }
  const refused = answers.find(({ status }) => status === 429);
  assert.ok(answers.filter(({ status }) => status === 200).length >= 599);
  assert.equal(refused.headers.get("retry-after"), "60");
  assert.equal(refused.headers.get("ratelimit-policy"), '"minute";q=600;w=60');
  assert.deepEqual((await problem(refused, 429, "rate_limited"))["violated-policies"], ["minute"]);
  const health = await rated.api("GET", "/health");
  assert.deepEqual([health.status, health.headers.get("ratelimit-policy")], [200, null]);
});

test("Of far more requests than the database can handle each is answered, or refused at once with Retry-After", async () => {
  const crowded = await startWorker();
  const id = await newProject(crowded);
  const asked = Array.from({ length: 3_000 }, () => fetch(`${crowded.url}/api/projects/${id}`));
  const alive = await Promise.all(Array.from({ length: 10 }, () => fetch(`${crowded.url}/health`)));
  assert.ok(alive.every(({ status }) => status === 200));
  const statuses = await Promise.all(asked.map(async (answer) => {
    const { status, headers } = await answer;
    if (status === 503) assert.equal(headers.get("retry-after"), "1");
    return status;
  }));
  assert.ok(statuses.every((status) => status === 200 || status === 503) && statuses.includes(200));
  assert.equal((await crowded.api("GET", `/api/projects/${id}`)).status, 200);
});
