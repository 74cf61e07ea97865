// A machine that becomes a worker: a directory to install into, a PATH with
// exactly the tools that the set-up script may use, fakes of docker, crontab and
// sleep, and an API that records requests.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, readFileSync, readdirSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

export const WALLET = "0x00112233445566778899aabbccddeeff00112233";
export const TOKEN = `wk_${"aZ09".repeat(13).slice(0, 49)}`;

const SCRIPT = readFileSync(new URL("../../src/fleet/setup.sh", import.meta.url), "utf8");
const TOOLS = (
  "awk cat chmod date df dirname grep head id mkdir mv rm rmdir setsid sh tail timeout tr uname"
).split(" ");

/** The path of a program on this machine, or undefined. */
export function which(name) {
  for (const folder of process.env.PATH.split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
}

/** The script as the Worker serves it. */
export function setupScript({ wallet = WALLET, token = TOKEN, api }) {
  return SCRIPT.replace("@WALLET@", wallet).replace("@TOKEN@", token).replace("@API@", api);
}

/** The processes whose command line holds `text`. */
export function processesWith(text) {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
    } catch {
      return false; // ended meanwhile
    }
  });
}

/**
 * @param t the test, after which everything is taken away again.
 * @param shell "dash", "bash" or "busybox" (then all tools are busybox's).
 * @param client "curl", "wget" or null for neither.
 * @returns see the object at the end.
 */
export async function startMachine(t, { shell = "sh", client = "curl" } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "hatch-machine-"));
  const bin = join(folder, "bin");
  const home = join(folder, "home");
  const crontab = join(folder, "crontab");
  const happened = events();
  const api = await startApi(happened);
  const clock = await startClock(happened);

  await mkdir(bin);
  const link = (name, program) => symlink(which(program) ?? assert.fail(`no ${program} here`), join(bin, name));
  for (const tool of TOOLS) await link(tool, shell === "busybox" ? "busybox" : tool === "sh" ? shell : tool);
  if (client) await link(client, client);

  /** Puts a program of our own into the PATH. */
  async function fake(name, text) {
    await rm(join(bin, name), { force: true });
    await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`);
    await chmod(join(bin, name), 0o755);
  }
  // `stop` waits one second; the test ends every other pause.
  await fake("sleep", `[ "$1" != 1 ] || exec ${which("sleep")} 1\nexec ${which("curl")} -s "${clock.origin}/$1"`);
  await fake(
    "crontab",
    `case $1 in
       -l) cat '${crontab}' 2>/dev/null || { echo 'no crontab for you' >&2; exit 1; } ;;
       -) cat >'${crontab}' ;;
       -r) rm '${crontab}' ;;
     esac`,
  );

  /** Makes `docker ps` print `list`. */
  async function docker(list) {
    await writeFile(join(folder, "containers"), list);
    await fake("docker", `[ "$*" = 'ps --format {{.Names}}\\t{{.Ports}}' ] && cat '${folder}/containers'`);
  }

  /** Pipes the script into a shell. Returns its exit code and its output. */
  async function setup(command, { text, token, env = {}, ...options } = {}) {
    const script = text ?? setupScript({ api: api.origin, token });
    const args = command ? ["-s", "--", command] : [];
    const child = spawn(join(bin, "sh"), args, { env: { PATH: bin, HATCH_HOME: home, ...env }, ...options });
    child.stdin.on("error", () => {}); // it may refuse before it has read all
    child.stdin.end(script);
    const said = Promise.all([child.stdout, child.stderr].map(async (stream) => (await stream.toArray()).join("")));
    const [code] = await once(child, "exit");
    return { code, said: (await said).join("") };
  }

  t.after(async () => {
    await setup("uninstall");
    api.server.closeAllConnections();
    clock.server.closeAllConnections();
    api.server.close();
    clock.server.close();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    bin, // the only directory of its PATH
    home, // HATCH_HOME
    crontab, // the file that our crontab keeps
    api, // origin, answer(…), close(), listen()
    docker,
    fake,
    setup,
    read: (name) => readFile(join(home, name), "utf8"),
    /** The next beat: {body, headers, release()}. */
    beat: () => happened.next("beat"),
    /** The next pause of the loop: {seconds, wake(), ended}. */
    pause: () => happened.next("pause"),
  };
}

/** A queue of events in order, which a test takes one by one. */
function events() {
  const waiting = [];
  const takers = [];
  const settle = () => {
    while (waiting.length && takers.length) takers.shift()(waiting.shift());
  };
  return {
    push(kind, event) {
      waiting.push({ kind, event });
      settle();
    },
    async next(kind) {
      const taken = await new Promise((resolve) => {
        takers.push(resolve);
        settle();
      });
      assert.equal(taken.kind, kind, `${taken.kind} came where a ${kind} should: ${JSON.stringify(taken.event)}`);
      return taken.event;
    },
  };
}

async function startServer(handler) {
  const server = createServer(handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: server.address().port, origin: `http://127.0.0.1:${server.address().port}` };
}

/** Checks beats strictly, and answers 200 or the response that `answer` has queued. */
async function startApi(happened) {
  const answers = [];
  const { server, port, origin } = await startServer(async (request, response) => {
    const bytes = Buffer.concat(await request.toArray());
    const answer = answers.shift() ?? {};
    let body;
    try {
      assert.equal(`${request.method} ${request.url}`, "POST /heartbeat");
      assert.equal(request.headers["content-type"], "application/json");
      assert.equal(request.headers.expect, undefined);
      body = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch (error) {
      happened.push("bad beat", { error: error.message, text: bytes.toString() });
      return response.writeHead(400).end();
    }
    const reply = () => {
      if (answer.hangUp) return request.socket.destroy();
      response.writeHead(answer.status ?? 200, { "content-type": "application/json", ...answer.headers });
      response.end(JSON.stringify(answer.body ?? { success: true }));
    };
    happened.push("beat", { body, headers: request.headers, release: reply });
    if (!answer.held) reply();
  });
  return {
    server,
    origin,
    /** Queues an answer: {status, headers, body}, {hangUp} or {held}. */
    answer: (...those) => answers.push(...those),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
    async listen() {
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
    },
  };
}

/** Where the machine's `sleep` waits until the test wakes it. */
async function startClock(happened) {
  return startServer((request, response) => {
    const ended = once(response, "close");
    happened.push("pause", { seconds: Number(request.url.slice(1)), wake: () => response.end(), ended });
  });
}
