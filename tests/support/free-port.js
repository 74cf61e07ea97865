import { once } from "node:events";
import { createServer } from "node:net";

/** A port that nothing listens on, on any of this machine's addresses. */
export async function freePort() {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
