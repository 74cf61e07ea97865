/** The requests that are measured, and the proof that all workers answer them alike. */
import { setTimeout as sleep } from "node:timers/promises";
import { httpRequest, load } from "./load.js";

export const HEALTH = httpRequest("GET", "/");
export const LIST = httpRequest("GET", "/api/projects?limit=20");

const LISTED = 20;
const SEEDED = 100;

export function always(request) {
  return () => request;
}

/** Parameters of `load` that create `count` projects. `idsOf` reads their ids from its result. */
export function creation(count) {
  const project = (i) => ({ name: `Project ${i}`, description: "A list of tasks with reminders, for one person." });
  return { requestOf: (i) => httpRequest("POST", "/api/projects", project(i)), status: 201, count, keep: true };
}

export function idsOf({ bodies }) {
  return bodies.map((body) => JSON.parse(body).id);
}

const MACHINES = 500;
const MINUTE_MS = 60_000;
const BEGIN_MS = Date.now() - 12 * 60 * MINUTE_MS;
const CONTAINERS = [{ containerName: "web", port: "8080" }, { containerName: "db", port: "5432" }];

const walletOf = (machine) => `0x${machine.toString(16).padStart(40, "0")}`;
/** Beats are five minutes apart. Each sixth beat of a machine comes after 36 minutes and closes its window. */
const beatOf = (turn) => BEGIN_MS + (5 * turn + 31 * Math.floor(turn / 6)) * MINUTE_MS;

/** Parameters of `load` for the next `count` beats of a worker's 500 machines, in turn; `beaten` is how many there were. */
export function beats(worker, count) {
  const first = worker.beaten ?? 0;
  worker.beaten = first + count;
  const beat = (i) => ({
    walletAddress: walletOf(i % MACHINES),
    timestamp: new Date(beatOf(Math.floor(i / MACHINES))).toISOString(),
    containers: CONTAINERS,
  });
  return { requestOf: (i) => httpRequest("POST", "/heartbeat", beat(first + i)), ending: "", count };
}

/**
 * Parameters of `load` for `count` chat streams of a worker, each in a project that it takes from `projects`: in a
 * project with a history each request would be larger than the one before.
 */
export function chat({ projects, ending }, path, count) {
  const taken = projects.splice(0, count);
  const turn = (i) => ({ projectId: taken[i], message: "Make me a list of tasks." });
  return { requestOf: (i) => httpRequest("POST", path, turn(i)), ending, count: taken.length };
}

/**
 * Creates 100 projects and throws unless `worker` is healthy, lists the newest of them, streams and keeps what it
 * streamed: numbers compare only if the answers do. Returns the projects that are still without a message.
 */
export async function checkAnswers(worker) {
  const { port, database, chats, ending, keeps } = worker;
  const bodyOf = async (parameters) => (await load({ port, count: 1, keep: true, ...parameters })).bodies[0];

  const health = JSON.parse(await bodyOf({ requestOf: always(HEALTH) }));
  expect(health.status === "ok" && health.service === "hatch-api", "GET / is not the health answer");

  const projects = idsOf(await load({ port, ...creation(SEEDED) }));
  const listed = JSON.parse(await bodyOf({ requestOf: always(LIST) }));
  expect(listed.length === LISTED && listed.every(({ id }) => projects.includes(id)), "the list is not of the projects created");

  // Seven turns: the last one closes the window of the six before.
  await load({ port, ...beats(worker, 7 * MACHINES) });
  if (keeps) {
    const record = database.prepare("SELECT count(*) AS n, min(time_from) AS a, max(time_to) AS b FROM worker_uptime_records");
    const { n, a, b } = await record.first();
    expect(n === MACHINES && a === beatOf(0) && b === beatOf(5), "the windows that were closed are not recorded");
  }

  for (const path of Object.keys(chats)) {
    const [project] = projects;
    const stream = await bodyOf(chat({ projects, ending }, path, 1));
    expect(stream.includes("Water"), `${path} does not stream the answer`);
    if (!keeps) continue;
    const answer = await database
      .prepare("SELECT content FROM chat_messages WHERE project_id = ? AND role = 'assistant'")
      .bind(project)
      .first("content");
    expect(answer?.includes("<!doctype html>"), `${path} does not keep the answer`);
  }
  return projects;
}

/**
 * Prepares the rows that only Hatch has, and returns their loads by row: a page that polls a finished job,
 * a file of a live app, a model behind the gateway, and the turn of an agent that begins an app.
 */
export async function ownLoads({ port, database }) {
  const ask = async (method, path, body, status) => {
    const { bodies } = await load({ port, count: 1, keep: true, status, requestOf: always(httpRequest(method, path, body)) });
    return JSON.parse(bodies[0]);
  };
  const url = (path) => `http://127.0.0.1:${port}${path}`;

  const { job_id: job } = await ask("POST", "/api/generate", { prompt: "A list of tasks" }, 200);
  // A job that has ended is all that is needed; the upstream here writes no startups.
  await fetch(url(`/api/generate/${job}/cancel`), { method: "POST" });
  const etagOf = async () => (await fetch(url(`/api/status/${job}`))).headers.get("etag");
  // Its last step still books its cost.
  let [before, etag] = ["", await etagOf()];
  while (etag !== before) {
    await sleep(500);
    [before, etag] = [etag, await etagOf()];
  }
  const unchanged = httpRequest("GET", `/api/status/${job}`, undefined, `if-none-match: ${etag}\r\n`);

  // The rows that a deployment leaves. The bench does not measure the compiler.
  const { id: project } = await ask("POST", "/api/projects", { name: "Live" }, 201);
  const host = `live.localhost:${port}`;
  await database
    .prepare("INSERT INTO sites (slug, project_id, user_id, deployment_id, name, url, created_at, updated_at) SELECT 'live', id, user_id, 'd', name, ?2, 1, 1 FROM projects WHERE id = ?1")
    .bind(project, `http://${host}/`)
    .run();
  await database.prepare("INSERT INTO site_files VALUES ('live', 'index.html', '<!doctype html><p>Live</p>', 'e')").run();
  const file = httpRequest("GET", "/", undefined, "", host);

  const completion = (stream) =>
    httpRequest("POST", "/v1/chat/completions", { model: "claude-sonnet-5-5", messages: [{ role: "user", content: "Make me a list of tasks." }], stream });
  const message = (i) => httpRequest("POST", "/message", { message: `Make me list ${i} of tasks.` });
  return {
    status: { requestOf: always(unchanged), status: 304, count: 500 },
    file: { requestOf: always(file), count: 500 },
    completion: { requestOf: always(completion(false)), count: 100 },
    "completion stream": { requestOf: always(completion(true)), ending: "data: [DONE]", count: 60 },
    message: { requestOf: message, first: "data:", count: 20 },
  };
}

function expect(condition, complaint) {
  if (!condition) throw new Error(complaint);
}
