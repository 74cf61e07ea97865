/** The requests that are measured, and the proof that all workers answer them alike. */
import { httpRequest, load } from "./load.js";

export const HEALTH = httpRequest("GET", "/");
export const LIST = httpRequest("GET", "/api/projects?limit=20");

const LISTED = 20;
const SEEDED = 100;

export function always(request) {
  return () => request;
}

/** Parameters of `load` that create `count` projects; `idsOf` its result are their ids. */
export function creation(count) {
  const project = (i) => ({ name: `Project ${i}`, description: "A list of tasks with reminders, for one person." });
  return { requestOf: (i) => httpRequest("POST", "/api/projects", project(i)), status: 201, count, keep: true };
}

export function idsOf({ bodies }) {
  return bodies.map((body) => JSON.parse(body).id);
}

/**
 * Parameters of `load` for `count` chat streams of a worker, each in a project that it takes from `projects`: in a
 * project with a history each request would be larger than the last.
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
export async function checkAnswers({ port, database, chats, ending, keeps }) {
  const bodyOf = async (parameters) => (await load({ port, count: 1, keep: true, ...parameters })).bodies[0];

  const health = JSON.parse(await bodyOf({ requestOf: always(HEALTH) }));
  expect(health.status === "ok" && health.service === "hatch-api", "GET / is not the health answer");

  const projects = idsOf(await load({ port, ...creation(SEEDED) }));
  const listed = JSON.parse(await bodyOf({ requestOf: always(LIST) }));
  expect(listed.length === LISTED && listed.every(({ id }) => projects.includes(id)), "the list is not of the projects created");

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

function expect(condition, complaint) {
  if (!condition) throw new Error(complaint);
}
