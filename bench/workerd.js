/** One worker in a workerd of its own, reached on workerd's own socket, and the cost of that process. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { existsSync, readFileSync } from "node:fs";
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";
import { unstable_splitSqlQuery as splitSql } from "wrangler";
import { httpRequest, load } from "./load.js";

// Miniflare keeps its databases in the directory for temporary files until it is disposed of. In memory they keep this
// machine's disk out of every number. It takes a third of the time of a write, and has nothing to do with Cloudflare.
if (existsSync("/dev/shm")) process.env.TMPDIR = "/dev/shm";

/**
 * Starts `options`, a worker in Miniflare's version 4 form, and runs `sql` on its D1 database `DB`.
 *
 * `port` belongs to the worker itself: Miniflare's own port has a proxy in JavaScript before it, as `wrangler dev` has,
 * that costs more than the workers measured here. `firstAnswerMs` is the time from workerd's start to the end of the
 * first answer, loading of the worker included.
 */
export async function boot(options, sql) {
  const started = watchForWorkerd();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({ ...options, cf: false, log: new Log(LogLevel.ERROR), handleStructuredLogs() {}, unsafeDirectSockets: [{ host: "127.0.0.1" }] }),
  );
  try {
    await miniflare.ready;
    const { process: workerd, at } = started();
    const port = Number((await miniflare.unsafeGetDirectURL()).port);
    await load({ port, requestOf: () => httpRequest("GET", "/"), count: 1 });
    const firstAnswerMs = performance.now() - at;

    const database = await miniflare.getD1Database("DB");
    for (const statement of splitSql(sql)) await database.prepare(statement).run();
    return { port, firstAnswerMs, pid: workerd.pid, database, stop: () => miniflare.dispose() };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}

/** Records the workerd that Miniflare is about to spawn, which it does not expose. The returned function gives it. */
function watchForWorkerd() {
  const spawned = [];
  const note = ({ process }) => spawned.push({ process, at: performance.now() });
  subscribe("child_process", note);
  return () => {
    unsubscribe("child_process", note);
    return spawned.find(({ process }) => process.spawnfile.includes("workerd"));
  };
}

/** The kernel's USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU seconds that a process has used, in user and system mode, all threads. */
export function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [userTicks, systemTicks] = fields.slice(11, 13).map(Number);
  return (userTicks + systemTicks) / TICKS_PER_SECOND;
}

/** Resident memory of a process, in megabytes. */
export function residentMegabytes(pid) {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(kilobytes) / 1024;
}
