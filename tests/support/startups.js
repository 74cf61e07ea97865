// Helpers for tests of the startup generator: beginning a job, following it to its
// end, and a Claude that plays every part of it.

import assert from "node:assert/strict";

/**
 * @param {Awaited<ReturnType<import("./harness.js").startWorker>>} hatch
 * @param {Record<string, string>} headers of every request
 */
export function startups({ api: call, sql, worker }, headers) {
  const api = (method, path, body) => call(method, path, body, headers);

  /** Begins a startup and returns its job's id. */
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

  /** Acts as if its consumer died while it waits for a fake: frees the lease, so that a later commit is refused. */
  async function dies(jobId, fake, { attempts } = {}) {
    await sql("UPDATE jobs SET lease_owner = NULL, lease_until = 0, attempts = coalesce(?, attempts) WHERE id = ?", attempts ?? null, jobId);
    fake.release();
    await (await worker.getEnv()).JOBS.send(JSON.stringify({ v: 1, jobId }));
  }

  /** A startup from its prompt to its end: the job, and discovery's result. */
  async function made(prompt, more) {
    const jobId = await generate(prompt, more);
    const job = await ended(jobId);
    const [row] = await sql("SELECT competitors, identity, verified FROM startups WHERE job_id = ?", jobId);
    return { job, found: JSON.parse(row.competitors), lines: job.logs.map(({ message }) => message) };
  }

  const show = async (job) => (await api("GET", `/api/project/${job.project_id}`)).json();

  return { generate, status, ended, made, show, dies };
}

const competitor = (name, rest = {}) => ({ name, url: null, description: `${name} does it`, features: ["Booking"], technology: [], citations: [], ...rest });

/**
 * A scripted Claude that answers discovery and then refuses to build, which ends
 * the job. `queries` and `competitors` are the answers for discovery, a list or a
 * function of the question's material; `searched` is the answer of Claude's own
 * search.
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

const PACKAGE = {
  name: "chair-time", version: "0.1.0", private: true, description: "Barbers fill their chairs.",
  scripts: { dev: "next dev", build: "next build", start: "next start", test: "node --test" },
  dependencies: { next: "14.2.35", react: "18.3.1", "react-dom": "18.3.1" },
};

/** The files of a small application that passes the checks, path to content. */
export const APP = {
  "package.json": JSON.stringify(PACKAGE, null, 2),
  "app/layout.jsx": "export default function Layout({ children }) {\n  return <html lang=\"en\"><body>{children}</body></html>;\n}\n",
  "app/page.jsx": "import Chairs from \"../components/chairs\";\n\nexport default function Page() {\n  return <Chairs />;\n}\n",
  "components/chairs.jsx": "export default function Chairs() {\n  return <main>Chairs</main>;\n}\n",
  "README.md": "# Chair Time\n",
};

/** Files as Claude writes them. */
export const fenced = (files) => Object.entries(files).map(([path, content]) => `\`\`\`\`jsx:${path}\n${content}\n\`\`\`\`\n`).join("\n");

const slide = (headline) => ({ headline, points: ["It is so."] });
const LAUNCH = {
  name: "Chair Time", tagline: "No chair stays empty.",
  channels: [{ name: "Barber shops", description: "Walk in.", priority: "high" }],
  deck: { problem: slide("Empty chairs"), solution: slide("Booking"), market: slide("Barbers"), competitors: [], model: slide("Monthly"), roadmap: slide("Next") },
};

/**
 * A Claude that plays every part: `turns` are its answers to building, one after the other, the last one for ever;
 * each a text, or whatever else the fake takes.
 */
export function author(turns = [fenced(APP)], more = {}) {
  const research = script({ competitors: [{ name: "Slotty" }], ...more });
  let turn = 0;
  return (body) => {
    const fields = Object.keys(body.output_config?.format.schema.properties ?? {});
    if (fields.includes("tagline")) return JSON.stringify(LAUNCH);
    if (fields.length) return research(body);
    const answer = turns[Math.min(turn, turns.length - 1)];
    turn += 1;
    return answer;
  };
}

/** The requests to a fake of Claude that asked it to build. */
export const building = (claude) => claude.requests.filter(({ body }) => body && !body.output_config);

/** The requests to a fake of Claude that asked for competitors, each with its material. */
export function researched(claude) {
  const asked = claude.requests.filter(({ body }) => body?.output_config?.format.schema.properties.competitors);
  return asked.map((request) => ({ ...request, material: JSON.parse(request.body.messages.at(-1).content.at(-1).text) }));
}
