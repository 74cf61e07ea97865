// A startup's verified creator, its hash on chain, and its video: the parts with
// Concordium and Livepeer. There is no key for Claude, so the sandbox model makes
// the rest.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, beforeEach, test } from "node:test";
import { startConcordium } from "./fakes/concordium.js";
import { startLivepeer } from "./fakes/livepeer.js";
import { until } from "./support/deployments.js";
import { startWorker } from "./support/harness.js";
import { startups } from "./support/startups.js";

const [concordium, livepeer] = await Promise.all([startConcordium(), startLivepeer()]);
const fakes = [concordium, livepeer];
after(() => Promise.all(fakes.map((fake) => fake.close())));
beforeEach(() => fakes.forEach((fake) => fake.reset()));

const services = { CONCORDIUM_WALLET_PROXY_URL: concordium.url, CONCORDIUM_VERIFIER_URL: concordium.url };
const hatch = await startWorker({
  ...services, CONCORDIUM_SENDER: concordium.sender, CONCORDIUM_SIGNING_KEY: concordium.signingKey, LIVEPEER_API_KEY: livepeer.key, LIVEPEER_BASE_URL: livepeer.url,
  LIVEPEER_TIMEOUT_MS: "5000", RUNNING_JOBS_LIMIT: "20",
});
const { api, sql } = hatch;
const { generate, ended, made, show, dies } = startups(hatch);

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const challenged = async () => (await api("POST", "/api/generate/challenge")).json();
const startup = async (more, prompt = "A booking app for barbers") => show((await made(prompt, more)).job);

test("without a proof no creator is verified, whatever the client claims", async () => {
  const { verified, identity, competitors, competitors_source: source } = await startup({ verified: true });
  assert.equal(verified, false);
  assert.equal(identity.verification.status, "not_requested");
  assert.equal(source, "sandbox");
  assert.ok(competitors.length > 0 && competitors.every(({ url, citations }) => url === null && citations.length === 0));
});

test("a proof for our challenge makes a startup verified, and is not stored", async () => {
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

test("an invalid proof, or one of something else, verifies no one and does not fail the job", async () => {
  const { request } = await challenged();
  const statement = request.credentialStatements[0].statement;
  const forged = { ...concordium.present(request), proof: "forged" };
  const cases = [[forged, /not valid/]];
  for (const [changes, reason] of [
    [{ challenge: "ab".repeat(32) }, /another challenge/],
    [{ credentialStatements: [] }, /does not show what was asked/],
    [{ credentialStatements: [{ id: "did:ccd:mainnet:cred:85", statement }] }, /does not show what was asked/],
    [{ credentialStatements: [{ id: "did:ccd:testnet:cred:85", statement: [{ ...statement[0], lower: "20000101" }] }] }, /does not show what was asked/],
  ]) cases.push([concordium.present((await challenged()).request, changes), reason]);
  for (const [proof, reason] of cases) {
    const { verified, identity } = await startup({ proof, verified: true });
    assert.equal(verified, false);
    assert.equal(identity.verification.status, "failed");
    assert.match(identity.verification.reason, reason);
  }
});

test("a cancelled job keeps its proof, sealed, for a retry", async () => {
  const { challenge, request } = await challenged();
  concordium.setFault({ path: "/v0/verify", hang: true });
  const jobId = await generate(undefined, { proof: concordium.present(request) });
  await until(() => concordium.count("/v0/verify") === 1);
  assert.equal((await api("POST", `/api/generate/${jobId}/cancel`)).status, 200);
  concordium.release();
  const [{ proof: kept }] = await sql("SELECT proof FROM startups WHERE job_id = ?", jobId);
  assert.match(kept, /^v1\./);
  const shown = await Promise.all(["/auth/export", `/api/status/${jobId}`, "/api/generate"].map(async (path) => (await api("GET", path)).text()));
  for (const secret of [challenge, kept]) assert.ok(shown.every((text) => !text.includes(secret)));

  assert.equal((await api("POST", `/api/generate/${jobId}/retry`)).status, 200);
  const { verified, identity } = await show(await ended(jobId));
  assert.deepEqual([verified, identity.verification.status], [true, "completed"]);
  assert.equal((await sql("SELECT proof FROM startups WHERE job_id = ?", jobId))[0].proof, null);
});

test("a proof that our key cannot open, and an unknown account, are reported and do not fail the job", async () => {
  concordium.setFault({ path: "/v0/accNonce/", status: 404, times: Infinity });
  livepeer.setFault({ path: "/text-to-image", hang: true });
  const jobId = await generate(undefined, { proof: concordium.present((await challenged()).request) });
  await until(() => livepeer.count("/text-to-image") === 1);
  const [{ proof }] = await sql("SELECT proof FROM startups WHERE job_id = ?", jobId);
  // As if it had been sealed with another key.
  await sql("UPDATE startups SET proof = ? WHERE job_id = ?", `${proof.slice(0, 20)}${proof[20] === "A" ? "B" : "A"}${proof.slice(21)}`, jobId);
  livepeer.release();
  const job = await ended(jobId);
  assert.equal(job.status, "completed", job.error);
  const { verified, identity: { verification, registration }, project_id: id } = await show(job);
  assert.deepEqual([verified, verification.status, registration.status], [false, "failed", "failed"]);
  assert.match(verification.reason, /send a new one.*SEALING_KEY/);
  assert.match(registration.reason, /CONCORDIUM_SENDER.*set it/);
  assert.equal(concordium.count(`/v0/accNonce/${concordium.sender}`), 1);
  const response = await api("GET", `/api/download/${id}`);
  assert.equal(response.status, 200);
  await response.body.cancel();
});

test("if every attempt at the chain is interrupted, the startup goes on without it", async () => {
  concordium.setFault({ path: "/v0/accNonce/", hang: true, times: Infinity });
  const jobId = await generate();
  await until(() => concordium.requests.length === 1);
  await dies(jobId, concordium, { attempts: 4 });
  const { identity: { registration } } = await show(await ended(jobId));
  assert.deepEqual([registration.status, registration.reason], ["failed", "Concordium takes too long"]);
  assert.equal(concordium.requests.length, 1);
});

test("a challenge works once, until it expires, and only for its own caller", async () => {
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

test("a transaction that was stored but not sent, or sent without a response, is sent again unchanged", async () => {
  // The proxy accepts it, and its response is lost.
  concordium.setFault({ path: "/v0/submitRawTransaction", cutAfterBytes: 0 });
  const { job } = await made("A booking app for barbers");
  assert.equal((await show(job)).identity.registration.status, "completed");
  const sent = concordium.requests.filter(({ path }) => path === "/v0/submitRawTransaction");
  assert.ok(sent.every(({ raw }) => raw.equals(sent[0].raw)));
  assert.equal(concordium.transactions.size, 1);
});

test("startups that end together are all registered, each with its own sequence number", async () => {
  // No job checks its transaction before all have signed one with the same sequence number.
  concordium.setFault({ path: "/v0/submissionStatus/", hang: true, times: 6 });
  const jobs = await Promise.all(Array.from({ length: 6 }, (_, n) => generate(`A shop for tea number ${n}`)));
  await until(() => concordium.requests.filter(({ path }) => path.startsWith("/v0/submissionStatus/")).length === 6);
  concordium.release();
  const all = await Promise.all(jobs.map(async (id) => show(await ended(id))));
  assert.deepEqual(all.map(({ identity }) => identity.registration.status), Array(6).fill("completed"));
  const hashes = all.map(({ identity }) => identity.registration.transaction_hash);
  assert.deepEqual(hashes.map((hash) => concordium.transactions.get(hash).nonce).toSorted((a, b) => a - b), [7, 8, 9, 10, 11, 12]);
  assert.equal(concordium.transactions.size, 6);
});

test("a transaction that loses its sequence number is signed again until it has one", async () => {
  concordium.overtake(3);
  const { job, lines } = await made("A booking app for barbers");
  assert.equal((await show(job)).identity.registration.status, "completed");
  assert.deepEqual([...concordium.transactions.values()].map(({ nonce }) => nonce), [10]);
  assert.equal(lines.filter((line) => line.startsWith("Registering")).length, 1, lines.join("\n"));
});

test("a rejection by the chain is reported, and the startup is ready without it", async () => {
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
  test(`a failure of ${path} fails the video, not the startup`, async () => {
    livepeer.setFault({ path, status: 500 });
    const { job, lines } = await made("A booking app for barbers");
    const { marketing_assets: { video } } = await show(job);
    assert.deepEqual([job.status, video.status, video.video_url], ["completed", "failed", null]);
    assert.equal(video.thumbnail_url === null, path === "/text-to-image");
    assert.ok(lines.includes("There is no video: Livepeer answered 500"), lines.join("\n"));
  });
}

test("a picture and its video's response together take no longer than LIVEPEER_TIMEOUT_MS", async () => {
  // A byte at a time: the picture's 70 and the response's 68 bytes are each in time, but not both together.
  const slow = { chunkBytes: 1, delayMs: 45 };
  livepeer.setFault({ path: "/stream/", ...slow }, { path: "/image-to-video", ...slow });
  const { job, lines } = await made("A booking app for barbers");
  const { marketing_assets: { video } } = await show(job);
  assert.deepEqual([video.status, video.video_url], ["failed", null]);
  assert.match(video.thumbnail_url, /\.png$/);
  assert.ok(lines.includes("There is no video: Livepeer did not answer in time"), lines.join("\n"));
  assert.deepEqual(livepeer.requests.map(({ path }) => path.split("/")[1]), ["text-to-image", "stream", "image-to-video"]);
});

test("if every attempt at the video is interrupted, the startup goes on with its picture alone", async () => {
  livepeer.setFault({ path: "/image-to-video", hang: true, times: Infinity });
  const jobId = await generate();
  for (const attempt of [1, 2]) {
    await until(() => livepeer.count("/image-to-video") === attempt);
    await dies(jobId, livepeer);
  }
  const job = await ended(jobId);
  const { marketing_assets: { video } } = await show(job);
  assert.deepEqual([video.status, video.video_url], ["failed", null]);
  assert.match(video.thumbnail_url, /\.png$/);
  assert.deepEqual([livepeer.count("/text-to-image"), livepeer.count("/image-to-video")], [1, 2]);
  assert.ok(job.logs.some(({ message }) => message === "There is no video: making it was interrupted too often"));
});

test("a service that is not configured is reported, and not called", async () => {
  const plain = await startWorker(services);
  const { made, show } = startups(plain);
  const { marketing_assets: { video }, identity } = await show((await made("A booking app for barbers")).job);
  assert.deepEqual([video.status, identity.registration.status], ["not_configured", "not_configured"]);
  assert.deepEqual([concordium.requests.length, livepeer.requests.length], [0, 0]);
});
