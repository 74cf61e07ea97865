// An app's files as a ZIP by signed URLs: ours, and those of a bucket.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { text } from "node:stream/consumers";
import { crc32 } from "node:zlib";
import { after, test } from "node:test";
import yauzl from "yauzl";
import { PAGE, agents, builds, call, finish, scripted } from "./support/agents.js";
import { claudeVars } from "./support/conversation.js";
import { startAnthropic } from "./fakes/anthropic.js";
import { startFaultServer } from "./fakes/fault-server.js";
import { problem, startWorker } from "./support/harness.js";
import { as, people } from "./support/people.js";

const KEYS = { id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
const claude = await startAnthropic();
claude.setAnswer(builds());
const s3 = await startS3();
after(() => Promise.all([claude.close(), s3.close()]));
const hatch = await startWorker({ ...claudeVars(claude), DAILY_MESSAGE_LIMIT: "100" });
const { api } = hatch;
const { sendToEnd, code } = agents(hatch);
const { signIn } = people(hatch);

/** A bucket that verifies signatures (SigV4 in the query), and stores objects. */
async function startS3() {
  const objects = new Map();
  const encode = (part) => encodeURIComponent(part).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const hmac = (key, data) => createHmac("sha256", key).update(data).digest();
  function isSigned({ method, path, query, headers }) {
    const [id, date, region, service, end] = query.get("X-Amz-Credential").split("/");
    const names = query.get("X-Amz-SignedHeaders").split(";");
    const pairs = [...query].filter(([name]) => name !== "X-Amz-Signature").map(([name, value]) => `${encode(name)}=${encode(value)}`).sort();
    const canonical = [method, path, pairs.join("&"), ...names.map((name) => `${name}:${headers[name]}`), "", names.join(";"), "UNSIGNED-PAYLOAD"].join("\n");
    const scope = [date, region, service, end].join("/");
    const toSign = ["AWS4-HMAC-SHA256", query.get("X-Amz-Date"), scope, createHash("sha256").update(canonical).digest("hex")].join("\n");
    const key = [date, region, service, end].reduce(hmac, `AWS4${KEYS.secret}`);
    return id === KEYS.id && names.includes("host") && Number(query.get("X-Amz-Expires")) <= 900 && hmac(key, toSign).toString("hex") === query.get("X-Amz-Signature");
  }
  const reply = (status, bytes = Buffer.alloc(0)) => ({ status, headers: { "content-type": "application/zip" }, pieces: [bytes] });
  const server = await startFaultServer({
    refusal: (request) => (isSigned(request) ? undefined : reply(403)),
    answer({ method, path, raw }) {
      if (method === "PUT") objects.set(path, raw);
      return objects.has(path) ? reply(200, method === "GET" ? objects.get(path) : undefined) : reply(404);
    },
    failure: ({ status }) => reply(status), garbage: () => Buffer.alloc(0),
  });
  return Object.assign(server, { objects });
}

/** The files of a ZIP, path to text. */
async function unzipped(bytes) {
  const zip = await yauzl.fromBufferPromise(Buffer.from(bytes), { strictFileNames: true, validateEntrySizes: true });
  const files = {};
  for await (const entry of zip.eachEntry()) files[entry.fileName] = await text(await zip.openReadStreamPromise(entry));
  return files;
}

const { appId } = await sendToEnd("A timer");
const urls = async (query = "", headers) => (await api("GET", `/apps/${appId}/read-url${query}`, undefined, headers)).json();

test("the signed URL reads the files, and nothing else, until it expires", async () => {
  const { readUrl, writeUrl, expiresIn } = await urls();
  assert.equal(writeUrl, undefined);
  assert.equal(expiresIn, 900);
  const stranger = as((await signIn()).token);
  const response = await api("GET", readUrl, undefined, stranger);
  assert.equal(response.headers.get("content-type"), "application/zip");
  assert.deepEqual(await unzipped(await response.arrayBuffer()), { "pomodoro-timer/index.html": PAGE });
  const other = new URL(readUrl);
  const bent = (change) => {
    const url = new URL(other);
    change(url);
    return url.href;
  };
  for (const url of [
    bent((url) => url.searchParams.set("expires", Number(url.searchParams.get("expires")) + 1)),
    bent((url) => url.searchParams.set("expires", "1")),
    bent((url) => url.searchParams.set("signature", `x${url.searchParams.get("signature")}`)),
    bent((url) => url.searchParams.delete("signature")),
    bent((url) => { url.pathname = url.pathname.replace(appId, "1f3a9c04-6b52-4d0e-9a57-2f8e4c1b7d36"); }),
  ]) {
    await problem(await api("GET", url), 403, "not_signed");
  }
  const put = await fetch(readUrl, { method: "PUT", body: "x", headers: { "content-type": "application/zip" } });
  assert.equal(put.status, 403, "a URL to read by writes nothing");
  assert.equal((await api("GET", `/apps/${appId}/read-url`, undefined, stranger)).status, 404);
});

test("a ZIP sent to the write URL becomes a version, and an invalid ZIP changes nothing", async () => {
  const { readUrl, writeUrl } = await urls("?write=true");
  const put = (body, type = "application/zip") => fetch(writeUrl, { method: "PUT", body, headers: { "content-type": type } });
  const zip = Buffer.from(await (await fetch(readUrl)).arrayBuffer());
  for (const [body, type, status] of [["no zip", undefined, 400], [zip.subarray(0, zip.length - 9), undefined, 400], [zip, "text/html", 415], [Buffer.alloc(5_000_001), undefined, 413]]) {
    assert.equal((await put(body, type)).status, status);
  }
  assert.deepEqual(await code(appId), { "index.html": PAGE });
  await api("PATCH", `/api/projects/${appId}`, { code: { "other.txt": "other" } });
  const taken = await put(zip);
  assert.equal(taken.status, 200, await taken.clone().text());
  assert.deepEqual(await code(appId), { "index.html": PAGE });
  assert.equal((await fetch(writeUrl)).status, 403, "a URL to write by reads nothing");
});

/** A ZIP of these files, stored as they are. */
function zipped(files) {
  const [parts, listed] = [[], []];
  let at = 0;
  for (const [path, text] of Object.entries(files)) {
    const [name, data] = [Buffer.from(path), Buffer.from(text)];
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(0x800, 2);
    fields.writeUInt32LE(crc32(data), 10);
    fields.writeUInt32LE(data.length, 14);
    fields.writeUInt32LE(data.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(at, 10);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), fields, name, data]);
    listed.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), fields, place, name]));
    parts.push(local);
    at += local.length;
  }
  const directory = Buffer.concat(listed);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(listed.length, 4);
  end.writeUInt16LE(listed.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...parts, directory, Buffer.from("PK\x05\x06"), end]);
}

test("a name is one file however its letters are composed, by each way in which files come", async () => {
  // As macOS writes it, and as everybody else.
  const [apart, composed] = ["u\u0308ber/\u1112\u1161\u11ab.txt", "\u00fcber/\ud55c.txt"];
  const both = { [apart]: "a", [composed]: "b" };
  const isComposed = async (text) => assert.deepEqual(await code(appId), { [composed]: text });
  const { writeUrl } = await urls("?write=true");
  const inFolder = (files) => Object.fromEntries(Object.entries(files).map(([path, text]) => [`app/${path}`, text]));
  const put = (files) => fetch(writeUrl, { method: "PUT", body: zipped(inFolder(files)), headers: { "content-type": "application/zip" } });
  const patch = (code) => api("PATCH", `/api/projects/${appId}`, { code });

  assert.equal((await put({ [apart]: "by ZIP" })).status, 200);
  await isComposed("by ZIP");
  assert.equal((await patch({ [apart]: "by PATCH\n" })).status, 200);
  await isComposed("by PATCH\n");
  claude.setAnswer(scripted([call("edit_file", { path: apart, old_string: "PATCH", new_string: "tool" })], [call("apply_diff", { diff: `--- a/${apart}\n+++ b/${apart}\n@@ -1 +1,2 @@\n+and by diff\n by tool\n` })], [finish()]));
  await sendToEnd("Change it", { applicationId: appId });
  await isComposed("and by diff\nby tool\n");
  assert.equal((await put(both)).status, 400);
  await problem(await patch(both), 400, "validation_failed");
  await isComposed("and by diff\nby tool\n");
});

test("with a bucket the files are there, and its URL is signed as S3 demands", async () => {
  const bucket = await startWorker({
    ...claudeVars(claude), S3_BUCKET: "app-files", S3_ENDPOINT: s3.url, S3_ACCESS_KEY_ID: KEYS.id, S3_SECRET_ACCESS_KEY: KEYS.secret,
  });
  claude.setAnswer(builds());
  const made = await agents(bucket).sendToEnd("A timer");
  const { readUrl } = await (await bucket.api("GET", `/apps/${made.appId}/read-url`)).json();
  assert.ok(readUrl.startsWith(`${s3.url}/app-files/apps/${made.appId}/1.zip?`) && !readUrl.includes(KEYS.secret));
  const response = await fetch(readUrl);
  assert.deepEqual(await unzipped(await response.arrayBuffer()), { "pomodoro-timer/index.html": PAGE });
  assert.equal((await fetch(readUrl.replace("1.zip", "2.zip"))).status, 403);
});
