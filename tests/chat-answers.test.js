// Answers without whole files, as users of app builders have reported them: the
// good file is never lost, and changes that were not made are reported in the
// stream and in the conversation.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { chat, claudeVars, codeOf, messages, newProject, textOf, until } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startWorker } from "./support/harness.js";

const claude = await startAnthropic();
const hatch = await startWorker({ ...claudeVars(claude), CHAT_CODE_TOKENS: "6000" });
test.after(() => claude.close());
beforeEach(() => claude.reset());

const OLD = Array.from({ length: 60 }, (_, n) => `line${n}();\n`).join("");
const fence = (info, body) => `\`\`\`${info}\n${body}\`\`\`\n`;
const filesOf = ({ events }) => events.find(({ event }) => event === "files").data;

/** Makes Claude answer with this on a project with this code. Checks that the stream and the conversation report the same. */
async function answered(answer, code = { "app.js": OLD }, query = "?format=events") {
  const id = await newProject(hatch, code);
  claude.setAnswer(answer);
  const told = filesOf(await chat(hatch, id, "Change it", { query }));
  const { changes } = (await messages(hatch, id)).at(-1);
  assert.deepEqual(changes, told);
  return { id, told, code: await codeOf(hatch, id) };
}

for (const query of ["?format=events", ""]) {
  test(`a file with a placeholder that fits nowhere stays unchanged, and that is reported (${query})`, async () => {
    const { told, code } = await answered(fence("js:app.js", "// ... existing code ...\nfunction added(){}\n// rest stays the same\n"), undefined, query);
    assert.deepEqual(code, { "app.js": OLD });
    assert.equal(told.version, 1);
    assert.deepEqual(told.files.map(({ path, status }) => [path, status]), [["app.js", "incomplete"]]);
    assert.match(told.notes[0], /^app\.js was kept as it was: /);
    assert.equal(told.notes.at(-1), "Nothing was taken from this answer");
  });
}

test("a change of one line is made if its text is in the file once, else the file stays unchanged", async () => {
  const change = (old) => fence("js:app.js", `<<<<<<< SEARCH\n${old}\n=======\nchanged();\n>>>>>>> REPLACE\n`);
  const good = await answered(change("line7();"));
  assert.deepEqual(good.code, { "app.js": OLD.replace("line7();", "changed();") });
  assert.deepEqual(good.told, { version: 2, files: [{ path: "app.js", bytes: Buffer.byteLength(good.code["app.js"]), status: "changed" }] });
  const bad = await answered(change("gone();"));
  assert.deepEqual([bad.code, bad.told.files[0].status], [{ "app.js": OLD }, "incomplete"]);
});

test("in its next turn the model gets the changes that could not be made", async () => {
  const { id } = await answered(fence("js:app.js", "// ... existing code ...\nadded();\n// ...\n"));
  claude.setAnswer("Sorry.");
  await chat(hatch, id, "Again");
  const said = claude.requests.at(-1).body.messages.at(-2);
  assert.match(said.content[0].text, /\[Hatch: app\.js was kept as it was: /);
});

for (const [what, answer] of Object.entries({
  "in a <think> element": `<think>maybe\n${fence("html:index.html", "<p>draft</p>\n")}</think>\nIt is done already.`,
  "that is not closed": `<thinking>\n${fence("html:index.html", "<p>draft</p>\n")}`,
  "in thinking blocks": [{ type: "thinking", thinking: fence("html:index.html", "<p>draft</p>\n") }, { type: "text", text: "It is done already." }],
})) {
  test(`a draft in thinking ${what} is no file`, async () => {
    const { told, code } = await answered(answer);
    assert.deepEqual([told.version, told.files, code], [1, [], { "app.js": OLD }]);
  });
}

test("an artifact on one line is accepted, and so is clearly escaped markup", async () => {
  const { code } = await answered(
    '<boltArtifact id="a" title="t"><boltAction type="file" filePath="a.js">x()</boltAction><boltAction type="file" filePath="b.html">&lt;!doctype html&gt;&lt;p&gt;Hi&lt;/p&gt;</boltAction></boltArtifact>',
    {},
  );
  assert.deepEqual(code, { "a.js": "x()", "b.html": "<!doctype html><p>Hi</p>" });
});

test("a forbidden path, a patch without a file and an unknown element are reported", async () => {
  const { told, code } = await answered(`${fence("js:../../evil.js", "x\n")}${fence("diff", "- a\n+ b\n")}<dyad-add-dependency packages="x"></dyad-add-dependency>\n`);
  assert.deepEqual(code, { "app.js": OLD });
  assert.deepEqual(told.files.map(({ path, status }) => [path, status]), [["../../evil.js", "refused"]]);
  assert.equal(told.notes.length, 4);
});

test("elements of other builders that delete and rename work if possible, and are reported", async () => {
  const { told, code } = await answered(
    '<lov-delete file_path="app.js"/>\n<dyad-rename from="b.js" to="lib/b.js"></dyad-rename>\n<dyad-delete path="gone.js"></dyad-delete>\n',
    { "app.js": OLD, "b.js": "b\n", "c.js": "c\n" },
  );
  assert.deepEqual(code, { "c.js": "c\n", "lib/b.js": "b\n" });
  assert.deepEqual(told.files.map(({ path, status }) => [path, status]), [["app.js", "deleted"], ["b.js", "deleted"], ["lib/b.js", "added"], ["gone.js", "incomplete"]]);
  assert.match(told.notes[0], /^gone\.js was kept as it was: there is no such file/);
});

test("a full project is reported", async () => {
  const { told, code } = await answered(fence("js:b.js", `${"y".repeat(3_000)}\n`), { "a.js": `"`.repeat(349_700) });
  assert.deepEqual(Object.keys(code), ["a.js"]);
  assert.match(told.notes[0], /^b\.js was kept as it was: the project is full/);
});

test("of two turns that write the same file the later one reports it", async () => {
  const id = await newProject(hatch, { "app.js": OLD });
  claude.setAnswer(`Here.\n${fence("js:app.js", "mine();\n")}`);
  claude.setFault({ stallAfterBytes: 1000 });
  const first = chat(hatch, id, "One");
  await hatchHasContent(id);
  claude.setAnswer(fence("js:app.js", "theirs();\n"));
  assert.deepEqual(filesOf(await chat(hatch, id, "Two")).notes, undefined);
  claude.release();
  const told = filesOf(await first);
  assert.match(told.notes[0], /^app\.js: it had been changed while this answer was written/);
  assert.deepEqual(await codeOf(hatch, id), { "app.js": "mine();\n" });
});

/** Waits until the result of the answer is saved. */
async function hatchHasContent(id) {
  await until(async () => (await hatch.sql("SELECT content FROM chat_messages WHERE project_id = ? AND role = 'assistant'", id))[0]?.content);
}

test("if a project exceeds the budget, the model gets the relevant files and a list of the others", async () => {
  const part = (n) => `export function part${n}() {}\n${"let word = 1;\n".repeat(200)}`;
  const code = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`src/part${n}.js`, part(n)]));
  const id = await newProject(hatch, { ...code, "index.html": "<p>Hi</p>" });
  claude.setAnswer("Done.");
  await chat(hatch, id, "Make src/part17.js faster");
  const { text } = claude.requests.at(-1).body.system[1];
  assert.ok(text.length < 24_000, String(text.length));
  for (const path of ["src/part17.js", "index.html"]) assert.ok(text.includes(`\`\`\`:${path}\n`), path);
  assert.match(text, /\n- src\/part29\.js: part29\n/);
});

const SOME = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`src/part${n}.js`, "let word = 1;\n".repeat(40)]));
const tooLong = { status: 400, type: "invalid_request_error", message: "prompt is too long: 213462 tokens > 200000 maximum", path: "/v1/messages" };

test("a prompt that is too long is sent again with less, once", async () => {
  const id = await newProject(hatch, SOME);
  claude.setAnswer("Done.");
  claude.setFault(tooLong);
  const { events } = await chat(hatch, id, "Go on");
  assert.deepEqual([events.at(-1).event, textOf(events)], ["done", "Done."]);
  const [more, less] = claude.requests.map(({ body }) => JSON.stringify(body).length);
  assert.ok(less < more / 2, `${more}, ${less}`);
});

test("a prompt that stays too long is an error that says what to do, and leaves nothing", async () => {
  const id = await newProject(hatch, SOME);
  claude.setFault({ ...tooLong, times: Infinity });
  const { status, bytes } = await chat(hatch, id, "Go on");
  const problem = JSON.parse(bytes);
  assert.deepEqual([status, problem.code], [400, "conversation_too_long"]);
  assert.match(problem.detail, /name the files to change/);
  assert.deepEqual([claude.requests.length, await messages(hatch, id)], [2, []]);
});
