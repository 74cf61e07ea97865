/** Starts `upstream.js` in a process of its own. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

export async function startUpstream() {
  const child = fork(join(import.meta.dirname, "upstream.js"));
  const [{ port }] = await once(child, "message");
  return { port, pid: child.pid, url: `http://127.0.0.1:${port}`, stop: () => child.disconnect() };
}
