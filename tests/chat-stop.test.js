// A turn that its user stops, and pictures that go with a message.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { beforeEach, test } from "node:test";
import { chat, claudeVars, codeOf, messages, newProject, received, send, settled, textOf, until } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { problem, startWorker } from "./support/harness.js";

const claude = await startAnthropic();
const hatch = await startWorker(claudeVars(claude));
const { api } = hatch;
test.after(() => claude.close());
beforeEach(() => claude.reset());

const ANSWER = `Here it is.\n\n\`\`\`html:index.html\n<!doctype html><p>${"word ".repeat(400)}\n\`\`\`\n`;
const stop = (id) => api("POST", `/api/chat/${id}/stop`);

/** A turn whose answer has begun and then pauses. */
async function halfWay() {
  const id = await newProject(hatch, { "index.html": "<!doctype html><p>before" });
  claude.setAnswer(ANSWER);
  claude.setFault({ stallAfterBytes: 2_000 });
  const response = await send(hatch, id);
  await until(async () => (await messages(hatch, id)).at(-1)?.content);
  return { id, response };
}

test("stopping a turn disconnects from the model, keeps what had arrived, and changes no code", async () => {
  const { id, response } = await halfWay();
  const answer = await stop(id);
  assert.equal(answer.status, 200);
  const [stopped, ...more] = await answer.json();
  assert.deepEqual([more, stopped.role, stopped.status, stopped.projectId], [[], "assistant", "interrupted", id]);
  const { events } = await received(response);
  assert.match(events.at(-1).data.error.message, /was stopped/);
  assert.ok(!events.some(({ event }) => event === "done" || event === "files"));
  // The model's connection is closed, so that the rest costs nothing.
  await claude.requests.at(-1).ended;
  const last = await settled(hatch, id);
  assert.deepEqual([last.status, last.changes, last.costMicroUsd], ["interrupted", null, null]);
  assert.equal(last.content, textOf(events));
  assert.deepEqual(await codeOf(hatch, id), { "index.html": "<!doctype html><p>before" });
});

test("an answer that arrives whole after a stop changes nothing", async () => {
  const id = await newProject(hatch, { "index.html": "<!doctype html><p>before" });
  claude.setAnswer(ANSWER);
  claude.setFault({ stallAfterBytes: 2_000 });
  const response = await send(hatch, id);
  // The whole answer arrives before the first checkpoint sees the stop.
  const [{ status }] = await (await stop(id)).json();
  assert.equal(status, "interrupted");
  claude.release();
  const { events } = await received(response);
  assert.ok(!events.some(({ event }) => event === "done" || event === "files"), "it is told as done");
  const last = (await messages(hatch, id)).at(-1);
  assert.deepEqual([last.status, last.changes], ["interrupted", null]);
  assert.equal(last.content, ANSWER);
  assert.deepEqual(await codeOf(hatch, id), { "index.html": "<!doctype html><p>before" });
});

test("the same message after a stop is a turn of its own", async () => {
  const { id, response } = await halfWay();
  await stop(id);
  await received(response);
  claude.setFault();
  const { events } = await chat(hatch, id, "Build it");
  assert.equal(events.at(-1).event, "done");
  assert.deepEqual((await messages(hatch, id)).map(({ role, status }) => [role, status]), [
    ["user", "complete"], ["assistant", "interrupted"], ["user", "complete"], ["assistant", "complete"],
  ]);
});

test("a stop without a running turn does nothing, and cannot stop another project's turn", async () => {
  const { id, response } = await halfWay();
  const other = await newProject(hatch);
  assert.deepEqual(await (await stop(other)).json(), []);
  await problem(await stop(randomUUID()), 404, "not_found");
  assert.equal((await messages(hatch, id)).at(-1).status, "streaming");
  claude.release();
  assert.equal((await received(response)).events.at(-1).event, "done");
  assert.deepEqual(await (await stop(id)).json(), []);
  assert.equal((await messages(hatch, id)).at(-1).status, "complete");
});

test("the conversation shows the cost and the changes of each turn", async () => {
  const id = await newProject(hatch);
  claude.setAnswer({ content: ANSWER, usage: { input_tokens: 1_000, output_tokens: 500 } });
  const { events } = await chat(hatch, id);
  const saved = events.find(({ event }) => event === "saved").data;
  const [question, answer] = await messages(hatch, id);
  assert.ok(saved.costMicroUsd > 0);
  assert.deepEqual([question.costMicroUsd, answer.costMicroUsd], [null, saved.costMicroUsd]);
  assert.deepEqual(answer.changes.files.map(({ path, status }) => [path, status]), [["index.html", "added"]]);
});

const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

test("pictures go to the model with their message, and are kept with it", async () => {
  const id = await newProject(hatch);
  const images = [{ mediaType: "image/png", data: PNG }];
  await chat(hatch, id, "Like this", { images });
  const { content } = claude.requests.at(-1).body.messages.at(-1);
  assert.deepEqual(content[0], { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } });
  assert.equal(content[1].text, "Like this");
  assert.deepEqual((await messages(hatch, id)).map(({ images }) => images), [images, null]);
  await chat(hatch, id, "And now without");
  assert.ok(!JSON.stringify(claude.requests.at(-1).body).includes(PNG), "it was sent once more");
});

test("an attachment that is not a picture is refused with its position, and begins nothing", async () => {
  const id = await newProject(hatch);
  const image = { mediaType: "image/png", data: PNG };
  for (const [images, pointer] of [
    [[{ ...image, mediaType: "image/svg+xml" }], /images/], [[{ ...image, data: "no base64!!!" }], /images/], [[{ ...image, data: "" }], /images/],
    [Array(5).fill(image), /images/], [[{ ...image, data: "A".repeat(400_004) }], /images/], ["x", /images/],
  ]) {
    const response = await send(hatch, id, "Like this", { images });
    assert.equal(response.status, 400, JSON.stringify(images).slice(0, 80));
    assert.match(await response.text(), pointer);
  }
  assert.deepEqual(await messages(hatch, id), []);
});
