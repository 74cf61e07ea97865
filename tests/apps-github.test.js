// Apps in their owners' repositories: commits by trees, lost races, empty
// repositories, and pulls. The results are read by git.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { PAGE, agents, builds, call, finish, notices, scripted, texts } from "./support/agents.js";
import { claudeVars } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startGitHub } from "./fakes/github.js";
import { problem, startWorker } from "./support/harness.js";

const TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
const claude = await startAnthropic();
const github = await startGitHub({ accounts: { [TOKEN]: "ada", ghp_eve: "eve" }, organisations: { guild: ["ada"] } });
after(() => Promise.all([claude.close(), github.close()]));
const hatch = await startWorker({ ...claudeVars(claude), GITHUB_API_URL: github.url, DAILY_MESSAGE_LIMIT: "1000" });
const { api, sql } = hatch;
const me = { "x-github-token": TOKEN };
const { sendToEnd, show, code } = agents(hatch, me);
const post = (path, body, headers = me) => api("POST", path, body, headers);

beforeEach(() => {
  claude.reset();
  github.reset();
  github.race = 0;
  github.stale = 0;
  github.branch = "main";
  claude.setAnswer(builds());
});

let n = 0;
/** An app in a repository of its own name. */
async function built() {
  const name = `app-${(n += 1)}`;
  claude.setAnswer(scripted([call("write_file", { path: "index.html", content: PAGE }), call("write_file", { path: "old.txt", content: "old" })], [finish({ name })]));
  return { name, ...(await sendToEnd(`Build ${name}`)) };
}

test("a turn makes a private repository named after the app and one commit of all files, with an event for each", async () => {
  const { events, appId } = await sendToEnd("A timer");
  assert.deepEqual(notices(events), ["repo_created", "commit_created", "deployment_in_progress", "deployment_complete"]);
  const repo = github.repos.get("ada/pomodoro-timer");
  assert.equal(repo.private, true);
  assert.deepEqual(github.files("ada", "pomodoro-timer"), { "README.md": "# pomodoro-timer\n", "index.html": PAGE });
  assert.equal(github.git("ada", "pomodoro-timer", "log", "-1", "--format=%s", "main"), "feat: a timer");
  github.git("ada", "pomodoro-timer", "fsck", "--strict");
  const url = "https://github.com/ada/pomodoro-timer";
  assert.equal((await show(appId)).repositoryUrl, url);
  const [created, committed] = events.filter(({ data }) => data.metadata).map(({ data }) => data);
  assert.deepEqual(created.metadata, { type: "repo_created", githubUrl: url });
  assert.ok(created.message.messages[0].content.includes(url), "the address is in the text too");
  assert.equal(committed.metadata.commitUrl, `${url}/commit/${github.git("ada", "pomodoro-timer", "rev-parse", "main")}`);
  const audited = await sql("SELECT action, subject FROM audit_log WHERE action IN ('github.create-repo', 'github.commit', 'app.deploy') ORDER BY seq");
  assert.deepEqual(audited.map(({ action }) => action), ["github.create-repo", "github.commit", "app.deploy"]);
  assert.deepEqual(audited.slice(0, 2).map(({ subject }) => subject), [url, committed.metadata.commitUrl]);
  const [turn] = await sql("SELECT github_token, settings FROM app_turns WHERE app_id = ?", appId);
  assert.deepEqual(turn, { github_token: null, settings: null }, "the token is kept no longer than the turn");
});

test("a later turn commits changes and deletions, and keeps file modes and others' pushes", async () => {
  const { name, appId } = await built();
  github.push("ada", name, { "theirs.md": "theirs", "run.sh": { content: "#!/bin/sh\n", mode: "100755" } });
  await post(`/apps/${appId}/pull`);
  claude.setAnswer(scripted([call("delete_file", { path: "old.txt" }), call("write_file", { path: "a/b.txt", content: "new" }), call("write_file", { path: "run.sh", content: "#!/bin/bash\n" })], [finish()]));
  const { events } = await sendToEnd("Change it", { applicationId: appId });
  assert.deepEqual(notices(events).slice(0, 1), ["commit_created"], texts(events).join("\n"));
  assert.deepEqual(github.files("ada", name), { "README.md": `# ${name}\n`, "a/b.txt": "new", "index.html": PAGE, "run.sh": "#!/bin/bash\n", "theirs.md": "theirs" });
  assert.match(github.git("ada", name, "ls-tree", "main", "run.sh"), /^100755 /);
  assert.deepEqual((await code(appId))["a/b.txt"], "new");
});

test("a repository whose name is taken gets digits of the app's id", async () => {
  await post("/github/user/create-repo", { repo: "taken" });
  claude.setAnswer(scripted([call("write_file", { path: "index.html", content: PAGE })], [finish({ name: "taken" })]));
  const { appId } = await sendToEnd("Build something that is taken");
  assert.equal((await show(appId)).repositoryUrl, `https://github.com/ada/taken-${appId.slice(0, 4)}`);
});

test("a commit that loses a race is repeated on the pushed one three times, and then reported", async () => {
  const { name, appId } = await built();
  const change = (content) => claude.setAnswer(scripted([call("write_file", { path: "mine.txt", content })], [finish()]));
  github.race = 2;
  change("one");
  await sendToEnd("Change one", { applicationId: appId });
  assert.deepEqual(Object.keys(github.files("ada", name)).filter((path) => /race|mine/.test(path)), ["mine.txt", "race-0.txt", "race-1.txt"]);
  github.race = 9;
  const raced = await post("/github/user/commit", { repo: name, owner: "ada", message: "m", paths: [{ path: "x.txt", content: "x" }] });
  await problem(raced, 503, "upstream_busy");
  assert.equal(github.race, 6, "three attempts, and no more");
});

test("a branch that is read from a replica which lags is committed to all the same, once", async () => {
  const { name } = await built();
  const commit = (content) => post("/github/user/commit", { repo: name, owner: "ada", message: content, paths: [{ path: "a.txt", content }] });
  assert.equal((await commit("one")).status, 200);
  github.stale = 1;
  assert.equal((await commit("two")).status, 200);
  const log = github.git("ada", name, "log", "--format=%s", "main").split("\n");
  assert.deepEqual(log.slice(0, 2), ["two", "one"], "on what was committed before, though that was not there yet");
  assert.equal(github.files("ada", name)["a.txt"], "two");
});

test("the first branch is what GitHub calls it, and a beginning that was broken off is gone on with", async () => {
  github.branch = "trunk";
  const body = { repo: "begun", owner: "ada", paths: Array.from({ length: 30 }, (_, i) => ({ path: `src/${i}.txt`, content: `${i}` })) };
  await post("/github/user/create-repo", { repo: "begun" });
  // Its first file is there, and no more.
  github.setFault({ path: "/repos/ada/begun/git/trees", status: 502 });
  await problem(await post("/github/user/initial-commit", body), 503, "upstream_busy");
  assert.deepEqual(Object.keys(github.files("ada", "begun", "trunk")), ["README.md"]);
  const again = await post("/github/user/initial-commit", body);
  assert.equal(again.status, 200, await again.clone().text());
  assert.equal(Object.keys(github.files("ada", "begun", "trunk")).length, 31);
  await problem(await post("/github/user/initial-commit", body), 400, "already_initialised");
  assert.equal(github.git("ada", "begun", "for-each-ref", "--format=%(refname:short)"), "trunk");
});

// As macOS writes it, and as everybody else.
const [APART, COMPOSED] = ["fu\u0308r.txt", "f\u00fcr.txt"];

test("a name whose letters are composed otherwise is the same file, in a commit and in what was pushed", async () => {
  const { name, appId } = await built();
  const commit = (...paths) => post("/github/user/commit", { repo: name, owner: "ada", message: "m", paths: paths.map((path) => ({ path, content: "x" })) });
  assert.equal((await commit(APART)).status, 200);
  assert.ok(COMPOSED in github.files("ada", name));
  const { errors } = await problem(await commit(COMPOSED, APART), 400, "validation_failed");
  assert.deepEqual(errors, [{ pointer: "/paths/1/path", detail: "is in the list twice" }]);

  github.push("ada", name, { [COMPOSED]: null, [APART]: "theirs" });
  assert.deepEqual((await (await post(`/apps/${appId}/pull`)).json()).changed, ["README.md", COMPOSED]);
  claude.setAnswer(scripted([call("edit_file", { path: APART, old_string: "theirs", new_string: "mine" })], [finish()]));
  await sendToEnd("Change it", { applicationId: appId });
  const { [APART]: apart, [COMPOSED]: composed } = github.files("ada", name);
  assert.deepEqual([apart, composed, (await code(appId))[COMPOSED]], ["mine", undefined, "mine"], "the repository's file keeps the way in which its name is written");

  github.push("ada", name, { [COMPOSED]: "another" });
  const { detail } = await problem(await post(`/apps/${appId}/pull`), 400, "not_a_project");
  assert.ok(detail.includes(COMPOSED), detail);
  assert.equal((await code(appId))[COMPOSED], "mine");
});

test("a refusal of GitHub is reported, and the app goes live without it", async () => {
  const wrong = { "x-github-token": "ghp_revoked" };
  const { events, appId } = await agents(hatch, wrong).sendToEnd("A timer without a repository");
  assert.deepEqual(notices(events), ["deployment_in_progress", "deployment_complete"]);
  assert.ok(texts(events).some((text) => /not uploaded to GitHub.*connect GitHub again/.test(text)), texts(events).join("\n"));
  assert.equal((await show(appId)).repositoryUrl, null);
});

test("a repository from an interrupted step is found again, not created twice", async () => {
  const { name, appId } = await built();
  const before = github.repos.size;
  await sql("UPDATE apps SET repository = NULL WHERE id = ?", appId);
  claude.setAnswer(scripted([call("write_file", { path: "more.txt", content: "more" })], [finish()]));
  await sendToEnd("Go on", { applicationId: appId });
  assert.equal(github.repos.size, before);
  assert.equal((await show(appId)).repositoryUrl, `https://github.com/ada/${name}`);
  assert.equal(github.files("ada", name)["more.txt"], "more");
});

test("pushed files are pulled as a version; if both sides have changed a file, nothing changes", async () => {
  const { name, appId } = await built();
  const seed = await (await post(`/apps/${appId}/pull`)).json();
  assert.deepEqual(seed.changed, ["README.md"], "what GitHub began the repository with");
  const nothing = await (await post(`/apps/${appId}/pull`)).json();
  assert.equal(nothing.message, "Nothing new was pushed");
  github.push("ada", name, { "pushed.txt": "pushed", "old.txt": null, "logo.png": Buffer.from([0x89, 0, 0xff]) });
  const pulled = await (await post(`/apps/${appId}/pull`)).json();
  assert.deepEqual([pulled.changed, pulled.skipped], [["old.txt", "pushed.txt"], ["logo.png"]]);
  assert.deepEqual(await code(appId), { "README.md": `# ${name}\n`, "index.html": PAGE, "pushed.txt": "pushed" });
  const versions = await (await api("GET", `/api/projects/${appId}/versions`)).json();
  assert.equal(versions[0].origin, "pull");

  await api("PATCH", `/api/projects/${appId}`, { code: { ...(await code(appId)), "index.html": "mine" } });
  github.push("ada", name, { "index.html": "theirs" });
  const conflict = await problem(await post(`/apps/${appId}/pull`), 409, "pull_conflict");
  assert.deepEqual(conflict.conflicts, ["index.html"]);
  assert.equal((await code(appId))["index.html"], "mine");
});

test("the routes make, fill and change repositories of users and of organisations", async () => {
  for (const [kind, owner] of [["user", "ada"], ["org", "guild"]]) {
    const body = { repo: "by-route", owner };
    const created = await (await post(`/github/${kind}/create-repo`, body)).json();
    assert.deepEqual(created, { statusCode: 200, status: "success", message: "Repository created", repositoryUrl: `https://github.com/${owner}/by-route` });
    await problem(await post(`/github/${kind}/create-repo`, body), 400, "repository_exists");
    const paths = Array.from({ length: 30 }, (_, i) => ({ path: `src/${i}.txt`, content: `${i}` }));
    const first = await post(`/github/${kind}/initial-commit`, { ...body, paths });
    assert.deepEqual(await first.json(), { message: "Initial commit created", status: "success" }, "of an empty repository");
    assert.equal(Object.keys(github.files(owner, "by-route")).length, 31);
    await problem(await post(`/github/${kind}/initial-commit`, { ...body, paths }), 400, "already_initialised");
    const changes = [{ path: "src/0.txt", content: null }, { path: "logo.png", content: "iVBORw==", encoding: "base64" }, { path: "ü.txt", content: "ü" }];
    const second = await post(`/github/${kind}/commit`, { ...body, message: "More", paths: changes });
    assert.deepEqual(await second.json(), { message: "Changes committed", status: "success" });
    const files = github.files(owner, "by-route");
    assert.ok(!("src/0.txt" in files) && files["ü.txt"] === "ü" && files["logo.png"]);
    github.git(owner, "by-route", "fsck", "--strict");
  }
});

test("bad input and missing permissions are errors, and GitHub's rate limit is waited for", async () => {
  const files = { repo: "x", owner: "ada", paths: [{ path: "a", content: "b" }] };
  await problem(await post("/github/org/create-repo", { repo: "x" }), 400, "validation_failed");
  await problem(await post("/github/user/create-repo", { repo: "a b" }), 400, "validation_failed");
  await problem(await post("/github/user/commit", { ...files, paths: [{ path: "../x", content: "y" }] }), 400, "validation_failed");
  await problem(await post("/github/user/commit", { ...files, owner: "eve" }), 400, "github_refused");
  await problem(await post("/github/user/create-repo", { repo: "x" }, {}), 400, "github_not_connected");
  await problem(await post("/github/org/create-repo", { repo: "x", owner: "guild" }, { "x-github-token": "ghp_eve" }), 400, "github_refused");
  github.setFault({ status: 403, message: "You have exceeded a secondary rate limit", headers: {} });
  const limited = await post("/github/user/create-repo", { repo: "y" });
  await problem(limited, 503, "upstream_busy");
  assert.equal(limited.headers.get("retry-after"), "60");
});

test("the token is in no table, no log and no answer", async () => {
  for (const { name } of await sql("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '*_cf_*' AND name NOT GLOB 'sqlite_*'")) {
    assert.ok(!JSON.stringify(await sql(`SELECT * FROM "${name}"`)).includes(TOKEN), name);
  }
  assert.ok(!JSON.stringify(hatch.harness.getLogs()).includes(TOKEN));
});
