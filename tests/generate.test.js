// From a prompt to a packaged startup: the job, its progress, and its result.
// Discovery and identity have files of their own.

import assert from "node:assert/strict";
import { text } from "node:stream/consumers";
import { after, beforeEach, test } from "node:test";
import yauzl from "yauzl";
import { claudeVars, eventsOf } from "./support/conversation.js";
import { until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { problem, rowCounts, startWorker } from "./support/harness.js";
import { APP, author, building, fenced, startups } from "./support/startups.js";

const claude = await startAnthropic();
after(() => claude.close());
const hatch = await startWorker({ ...claudeVars(claude), UPSTREAM_IDLE_TIMEOUT_MS: "1500" }, [], { before: "tests/support/held.js" });
const { api, sql, env, worker } = hatch;
const { generate, status, ended, show } = startups(hatch);
beforeEach(() => {
  claude.reset();
  claude.setAnswer(author());
});

const jobRow = async (jobId) => (await sql("SELECT * FROM jobs WHERE id = ?", jobId))[0];
const versions = async ({ project_id }) => (await api("GET", `/api/projects/${project_id}/versions`)).json();
const said = ({ logs }) => logs.map(({ message }) => message);
const AT_ONCE = { "retry-after-ms": "0" };

/** The files of a ZIP, path to text. A damaged one is an error. */
async function unzipped(bytes) {
  const zip = await yauzl.fromBufferPromise(bytes, { strictFileNames: true, validateEntrySizes: true });
  const files = {};
  for await (const entry of zip.eachEntry()) files[entry.fileName] = await text(await zip.openReadStreamPromise(entry));
  return files;
}

/** Starts the next attempt of a waiting job now. */
async function hurry(jobId) {
  await sql("UPDATE jobs SET lease_until = 0 WHERE id = ? AND lease_owner IS NULL", jobId);
  await env.JOBS.send(JSON.stringify({ v: 1, jobId }));
}

/** The job's end, without the pauses between attempts. */
async function endedSoon(jobId) {
  return until(async () => {
    const job = await status(jobId);
    if (job.status !== "processing") return job;
    if ((await jobRow(jobId)).lease_owner === null) await hurry(jobId);
  });
}

test("a prompt becomes an application, a package and a launch kit, and each step is shown", async () => {
  const jobId = await generate("A booking app for barbers");
  const seen = [];
  const job = await until(async () => {
    const now = await status(jobId);
    seen.push(now);
    return now.status !== "processing" && now;
  });
  assert.equal(job.status, "completed", JSON.stringify(job));
  assert.deepEqual(seen.map(({ progress }) => progress), seen.map(({ progress }) => progress).toSorted((a, b) => a - b), "progress went back");
  assert.deepEqual(job.steps, [
    { id: 1, title: "Finding competitors", status: "completed" },
    { id: 2, title: "Building MVP", status: "completed" },
    { id: 3, title: "Packaging startup", status: "completed" },
  ]);
  assert.equal(job.progress, 100);
  assert.equal(job.project_name, "Chair Time");
  for (const { timestamp, type } of job.logs) assert.match(`${timestamp} ${type}`, /^\d\d:\d\d:\d\d (info|success|error)$/);
  // Competitors, the application, the launch kit.
  assert.equal(claude.requests.length, 3);
  const cost = claude.requests.reduce((sum, { message: { usage } }) => sum + usage.input_tokens * 2 + usage.output_tokens * 10, 0);
  assert.equal(job.usage.cost_micro_usd, cost);
  assert.equal(job.usage.output_tokens, claude.requests.reduce((sum, { message: { usage } }) => sum + usage.output_tokens, 0));

  const startup = await show(job);
  assert.equal(startup.tagline, "No chair stays empty.");
  assert.deepEqual(startup.stack, ["Next.js 14", "React", "Docker"]);
  assert.deepEqual(startup.launch_channels, [{ name: "Barber shops", description: "Walk in.", priority: "high" }]);
  assert.equal(startup.verified, false);
  assert.equal(startup.marketing_assets.video.status, "not_configured");
  const paths = startup.files.map(({ path }) => path);
  for (const path of [...Object.keys(APP), "Dockerfile", "LICENSE", ".env.example", ".gitignore"]) assert.ok(paths.includes(path), path);
  assert.deepEqual((await versions(job)).map(({ origin }) => origin), ["generate", "generate"], "as Claude wrote it, as it was packaged");

  const [question] = building(claude);
  const text = JSON.stringify(question.body.messages);
  assert.match(text, /A booking app for barbers/);
  assert.match(text, /Slotty: Booking/);
});

test("an unchanged state is 304", async () => {
  const job = await ended(await generate());
  const response = await api("GET", `/api/status/${job.job_id}`);
  const etag = response.headers.get("etag");
  const again = await api("GET", `/api/status/${job.job_id}`, undefined, { "if-none-match": etag });
  assert.deepEqual([again.status, again.headers.get("etag")], [304, etag]);
  await sql("UPDATE startups SET name = 'Another' WHERE job_id = ?", job.job_id);
  assert.equal((await api("GET", `/api/status/${job.job_id}`, undefined, { "if-none-match": etag })).status, 200);
});

test("the events have every line and every change once, and resume where a client left", async () => {
  const jobId = await generate();
  const events = eventsOf(Buffer.from(await (await api("GET", `/api/status/${jobId}/events`)).arrayBuffer()));
  const job = await status(jobId);
  assert.deepEqual(events.filter(({ event }) => event === "log").map(({ data }) => data), job.logs.map(({ message, timestamp, type }) => ({ message, timestamp, type })));
  const standing = events.filter(({ event }) => event === "status").map(({ data }) => data);
  assert.equal(standing.at(-1).status, "completed");
  assert.deepEqual(standing.map(({ progress }) => progress), standing.map(({ progress }) => progress).toSorted((a, b) => a - b));
  const rest = await (await api("GET", `/api/status/${jobId}/events`, undefined, { "last-event-id": "3" })).text();
  assert.equal(eventsOf(Buffer.from(rest)).filter(({ event }) => event === "log").length, job.logs.length - 3);
  assert.equal((await api("GET", `/api/status/${jobId}/events`, undefined, { "last-event-id": "end" })).status, 204);
});

test("the ZIP is valid, can be read in ranges, and is the same for the same files", async () => {
  const [first, second] = [await ended(await generate()), (claude.setAnswer(author()), await ended(await generate()))];
  const download = (job, headers) => api("GET", `/api/download/${job.project_id}`, undefined, headers);
  const response = await download(first);
  assert.equal(response.headers.get("content-type"), "application/zip");
  assert.equal(response.headers.get("content-disposition"), 'attachment; filename="chair-time.zip"');
  const [etag, zip] = [response.headers.get("etag"), Buffer.from(await response.arrayBuffer())];
  assert.equal(Number(response.headers.get("content-length")), zip.length);

  const unpacked = await unzipped(zip);
  for (const [path, content] of Object.entries(APP)) assert.equal(unpacked[`chair-time/${path}`].trim(), content.trim());

  assert.equal((await download(first, { "if-none-match": etag })).status, 304);
  const part = await download(first, { range: "bytes=10-19" });
  assert.deepEqual([part.status, part.headers.get("content-range")], [206, `bytes 10-19/${zip.length}`]);
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), zip.subarray(10, 20));
  const tail = await download(first, { range: "bytes=-5", "if-range": etag });
  assert.deepEqual(Buffer.from(await tail.arrayBuffer()), zip.subarray(-5));
  assert.equal((await download(first, { range: "bytes=-5", "if-range": '"other"' })).status, 200);
  const beyond = await download(first, { range: `bytes=${zip.length}-` });
  assert.deepEqual([beyond.status, beyond.headers.get("content-range")], [416, `bytes */${zip.length}`]);
  assert.equal((await download(first, { range: "bytes=0-1,4-5" })).status, 200);
  assert.deepEqual(Buffer.from(await (await download(second)).arrayBuffer()), zip, "two startups of the same files");
});

test("the pitch deck is a page for anyone with its link, and for no one else", async () => {
  const startup = await show(await ended(await generate()));
  const { deck_url, slides } = startup.marketing_assets.pitch_deck;
  assert.equal(slides, 5);
  const response = await fetch(deck_url);
  assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
  assert.match(response.headers.get("content-security-policy"), /default-src 'none'.*sandbox/);
  const page = await response.text();
  for (const words of ["Chair Time", "No chair stays empty.", "Empty chairs"]) assert.ok(page.includes(words), words);
  assert.doesNotMatch(page, /(src|href)="(https?:)?\/\//);
  const other = await api("GET", `/decks/${"0".repeat(32)}`);
  assert.deepEqual([other.status, await other.json()], [404, { detail: "There is no deck at this address" }]);
});

test("an application with problems is repaired turn by turn, each turn with a version and the list of problems", async () => {
  const { "components/chairs.jsx": _, ...without } = APP;
  const broken = { ...without, "app/layout.jsx": "export default function Layout({ children }) {\n  return <html>{children}</body>;\n}\n" };
  claude.setAnswer(author([
    fenced(broken),
    { content: [{ type: "text", text: fenced({ "app/layout.jsx": APP["app/layout.jsx"] }) + "\n````jsx:components/chairs.jsx\nexport default" }], stopReason: "max_tokens" },
    fenced({ "components/chairs.jsx": APP["components/chairs.jsx"] }),
  ]));
  const job = await ended(await generate());
  assert.equal(job.status, "completed", said(job).join("\n"));
  const asked = building(claude).map(({ body }) => JSON.stringify(body.messages.at(-1)));
  assert.equal(asked.length, 3);
  assert.match(asked[1], /app\/layout\.jsx:2.*components\/chairs/s);
  assert.match(asked[2], /components\/chairs\.jsx: was cut off/);
  const context = JSON.stringify(building(claude)[1].body.system);
  assert.match(context, /app\/page\.jsx/);
  assert.equal((await versions(job)).length, 4, "three turns and the package");
  assert.ok(said(job).some((line) => /repairing/.test(line)), said(job).join("\n"));
});

test("an application that never passes fails with its problems, and a retry goes on from there", async () => {
  claude.setAnswer(author([fenced({ ...APP, "app/page.jsx": 'import gone from "./gone";\nexport default gone;\n' })]));
  const failed = await ended(await generate());
  assert.equal(failed.status, "failed");
  assert.equal(building(claude).length, 8);
  assert.match(failed.error, /after 8 turns: app\/page\.jsx:1: .*\.\/gone/);
  assert.deepEqual(failed.steps.map(({ status }) => status), ["completed", "failed", "pending"]);
  assert.equal(failed.project_id, null);

  claude.setAnswer(author([fenced({ "app/page.jsx": APP["app/page.jsx"] })]));
  const asked = claude.requests.length;
  const response = await api("POST", `/api/generate/${failed.job_id}/retry`);
  assert.deepEqual([response.status, (await response.json()).status], [200, "processing"]);
  const job = await ended(failed.job_id);
  assert.equal(job.status, "completed", job.error);
  assert.ok(job.progress >= failed.progress);
  assert.equal(claude.requests.length - asked, 2, "one turn and the launch kit: competitors are not looked for again");
  assert.equal((await api("POST", `/api/generate/${job.job_id}/retry`)).status, 409);
});

test("forbidden output of a model is not stored: paths outside of the project, too many files, secrets", async () => {
  const many = Object.fromEntries(Array.from({ length: 3000 }, (_, n) => [`lib/f${n}.js`, "export default 1;"]));
  const secret = `export const key = "sk-ant-${"a1B2".repeat(12)}";\n`;
  claude.setAnswer(author([fenced({ ...APP, ...many }), fenced({ ...APP, "/etc/passwd": "root", "../up.js": "1", "lib/key.js": secret }), fenced({ "lib/key.js": "export const key = process.env.KEY;\n" })]));
  const job = await ended(await generate());
  assert.equal(job.status, "completed", job.error);
  const asked = building(claude).map(({ body }) => body.messages.at(-1).content.at(-1).text);
  assert.match(asked[1], /at most 400 files/);
  assert.match(asked[2], /lib\/key\.js:1: /);
  assert.ok(!asked[2].includes("a1B2"), "the secret is quoted");
  const { files } = await show(job);
  assert.ok(files.every(({ path }) => !/passwd|up\.js|lib\/f/.test(path)));
});

test("a prompt of the greatest length in any script makes a startup with a safe name", async () => {
  for (const prompt of ["日本の農家のための市場。".repeat(300).slice(0, 4000), "<script>alert(1)</script>\"; rm -rf / #", "🦀".repeat(4000)]) {
    claude.setAnswer(author([fenced({ ...APP, "package.json": APP["package.json"].replace("chair-time", "x") })]));
    const job = await ended(await generate(prompt));
    assert.equal(job.status, "completed", job.error);
    const response = await api("GET", `/api/download/${job.project_id}`);
    assert.match(response.headers.get("content-disposition"), /^attachment; filename="[a-z][a-z0-9-]*\.zip"$/);
    await response.body.cancel();
  }
});

test("an invalid body is refused in FastAPI's form, and creates nothing", async () => {
  const before = await rowCounts(hatch);
  for (const [body, code, detail] of [
    [{ prompt: "   " }, 400, "Prompt cannot be empty"],
    [{ prompt: "x".repeat(4001) }, 422, ["body", "prompt"]],
    [{ prompt: 7 }, 422, ["body", "prompt"]],
    [{}, 422, ["body", "prompt"]],
    ["{", 422, ["body"]],
  ]) {
    const response = await api("POST", "/api/generate", body);
    const told = (await response.json()).detail;
    assert.equal(response.status, code);
    assert.deepEqual(Array.isArray(told) ? told[0].loc : told, detail);
  }
  for (const path of ["/api/status/nope", "/api/status/nope/events"]) {
    const response = await api("GET", path);
    assert.deepEqual([response.status, await response.json()], [404, { detail: "Job not found" }]);
  }
  assert.deepEqual(await rowCounts(hatch), before);
});

test("three startups may run at once; a cancelled one stops and makes room", async () => {
  claude.setFault({ hang: true, times: Infinity });
  const running = [await generate(), await generate(), await generate()];
  const fourth = await api("POST", "/api/generate", { prompt: "One more" });
  assert.equal(fourth.status, 429);
  assert.ok(fourth.headers.has("retry-after"));
  assert.match((await fourth.json()).detail, /3 startups in the making/);

  await until(() => claude.requests.length > 0);
  for (const jobId of running) {
    const response = await api("POST", `/api/generate/${jobId}/cancel`);
    assert.deepEqual([response.status, (await response.json()).status], [200, "cancelled"]);
    assert.equal((await api("POST", `/api/generate/${jobId}/cancel`)).status, 200, "cancelled again");
  }
  claude.setFault();
  claude.release();
  const job = await ended(await generate());
  assert.equal(job.status, "completed");
  for (const jobId of running) {
    const { status } = await (await api("GET", `/api/status/${jobId}?states=all`)).json();
    assert.deepEqual([status, (await jobRow(jobId)).state], ["cancelled", "failed"]);
  }
  assert.equal((await api("POST", `/api/generate/${job.job_id}/cancel`)).status, 409);

  claude.setAnswer(author());
  await api("POST", `/api/generate/${running[0]}/retry`);
  assert.equal((await ended(running[0])).status, "completed");
});

for (const [name, fault] of [
  ["answers 500", { status: 500, headers: AT_ONCE, times: 3 }],
  ["answers 429", { status: 429, headers: AT_ONCE, times: 3 }],
  ["cuts its answer", { cutAfterBytes: 900 }],
  ["falls silent in its answer", { stallAfterBytes: 900 }],
  ["answers garbage", { garbage: true }],
]) {
  test(`when Claude ${name} in any of the steps, the job goes on and repeats nothing`, async () => {
    for (const step of [0, 1, 2]) {
      claude.reset();
      claude.setAnswer(author());
      const jobId = await generate();
      // Each fault strikes later than the one before: so many requests pass first.
      claude.setFault(...Array(step).fill({ delayMs: 0 }), fault);
      const job = await endedSoon(jobId);
      assert.equal(job.status, "completed", `${step}: ${job.error}`);
      const [{ n }] = await sql("SELECT count(*) AS n FROM project_versions WHERE project_id = ?", job.project_id);
      assert.equal(n, 2);
      assert.deepEqual(said(job).filter((line) => /^(Built|Packaged|Launch kit ready)/.test(line)).length, 3, said(job).join("\n"));
    }
  });
}

test("if Claude never answers well, the job fails with a reason, and the launch kit is made without it", async () => {
  const jobId = await generate();
  claude.setFault({ status: 529, headers: AT_ONCE, times: Infinity });
  const failed = await endedSoon(jobId);
  assert.equal(failed.status, "failed");
  assert.match(failed.error, /Claude is overloaded/);

  claude.reset();
  claude.setAnswer(author([fenced(APP)]));
  claude.setFault(...Array(2).fill({ delayMs: 0 }), { status: 400, times: Infinity });
  await api("POST", `/api/generate/${jobId}/retry`);
  const job = await endedSoon(jobId);
  assert.equal(job.status, "completed", job.error);
  assert.equal((await show(job)).marketing_assets.pitch_deck.status, "completed");
});

test("each message delivered three times makes everything once", async () => {
  const jobId = await generate();
  const job = await until(async () => {
    await env.JOBS.sendBatch(Array(3).fill({ body: JSON.stringify({ v: 1, jobId }) }));
    const now = await status(jobId);
    return now.status !== "processing" && now;
  });
  assert.equal(job.status, "completed", job.error);
  assert.equal(claude.requests.length, 3);
  assert.equal((await versions(job)).length, 2);
});

test("parallel requests with one Idempotency-Key begin one job", async () => {
  const headers = { "idempotency-key": `startup-${Date.now()}` };
  const answers = await Promise.all(Array.from({ length: 5 }, () => api("POST", "/api/generate", { prompt: "A clock" }, headers)));
  const jobs = new Set(await Promise.all(answers.map(async (answer) => (await answer.json()).job_id)));
  assert.equal(jobs.size, 1);
  await ended([...jobs][0]);
});

test("an unfinished startup is not deployed, and a cancelled one may be", async () => {
  claude.setAnswer(author([fenced({ "index.html": "<!doctype html><title>Half</title>", "package.json": JSON.stringify({ name: "half", version: "1.0.0", scripts: { build: "true", dev: "true", start: "true" } }) })]));
  // Discovery and building succeed; marketing gets no answer.
  claude.setFault({ delayMs: 1, times: 2 }, { hang: true, times: Infinity });
  const jobId = await generate("A half page");
  await until(() => claude.requests.some(({ fault }) => fault?.hang));
  // The status shows its id only at the end, but the list of projects has it.
  const [{ id: projectId }] = await sql("SELECT id FROM startups WHERE job_id = ?", jobId);
  const refused = await api("POST", `/api/deploy/${projectId}`, { target: "edge" });
  assert.equal(refused.status, 409);
  assert.match(JSON.stringify(await refused.json()), /still being generated/);
  await problem(await api("POST", "/api/deploy", { projectId }), 409, "startup_processing");
  await problem(await api("POST", "/api/deploy", { projectId, code: { "index.html": "mine" } }), 409, "startup_processing");
  assert.equal((await sql("SELECT count(*) AS n FROM deployments WHERE project_id = ?", projectId))[0].n, 0);

  assert.equal((await api("POST", `/api/generate/${jobId}/cancel`)).status, 200);
  claude.setFault();
  claude.release();
  for (const [path, body] of [[`/api/deploy/${projectId}`, { target: "edge" }], ["/api/deploy", { projectId }]]) {
    assert.equal((await api("POST", path, body)).status, 202, path);
  }
});

test("a startup that needs a server goes to a target without one only on request", async () => {
  const job = await ended(await generate());
  const before = await rowCounts(hatch);
  const response = await api("POST", `/api/deploy/${job.project_id}`);
  assert.equal(response.status, 503);
  assert.match((await response.json()).detail, /X-Vercel-Token/);
  assert.deepEqual(await rowCounts(hatch), before);
  assert.equal((await api("POST", `/api/deploy/${job.project_id}`, { target: "edge" })).status, 202);
});

test("a startup is deployed by its id, and deleting its project deletes it with its package", async () => {
  claude.setAnswer(author([fenced({ "index.html": "<!doctype html><title>Plain</title>", "package.json": JSON.stringify({ name: "plain", version: "1.0.0", scripts: { build: "true", dev: "true", start: "true" } }) })]));
  const job = await ended(await generate("A plain page, no framework"));
  assert.equal(job.status, "completed", job.error);
  const response = await api("POST", `/api/deploy/${job.project_id}`);
  const started = await response.json();
  assert.deepEqual([response.status, started.status], [202, "deploying"], JSON.stringify(started));
  await (await api("GET", `/api/deploy/${started.deployment_id}/stream`)).text();
  const deployment = await (await api("GET", `/api/deploy/${started.deployment_id}`)).json();
  assert.deepEqual([deployment.status, deployment.url], ["live", started.deployment_url], deployment.logs);

  const [{ key }] = await sql("SELECT json_extract(archive, '$.key') AS key FROM startups WHERE id = ?", job.project_id);
  assert.ok(await env.FILES.head(key));
  const reads = async (init) => (await fetch(`${hatch.url}/reads`, init)).text();
  await reads({ method: "POST", body: "held" });
  const overtaken = api("GET", `/api/download/${job.project_id}`);
  await until(async () => (await reads()) === "waiting");
  assert.equal((await api("DELETE", `/api/projects/${job.project_id}`)).status, 204);
  assert.equal((await api("GET", `/api/project/${job.project_id}`)).status, 404);
  assert.equal((await api("GET", `/api/download/${job.project_id}`)).status, 404);
  await worker.scheduled({ cron: "* * * * *" });
  assert.equal(await env.FILES.head(key), null);
  await reads({ method: "POST", body: "free" });
  assert.equal((await overtaken).status, 404, "its row was read before it was deleted");
});
