// What tests of the startup generator have in common: beginning a job,
// following it to its end, and a Claude that plays every part of it.

import assert from "node:assert/strict";

/**
 * @param {Awaited<ReturnType<import("./harness.js").startWorker>>} hatch
 */
export function startups({ api, sql }) {
  /** Begins a startup; answers with its job's id. */
  async function generate(prompt = "A booking app for barbers", more = {}) {
    const response = await api("POST", "/api/generate", { prompt, ...more });
    assert.equal(response.status, 200, await response.clone().text());
    return (await response.json()).job_id;
  }

  const status = async (jobId) => (await api("GET", `/api/status/${jobId}`)).json();

  /** The job once it has ended: its event stream ends then. */
  async function ended(jobId) {
    await (await api("GET", `/api/status/${jobId}/events`)).text();
    return status(jobId);
  }

  /** A startup from its prompt to its end: the job, and what discovery kept. */
  async function made(prompt, more) {
    const jobId = await generate(prompt, more);
    const job = await ended(jobId);
    const [row] = await sql("SELECT competitors, identity, verified FROM startups WHERE job_id = ?", jobId);
    return { job, found: JSON.parse(row.competitors), lines: job.logs.map(({ message }) => message) };
  }

  const show = async (job) => (await api("GET", `/api/project/${job.project_id}`)).json();

  return { generate, status, ended, made, show };
}

const competitor = (name, rest = {}) => ({ name, url: null, description: `${name} does it`, features: ["Booking"], technology: [], citations: [], ...rest });

/**
 * What a scripted Claude answers to each part of a job: `queries` and
 * `competitors` are what discovery gets, a list or a function of the question's
 * material; `searched` is what Claude's own search answers. It refuses to build,
 * which ends the job right after discovery.
 */
export function script({ queries = ["booking app"], competitors = [], searched } = {}) {
  const refused = { content: [], stopReason: "refusal" };
  return (body) => {
    if (body.tools) return searched(body);
    const fields = Object.keys(body.output_config?.format.schema.properties ?? {});
    const material = () => JSON.parse(body.messages.at(-1).content.at(-1).text);
    if (fields.includes("queries")) return JSON.stringify({ queries });
    if (!fields.includes("competitors")) return refused;
    const named = typeof competitors === "function" ? competitors(material()) : competitors;
    return JSON.stringify({ competitors: named.map(({ name, ...rest }) => competitor(name, rest)) });
  };
}

/** The requests to a fake of Claude that asked for competitors, each with its material. */
export function researched(claude) {
  const asked = claude.requests.filter(({ body }) => body?.output_config?.format.schema.properties.competitors);
  return asked.map((request) => ({ ...request, material: JSON.parse(request.body.messages.at(-1).content.at(-1).text) }));
}
