// kill -9 of `wrangler dev` and its workerd at every boundary between the
// steps of a startup, and inside every step, after its work and before its
// commit. It restarts on the same state, and each job ends with its work done
// once.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { claudeVars } from "./support/conversation.js";
import { until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startLivepeer } from "./fakes/livepeer.js";
import { killable } from "./support/killable.js";
import { APP, author, building, fenced } from "./support/startups.js";

const STEPS = ["discovery", "building", "packaging", "marketing", "identity"];
const BEGINS = [10, 40, 75, 90, 95];
const ENDS = [33, 66, 90, 95];

const [claude, livepeer] = await Promise.all([startAnthropic(), startLivepeer()]);
after(() => Promise.all([claude.close(), livepeer.close()]));
claude.setAnswer(author([fenced(APP)]));
const { api, start, kill, database } = await killable({
  ...claudeVars(claude), LIVEPEER_API_KEY: livepeer.key, LIVEPEER_BASE_URL: livepeer.url, RUNNING_JOBS_LIMIT: "20",
});
const status = ({ id }) => api("GET", `/api/status/${id}`);
/** Expires the leases of dead consumers, so that their jobs are free again. */
const leasesRunOut = () => database((db) => db.exec("UPDATE jobs SET lease_until = 0; UPDATE outbox SET send_at = 0"));

test("killed before and inside each step of a startup and restarted, each job completes once", async () => {
  const held = STEPS.flatMap((step, at) => [
    // None is taken from the queue before discovery has begun, so its progress is 0.
    { prompt: `Never taken at ${step}`, step, inside: false, progress: ENDS[at - 1] ?? 0 },
    { prompt: `Held inside ${step}`, step, inside: true, progress: BEGINS[at] },
  ]);
  const is = ({ prompt, step }) => `OLD.step = '${step}' AND (SELECT prompt FROM startups WHERE id = NEW.subject_id) = '${prompt}'`;
  await database((db) => held.forEach((job, n) => db.exec(`
    CREATE TRIGGER hold_${n} BEFORE UPDATE ON jobs WHEN ${is(job)} AND NEW.lease_owner IS ${job.inside ? "NULL" : "NOT NULL"}
      BEGIN SELECT RAISE(ABORT, 'not yet'); END`)));

  await start();
  for (const job of held) ({ job_id: job.id } = await api("POST", "/api/generate", { prompt: job.prompt }));
  for (const job of held) await until(async () => (await status(job)).progress === job.progress, `${job.prompt}: ${job.progress}`);
  // The questions inside a step were answered too: those of research, building and the launch kit.
  const asked = () => claude.requests.filter(({ outcome }) => outcome === "complete").length;
  const reached = (step) => held.filter((job) => STEPS.indexOf(job.step) + (job.inside ? 1 : 0) > STEPS.indexOf(step)).length;
  const wanted = reached("discovery") + reached("building") + reached("marketing");
  await until(() => asked() === wanted, "every answer of Claude's");
  await kill();

  await database((db) => held.forEach((_, n) => db.exec(`DROP TRIGGER hold_${n}`)));
  await leasesRunOut();
  await start();
  for (const job of held) {
    const ended = await until(async () => {
      const now = await status(job);
      assert.ok(now.progress >= job.progress, `${job.prompt}: progress went back to ${now.progress}`);
      return now.status !== "processing" && now;
    }, `${job.prompt}: the end`);
    assert.equal(ended.status, "completed", `${job.prompt}: ${ended.error}`);
    const told = ended.logs.map(({ message }) => message).filter((line) => /^(Claude knows|Built|Packaged|Launch kit ready)/.test(line));
    assert.equal(told.length, 4, `${job.prompt}: ${told.join("; ")}`);
  }
  // Only an answer that was not committed is requested again.
  assert.equal(claude.requests.length, 3 * held.length + 3);
  assert.equal(building(claude).length, held.length + 1);
  await kill();
  await database((db) => {
    const counts = db.prepare(`
      SELECT (SELECT count(*) FROM projects) AS projects, (SELECT count(*) FROM project_versions) AS versions, (SELECT count(*) FROM outbox) AS owed,
             (SELECT count(*) FROM unused_files) AS unused`).get();
    assert.deepEqual({ ...counts }, { projects: held.length, versions: 2 * held.length, owed: 0, unused: 0 });
  });
});

for (const [path, asked] of [["/text-to-image", [2, 1]], ["/image-to-video", [1, 2]]]) {
  test(`killed while Livepeer works at ${path}, a startup gets its video, and no earlier step is repeated`, async () => {
    claude.reset();
    livepeer.reset();
    claude.setAnswer(author([fenced(APP)]));
    livepeer.setFault({ path, hang: true });
    await start();
    const { job_id: id } = await api("POST", "/api/generate", { prompt: "A booking app for barbers" });
    await until(() => livepeer.count(path) === 1, path);
    assert.equal((await status({ id })).progress, 90);
    await kill();

    await leasesRunOut();
    await start();
    const job = await until(async () => {
      const now = await status({ id });
      assert.ok(now.progress >= 90, `progress went back to ${now.progress}`);
      return now.status !== "processing" && now;
    }, "its end");
    assert.equal(job.status, "completed", job.error);
    const { marketing_assets: { video }, tagline } = await api("GET", `/api/project/${job.project_id}`);
    assert.deepEqual([video.status, tagline], ["completed", "No chair stays empty."]);
    assert.equal(claude.requests.length, 3, "competitors, the application and the launch kit, each once");
    assert.deepEqual([livepeer.count("/text-to-image"), livepeer.count("/image-to-video")], asked);
    await kill();
  });
}
