// Deployments for tests: created over the API, or written as rows without their
// message, as a Worker that dies leaves them.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

const PAGE = { "index.html": "<!doctype html><title>Page</title><p>hello" };

/**
 * @param {Awaited<ReturnType<import("./harness.js").startWorker>>} hatch
 */
export function deployments({ api, env, sql, url, harness }) {
  const row = async (text, ...values) => (await sql(text, ...values))[0];

  /** A project with this code. */
  async function project(code = PAGE, name = "Test app") {
    const created = await (await api("POST", "/api/projects", { name })).json();
    const updated = await api("PATCH", `/api/projects/${created.id}`, { code });
    assert.equal(updated.status, 200);
    return updated.json();
  }

  /** Starts a deployment and returns its id. */
  async function deploy(projectId, body = {}) {
    const response = await api("POST", "/api/deploy", { projectId, ...body });
    assert.equal(response.status, 202, await response.clone().text());
    return (await response.json()).deploymentId;
  }

  /** The deployment as it is now. */
  const show = async (id) => (await api("GET", `/api/deploy/${id}`)).json();

  /** The deployment once it is live or has failed: its event stream ends then. */
  async function ended(id) {
    await (await api("GET", `/api/deploy/${id}/stream`)).text();
    return show(id);
  }

  const live = async (projectId, body) => ended(await deploy(projectId, body));

  /**
   * Writes a deployment and its job without sending the message.
   * @param {object} project @param {object} [job] columns of the job's row
   * @returns the deployment's id and the job's
   */
  async function written(project, { code = project.code, sendAt = Date.now() + 60_000, ...job } = {}) {
    const [id, jobId, now] = [randomUUID(), randomUUID(), Date.now()];
    const slug = `written-${project.id.slice(0, 8)}`;
    const columns = {
      id: jobId, user_id: project.userId, kind: "deploy", subject_id: id, step: "build", created_at: now, updated_at: now,
      ...job,
    };
    const names = Object.keys(columns);
    await sql(
      `INSERT INTO deployments (id, project_id, user_id, target, code, slug, site_url, created_at, updated_at)
       VALUES (?1, ?2, ?3, 'edge', ?4, ?5, ?6, ?7, ?7)`,
      id, project.id, project.userId, code, slug, `${url}/p/${slug}/`, now,
    );
    await sql(`INSERT INTO jobs (${names}) VALUES (${names.map(() => "?")})`, ...Object.values(columns));
    await sql("INSERT INTO outbox (job_id, send_at) VALUES (?, ?)", jobId, sendAt);
    return { id, jobId };
  }

  const send = (jobId) => env.JOBS.send(JSON.stringify({ v: 1, jobId }));

  /** The deployment's log, without the times. */
  const lines = (deployment) => deployment.logs.split("\n").map((line) => line.slice(line.indexOf(" ") + 1));

  const job = (id) => row("SELECT * FROM jobs WHERE id = ?", id);

  /** The job's steps as the Worker has logged them. */
  const steps = (jobId) => harness.getLogs().flatMap(({ message }) => {
    const line = message.startsWith("{") ? JSON.parse(message) : {};
    return line.event === "jobs.step" && line.job_id === jobId ? [line] : [];
  });

  return { row, project, deploy, show, ended, live, written, send, lines, job, steps };
}

/** Waits for the work of another process. */
export async function until(condition, what = condition.toString()) {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; ) {
    const found = await condition();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`did not come: ${what}`);
}
