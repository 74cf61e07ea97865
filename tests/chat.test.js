// Chat against a strict fake of Anthropic: the client's stream, the saved turn,
// and the changed code. Failures are in chat-faults.test.js.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { chat, claudeVars, codeOf, eventsOf, messages, newProject, received, send, settled, textOf, until } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startWorker } from "./support/harness.js";

const claude = await startAnthropic();
const hatch = await startWorker(claudeVars(claude));
test.after(() => claude.close());
beforeEach(() => claude.reset());

const block = (path, content, fence = "```") => `${fence}${path.split(".").at(-1)}:${path}\n${content}\n${fence}\n`;
const PAGE = `Here is your app.\n\n${block("index.html", "<h1>Hi</h1>")}`;

const ours = (events) => Object.fromEntries(events.filter(({ event }) => ["files", "saved", "done", "error"].includes(event)).map(({ event, data }) => [event, data]));
const statuses = (events) => Object.fromEntries(ours(events).files.files.map(({ path, status }) => [path, status]));

test("with format=events the stream is Claude's own, byte for byte, and then files, saved and done", async () => {
  claude.setAnswer(PAGE);
  const id = await newProject(hatch);
  const { bytes, response, events } = await chat(hatch, id, "Build it");
  const theirs = claude.requests.at(-1).bytes;
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  assert.match(response.headers.get("cache-control"), /no-store/);
  assert.ok(bytes.subarray(0, theirs.length).equals(theirs));
  const [files, saved, done, ...rest] = eventsOf(bytes.subarray(theirs.length));
  assert.deepEqual(files, { event: "files", data: { version: 1, files: [{ path: "index.html", bytes: 12, status: "added" }] } });
  assert.equal(saved.event, "saved");
  assert.deepEqual(done, { event: "done", data: { type: "done", done: true } });
  assert.deepEqual(rest, []);
  const [, answer] = await messages(hatch, id);
  const { usage } = claude.requests.at(-1).message;
  assert.deepEqual(saved.data, { messageId: answer.id, projectId: id, usage: answer.usage, model: "claude-sonnet-5-5", costMicroUsd: 2 * usage.input_tokens + 10 * usage.output_tokens });
  assert.equal(events.filter(({ event }) => event === "error").length, 0);
});

test("by default the stream is unnamed pieces of text, then files and saved, and last an unnamed done", async () => {
  claude.setAnswer(PAGE);
  const id = await newProject(hatch);
  const { events } = await chat(hatch, id, "Build it", { query: "" });
  const [pieces, [files, saved, done]] = [events.slice(0, -3), events.slice(-3)];
  for (const { event, data } of pieces) assert.deepEqual([event, Object.keys(data)], [undefined, ["text"]]);
  assert.equal(textOf(events), PAGE);
  assert.deepEqual([files.event, files.data.files.map(({ path }) => path)], ["files", ["index.html"]]);
  assert.deepEqual([saved.event, saved.data.projectId], ["saved", id]);
  assert.deepEqual(done, { event: undefined, data: { done: true } });
  assert.deepEqual(await codeOf(hatch, id), { "index.html": "<h1>Hi</h1>\n" });
});

test("a client that speaks Anthropic's API gets Claude's events, and format=text wins over its header", async () => {
  claude.setAnswer("Hello.");
  const id = await newProject(hatch);
  const headers = { "anthropic-version": "2023-06-01" };
  const { events } = await chat(hatch, id, "One", { query: "", headers });
  assert.deepEqual([events[0].event, events.at(-1).event], ["message_start", "done"]);
  const pieces = await chat(hatch, id, "Two", { query: "?format=text", headers });
  assert.equal(pieces.events[0].event, undefined);
});

test("an unknown format is refused before anything is asked", async () => {
  const id = await newProject(hatch);
  assert.equal((await send(hatch, id, "Hi", { query: "?format=xml" })).status, 400);
  assert.deepEqual([claude.requests.length, await messages(hatch, id)], [0, []]);
});

test("both sides of a turn are saved, in order, with model and usage", async () => {
  claude.setAnswer({ content: "Hello.", usage: { input_tokens: 7, output_tokens: 3, cache_read_input_tokens: 5 } });
  const id = await newProject(hatch);
  await chat(hatch, id, "First");
  await chat(hatch, id, "Second", { model: "claude-haiku-5-5" });
  const all = await messages(hatch, id);
  assert.deepEqual(all.map(({ role, content, status, model }) => [role, content, status, model]), [
    ["user", "First", "complete", null], ["assistant", "Hello.", "complete", "claude-sonnet-5-5"],
    ["user", "Second", "complete", null], ["assistant", "Hello.", "complete", "claude-haiku-5-5"],
  ]);
  assert.deepEqual(all[1].usage, { input_tokens: 7, output_tokens: 3, cache_creation_input_tokens: 0, cache_read_input_tokens: 5 });
  assert.equal(all[0].usage, null);
  assert.match(all[0].createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(new Set(all.map((message) => message.id)).size, 4);
});

test("an answer's files become a new version, and files that it does not mention keep their content", async () => {
  const id = await newProject(hatch, { "index.html": "old\n", "same.css": "b {}\n", "kept.js": "let a;\n" });
  claude.setAnswer(block("index.html", "new") + block("same.css", "b {}") + block("app.js", "run()") + "```js:late.js\nhalf of");
  const { events } = await chat(hatch, id);
  assert.deepEqual(statuses(events), { "index.html": "changed", "same.css": "unchanged", "app.js": "added", "late.js": "incomplete" });
  assert.equal(ours(events).files.version, 2);
  assert.deepEqual(await codeOf(hatch, id), { "app.js": "run()\n", "index.html": "new\n", "kept.js": "let a;\n", "same.css": "b {}\n" });
  const [version] = await (await hatch.api("GET", `/api/projects/${id}/versions`)).json();
  assert.deepEqual([version.version, version.origin, version.messageId], [2, "chat", ours(events).saved.messageId]);
});

test("an answer without files makes no version", async () => {
  const id = await newProject(hatch, { "index.html": "old\n" });
  claude.setAnswer("It is a page.");
  const { events } = await chat(hatch, id, "What is it?");
  assert.deepEqual(ours(events).files, { version: 1, files: [] });
  assert.deepEqual(await codeOf(hatch, id), { "index.html": "old\n" });
});

test("an answer that ran out of tokens leaves the file that it cut as it was", async () => {
  const id = await newProject(hatch, { "app.js": "good\n" });
  claude.setAnswer({ content: `${block("index.html", "whole")}\`\`\`js:app.js\nhalf\n\`\`\``, stopReason: "max_tokens" });
  const { events } = await chat(hatch, id);
  assert.deepEqual(statuses(events), { "index.html": "added", "app.js": "incomplete" });
  assert.deepEqual(await codeOf(hatch, id), { "app.js": "good\n", "index.html": "whole\n" });
  assert.equal((await messages(hatch, id)).at(-1).status, "complete");
});

test("an answer that Claude refused to finish is saved and changes no file", async () => {
  const id = await newProject(hatch, { "app.js": "good\n" });
  claude.setAnswer({ content: block("app.js", "bad"), stopReason: "refusal", stopDetails: { type: "refusal", category: "cyber", explanation: null } });
  const { events } = await chat(hatch, id);
  assert.deepEqual(ours(events).files, { version: 1, files: [], notes: ["The model declined to answer; nothing was changed"] });
  assert.ok(ours(events).done);
  assert.deepEqual(await codeOf(hatch, id), { "app.js": "good\n" });
});

for (const fault of [{ thinking: true }, { pings: 50 }, { crlf: true }, { cr: true }, { chunkBytes: 1 }, { chunkBytes: 1, crlf: true }, { unknownEvents: true }, { delayMs: 1 }]) {
  for (const query of ["?format=events", ""]) {
    test(`an answer with ${JSON.stringify(fault)} is understood${query ? "" : " and passed on as text"}`, async () => {
      const answer = `Grüße 👋, überall!\n\n${block("index.html", "<h1>👋 ünï</h1>")}`;
      claude.setAnswer(answer);
      claude.setFault(fault);
      const id = await newProject(hatch);
      const { events, bytes, whole } = await chat(hatch, id, "Grüße 👋", { query });
      assert.ok(whole);
      assert.equal(textOf(events), answer);
      assert.ok(events.at(-1).data.done);
      const [question, said] = await messages(hatch, id);
      assert.deepEqual([question.content, said.content, said.status], ["Grüße 👋", answer, "complete"]);
      assert.deepEqual(await codeOf(hatch, id), { "index.html": "<h1>👋 ünï</h1>\n" });
      if (query) assert.equal(bytes.length > claude.requests.at(-1).bytesSent, true);
    });
  }
}

test("an invalid message, or one to another user's or no project, is refused and leaves nothing", async () => {
  const id = await newProject(hatch);
  assert.equal((await send(hatch, "nowhere")).status, 404);
  for (const bad of [{ message: "" }, { message: "  \n" }, { message: "x".repeat(32_001) }, { model: "" }, { model: "x".repeat(129) }]) {
    assert.equal((await send(hatch, id, bad.message ?? "Hi", bad)).status, 400, JSON.stringify(bad).slice(0, 40));
  }
  assert.deepEqual([claude.requests.length, await messages(hatch, id)], [0, []]);
});

test("Claude gets the system prompt, then the files as they are, then the conversation, with at most four cache marks", async () => {
  const id = await newProject(hatch, { "index.html": "<h1>Hi</h1>\n", "odd.md": "````\nfence\n````\n" });
  for (const model of ["claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-5-5", "claude-fable-5-1", "claude-opus-5", "claude-sonnet-5", "claude-haiku-4-5"]) {
    assert.equal((await chat(hatch, id, `Ask ${model}`, { model })).status, 200, model);
  }
  const { body, headers } = claude.requests.at(-1);
  assert.equal(headers["anthropic-version"], "2023-06-01");
  assert.equal(body.stream, true);
  assert.match(body.system[0].text, /^You are Hatch/);
  assert.match(body.system[1].text, /:index\.html\n<h1>Hi<\/h1>\n[^]*`{5}:odd\.md\n````\nfence/);
  assert.equal(body.messages.length, 13);
  assert.deepEqual(body.messages.map(({ role }) => role), Array.from({ length: 13 }, (_, i) => (i % 2 ? "assistant" : "user")));
  assert.equal(body.messages.at(-1).content[0].text, "Ask claude-haiku-4-5");
  assert.ok(JSON.stringify(body).match(/cache_control/g).length <= 4);
});

test("a client that leaves in the middle loses nothing: the turn is finished, saved and merged", async () => {
  claude.setAnswer(PAGE.repeat(3));
  claude.setFault({ stallAfterBytes: 1200 });
  const id = await newProject(hatch);
  const gone = new AbortController();
  const response = await fetch(`${hatch.url}/api/chat`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ projectId: id, message: "Build it" }), signal: gone.signal,
  });
  await response.body.getReader().read();
  gone.abort();
  claude.release();
  assert.equal(await claude.requests.at(-1).ended, "complete");
  const answer = await settled(hatch, id);
  assert.deepEqual([answer.status, answer.content], ["complete", PAGE.repeat(3)]);
  assert.deepEqual(await codeOf(hatch, id), { "index.html": "<h1>Hi</h1>\n" });
});

test("many chats at once on one project are all saved and all merged", async () => {
  const id = await newProject(hatch);
  claude.setAnswer(({ messages: asked }) => block(`${asked.at(-1).content.at(-1).text}.txt`, "mine"));
  const names = Array.from({ length: 12 }, (_, i) => `file${i}`);
  const all = await Promise.all(names.map((name) => chat(hatch, id, name)));
  for (const { events } of all) assert.equal(events.at(-1).event, "done");
  assert.deepEqual(Object.keys(await codeOf(hatch, id)).sort(), names.map((name) => `${name}.txt`).sort());
  assert.equal(new Set(all.map(({ events }) => ours(events).files.version)).size, 12);
  const saved = await messages(hatch, id);
  assert.equal(saved.length, 24);
  assert.ok(saved.every(({ status }) => status === "complete"));
  for (const [i, { role, content }] of saved.entries()) {
    if (role === "user") assert.match(saved[i + 1].content, new RegExp(`:${content}\\.txt`));
  }
});

// A chat whose answer waits in its middle, until `change` has been made.
async function chatAround(id, change) {
  claude.setFault({ stallAfterBytes: 300 });
  const response = await send(hatch, id);
  await change();
  claude.release();
  return received(response);
}

test("code that is changed while Claude answers is kept: the answer is merged into it", async () => {
  const id = await newProject(hatch, { "a.txt": "one\n", "b.txt": "one\n" });
  claude.setAnswer(block("a.txt", "Claude's"));
  const { events } = await chatAround(id, () => hatch.api("PATCH", `/api/projects/${id}`, { code: { "a.txt": "theirs\n", "c.txt": "theirs\n" } }));
  assert.deepEqual(await codeOf(hatch, id), { "a.txt": "Claude's\n", "c.txt": "theirs\n" });
  assert.equal(ours(events).files.version, 3);
  const versions = await (await hatch.api("GET", `/api/projects/${id}/versions`)).json();
  assert.deepEqual(versions.map(({ version, origin }) => [version, origin]), [[3, "chat"], [2, "update"], [1, "update"]]);
});

test("a project deleted while Claude answers stays deleted, and the client is told", async () => {
  const id = await newProject(hatch, { "a.txt": "one\n" });
  claude.setAnswer(PAGE);
  const { events, whole } = await chatAround(id, () => hatch.api("DELETE", `/api/projects/${id}`));
  assert.ok(whole);
  assert.deepEqual(events.at(-1), { event: "error", data: { type: "error", error: { type: "not_found_error", message: "The project was deleted during the answer" } } });
  assert.equal((await hatch.api("GET", `/api/projects/${id}`)).status, 404);
  assert.deepEqual(await hatch.sql("SELECT id FROM chat_messages WHERE project_id = ?", id), []);
});

test("a long answer is saved at checkpoints, and a killed Worker leaves it as interrupted", async () => {
  const answer = PAGE.repeat(3);
  claude.setAnswer(answer);
  claude.setFault({ stallAfterBytes: 1500 });
  const id = await newProject(hatch);
  const response = await send(hatch, id);
  const part = await until(async () => {
    const last = (await messages(hatch, id)).at(-1);
    return last.content !== "" && last;
  });
  assert.equal(part.status, "streaming");
  assert.equal(textOf(eventsOf(claude.requests.at(-1).bytes.subarray(0, 1500))), part.content);

  await hatch.worker.scheduled({ cron: "* * * * *" });
  assert.equal((await messages(hatch, id)).at(-1).status, "streaming", "a young one is left alone");
  await hatch.sql("UPDATE chat_messages SET created_at = created_at - 16 * 60000, alive_at = alive_at - 16 * 60000 WHERE id = ?", part.id);
  await hatch.worker.scheduled({ cron: "* * * * *" });
  const swept = (await messages(hatch, id)).at(-1);
  assert.deepEqual([swept.status, swept.content], ["interrupted", part.content]);

  // This Worker was not killed after all: its answer arrives in full.
  claude.release();
  await response.text();
  const whole = (await messages(hatch, id)).at(-1);
  assert.deepEqual([whole.status, whole.content], ["complete", answer]);
});

test("300 streams, 16 at once, are all answered in full", async () => {
  claude.setAnswer(PAGE);
  const ids = await Promise.all(Array.from({ length: 16 }, () => newProject(hatch)));
  let left = 300;
  await Promise.all(ids.map(async (id, i) => {
    for (; left > 0; left -= 1) {
      const { status, events } = await chat(hatch, id, "Again", { query: i % 2 ? "?format=events" : "" });
      assert.equal(status, 200);
      assert.ok(events.at(-1).data.done);
      assert.equal(textOf(events), PAGE);
    }
  }));
});

test("fifty projects made at once, and fifty chats at once on them, are all there afterwards", async () => {
  claude.setAnswer(PAGE);
  const ids = await Promise.all(Array.from({ length: 50 }, () => newProject(hatch)));
  const answers = await Promise.all(ids.map((id) => chat(hatch, id)));
  for (const { status, events } of answers) assert.deepEqual([status, events.at(-1).event], [200, "done"]);
  const [row] = await hatch.sql(
    `SELECT count(*) AS answers, sum(status = 'complete') AS complete, count(DISTINCT project_id) AS projects
     FROM chat_messages WHERE role = 'assistant' AND project_id IN (SELECT value FROM json_each(?))`,
    JSON.stringify(ids),
  );
  assert.deepEqual(row, { answers: 50, complete: 50, projects: 50 });
});
