// Turso in place of D1: a real sqld where possible, a socket of our own
// where the server must misbehave.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, describe, test } from "node:test";
import { migrate } from "../scripts/migrate.js";
import { until } from "./support/deployments.js";
import { problem, startMigratedSqld, startWorker } from "./support/harness.js";

const sqld = await startMigratedSqld();
const workers = [];
const on = async (url, token, vars = {}) => {
  const worker = await startWorker({ DATABASE_URL: url, DATABASE_AUTH_TOKEN: token, ...vars });
  workers.push(worker);
  return worker;
};
const worker = await on(sqld.url, sqld.token);

const created = async (fields = { name: "Pomodoro" }) => {
  const response = await worker.api("POST", "/api/projects", fields);
  assert.equal(response.status, 201);
  return response.json();
};

/** Checks that a response is a 503 with this code and without any token. Returns its detail. */
const unavailable = async (response, code) => {
  const told = await problem(response, 503, code);
  assert.doesNotMatch(JSON.stringify([told, [...response.headers]]), /eyJ/);
  return told.detail;
};

describe("a database on sqld", () => {
  test("keeps what was written and shows it again", async () => {
    const { id } = await created({ name: "Grüße 🐣", description: "a \"quoted\" 'text'\n" });
    const shown = await (await worker.api("GET", `/api/projects/${id}`)).json();
    assert.equal(shown.name, "Grüße 🐣");
    const [row] = await sqld.sql("SELECT description FROM projects WHERE id = ?1", id);
    assert.equal(row.description, "a \"quoted\" 'text'\n");
  });

  test("times in milliseconds are kept exactly, as integers", async () => {
    const { id, createdAt } = await created();
    const [row] = await sqld.sql("SELECT created_at, typeof(created_at) AS type FROM projects WHERE id = ?1", id);
    assert.deepEqual(row, { created_at: Date.parse(createdAt), type: "integer" });
  });

  test("integers that no JavaScript number holds come back exactly", async () => {
    const { id } = await created();
    const version = 2n ** 62n + 1n;
    await sqld.sql("UPDATE projects SET version = ?2 WHERE id = ?1", id, version);
    const text = await (await worker.api("GET", `/api/projects/${id}`)).text();
    assert.match(text, new RegExp(`"version":${version}\\b`));
    const code = JSON.stringify({ "index.html": "<p>one more</p>" });
    assert.equal((await worker.api("PATCH", `/api/projects/${id}`, { code })).status, 200);
    const [row] = await sqld.sql("SELECT version FROM projects WHERE id = ?1", id);
    assert.equal(row.version, version + 1n);
  });

  test("a batch that fails in its last statement has written nothing", async () => {
    const { id } = await created();
    await sqld.sql(`CREATE TRIGGER refuse BEFORE INSERT ON project_versions WHEN NEW.project_id = '${id}'
      BEGIN SELECT raise(ABORT, 'refused'); END`);
    const code = JSON.stringify({ "index.html": "<p>lost?</p>" });
    const response = await worker.api("PATCH", `/api/projects/${id}`, { code });
    assert.equal(response.status, 500);
    await sqld.sql("DROP TRIGGER refuse");
    const [row] = await sqld.sql("SELECT code, version, revision FROM projects WHERE id = ?1", id);
    assert.deepEqual(row, { code: null, version: 0, revision: 1 });
    // And the transaction is not left open: the next one writes.
    assert.equal((await worker.api("PATCH", `/api/projects/${id}`, { code })).status, 200);
  });

  test("deleting a project deletes what refers to it", async () => {
    const { id } = await created();
    const code = JSON.stringify({ "index.html": "<p>hello</p>" });
    assert.equal((await worker.api("PATCH", `/api/projects/${id}`, { code })).status, 200);
    assert.equal((await worker.api("DELETE", `/api/projects/${id}`)).status, 204);
    const [row] = await sqld.sql("SELECT count(*) AS left_over FROM project_versions WHERE project_id = ?1", id);
    assert.equal(row.left_over, 0);
  });

  test("fifty writers at once count to fifty", async () => {
    const { id } = await created();
    const write = (n) =>
      worker.api("PATCH", `/api/projects/${id}`, { code: JSON.stringify({ "index.html": `<p>${n}</p>` }) });
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => write(n)));
    assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200]));
    const [row] = await sqld.sql(
      `SELECT version, (SELECT count(*) FROM project_versions WHERE project_id = id) AS versions
       FROM projects WHERE id = ?1`,
      id,
    );
    assert.deepEqual(row, { version: 50, versions: 50 });
  });

  test("fifty steady callers are all served, and everything that they wrote is there", async () => {
    const callers = Array.from({ length: 50 }, async (_, n) => {
      for (const version of [1, 2, 3]) {
        const { id } = await created({ name: `caller ${n}` });
        const code = JSON.stringify({ "index.html": `<p>${version}</p>` });
        assert.equal((await worker.api("PATCH", `/api/projects/${id}`, { code })).status, 200);
      }
    });
    await Promise.all(callers);
    const [row] = await sqld.sql(`SELECT count(*) AS projects, sum(version) AS versions, sum(revision) AS revisions
      FROM projects WHERE name GLOB 'caller *'`);
    assert.deepEqual(row, { projects: 150, versions: 150, revisions: 300 });
  });

  test("killed in the middle of a batch it has kept nothing of it, and serves the next one", async () => {
    const { id } = await created();
    const code = JSON.stringify({ "index.html": "<p>lost?</p>" });
    // The batch's last statement writes more than memory holds, so that half
    // of the batch lies on the disk, and for longer than the batch may live.
    await sqld.sql("CREATE TABLE ballast (a)");
    await sqld.sql(`CREATE TRIGGER endless AFTER INSERT ON project_versions BEGIN
      INSERT INTO ballast WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
      SELECT zeroblob(10000) FROM n; END`);
    const { size } = await stat(sqld.wal);
    const answer = worker.api("PATCH", `/api/projects/${id}`, { code });
    await until(async () => (await stat(sqld.wal)).size > size + 20_000_000, "half a batch on the disk");
    await sqld.stop();
    try {
      const detail = await unavailable(await answer, "unavailable");
      assert.match(detail, /completely or not at all/);
    } finally {
      await sqld.start();
    }
    const [row] = await sqld.sql(
      `SELECT code, version, revision, (SELECT count(*) FROM project_versions WHERE project_id = id) AS versions,
              (SELECT count(*) FROM ballast) AS ballast FROM projects WHERE id = ?1`,
      id,
    );
    assert.deepEqual(row, { code: null, version: 0, revision: 1, versions: 0, ballast: 0 });
    await sqld.sql("DROP TRIGGER endless");
    assert.equal((await worker.api("PATCH", `/api/projects/${id}`, { code })).status, 200);
  });

  test("a server that was away is used again when it is back, with all it had", async () => {
    const { id } = await created();
    await sqld.stop();
    try {
      await unavailable(await worker.api("GET", `/api/projects/${id}`), "unavailable");
    } finally {
      await sqld.start();
    }
    assert.equal((await worker.api("GET", `/api/projects/${id}`)).status, 200);
  });

  test("a server that was restarted between two requests is not noticed", async () => {
    const { id } = await created();
    await sqld.stop();
    await sqld.start();
    assert.equal((await worker.api("PATCH", `/api/projects/${id}`, { name: "After" })).status, 200);
  });
});

describe("errors of the database say what to do", () => {
  test("a token that the server does not know", async () => {
    const wrong = await on(sqld.url, "eyJhbGciOiJFZERTQSJ9.e30.AAAA");
    const detail = await unavailable(await wrong.api("GET", "/api/projects"), "not_configured");
    assert.match(detail, /does not accept DATABASE_AUTH_TOKEN/);
  });

  test("a token that has expired", async () => {
    const expired = await on(sqld.url, sqld.tokenOf({ a: "rw", exp: 1 }));
    const detail = await unavailable(await expired.api("GET", "/api/projects"), "not_configured");
    assert.match(detail, /DATABASE_AUTH_TOKEN has expired/);
  });

  test("no token", async () => {
    const none = await on(sqld.url, "");
    await unavailable(await none.api("GET", "/api/projects"), "not_configured");
  });

  test("a token that may only read reads, and its first write is refused", async () => {
    const reader = await on(sqld.url, sqld.tokenOf({ a: "ro" }));
    assert.equal((await reader.api("GET", "/api/projects")).status, 200);
    const detail = await unavailable(await reader.api("POST", "/api/projects", { name: "X" }), "not_configured");
    assert.match(detail, /DATABASE_AUTH_TOKEN may only read/);
  });

  test("an invalid URL", async () => {
    const wrong = await on("hatch.turso.io", "");
    const detail = await unavailable(await wrong.api("GET", "/api/projects"), "not_configured");
    assert.match(detail, /DATABASE_URL must be libsql:/);
  });

  for (const [name, answer] of [
    ["a server that is something else", (_, response) => response.writeHead(404).end("nothing here")],
    ["a server that shows a page", (_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>")],
  ]) {
    test(name, async () => {
      const other = await on(await serve(answer), sqld.token);
      const detail = await unavailable(await other.api("GET", "/api/projects"), "not_configured");
      assert.match(detail, /no libSQL database at DATABASE_URL/);
    });
  }

  for (const [name, answer] of [
    ["a server that never answers", () => {}],
    ["a server that stops in the middle of its answer", (_, response) => response.writeHead(200).write('{"results":[')],
    ["a server that breaks the connection", (request) => request.socket.destroy()],
    ["a server that is overloaded", (_, response) => response.writeHead(503).end("busy")],
  ]) {
    test(name, async () => {
      const broken = await on(await serve(answer), sqld.token, { DATABASE_TIMEOUT_MS: "200" });
      const response = await broken.api("POST", "/api/projects", { name: "X" });
      assert.equal(response.headers.get("retry-after"), "1");
      await unavailable(response, "unavailable");
    });
  }
});

describe("between the Worker and the server", () => {
  const busy = JSON.stringify({
    results: [{ type: "ok", response: { type: "batch", result: {
      step_results: [null, null], step_errors: [{ message: "database is locked", code: "SQLITE_BUSY" }, null],
    } } }],
  });

  test("a database that is busy is asked again, and the change is made once", async () => {
    let asked = 0;
    const url = await serve(async (request, response) => {
      asked += 1;
      response.end(asked <= 3 ? busy : await forwarded(request));
    });
    const patient = await on(url, sqld.token);
    assert.equal((await patient.api("POST", "/api/projects", { name: "busy thrice" })).status, 201);
    assert.equal(asked, 4);
    assert.equal(await named("busy thrice"), 1);
  });

  test("of twenty changes at once no more than four reach the server together, and all are made", async () => {
    let [now, most] = [0, 0];
    const url = await serve(async (request, response) => {
      now += 1;
      most = Math.max(most, now);
      const answer = await forwarded(request);
      now -= 1;
      response.end(answer);
    });
    const orderly = await on(url, sqld.token);
    const changes = Array.from({ length: 20 }, () => orderly.api("POST", "/api/projects", { name: "in turn" }));
    for (const { status } of await Promise.all(changes)) assert.equal(status, 201);
    assert.ok(most > 1 && most <= 4, `${most} at once`);
    assert.equal(await named("in turn"), 20);
  });

  test("a database that stays busy is reported as such", async () => {
    const patient = await on(await serve((_, response) => response.end(busy)), sqld.token, { DATABASE_TIMEOUT_MS: "200" });
    await unavailable(await patient.api("POST", "/api/projects", { name: "X" }), "unavailable");
  });

  test("a change whose response is lost is made once, and the error says that it may have been made", async () => {
    let asked = 0;
    const url = await serve(async (request) => {
      asked += 1;
      await forwarded(request);
      request.socket.destroy();
    });
    const cut = await on(url, sqld.token);
    const detail = await unavailable(await cut.api("POST", "/api/projects", { name: "answer lost" }), "unavailable");
    assert.match(detail, /completely or not at all: check, then try again/);
    assert.equal(asked, 1);
    assert.equal(await named("answer lost"), 1);
  });

  test("a change whose response is lost is found by its Idempotency-Key, and not made again", async () => {
    let isLost = false;
    const url = await serve(async (request, response) => {
      const answer = await forwarded(request);
      // Only the project's own response has its name.
      if (isLost || !answer.includes("keyed")) return response.end(answer);
      isLost = true;
      request.socket.destroy();
    });
    const cut = await on(url, sqld.token);
    const ask = () => cut.api("POST", "/api/projects", { name: "keyed" }, { "idempotency-key": "of a lost answer" });
    await unavailable(await ask(), "unavailable");
    const found = await ask();
    assert.deepEqual([found.status, found.headers.get("idempotency-replayed")], [201, "true"]);
    assert.equal(await named("keyed"), 1);
  });

  test("a change that was lost on its way is not made", async () => {
    const cut = await on(await serve((request) => request.socket.destroy()), sqld.token);
    await unavailable(await cut.api("POST", "/api/projects", { name: "request lost" }), "unavailable");
    assert.equal(await named("request lost"), 0);
  });

  const named = async (name) => (await sqld.sql("SELECT count(*) AS n FROM projects WHERE name = ?1", name))[0].n;

  /** What sqld answers to the request. */
  const forwarded = async (request) => {
    const { authorization } = request.headers;
    const headers = { authorization, "content-type": "application/json" };
    return (await fetch(sqld.url + request.url, { method: "POST", headers, body: await text(request) })).text();
  };
});

test("no token was ever logged", () => {
  const logs = JSON.stringify(workers.map((worker) => worker.harness.getLogs()));
  assert.ok(logs.includes("Turso: no answer within 200 ms"));
  assert.ok(!logs.includes("eyJ"));
});

describe("a migration", () => {
  test("is applied once", async () => {
    assert.deepEqual(await migrate(sqld), []);
    const rows = await sqld.sql("SELECT name FROM d1_migrations ORDER BY id");
    assert.equal(rows[0].name, "0001_hatch.sql");
  });

  test("that fails half-way changes nothing, and those before it stay", async () => {
    const folder = await mkdtemp(join(tmpdir(), "hatch-migrations-"));
    after(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, "9001_good.sql"), "CREATE TABLE good (a); -- a comment; with a semicolon");
    await writeFile(join(folder, "9002_bad.sql"), "CREATE TABLE half (a);\nINSERT INTO nowhere VALUES (1);\n");
    await assert.rejects(migrate(sqld, folder), /9002_bad.sql changed nothing: .*no such table: nowhere/);
    const tables = await sqld.sql("SELECT name FROM sqlite_schema WHERE name IN ('good', 'half')");
    assert.deepEqual(tables, [{ name: "good" }]);
    await writeFile(join(folder, "9002_bad.sql"), "CREATE TABLE half (a)");
    assert.deepEqual(await migrate(sqld, folder), ["9002_bad.sql"]);
  });

  test("says what is wrong with the server and never shows the token", async () => {
    const reader = sqld.tokenOf({ a: "ro" });
    await assert.rejects(migrate({ url: sqld.url, token: reader }), /DATABASE_AUTH_TOKEN may only read/);
    await assert.rejects(migrate({ url: sqld.url }), /does not accept DATABASE_AUTH_TOKEN/);
    await assert.rejects(migrate({ url: "http://127.0.0.1:9", token: reader }), (error) => {
      assert.match(error.message, /no answer from DATABASE_URL/);
      return !error.message.includes(reader);
    });
  });
});

/** Serves every request with `answer`. */
async function serve(answer) {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}
