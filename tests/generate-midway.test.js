// Actions of the owner while a startup is made, and files of a step that never
// ends.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { claudeVars } from "./support/conversation.js";
import { until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startWorker } from "./support/harness.js";
import { APP, author, building, fenced, startups } from "./support/startups.js";

const claude = await startAnthropic();
after(() => claude.close());
const hatch = await startWorker({ ...claudeVars(claude), DAILY_BUDGET_MICRO_USD: "100000000" });
const { api, sql, env, worker } = hatch;
const { generate, status, ended } = startups(hatch);
beforeEach(() => {
  claude.reset();
  claude.setAnswer(author());
});

/** A turn whose answer takes minutes. */
const SLOW = { chunkBytes: 20, delayMs: 200 };
/** Lets a number of answers pass before the faults strike. */
const letThrough = (count, ...faults) => [...Array(count).fill({ delayMs: 0 }), ...faults];
const spent = async () => (await sql("SELECT coalesce(sum(used), 0) AS used FROM daily_counters WHERE name = 'budget-day'"))[0].used;
const cost = async (jobId) => (await status(jobId)).usage.cost_micro_usd;

/** A startup in the middle of a slow turn: its id, its job's, and the request. */
async function midway(turns, before = 1, slow = SLOW) {
  claude.setAnswer(author(turns));
  claude.setFault(...letThrough(before, slow));
  const jobId = await generate();
  const request = await until(() => building(claude)[before - 1]);
  const [{ id }] = await sql("SELECT id FROM startups WHERE job_id = ?", jobId);
  return { jobId, id, request };
}

/** The queue has one consumer here. When it works on another startup, it has ended the slow turn. */
async function brokenOff({ request }, jobId) {
  claude.setFault();
  claude.setAnswer(author());
  const job = await ended(jobId ?? (await generate()));
  assert.equal(job.status, "completed", job.error);
  assert.equal(await request.ended, "left", "the turn was waited for");
}

test("cancelling a turn interrupts it, and its tokens until then are charged", async () => {
  const before = await spent();
  const turn = await midway();
  const { jobId, request } = turn;
  const research = claude.requests[0].message.usage;
  const asked = research.input_tokens * 2 + research.output_tokens * 10;
  await until(async () => (await cost(jobId)) > asked);
  assert.equal((await api("POST", `/api/generate/${jobId}/cancel`)).status, 200);
  const paid = await cost(jobId);
  assert.ok(paid > asked + request.message.usage.input_tokens * 2, "nothing of its words was paid");

  assert.equal((await api("POST", `/api/generate/${jobId}/retry`)).status, 200);
  await brokenOff(turn, jobId);
  const { input_tokens: read, output_tokens: written } = building(claude)[1].message.usage;
  assert.ok((await cost(jobId)) > paid + read * 2 + written * 10);
  assert.equal((await spent()) - before, await cost(jobId));
});

test("a startup without a project yet is deleted with its job, and another user cannot delete it", async () => {
  const turn = await midway();
  const { jobId, id } = turn;
  assert.equal((await api("DELETE", `/api/projects/${jobId}`)).status, 404, "a job's id is no project's");
  assert.equal((await api("DELETE", `/api/projects/${id}`)).status, 204);
  assert.equal((await api("GET", `/api/status/${jobId}`)).status, 404);
  assert.equal((await api("DELETE", `/api/projects/${id}`)).status, 404);
  await brokenOff(turn);
  for (const rows of ["startups WHERE job_id = ?1", "jobs WHERE id = ?1", "job_logs WHERE job_id = ?1", "outbox WHERE job_id = ?1"]) {
    assert.deepEqual(await sql(`SELECT * FROM ${rows}`, jobId), [], rows);
  }
});

const BROKEN = { ...APP, "app/page.jsx": 'import Chairs from "../components/chairs";\nimport Hours from "../components/hours";\n\nexport default function Page() {\n  return <Chairs hours={Hours} />;\n}\n' };
const HOURS = { "components/hours.jsx": 'export default function Hours() {\n  return "9 to 5";\n}\n' };

test("deleting the project of an unfinished startup ends its job", async () => {
  const turn = await midway([fenced(BROKEN), fenced(HOURS)], 2);
  const { jobId, id } = turn;
  assert.equal((await api("DELETE", `/api/projects/${id}`)).status, 204);
  await brokenOff(turn);
  assert.deepEqual(await sql("SELECT * FROM jobs WHERE id = ?", jobId), []);
  assert.equal((await api("GET", `/api/projects/${id}`)).status, 404, "the job has made it again");
});

test("the owner's changes during a turn are kept, the name too", async () => {
  const { jobId, id, request } = await midway([fenced(BROKEN), fenced(HOURS)], 2, { chunkBytes: 20, delayMs: 20 });
  const { code } = await (await api("GET", `/api/projects/${id}`)).json();
  const mine = { ...JSON.parse(code), "NOTES.md": "Mine.\n" };
  assert.equal((await api("PATCH", `/api/projects/${id}`, { name: "My chairs", code: JSON.stringify(mine) })).status, 200);
  assert.equal(request.outcome, undefined, "the turn had ended before");

  const job = await ended(jobId);
  assert.equal(job.status, "completed", job.error);
  const project = await (await api("GET", `/api/projects/${id}`)).json();
  const files = JSON.parse(project.code);
  assert.deepEqual([project.name, files["NOTES.md"], files["components/hours.jsx"].trim()], ["My chairs", "Mine.\n", HOURS["components/hours.jsx"].trim()]);
});

test("a package whose step never commits is deleted an hour later, and one in use is not", async () => {
  await sql("CREATE TRIGGER never BEFORE UPDATE ON startups WHEN NEW.archive IS NOT NULL AND OLD.archive IS NULL BEGIN SELECT RAISE(ABORT, 'never'); END");
  const jobId = await generate();
  const [{ key, since }] = await until(async () => {
    const rows = await sql("SELECT key, since FROM unused_files");
    return rows.length > 0 && (await env.FILES.head(rows[0].key)) && rows;
  });
  assert.ok(since > Date.now() + 59 * 60_000);
  await worker.scheduled({ cron: "* * * * *" });
  assert.ok(await env.FILES.head(key), "its step may still commit");
  const [{ id }] = await sql("SELECT id FROM startups WHERE job_id = ?", jobId);
  assert.equal((await api("DELETE", `/api/projects/${id}`)).status, 204);
  await sql("DROP TRIGGER never");
  await sql("UPDATE unused_files SET since = ?", Date.now() - 1);
  await worker.scheduled({ cron: "* * * * *" });
  assert.equal(await env.FILES.head(key), null);

  const job = await ended(await generate());
  assert.deepEqual(await sql("SELECT * FROM unused_files"), []);
  assert.equal((await api("GET", `/api/download/${job.project_id}`)).status, 200);

  // As by a consumer that was thought dead, and repeats the packaging of another one.
  await sql("CREATE TRIGGER late BEFORE UPDATE OF archive ON startups BEGIN SELECT RAISE(ABORT, 'late'); END");
  await sql("UPDATE startups SET status = 'processing' WHERE job_id = ?", job.job_id);
  await sql("UPDATE jobs SET state = 'queued', step = 'packaging', attempts = 0, lease_owner = NULL, lease_until = 0 WHERE id = ?", job.job_id);
  await env.JOBS.send(JSON.stringify({ v: 1, jobId: job.job_id }));
  await until(async () => (await sql("SELECT 1 FROM job_logs WHERE job_id = ? AND message LIKE '%trying again%'", job.job_id)).length > 0);
  assert.deepEqual(await sql("SELECT * FROM unused_files"), []);
  await sql("DROP TRIGGER late");
});
