// The Worker after a panic. Development builds crash if a request id demands it
// (src/platform/entry.rs).

import assert from "node:assert/strict";
import test from "node:test";
import { startWorker } from "./support/harness.js";

const { api, url, harness, worker } = await startWorker();

async function panic() {
  const response = await fetch(url, { headers: { "x-request-id": "panic-in-this-request" } });
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /panic|wasm|\.rs\b/);
}

test("After a panic the next requests are served as before", async () => {
  const { id } = await (await api("POST", "/api/projects", { name: "Before" })).json();
  for (const name of ["One", "Two", "Three"]) {
    await panic();
    assert.equal((await api("GET", "/")).status, 200);
    assert.equal((await api("GET", `/api/projects/${id}`)).status, 200);
    assert.equal((await api("POST", "/api/projects", { name })).status, 201);
  }
  assert.deepEqual((await (await api("GET", "/api/projects")).json()).map(({ name }) => name), ["Three", "Two", "One", "Before"]);
  assert.ok(harness.getLogs().some(({ message }) => message.includes("asked to panic")));
});

test("After a panic the cron and streams work too", async () => {
  await panic();
  assert.equal((await worker.scheduled({ cron: "* * * * *" })).outcome, "ok");
  await panic();
  const { id } = await (await api("POST", "/api/projects", { name: "Talked about" })).json();
  const stream = await (await api("POST", "/api/chat", { projectId: id, message: "A clock" })).text();
  assert.match(stream, /"done":true/);
});

test("After a crash that no request's handler sees, the next requests are served by a new instance", async () => {
  const restarts = () => harness.getLogs().filter(({ message }) => message.includes("Reinitializing")).length;
  for (const id of ["panic-in-a-later-poll", "overflow-in-a-later-poll", "panic-in-a-later-poll"]) {
    const before = restarts();
    const { status } = await fetch(`${url}/api/projects`, { headers: { "x-request-id": id } });
    assert.ok([200, 500].includes(status), `${id}: ${status}`);
    assert.equal((await api("GET", "/api/projects")).status, 200, id);
    assert.equal((await api("POST", "/api/projects", { name: "After" })).status, 201, id);
    assert.equal(restarts(), before + 1, id);
  }
});
