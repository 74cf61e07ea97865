// The fake of Cloudflare's API against the real wrangler, our client's requests
// against wrangler's, and the Worker's own account with a dispatch namespace.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { after } from "node:test";
import { promisify } from "node:util";
import { deployments, until } from "./support/deployments.js";
import { startCloudflare } from "./fakes/cloudflare.js";
import { parseForm } from "./fakes/multipart.js";
import { startWorker } from "./support/harness.js";

const NAMESPACE = "hatch-apps";
const cloudflare = await startCloudflare();
after(() => cloudflare.close());
const own = cloudflare.account({ namespaces: [NAMESPACE] });
const hatch = await startWorker({
  CLOUDFLARE_BASE_URL: cloudflare.apiUrl, CLOUDFLARE_API_TOKEN: own.token, CLOUDFLARE_ACCOUNT_ID: own.id,
  CLOUDFLARE_DISPATCH_NAMESPACE: NAMESPACE,
});
const { project, live, ended, show, lines, row } = deployments(hatch);

const FILES = { "index.html": "<!doctype html><h1>hi</h1>", "style.css": "h1{}", "a/b.js": "let b", "notes.txt": "é", "zz.html": "<p>" };
const callsOf = (account) => cloudflare.requests.filter(({ path }) => path.includes(account.id));

/** Deploys these files by wrangler, as a Worker of assets alone. */
async function wrangler(account, name) {
  const folder = await mkdtemp(join(tmpdir(), "hatch-wrangler-"));
  after(() => rm(folder, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, "site", path)), { recursive: true });
    await writeFile(join(folder, "site", path), content);
  }
  const assets = { directory: "./site", not_found_handling: "single-page-application" };
  await writeFile(join(folder, "wrangler.json"), JSON.stringify({ name, compatibility_date: "2026-11-01", workers_dev: true, assets }));
  const env = {
    ...process.env, HOME: folder, CI: "1", WRANGLER_SEND_METRICS: "false",
    CLOUDFLARE_API_BASE_URL: cloudflare.apiUrl, CLOUDFLARE_API_TOKEN: account.token, CLOUDFLARE_ACCOUNT_ID: account.id,
  };
  const deploy = () => promisify(execFile)("wrangler", ["deploy"], { cwd: folder, env });
  return { first: await deploy(), again: deploy };
}

/** The content of a request that changes something, without the sender's own names, hashes, boundaries and tokens. */
function said({ method, path, query, headers, raw, body }, account, name) {
  const form = headers["content-type"]?.startsWith("multipart/") ? parseForm(headers["content-type"], raw).parts : undefined;
  const metadata = form?.find((part) => part.name === "metadata");
  const { jwt, ...assets } = metadata ? JSON.parse(metadata.body).assets : {};
  return {
    call: `${method} ${path.replace(account.id, "ACCOUNT").replace(name, "NAME")}?${[...query].map((pair) => pair.join("=")).sort().join("&")}`,
    type: headers["content-type"].split(";")[0],
    by: headers.authorization === `Bearer ${account.token}` ? "the API token" : kindOf(headers.authorization.slice("Bearer ".length)),
    date: headers["cloudflare-workers-script-api-date"],
    manifest: body?.manifest && Object.entries(body.manifest).map(([file, { hash, size, ...more }]) => [file, hash.length, size, more]).sort(),
    metadata: metadata && { ...JSON.parse(metadata.body), assets, jwt: kindOf(jwt) },
    metadataPart: metadata && [metadata.filename, metadata.type],
    files: metadata ? undefined : form?.map((part) => ({ named: part.name === part.filename && part.name.length, type: part.type, body: String(part.body) })),
    enabled: body?.enabled,
  };
}

const kindOf = (jwt) => JSON.parse(Buffer.from(jwt.split(".")[1], "base64url")).kind;

/** The calls of a deployment that change something. All uploads count as one. */
function deployed(account, name) {
  const calls = callsOf(account).filter(({ method }) => method !== "GET").map((request) => said(request, account, name));
  const uploads = calls.filter(({ files }) => files);
  const files = uploads.flatMap((call) => call.files).sort((a, b) => a.body.localeCompare(b.body));
  return [...new Set(calls.map((call) => (call.files ? uploads[0] : call)))].map((call) => (call.files ? { ...call, files } : call));
}

test("wrangler works against the fake: a Worker with assets only is deployed twice", async () => {
  const account = cloudflare.account();
  const { first, again } = await wrangler(account, "by-wrangler");
  assert.match(first.stdout, new RegExp(`https://by-wrangler\\.${account.subdomain}\\.workers\\.dev`));
  const script = cloudflare.script(account, "by-wrangler");
  assert.deepEqual([...script.files.keys()].sort(), Object.keys(FILES).map((path) => `/${path}`).sort());
  assert.match((await again()).stdout, /No updated asset files to upload/);
});

test("our requests match wrangler's in all that matters", async () => {
  const [theirs, ours] = [cloudflare.account(), cloudflare.account()];
  const { id } = await project(FILES, "By both");
  const name = `by-both-${id.slice(0, 8)}`;
  await wrangler(theirs, name);
  const headers = { "x-cloudflare-api-token": ours.token, "x-cloudflare-account-id": ours.id };
  const { deploymentId } = await (await hatch.api("POST", "/api/deploy", { projectId: id, target: "cloudflare" }, headers)).json();
  await until(async () => (await show(deploymentId)).logs.includes("Published"));

  const [expected, actual] = [deployed(theirs, name), deployed(ours, name)];
  assert.equal(expected.length, 4, "a session, uploads, the script, its address");
  // Our requests add the owner's mark, and state wrangler's default explicitly.
  const { tags, annotations, assets: { config: { html_handling: handling, ...config } }, ...metadata } = actual[2].metadata;
  assert.deepEqual([tags, handling, Object.keys(annotations)], [[`hatch-project:${id}`], "auto-trailing-slash", ["workers/message"]]);
  actual[2].metadata = { ...metadata, assets: { config } };
  assert.deepEqual(actual, expected);
  await sqlDone(deploymentId);
});

/** Nothing answers at workers.dev here, so the deployment ends like one with a new address. */
async function sqlDone(id) {
  await until(async () => (await row("SELECT pushed_at FROM deployments WHERE id = ?", id)).pushed_at);
  await hatch.sql("UPDATE deployments SET pushed_at = 0 + pushed_at - 31000 WHERE id = ?", id);
  assert.match((await ended(id)).url, /^https:\/\/by-both-[0-9a-f]{8}\.sub\d+\.workers\.dev$/);
}

test("the Worker's own account has its apps in the dispatch namespace, and takes them down there", async () => {
  const { id } = await project(FILES, "In a namespace");
  const name = `in-a-namespace-${id.slice(0, 8)}`;
  const deployment = await live(id, { target: "cloudflare" });
  assert.equal(deployment.status, "live", deployment.logs);
  assert.deepEqual([...own.namespaces.get(NAMESPACE).keys()], [name]);
  assert.equal(own.scripts.size, 0);
  assert.equal(deployment.url, null, "only its owner knows where the namespace answers");
  assert.ok(lines(deployment).includes("Set CLOUDFLARE_APP_URL to define the addresses of the namespace's apps"));
  assert.equal((await live(id, { target: "cloudflare" })).status, "live", "and once more");
  assert.equal(own.namespaces.get(NAMESPACE).get(name).puts, 2);
  assert.equal((await hatch.api("DELETE", `/api/projects/${id}`)).status, 204);
  await until(() => own.namespaces.get(NAMESPACE).size === 0);
});
