// An agent server: its requests, how its events reach clients, and that its diffs
// are applied as a whole or not at all.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { agents, kinds, texts } from "./support/agents.js";
import { newFiles, startAgentServer } from "./fakes/agent-server.js";
import { startWorker } from "./support/harness.js";

const SECRET = "agent-secret-0123456789";
const agent = await startAgentServer({ secret: SECRET });
after(() => agent.close());
const hatch = await startWorker({
  ENVIRONMENT: "development", AGENT_SERVER_URL: agent.url, AGENT_API_SECRET_AUTH: SECRET, AGENT_SERVER_IDLE_MS: "1500", DAILY_MESSAGE_LIMIT: "1000",
});
const { sql } = hatch;
const { sendToEnd, code } = agents(hatch);

const PAGE = "<h1>Hi</h1>\n<p>there</p>\n";
const TEMPLATE = newFiles({ "index.html": PAGE });
const APP = newFiles({ "index.html": PAGE, "app.js": "let n = 0\n", "empty.txt": "" });
const STATE = { fsm_state: "complete", memory: "what-only-the-agent-knows" };

beforeEach(() => {
  agent.reset();
  agent.compressed = false;
  agent.play(agent.wip("🎯 Starting"), agent.alive(), agent.template(TEMPLATE, "Pomodoro Timer"), agent.review({ diff: APP, state: STATE, name: "Pomodoro Timer", commit: "feat: a timer" }));
});

test("the agent server's events are streamed as they arrive, and its last diff makes the app", async () => {
  const { events, appId, traceId } = await sendToEnd("A timer", { templateId: "trpc_agent", settings: { databricks_host: "h", databricks_token: "dapi-secret" } });
  assert.deepEqual(kinds(events).slice(0, 3), ["WipUpdate", "ReviewResult", "ReviewResult"]);
  assert.deepEqual(events.slice(0, 3).map(({ data }) => data.status), ["running", "running", "idle"]);
  assert.equal(events[2].data.message.app_name, "pomodoro-timer");
  assert.ok(!JSON.stringify(events).includes("what-only-the-agent-knows") && !JSON.stringify(events).includes("unifiedDiff"));
  assert.deepEqual(await code(appId), { "index.html": PAGE, "app.js": "let n = 0\n", "empty.txt": "" }, "each diff is against what was sent, and none is stacked");
  const { body, headers } = agent.requests[0];
  assert.deepEqual(body, {
    allMessages: [{ role: "user", content: "A timer" }], applicationId: appId, traceId, templateId: "trpc_agent",
    settings: { databricks_host: "h", databricks_token: "dapi-secret" },
  });
  assert.equal(headers.authorization, `Bearer ${SECRET}`);
});

test("the agent server gets back its state, stored sealed, with the files and the conversation oldest first", async () => {
  agent.play(agent.asks("For whom?", { step: 1, blob: "x".repeat(3_000_000) }));
  const first = await sendToEnd("A shop");
  assert.deepEqual(kinds(first.events), ["RefinementRequest"]);
  const objects = await hatch.env.FILES.list({ prefix: "agent-states/" });
  // Four would be found in a quarter of all sealed texts of this length, by chance.
  for (const { key } of objects.objects) assert.ok(!(await (await hatch.env.FILES.get(key)).text()).includes("x".repeat(32)), "sealed");
  agent.play(agent.review({ diff: APP, state: STATE, commit: "feat: shop" }));
  await sendToEnd("For cats", { applicationId: first.appId });
  const second = agent.requests[1].body;
  assert.deepEqual(second.agentState, { step: 1, blob: "x".repeat(3_000_000) });
  assert.deepEqual(second.allMessages, [
    { role: "user", content: "A shop" }, { role: "assistant", kind: "RefinementRequest", messages: [{ role: "assistant", content: "For whom?" }] },
    { role: "user", content: "For cats" },
  ]);
  assert.ok(!("allFiles" in second));
  agent.play(agent.nothing(null));
  const third = await sendToEnd("Nothing really", { applicationId: first.appId });
  assert.deepEqual(agent.requests[2].body.agentState, STATE);
  assert.deepEqual(agent.requests[2].body.allFiles.map(({ path }) => path), ["app.js", "empty.txt", "index.html"]);
  assert.equal(third.events.at(-1).event, "done");
  agent.play(agent.nothing(null));
  await sendToEnd("Again nothing", { applicationId: first.appId });
  assert.deepEqual(agent.requests[3].body.agentState, STATE, "what it does not say stays");
  assert.ok(agent.requests[3].body.allMessages.every(({ kind }) => kind !== "PlatformMessage"));
});

test("a diff that does not fit is refused as a whole, with file and hunk in the error", async () => {
  const { appId } = await sendToEnd("A timer");
  const before = await code(appId);
  const good = "diff --git a/app.js b/app.js\n--- a/app.js\n+++ b/app.js\n@@ -1 +1 @@\n-let n = 0\n+let n = 1\n";
  const bad = "diff --git a/index.html b/index.html\n--- a/index.html\n+++ b/index.html\n@@ -1,2 +1,2 @@\n-<h1>Bye</h1>\n+<h1>Ho</h1>\n <p>there</p>\n";
  for (const [diff, reason] of [[good + bad, /index\.html: hunk 1/], ["# ERROR GENERATING DIFF: x", /could not write its diff/], [newFiles({ "../evil": "x\n" }), /none of them was made/]]) {
    agent.play(agent.review({ diff, state: STATE }));
    const { events } = await sendToEnd(`Change it ${reason}`, { applicationId: appId });
    assert.deepEqual(kinds(events), ["RuntimeError"]);
    assert.match(texts(events)[0], reason);
    assert.deepEqual(await code(appId), before);
  }
  agent.play(agent.review({ diff: `${good}diff --git a/logo.png b/logo.png\nnew file mode 100644\nindex 0000000..1111111\nBinary files /dev/null and b/logo.png differ\n` }));
  const { events } = await sendToEnd("Add a logo", { applicationId: appId });
  assert.match(texts(events)[0], /not text.*logo\.png/s);
  assert.equal((await code(appId))["app.js"], "let n = 1\n");
});

test("a broken connection, silence and errors end the turn with a reason that shows no internals", async () => {
  const cases = [
    [{ cutAfterBytes: 300 }, /broke off/], [{ status: 403 }, /refused our secret/], [{ garbage: true }, /broke off/], [{ stallAfterBytes: 300 }, /stopped answering/],
  ];
  for (const [fault, reason] of cases) {
    agent.setFault(fault);
    const { events } = await sendToEnd(`A timer ${reason}`);
    assert.match(texts(events).at(-1), reason);
    assert.equal(events.at(-2).data.status, "idle");
    assert.ok(!JSON.stringify(events).includes("secret inside"));
  }
  agent.play(agent.fails("I cannot do this"));
  const { events } = await sendToEnd("The impossible");
  assert.deepEqual(texts(events), ["I cannot do this"]);
});

test("compressed streams and events of megabytes are read", async () => {
  agent.compressed = true;
  const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i} ${"y".repeat(40)}\n`).join("");
  agent.play(agent.wip("Long"), agent.review({ diff: newFiles({ "index.html": PAGE, "long.txt": lines }), state: { s: "z".repeat(2_000_000) } }));
  const { appId } = await sendToEnd("Something long");
  assert.equal((await code(appId))["long.txt"], lines);
});

test("the agent server's secret and the user's settings for it are in no table and no log", async () => {
  for (const { name } of await sql("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '*_cf_*' AND name NOT GLOB 'sqlite_*'")) {
    const rows = JSON.stringify(await sql(`SELECT * FROM "${name}"`));
    assert.ok(!rows.includes(SECRET) && !rows.includes("dapi-secret") && !rows.includes("what-only-the-agent-knows"), name);
  }
  assert.ok(!JSON.stringify(hatch.harness.getLogs()).includes(SECRET));
});
