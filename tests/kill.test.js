// kill -9 of `wrangler dev` and its workerd during deployments. It restarts on
// the same state, and each deployment ends live, once. The queue dies with the
// process, so only the database is left.

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "./support/deployments.js";
import { killable } from "./support/killable.js";

const { api, start, kill, database } = await killable();

test("killed during deployments and restarted, each ends live, once", async () => {
  // Triggers hold two of the deployments until the kill: one is never taken from
  // the queue, and one never leaves its step.
  const is = (name) => `(SELECT code FROM deployments WHERE id = NEW.subject_id) LIKE '%${name}%'`;
  await database((db) => db.exec(`
    CREATE TRIGGER never_taken BEFORE UPDATE ON jobs WHEN ${is("never taken")}
      BEGIN SELECT RAISE(ABORT, 'not yet'); END;
    CREATE TRIGGER in_its_step BEFORE UPDATE ON jobs WHEN ${is("in its step")} AND NEW.lease_owner IS NULL
      BEGIN SELECT RAISE(ABORT, 'not yet'); END;`));

  const deploy = async (text) => {
    const { id } = await api("POST", "/api/projects", { name: text });
    const { deploymentId } = await api("POST", "/api/deploy", { projectId: id, code: { "index.html": `<p>${text}` } });
    return { text, id: deploymentId };
  };
  const status = async ({ id }) => (await api("GET", `/api/deploy/${id}`)).status;

  await start();
  const deployments = [await deploy("in its step"), await deploy("never taken")];
  await until(async () => (await status(deployments[0])) === "building");
  // A third one is killed just after its 202, at any point.
  deployments.push(await deploy("just accepted"));
  await kill();

  await database((db) => {
    const job = (n) => db.prepare("SELECT state, attempts, lease_owner IS NOT NULL AS held FROM jobs WHERE subject_id = ?").get(deployments[n].id);
    assert.deepEqual({ ...job(0) }, { state: "queued", attempts: 1, held: 1 });
    assert.deepEqual({ ...job(1) }, { state: "queued", attempts: 0, held: 0 });
    db.exec("DROP TRIGGER never_taken; DROP TRIGGER in_its_step;");
  });

  await start();
  for (const deployment of deployments) {
    await until(async () => (await status(deployment)) === "live", `${deployment.text}: live`);
    const { logs, url } = await api("GET", `/api/deploy/${deployment.id}`);
    assert.deepEqual(logs.split("\n").map((line) => line.slice(25)), [`Built 1 file, ${deployment.text.length + 3} bytes`, `Live at ${url}`]);
  }
  await kill();
  await database((db) => {
    const { sites, files, owed, letters } = db.prepare(
      `SELECT (SELECT count(*) FROM sites) AS sites, (SELECT count(*) FROM site_files) AS files,
              (SELECT count(*) FROM outbox) AS owed, (SELECT count(*) FROM dead_letters) AS letters`,
    ).get();
    assert.deepEqual({ sites, files, owed, letters }, { sites: 3, files: 3, owed: 0, letters: 0 });
    const revisions = db.prepare("SELECT revision FROM projects").all().map(({ revision }) => revision);
    assert.deepEqual(revisions, [3, 3, 3], "created, given its code, made live: once each");
  });
});
