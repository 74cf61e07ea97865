// The job engine: every job ends and does its work once, even if messages are lost
// or doubled, consumers killed, or writes refused.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { deployments, until } from "./support/deployments.js";
import { startWorker } from "./support/harness.js";

const HOUR_MS = 60 * 60 * 1000;

// A Worker that can put a message into the dead-letter queue, which Hatch cannot.
const postman = {
  name: "postman",
  compatibilityDate: "2026-11-01",
  modules: [{ type: "ESModule", path: "postman.js", contents: "export default { fetch: () => new Response('postman') };" }],
  queueProducers: { DEAD: { queueName: "hatch-jobs-dead" } },
};
const hatch = await startWorker({}, [postman]);
const { api, env, sql } = hatch;
const { row, project, deploy, show, ended, written, send, lines, job, steps } = deployments(hatch);

const letters = async () => (await api("GET", "/admin/dead-letters?limit=100")).json();
const letterOf = async (jobId) => (await letters()).find((letter) => letter.jobId === jobId);
const redrive = (letter) => api("POST", `/admin/dead-letters/${letter.id}/redrive`);
const sweep = () => hatch.worker.scheduled({ cron: "* * * * *" });
const jobOf = (deploymentId) => row("SELECT * FROM jobs WHERE subject_id = ?", deploymentId);

/** Waits until the consumer has acknowledged every earlier message. */
async function drained() {
  const marker = `marker ${randomUUID()}`;
  await env.JOBS.send(marker);
  const kept = await until(async () => (await letters()).find(({ body }) => body === marker));
  await sql("DELETE FROM dead_letters WHERE id = ?", kept.id);
}

/** Waits for the end without a request to the Worker, which would send the job's message. */
const done = (deploymentId) => until(async () => (await jobOf(deploymentId)).state === "done");

/** Expires the lease of a killed consumer, and the delay of the outbox. */
async function timePasses(jobId) {
  await sql("UPDATE jobs SET lease_until = 0 WHERE id = ?", jobId);
  await sql("UPDATE outbox SET send_at = 0 WHERE job_id = ?", jobId);
}

/** Makes the database refuse a change while `body` runs. */
async function withFault(trigger, body) {
  await sql(`CREATE TRIGGER fault ${trigger} BEGIN SELECT RAISE(ABORT, 'injected fault'); END`);
  try {
    return await body();
  } finally {
    await sql("DROP TRIGGER fault");
  }
}

/** Checks that a deployment's work was done completely and once. */
async function assertLiveOnce(id, target) {
  const deployment = await ended(id);
  assert.equal(deployment.status, "live", deployment.logs);
  const told = lines(deployment).filter((line) => !line.includes("trying again"));
  assert.deepEqual(told, ["Built 1 file, 42 bytes", `Live at ${deployment.url}`]);
  const { id: jobId, state, error, lease_owner } = await jobOf(id);
  assert.deepEqual({ state, error, lease_owner }, { state: "done", error: null, lease_owner: null });
  assert.equal(await row("SELECT * FROM outbox WHERE job_id = ?", jobId), undefined, "nothing is owed any more");
  const sites = await sql("SELECT * FROM sites WHERE project_id = ?", target.id);
  assert.deepEqual(sites.map(({ deployment_id }) => deployment_id), [id]);
  const files = await sql("SELECT path FROM site_files WHERE slug = ?", sites[0].slug);
  assert.deepEqual(files, [{ path: "index.html" }]);
  const { revision } = await row("SELECT revision FROM projects WHERE id = ?", target.id);
  // Created, given its code, made live.
  assert.equal(revision, 3, "the project was made live once");
}

test("three messages about one job do its work once", async () => {
  const target = await project();
  const { id, jobId } = await written(target);
  await env.JOBS.sendBatch(Array(3).fill({ body: JSON.stringify({ v: 1, jobId }) }));
  await assertLiveOnce(id, target);
  await send(jobId);
  await drained();
  await assertLiveOnce(id, target);
});

test("an unknown message becomes a dead letter, without its secrets, and stops nothing", async () => {
  const foreign = ["{]", JSON.stringify({ v: 2, jobId: "x" }), `{"token":"Bearer abcdefgh12345678"}`, { an: "object" }];
  for (const body of foreign) await env.JOBS.send(body);
  const target = await project();
  await assertLiveOnce(await deploy(target.id), target);
  await drained();
  const kept = (await letters()).filter(({ jobId }) => jobId === null);
  assert.equal(kept.length, foreign.length);
  for (const { reason, redrivenAt } of kept) assert.deepEqual([reason, redrivenAt], ["not a message of ours", null]);
  const bodies = kept.map(({ body }) => body).join("\n");
  assert.match(bodies, /\{\]/);
  assert.match(bodies, /an.*object/);
  assert.doesNotMatch(bodies, /abcdefgh/);
  const refused = await redrive(kept[0]);
  assert.equal(refused.status, 409);
});

test("a message that the queue gave up becomes a dead letter, and its job still runs", async () => {
  const target = await project();
  const { id, jobId } = await written(target, { sendAt: Date.now() - 1 });
  const { DEAD } = await hatch.worker.getEnv("postman");
  await DEAD.send(JSON.stringify({ v: 1, jobId }));
  const letter = await until(() => letterOf(jobId));
  assert.match(letter.reason, /gave up/);
  assert.equal((await redrive(letter)).status, 409, "its job has not failed");
  await sweep();
  await done(id);
  await assertLiveOnce(id, target);
});

test("a message about an unknown job is dropped", async () => {
  const before = (await letters()).length;
  await send(randomUUID());
  await drained();
  assert.equal((await letters()).length, before);
});

test("a lost message is sent again by the sweep", async () => {
  const target = await project();
  const { id } = await written(target, { sendAt: Date.now() - 1 });
  await sweep();
  await done(id);
  await assertLiveOnce(id, target);
});

test("the sweep leaves jobs alone that are not due", async () => {
  const { jobId } = await written(await project());
  await sweep();
  await drained();
  assert.equal((await job(jobId)).attempts, 0);
  assert.equal((await row("SELECT sends FROM outbox WHERE job_id = ?", jobId)).sends, 0);
  await sql("DELETE FROM jobs WHERE id = ?", jobId);
});

test("a request for an overdue job sends its message", async (t) => {
  await t.test("by its status", async () => {
    const target = await project();
    const { id } = await written(target, { sendAt: Date.now() - 1 });
    await show(id);
    await done(id);
    await assertLiveOnce(id, target);
  });
  await t.test("by its stream", async () => {
    const target = await project();
    const { id } = await written(target, { sendAt: Date.now() - 1 });
    await assertLiveOnce(id, target);
  });
});

test("a leased job is left alone, and taken over when the lease has expired", async () => {
  const target = await project();
  const { id, jobId } = await written(target, { lease_owner: "dead consumer", lease_until: Date.now() + HOUR_MS, attempts: 1 });
  await send(jobId);
  await drained();
  const held = await job(jobId);
  assert.deepEqual([held.lease_owner, held.attempts, held.state], ["dead consumer", 1, "queued"]);

  await sql("UPDATE jobs SET lease_until = ? WHERE id = ?", Date.now() - 1, jobId);
  await send(jobId);
  await assertLiveOnce(id, target);
});

test("a consumer that has lost its lease writes nothing", async () => {
  const target = await project();
  const { id, jobId } = await written(target);
  // While it works, another consumer takes the job.
  await sql(`CREATE TRIGGER robbed AFTER UPDATE ON deployments WHEN NEW.id = '${id}' BEGIN
               UPDATE jobs SET lease_owner = 'robber' WHERE id = '${jobId}'; END`);
  await send(jobId);
  const [step] = await until(() => (steps(jobId).length ? steps(jobId) : null));
  await drained();
  await sql("DROP TRIGGER robbed");
  assert.equal(step.level, "error");
  const { state, lease_owner, step: at } = await job(jobId);
  assert.deepEqual({ state, lease_owner, at }, { state: "queued", lease_owner: "robber", at: "build" });
  assert.equal((await show(id)).logs, "");

  await timePasses(jobId);
  await assertLiveOnce(id, target);
});

test("a failed step is retried after a pause, which its log shows", async () => {
  const target = await project();
  const id = await withFault("BEFORE INSERT ON sites", async () => {
    const id = await deploy(target.id);
    await until(async () => (await show(id)).logs.includes("trying again in 2 s"));
    return id;
  });
  const { state, attempts, lease_until } = await jobOf(id);
  assert.deepEqual({ state, attempts, lease_until }, { state: "queued", attempts: 1, lease_until: 0 });
  assert.doesNotMatch((await show(id)).logs, /injected|SQL|D1/);
  await assertLiveOnce(id, target);
});

test("a job without attempts left fails, and redriving its dead letter brings it live", async () => {
  const target = await project();
  const { id, jobId } = await written(target, { step: "publish", attempts: 4 });
  const failed = await withFault("BEFORE INSERT ON sites", async () => {
    await send(jobId);
    return ended(id);
  });
  assert.equal(failed.status, "failed");
  assert.equal(failed.error, "Something went wrong on our side");
  assert.deepEqual(lines(failed), [failed.error]);
  const letter = await letterOf(jobId);
  assert.equal(letter.reason, failed.error);
  assert.deepEqual(JSON.parse(letter.body), { v: 1, jobId });
  const jobs = await (await api("GET", "/admin/jobs?limit=100")).json();
  assert.deepEqual(jobs.filter(({ id }) => id === jobId).map(({ state, error }) => [state, error]), [["failed", failed.error]]);

  const redriven = await redrive(letter);
  assert.equal(redriven.status, 202);
  assert.deepEqual(await redriven.json(), { jobId, state: "queued" });
  const deployment = await ended(id);
  assert.equal(deployment.status, "live");
  assert.equal(deployment.error, null);
  assert.deepEqual(lines(deployment).slice(1), ["Trying once more", "Built 1 file, 42 bytes", `Live at ${deployment.url}`]);
  assert.ok((await letterOf(jobId)).redrivenAt);
});

test("a dead letter is redriven once, and only while its job has failed", async () => {
  const target = await project({ "notes.txt": "no page" });
  const { id, jobId } = await written(target, { attempts: 5 });
  await send(jobId);
  await ended(id);
  const letter = await letterOf(jobId);
  const answers = await Promise.all([redrive(letter), redrive(letter), redrive(letter)]);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [202, 409, 409]);
  const deployment = await ended(id);
  assert.deepEqual(lines(deployment).filter((line) => line === "Trying once more").length, 1);

  await sql("UPDATE jobs SET state = 'done' WHERE id = ?", jobId);
  await sql("UPDATE dead_letters SET redriven_at = NULL WHERE id = ?", letter.id);
  const done = await redrive(letter);
  assert.equal(done.status, 409);
  assert.match((await done.json()).error, /has not failed/);
  assert.equal(await row("SELECT * FROM outbox WHERE job_id = ?", jobId), undefined);

  await sql("DELETE FROM jobs WHERE id = ?", jobId);
  assert.equal((await redrive(letter)).status, 409);
  assert.equal((await redrive({ id: randomUUID() })).status, 404);
});

test("a job that kills its consumer every time is given up", async () => {
  const { id, jobId } = await written(await project(), { attempts: 5, lease_owner: "killed", lease_until: Date.now() - 1 });
  await send(jobId);
  assert.equal((await ended(id)).status, "failed");
  assert.match((await letterOf(jobId)).reason, /broken off again and again/);
});

test("a job of an unknown kind becomes a dead letter", async () => {
  const { id, jobId } = await written(await project(), { attempts: 4 });
  await sql("UPDATE jobs SET kind = 'unknown' WHERE id = ?", jobId);
  await send(jobId);
  await until(async () => (await jobOf(id)).state === "failed");
  assert.ok(await letterOf(jobId));
});

test("the sweep fails jobs without progress for an hour, and a redriven one has another hour", async () => {
  const long = Date.now() - HOUR_MS - 1000;
  const target = await project();
  const { id, jobId } = await written(target, { created_at: long, updated_at: long });
  const fresh = await written(await project(), { created_at: long });
  await sweep();
  const failed = await show(id);
  assert.equal(failed.status, "failed");
  assert.equal(failed.error, "The work did not end within an hour");
  assert.equal((await show(fresh.id)).status, "pending");

  const letter = await letterOf(jobId);
  await sql("UPDATE jobs SET lease_until = ? WHERE id = ?", Date.now() + HOUR_MS, jobId);
  assert.equal((await redrive(letter)).status, 202);
  await sweep();
  assert.equal((await jobOf(id)).state, "queued");
  await timePasses(jobId);
  assert.equal((await ended(id)).status, "live");
  await sql("DELETE FROM jobs WHERE id = ?", fresh.jobId);
});

test("a job that cannot be ended does not stop the sweep for others", async () => {
  const long = Date.now() - HOUR_MS - 1000;
  const bad = await written(await project(), { created_at: long, updated_at: long - 1 });
  const good = await written(await project(), { created_at: long, updated_at: long });
  const target = await project();
  const lost = await written(target, { sendAt: Date.now() - 1 });
  await withFault(`BEFORE UPDATE ON deployments WHEN NEW.id = '${bad.id}'`, sweep);
  assert.equal((await show(bad.id)).status, "pending");
  assert.equal((await show(good.id)).status, "failed");
  await done(lost.id);
  await assertLiveOnce(lost.id, target);
});

// A statement that fails undoes its batch, so these are all the points at which a
// deployment's writes can be interrupted.
for (const [point, trigger] of Object.entries({
  "its lease is taken": "BEFORE UPDATE ON jobs WHEN NEW.lease_owner IS NOT NULL",
  "the outbox is told of its lease": "BEFORE UPDATE ON outbox",
  "its work begins": "BEFORE UPDATE ON deployments WHEN NEW.status = 'building'",
  "what is built is written": "BEFORE UPDATE ON deployments WHEN NEW.status = 'deploying'",
  "what is built is logged, and every failure": "BEFORE INSERT ON job_logs",
  "the next step is written": "BEFORE UPDATE ON jobs WHEN NEW.step = 'publish' AND OLD.step = 'build'",
  "the next step is owed": "BEFORE INSERT ON outbox WHEN EXISTS (SELECT 1 FROM jobs WHERE id = NEW.job_id AND step = 'publish')",
  "the next step's lease is taken": "BEFORE UPDATE ON jobs WHEN NEW.lease_owner IS NOT NULL AND NEW.step = 'publish'",
  "the site is written": "BEFORE INSERT ON sites",
  "the files are written": "BEFORE INSERT ON site_files",
  "the project is made live": "BEFORE UPDATE ON projects",
  "the deployment is made live": "BEFORE UPDATE ON deployments WHEN NEW.status = 'live'",
  "the end is logged": "BEFORE INSERT ON job_logs WHEN NEW.level = 'success'",
  "the job is ended": "BEFORE UPDATE ON jobs WHEN NEW.state = 'done'",
  "the job is settled": "BEFORE DELETE ON outbox",
  "the lease is given back": "BEFORE UPDATE ON jobs WHEN NEW.lease_owner IS NULL",
})) {
  test(`interrupted when ${point}, a deployment ends live, once`, async () => {
    const target = await project();
    const { id, jobId } = await written(target);
    const faults = () => hatch.harness.getLogs().filter(({ message }) => message.includes("injected fault")).length;
    const before = faults();
    await withFault(trigger, async () => {
      await send(jobId);
      await until(() => faults() > before);
    });
    await timePasses(jobId);
    await assertLiveOnce(id, target);
  });
}

for (const table of ["deployments", "project_versions", "jobs", "outbox"]) {
  test(`a deployment that cannot be written to ${table} is not accepted and leaves nothing`, async () => {
    const target = await project();
    const count = () => row(
      `SELECT (SELECT count(*) FROM deployments) AS deployments, (SELECT count(*) FROM jobs) AS jobs,
              (SELECT count(*) FROM outbox) AS outbox, (SELECT max(version) FROM projects WHERE id = ?) AS version`, target.id,
    );
    const before = await count();
    const response = await withFault(`BEFORE INSERT ON ${table}`, () =>
      api("POST", "/api/deploy", { projectId: target.id, code: { "index.html": "new" } }));
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /injected|SQL/);
    assert.deepEqual(await count(), before);
  });
}

test("a wrong credential does not open the operator's routes", async () => {
  for (const path of ["/admin/jobs", "/admin/dead-letters"]) {
    assert.equal((await api("GET", path, undefined, { authorization: "Bearer wrong" })).status, 401);
  }
});

test("dead letters and jobs are listed newest first, a page at a time", async () => {
  for (const path of ["/admin/jobs", "/admin/dead-letters"]) {
    const all = await (await api("GET", `${path}?limit=100`)).json();
    const times = all.map(({ createdAt }) => createdAt);
    assert.deepEqual(times, times.toSorted().reverse());
    const first = await api("GET", `${path}?limit=1`);
    assert.deepEqual(await first.json(), all.slice(0, 1));
    const next = first.headers.get("link").match(/<(.*)>/)[1];
    assert.deepEqual(await (await api("GET", next)).json(), all.slice(1, 2));
  }
});
