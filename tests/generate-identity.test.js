// Who made a startup, and its hash on chain, and its video: the parts of it
// that Concordium and Livepeer have. Without a key for Claude, so that the
// rest is the sandbox model's. api.md, section 2; upstreams.md 1.12 and 1.13.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, beforeEach, test } from "node:test";
import { startConcordium } from "./fakes/concordium.js";
import { startLivepeer } from "./fakes/livepeer.js";
import { startWorker } from "./harness.js";
import { startups } from "./startups.js";

const [concordium, livepeer] = await Promise.all([startConcordium(), startLivepeer()]);
const fakes = [concordium, livepeer];
after(() => Promise.all(fakes.map((fake) => fake.close())));
beforeEach(() => fakes.forEach((fake) => fake.reset()));

const services = { CONCORDIUM_WALLET_PROXY_URL: concordium.url, CONCORDIUM_VERIFIER_URL: concordium.url };
const hatch = await startWorker({
  ...services, CONCORDIUM_SENDER: concordium.sender, CONCORDIUM_SIGNING_KEY: concordium.signingKey, LIVEPEER_API_KEY: livepeer.key, LIVEPEER_BASE_URL: livepeer.url,
});
const { api, sql } = hatch;
const { generate, ended, made, show } = startups(hatch);

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const challenged = async () => (await api("POST", "/api/generate/challenge")).json();
const startup = async (more, prompt = "A booking app for barbers") => show((await made(prompt, more)).job);

test("without a proof nobody is verified, whatever a client says of itself", async () => {
  const { verified, identity, competitors, competitors_source: source } = await startup({ verified: true });
  assert.equal(verified, false);
  assert.equal(identity.verification.status, "not_requested");
  assert.equal(source, "sandbox");
  assert.ok(competitors.length > 0 && competitors.every(({ url, citations }) => url === null && citations.length === 0));
});

test("a proof that answers our challenge makes a startup verified, and is kept by nobody", async () => {
  const { challenge, request, network } = await challenged();
  assert.match(challenge, /^[0-9a-f]{64}$/);
  assert.deepEqual([network, request.challenge], ["testnet", challenge]);
  const proof = concordium.present(request);
  const jobId = await generate(undefined, { proof });
  const [{ proof: kept }] = await sql("SELECT proof FROM startups WHERE job_id = ?", jobId);
  assert.ok(kept === null || !kept.includes(challenge));
  const job = await ended(jobId);
  const { verified, identity: { verification } } = await show(job);
  assert.equal(verified, true);
  assert.deepEqual([verification.status, verification.reason, typeof verification.block], ["completed", null, "string"]);
  assert.deepEqual(concordium.requests.find(({ path }) => path === "/v0/verify").body, proof);
  assert.equal((await sql("SELECT proof FROM startups WHERE job_id = ?", jobId))[0].proof, null);
});

test("a proof that is not valid, or valid and of something else, verifies nobody and fails nothing", async () => {
  const { request } = await challenged();
  const statement = request.credentialStatements[0].statement;
  const forged = { ...concordium.present(request), proof: "forged" };
  const cases = [[forged, /not valid/]];
  for (const [changes, reason] of [
    [{ challenge: "ab".repeat(32) }, /another challenge/],
    [{ credentialStatements: [] }, /not of what was asked/],
    [{ credentialStatements: [{ id: "did:ccd:mainnet:cred:85", statement }] }, /not of what was asked/],
    [{ credentialStatements: [{ id: "did:ccd:testnet:cred:85", statement: [{ ...statement[0], lower: "20000101" }] }] }, /not of what was asked/],
  ]) cases.push([concordium.present((await challenged()).request, changes), reason]);
  for (const [proof, reason] of cases) {
    const { verified, identity } = await startup({ proof, verified: true });
    assert.equal(verified, false);
    assert.equal(identity.verification.status, "failed");
    assert.match(identity.verification.reason, reason);
  }
});

test("a challenge is good once, until it expires, and for whom it was given", async () => {
  const [once, expired, foreign] = [await challenged(), await challenged(), await challenged()];
  const proof = concordium.present(once.request);
  const both = await Promise.all([1, 2].map(() => api("POST", "/api/generate", { prompt: "A", proof })));
  assert.deepEqual(both.map(({ status }) => status).toSorted(), [200, 400]);
  await ended((await both.find(({ ok }) => ok).json()).job_id);

  await sql("UPDATE proof_challenges SET expires_at = 1 WHERE challenge = ?", expired.challenge);
  await sql("UPDATE proof_challenges SET user_id = 'somebody-else' WHERE challenge = ?", foreign.challenge);
  const before = (await sql("SELECT count(*) AS n FROM startups"))[0].n;
  for (const bad of [proof, concordium.present(expired.request), concordium.present(foreign.request), {}, { presentationContext: "x" }]) {
    const response = await api("POST", "/api/generate", { prompt: "A", proof: bad });
    assert.equal(response.status, 400);
    assert.match((await response.json()).detail, /unknown, used or expired/);
  }
  assert.equal((await api("POST", "/api/generate", { prompt: "A", proof: { presentationContext: "a".repeat(110_000) } })).status, 422);
  assert.equal((await sql("SELECT count(*) AS n FROM startups"))[0].n, before);
  await hatch.worker.scheduled({ cron: "* * * * *" });
  assert.deepEqual(await sql("SELECT user_id FROM proof_challenges WHERE challenge IN (?, ?)", expired.challenge, foreign.challenge), [{ user_id: "somebody-else" }]);
});

test("the hash of the ZIP is registered on chain, once", async () => {
  const { job } = await made("A booking app for barbers");
  const { identity: { registration }, project_id: id } = await show(job);
  const zip = Buffer.from(await (await api("GET", `/api/download/${id}`)).arrayBuffer());
  assert.deepEqual([registration.status, registration.network, registration.data], ["completed", "testnet", `hatch:sha256:${sha256(zip)}`]);
  const [[hash, { data }], ...more] = concordium.transactions;
  assert.deepEqual([more.length, hash], [0, registration.transaction_hash]);
  // CBOR, a text of 77 bytes.
  assert.equal(data, `784d${Buffer.from(registration.data).toString("hex")}`);
  assert.equal(concordium.count("/v0/submitRawTransaction"), 1);
});

test("a transaction that was kept and not sent, or sent and not heard of, is sent again as it was", async () => {
  // The proxy takes it, and its answer is lost.
  concordium.setFault({ path: "/v0/submitRawTransaction", cutAfterBytes: 0 });
  const { job } = await made("A booking app for barbers");
  assert.equal((await show(job)).identity.registration.status, "completed");
  const sent = concordium.requests.filter(({ path }) => path === "/v0/submitRawTransaction");
  assert.ok(sent.every(({ raw }) => raw.equals(sent[0].raw)));
  assert.equal(concordium.transactions.size, 1);
});

test("two startups at once both get into the chain, with numbers of their own", async () => {
  const jobs = await Promise.all([generate("A booking app"), generate("A shop for tea")]);
  const both = await Promise.all(jobs.map(async (id) => show(await ended(id))));
  assert.deepEqual(both.map(({ identity }) => identity.registration.status), ["completed", "completed"]);
  assert.equal(concordium.transactions.size, 2);
});

test("what the chain rejects is said, and the startup is ready all the same", async () => {
  concordium.reject();
  const { job, lines } = await made("A booking app for barbers");
  const { identity: { registration } } = await show(job);
  assert.deepEqual([job.status, registration.status], ["completed", "failed"]);
  assert.match(registration.reason, /rejected/);
  assert.ok(lines.some((line) => line.startsWith("The package's hash is not registered")), lines.join("\n"));
});

test("a video begins with a picture, and both are where Livepeer says", async () => {
  const { marketing_assets: { video } } = await startup();
  assert.equal(video.status, "completed");
  assert.match(video.video_url, new RegExp(`^${livepeer.url}/stream/.+\\.mp4$`));
  assert.match(video.thumbnail_url, new RegExp(`^${livepeer.url}/stream/.+\\.png$`));
  assert.equal(video.duration, 5);
});

for (const path of ["/text-to-image", "/image-to-video"]) {
  test(`a failure of ${path} is a failed video and no failed startup`, async () => {
    livepeer.setFault({ path, status: 500 });
    const { job, lines } = await made("A booking app for barbers");
    const { marketing_assets: { video } } = await show(job);
    assert.deepEqual([job.status, video.status, video.video_url], ["completed", "failed", null]);
    assert.equal(video.thumbnail_url === null, path === "/text-to-image");
    assert.ok(lines.includes("There is no video: Livepeer answered 500"), lines.join("\n"));
  });
}

test("what is not configured says so, and nobody is asked", async () => {
  const plain = await startWorker(services);
  const { made, show } = startups(plain);
  const { marketing_assets: { video }, identity } = await show((await made("A booking app for barbers")).job);
  assert.deepEqual([video.status, identity.registration.status], ["not_configured", "not_configured"]);
  assert.deepEqual([concordium.requests.length, livepeer.requests.length], [0, 0]);
});
