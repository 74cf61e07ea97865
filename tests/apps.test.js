// The agent's routes: messages and their events, apps, history, limits. The
// agent's tools are in agent.test.js.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { PAGE, agents, builds, call, eventsOf, kinds, notices, scripted, text, texts, readEvents } from "./support/agents.js";
import { claudeVars } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { problem, rowCounts, startWorker } from "./support/harness.js";
import { as, people } from "./support/people.js";

const claude = await startAnthropic();
after(() => claude.close());
const ADMIN = "admin-token-of-the-tests-0123456789";
const hatch = await startWorker({ ...claudeVars(claude), ADMIN_TOKEN: ADMIN, DAILY_MESSAGE_LIMIT: "1000", HOSTING_DOMAIN: "localhost" });
const { api, sql } = hatch;
const { send, sendToEnd, show, history, code } = agents(hatch);
const { signIn } = people(hatch);
const operator = { authorization: `Bearer ${ADMIN}` };

beforeEach(() => {
  claude.reset();
  claude.setAnswer(builds());
});

/** A user of their own, as headers and as helpers. */
async function somebody() {
  const headers = as((await signIn()).token);
  return { headers, id: (await (await api("GET", "/auth/me", undefined, headers)).json()).id, ...agents(hatch, headers) };
}

test("a message becomes a live app, with events in the bytes that the original's clients read", async () => {
  const { events, appId, traceId, response } = await sendToEnd("A pomodoro timer", { clientSource: "web", applicationId: null });
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  assert.match(traceId, new RegExp(`^app-${appId}\\.req-[0-9a-f-]{36}$`));
  assert.deepEqual(kinds(events).at(-3), "ReviewResult");
  assert.deepEqual(notices(events), ["deployment_in_progress", "deployment_complete"]);
  assert.deepEqual(events.at(-1).data, { done: true, traceId, appId });
  for (const { event, data } of events.slice(0, -1)) {
    assert.equal(data.traceId, traceId);
    assert.equal(data.appId, appId);
    assert.ok(!("createdAt" in data.message), "no createdAt inside messages");
    assert.ok(!Object.values(data).includes(null), "what is absent is left out");
    if (event === "message") assert.ok(["running", "idle"].includes(data.status));
  }
  assert.equal(events.at(-2).data.status, "idle", "the last message of a turn is idle");
  const review = events.find(({ data }) => data.message?.kind === "ReviewResult").data;
  assert.equal(review.message.app_name, "pomodoro-timer");
  assert.equal(review.message.commit_message, "feat: a timer");
  assert.equal(new Set(events.map(({ id }) => id)).size, events.length);

  assert.deepEqual(await code(appId), { "index.html": PAGE });
  const app = await show(appId);
  assert.deepEqual([app.name, app.deployStatus, app.recompileInProgress, app.traceId, app.clientSource], ["pomodoro-timer", "deployed", false, traceId, "web"]);
  const live = events.find(({ data }) => data.metadata?.type === "deployment_complete").data;
  assert.ok(live.message.messages[0].content.includes(app.appUrl), "the address is in the text too");
  const page = await hatch.worker.fetch(app.appUrl);
  assert.equal(await page.text(), PAGE);
  const status = await (await api("GET", `/deployment-status/${live.metadata.deploymentId}`)).json();
  assert.deepEqual(status, { message: "The application is live", isDeployed: true, type: "HEALTHY" });
  assert.equal((await (await api("GET", `/deployment-status/${appId}`)).json()).type, "HEALTHY");
});

test("the history has the user's messages and all events, oldest first", async () => {
  const { appId, events } = await sendToEnd("A timer");
  const messages = await history(appId);
  assert.deepEqual([messages[0].kind, messages[0].messageKind, messages[0].prompt], ["user", "UserMessage", "A timer"]);
  assert.deepEqual(messages.slice(1).map(({ prompt }) => prompt), texts(events));
  assert.deepEqual(messages.slice(1).map(({ id }) => id), events.filter(({ event }) => event === "message").map(({ id }) => id));
  assert.equal(messages.at(-1).metadata.type, "deployment_complete");
  claude.setAnswer(builds());
  await sendToEnd("Make it green", { applicationId: appId });
  const all = await history(appId);
  assert.deepEqual(all.filter(({ kind }) => kind === "user").map(({ prompt }) => prompt), ["A timer", "Make it green"]);
  const asked = JSON.stringify(claude.requests.at(-1).body.messages);
  assert.ok(asked.indexOf("A timer") > -1 && asked.indexOf("A timer") < asked.indexOf("Make it green"), "oldest first");
});

test("a question ends the turn, and the answer goes on with the same app", async () => {
  claude.setAnswer(scripted([call("ask_user", { question: "For how many minutes?" })]));
  const first = await sendToEnd("A timer");
  assert.deepEqual(kinds(first.events), ["RefinementRequest"]);
  assert.equal(first.events.find(({ event }) => event === "message").data.status, "idle");
  assert.deepEqual(texts(first.events), ["For how many minutes?"]);
  claude.setAnswer(builds());
  const second = await sendToEnd("25", { traceId: first.traceId, applicationId: first.appId });
  assert.equal(second.appId, first.appId);
  assert.match(JSON.stringify(claude.requests[1].body.messages), /For how many minutes/);
  const byTrace = await sendToEnd("And a sound", { traceId: first.traceId });
  assert.equal(byTrace.appId, first.appId, "the trace alone names the app");
});

test("a client that reconnects gets the missed events once and in order, by header and by parameter", async () => {
  const { appId, events } = await sendToEnd("A timer");
  const rest = async (after, headers) => eventsOf(await (await api("GET", `/apps/${appId}/events${after}`, undefined, headers)).text());
  for (const n of [0, 2, events.length - 1]) {
    assert.deepEqual(await rest("", { "last-event-id": events[n].id }), events.slice(n + 1));
    assert.deepEqual(await rest(`?after=${events[n].id}`), events.slice(n + 1));
  }
  for (const unknown of ["abc", "999", `${appId.slice(0, 8)}-999`, "00000000-2", ""]) {
    assert.deepEqual(await rest(`?after=${encodeURIComponent(unknown)}`), events, `${unknown}: all from the start`);
  }
});

test("a client that leaves stops nothing, and one that reconnects during the turn gets it live", async () => {
  claude.setFault({ hang: true });
  const asked = claude.nextRequest();
  const left = new AbortController();
  const response = await fetch(new URL("/message", hatch.url), {
    method: "POST", body: JSON.stringify({ message: "A timer to leave" }), headers: { "content-type": "application/json" }, signal: left.signal,
  });
  await asked;
  left.abort();
  await response.text().catch(() => {});
  const [{ id }] = await sql("SELECT app_id AS id FROM app_turns WHERE message = 'A timer to leave'");
  const following = api("GET", `/apps/${id}/events`);
  claude.release();
  const events = await readEvents(await following);
  assert.equal(events.at(-1).event, "done");
  assert.deepEqual(notices(events), ["deployment_in_progress", "deployment_complete"]);
});

test("a client that is cut at every event and comes back each time has each event once, in order", async () => {
  const response = await send("A timer to be cut");
  const got = [await firstOf(response)];
  const { appId } = got[0].data;
  for (let times = 0; times < 50 && got.at(-1).event !== "done"; times += 1) {
    got.push(await firstOf(await api("GET", `/apps/${appId}/events`, undefined, { "last-event-id": got.at(-1).id })));
  }
  const all = eventsOf(await (await api("GET", `/apps/${appId}/events`)).text());
  assert.deepEqual(got, all);
  assert.ok(got.length > 3);
});

test("two who follow an app, from different events on, each have the rest once and in order while it is made", async () => {
  const first = await sendToEnd("A timer in two tabs");
  const { appId } = first;
  claude.setAnswer(builds());
  claude.setFault({ hang: true });
  const asked = claude.nextRequest();
  const running = send("Make it green in two tabs", { applicationId: appId });
  await asked;
  const tabs = [first.events.at(-1).id, first.events[1].id].map((id) => api("GET", `/apps/${appId}/events`, undefined, { "last-event-id": id }));
  const open = await Promise.all(tabs);
  claude.release();
  const [sender, one, other] = await Promise.all([running, ...open].map(async (response) => readEvents(await response)));
  assert.ok(sender.length > 3);
  assert.deepEqual(one, sender);
  assert.deepEqual(other, [...first.events, ...sender].slice(2));
});

/** The first event of a stream, which it then cuts. */
async function firstOf(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  for (let text = ""; ; ) {
    const { value, done } = await reader.read();
    assert.ok(!done, `no event: ${text}`);
    text += decoder.decode(value, { stream: true });
    const blocks = text.split("\n\n").slice(0, -1);
    if (!blocks.some((block) => block.startsWith("event:"))) continue;
    await reader.cancel();
    return eventsOf(`${blocks.join("\n\n")}\n\n`)[0];
  }
}

test("a second message during a turn is 409 with the trace id, and stopping the turn keeps its work", async () => {
  const { appId } = await sendToEnd("A timer");
  let second;
  claude.setAnswer(scripted(() => {
    claude.setFault({ hang: true });
    second = claude.nextRequest();
    return [call("write_file", { path: "extra.txt", content: "kept" })];
  }, [text("…")]));
  const first = claude.nextRequest();
  const running = await send("Make it red", { applicationId: appId });
  await first;
  await second;
  const busy = await send("Make it blue", { applicationId: appId });
  const body = await problem(busy, 409, "app_busy");
  const [turn] = await sql("SELECT trace_id, job_id FROM app_turns WHERE app_id = ? AND status = 'running'", appId);
  assert.equal(body.traceId, turn.trace_id);
  assert.equal(body.message, body.error);
  const stopped = await (await api("POST", `/apps/${appId}/stop`)).json();
  assert.deepEqual(stopped, { message: "Stopped", appId, traceId: turn.trace_id });
  claude.release();
  const events = await readEvents(running);
  assert.equal(events.at(-1).event, "done");
  assert.match(texts(events).at(-1), /^Stopped/);
  assert.deepEqual(await code(appId), { "index.html": PAGE, "extra.txt": "kept" });
  assert.deepEqual((await sql("SELECT state FROM jobs WHERE id = ?", turn.job_id))[0], { state: "failed" });
  assert.equal((await (await api("POST", `/apps/${appId}/stop`)).json()).traceId, null, "there is nothing to stop");
});

test("the same message during its turn is that turn, streamed from the beginning and counted once", async () => {
  const ada = await somebody();
  claude.setFault({ hang: true });
  const asked = claude.nextRequest();
  const first = await ada.send("A timer for Ada");
  await asked;
  await sql("UPDATE app_turns SET created_at = created_at - 2000 WHERE user_id = ?", ada.id);
  const again = await ada.send("A timer for Ada");
  claude.release();
  const [one, two] = [await readEvents(first), await readEvents(again)];
  assert.deepEqual(one, two);
  assert.equal(again.headers.get("x-dailylimit-usage"), "1");
  assert.equal((await sql("SELECT count(*) AS n FROM app_turns WHERE user_id = ?", ada.id))[0].n, 1);
  const missed = await readEvents(await ada.send("A timer for Ada", {}, { "last-event-id": one[2].id }));
  assert.deepEqual(missed, one.slice(3), "with Last-Event-ID only what was missed");
});

test("ten messages at once at a limit of ten admit exactly ten", async () => {
  const ada = await somebody();
  assert.equal((await api("PUT", `/admin/users/${ada.id}`, { dailyMessageLimit: 10 }, operator)).status, 200);
  claude.setAnswer(scripted([call("ask_user", { question: "Which?" })]));
  const responses = await Promise.all(Array.from({ length: 14 }, (_, n) => ada.send(`Message ${n}`)));
  const refused = responses.filter(({ status }) => status === 429);
  assert.equal(responses.filter(({ status }) => status === 200).length, 10);
  assert.equal(refused.length, 4);
  const body = await problem(refused[0], 429, "daily_message_limit_reached");
  assert.match(body.message, /You have sent your 10 messages of today/);
  assert.deepEqual(["limit", "remaining", "usage"].map((name) => refused[0].headers.get(`x-dailylimit-${name}`)), ["10", "0", "10"]);
  await Promise.all(responses.filter(({ status }) => status === 200).map((response) => response.text()));
  const limit = await api("GET", "/message-limit", undefined, ada.headers);
  const shown = await limit.json();
  assert.deepEqual({ ...shown, nextResetTime: "" }, { isUserLimitReached: true, dailyMessageLimit: 10, remainingMessages: 0, currentUsage: 10, nextResetTime: "" });
  assert.equal(limit.headers.get("x-dailylimit-reset"), shown.nextResetTime);
  assert.equal(new Date(shown.nextResetTime).getTime() % 86_400_000, 0);
});

test("a turn without any answer is not counted", async () => {
  const ada = await somebody();
  claude.setFault({ status: 400 });
  const { events } = await ada.sendToEnd("A timer");
  assert.match(texts(events).at(-1), /The model refused the request/);
  assert.equal((await (await api("GET", "/message-limit", undefined, ada.headers)).json()).currentUsage, 0);
});

test("a wrong request gets a clear error and changes nothing", async () => {
  const before = await rowCounts(hatch);
  for (const id of ["1", "not-a-uuid", "1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d3"]) {
    for (const path of [`/apps/${id}`, `/apps/${id}/history`, `/apps/${id}/events`, `/deployment-status/${id}`]) {
      assert.equal((await problem(await api("GET", path), 400, "invalid_app_id")).error, "Invalid app ID");
    }
  }
  const nobodys = "1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36";
  const missing = await api("POST", "/message", { message: "x", applicationId: nobodys });
  const body = await missing.json();
  assert.deepEqual([missing.status, body.error, body.status, body.message], [404, "Application not found", "error", "Application not found"]);
  assert.equal((await api("GET", `/apps/${nobodys}/history`)).status, 404);
  assert.equal((await problem(await api("GET", "/apps?limit=101"), 400)).error, "Limit cannot exceed 100");
  for (const wrong of [{}, { message: " " }, { message: "x", applicationId: "1" }, { message: "x", settings: { deployTarget: "moon" } }, { message: "x".repeat(32_001) }]) {
    await problem(await api("POST", "/message", wrong), 400, "validation_failed");
  }
  await problem(await api("PUT", `/admin/users/${nobodys}`, { dailyMessageLimit: 1001 }, operator), 400, "validation_failed");
  await problem(await api("PUT", `/admin/users/${nobodys}`, { dailyMessageLimit: 5 }, operator), 404, "not_found");
  assert.deepEqual(await rowCounts(hatch), before);
});

test("no user sees, follows, changes, stops or deletes another user's app", async () => {
  const [ada, eve] = [await somebody(), await somebody()];
  const { appId, events } = await ada.sendToEnd("A timer");
  for (const [method, path] of [["GET", ""], ["GET", "/history"], ["GET", "/events"], ["GET", "/read-url"], ["GET", "/read-url?write=true"], ["POST", "/pull"], ["POST", "/stop"], ["DELETE", ""]]) {
    const response = await api(method, `/apps/${appId}${path}`, undefined, eve.headers);
    assert.equal(response.status, 404, `${method} ${path}`);
  }
  const deployment = events.find(({ data }) => data.metadata?.deploymentId).data.metadata.deploymentId;
  assert.equal((await api("GET", `/deployment-status/${deployment}`, undefined, eve.headers)).status, 404);
  assert.equal((await eve.send("x", { applicationId: appId })).status, 404);
  assert.deepEqual((await (await api("GET", "/apps", undefined, eve.headers)).json()).data, []);
  assert.equal((await ada.show(appId)).id, appId);
});

test("apps are listed in pages, and one beyond the last is empty", async () => {
  const ada = await somebody();
  claude.setAnswer(scripted([call("ask_user", { question: "Which?" })]));
  const made = [];
  for (const n of [1, 2, 3]) made.unshift((await ada.sendToEnd(`App ${n}`)).appId);
  const page = async (query) => (await api("GET", `/apps${query}`, undefined, ada.headers)).json();
  const first = await page("?limit=2");
  assert.deepEqual(first.data.map(({ id }) => id), made.slice(0, 2));
  assert.deepEqual(first.pagination, { total: 3, page: 1, limit: 2, totalPages: 2 });
  assert.deepEqual((await page("?limit=2&page=2")).data.map(({ id }) => id), made.slice(2));
  assert.deepEqual((await page("?page=9")).data, []);
});

test("a deleted app is gone with its project, its site and its conversation", async () => {
  const { appId } = await sendToEnd("A timer");
  const { appUrl } = await show(appId);
  assert.deepEqual(await (await api("DELETE", `/apps/${appId}`)).json(), { message: "App deleted", appId });
  assert.equal((await api("GET", `/apps/${appId}`)).status, 404);
  assert.equal((await api("GET", `/api/projects/${appId}`)).status, 404);
  assert.equal((await hatch.worker.fetch(appUrl)).status, 404);
  for (const table of ["app_turns", "app_events"]) {
    assert.equal((await sql(`SELECT count(*) AS n FROM ${table} WHERE app_id = ?`, appId))[0].n, 0, table);
  }
});

test("an account takes its apps along, and leaves nothing when it is deleted", async () => {
  const ada = await somebody();
  const { appId } = await ada.sendToEnd("A timer of Ada's");
  const document = await (await api("GET", "/auth/export", undefined, ada.headers)).json();
  assert.deepEqual(document.apps.map(({ id }) => id), [appId]);
  assert.equal(document.appMessages[0].message, "A timer of Ada's");
  assert.ok(document.appMessages[0].answers.length > 2);
  assert.equal((await api("DELETE", `/auth/me?confirm=${ada.id}`, undefined, ada.headers)).status, 204);
  for (const table of ["apps", "app_turns"]) assert.equal((await sql(`SELECT count(*) AS n FROM ${table} WHERE user_id = ?`, ada.id))[0].n, 0);
});

test("only staff gets debug events, and a caller can ask whether they are staff", async () => {
  const ada = await somebody();
  const { events } = await ada.sendToEnd("A timer");
  assert.ok(!events.some(({ event }) => event === "debug"));
  assert.deepEqual(await (await api("GET", "/auth/is-neon-employee", undefined, ada.headers)).json(), { isNeonEmployee: false });
  assert.deepEqual(await (await api("GET", "/auth/is-privileged-user")).json(), { isPrivilegedUser: true });
  assert.ok((await sendToEnd("A timer for staff")).events.some(({ event }) => event === "debug"));
  assert.equal((await api("POST", "/analytics/event", { eventType: "track", eventName: "apps_listed" }, ada.headers)).status, 200);
});

test("at the daily limit of new apps no more are begun, and existing ones can still be changed", async () => {
  const ada = await somebody();
  claude.setAnswer(scripted([call("ask_user", { question: "Which?" })]));
  const { appId } = await ada.sendToEnd("The first");
  await sql("UPDATE daily_counters SET used = 50 WHERE user_id = '' AND name = 'apps-day'");
  const refused = await ada.send("One too many");
  const body = await problem(refused, 429, "daily_apps_limit_reached");
  assert.ok(body.message);
  assert.equal(refused.headers.get("x-daily-apps-limit"), "50");
  assert.equal((await (await api("GET", "/message-limit", undefined, ada.headers)).json()).currentUsage, 1, "what was refused is not counted");
  await ada.sendToEnd("Another question", { applicationId: appId });
  await sql("UPDATE daily_counters SET used = 0 WHERE user_id = '' AND name = 'apps-day'");
});

test("the operator's monitoring reads how many turns there were, and what they cost", async () => {
  await sendToEnd("A timer that is counted");
  const text = await (await api("GET", "/metrics", undefined, operator)).text();
  const figure = (name, labels) => Number(text.match(new RegExp(`^${name}\\{${labels}\\} (\\d+)$`, "m"))?.[1]);
  const [{ n, cost }] = await sql("SELECT count(*) AS n, (SELECT sum(cost_micro_usd) FROM app_turns WHERE model = 'anthropic/claude-sonnet-5-5') AS cost FROM app_turns WHERE status = 'done'");
  assert.equal(figure("hatch_agent_turns", 'status="done"'), n, text);
  assert.ok(cost > 0);
  assert.equal(figure("hatch_agent_cost_micro_usd", 'model="anthropic/claude-sonnet-5-5"'), cost, text);
});

test("an event's id means the same after a restart", async () => {
  const { appId, events } = await sendToEnd("A timer that outlives the Worker");
  await hatch.harness.restart();
  const rest = await (await api("GET", `/apps/${appId}/events?after=${events[1].id}`)).text();
  assert.deepEqual(eventsOf(rest), events.slice(2));
});
