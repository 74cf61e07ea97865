// Signing in with a wallet (EIP-4361, EIP-191), and signing out.

import assert from "node:assert/strict";
import test, { after } from "node:test";
import { startStackAuth } from "./fakes/stack-auth.js";
import { problem, startWorker } from "./support/harness.js";
import { as, malleated, misspelled, newStellarWallet, newWallet, PAGE, people, production } from "./support/people.js";

const stack = await startStackAuth();
after(() => stack.close());
const worker = await startWorker(production(stack));
const { api, sql, url } = worker;
const { ok, challenge, verify, signIn, mint, newKey, rows, findNoSecret, secret } = people(worker, stack);

const HOST = new URL(url).host;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** The rows that a sign-in writes. */
const TABLES = ["users", "sessions", "nonces", "audit_log"];

/** Checks that a sign-in is refused and changes nothing. */
async function refused(wallet, message, options, status = 401) {
  const before = await rows(TABLES);
  const { detail } = await problem(await verify(wallet, message, options), status);
  assert.deepEqual(await rows(TABLES), before, detail);
  return detail;
}

/** A text with one line in place of the one that begins like it; without it, when there is no `line`. */
function withLine(message, name, line) {
  const lines = message.split("\n");
  const at = lines.findIndex((each) => each.startsWith(name));
  assert.ok(at >= 0, name);
  lines.splice(at, 1, ...(line === undefined ? [] : [line]));
  return lines.join("\n");
}

test("The published test vector of an address, a key and a signature passes", () => {
  const wallet = newWallet(Buffer.from("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318", "hex"));
  assert.equal(wallet.address.toLowerCase(), "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23");
  assert.equal(
    wallet.sign("Some data"),
    "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c",
  );
});

test("A challenge is the text of EIP-4361, for ten minutes", async () => {
  const wallet = newWallet();
  const { message, nonce, expiresAt } = await challenge(wallet);
  assert.match(nonce, /^[0-9a-f]{32}$/);
  const issuedAt = message.match(/^Issued At: (.+)$/m)[1];
  assert.equal(Date.parse(expiresAt) - Date.parse(issuedAt), 10 * MINUTE_MS);
  assert.ok(Math.abs(Date.parse(issuedAt) - Date.now()) < MINUTE_MS);
  assert.equal(message, [
    `${HOST} wants you to sign in with your Ethereum account:`, wallet.address, "",
    "Sign in to Hatch. This costs nothing and sends no transaction.", "",
    `URI: ${url}`, "Version: 1", "Chain ID: 1", `Nonce: ${nonce}`, `Issued At: ${issuedAt}`, `Expiration Time: ${expiresAt}`,
  ].join("\n"));
  assert.notEqual((await challenge(wallet)).nonce, nonce);
  assert.match((await challenge(wallet, { chainId: 8453 })).message, /^Chain ID: 8453$/m);
});

test("The wallets of these tests pass the test case of SEP-53", () => {
  const wallet = newStellarWallet(Buffer.from("148112b05e2c693932e5adf3e53601f3521032eebeb3abb5e316902f0a40a024", "hex"));
  assert.equal(wallet.address, "GBXFXNDLV4LSWA4VB7YIL5GBD7BVNR22SGBTDKMO2SBZZHDXSKZYCP7L");
  assert.equal(wallet.sign("Hello, World!"), "fO5dbYhXUhBMhe6kId/cuVq/AfEnHRHEvsP8vXh03M1uLpi5e46yO2Q8rEBzu3feXQewcQE5GArp88u6ePK6BA==");
});

test("A Stellar key signs in by the same text with its chain's name, signed as Freighter does", async () => {
  const wallet = newStellarWallet();
  const { message, nonce, expiresAt } = await challenge(wallet);
  const issuedAt = message.match(/^Issued At: (.+)$/m)[1];
  assert.equal(message, [
    `${HOST} wants you to sign in with your Stellar account:`, wallet.address, "",
    "Sign in to Hatch. This costs nothing and sends no transaction.", "",
    `URI: ${url}`, "Version: 1", "Chain ID: pubnet", `Nonce: ${nonce}`, `Issued At: ${issuedAt}`, `Expiration Time: ${expiresAt}`,
  ].join("\n"));
  const first = await signIn(wallet);
  const me = await ok("GET", "/auth/me", undefined, first.token);
  assert.deepEqual([me.id, me.wallet, me.credential], [first.userId, wallet.address, "session"]);
  assert.equal((await signIn(wallet)).userId, first.userId);
  assert.notEqual((await signIn(newStellarWallet())).userId, first.userId);
});

test("A Stellar sign-in is refused for the same reasons as others", async () => {
  const wallet = newStellarWallet();
  const { message } = await challenge(wallet);
  const time = (ms) => new Date(Date.now() + ms).toISOString();
  for (const [told, edited] of [
    [/another site/, withLine(message, HOST, "evil.example wants you to sign in with your Stellar account:")],
    [/chain|address/, withLine(message, HOST, `${HOST} wants you to sign in with your Ethereum account:`)],
    [/address/, withLine(message, wallet.address, wallet.address.toLowerCase())],
    [/address/, withLine(message, wallet.address, misspelled(wallet.address)[0])],
    [/URI/, withLine(message, "URI: ", "URI: https://evil.example/")],
    [/Chain ID/, withLine(message, "Chain ID: ", "Chain ID: testnet")],
    [/Chain ID/, withLine(message, "Chain ID: ", "Chain ID: 1")],
    [/nonce/, withLine(message, "Nonce: ", `Nonce: ${"0".repeat(32)}`)],
    [/10 minutes ago/, withLine(message, "Issued At: ", `Issued At: ${time(-11 * MINUTE_MS)}`)],
    [/expired/, withLine(message, "Expiration Time: ", `Expiration Time: ${time(-1000)}`)],
    [/unknown/, `${message}\n`],
  ]) {
    assert.match(await refused(wallet, edited), told, edited);
  }
  const good = wallet.sign(message);
  const cut = Buffer.from(good, "base64").subarray(1).toString("base64");
  for (const [signature, told] of [
    [newStellarWallet().sign(message), /another account/], [wallet.sign(`${message} `), /another account/], [newWallet().sign(message), /base64/],
    [cut, /base64/], ["", /base64/], [Buffer.from(good, "base64").toString("hex"), /base64/], [`${good} `, /base64/],
  ]) {
    assert.match(await refused(wallet, message, { signature }), told, signature);
  }
  // Another wallet's challenge, and an invalid key.
  const other = newStellarWallet();
  await refused(other, withLine(message, wallet.address, other.address));
  for (const address of misspelled(wallet.address)) await problem(await api("POST", "/auth/wallet/challenge", { address }), 400);
  await problem(await api("POST", "/auth/wallet/challenge", { address: wallet.address, chainId: 1 }), 400);

  const answers = await Promise.all(Array.from({ length: 10 }, () => verify(wallet, message)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(9).fill(401)]);
  secret((await answers.find(({ status }) => status === 200).json()).token);
});

test("An account has one wallet, of whichever chain", async () => {
  const linked = mint({});
  const { userId } = await signIn(newStellarWallet(), linked);
  for (const another of [newStellarWallet(), newWallet()]) {
    await problem(await verify(another, (await challenge(another)).message, { token: linked }), 409, "wallet_not_linked");
  }
  const ethereum = mint({});
  await signIn(newWallet(), ethereum);
  const another = newStellarWallet();
  await problem(await verify(another, (await challenge(another)).message, { token: ethereum }), 409, "wallet_not_linked");
  // Linking a wallet with an account of its own merges that account.
  const own = await signIn(newStellarWallet());
  const third = mint({});
  const { userId: into } = await signIn(own.wallet, third);
  assert.notEqual(into, own.userId);
  assert.equal((await signIn(own.wallet)).userId, into);
  assert.notEqual(into, userId);
});

test("A signed challenge gives a session, and the same wallet the same user", async () => {
  const { wallet, ...first } = await signIn();
  assert.match(first.token, /^hs_[0-9A-Za-z]{49}$/);
  assert.ok(Math.abs(Date.parse(first.expiresAt) - Date.now() - 30 * DAY_MS) < MINUTE_MS);
  const me = await ok("GET", "/auth/me", undefined, first.token);
  assert.deepEqual([me.id, me.wallet, me.credential, me.isStaff], [first.userId, wallet.address.toLowerCase(), "session", false]);
  assert.ok(me.scopes.includes("account") && !me.scopes.includes("admin"));
  const second = await signIn(wallet);
  assert.equal(second.userId, first.userId);
  assert.notEqual(second.token, first.token);
  assert.notEqual((await signIn()).userId, first.userId);
});

test("The page of a listed origin signs in for its own domain", async () => {
  const wallet = newWallet();
  const asked = await api("POST", "/auth/wallet/challenge", { address: wallet.address }, { origin: PAGE });
  const { message } = await asked.json();
  assert.match(message, /^hatch\.example wants you to sign in/);
  assert.match(message, /^URI: https:\/\/hatch\.example$/m);
  const response = await api("POST", "/auth/wallet/verify", { message, signature: wallet.sign(message) }, { origin: PAGE });
  assert.equal(response.status, 200);
  secret((await response.json()).token);
});

test("An address is taken in EIP-55, in lower case and in upper case, and refused when mistyped", async () => {
  const wallet = newWallet();
  const digits = wallet.address.slice(2);
  for (const address of [wallet.address, `0x${digits.toLowerCase()}`, `0x${digits.toUpperCase()}`]) {
    const { message } = await challenge({ address });
    assert.equal(message.split("\n")[1], wallet.address);
    assert.equal((await signIn(wallet)).wallet.address, wallet.address);
  }
  const i = [...digits].findIndex((digit) => /[a-fA-F]/.test(digit));
  const swapped = digits[i] === digits[i].toLowerCase() ? digits[i].toUpperCase() : digits[i].toLowerCase();
  const { errors } = await problem(await api("POST", "/auth/wallet/challenge", { address: `0x${digits.slice(0, i)}${swapped}${digits.slice(i + 1)}` }), 400);
  assert.match(errors[0].detail, /EIP-55/);
  // EIP-4361 demands the checksum in the text itself.
  const { message } = await challenge(wallet);
  for (const address of [`0x${digits.toLowerCase()}`, `0x${digits.toUpperCase()}`, digits]) await refused(wallet, withLine(message, "0x", address));
});

test("Of 20 parallel sign-ins with one challenge, exactly one gets a session", async () => {
  const wallet = newWallet();
  const { message } = await challenge(wallet);
  const answers = await Promise.all(Array.from({ length: 20 }, () => verify(wallet, message)));
  const statuses = answers.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [200, ...Array(19).fill(401)]);
  const { token, userId } = await answers.find(({ status }) => status === 200).json();
  secret(token);
  assert.equal((await sql("SELECT count(*) AS n FROM sessions WHERE user_id = ?", userId))[0].n, 1);
  assert.match(await refused(wallet, message), /nonce/);
});

test("A challenge is for the wallet that asked for it", async () => {
  const [mine, other] = [newWallet(), newWallet()];
  const { message } = await challenge(mine);
  // Signed by another wallet, with the first one's address and with its own.
  await refused(other, message);
  await refused(other, withLine(message, "0x", other.address));
  assert.equal((await verify(mine, message)).status, 200);
});

test("A text that is not the challenge is refused, however well it is signed", async () => {
  const wallet = newWallet();
  const { message, nonce } = await challenge(wallet);
  const host = new URL(url).hostname;
  const time = (ms) => new Date(Date.now() + ms).toISOString();
  const edits = [
    ["evil.example wants", /./, withLine(message, HOST, "evil.example wants you to sign in with your Ethereum account:")],
    ["a subdomain", /./, withLine(message, HOST, `evil.${HOST} wants you to sign in with your Ethereum account:`)],
    ["another port", /./, withLine(message, HOST, `${host}:1 wants you to sign in with your Ethereum account:`)],
    ["a user name", /./, withLine(message, HOST, `${HOST}@evil.example wants you to sign in with your Ethereum account:`)],
    ["another URI", /URI/i, withLine(message, "URI: ", "URI: https://evil.example/login")],
    ["a URI that looks like ours", /URI/i, withLine(message, "URI: ", `URI: ${url}.evil.example`)],
    ["another scheme", /URI/i, withLine(message, "URI: ", `URI: ftp://${HOST}`)],
    ["another chain", /chain/i, withLine(message, "Chain ID: ", "Chain ID: 5")],
    ["a chain of two names", /chain/i, withLine(message, "Chain ID: ", "Chain ID: 01")],
    ["another nonce", /nonce/, withLine(message, "Nonce: ", `Nonce: ${"0".repeat(32)}`)],
    ["a nonce in upper case", /nonce/, withLine(message, "Nonce: ", `Nonce: A${nonce.slice(1).toUpperCase()}`)],
    ["another version", /Version/, withLine(message, "Version: ", "Version: 2")],
    ["issued long ago", /./, withLine(message, "Issued At: ", `Issued At: ${time(-11 * MINUTE_MS)}`)],
    ["issued in the future", /./, withLine(message, "Issued At: ", `Issued At: ${time(5 * MINUTE_MS)}`)],
    ["expired", /expired/, withLine(message, "Expiration Time: ", `Expiration Time: ${time(-1000)}`)],
    ["not yet valid", /not valid yet/, `${message}\nNot Before: ${time(5 * MINUTE_MS)}`],
    ["a final newline", /./, `${message}\n`],
    ["CRLF", /./, message.replaceAll("\n", "\r\n")],
    ["a line twice", /./, withLine(message, "Version: ", "Version: 1\nVersion: 1")],
    ["no nonce", /Nonce/, withLine(message, "Nonce: ")],
    ["nothing", /./, ""],
  ];
  for (const [name, told, edited] of edits) assert.match(await refused(wallet, edited), told, name);
  assert.equal((await verify(wallet, message)).status, 200, "the challenge is still good");
});

test("An edited text is refused with the signature of the original", async () => {
  const wallet = newWallet();
  const { message } = await challenge(wallet);
  const signature = wallet.sign(message);
  for (const edited of [message.replace("costs nothing", "costs a lot"), `${message}\nRequest ID: 1`, withLine(message, "Chain ID: ", "Chain ID: 10")]) {
    assert.match(await refused(wallet, edited, { signature }), /another account/);
  }
  assert.equal((await verify(wallet, message, { signature })).status, 200);
});

test("A malleated, cut or missing signature is refused", async () => {
  const wallet = newWallet();
  const { message } = await challenge(wallet);
  const good = wallet.sign(message);
  const [r, s, v] = [good.slice(2, 66), good.slice(66, 130), good.slice(130)];
  const order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
  const bad = [
    [malleated(good), /upper half/], [`0x${r}${s}1d`, /last byte/], [`0x${r}${s}`, /130/], [good.slice(2), /130/], [`${good}00`, /130/],
    [`0x${"0".repeat(64)}${s}${v}`, /range/], [`0x${r}${"0".repeat(64)}${v}`, /range/], [`0x${order}${s}${v}`, /range/], [`0x${r}${order}${v}`, /range/],
    [`0x${r}${s}${v === "1b" ? "1c" : "1b"}`, /another account|no account/], ["", /130/], ["0x", /130/], ["é", /130/], [`0x${"g".repeat(130)}`, /130/],
    [newWallet().sign(message), /another account/], [wallet.sign(`${message} `), /another account/],
  ];
  for (const [signature, told] of bad) assert.match(await refused(wallet, message, { signature }), told, signature);
  // v is 0 or 1 in some wallets, and hex in any case.
  const legacy = `0x${r}${s}${v === "1b" ? "00" : "01"}`.toUpperCase().replace("0X", "0x");
  assert.equal((await verify(wallet, message, { signature: legacy })).status, 200);
});

test("A challenge of more than ten minutes ago is refused by its nonce too", async () => {
  const wallet = newWallet();
  const { message, nonce } = await challenge(wallet);
  await sql("UPDATE nonces SET expires_at = ? WHERE nonce = ?", Date.now(), nonce);
  assert.match(await refused(wallet, message), /nonce/);
});

test("Signing out ends the session at once, and no other", async () => {
  const { wallet, token } = await signIn();
  const other = await signIn(wallet);
  assert.equal((await api("POST", "/auth/logout", undefined, as(token))).status, 204);
  for (const path of ["/auth/me", "/api/projects"]) {
    assert.match((await problem(await api("GET", path, undefined, as(token)), 401, "unauthorized")).detail, /ended/);
  }
  await problem(await api("POST", "/auth/logout", undefined, as(token)), 401, "unauthorized");
  assert.equal((await ok("GET", "/auth/me", undefined, other.token)).id, other.userId);
});

test("Signing out with a key, or with a Stack Auth token, ends no session", async () => {
  const { token } = await signIn();
  const { key } = await newKey(token);
  await problem(await api("POST", "/auth/logout", undefined, as(key)), 409, "not_a_session");
  const foreign = mint({ sub: "somebody" });
  assert.equal((await api("POST", "/auth/logout", undefined, as(foreign))).status, 204);
  await ok("GET", "/auth/me", undefined, foreign);
});

test("A session ends by itself after its 30 days", async () => {
  const { token, userId } = await signIn();
  await sql("UPDATE sessions SET expires_at = ? WHERE user_id = ?", Date.now(), userId);
  assert.match((await problem(await api("GET", "/auth/me", undefined, as(token)), 401, "unauthorized")).detail, /expired/);
});

test("The session of a sign-in with an Idempotency-Key is not stored", async () => {
  const { wallet, token } = await signIn();
  const { message } = await challenge(wallet);
  const body = { message, signature: secret(wallet.sign(message)) };
  const headers = { ...as(token), "idempotency-key": "a-sign-in-once" };
  const response = await api("POST", "/auth/wallet/verify", body, headers);
  assert.equal(response.status, 200);
  secret((await response.json()).token);
  await problem(await api("POST", "/auth/wallet/verify", body, headers), 401, "unauthorized");
});

test("No secret of these tests is in a row or in the log", findNoSecret);
