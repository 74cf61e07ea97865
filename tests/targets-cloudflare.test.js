// The target `cloudflare`, against the strict fake of its API: deployments with
// the right credentials, done once despite failures, rollbacks and take-downs.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test, { after } from "node:test";
import { deployments, until } from "./support/deployments.js";
import { startCloudflare } from "./fakes/cloudflare.js";
import { startStackAuth } from "./fakes/stack-auth.js";
import { problem, startWorker } from "./support/harness.js";
import { as, newWallet, people, production } from "./support/people.js";

const [cloudflare, stack] = await Promise.all([startCloudflare(), startStackAuth()]);
after(() => Promise.all([cloudflare.close(), stack.close()]));
const hatch = await startWorker({
  ...production(stack), CLOUDFLARE_BASE_URL: cloudflare.apiUrl, CLOUDFLARE_APP_URL: cloudflare.appUrlTemplate,
  SEALING_KEY: "c1".repeat(32),
});
const { sql } = hatch;
const { signIn, findNoSecret, secret, ok } = people(hatch, stack);

const page = (text) => ({ "index.html": `<!doctype html><p>${text}`, "a/b.js": `"${text}"`, "style.css": "p{}", "data.json": "{}" });

/** A user with an account at Cloudflare, who deploys with headers. */
async function person(account = cloudflare.account()) {
  const session = await signIn();
  secret(account.token);
  const own = { "x-cloudflare-api-token": account.token, "x-cloudflare-account-id": account.id };
  const api = (method, path, body, headers = own) => hatch.api(method, path, body, { ...as(session.token), ...headers });
  const help = deployments({ ...hatch, api });
  const made = async (code, name) => ({ ...(await help.project(code, name)), userId: session.userId });
  return {
    ...help, ...session, account, own, api, project: made,
    /** Deploys to Cloudflare, and waits for its end. */
    live: async (id, body, headers) => {
      const begun = await api("POST", "/api/deploy", { projectId: id, target: "cloudflare", ...body }, headers);
      assert.equal(begun.status, 202, await begun.clone().text());
      return help.ended((await begun.json()).deploymentId);
    },
    begin: (id, headers) => api("POST", "/api/deploy", { projectId: id, target: "cloudflare" }, headers),
  };
}

const nameOf = (deployment) => new URL(deployment.url).pathname.match(/^\/live\/([^.]+)\./)[1];
const visit = async (url, path = "/") => (await fetch(url + path)).text();
const callsOf = (account) => cloudflare.requests.filter(({ path }) => path.includes(account.id));
const writes = (account) => callsOf(account).filter(({ method }) => method !== "GET").map(({ method, path, status }) => `${method} ${path.split("/").slice(5).join("/")} ${status}`);
const jobOf = async (deploymentId) => (await sql("SELECT * FROM jobs WHERE subject_id = ? AND kind = 'deploy'", deploymentId))[0];
const rowOf = async (id) => (await sql("SELECT * FROM deployments WHERE id = ?", id))[0];
const appsOf = (projectId) => sql("SELECT * FROM cloud_apps WHERE project_id = ?", projectId);
/** Waits until the consumer has acknowledged every earlier message. */
async function drained() {
  const marker = `marker ${randomUUID()}`;
  await hatch.env.JOBS.send(marker);
  await until(async () => (await sql("SELECT id FROM dead_letters WHERE body = ?", marker)).length);
}
/** Waits until the app is down. */
const down = (me, id) => until(async () => (await me.show(id)).takenDownAt);

test("an app goes live at Cloudflare with the credentials in the request's headers", async () => {
  const me = await person();
  const { id } = await me.project(page("first"), "Möbius & Söhne");
  const begun = await me.begin(id);
  assert.equal(begun.status, 202);
  const { deploymentId, target } = await begun.json();
  assert.equal(target, "cloudflare");
  const deployment = await me.ended(deploymentId);
  assert.equal(deployment.status, "live", deployment.logs);
  const name = nameOf(deployment);
  assert.match(name, /^m-bius-s-hne-[0-9a-f]{8}$/);
  assert.equal(deployment.url, cloudflare.appUrl(me.account, name));
  assert.deepEqual(me.lines(deployment), [
    "Built 4 files, 35 bytes", "Uploaded 4 of 4 files to Cloudflare", `Published as the Worker ${name}`, `Live at ${deployment.url}`,
  ]);
  assert.equal(await visit(deployment.url), page("first")["index.html"]);
  assert.equal(await visit(deployment.url, "/a/b.js"), '"first"');
  assert.match(await visit(deployment.url, "/some/page"), /first/);
  const script = cloudflare.script(me.account, name);
  assert.deepEqual(script.tags, [`hatch-project:${id}`]);
  assert.deepEqual([script.enabled, script.previews], [true, false]);
  const shown = await (await me.api("GET", `/api/projects/${id}`)).json();
  assert.deepEqual([shown.status, shown.deploymentUrl], ["deployed", deployment.url]);
  // The credentials of the headers are deleted when the deployment ends.
  const { credential_sealed, credential_source } = await rowOf(deploymentId);
  assert.deepEqual({ credential_sealed, credential_source }, { credential_sealed: null, credential_source: "header" });
});

test("paths go to Cloudflare unchanged, as wrangler sends them, and encoded where it demands that", async () => {
  for (const wantsEncodedPaths of [false, true]) {
    const account = cloudflare.account();
    account.wantsEncodedPaths = wantsEncodedPaths;
    const me = await person(account);
    const { id } = await me.project({ "index.html": "<p>", "My Photo.svg": "<svg/>", "über/日本.html": "<p>", ".env": "SECRET=1" });
    const { status, logs } = await me.live(id);
    assert.equal(status, "live", logs);
    const manifests = callsOf(account).filter(({ path }) => path.endsWith("/assets-upload-session")).map(({ body }) => Object.keys(body.manifest).sort());
    const raw = ["/My Photo.svg", "/index.html", "/über/日本.html"], encoded = ["/My%20Photo.svg", "/index.html", "/%C3%BCber/%E6%97%A5%E6%9C%AC.html"].sort();
    assert.deepEqual(manifests, wantsEncodedPaths ? [raw, encoded] : [raw]);
    assert.match(logs, /Left out, as it is not for visitors: \.env/);
  }
});

test("a repeat replaces the app under its name, and uploads only what is new", async () => {
  const me = await person();
  const { id } = await me.project(page("one"), "Before");
  const first = await me.live(id);
  await me.api("PATCH", `/api/projects/${id}`, { name: "After" });
  const second = await me.live(id, { code: { ...page("two"), "index.html": "<p>two" } });
  assert.equal(second.url, first.url);
  assert.ok(me.lines(second).includes("Uploaded 2 of 4 files to Cloudflare"), second.logs);
  assert.equal(await visit(second.url), "<p>two");
  assert.deepEqual([...me.account.scripts.keys()], [nameOf(first)]);
  assert.equal((await appsOf(id)).length, 1);
});

test("an upload has its own token, at most three run at once, and only the last answer completes it", async () => {
  const me = await person();
  cloudflare.reset();
  const many = Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`f${n}.txt`, `file ${n} of ${me.userId}`]));
  const { id } = await me.project({ ...many, "index.html": `<p>${me.userId}` });
  cloudflare.setFault({ path: `/client/v4/accounts/${me.account.id}/workers/assets/upload`, chunkBytes: 1, delayMs: 2, times: Infinity });
  const deployment = await me.live(id);
  cloudflare.setFault();
  assert.equal(deployment.status, "live", deployment.logs);
  const uploads = callsOf(me.account).filter(({ path }) => path.endsWith("/assets/upload"));
  assert.equal(uploads.length, 11);
  assert.deepEqual(uploads.map(({ status }) => status).sort(), [201, ...Array(10).fill(202)]);
  for (const { headers } of uploads) assert.match(headers.authorization, /^Bearer eyJ/);
  for (const { headers, path } of callsOf(me.account)) {
    if (!path.endsWith("/assets/upload")) assert.equal(headers.authorization, `Bearer ${me.account.token}`, path);
  }
  assert.ok(cloudflare.mostUploads > 1 && cloudflare.mostUploads <= 3, `${cloudflare.mostUploads}`);
});

test("an app is live only when it answers", async () => {
  const me = await person();
  const { id } = await me.project(page("hidden"));
  cloudflare.hideFor(1);
  const deployment = await me.live(id);
  assert.equal(deployment.status, "live");
  const looks = cloudflare.requests.filter(({ path }) => path.startsWith("/live/") && path.includes(nameOf(deployment)));
  assert.deepEqual(looks.map(({ status }) => status), [404, 200]);
  assert.equal((await jobOf(deployment.id)).attempts, 1, "to wait is no failed attempt");
});

test("an address that is not known everywhere after half a minute is reported, and live", async () => {
  const me = await person();
  const { id } = await me.project(page("slow"));
  cloudflare.hideFor(Infinity);
  const { deploymentId } = await (await me.begin(id)).json();
  await until(async () => (await jobOf(deploymentId)).step === "await" && (await rowOf(deploymentId)).pushed_at);
  await sql("UPDATE deployments SET pushed_at = pushed_at - 31000 WHERE id = ?", deploymentId);
  const deployment = await me.ended(deploymentId);
  cloudflare.hideFor(0);
  assert.equal(deployment.status, "live");
  assert.match(deployment.logs, /does not answer yet: a new address can take some minutes/);
});

for (const [what, fault] of Object.entries({
  "a limit of requests": { status: 429, headers: { "retry-after": "1" } },
  "an error of Cloudflare's": { status: 500 },
  "an internal error in the clothes of a bad request": { status: 400, type: 10002 },
  "a page of a proxy": { status: 502, html: true },
  "an answer that is cut": { cutAfterBytes: 10 },
  "an answer that is not JSON": { garbage: true },
  "a connection that is closed": { refuse: true },
})) {
  test(`${what} is retried, at whichever call, and the app is live once`, async () => {
    const me = await person();
    const calls = [
      "/workers/services/NAME", "/workers/subdomain", "/workers/scripts/NAME/assets-upload-session", "/workers/assets/upload",
      "/workers/scripts/NAME", "/workers/scripts/NAME/subdomain",
    ];
    const { id } = await me.project(page(what));
    const name = `test-app-${id.slice(0, 8)}`;
    cloudflare.setFault(...calls.map((call) => ({ ...fault, path: `/client/v4/accounts/${me.account.id}${call.replace("NAME", name)}` })));
    const deployment = await me.live(id);
    cloudflare.setFault();
    assert.equal(deployment.status, "live", deployment.logs);
    assert.equal(nameOf(deployment), name);
    assert.equal(await visit(deployment.url), page(what)["index.html"]);
    assert.deepEqual([...me.account.scripts.keys()], [name]);
  });
}

test("a step whose calls keep failing is retried, and its log says why, without Cloudflare's own text", async () => {
  const me = await person();
  const { id } = await me.project(page("again"));
  cloudflare.setFault({ status: 503, type: 10013, message: `internal ${me.account.token}\u0007`, path: `/client/v4/accounts/${me.account.id}/`, times: 3 });
  const deployment = await me.live(id);
  assert.equal(deployment.status, "live", deployment.logs);
  assert.ok(me.lines(deployment).includes("Cloudflare's API failed (internal [redacted] [10013]); trying again in 2 s"), deployment.logs);
});

test("a long Retry-After is waited out by the queue", async () => {
  const me = await person();
  const { id } = await me.project(page("limit"));
  cloudflare.setFault({ status: 429, headers: { "retry-after": "90" }, path: `/client/v4/accounts/${me.account.id}/` });
  const { deploymentId } = await (await me.begin(id)).json();
  await until(async () => (await me.show(deploymentId)).logs.includes("trying again in 90 s"));
  assert.match((await me.show(deploymentId)).logs, /Cloudflare's limit of API requests is reached/);
  assert.equal(callsOf(me.account).length, 1);
  await me.send((await jobOf(deploymentId)).id);
  assert.equal((await me.ended(deploymentId)).status, "live");
});

for (const [what, fault, told] of [
  ["a token that it does not take", { status: 403, type: 10000, message: "Authentication error" }, /Workers Scripts: Edit.*Authentication error \[10000\]/],
  ["an app that it refuses", { status: 400, type: 10021, message: "Uncaught SyntaxError in _redirects" }, /refused the app: Uncaught SyntaxError in _redirects \[10021\]/],
  ["an app that is too large", { status: 413, type: 10027, message: "too big" }, /too large/],
  ["an account that it does not know", { status: 404, type: 7003, message: "Could not route" }, /account id/],
]) {
  test(`${what} fails the deployment at once, with a reason that says what to do`, async () => {
    const me = await person();
    const { id } = await me.project(page("bad"));
    cloudflare.setFault({ ...fault, path: `/client/v4/accounts/${me.account.id}/workers/scripts/`, times: 1 });
    const deployment = await me.live(id);
    cloudflare.setFault();
    assert.equal(deployment.status, "failed");
    assert.match(deployment.error, told);
    assert.equal(me.lines(deployment).at(-1), deployment.error);
    assert.equal((await rowOf(deployment.id)).credential_sealed, null);
    assert.equal((await me.live(id)).status, "live", "once it is mended");
  });
}

test("an account without a workers.dev subdomain is told to get one, and left as it is", async () => {
  const me = await person(cloudflare.account({ subdomain: null }));
  const { id } = await me.project();
  const deployment = await me.live(id);
  assert.match(deployment.error, /no workers\.dev subdomain yet: open Workers & Pages/);
  assert.deepEqual(writes(me.account), []);
});

test("a foreign Worker of that name is not overwritten and not taken down", async () => {
  const me = await person();
  const { id } = await me.project(page("mine"));
  const name = `test-app-${id.slice(0, 8)}`;
  me.account.scripts.set(name, { tags: ["hatch-project:another"], files: new Map(), metadata: {}, enabled: true });
  const deployment = await me.live(id);
  assert.equal(deployment.status, "failed");
  assert.match(deployment.error, new RegExp(`has a Worker ${name} that is not of this project`));
  assert.deepEqual(writes(me.account), []);
  assert.equal((await me.api("DELETE", `/api/projects/${id}`)).status, 204);
  await until(async () => (await appsOf(id)).length === 0);
  assert.ok(me.account.scripts.has(name));
});

test("headers that are incomplete or wrong are 400, name the header, and change nothing", async () => {
  const me = await person();
  const { id } = await me.project();
  const { "x-cloudflare-api-token": token, "x-cloudflare-account-id": account } = me.own;
  for (const [headers, named] of [
    [{ "x-cloudflare-api-token": token }, "X-Cloudflare-Account-Id"],
    [{ "x-cloudflare-account-id": account }, "X-Cloudflare-Api-Token"],
    [{ "x-cloudflare-api-token": token, "x-cloudflare-account-id": "../../x" }, "X-Cloudflare-Account-Id"],
    [{ "x-cloudflare-api-token": "two words", "x-cloudflare-account-id": account }, "X-Cloudflare-Api-Token"],
  ]) {
    const { errors, detail } = await problem(await me.begin(id, headers), 400, "validation_failed");
    assert.equal(errors[0].pointer, named);
    assert.ok(!detail.includes(token));
  }
  assert.deepEqual(await sql("SELECT * FROM deployments WHERE project_id = ?", id), []);
});

test("without any credentials it is 503 and says where to put them", async () => {
  const me = await person();
  const { id } = await me.project();
  const { detail } = await problem(await me.begin(id, {}), 503, "not_configured");
  for (const name of ["X-Cloudflare-Api-Token", "X-Cloudflare-Account-Id", "/auth/credentials/cloudflare", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID"]) {
    assert.ok(detail.includes(name), detail);
  }
});

test("stored credentials are used, never shown, and gone when deleted; headers take precedence", async () => {
  const me = await person();
  const other = cloudflare.account();
  secret(other.token);
  const path = "/auth/credentials/cloudflare";
  const plain = (method, body) => me.api(method, path, body, {});
  await problem(await plain("GET"), 404, "not_found");
  const kept = await plain("PUT", { token: me.account.token, accountId: me.account.id });
  assert.equal(kept.status, 200);
  const shown = await kept.json();
  assert.deepEqual([shown.target, shown.account, shown.hint], ["cloudflare", me.account.id, `…${me.account.token.slice(-4)}`]);
  for (const [each, list] of [[path, false], ["/auth/credentials", true]]) {
    const text = await (await me.api("GET", each, undefined, {})).text();
    assert.ok(!text.includes(me.account.token));
    assert.deepEqual(JSON.parse(text), list ? [shown] : shown);
  }

  const { id } = await me.project(page("stored"));
  const deployment = await me.live(id, {}, {});
  assert.equal(deployment.status, "live", deployment.logs);
  assert.equal(deployment.url, cloudflare.appUrl(me.account, nameOf(deployment)));
  const elsewhere = await me.live(id, {}, { "x-cloudflare-api-token": other.token, "x-cloudflare-account-id": other.id });
  assert.equal(elsewhere.url, cloudflare.appUrl(other, nameOf(deployment)));

  assert.equal((await plain("DELETE")).status, 204);
  await problem(await plain("DELETE"), 404, "not_found");
  await problem(await me.begin(id, {}), 503, "not_configured");
});

test("invalid credentials are refused with their field", async () => {
  const me = await person();
  const account = { token: "t".repeat(40), accountId: me.account.id };
  for (const [target, body, pointer] of [
    ["cloudflare", { token: "x" }, "/accountId"],
    ["cloudflare", { ...account, accountId: "x" }, "/accountId"],
    ["cloudflare", { ...account, token: "a b" }, "/token"],
    ["cloudflare", { ...account, team: "x" }, "/team"],
    ["vercel", account, "/accountId"],
    ["koyeb", { token: "x", team: "y" }, "/team"],
  ]) {
    const { errors } = await problem(await me.api("PUT", `/auth/credentials/${target}`, body, {}), 400, "validation_failed");
    assert.equal(errors[0].pointer, pointer, JSON.stringify(body));
  }
  await problem(await me.api("PUT", "/auth/credentials/moon", account, {}), 404, "not_found");
});

test("two users who deploy at once with their own headers never get each other's credentials", async () => {
  const [ada, eve] = [await person(), await person()];
  cloudflare.reset();
  const tokensOf = ({ account }) => new Set(callsOf(account).map(({ headers }) => headers.authorization).filter((each) => !each.startsWith("Bearer eyJ")));
  const projects = await Promise.all([ada, eve].flatMap((me) => [1, 2, 3].map(async (n) => [me, await me.project(page(`${me.userId} ${n}`))])));
  const ends = await Promise.all(projects.map(async ([me, { id }]) => [me, await me.live(id)]));
  for (const [me, deployment] of ends) {
    assert.equal(deployment.status, "live", deployment.logs);
    assert.match(await visit(deployment.url), new RegExp(me.userId));
  }
  for (const [me, other] of [[ada, eve], [eve, ada]]) {
    assert.deepEqual([...tokensOf(me)], [`Bearer ${me.account.token}`]);
    assert.equal(me.account.scripts.size, 3);
    for (const request of callsOf(me.account)) {
      const sent = JSON.stringify(request.headers) + request.raw.toString("latin1");
      for (const foreign of [other.account.token, other.account.id, other.userId]) assert.ok(!sent.includes(foreign), request.path);
    }
  }
});

test("a sealed credential that is copied to another user's row cannot be opened", async () => {
  const [ada, eve] = [await person(), await person()];
  for (const me of [ada, eve]) await me.api("PUT", "/auth/credentials/cloudflare", { token: me.account.token, accountId: me.account.id }, {});
  await sql("UPDATE cloud_credentials SET sealed = (SELECT sealed FROM cloud_credentials WHERE user_id = ?1) WHERE user_id = ?2", ada.userId, eve.userId);
  const { id } = await eve.project();
  await problem(await eve.begin(id, {}), 503, "not_configured");
  assert.deepEqual(callsOf(ada.account), []);
});

test("three messages about one deployment make one app with the right content", async () => {
  const me = await person();
  const { id } = await me.project(page("thrice"));
  const { deploymentId } = await (await me.begin(id)).json();
  const { id: jobId } = await jobOf(deploymentId);
  await Promise.all([me.send(jobId), me.send(jobId), me.send(jobId)]);
  const deployment = await me.ended(deploymentId);
  await me.send(jobId);
  assert.equal(deployment.status, "live");
  const script = cloudflare.script(me.account, nameOf(deployment));
  assert.equal(script.puts, 1);
  assert.deepEqual(me.lines(deployment).filter((line) => line.startsWith("Live")), [`Live at ${deployment.url}`]);
});

// A refused commit stands for a consumer that dies after a call and before its
// commit: its calls have taken effect, but its writes have not.
for (const step of ["push", "await"]) {
  test(`a consumer that dies when it has done the step ${step} leaves it to be repeated, with the same result`, async () => {
    const me = await person();
    const { id } = await me.project(page(step));
    await sql(`CREATE TRIGGER dies BEFORE UPDATE ON jobs WHEN NEW.lease_owner IS NULL AND OLD.lease_owner IS NOT NULL AND OLD.step = '${step}'
               BEGIN SELECT RAISE(ABORT, 'killed'); END`);
    const { deploymentId } = await (await me.begin(id)).json();
    const { id: jobId } = await jobOf(deploymentId);
    await until(() => me.steps(jobId).some((line) => line.step === step && line.outcome === "internal"));
    await sql("DROP TRIGGER dies");
    await sql("UPDATE jobs SET lease_until = 0 WHERE id = ?", jobId);
    await me.send(jobId);
    const deployment = await me.ended(deploymentId);
    assert.equal(deployment.status, "live", deployment.logs);
    assert.deepEqual([...me.account.scripts.keys()], [nameOf(deployment)]);
    assert.equal(await visit(deployment.url), page(step)["index.html"]);
    assert.equal(me.lines(deployment).filter((line) => line.startsWith("Published")).length, 1);
  });
}

test("deployments of one project reach Cloudflare in their order", async () => {
  const me = await person();
  const { id } = await me.project(page("older"));
  // The older one pauses when the newer one arrives.
  cloudflare.setFault({ status: 429, headers: { "retry-after": "90" }, path: `/client/v4/accounts/${me.account.id}/` });
  const older = await (await me.begin(id)).json();
  await until(async () => (await me.show(older.deploymentId)).logs.includes("trying again in 90 s"));
  await me.api("PATCH", `/api/projects/${id}`, { code: page("younger") });
  const younger = await (await me.begin(id)).json();
  await until(async () => (await me.show(younger.deploymentId)).logs.includes("Waiting for an earlier job"));
  await me.send((await jobOf(older.deploymentId)).id);
  assert.equal((await me.ended(older.deploymentId)).status, "live");
  const deployment = await me.ended(younger.deploymentId);
  assert.equal(deployment.status, "live", deployment.logs);
  assert.match(await visit(deployment.url), /younger/);
});

test("a rollback repeats an earlier deployment", async () => {
  const me = await person();
  const { id } = await me.project(page("good"));
  const good = await me.live(id);
  const bad = await me.live(id, { code: page("bad") });
  assert.match(await visit(bad.url), /bad/);
  const begun = await me.api("POST", `/api/deploy/${good.id}/rollback`);
  assert.equal(begun.status, 202);
  const { deploymentId, target } = await begun.json();
  assert.equal(target, "cloudflare");
  assert.ok(![good.id, bad.id].includes(deploymentId));
  const again = await me.ended(deploymentId);
  assert.equal(again.url, good.url);
  assert.match(await visit(again.url), /good/);
  assert.deepEqual(JSON.parse((await (await me.api("GET", `/api/projects/${id}`)).json()).code), page("bad"), "the code stays");

  const stranger = await person();
  await problem(await stranger.api("POST", `/api/deploy/${good.id}/rollback`), 404, "not_found");
  await problem(await me.api("POST", `/api/deploy/${randomUUID()}/rollback`), 404, "not_found");
});

test("a rollback of an edge deployment goes to the edge", async () => {
  const me = await person();
  const { id } = await me.project(page("old"));
  const edge = async (body) => me.ended((await (await me.api("POST", "/api/deploy", { projectId: id, ...body })).json()).deploymentId);
  const old = await edge({});
  await edge({ code: page("new") });
  const { deploymentId, target } = await (await me.api("POST", `/api/deploy/${old.id}/rollback`)).json();
  assert.equal(target, "edge");
  assert.match(await (await fetch((await me.ended(deploymentId)).url)).text(), /old/);
});

test("an app is taken down at Cloudflare, once, and its project is a draft again", async () => {
  const me = await person();
  const { id } = await me.project(page("doomed"));
  const deployment = await me.live(id);
  const path = `/api/deploy/${deployment.id}`;
  const begun = await me.api("DELETE", path);
  assert.equal(begun.status, 202);
  await me.api("DELETE", path);
  await down(me, deployment.id);
  assert.equal(me.account.scripts.size, 0);
  const shown = await me.show(deployment.id);
  assert.deepEqual([shown.status, shown.url], ["live", null]);
  assert.equal(me.lines(shown).filter((line) => line === "Taken down").length, 1);
  const project = await (await me.api("GET", `/api/projects/${id}`)).json();
  assert.deepEqual([project.status, project.deploymentUrl], ["draft", null]);
  assert.equal((await me.api("DELETE", path)).status, 204);
  assert.deepEqual(await appsOf(id), []);
  assert.equal((await me.live(id)).status, "live", "and comes again");
});

test("an app that Cloudflare does not have any more counts as taken down", async () => {
  const me = await person();
  const { id } = await me.project();
  const deployment = await me.live(id);
  me.account.scripts.clear();
  assert.equal((await me.api("DELETE", `/api/deploy/${deployment.id}`)).status, 202);
  await down(me, deployment.id);
});

test("a deployment that is not live cannot be taken down, and the error says why", async () => {
  const me = await person();
  const { id } = await me.project(page("one"));
  const older = await me.live(id);
  const younger = await me.live(id, { code: page("two") });
  await problem(await me.api("DELETE", `/api/deploy/${older.id}`), 409, "not_live");
  await problem(await me.api("DELETE", `/api/deploy/${younger.id}`, undefined, {}), 409, "credentials_needed");
  const stranger = await person();
  await problem(await stranger.api("DELETE", `/api/deploy/${younger.id}`), 404, "not_found");
  const unfinished = await me.written(await me.project());
  await problem(await me.api("DELETE", `/api/deploy/${unfinished.id}`), 409, "deployment_under_way");
  assert.equal(me.account.scripts.size, 1);
});

test("an app on the edge is taken down at once", async () => {
  const me = await person();
  const { id } = await me.project(page("edge"));
  const { deploymentId } = await (await me.api("POST", "/api/deploy", { projectId: id })).json();
  const { url } = await me.ended(deploymentId);
  assert.equal((await me.api("DELETE", `/api/deploy/${deploymentId}`)).status, 204);
  assert.equal((await fetch(url)).status, 404);
  assert.ok((await me.show(deploymentId)).takenDownAt);
  assert.equal((await (await me.api("GET", `/api/projects/${id}`)).json()).status, "draft");
});

test("deleting a project takes its apps down everywhere, by jobs that outlive it", async () => {
  const me = await person();
  const { id } = await me.project(page("whole"));
  const deployment = await me.live(id);
  cloudflare.setFault({ status: 500, path: `/client/v4/accounts/${me.account.id}/`, times: 3 });
  assert.equal((await me.api("DELETE", `/api/projects/${id}`)).status, 204);
  assert.equal((await me.api("GET", `/api/deploy/${deployment.id}`)).status, 404);
  const doomed = await sql("SELECT credential_sealed IS NOT NULL AS sealed FROM cloud_apps WHERE project_id = ?", id);
  assert.deepEqual(doomed, [{ sealed: 1 }], "the job's own");
  await until(async () => (await appsOf(id)).length === 0);
  assert.equal(me.account.scripts.size, 0);
});

test("a project with an app beyond all credentials is kept, unless `force` leaves the app", async () => {
  const me = await person();
  const { id } = await me.project();
  await me.live(id);
  const before = await appsOf(id);
  const { detail } = await problem(await me.api("DELETE", `/api/projects/${id}`, undefined, {}), 409, "credentials_needed");
  assert.match(detail, /X-Cloudflare-Api-Token and X-Cloudflare-Account-Id/);
  assert.deepEqual(await appsOf(id), before);
  await problem(await me.api("DELETE", `/api/projects/${id}`, undefined, { ...me.own, "if-match": '"1"' }), 412);
  assert.equal((await sql("SELECT count(*) AS n FROM jobs WHERE kind = 'take-down' AND subject_id = ?", before[0].id))[0].n, 0);
  assert.equal((await me.api("DELETE", `/api/projects/${id}?force=true`, undefined, {})).status, 204);
  assert.deepEqual(await appsOf(id), []);
  assert.equal(me.account.scripts.size, 1);
});

test("a project that is deleted during its deployment leaves no app behind", async () => {
  const me = await person();
  const { id } = await me.project(page("middle"));
  const upload = `/client/v4/accounts/${me.account.id}/workers/assets/upload`;
  cloudflare.setFault({ path: upload, hang: true });
  await me.begin(id);
  await until(() => cloudflare.count(upload) > 0);
  assert.equal((await me.api("DELETE", `/api/projects/${id}`)).status, 204);
  const [{ id: app }] = await appsOf(id);
  const [job] = await sql("SELECT j.id, o.send_at FROM jobs j JOIN outbox o ON o.job_id = j.id WHERE j.subject_id = ?", app);
  assert.ok(job.send_at > Date.now() + 10_000, "not before the other knows that it is over");
  cloudflare.release();
  await until(() => me.account.scripts.size === 1);
  await drained();
  assert.equal((await me.job(job.id)).attempts, 0, "nor has its message been sent");
  await me.send(job.id);
  await until(async () => (await appsOf(id)).length === 0);
  assert.equal(me.account.scripts.size, 0);
});

test("deleting the account takes its apps down with its stored credentials", async () => {
  const me = await person();
  await me.api("PUT", "/auth/credentials/cloudflare", { token: me.account.token, accountId: me.account.id }, {});
  const { id } = await me.project();
  await me.live(id, {}, {});
  assert.equal((await me.api("DELETE", `/auth/me?confirm=${me.userId}`, undefined, {})).status, 204);
  await until(async () => (await appsOf(id)).length === 0);
  assert.equal(me.account.scripts.size, 0);
  assert.deepEqual(await sql("SELECT * FROM cloud_credentials WHERE user_id = ?", me.userId), []);
});

test("an account that is merged into another brings its live apps, and no sealed credentials", async () => {
  const wallet = newWallet();
  const account = cloudflare.account();
  secret(account.token);
  const old = await signIn(wallet);
  const own = { "x-cloudflare-api-token": account.token, "x-cloudflare-account-id": account.id };
  const api = (token) => (method, path, body, headers = own) => hatch.api(method, path, body, { ...as(token), ...headers });
  const before = deployments({ ...hatch, api: api(old.token) });
  await api(old.token)("PUT", "/auth/credentials/cloudflare", { token: account.token, accountId: account.id }, {});
  const { id } = await before.project();
  const deployment = await before.live(id, { target: "cloudflare" });
  const token = people(hatch, stack).mint({ sub: randomUUID() });
  secret(token);
  await ok("GET", "/auth/me", undefined, token);
  await signIn(wallet, token);
  await problem(await api(token)("GET", "/auth/credentials/cloudflare"), 404, "not_found");
  assert.equal((await api(token)("DELETE", `/api/deploy/${deployment.id}`)).status, 202);
  await until(async () => account.scripts.size === 0);
});

test("no credential of these tests is in a row or in the log", findNoSecret);
