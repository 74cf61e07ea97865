/**
 * `node bench/profile.js [--worker peer]` (`npm run profile`): what a worker does during a request, row by row, by V8's own
 * profiler. Traffic goes to 127.0.0.1 alone.
 *
 * The shares are of the worker's own isolate. Miniflare's databases and limiters are isolates beside it, and workerd's
 * HTTP is none: they are only in the CPU time, which is that of the whole process, without the profiler.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { freePort } from "../tests/support/free-port.js";
import { load } from "./load.js";
import { Profiler } from "./profiler.js";
import { HEALTH, LIST, always, beats, chat, checkAnswers, creation, idsOf } from "./routes.js";
import { boot, cpuSeconds } from "./workerd.js";
import { WORKERS } from "./workers.js";

const { values: given } = parseArgs({ options: { worker: { type: "string", default: "hatch" } } });
const { prepare, vars, chats, ending, keeps } = WORKERS[given.worker];

const USER = "core:user:worker";
const CHATS = 300;
/** The columns; the first whose test a frame passes takes it. */
const KINDS = {
  Wasm: ({ url }) => url.startsWith("wasm:"),
  "D1's client": ({ url }) => url.startsWith("cloudflare-internal:d1"),
  JavaScript: ({ url }) => url !== "",
  "garbage collection": ({ functionName }) => functionName === "(garbage collector)",
  "workerd between them": ({ functionName }) => functionName === "(program)",
  "web APIs": () => true,
};

const upstream = fork(join(import.meta.dirname, "upstream.js"));
const [{ port: upstreamPort }] = await once(upstream, "message");
const inspectorPort = await freePort();
const { options, sql } = await prepare();
const bindings = {
  ENVIRONMENT: "development",
  CLAUDE_API_KEY: "sk-ant-bench",
  CLAUDE_BASE_URL: `http://127.0.0.1:${upstreamPort}/fast`,
  ...vars,
};
const worker = { ...(await boot({ ...options, bindings, inspectorPort }, sql)), chats, ending, keeps };
try {
  worker.projects = await checkAnswers(worker);
  const kinds = Object.keys(KINDS);
  print(["", "CPU µs of the process", ...kinds]);
  print(["---", ...["", ...kinds].map(() => "---:")]);
  for (const [row, parametersOf] of rows()) {
    const [cpuUs, shares] = await profiled(parametersOf);
    print([row, cpuUs.toFixed(0), ...kinds.map((kind) => `${(100 * shares[kind]).toFixed(0)} %`)]);
  }
} finally {
  await worker.stop();
  upstream.disconnect();
}

/** The loads by row. */
function rows() {
  const fresh = async () => (worker.projects = idsOf(await load({ port: worker.port, ...creation(CHATS) })));
  return [
    ["GET /", () => ({ requestOf: always(HEALTH), count: 5000 })],
    ["GET /api/projects", () => ({ requestOf: always(LIST), count: 1500 })],
    ["POST /api/projects", () => creation(1500)],
    ["POST /heartbeat", () => beats(worker, 1500)],
    ...Object.keys(chats).map((path) => [`POST ${path}`, async () => (await fresh(), chat(worker, path, CHATS))]),
  ];
}

/** The CPU microseconds of a request, and the kinds' shares of the worker's own time. */
async function profiled(parametersOf) {
  // Once to warm up.
  await load({ port: worker.port, ...(await parametersOf()) });
  const plain = await parametersOf();
  const cpuBefore = cpuSeconds(worker.pid);
  const { done } = await load({ port: worker.port, ...plain });
  const cpuUs = ((cpuSeconds(worker.pid) - cpuBefore) * 1e6) / done;

  const parameters = await parametersOf();
  const profiler = await Profiler.start(`ws://127.0.0.1:${inspectorPort}/${USER}`);
  await load({ port: worker.port, ...parameters });
  const self = await profiler.stop();
  const all = self.reduce((sum, [, us]) => sum + us, 0);
  const shares = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, 0]));
  for (const [frame, us] of self) shares[Object.keys(KINDS).find((kind) => KINDS[kind](frame))] += us / all;
  return [cpuUs, shares];
}

function print(cells) {
  console.log(`| ${cells.join(" | ")} |`);
}
