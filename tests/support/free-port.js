import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** Below the ports that systems give to sockets which ask for any, so that none of those gets this one before it is used. */
const PORTS = [20_000, 32_000];

/** A port that nothing listens on, on any of this machine's addresses. */
export async function freePort() {
  for (;;) {
    const port = randomInt(...PORTS);
    if (await isFree(port)) return port;
  }
}

async function isFree(port) {
  const server = createServer().listen(port);
  try {
    await once(server, "listening");
  } catch (error) {
    if (error.code === "EADDRINUSE") return false;
    throw error;
  }
  server.close();
  await once(server, "close");
  return true;
}
