// Callers for tests of accounts: wallets that sign, users of Stack Auth, and their
// keys. Every secret that passes through here is recorded, so that a test can
// check that it appears nowhere.

import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { ed25519 } from "@noble/curves/ed25519.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { keccak_256 } from "@noble/hashes/sha3.js";

export const ADMIN_TOKEN = "operators-own-token-0815";
/** A page that may call the API. */
export const PAGE = "https://hatch.example";
export const STAFF_DOMAIN = "hatch-staff.example";

/** The variables of a production Worker whose users sign in at this fake. */
export const production = (stack) => ({
  ENVIRONMENT: "production", LOG: "all", RATE_LIMITS: "off", ADMIN_TOKEN, CORS_ORIGINS: PAGE, STAFF_EMAIL_DOMAINS: STAFF_DOMAIN,
  STACK_AUTH_URL: stack.url, STACK_PROJECT_ID: stack.projectId,
});

/** The headers with this credential. */
export const as = (token) => ({ authorization: `Bearer ${token}` });

/** A Stellar wallet with a new key, or with this one (32 bytes): `address` (SEP-23), `sign(text)` as Freighter's `signMessage` (SEP-53). */
export function newStellarWallet(key = ed25519.utils.randomSecretKey()) {
  const prefix = utf8ToBytes("Stellar Signed Message:\n");
  const sign = (text) => Buffer.from(ed25519.sign(sha256(Uint8Array.from([...prefix, ...utf8ToBytes(text)])), key)).toString("base64");
  return { address: stellarAddress(ed25519.getPublicKey(key)), key, sign };
}

/** Base32 of a version byte, the key, and a checksum (CRC-16/XMODEM, the low byte first). */
function stellarAddress(key) {
  const bytes = [6 << 3, ...key];
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  const bits = [...bytes, crc & 0xff, crc >> 8].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits.replace(/.{5}/g, (five) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[Number.parseInt(five, 2)]);
}

/** Texts that resemble this Stellar key: with a wrong checksum, another case, another length or another kind. */
export function misspelled(address) {
  const other = (letter) => (letter === "A" ? "B" : "A");
  return [
    address.slice(0, -1) + other(address.at(-1)), address.slice(0, 9) + other(address[9]) + address.slice(10), address.toLowerCase(),
    address.slice(0, 9) + address.slice(9).toLowerCase(), `${address}A`, address.slice(0, -1), `S${address.slice(1)}`, `M${address.slice(1)}`,
  ];
}

const half = secp256k1.Point.Fn.ORDER / 2n;

/** A wallet with a new key, or with this one (32 bytes): `address` (EIP-55), `sign(text)` as `personal_sign`, `key`. */
export function newWallet(key = secp256k1.utils.randomSecretKey()) {
  const [, ...point] = secp256k1.getPublicKey(key, false);
  const address = checksummed(bytesToHex(keccak_256(Uint8Array.from(point))).slice(-40));
  return { address, key, sign: (text) => personalSign(text, key) };
}

/** `0x`, r, s and v of an EIP-191 signature (version 0x45). */
function personalSign(text, key) {
  const message = utf8ToBytes(text);
  const prefix = utf8ToBytes(`\x19Ethereum Signed Message:\n${message.length}`);
  const hash = keccak_256(Uint8Array.from([...prefix, ...message]));
  const [recovery, ...scalars] = secp256k1.sign(hash, key, { prehash: false, format: "recovered", lowS: true });
  return `0x${bytesToHex(Uint8Array.from([...scalars, 27 + recovery]))}`;
}

/** EIP-55. */
function checksummed(lower) {
  const hash = bytesToHex(keccak_256(utf8ToBytes(lower)));
  return `0x${[...lower].map((digit, i) => (Number.parseInt(hash[i], 16) > 7 ? digit.toUpperCase() : digit)).join("")}`;
}

/** The malleated twin of a signature, which anyone can compute: the same r, the other s and v. */
export function malleated(signature) {
  const [r, s, v] = [signature.slice(2, 66), BigInt(`0x${signature.slice(66, 130)}`), Number.parseInt(signature.slice(130), 16)];
  assert.ok(s <= half, "the signature is malleated already");
  return `0x${r}${(secp256k1.Point.Fn.ORDER - s).toString(16).padStart(64, "0")}${(55 - v).toString(16)}`;
}

/**
 * @param {Awaited<ReturnType<import("./harness.js").startWorker>>} worker
 * @param {Awaited<ReturnType<import("../fakes/stack-auth.js").startStackAuth>>} [stack]
 */
export function people({ api, sql, harness }, stack) {
  const secrets = new Set([ADMIN_TOKEN]);
  const secret = (text) => {
    // A shorter text is not a secret, and may occur anywhere.
    if (text.length >= 20) secrets.add(text);
    return text;
  };

  /** The JSON of a 2xx response; null without a body. */
  async function ok(method, path, body, token) {
    const response = await api(method, path, body, token ? as(token) : {});
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
    return text ? JSON.parse(text) : null;
  }

  /** A challenge for this wallet. */
  const challenge = ({ address }, more = {}) => ok("POST", "/auth/wallet/challenge", { address, ...more });

  /** Signs a text and sends both. */
  function verify(wallet, message, { signature = wallet.sign(message), token } = {}) {
    return api("POST", "/auth/wallet/verify", { message, signature: secret(signature) }, token ? as(token) : {});
  }

  /** The session of a wallet that signs in, or with a token of a user who links it. */
  async function signIn(wallet = newWallet(), token) {
    const response = await verify(wallet, (await challenge(wallet)).message, { token });
    const session = await response.json();
    assert.equal(response.status, 200, JSON.stringify(session));
    return { ...session, token: secret(session.token), wallet };
  }

  /** A token of Stack Auth. */
  const mint = (claims, options) => secret(stack.mint(claims, options));

  /** A new key of the user with this token, as the API shows it once. */
  async function newKey(token, fields = {}) {
    const key = await ok("POST", "/auth/keys", { name: "A program", ...fields }, token);
    return { ...key, key: secret(key.key) };
  }

  /** Every row of these tables, or of all, as JSON by its table's name. */
  async function rows(tables) {
    const all = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '*_cf_*' AND name NOT GLOB 'sqlite_*'";
    const names = tables ?? (await sql(all)).map(({ name }) => name);
    const found = names.map(async (name) => [name, (await sql(`SELECT * FROM "${name}"`)).map((row) => JSON.stringify(row)).sort()]);
    return Object.fromEntries(await Promise.all(found));
  }

  /** Everything that the Worker has logged so far. The console is in order, so it is complete when a later request's line is there. */
  async function log() {
    const later = (await api("GET", "/health")).headers.get("x-request-id");
    const text = () => harness.getLogs().map(({ message }) => message).join("\n");
    while (!text().includes(later)) await setImmediate();
    return text();
  }

  /** Fails if a secret of these tests is in a row or in the log; also one that is escaped, or that lost its prefix. */
  async function findNoSecret() {
    const kept = { ...(await rows()), log: [await log()] };
    assert.ok(secrets.size > 1 && kept.users.length > 0 && kept.log[0].length > 0, "there is nothing to look at");
    for (const text of secrets) {
      const random = text.replace(/^(hk_live_|hs_|0x)/, "");
      for (const [table, lines] of Object.entries(kept)) {
        assert.ok(!lines.some((line) => line.includes(random)), `${text.slice(0, 12)}… is in ${table}`);
      }
    }
  }

  return { ok, challenge, verify, signIn, mint, newKey, rows, log, findNoSecret, secret };
}
