// Helpers for tests of the agent: sending a message, reading its events in the
// bytes that clients read, and a Claude that plays a script.

import assert from "node:assert/strict";

/** Reads a stream of `POST /message` to its end: the events, each with its id, and the raw blocks. */
export async function readEvents(response) {
  return eventsOf(await response.text());
}

/** The events of a stream. Checks that every block has the form that the original's clients read. */
export function eventsOf(text) {
  const blocks = text.split("\n\n").filter((block) => block !== "");
  assert.equal(blocks[0], "retry: 2000");
  return blocks.slice(1).filter((block) => !block.startsWith(":")).map((block) => {
    const match = block.match(/^event: (message|error|debug|done)\nid: (\S+)\ndata: (\{.*\})$/);
    assert.ok(match, `not as clients read it: ${block}`);
    return { event: match[1], id: match[2], data: JSON.parse(match[3]) };
  });
}

/**
 * @param {Awaited<ReturnType<import("./harness.js").startWorker>>} hatch
 * @param {Record<string, string>} headers of every request
 */
export function agents({ api }, headers = {}) {
  const send = (message, more = {}, extra = {}) => api("POST", "/message", { message, ...more }, { ...headers, ...extra });

  /** Sends a message and follows it to its end. Returns the app's id and the events. */
  async function sendToEnd(message, more, extra) {
    const response = await send(message, more, extra);
    assert.equal(response.status, 200, response.status === 200 ? "" : await response.text());
    const events = await readEvents(response);
    assert.equal(events.at(-1)?.event, "done", JSON.stringify(events.at(-1)));
    return { events, appId: events[0].data.appId, traceId: events[0].data.traceId, response };
  }

  const show = async (id) => (await api("GET", `/apps/${id}`, undefined, headers)).json();
  const history = async (id) => (await api("GET", `/apps/${id}/history`, undefined, headers)).json();
  const code = async (id) => JSON.parse((await (await api("GET", `/api/projects/${id}`, undefined, headers)).json()).code ?? "{}");
  return { send, sendToEnd, show, history, code };
}

export const kinds = (events) => events.filter(({ event }) => event === "message").map(({ data }) => data.message.kind);
export const texts = (events) => events.filter(({ event }) => event === "message").map(({ data }) => data.message.messages.map(({ content }) => content).join("\n"));
export const notices = (events) => events.filter(({ data }) => data.metadata).map(({ data }) => data.metadata.type);

let calls = 0;
/** A content block of Claude's that calls a tool. */
export const call = (name, input = {}) => ({ type: "tool_use", id: `toolu_${(calls += 1)}`, name, input });
export const text = (words) => ({ type: "text", text: words });

/** A Claude that gives these answers one after the other, the last one for ever. */
export function scripted(...answers) {
  let n = 0;
  return (body) => {
    const answer = answers[Math.min(n, answers.length - 1)];
    n += 1;
    return typeof answer === "function" ? answer(body) : answer;
  };
}

export const PAGE = "<!doctype html><html lang=\"en\"><title>Hi</title><h1>Hi</h1></html>\n";
export const finish = (more = {}) => call("finish", { name: "Pomodoro Timer", commit_message: "feat: a timer", summary: "It counts.", ...more });
/** A turn that writes one page and finishes. */
export const builds = () => scripted([text("I write it."), call("write_file", { path: "index.html", content: PAGE })], [call("check")], [finish()]);
