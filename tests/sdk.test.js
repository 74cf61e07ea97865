// Anthropic's own SDK reads our chat with Claude (the fake) and with the sandbox
// model.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { claudeVars, newProject } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startWorker } from "./support/harness.js";

const claude = await startAnthropic();
after(() => claude.close());
const hatch = await startWorker(claudeVars(claude));
const sandbox = await startWorker();

/** The SDK's stream of our response. Its request is replaced, except for the API version; its parser is its own. */
function ask(worker, projectId, message) {
  const body = JSON.stringify({ projectId, message });
  const ours = (_, { headers }) =>
    fetch(`${worker.url}/api/chat`, {
      method: "POST", headers: { "content-type": "application/json", "anthropic-version": new Headers(headers).get("anthropic-version") }, body,
    });
  const client = new Anthropic({ apiKey: "unused", fetch: ours });
  return client.messages.stream({ model: "unused", max_tokens: 1, messages: [{ role: "user", content: message }] });
}

test("the SDK reads our stream of Claude's events to the end and gets Claude's final message", async () => {
  claude.setAnswer("Grüße 👋 from Claude.");
  const message = await ask(hatch, await newProject(hatch), "Hi").finalMessage();
  assert.equal(message.content.at(-1).text, "Grüße 👋 from Claude.");
  assert.deepEqual([message.stop_reason, message.model], ["end_turn", "claude-sonnet-5-5"]);
});

test("the SDK throws the error that ended the stream", async () => {
  claude.setAnswer("One. Two. Three. Four. Five. Six.");
  claude.setFault({ errorEventAfter: 4, type: "overloaded_error" });
  await assert.rejects(ask(hatch, await newProject(hatch), "Hi").finalMessage(), /overloaded_error/);
});

test("three prompts get three apps of the sandbox model, which names itself", async () => {
  const apps = new Set();
  for (const prompt of ["a pomodoro timer", "a quiz about capitals", "an expense tracker for a trip"]) {
    const id = await newProject(sandbox);
    const message = await ask(sandbox, id, prompt).finalMessage();
    assert.equal(message.model, "sandbox");
    const { code } = await (await sandbox.api("GET", `/api/projects/${id}`)).json();
    apps.add(JSON.parse(code)["index.html"].match(/<title>(.+)<\/title>/)[1]);
  }
  assert.equal(apps.size, 3, [...apps].join());
});
