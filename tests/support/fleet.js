// Callers of the fleet's routes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const { paths } = JSON.parse(readFileSync(new URL("../../public/openapi.json", import.meta.url), "utf8"));

/** Sends JSON, without checking the response against the document. */
export function send(origin, method, path, body, headers = {}) {
  return fetch(new URL(path, origin), {
    method,
    headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
    body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** @param {Awaited<ReturnType<import("./harness.js").startWorker>>} worker */
export function fleet(worker) {
  const api = "/heartbeat" in paths ? worker.api : (...request) => send(worker.url, ...request);

  /** Sends a request with this token and these headers. */
  const call = (method, path, body, token, headers = {}) =>
    api(method, path, body, token ? { authorization: `Bearer ${token}`, ...headers } : headers);

  /** The JSON of a response that must have this status. */
  async function ok(status, method, path, body, token, headers) {
    const response = await call(method, path, body, token, headers);
    const text = await response.text();
    assert.equal(response.status, status, `${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
    return text ? JSON.parse(text) : null;
  }

  /** Calls as this user: for `pages` of the harness. */
  const as = (token) => ({ api: (method, path) => call(method, path, undefined, token) });

  /** The only row of a query. */
  const row = async (text, ...args) => (await worker.sql(text, ...args))[0];

  return { api, call, ok, as, row };
}

let wallets = 0;

/** A wallet's address that no other test has, in lower case. */
export function newAddress() {
  wallets += 1;
  return `0x${"f1ee7".padEnd(32, "0")}${wallets.toString(16).padStart(8, "0")}`;
}

/** Fields that a problem names, in their order. */
export const pointers = ({ errors }) => errors.map(({ pointer }) => pointer);
