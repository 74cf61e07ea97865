// kill -9 of `wrangler dev` and its workerd at every boundary between the steps
// of a turn of twelve tool calls, and inside every step, after its work and before
// its commit. It restarts on the same state, and each turn goes on to its end:
// nothing is done twice, and no event is sent twice.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { call, eventsOf, notices, text } from "./support/agents.js";
import { claudeVars } from "./support/conversation.js";
import { until } from "./support/deployments.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startGitHub } from "./fakes/github.js";
import { killable } from "./support/killable.js";

const TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
// More than all of it costs.
const BUDGETS = { DAILY_BUDGET_MICRO_USD: "100000000", GATEWAY_DAILY_BUDGET_MICRO_USD: "100000000" };
const [claude, github] = await Promise.all([startAnthropic(), startGitHub({ accounts: { [TOKEN]: "ada" } })]);
after(() => Promise.all([claude.close(), github.close()]));
const { url, start, kill, database } = await killable({ ...claudeVars(claude), GITHUB_API_URL: github.url, DAILY_MESSAGE_LIMIT: "100", ...BUDGETS });

const page = (n) => `<!doctype html><html lang="en"><title>Count</title><p>${n}</p></html>\n`;
const edit = (from, to) => call("edit_file", { path: "index.html", old_string: `<p>${from}</p>`, new_string: `<p>${to}</p>` });
// A step that runs twice gives different results.
const STEPS = [
  () => [text("I write it."), call("list_files"), call("write_file", { path: "index.html", content: page(0) })],
  () => [edit(0, 1), call("write_file", { path: "old.txt", content: "old\n" })],
  () => [edit(1, 2), call("read_file", { path: "index.html" })],
  () => [call("check"), call("preview")],
  () => [call("delete_file", { path: "old.txt" }), call("write_file", { path: "log.txt", content: "a\n" })],
  () => [call("apply_diff", { diff: "--- a/log.txt\n+++ b/log.txt\n@@ -1 +1,2 @@\n a\n+b\n" })],
  (name) => [call("finish", { name, commit_message: "feat: count", summary: "It counts." })],
];
const FILES = { "index.html": page(2), "log.txt": "a\nb\n" };
const promptOf = (body) => JSON.stringify(body.messages).match(/Count at ([a-z0-9-]+)/)[1];
claude.setAnswer((body) => STEPS[Math.min(body.messages.filter(({ role }) => role === "assistant").length, STEPS.length - 1)](promptOf(body)));

/** Sends a message and collects its events until the kill interrupts the stream. */
function follow(response, events = []) {
  const reading = (async () => {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of (await response).body) {
      rest += decoder.decode(bytes, { stream: true });
      const end = rest.lastIndexOf("\n\n") + 2;
      if (end < 2) continue;
      const blocks = rest.slice(0, end);
      events.push(...eventsOf(blocks.startsWith("retry:") ? blocks : `retry: 2000\n\n${blocks}`));
      rest = rest.slice(end);
    }
  })();
  return { events, reading: reading.catch(() => {}) };
}

// Conditions on the update of the job's row from OLD to NEW. A taken step gets a
// lease, and a step that has ended or failed releases it.
const taken = "NEW.lease_owner IS NOT NULL AND OLD.lease_owner IS NULL";
const back = "NEW.lease_owner IS NULL AND OLD.lease_owner IS NOT NULL";
const REPOSITORY = "(SELECT repository FROM apps a JOIN app_turns t ON t.app_id = a.id WHERE t.id = NEW.subject_id)";
const done = (app) => claude.requests.filter(({ body, outcome }) => outcome === "complete" && promptOf(body) === app.name).length;
const has = (type) => (app) => notices(app.events).includes(type);
const reviewed = (app) => app.events.some(({ data }) => data.message?.kind === "ReviewResult");
const HELD = [
  ...STEPS.flatMap((_, k) => [
    { name: `before-${k}`, when: `OLD.step = 'work' AND (SELECT steps FROM app_turns WHERE id = NEW.subject_id) = ${k} AND ${taken}`, is: (app) => done(app) >= k },
    { name: `inside-${k}`, step: k, when: `OLD.step = 'work' AND NEW.attempts > 0 AND ${back} AND (SELECT steps FROM app_turns WHERE id = NEW.subject_id) = ${k}`, is: (app) => done(app) > k },
  ]),
  // The reservation of the first answer is not reconciled.
  { name: "unsettled", isUnsettled: true, when: `OLD.step = 'work' AND ${back}`, is: (app) => done(app) > 0 },
  { name: "before-save", when: `OLD.step = 'save' AND ${taken}`, is: (app) => done(app) === 7 },
  { name: "inside-save", when: `OLD.step = 'save' AND ${back}`, is: (app) => done(app) === 7 },
  { name: "before-create", when: `OLD.step = 'commit' AND ${taken}`, is: reviewed },
  { name: "inside-create", when: `OLD.step = 'commit' AND ${back}`, is: (app) => github.repos.has(`ada/${app.name}`) },
  { name: "before-commit", when: `OLD.step = 'commit' AND ${REPOSITORY} IS NOT NULL AND ${taken}`, is: has("repo_created") },
  { name: "inside-commit", when: `OLD.step = 'commit' AND ${back} AND (NEW.step = 'deploy' OR NEW.attempts > 0)`, is: (app) => commits(app.name).length === 2 },
  { name: "before-deploy", when: `OLD.step = 'deploy' AND ${taken}`, is: has("commit_created") },
  { name: "inside-deploy", when: `OLD.step = 'deploy' AND ${back}`, is: has("commit_created") },
  { name: "before-watch", when: `OLD.step = 'watch' AND ${taken}`, is: has("deployment_in_progress") },
  { name: "inside-watch", when: `OLD.step = 'watch' AND ${back}`, is: has("deployment_in_progress") },
];

const commits = (name) => (github.repos.has(`ada/${name}`) ? github.git("ada", name, "log", "--reverse", "--format=%s", "main").split("\n") : []);
const of = (app) => `(SELECT message FROM app_turns WHERE id = NEW.subject_id) = 'Count at ${app.name}'`;

test("killed before and inside each step of a turn with twelve tool calls, each turn ends and does nothing twice", async () => {
  await database((db) => HELD.forEach((app, n) => {
    db.exec(`CREATE TRIGGER hold_${n} BEFORE UPDATE ON jobs WHEN NEW.kind = 'agent' AND ${app.when} AND ${of(app)} BEGIN SELECT RAISE(ABORT, 'not yet'); END`);
    if (app.isUnsettled) {
      db.exec(`CREATE TRIGGER hold_money_${n} BEFORE DELETE ON model_reservations
        WHEN (SELECT message FROM app_turns WHERE id = OLD.subject_id) = 'Count at ${app.name}' BEGIN SELECT RAISE(ABORT, 'not yet'); END`);
    }
    if (app.step === undefined) return;
    db.exec(`CREATE TRIGGER step_${n} BEFORE INSERT ON app_steps WHEN NEW.seq = ${app.step}
      AND (SELECT message FROM app_turns WHERE id = NEW.turn_id) = 'Count at ${app.name}' BEGIN SELECT RAISE(ABORT, 'not yet'); END`);
  }));
  await start();
  const headers = { "content-type": "application/json", "x-github-token": TOKEN };
  const send = ({ name }) => fetch(`${url}/message`, { method: "POST", headers, body: JSON.stringify({ message: `Count at ${name}` }) });
  const apps = await Promise.all(HELD.map(async (held) => {
    const response = await send(held);
    assert.equal(response.status, 200);
    return { ...held, ...follow(response) };
  }));
  for (const app of apps) await until(() => app.is(app), app.name);
  await kill();
  await Promise.all(apps.map(({ reading }) => reading));

  await database((db) => {
    for (const { name } of db.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger' AND (name GLOB 'hold_*' OR name GLOB 'step_*')").all()) db.exec(`DROP TRIGGER ${name}`);
    const held = db.prepare("SELECT t.message FROM model_reservations r JOIN app_turns t ON t.id = r.subject_id").all();
    assert.ok(held.some(({ message }) => message === "Count at unsettled"), "the dead consumer holds money");
    // The dead consumers' jobs are free again when their leases have expired.
    db.exec("UPDATE jobs SET lease_until = 0; UPDATE outbox SET send_at = 0");
    for (const app of apps) app.id = db.prepare("SELECT app_id FROM app_turns WHERE message = ?").get(`Count at ${app.name}`).app_id;
  });
  await start();
  // A deployment that the kill has met in the middle goes on by the cron, which `wrangler dev` does not run by itself.
  assert.ok((await fetch(`${url}/cdn-cgi/handler/scheduled`)).ok);
  for (const app of apps) {
    // Reads until the end, from the client's last event.
    for (let times = 0; times < 20 && app.events.at(-1)?.event !== "done"; times += 1) {
      const last = app.events.at(-1)?.id;
      const { reading } = follow(fetch(`${url}/apps/${app.id}/events`, { headers: last ? { "last-event-id": last } : {} }), app.events);
      await reading;
    }
    const all = eventsOf(await (await fetch(`${url}/apps/${app.id}/events?after=0`)).text());
    assert.deepEqual(app.events.map(({ id }) => id), all.map(({ id }) => id), `${app.name}: each event exactly once`);
    assert.deepEqual(notices(all), ["repo_created", "commit_created", "deployment_in_progress", "deployment_complete"], app.name);
    assert.equal(all.filter(({ data }) => data.message?.kind === "ReviewResult").length, 1, app.name);
    assert.equal(all.filter(({ event }) => event === "done").length, 1, app.name);
    assert.deepEqual(commits(app.name), ["Initial commit", "feat: count"], app.name);
    const { "README.md": readme, ...files } = github.files("ada", app.name);
    assert.deepEqual(files, FILES, app.name);
    assert.ok(done(app) === STEPS.length || done(app) === STEPS.length + 1, `${app.name}: an answer that was not committed is asked for again, and no other: ${done(app)}`);
    assert.ok(readme);
  }
  await kill();
  assert.equal(github.repos.size, HELD.length);
  await database((db) => {
    for (const { name, id } of apps) {
      const { code, versions, deployments, status, steps, sites } = db.prepare(
        `SELECT code, (SELECT count(*) FROM project_versions WHERE project_id = p.id) AS versions,
           (SELECT count(*) FROM deployments WHERE project_id = p.id) AS deployments, (SELECT count(*) FROM sites s JOIN deployments d ON d.id = s.deployment_id WHERE d.project_id = p.id) AS sites,
           (SELECT status FROM app_turns WHERE app_id = p.id) AS status, (SELECT steps FROM app_turns WHERE app_id = p.id) AS steps FROM projects p WHERE id = ?`,
      ).get(id);
      assert.deepEqual({ ...JSON.parse(code) }, FILES, name);
      assert.deepEqual({ versions, deployments, status, steps, sites }, { versions: 1, deployments: 1, status: "done", steps: STEPS.length, sites: 1 }, name);
    }
    const { used, owed, drafts } = db.prepare(
      "SELECT (SELECT sum(used) FROM daily_counters WHERE name = 'app-messages-day') AS used, (SELECT count(*) FROM outbox) AS owed, (SELECT count(*) FROM app_drafts) AS drafts",
    ).get();
    assert.deepEqual({ used, owed, drafts }, { used: HELD.length, owed: 0, drafts: 0 });
    const { cost, day, all, held } = db.prepare(
      `SELECT (SELECT sum(cost_micro_usd) FROM app_turns) AS cost, (SELECT sum(used) FROM daily_counters WHERE name = 'budget-day') AS day,
         (SELECT sum(used) FROM model_budgets WHERE subject = 'all') AS "all", (SELECT count(*) FROM model_reservations) AS held`,
    ).get();
    assert.ok(cost > 0);
    assert.deepEqual({ day, all, held }, { day: cost, all: cost, held: 0 }, "of a dead consumer's answer nothing is held back");
  });
});
