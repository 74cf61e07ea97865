// The chat as Hatch's own front ends use it: they make the project's id
// themselves, read pieces of text, know models by other names, and send a message again when a stream breaks.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { beforeEach, test } from "node:test";
import { readAsDesktop, readAsPage, StreamInterrupted } from "./clients/hatch.js";
import { chat, claudeVars, codeOf, messages, newProject, received, send, settled, textOf, until } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { problem, startWorker } from "./support/harness.js";
import { as, people } from "./support/people.js";

const claude = await startAnthropic();
const hatch = await startWorker({ ...claudeVars(claude), DAILY_CHAT_LIMIT: "1000" });
const { newKey, signIn } = people(hatch);
test.after(() => claude.close());
beforeEach(() => claude.reset());

const FILE = "```html:index.html\n<h1>👋 Grüße</h1>\n```\n";
const ANSWER = `Here is your app.\n\n${FILE}Have fun with it.\n`;
const asked = () => claude.count("/v1/messages");
/** A request like those of the front ends: with their own id, and only the media type of JSON. */
const ask = (projectId, message, more) => send(hatch, projectId, message, { query: "", ...more });
const project = (id) => hatch.api("GET", `/api/projects/${id}`);
const rows = (id) => hatch.sql("SELECT role, content, status FROM chat_messages WHERE project_id = ? ORDER BY seq", id);

// --- a chat begins a project ---------------------------------------------------

test("the page's first message begins the project of its id, named after the message", async () => {
  claude.setAnswer(ANSWER);
  const id = randomUUID();
  assert.equal(await readAsPage(await ask(id, "Build me a pomodoro timer with a tomato red look and a big round button")), ANSWER);
  const begun = await (await project(id)).json();
  assert.deepEqual([begun.name, begun.version, begun.status], ["Build me a pomodoro timer with a tomato red look and a big", 1, "draft"]);
  assert.deepEqual(await codeOf(hatch, id), { "index.html": "<h1>👋 Grüße</h1>\n" });
  assert.equal(await readAsPage(await ask(id, "Now in blue")), ANSWER);
  assert.equal((await messages(hatch, id)).length, 4);
  assert.equal((await (await project(id)).json()).name, begun.name);
});

test("an id in capitals is the same project", async () => {
  const id = randomUUID();
  await (await ask(id.toUpperCase(), "One")).text();
  await (await ask(id, "Two")).text();
  assert.equal((await messages(hatch, id)).length, 4);
});

test("an id that is not a UUID, or the nil UUID, begins nothing", async () => {
  for (const id of ["my-project", "1f3a9c046b524d0e9a572f8e4c1b7d36", "{1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36}", "00000000-0000-0000-0000-000000000000"]) {
    await problem(await ask(id, "Hello"), 404, "not_found");
    assert.deepEqual(await hatch.sql("SELECT id FROM projects WHERE id = ?", id), []);
  }
  assert.equal(asked(), 0);
});

test("a message that is refused, and one that Claude does not answer, begin no project", async () => {
  const [blank, failed] = [randomUUID(), randomUUID()];
  await problem(await ask(blank, " "), 400);
  claude.setFault({ status: 400, message: "no" });
  await problem(await ask(failed, "Hello"), 502);
  for (const id of [blank, failed]) await problem(await project(id), 404);
  assert.deepEqual(await hatch.sql("SELECT id FROM chat_messages WHERE project_id IN (?, ?)", blank, failed), []);
});

test("a project that is used while its first message fails stays", async () => {
  claude.setFault({ status: 529, headers: { "retry-after-ms": "1" }, times: 2 }, { delayMs: 300, status: 400, message: "no" });
  const id = randomUUID();
  const first = ask(id, "Hello");
  await until(async () => (await project(id)).status === 200);
  await hatch.api("PATCH", `/api/projects/${id}`, { name: "Mine" });
  assert.ok((await first).status >= 400);
  assert.equal((await (await project(id)).json()).name, "Mine");
});

test("another user's id is not found", async () => {
  const [ada, bob] = [await signIn(), await signIn()];
  const id = randomUUID();
  assert.equal((await ask(id, "Hers", { headers: as(ada.token) })).status, 200);
  await problem(await ask(id, "His", { headers: as(bob.token) }), 404, "not_found");
  await problem(await ask(id, "Mine"), 404, "not_found");
  assert.deepEqual((await rows(id)).filter(({ role }) => role === "user").map(({ content }) => content), ["Hers"]);
});

test("a key begins a project only with projects:write, and chats in one that is there without it", async () => {
  const { token } = await signIn();
  const key = async (scopes) => ({ headers: as((await newKey(token, { scopes })).key) });
  const [chatting, writing] = [await key(["chat"]), await key(["chat", "projects:write"])];
  const id = randomUUID();
  const told = await problem(await ask(id, "Hello", chatting), 403, "insufficient_scope");
  assert.match(told.detail, /projects:write/);
  assert.equal(asked(), 0);
  assert.equal((await ask(id, "Hello", writing)).status, 200);
  assert.equal((await ask(id, "And more", chatting)).status, 200);
  await problem(await ask(await newProject(hatch), "Not mine", chatting), 404, "not_found");
});

test("two tabs that begin the same project at once make one, with both messages", async () => {
  claude.setAnswer(ANSWER);
  const id = randomUUID();
  const texts = await Promise.all(["One", "Two", "Three"].map(async (message) => readAsPage(await ask(id, message))));
  assert.deepEqual(texts, [ANSWER, ANSWER, ANSWER]);
  assert.equal((await rows(id)).length, 6);
  assert.equal((await hatch.sql("SELECT count(*) AS n FROM projects WHERE id = ?", id))[0].n, 1);
});

// --- models ----------------------------------------------------------------------

for (const [name, model] of [["opus-4.5", "claude-opus-5-5"], ["sonnet-4.5", "claude-sonnet-5-5"], ["haiku-4.5", "claude-haiku-5-5"], ["claude-haiku-4-5", "claude-haiku-4-5"]]) {
  test(`${name} is answered by ${model}`, async () => {
    const { events } = await chat(hatch, randomUUID(), "Hello", { query: "", model: name });
    assert.equal(claude.requests.at(-1).body.model, model);
    const { data } = events.find(({ event }) => event === "saved");
    assert.deepEqual([data.model, "note" in data], [model, false]);
  });
}

for (const name of ["gpt-5.2-codex", "gpt-5.1-codex-max", "claude-opus-99", "vendor/model:free"]) {
  test(`${name} is answered by the default model, which saved says`, async () => {
    const { events, status } = await chat(hatch, randomUUID(), "Hello", { query: "", model: name });
    assert.equal(status, 200);
    assert.equal(claude.requests.at(-1).body.model, "claude-sonnet-5-5");
    const { data } = events.find(({ event }) => event === "saved");
    assert.equal(data.note, `There is no model ${name} here, so claude-sonnet-5-5 answered`);
  });
}

// --- a message that is sent again --------------------------------------------------

for (const [query, format] of [["", "text"], ["?format=events", "events"]]) {
  test(`a message sent again while it is answered is followed to the end, and asked once (${format})`, async () => {
    claude.setAnswer(ANSWER);
    claude.setFault({ stallAfterBytes: 900 });
    const id = randomUUID();
    const first = await ask(id, "Build it");
    const second = chat(hatch, id, "Build it", { query });
    await until(async () => (await rows(id)).at(-1)?.content);
    claude.release();
    const { events } = await second;
    assert.equal(await readAsDesktop(first), ANSWER);
    assert.equal(textOf(events), ANSWER);
    assert.ok(events.at(-1).data.done);
    assert.deepEqual(events.find(({ event }) => event === "files").data.files.map(({ path, status }) => [path, status]), [["index.html", "added"]]);
    assert.equal(asked(), 1);
    assert.deepEqual((await rows(id)).map(({ status }) => status), ["complete", "complete"]);
  });
}

test("the same message sent many times at once is one turn, counted once", async () => {
  claude.setAnswer(ANSWER);
  claude.setFault({ stallAfterBytes: 900 });
  const id = randomUUID();
  const before = await used();
  const all = Array.from({ length: 8 }, async () => readAsDesktop(await ask(id, "Build it")));
  // Claude has got as far as where it waits.
  await until(async () => (await rows(id)).at(-1)?.content);
  claude.release();
  assert.deepEqual(await Promise.all(all), Array(8).fill(ANSWER));
  assert.deepEqual([asked(), (await rows(id)).length, (await used()) - before], [1, 2, 1]);
});

const used = async () => (await hatch.sql("SELECT used FROM daily_counters WHERE user_id = 'local-developer' AND name = 'chat-day'"))[0]?.used ?? 0;

test("a message sent again after its stream broke gets what was saved, and the model is not asked again", async () => {
  claude.setAnswer(ANSWER);
  claude.setFault({ cutAfterBytes: 1000 });
  const id = randomUUID();
  const first = await readAsDesktop(await ask(id, "Build it")).catch((error) => error);
  assert.ok(first instanceof StreamInterrupted && first.text.length > 0, String(first));
  for (let tries = 0; tries < 3; tries += 1) {
    const again = await readAsDesktop(await ask(id, "Build it")).catch((error) => error);
    assert.ok(again instanceof StreamInterrupted);
    assert.equal(again.text, (await rows(id)).at(-1).content);
  }
  assert.deepEqual([asked(), (await rows(id)).length], [1, 2]);
  assert.deepEqual(await codeOf(hatch, id), {});
});

test("a quarter of a minute after its stream broke a message is a new turn", async () => {
  claude.setAnswer(ANSWER);
  claude.setFault({ cutAfterBytes: 1000 });
  const id = randomUUID();
  await (await ask(id, "Build it")).text();
  await hatch.sql("UPDATE chat_messages SET created_at = created_at - 16000, alive_at = alive_at - 16000 WHERE project_id = ?", id);
  assert.equal(await readAsDesktop(await ask(id, "Build it")), ANSWER);
  assert.deepEqual([asked(), (await rows(id)).length], [2, 4]);
});

test("a message that was answered, another message, another project's and one with a key of its own are new turns", async () => {
  claude.setAnswer(ANSWER);
  const [id, other] = [randomUUID(), randomUUID()];
  assert.equal(await readAsDesktop(await ask(id, "Build it")), ANSWER);
  assert.equal(await readAsDesktop(await ask(id, "Build it")), ANSWER);
  assert.equal(asked(), 2);
  claude.setFault({ cutAfterBytes: 1000 });
  await (await ask(id, "Once more")).text();
  await readAsDesktop(await ask(other, "Once more"));
  await readAsDesktop(await ask(id, "Once  more"));
  await readAsDesktop(await ask(id, "Once more", { headers: { "idempotency-key": randomUUID() } }));
  assert.equal(asked(), 6);
});

test("a message sent again at the day's limit is followed, and a new one is refused", async () => {
  claude.setAnswer(ANSWER);
  claude.setFault({ stallAfterBytes: 900 });
  const id = randomUUID();
  const first = await ask(id, "Build it");
  const day = Math.floor(Date.now() / 86_400_000);
  await hatch.sql("UPDATE daily_counters SET used = used + 10000 WHERE user_id = 'local-developer' AND name = 'chat-day' AND day = ?", day);
  const again = ask(id, "Build it");
  await problem(await ask(id, "Another"), 429, "daily_chat_limit_reached");
  claude.release();
  assert.equal(await readAsDesktop(await again), ANSWER);
  assert.equal(await readAsDesktop(first), ANSWER);
  await hatch.sql("UPDATE daily_counters SET used = used - 10000 WHERE user_id = 'local-developer' AND name = 'chat-day' AND day = ?", day);
});

test("deleting a project ends the stream of a follower with an error", async () => {
  claude.setAnswer(ANSWER);
  claude.setFault({ stallAfterBytes: 900 });
  const id = randomUUID();
  const first = await ask(id, "Build it");
  const again = await ask(id, "Build it");
  await hatch.api("DELETE", `/api/projects/${id}`);
  const { events } = await received(again);
  assert.deepEqual([events.at(-1).event, events.at(-1).data.error.type], ["error", "not_found_error"]);
  claude.release();
  await first.text();
});

test("the answer of a dead Worker is followed until it counts as lost, and a new message does not wait for it", async () => {
  claude.setAnswer(ANSWER);
  const id = randomUUID();
  await (await ask(id, "Build it")).text();
  const lose = (ms) => hatch.sql("UPDATE chat_messages SET status = 'streaming', content = 'Here is', created_at = created_at - 60000, alive_at = ? WHERE project_id = ? AND role = 'assistant'", Date.now() - ms, id);
  await lose(14_000);
  const told = await readAsDesktop(await ask(id, "Build it")).catch((error) => error);
  assert.ok(told instanceof StreamInterrupted);
  assert.equal(told.text, "Here is");
  assert.equal((await settled(hatch, id)).status, "interrupted");
  await lose(16_000);
  assert.equal(await readAsDesktop(await ask(id, "Build it")), ANSWER);
  assert.equal(asked(), 2);
});
