// Helpers for tests of the chat: a project, a question, and reading the stream of
// the answer, however it ends.

import { setTimeout } from "node:timers/promises";
import { pages } from "./harness.js";

/** The variables that point a Worker at a fake of Anthropic. */
export const claudeVars = (claude) => ({ CLAUDE_API_KEY: claude.key, CLAUDE_BASE_URL: claude.url });

/** A new project, with `code` (path to content) when given. */
export async function newProject({ api }, code) {
  const project = await (await api("POST", "/api/projects", { name: "An app" })).json();
  if (code) await api("PATCH", `/api/projects/${project.id}`, { code });
  return project.id;
}

/** The project's code now: path to content. */
export async function codeOf({ api }, id) {
  return JSON.parse((await (await api("GET", `/api/projects/${id}`)).json()).code ?? "{}");
}

/** `POST /api/chat` for Claude's events, or with another `query`; answered as soon as the head is there. */
export function send({ api }, projectId, message = "Build it", { query = "?format=events", headers, ...more } = {}) {
  return api("POST", `/api/chat${query}`, { projectId, message, ...more }, headers);
}

/** Sends, and reads the stream to its end. */
export async function chat(hatch, projectId, message, options) {
  const response = await send(hatch, projectId, message, options);
  return { status: response.status, response, ...(await received(response)) };
}

/** The result of reading a body: its bytes, its events, and whether it ended in order. */
export async function received(response) {
  const parts = [];
  let whole = true;
  try {
    for await (const part of response.body) parts.push(part);
  } catch {
    whole = false;
  }
  const bytes = Buffer.concat(parts);
  return { bytes, whole, events: eventsOf(bytes) };
}

/** Server-sent events (WHATWG HTML, 9.2): `{event, data}`, data parsed where it is JSON. */
export function eventsOf(bytes) {
  const blocks = bytes.toString().split(/\r\n\r\n|\n\n|\r\r/).slice(0, -1);
  return blocks.filter((block) => block.trim() !== "").map((block) => {
    const lines = block.split(/\r\n|\n|\r/).filter((line) => line !== "");
    const values = (name) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());
    return { event: values("event").at(-1), data: parsed(values("data").join("\n")) };
  });
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

/** The text of a stream, of Claude's events or of `{"text"}` pieces. */
export const textOf = (events) => events.map(({ data }) => data?.text ?? (data?.delta?.type === "text_delta" ? data.delta.text : "")).join("");

/** The conversation, oldest first. */
export async function messages(hatch, projectId) {
  return (await Array.fromAsync(pages(hatch, `/api/chat/${projectId}`))).flat();
}

/** The newest message, once it is no longer being written. */
export function settled(hatch, projectId) {
  return until(async () => {
    const last = (await messages(hatch, projectId)).at(-1);
    return last?.status !== "streaming" && last;
  });
}

/** Calls `look` until it returns a truthy value, and returns that. */
export async function until(look, { seconds = 60 } = {}) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await setTimeout(20)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`not within ${seconds} s: ${look}`);
}
